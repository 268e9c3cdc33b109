"""The Jacobian of retraining against closed forms and against what retraining does to moved parameters."""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ouroloop.errors import DataError, SpecError
from ouroloop.theory import jacobian, stability
from ouroloop.theory.jacobian import lipschitz, of_module, retraining

DECAY = 0.02
HALF_LOG = 0.5 * math.log(2 * math.pi)


def gaussian(theta, x):
    """theta: mean (2,), log of the diagonal of the root of the covariance (2,), its lower entry."""
    mean, scale, lower = theta[:2], theta[2:4].exp(), theta[4]
    first = (x[:, 0] - mean[0]) / scale[0]
    second = (x[:, 1] - mean[1] - lower * first) / scale[1]
    return -0.5 * (first**2 + second**2) - theta[2:4].sum() - 2 * HALF_LOG


def fitted_gaussian(rows):
    root = np.linalg.cholesky(np.cov(rows.T, ddof=0))
    return np.array([*rows.mean(axis=0), *np.log(np.diag(root)), root[1, 0]]), root


@pytest.mark.parametrize("ratio", [0.0, 0.3, 4.0, 1e6])
@pytest.mark.parametrize("strength", [0.0, 2.0, math.inf])
def test_an_exponential_family_contracts_by_the_closed_form_whatever_the_data(ratio, strength):
    rng = np.random.default_rng(0)
    rows = rng.exponential(size=(500, 2)) @ np.array([[1.0, 0.4], [0.0, 2.0]])  # no Gaussian
    theta, root = fitted_gaussian(rows)
    drawn = rng.standard_normal((400, 2))
    drawn = (drawn - drawn.mean(axis=0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn.T, ddof=0))).T
    samples = rows.mean(axis=0) + drawn @ root.T  # with the model's moments to the last digit
    found = retraining(gaussian, theta, rows, samples, ratio, correction_strength=strength)
    expected = stability.spectral_radius(ratio, strength)
    np.testing.assert_allclose(found.eigenvalues, expected, rtol=1e-8)
    assert found.jacobian is not None
    np.testing.assert_allclose(found.jacobian, expected * np.eye(5), atol=1e-7)
    assert found.radius == pytest.approx(expected)
    assert found.slope == pytest.approx(0.0, abs=1e-10)
    assert found.misfit == pytest.approx(0.0, abs=1e-7)


def mixture(theta, x):
    """theta: logit of the first weight, two means, logs of two deviations; x (n, 1)."""
    parts = -0.5 * ((x - theta[1:3]) / theta[3:5].exp()) ** 2 - theta[3:5] - HALF_LOG
    logits = torch.stack([theta[0], torch.zeros_like(theta[0])])
    return torch.logsumexp(parts + torch.log_softmax(logits, 0), dim=1)


def density(theta, x):
    weight = 1 / (1 + np.exp(-theta[0]))
    each = np.exp(-0.5 * ((x[:, None] - theta[1:3]) / np.exp(theta[3:5])) ** 2 - theta[3:5] - HALF_LOG)
    return each * np.array([weight, 1 - weight])


def expectation_maximisation(theta, x, weights):
    """In NumPy, to the last digits."""
    for _ in range(20_000):
        each = density(theta, x)
        share = weights[:, None] * each / each.sum(axis=1, keepdims=True)
        total = share.sum(axis=0)
        means = x @ share / total
        spread = np.sqrt((share * (x[:, None] - means) ** 2).sum(axis=0) / total)
        new = np.array([np.log(total[0] / total[1]), *means, *np.log(spread)])
        if np.abs(new - theta).max() < 1e-13:
            return new
        theta = new
    raise AssertionError("did not converge")


