r"""The Jacobian of retraining at its fixed point, for any model with a log-density, by automatic differentiation.

Retraining maps parameters $\theta$ to the maximiser of
$E_{real}\log p_{\theta'} + \lambda E_{x\sim p_\theta}\log p_{\theta'} - \frac{\delta}{2}|\theta'|^2$, with $\delta$ the
weight decay of the fit. At its fixed point, where the model fits the real rows best, implicit differentiation gives

$$ J = (A + \lambda B - \delta)^{-1} \lambda B, \qquad A = E_{real}\nabla^2\log p, \; B = E_{p_\theta}\nabla^2\log p, $$

and the ideal corrector divides it by $1+\gamma$, as in `stability`. J is similar to a symmetric matrix, so that its
eigenvalues are real; the loop is stable near the fixed point iff they are below 1 in size. Log-densities have to be
smooth in the parameters: networks with kinks (ReLU) are trained until parameters rest on kinks, from which retraining
moves them less than J says (see docs/theory.md).

With at most `DENSE` parameters all eigenvalues are computed, above that the largest, by Lanczos on products of a
Hessian and a vector with conjugate gradients inside.

Source: Bertrand et al., arXiv 2310.00429; with weight decay and correction derived here. Checked against finite
differences of actual retraining in tests/theory/test_jacobian.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ouroloop.errors import DataError, SpecError
from ouroloop.theory.arguments import number, shares_of_model

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    LogProb = Callable[[Tensor, Tensor], Tensor]

__all__ = ["DENSE", "Retraining", "lipschitz", "of_module", "retraining"]

DENSE = 400  # parameters up to which matrices are formed: as many products with each
_ROWS = 8192  # rows in one pass
_TOLERANCE = 1e-8  # of the inner solves, relative
_STEPS = 2000  # of an inner solve


@dataclass(frozen=True, eq=False)
class Retraining:
    r"""The linearised loop.

    Attributes:
        radius: largest eigenvalue of J in size: below 1 is stable.
        eigenvalues: of J, float64 (p,) from the largest down; (1,) above `DENSE` parameters.
        alpha: smallest eigenvalue of $\delta - A$, the certificate's curvature; NaN above `DENSE` parameters.
        misfit: spectral norm of $(A-\delta)^{-1}(B-A+\delta)$, which the theorem bounds by $L\varepsilon/\alpha$: use
            ``stability.certificate(ratio, strength, lipschitz=misfit, epsilon=1)``; NaN above `DENSE` parameters.
        slope: norm of the gradient of $E_{real}\log p - \frac{\delta}{2}|\theta|^2$; 0 at a fixed point.
        jacobian: float64 (p, p), or None above `DENSE` parameters.
    """

    radius: float
    eigenvalues: np.ndarray
    alpha: float
    misfit: float
    slope: float
    jacobian: np.ndarray | None


def retraining(
    log_prob: LogProb,
    theta: npt.ArrayLike | Tensor,
    real: npt.ArrayLike | Tensor,
    samples: npt.ArrayLike | Tensor,
    synthetic_ratio: float,
    *,
    correction_strength: float = 0.0,
    weight_decay: float = 0.0,
    sample_weights: npt.ArrayLike | None = None,
) -> Retraining:
    r"""Linearise retraining at parameters that fit the real rows best.

    Args:
        log_prob: (theta (p,), x (n, ...)) to log-densities (n,), in torch, twice differentiable in theta.
        theta: the fixed point $\theta^*$, float64 (p,).
        real: real rows, (n, ...).
        samples: rows of the model at theta, (m, ...); the error of J falls with their number.
        synthetic_ratio: $\lambda \ge 0$, finite.
        correction_strength: $\gamma \ge 0$ of the ideal corrector.
        weight_decay: $\delta \ge 0$. Flat directions of a network need one, or retraining has no single outcome.
        sample_weights: of the samples, (m,), none negative; for points of a quadrature in the place of samples.

    Raises:
        SpecError: numbers out of range, theta at which the objective has no strict maximum, or an iteration above
            `DENSE` parameters that does not converge.
        DataError: no rows, weights of another number, or log-densities that are not finite.
    """
    ratio, decay = number("synthetic_ratio", synthetic_ratio), number("weight_decay", weight_decay)
    share = float(np.asarray(shares_of_model(correction_strength)))
    at = _tensor("theta", theta).reshape(-1)
    on_real = _Mean(log_prob, at, _tensor("real", real), None)
    on_model = _Mean(log_prob, at, _tensor("samples", samples), sample_weights)
    slope = float(np.linalg.norm(on_real.gradient() - decay * at.numpy()))

    def curvature(v: np.ndarray) -> np.ndarray:
        return decay * v - on_real.hessian(v) - (ratio * on_model.hessian(v) if ratio else 0.0)

    if at.numel() > DENSE:
        value = _largest(lambda v: -ratio * on_model.hessian(v), curvature, at.numel()) * share if ratio else 0.0
        return Retraining(abs(value), np.array([value]), np.nan, np.nan, slope, None)
    a, b = (_matrix(product, at.numel()) for product in (on_real.hessian, on_model.hessian))
    fixed = decay * np.eye(len(a)) - a
    values, jacobian = _dense(fixed - ratio * b, -ratio * b)
    alpha = float(np.linalg.eigvalsh(fixed)[0])
    misfit = float(np.linalg.norm(np.linalg.solve(fixed, -b - fixed), 2)) if alpha > 0 else np.inf
    return Retraining(float(np.abs(values).max() * share), values * share, alpha, misfit, slope, jacobian * share)


def lipschitz(log_prob: LogProb, theta: npt.ArrayLike | Tensor, rows: npt.ArrayLike | Tensor) -> float:
    r"""Lipschitz constant in x of $\nabla^2_\theta\log p_\theta(x)$ around these rows, for `stability.certificate`.

    The largest $(\sum_k\|\partial_{x_k}\nabla^2_\theta\log p\|^2)^{1/2}$ over the rows: above the constant at each row,
    exact in one dimension, and it says nothing of other rows; in the tails it may grow without bound.

    Args:
        log_prob: as in `retraining`, three times differentiable, made of functions that `torch.func` knows.
        theta: float64 (p,), p small: m p^2 d numbers are held.
        rows: (m, d).
    """
    import torch

    at, x = _tensor("theta", theta).reshape(-1), _tensor("rows", rows)

    def one(row: Tensor) -> Tensor:
        return torch.func.jacrev(torch.func.jacrev(lambda t: log_prob(t, row[None])[0]))(at)

    change = torch.func.vmap(torch.func.jacrev(one))(x.reshape(len(x), -1))  # (m, p, p, d)
    norms = torch.linalg.matrix_norm(change.movedim(-1, 1), 2)
    return float(norms.square().sum(dim=1).sqrt().max())


def of_module(module: nn.Module, density: Callable[[Any, Tensor], Tensor]) -> tuple[LogProb, Tensor]:
    """A torch module as a function of its flattened parameters, and these in double precision.

    Args:
        module: its buffers stay as they are.
        density: (module, x) to log-densities (n,), such as ``lambda flow, x: flow().log_prob(x)``.
    """
    import copy

    import torch

    class Density(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = copy.deepcopy(module).double()

        def forward(self, x: Tensor) -> Tensor:
            return density(self.model, x)

    wrapped = Density()
    shapes = {name: p.shape for name, p in wrapped.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]
    theta = torch.nn.utils.parameters_to_vector(wrapped.parameters()).detach().clone()

    def log_prob(flat: Tensor, x: Tensor) -> Tensor:
        parts = torch.split(flat, sizes)
        named = {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}
        return torch.func.functional_call(wrapped, named, (x,))

    return log_prob, theta


class _Mean:
    """Derivatives in theta of the mean log-density of some rows, each a function of float64 vectors (p,)."""

    def __init__(self, log_prob: LogProb, theta: Tensor, rows: Tensor, weights: npt.ArrayLike | None) -> None:
        import torch

        self._log_prob, self._theta = log_prob, theta
        if not len(rows):
            raise DataError("real and samples: need at least one row each")
        share = np.ones(len(rows)) if weights is None else np.asarray(weights, np.float64)
        if share.shape != (len(rows),) or not (np.isfinite(share) & (share >= 0)).all() or not share.sum() > 0:
            raise DataError(f"sample_weights: must be {len(rows)} numbers >= 0, one a row, not all 0")
        blocks = torch.from_numpy(share / share.sum()).split(_ROWS)
        self._parts = list(zip(rows.split(_ROWS), blocks, strict=True))

    def _values(self, at: Tensor, rows: Tensor) -> Tensor:
        values = self._log_prob(at, rows)
        if values.shape != rows.shape[:1] or not bool(values.isfinite().all()):
            raise DataError(
                f"log_prob: must give {len(rows)} finite numbers, one a row, got shape {tuple(values.shape)}"
                f"{'' if values.shape != rows.shape[:1] else ' with NaN or infinity'}"
            )
        return values

    def _sum(self, one: Callable[[Tensor, Tensor, Tensor], Tensor]) -> np.ndarray:
        """Sum of one(theta, rows, weights) over blocks of rows."""
        import torch

        total = torch.zeros_like(self._theta)
        with torch.enable_grad():
            for rows, weights in self._parts:
                at = self._theta.detach().requires_grad_(True)
                total += one(at, rows, weights).detach()
        return total.numpy()

    def gradient(self) -> np.ndarray:
        import torch

        return self._sum(lambda at, rows, w: torch.autograd.grad(w @ self._values(at, rows), at)[0])

    def hessian(self, v: np.ndarray) -> np.ndarray:
        """The mean Hessian times v."""
        import torch

        direction = torch.from_numpy(v)

        def one(at: Tensor, rows: Tensor, weights: Tensor) -> Tensor:
            (slope,) = torch.autograd.grad(weights @ self._values(at, rows), at, create_graph=True)
            if not slope.requires_grad:  # linear in theta
                return torch.zeros_like(at)
            (found,) = torch.autograd.grad(slope @ direction, at, allow_unused=True)
            return torch.zeros_like(at) if found is None else found

        return self._sum(one)


def _tensor(name: str, values: Any) -> torch.Tensor:
    import torch

    tensor = torch.as_tensor(values).detach().to("cpu", torch.float64)
    if not bool(tensor.isfinite().all()):
        raise DataError(f"{name}: must be finite")
    return tensor if tensor.ndim != 1 or name == "theta" else tensor[:, None]


def _matrix(product: Callable[[np.ndarray], np.ndarray], size: int) -> np.ndarray:
    """The symmetric matrix of a product, a column at a time."""
    columns = np.stack([product(unit) for unit in np.eye(size)])
    return 0.5 * (columns + columns.T)


_NO_MAXIMUM = (
    "theta: the fit has no strict maximum there, so that retraining has no single outcome; give the fitted parameters "
    "(`slope` near 0), or a weight_decay"
)


def _dense(curvature: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues from the largest down and the matrix curvature^-1 information."""
    try:
        root = np.linalg.inv(np.linalg.cholesky(curvature))
    except np.linalg.LinAlgError as error:
        raise SpecError(_NO_MAXIMUM) from error
    values = np.linalg.eigvalsh(root @ information @ root.T)
    return values[np.argsort(-np.abs(values))], root.T @ root @ information


