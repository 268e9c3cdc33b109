"""The linearised loop of models in the plane: the numbers in docs/theory.md and docs/studies/bertrand-2d.md.

    OMP_NUM_THREADS=1 python benchmarks/retraining_jacobian.py

A mixture of eight normal distributions is fitted to the 1,000 points of the study bertrand-2d (seed 0), a small
affine flow to two moons, with smooth activations and with the generator's own (ReLU), with weight decay. For every
synthetic_ratio: spectral radius of retraining, what the certificate says with the misfit measured, and for the flows
the norm of a move by finite differences of actual retraining beside the Jacobian's. Prints Markdown, and CPU seconds.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ouroloop.datasets.mixture import MixtureTarget
from ouroloop.generators.flow import Flow
from ouroloop.generators.gaussian_mixture import GaussianMixture
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.theory import stability
from ouroloop.theory.jacobian import Retraining, of_module, retraining

RATIOS = (0.2, 0.5, 1.0, 2.0)
DECAY = 0.02
Density = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def mixture(theta: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """theta: seven logits (the eighth is 0), eight means, eight roots of covariances (two logs and an entry each)."""
    logits = torch.cat([theta[:7], theta.new_zeros(1)])
    means, roots = theta[7:23].view(8, 2), theta[23:].view(8, 3)
    first = (x[:, None, 0] - means[:, 0]) / roots[:, 0].exp()
    second = (x[:, None, 1] - means[:, 1] - roots[:, 2] * first) / roots[:, 1].exp()
    parts = -0.5 * (first**2 + second**2) - roots[:, 0] - roots[:, 1] - math.log(2 * math.pi)
    return torch.logsumexp(parts + torch.log_softmax(logits, 0), dim=1)


def grid_of(half: float, points: int) -> torch.Tensor:
    """Points of a square around 0."""
    axis = torch.linspace(-half, half, points, dtype=torch.float64)
    return torch.cartesian_prod(axis, axis)


def probabilities(log_prob: Density, theta: torch.Tensor, grid: torch.Tensor) -> torch.Tensor:
    """Of a model at the points of a grid."""
    with torch.no_grad():
        p = log_prob(theta, grid).exp()
    return p / p.sum()


def fitted_mixture() -> tuple[torch.Tensor, np.ndarray]:
    """Parameters and the real rows."""
    real = (
        MixtureTarget(shape="ring", modes=8, scale=2.0, noise=0.1, n=1000)
        .load(key=Key(0).child("data"))
        .real.only(("x",))
    )
    model = GaussianMixture(components=8, tolerance=1e-13, max_iterations=5000, regularisation=0.0, restarts=5)
    model = model.fit(Pool.of(real), key=Key(0))
    assert model.fitted is not None
    found = model.fitted.models[0]
    roots = np.linalg.cholesky(found.covariances)
    entries = np.stack([np.log(roots[:, 0, 0]), np.log(roots[:, 1, 1]), roots[:, 1, 0]], axis=1)
    logits = np.log(found.weights[:-1] / found.weights[-1])
    theta = np.concatenate([logits, found.means.ravel(), entries.ravel()])
    return torch.tensor(theta), real.x


def moons(n: int = 1000) -> torch.Tensor:
    """Standardised points of two moons."""
    rng = np.random.default_rng(0)
    angle, label = np.pi * rng.random(n), rng.integers(0, 2, n)
    x = np.stack([np.cos(angle) + label, np.sin(angle) * (1 - 2 * label) + 0.5 * label], axis=1)
    x += 0.1 * rng.standard_normal((n, 2))
    return torch.tensor((x - x.mean(axis=0)) / x.std(axis=0))


def flow_density(smooth: bool) -> tuple[Density, torch.Tensor]:
    """Log-density and first parameters of the flow generator's network (affine, one transform, four hidden units)."""
    torch.manual_seed(0)
    size: Any = SimpleNamespace(size=2, n_classes=0)
    activation: Any = "tanh" if smooth else "relu"
    net = Flow(transform="affine", layers=1, width=4, depth=1, activation=activation).network(size)
    return of_module(net, lambda flow, x: flow().log_prob(x))


def fitted(log_prob: Density, start: torch.Tensor, parts: list[tuple[torch.Tensor, torch.Tensor]]) -> torch.Tensor:
    """argmax of the weighted log-densities less the weight decay."""
    theta = start.clone().requires_grad_(True)
    options: dict[str, Any] = {"tolerance_grad": 1e-10, "tolerance_change": 0, "line_search_fn": "strong_wolfe"}
    optimiser = torch.optim.LBFGS([theta], max_iter=1500, history_size=60, **options)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = 0.5 * DECAY * theta.square().sum() - sum((w * log_prob(theta, x)).sum() for x, w in parts)
        loss.backward()
        return loss

    optimiser.step(closure)
    return theta.detach()


def row(name: str, log_prob: Density, theta: Any, real: Any, grid: torch.Tensor, decay: float = 0.0) -> Retraining:
    """Print the table's rows of a model; the last ratio's linearisation."""
    weights = probabilities(log_prob, theta, grid)
    cells: list[Retraining] = []
    for ratio in RATIOS:
        found = retraining(log_prob, theta, real, grid, ratio, weight_decay=decay, sample_weights=weights)
        says = "yes" if stability.certificate(ratio, lipschitz=found.misfit, epsilon=1.0) else "no"
        size = f"| {name} | {len(theta)} | {found.slope:.1e} | {found.misfit:.2f} | {ratio:g} | {says} |"
        print(f"{size} {ratio / (1 + ratio):.3f} | {found.radius:.3f} |", flush=True)
        cells.append(found)
    return cells[-1]


def main() -> None:
    torch.set_num_threads(1)
    print("| model | parameters | slope | misfit | ratio | certified | ratio/(1+ratio) | spectral radius |")
    print("|---|---|---|---|---|---|---|---|")
    began = time.process_time()
    row("mixture of 8", mixture, *fitted_mixture(), grid_of(3.0, 121))
    lines = [f"mixture: {time.process_time() - began:.1f} CPU seconds"]
    x, grid = moons(), grid_of(5.0, 71)
    uniform = torch.full((len(x),), 1.0 / len(x), dtype=torch.float64)
    for name, smooth in (("flow, tanh", True), ("flow, ReLU", False)):
        began = time.process_time()
        log_prob, start = flow_density(smooth)
        best = fitted(log_prob, start, [(x, uniform)])
        found = row(name, log_prob, best, x, grid, DECAY)
        direction = np.random.default_rng(1).standard_normal(len(best))
        direction /= np.linalg.norm(direction)
        step = 1e-3 if smooth else 1e-2
        ends = [best + sign * step * torch.tensor(direction) for sign in (1, -1)]
        parts = [[(x, uniform), (grid, RATIOS[-1] * probabilities(log_prob, at, grid))] for at in ends]
        up, down = (fitted(log_prob, best, part) for part in parts)
        moved, said = ((up - down) / (2 * step)).numpy(), np.asarray(found.jacobian) @ direction
        lines.append(
            f"{name}, ratio {RATIOS[-1]:g}: moved by {np.linalg.norm(moved):.4f}, Jacobian {np.linalg.norm(said):.4f}, "
            f"difference {np.linalg.norm(moved - said):.4f}; {time.process_time() - began:.1f} CPU seconds"
        )
    print("\n" + "\n".join(lines))


if __name__ == "__main__":
    main()
