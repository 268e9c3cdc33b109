r"""The linear step of a Gaussian loop's second moments, raised to a power for every element of an array.

The state of a loop is $z = (1, E m^2, E v)$: squared error of the fitted mean and fitted variance, in units of the
data's variance, before the first fit $(1, 0, 1)$. Every regime without growing training sets maps it linearly, so that
generation t is a matrix power: exact, with a cost that grows as $\log t$. Accumulating regimes have closed products or
factors that depend on t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ouroloop.errors import SpecError

__all__ = ["Track", "run"]

_MAX_GENERATIONS = 1_000_000  # of accumulate_subsample, which is stepped
_FAR = 100.0  # generations, from which on the series is exact to rounding


class Track(NamedTuple):
    """$E m_t^2$ and $E v_t$ over the data's variance, float64 of one shape."""

    mean_square: np.ndarray
    variance: np.ndarray


def run(regime: str, t: np.ndarray, n: np.ndarray, ratio: np.ndarray, stretch: np.ndarray, ddof: int) -> Track:
    """Both moments after t fits; all arrays float64 of one shape and already checked."""
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        if regime == "accumulate":
            return _accumulate(t, n, ddof)
        if regime == "accumulate_subsample":
            return _accumulate_subsample(t, n, ddof)
        return _memoryless(regime, t, n, ratio, stretch, ddof)


def _memoryless(regime: str, t: np.ndarray, n: np.ndarray, ratio: np.ndarray, stretch: np.ndarray, ddof: int) -> Track:
    first = np.stack([np.ones(t.shape), 1.0 / n, (n - 1.0) / (n - ddof)], axis=-1)
    if regime == "replace":
        step = _replace_step(n, stretch, ddof)
    else:
        step = _pooled_step(n, ratio, stretch, ddof, fixed=regime == "fixed_real")
    state = (_power(step, np.maximum(t - 1.0, 0.0)) @ first[..., None])[..., 0]
    # a product of infinity and 0 in an unstable loop is infinity too
    state = np.where(np.isfinite(state), state, np.inf)
    return Track(np.where(t > 0, state[..., 1], 0.0), np.where(t > 0, np.maximum(state[..., 2], 0.0), 1.0))


def _replace_step(n: np.ndarray, stretch: np.ndarray, ddof: int) -> np.ndarray:
    step = np.zeros((*n.shape, 3, 3))
    step[..., 0, 0] = step[..., 1, 1] = 1.0
    step[..., 1, 2] = stretch / n
    step[..., 2, 2] = stretch * (n - 1.0) / (n - ddof)
    return step


def _pooled_step(n: np.ndarray, ratio: np.ndarray, stretch: np.ndarray, ddof: int, *, fixed: bool) -> np.ndarray:
    """n real rows, the same or fresh, with k = ratio n rows of the last model.

    With r = k/(n+k), the sum of squares about the mean of all is that of each part and the squared distance of their
    means, E d^2, times nk/(n+k). Fixed real rows have the mean x and E (m - x)^2 = E m^2 - 1/n, since m - x is
    uncorrelated with x.
    """
    k = ratio * n
    r, total = k / (n + k), n + k
    noise = np.divide(stretch, k, out=np.zeros(n.shape), where=k > 0.0)  # of the synthetic mean, per unit of variance
    step = np.zeros((*n.shape, 3, 3))
    step[..., 0, 0] = 1.0
    step[..., 1, 0] = (1.0 - r**2) / n if fixed else (1.0 - r) ** 2 / n
    step[..., 1, 1] = r**2
    step[..., 1, 2] = r**2 * noise
    between = n * k / total
    apart = -1.0 / n if fixed else 1.0 / n  # of E d^2, beside E m^2 and the synthetic mean's noise
    step[..., 2, 0] = (n - 1.0 + between * apart) / (total - ddof)
    step[..., 2, 1] = between / (total - ddof)
    step[..., 2, 2] = (stretch * np.maximum(k - 1.0, 0.0) + between * noise) / (total - ddof)
    return step


