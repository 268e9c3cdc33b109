r"""How varied the generated rows are among themselves, without asking whether they are right.

* pairwise distance: mean distance between two generated rows in feature space (SCSC's "diversity")
* diversity: the same over that of real rows; 1 is as varied as real data, 0 a single point
* within-class variance: variance around the class means, over that of real rows; it falls when a model keeps
  its classes but forgets their variety
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval, ratio, resample_counts
from ouroloop.metrics.distances import squared_distances
from ouroloop.metrics.pairs import mean_within
from ouroloop.metrics.spaces import Rows

__all__ = ["Diversity", "pairwise_distance", "within_class_variance"]


def pairwise_distance(x: np.ndarray) -> float:
    """Mean Euclidean distance between two distinct rows (n, d), over all pairs.

    Source: the mean over all pairs of what SCSC (arXiv 2402.07087) estimates from 50 random pairs.

    >>> pairwise_distance(np.array([[0.0], [1.0], [2.0]]))
    1.3333333333333333
    """
    return float(mean_within(_distance, x, np.ones((1, len(x))))[0])


def within_class_variance(x: np.ndarray, label: np.ndarray | None = None) -> float:
    """Variance of rows (n, d) around the means of their classes (n,), summed over features; unbiased.

    >>> within_class_variance(np.array([[0.0], [2.0], [10.0], [12.0]]), np.array([0, 0, 1, 1]))
    2.0
    """
    return float(_within_class(x, label, np.ones((1, len(x))))[0])


def _distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distance = squared_distances(a, b)
    return np.sqrt(distance, out=distance)


def _within_class(x: np.ndarray, label: np.ndarray | None, weights: np.ndarray) -> np.ndarray:
    """The variance for each weighting (w, n), float64 (w,)."""
    squares, freedom = np.zeros(len(weights)), np.zeros(len(weights))
    groups = [np.arange(len(x))] if label is None else [np.flatnonzero(label == c) for c in np.unique(label)]
    for rows in groups:
        centred, w = x[rows] - x[rows].mean(axis=0), weights[:, rows]
        total, sums = w.sum(axis=1), w @ centred
        squares += w @ np.einsum("ij,ij->i", centred, centred)
        squares -= np.einsum("wd,wd->w", sums, sums) / np.maximum(total, 1.0)
        freedom += np.maximum(total - 1.0, 0.0)
    return np.maximum(squares, 0.0) / np.maximum(freedom, 1.0)


class _State(NamedTuple):
    distance: np.ndarray  # (1 + b,): of the real rows, then of their resamples
    variance: np.ndarray  # (1 + b,)


@dataclass(frozen=True, kw_only=True)
class Diversity(RowMetric):
    """'pairwise_distance' (units of the features), 'diversity' and 'within_class_variance' (1 is real data).

    Classes are those that the space's classifier sees, else the column 'label', else there is one class. Relative to
    real rows that are all alike nothing is measured (NaN).
    """

    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        2_000
    )

    def _prepare(self, real: Real, key: Key) -> _State:
        counts = resample_counts(key.child("bootstrap"), len(real.rows), self.resamples)
        return _both(real.rows, counts)

    def _estimate(self, state: _State, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        own = _both(rows, resample_counts(key, len(rows), self.resamples))
        b = len(own.distance)
        relative, variance = ratio(own.distance, state.distance[:b]), ratio(own.variance, state.variance[:b])
        return {
            "diversity": interval(relative[0], relative[1:], 0.0),
            "pairwise_distance": interval(own.distance[0], own.distance[1:], 0.0),
            "within_class_variance": interval(variance[0], variance[1:], 0.0),
        }


def _both(rows: Rows, counts: np.ndarray) -> _State:
    weights = np.concatenate([np.ones((1, len(rows))), counts])
    return _State(mean_within(_distance, rows.x, weights), _within_class(rows.x, rows.label, weights))