@pytest.mark.parametrize("ratio", [0.4, 3.0])
def test_a_mixture_of_the_wrong_kind_moves_as_retraining_by_em_does(ratio):
    """Laplace data, two normal components: A and B differ. The model's rows are a grid with its density as weights."""
    rng = np.random.default_rng(1)
    x = np.concatenate([rng.laplace(-2, 0.7, 400), rng.laplace(2, 1.0, 600)])
    theta = expectation_maximisation(np.array([0.0, -2, 2, 0, 0]), x, np.full(len(x), 1 / len(x)))
    grid = np.linspace(-14, 14, 1001)

    def retrained(at):
        model = density(at, grid).sum(axis=1)
        weights = np.concatenate([np.full(len(x), 1 / len(x)), ratio * model / model.sum()])
        return expectation_maximisation(theta, np.concatenate([x, grid]), weights / weights.sum())

    step = 1e-4
    moved = [(retrained(theta + step * e) - retrained(theta - step * e)) / (2 * step) for e in np.eye(5)]
    model = density(theta, grid).sum(axis=1)
    found = retraining(mixture, theta, x, grid, ratio, sample_weights=model)
    np.testing.assert_allclose(np.asarray(found.jacobian), np.stack(moved, axis=1), atol=2e-6)
    assert found.slope < 1e-9
    assert found.misfit > 0.05
    assert np.ptp(found.eigenvalues) > 0.02  # so that the check is not of the well-specified value
    assert found.radius == pytest.approx(np.abs(np.linalg.eigvals(np.stack(moved, axis=1))).max(), abs=1e-5)


def flow_of(width):
    """The flow generator's network with smooth activations, as a function of its parameters."""
    from ouroloop.generators.flow import Flow

    torch.manual_seed(0)
    size: Any = SimpleNamespace(size=2, n_classes=0)
    net = Flow(transform="affine", layers=1, width=width, depth=1).network(size)
    for parent in list(net.modules()):
        for name, child in parent.named_children():
            if isinstance(child, torch.nn.ReLU):
                setattr(parent, name, torch.nn.Tanh())
    return of_module(net, lambda flow, x: flow().log_prob(x))


def fitted(log_prob, start, parts, decay):
    """argmax of the weighted log-densities less the decay, by L-BFGS."""
    theta = start.clone().requires_grad_(True)
    optimiser = torch.optim.LBFGS(
        [theta], max_iter=1500, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe", history_size=60
    )

    def closure():
        optimiser.zero_grad()
        loss = 0.5 * decay * theta.square().sum() - sum((w * log_prob(theta, x)).sum() for x, w in parts)
        loss.backward()
        return loss

    optimiser.step(closure)
    return theta.detach()