def _power(matrix: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """matrix ** exponent by repeated squaring, shape (..., 3, 3), each with its own whole exponent."""
    left = np.minimum(exponent, 2.0**62).astype(np.int64)  # beyond it every loop is at its limit
    found = np.broadcast_to(np.eye(matrix.shape[-1]), matrix.shape).copy()
    while left.any():
        odd = (left & 1).astype(bool)
        found[odd] = found[odd] @ matrix[odd]
        left >>= 1
        if left.any():
            matrix = matrix @ matrix
    return found


def _accumulate(t: np.ndarray, n: np.ndarray, ddof: int) -> Track:
    """The product of 1 - 1/(n k^2) as gamma functions; the one of the unbiased covariance as a table."""
    from scipy.special import gammaln, zeta

    if ddof:
        return _tabulated(t, n, _unbiased_table)
    base = np.where(n > 1.0, 1.0 / np.sqrt(n), 0.5)  # any value for one row, which has no variance
    near = np.minimum(t, _FAR)
    product = gammaln(near + 1.0 - base) + gammaln(near + 1.0 + base) - 2.0 * gammaln(near + 1.0)
    # of large numbers the differences are nothing but rounding: the logarithm of the factors beyond t as a series
    series = sum(base ** (2 * j) / j * zeta(2.0 * j, np.maximum(t, _FAR) + 1.0) for j in (1, 2, 3, 4))
    product = np.where(t > _FAR, series, product)
    start = gammaln(1.0 - base) + gammaln(1.0 + base)
    variance = np.where(n > 1.0, np.exp(product - start), np.where(t > 0, 0.0, 1.0))
    return Track(1.0 - variance, variance)


def _accumulate_subsample(t: np.ndarray, n: np.ndarray, ddof: int) -> Track:
    return _tabulated(t, n, lambda last, rows: _subsample_table(last, rows, ddof))


def _tabulated(t: np.ndarray, n: np.ndarray, table: Callable[[int, float], Track]) -> Track:
    """Look every element up in the table of its n, for fits 1 to the last one asked for."""
    last = int(t.max(initial=0))
    if last > _MAX_GENERATIONS:
        raise SpecError(f"generation: this law is stepped up to {_MAX_GENERATIONS}, got {last}")
    square, variance = np.zeros(t.shape), np.ones(t.shape)
    for rows in np.unique(n):
        here = (n == rows) & (t > 0)
        found = table(last, float(rows))
        square[here] = found.mean_square[t[here].astype(np.int64) - 1]
        variance[here] = found.variance[t[here].astype(np.int64) - 1]
    return Track(square, variance)


def _unbiased_table(last: int, n: float) -> Track:
    k = np.arange(1.0, last + 1.0)
    factors = 1.0 - 1.0 / (k * np.maximum(k * n - 1.0, 1.0))
    variance = np.cumprod(np.where(k > 1.0, factors, 1.0))
    drift = np.concatenate([[0.0], variance])[:last] / (n * k**2)  # the step from fit k - 1 to fit k
    return Track(1.0 / n + np.cumsum(drift), variance)


def _subsample_table(last: int, n: float, ddof: int) -> Track:
    """Variance U of the pool of kn rows (over kn - 1), squared error of its mean, and what a subset of n adds."""
    f = (n - 1.0) / (n - ddof)
    if n == 1.0:  # no spread is ever fitted, and no second distinct value drawn
        return Track(np.ones(last), np.zeros(last))
    k = np.arange(1.0, last + 1.0)
    apart = f + 1.0 - 1.0 / k  # n / U times E d^2, the squared distance of the next batch's mean from the pool's
    growth = (k - 1.0 / n + (1.0 - 1.0 / n) * f + k / (k + 1.0) * apart / n) / (k + 1.0 - 1.0 / n)
    pool = np.cumprod(np.concatenate([[1.0], growth]))[:last]
    square = np.cumsum(np.concatenate([[1.0 / n], pool * apart / n / (k + 1.0) ** 2]))[:last]
    return Track(square + pool / n * (1.0 - 1.0 / k), f * pool)
