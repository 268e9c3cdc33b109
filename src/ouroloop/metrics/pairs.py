"""Unbiased statistics of pairs of rows (MMD, energy distance, KID), with their bootstrap from the same kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ouroloop.keys import Key
from ouroloop.metrics.bootstrap import Estimate, interval, resample_counts
from ouroloop.metrics.distances import blocks

__all__ = ["Kernel", "PairStatistic", "mean_within", "pair_estimate", "pair_statistic"]

Kernel = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""k(a, b): rows (n, d) and (m, d) to a block (n, m) that the caller may write to."""


@dataclass(frozen=True, eq=False)
class PairStatistic:
    r"""$\theta = E\,k(x, x') + E\,k(y, y') - 2 E\,k(x, y)$ over distinct rows, for many weightings at once.

    It is unbiased (a U-statistic) for unit weights. The real side is summed once, at construction.

    Args:
        kernel: k.
        real: rows y, shape (m, d).
        weights: one weighting of the real rows a line, shape (w, m).

    Source: Gretton et al., J. Mach. Learn. Res. 13 (2012) 723, Eq. 3; with k(a, b) = -|a - b| it is the
    energy distance of Szekely and Rizzo, J. Stat. Plan. Inference 143 (2013) 1249, Eq. 6.1, without its diagonal.
    """

    kernel: Kernel
    real: np.ndarray
    weights: np.ndarray

    def __post_init__(self) -> None:
        object.__setattr__(self, "_within_real", mean_within(self.kernel, self.real, self.weights))

    def __call__(self, generated: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The statistic, float64 (w,).

        Args:
            generated: rows x, shape (n, d).
            weights: weightings of these rows, shape (w, n), line i going with line i of the real ones.
        """
        lines = len(weights)
        across = _across(self.kernel, generated, self.real, weights, self.weights[:lines])
        within_real: np.ndarray = self._within_real  # type: ignore[attr-defined]
        return mean_within(self.kernel, generated, weights) + within_real[:lines] - 2.0 * across


def mean_within(kernel: Kernel, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean of k over ordered pairs of distinct rows (n, d), one for each weighting (w, n)."""
    total = np.zeros(len(weights))
    for rows in blocks(len(x), len(x)):
        block = kernel(x[rows], x)
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = 0.0
        total += np.einsum("wj,wj->w", weights[:, rows] @ block, weights)
    sums = weights.sum(axis=1)
    pairs = sums**2 - np.einsum("wi,wi->w", weights, weights)
    return total / np.maximum(pairs, 1.0)  # a resample of one row alone has no pairs


def _across(kernel: Kernel, x: np.ndarray, y: np.ndarray, wx: np.ndarray, wy: np.ndarray) -> np.ndarray:
    """Weighted mean of k over pairs of a row of x and a row of y."""
    total = np.zeros(len(wx))
    for rows in blocks(len(x), len(y)):
        total += np.einsum("wj,wj->w", wx[:, rows] @ kernel(x[rows], y), wy)
    return total / (wx.sum(axis=1) * wy.sum(axis=1))


def pair_statistic(kernel: Kernel, real: np.ndarray, key: Key, resamples: int) -> PairStatistic:
    """The real side with unit weights first and then those of its resamples."""
    counts = resample_counts(key.child("bootstrap"), len(real), resamples)
    return PairStatistic(kernel, real, np.concatenate([np.ones((1, len(real))), counts]))


def pair_estimate(state: PairStatistic, generated: np.ndarray, key: Key | None, resamples: int) -> Estimate:
    """The statistic of generated rows with its interval."""
    counts = resample_counts(key, len(generated), resamples)
    values = state(generated, np.concatenate([np.ones((1, len(generated))), counts]))
    return interval(values[0], values[1:])