def _largest(information: Callable[..., np.ndarray], curvature: Callable[..., np.ndarray], size: int) -> float:
    """The eigenvalue of curvature^-1 information that is largest in size."""
    from scipy.sparse import linalg

    sparse: Any = linalg  # whose annotations know neither matvec nor a tolerance

    def solve(right: np.ndarray) -> np.ndarray:
        return _conjugate_gradients(curvature, right.ravel())

    matrix, mass, inverse = (
        sparse.LinearOperator((size, size), matvec=lambda v, f=f: f(v.ravel()), dtype=np.float64)
        for f in (information, curvature, solve)
    )
    start = np.random.default_rng(0).standard_normal(size)  # any; fixed, so that the result is
    options: dict[str, Any] = {"which": "LM", "v0": start, "tol": 1e-6, "return_eigenvectors": False}
    try:
        found = sparse.eigsh(matrix, k=1, M=mass, Minv=inverse, **options)
    except sparse.ArpackNoConvergence as error:
        raise SpecError(
            f"theta: the largest of {size} eigenvalues did not converge; a larger weight_decay makes it easier, and "
            f"ouroloop.theory.jacobian.DENSE = {size} does without, by matrices of {size} x {size}"
        ) from error
    return float(found[0])


def _conjugate_gradients(product: Callable[[np.ndarray], np.ndarray], right: np.ndarray) -> np.ndarray:
    """Solve a positive definite system; what is not positive definite is found out and refused."""
    x, residual = np.zeros_like(right), right.copy()
    direction, square = residual.copy(), float(residual @ residual)
    goal = _TOLERANCE**2 * square
    for _ in range(_STEPS):
        if square <= goal:
            return x
        image = product(direction)
        bend = float(direction @ image)
        if not bend > 0:
            raise SpecError(_NO_MAXIMUM)
        step = square / bend
        x += step * direction
        residual -= step * image
        square, before = float(residual @ residual), square
        direction = residual + (square / before) * direction
    raise SpecError(f"theta: a system did not converge in {_STEPS} steps; a larger weight_decay makes it easier")
