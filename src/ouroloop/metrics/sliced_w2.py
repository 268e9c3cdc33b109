r"""Sliced 2-Wasserstein distance: the average over directions of one-dimensional optimal transport.

$$ SW_2 = \Big(\frac1P \sum_p W_2^2(\theta_p \cdot X, \theta_p \cdot Y)\Big)^{1/2} $$
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval, resample_counts
from ouroloop.metrics.spaces import FEATURES, Rows

__all__ = ["SlicedW2", "random_directions", "sliced_w2"]

_LEVELS = 128  # quantile levels of a resample
_SPREAD_DIRECTIONS = 64  # directions that the bootstrap uses


def random_directions(dim: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """Unit vectors, uniform on the sphere, shape (dim, count); in one dimension the one direction there is."""
    if dim == 1:
        return np.ones((1, 1))
    drawn = rng.standard_normal((dim, count))
    return drawn / np.linalg.norm(drawn, axis=0)


def sliced_w2(*, real: np.ndarray, generated: np.ndarray, directions: np.ndarray) -> float:
    """Sliced W2 between two sets of rows, exact in every direction, also for different numbers of rows.

    Args:
        real: shape (m, d).
        generated: shape (n, d).
        directions: unit vectors, shape (d, P).

    Source: Bonneel et al., J. Math. Imaging Vis. 51 (2015) 22.

    >>> sliced_w2(real=np.zeros((3, 1)), generated=np.full((5, 1), 2.0), directions=np.ones((1, 1)))
    2.0
    """
    return float(np.sqrt(_between(_sorted_lines(real @ directions), _sorted_lines(generated @ directions)).mean()))


def _sorted_lines(projected: np.ndarray) -> np.ndarray:
    """Projections (n, P) sorted along each direction, (P, n)."""
    return np.sort(projected.T, axis=1)


def _between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared W2 along each direction between sorted lines (P, m) and (P, n), float64 (P,)."""
    m, n = a.shape[1], b.shape[1]
    if m == n:
        return np.square(a - b).mean(axis=1)
    # Where either quantile function jumps, in units of 1 / (m n), so that positions are exact integers.
    cuts = np.union1d(np.arange(m + 1) * n, np.arange(n + 1) * m)
    left = cuts[:-1]
    return np.square(a[:, left // n] - b[:, left // m]) @ (np.diff(cuts) / (m * n))


class _State(NamedTuple):
    directions: np.ndarray  # (d, P)
    real: np.ndarray  # (P, m), sorted
    resampled: np.ndarray  # (b, p, levels): quantiles of resamples of the real rows


@dataclass(frozen=True, kw_only=True)
class SlicedW2(RowMetric):
    """Sliced W2 in the units of the data ('sliced_w2'), along directions that are fixed when it is fitted.

    The interval comes from 128 quantiles of each resample along at most 64 of the directions.
    """

    features: Annotated[str | dict[str, Any], Field(description=FEATURES)] = "identity"
    directions: Annotated[int, Field(ge=1, description="number of random directions")] = 128

    few: ClassVar[int] = 50

    def _prepare(self, real: Real, key: Key) -> _State:
        directions = random_directions(real.rows.x.shape[1], self.directions, key.child("directions").rng())
        projected = real.rows.x @ directions
        resampled = _quantiles(projected, key.child("bootstrap"), self.resamples)
        return _State(directions, _sorted_lines(projected), resampled)

    def _estimate(self, state: _State, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        projected = rows.x @ state.directions
        value = np.sqrt(_between(state.real, _sorted_lines(projected)).mean())
        own = _quantiles(projected, key, self.resamples)
        b = min(len(own), len(state.resampled))
        resampled = np.sqrt(np.square(own[:b] - state.resampled[:b]).mean(axis=(1, 2)))
        return {"sliced_w2": interval(value, resampled, 0.0)}


def _quantiles(projected: np.ndarray, key: Key | None, resamples: int) -> np.ndarray:
    """Quantiles of resamples of rows projected to (n, P), float64 (resamples, p, levels).

    Whole rows are resampled, so that the lines stay dependent as they are. Each line is sorted once; a
    resample of it is then sorted by repeating every entry as often as its row was drawn.
    """
    columns = projected[:, :_SPREAD_DIRECTIONS].T
    lines, n = columns.shape
    counts = resample_counts(key, n, resamples).astype(np.int64)
    result = np.empty((len(counts), lines, _LEVELS))
    if len(counts) == 0:
        return result
    order = np.argsort(columns, axis=1, kind="stable")
    values = np.take_along_axis(columns, order, axis=1).ravel()
    levels = ((np.arange(_LEVELS) + 0.5) / _LEVELS * n).astype(np.int64)
    for b, count in enumerate(counts):
        drawn = np.repeat(np.arange(lines * n), count[order].ravel()).reshape(lines, n)
        result[b] = values[drawn[:, levels]]
    return result