@pytest.fixture(scope="module")
def flow():
    """log-density, fitted parameters, real rows, a grid and the model's probabilities of its points."""
    rng, n = np.random.default_rng(0), 800
    angle, label = np.pi * rng.random(n), rng.integers(0, 2, n)
    moons = np.stack([np.cos(angle) + label, np.sin(angle) * (1 - 2 * label) + 0.5 * label], axis=1)
    x = moons + 0.1 * rng.standard_normal((n, 2))
    x = torch.tensor((x - x.mean(axis=0)) / x.std(axis=0))
    axis = torch.linspace(-5, 5, 61, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    log_prob, start = flow_of(3)
    theta = fitted(log_prob, start, [(x, torch.full((n,), 1 / n))], DECAY)

    def model(at):
        with torch.no_grad():
            p = log_prob(at, grid).exp()
        return p / p.sum()

    return SimpleNamespace(log_prob=log_prob, theta=theta, x=x, grid=grid, model=model)


def test_a_normalising_flow_moves_as_retraining_does(flow):
    """Real retraining, from parameters moved by 0.002 either way; the differences are good to 1 %."""
    ratio, step, n = 1.0, 2e-3, len(flow.x)
    found = retraining(
        flow.log_prob, flow.theta, flow.x, flow.grid, ratio, weight_decay=DECAY, sample_weights=flow.model(flow.theta)
    )
    assert found.slope < 1e-5
    assert 0.5 < found.radius < 1.0
    direction = np.random.default_rng(1).standard_normal(len(flow.theta))
    direction /= np.linalg.norm(direction)
    up, down = (
        fitted(
            flow.log_prob,
            flow.theta,
            [
                (flow.x, torch.full((n,), 1 / n)),
                (flow.grid, ratio * flow.model(flow.theta + sign * step * torch.tensor(direction))),
            ],
            DECAY,
        )
        for sign in (1, -1)
    )
    moved = ((up - down) / (2 * step)).numpy()
    assert found.jacobian is not None
    assert np.linalg.norm(moved) > 0.1
    assert np.linalg.norm(moved - found.jacobian @ direction) < 0.015 * np.linalg.norm(moved)


def independent(theta, x):
    """Normal coordinates, theta: their means and the logs of their deviations."""
    mean, scale = theta.chunk(2)
    return (-0.5 * ((x - mean) / scale.exp()) ** 2 - scale).sum(dim=1)


def test_products_give_the_same_radius_as_matrices(monkeypatch):
    rng = np.random.default_rng(0)
    x, drawn = (rng.standard_normal((rows, 20)) @ np.diag(np.linspace(0.5, 2.0, 20)) for rows in (100, 400))
    theta = np.concatenate([x.mean(axis=0), np.log(x.std(axis=0))])
    options = {"weight_decay": 0.2, "correction_strength": 0.5}
    dense = retraining(independent, theta, x, drawn, 1.0, **options)
    assert np.ptp(dense.eigenvalues) > 0.01
    monkeypatch.setattr(jacobian, "DENSE", 39)
    found = retraining(independent, theta, x, drawn, 1.0, **options)
    assert found.radius == pytest.approx(dense.radius, rel=1e-6)
    assert found.jacobian is None
    assert retraining(independent, theta, x, drawn, 0.0, **options).radius == 0.0
    with pytest.raises(SpecError, match="no strict maximum"):
        retraining(independent, theta + 5.0, x, drawn, 1.0)


def test_an_eigenvalue_that_does_not_converge_is_said(monkeypatch):
    from scipy.sparse import linalg

    rng = np.random.default_rng(0)
    x = rng.standard_normal((100, 20))
    theta = np.concatenate([x.mean(axis=0), np.log(x.std(axis=0))])
    monkeypatch.setattr(jacobian, "DENSE", 39)
    monkeypatch.setattr(linalg, "eigsh", partial(linalg.eigsh, maxiter=1, ncv=2))
    with pytest.raises(SpecError, match=r"40 eigenvalues did not converge.*DENSE = 40"):
        retraining(independent, theta, x, x[::2], 1.0, weight_decay=0.2)


def normal(theta, x):
    """theta: mean, log of the deviation."""
    return -0.5 * ((x[:, 0] - theta[0]) / theta[1].exp()) ** 2 - theta[1] - HALF_LOG


def test_the_curvature_and_lipschitz_constant_of_a_normal_distribution():
    x = np.random.default_rng(0).normal(1.0, 2.0, 50)
    theta = np.array([x.mean(), np.log(x.std())])
    found = retraining(normal, theta, x, x, 1.0)
    assert found.alpha == pytest.approx(min(2.0, 1 / x.var()))
    rows, variance = np.array([theta[0], theta[0] + 3.0]), x.var()
    change = np.array([[0.0, -2 / variance], [-2 / variance, -4 * 3.0 / variance]])  # of the Hessian, at the far row
    assert lipschitz(normal, theta, rows) == pytest.approx(np.linalg.norm(change, 2))
    assert lipschitz(normal, theta, rows[:1]) == pytest.approx(2 / variance)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"theta": np.array([np.nan, 0.0])}, DataError, "theta"),
        ({"real": np.zeros((0, 1))}, DataError, "at least one row"),
        ({"samples": np.array([1.0, np.inf])}, DataError, "samples"),
        ({"sample_weights": np.ones(3)}, DataError, "sample_weights"),
        ({"sample_weights": np.array([1.0, -1.0])}, DataError, "sample_weights"),
        ({"sample_weights": np.zeros(2)}, DataError, "sample_weights"),
        ({"synthetic_ratio": -1.0}, SpecError, "synthetic_ratio"),
        ({"synthetic_ratio": math.inf}, SpecError, "synthetic_ratio"),
        ({"weight_decay": -1.0}, SpecError, "weight_decay"),
        ({"correction_strength": math.nan}, SpecError, "correction_strength"),
        ({"theta": np.array([5.0, 0.0])}, SpecError, "no strict maximum"),
        ({"log_prob": lambda theta, x: theta.sum()}, DataError, "shape"),
        ({"log_prob": lambda theta, x: theta.sum() * x[:, 0] / 0.0}, DataError, "NaN or infinity"),
        ({"log_prob": lambda theta, x: theta.sum() * x[:, 0]}, SpecError, "no strict maximum"),
    ],
)
def test_bad_arguments_are_named(change, error, message):
    good = {
        "log_prob": normal,
        "theta": np.zeros(2),
        "real": np.array([-1.0, 1.0]),
        "samples": np.array([-1.0, 1.0]),
        "synthetic_ratio": 1.0,
    }
    assert retraining(**good).radius == pytest.approx(0.5)
    with pytest.raises(error, match=message):
        retraining(**{**good, **change})
