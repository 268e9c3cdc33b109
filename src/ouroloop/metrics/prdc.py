r"""Precision, recall, density and coverage: fidelity and diversity apart, from k-nearest-neighbour balls.

A ball around a row reaches to its k-th nearest neighbour of the same table.

* precision: share of generated rows inside some real row's ball (fidelity)
* recall: share of real rows inside some generated row's ball (diversity)
* density: mean number of real balls that a generated row is in, over k (fidelity, may exceed 1)
* coverage: share of real rows whose ball holds a generated row (diversity, robust to outliers)

Source: Kynkaanniemi et al., arXiv 1904.06991; Naeem et al., arXiv 2002.09797, Eqs. 3 to 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval, resample_counts, share
from ouroloop.metrics.distances import blocks, nearest, squared_distances
from ouroloop.metrics.spaces import Rows

__all__ = ["Prdc", "precision_recall_density_coverage"]


def precision_recall_density_coverage(*, real: np.ndarray, generated: np.ndarray, k: int = 5) -> dict[str, float]:
    """Precision, recall, density and coverage of generated rows (n, d) against real rows (m, d).

    >>> rows = np.arange(20.0)[:, None]
    >>> precision_recall_density_coverage(real=rows, generated=rows[:10], k=2)["precision"]
    1.0
    """
    _check_k(k, len(real), len(generated))
    none = np.empty((0, len(real))), np.empty((0, len(generated)))
    balls = nearest(real, real, k, same=True)
    return {name: float(values[0]) for name, values in _all_four(real, balls, generated, k, *none).items()}


def _check_k(k: int, m: int, n: int) -> None:
    if min(m, n) <= k:
        raise DataError(
            f"prdc: the {k}-th nearest neighbour needs more than {k} rows on either side, got {m} real and {n} "
            "generated; measure more rows or lower k"
        )


def _all_four(
    real: np.ndarray,
    real_balls: np.ndarray,
    generated: np.ndarray,
    k: int,
    real_counts: np.ndarray,
    counts: np.ndarray,
) -> dict[str, np.ndarray]:
    """The four numbers, first with every row once and then for resamples, each (1 + b,).

    A resample counts rows that are judged and drops balls whose row was not drawn; it keeps their sizes.

    Args:
        real_balls: squared radii of the real balls, shape (m,).
        real_counts, counts: how often rows were drawn, (b, m) and (b, n).
    """
    m, n = len(real), len(generated)
    v = np.concatenate([np.ones((1, m)), real_counts]).astype(np.float32)
    w = np.concatenate([np.ones((1, n)), counts]).astype(np.float32)
    generated_balls = nearest(generated, generated, k, same=True)
    hits = np.zeros((len(v), n), np.float32)  # drawn real balls that a generated row is in
    recall, coverage = np.zeros(len(v)), np.zeros(len(v))
    for rows in blocks(m, n):
        distance = squared_distances(real[rows], generated)
        in_real = (distance < real_balls[rows, None]).astype(np.float32)
        in_generated = (distance < generated_balls).astype(np.float32)
        hits += v[:, rows] @ in_real
        recall += (v[:, rows] * (w @ in_generated.T > 0)).sum(axis=1)
        coverage += (v[:, rows] * (w @ in_real.T > 0)).sum(axis=1)
    return {
        "precision": (w * (hits > 0)).sum(axis=1, dtype=np.float64) / n,
        "recall": recall / m,
        "density": (w * hits).sum(axis=1, dtype=np.float64) / (k * n),
        "coverage": coverage / m,
    }


class _State(NamedTuple):
    real: np.ndarray
    balls: np.ndarray
    counts: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Prdc(RowMetric):
    """Fidelity ('precision', 'density') and diversity ('recall', 'coverage') of generated rows, each apart."""

    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        5_000
    )
    k: Annotated[int, Field(ge=1, description="which nearest neighbour a ball reaches to")] = 5

    few: ClassVar[int] = 200

    def _prepare(self, real: Real, key: Key) -> _State:
        _check_k(self.k, len(real.rows), self.k + 1)
        counts = resample_counts(key.child("bootstrap"), len(real.rows), self.resamples)
        return _State(real.rows.x, nearest(real.rows.x, real.rows.x, self.k, same=True), counts)

    def _estimate(self, state: _State, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        m, n = len(state.real), len(rows)
        _check_k(self.k, m, n)
        counts = resample_counts(key, n, self.resamples)
        values = _all_four(state.real, state.balls, rows.x, self.k, state.counts[: len(counts)], counts)
        return {
            "precision": share(values["precision"][0], values["precision"][1:], n),
            "recall": share(values["recall"][0], values["recall"][1:], m),
            "density": interval(values["density"][0], values["density"][1:], 0.0),
            "coverage": share(values["coverage"][0], values["coverage"][1:], m),
        }
