r"""Bootstrap intervals that cost little: counts instead of copied rows, and an interval around the estimate.

A resample of n rows is a vector of counts (how often each row was drawn), so that a statistic is computed
from weights and no row is copied.

Distances such as FID are biased upwards by the sampling noise of both sides, and a resample carries that bias
twice. The interval is therefore $\hat\theta \pm 1.96\,\mathrm{sd}(\theta^*)$: the spread of the resamples around
the estimate, not their percentiles, which may not even contain it. It is an interval for the metric's
expectation at the same numbers of rows, which is what a floor at the same n can be compared with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ouroloop.keys import Key

__all__ = ["Z95", "Estimate", "interval", "ratio", "resample_counts", "share", "wilson"]

Z95 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


class Estimate(NamedTuple):
    """A value and its 95 % interval (NaN where there is none)."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def resample_counts(key: Key | None, n: int, resamples: int) -> np.ndarray:
    """How often each of n rows is drawn in resamples of n rows with replacement, float64 (resamples, n).

    Without a key there are no resamples: shape (0, n).

    >>> counts = resample_counts(Key(0), 5, 2)
    >>> counts.shape, counts.sum(axis=1).tolist()
    ((2, 5), [5.0, 5.0])
    """
    if key is None:
        return np.empty((0, n))
    drawn = key.rng().integers(n, size=(resamples, n)) + n * np.arange(resamples)[:, None]
    return np.bincount(drawn.ravel(), minlength=resamples * n).reshape(resamples, n).astype(np.float64)


def ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """over / under, NaN where `under` is 0, or rounding of the others: nothing is relative to data without spread.

    >>> ratio(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    over, under = np.broadcast_arrays(np.asarray(over, np.float64), under)
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 1e-12 * np.max(under, initial=0.0))


def interval(
    value: float | np.ndarray,
    resampled: np.ndarray,
    lowest: float = -np.inf,
    highest: float = np.inf,
    blocks: int | None = None,
) -> Estimate:
    """The estimate with its interval, cut to the metric's range.

    Args:
        value: the estimate on the rows themselves, one number.
        resampled: the statistic on each resample, shape (resamples,); those without a value (NaN) do not count, and
            with fewer than 2 there is no interval.
        lowest, highest: the range that the metric can take.
        blocks: number of blocks that were resampled instead of rows; a bootstrap over few blocks is too
            narrow by sqrt((blocks - 1) / blocks), which is undone here.
    """
    value, resampled = float(value), resampled[np.isfinite(resampled)]
    if len(resampled) < 2 or not np.isfinite(value):
        return Estimate(value)
    correction = np.sqrt(blocks / (blocks - 1)) if blocks is not None and blocks > 1 else 1.0
    half = Z95 * correction * float(np.std(resampled, ddof=1))
    # Rounding must not push the value out of its own interval.
    return Estimate(value, float(min(value, max(lowest, value - half))), float(max(value, min(highest, value + half))))


def wilson(value: float, n: int) -> tuple[float, float]:
    """The 95 % score interval of a share observed on n rows.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    >>> [round(v, 3) for v in wilson(0.0, 100)]
    [0.0, 0.037]
    """
    if n < 1:
        return 0.0, 1.0
    shrunk = 1 + Z95**2 / n
    centre = (value + Z95**2 / (2 * n)) / shrunk
    half = Z95 / shrunk * np.sqrt(value * (1 - value) / n + Z95**2 / (4 * n**2))
    return float(max(0.0, min(value, centre - half))), float(min(1.0, max(value, centre + half)))


def share(value: float | np.ndarray, resampled: np.ndarray, n: int) -> Estimate:
    """A share of n rows: the union of the bootstrap and the score interval.

    A share of exactly 0 or 1 has resamples without spread; the score interval keeps it honest.
    """
    if len(resampled) < 2:
        return Estimate(float(value))
    _, low, high = interval(value, resampled, 0.0, 1.0)
    score_low, score_high = wilson(float(value), n)
    return Estimate(float(value), min(low, score_low), max(high, score_high))
