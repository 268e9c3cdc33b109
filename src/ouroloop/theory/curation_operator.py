r"""The factor by which choosing the best of K multiplies the probability of every point.

$$ H_p^K(x) = E\Big[\frac{K e^{r(x)}}{e^{r(x)} + \sum_{i<K} e^{r(x_i)}}\Big]
           = K w \int_0^\infty e^{-sw} M(s)^{K-1}\,ds, \qquad w = e^{r(x)}, \quad M(s) = \sum_x p(x) e^{-s w(x)}, $$

a one-dimensional integral, computed here by the trapezoidal rule in $\log s$, which converges geometrically.

Source:
    Ferbach et al., arXiv 2407.09499, eq. 6; the integral is derived here.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import vectors

__all__ = ["alike", "factors"]

_SPACING = 0.4  # of log s: the rule errs by about exp(-pi^2 / spacing) = 2e-11
_WIDEST = 10_000.0  # range of rewards
_ENTRIES = 10_000_000  # of a kernel: quadrature nodes times points


def factors(p: np.ndarray, r: np.ndarray, k: float | np.ndarray) -> np.ndarray:
    """$H_p^K(x)$, float64 (..., m).

    Args:
        p: distributions, shape (..., m). r: rewards, shape (..., m). k: K >= 1, a float or an array (...); infinity
            for the limit.

    Raises:
        SpecError: rewards that are not finite, or too far apart.
    """
    if isinstance(k, np.ndarray) or r.ndim > 1:
        return _each(p, r, np.asarray(k))
    if k == 1.0:
        return np.ones(p.shape)
    if math.isinf(k):
        return _replicator(p, r)
    loss, gain = _kernel(r.tobytes(), k)
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        others = np.exp((k - 1.0) * np.log1p(-np.minimum(p @ loss, 1.0)))  # M^(K-1)
    return others @ gain


def _each(p: np.ndarray, r: np.ndarray, k: np.ndarray) -> np.ndarray:
    """`factors` of every vector of rewards and every K."""
    shape = np.broadcast_shapes(p.shape[:-1], r.shape[:-1], k.shape)
    p, found = np.broadcast_to(p, (*shape, p.shape[-1])), np.empty((*shape, p.shape[-1]))
    for here, rewards, choices in alike(r, k, shape):
        found[here] = factors(p[here], rewards, choices)
    return found


def alike(r: np.ndarray, k: np.ndarray, shape: tuple[int, ...]) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Where in `shape` rewards and K are the same, these rewards (m,), and this K."""
    rows = r.reshape(-1, r.shape[-1])
    row = np.broadcast_to(np.arange(len(rows)).reshape(r.shape[:-1]), shape)
    k = np.broadcast_to(k, shape)
    for index, rewards in enumerate(rows):
        for choices in np.unique(k[row == index]):
            yield (row == index) & (k == choices), rewards, float(choices)


@functools.lru_cache(maxsize=8)
def _kernel(rewards: bytes, choices: float) -> tuple[np.ndarray, np.ndarray]:
    r"""$1 - e^{-sw}$, shape (m, nodes), and the weights of $M^{K-1}$ in the integral, shape (nodes, m).

    Nodes run in $\log s$ from where the integrand is its value at 0, which makes what lies below a geometric series,
    to where $e^{-sw}$ of the lowest reward vanishes.
    """
    r = vectors("rewards", np.frombuffer(rewards))
    with np.errstate(over="ignore"):
        shifted = r - r.max()
    if shifted.min() < -_WIDEST:
        raise SpecError(f"rewards: must span at most {_WIDEST:g}, got {-shifted.min():g}")
    nodes = np.arange(math.log(1e-5 / choices), 3.7 - shifted.min() + _SPACING, _SPACING)
    if len(nodes) * len(r) > _ENTRIES:
        raise SpecError(f"rewards: {len(r)} points with {len(nodes)} nodes exceed {_ENTRIES}; use fewer points")
    exponent = nodes[:, None] + shifted
    with np.errstate(over="ignore", under="ignore"):
        moved = np.exp(exponent)  # s w
        loss = -np.expm1(-moved)
        gain = np.exp(exponent - moved) * (choices * _SPACING)
    gain[0] /= -math.expm1(-_SPACING)
    return np.ascontiguousarray(loss.T), gain


def _replicator(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    """e^r / E e^r; rewards are taken relative to the highest one that has mass, in every row."""
    best = np.where(p > 0.0, r, -np.inf).max(axis=-1, keepdims=True)
    with np.errstate(over="ignore", under="ignore"):
        w = np.where(p > 0.0, np.exp(np.minimum(r - best, 0.0)), 0.0)
        return w / (p * w).sum(axis=-1, keepdims=True)
