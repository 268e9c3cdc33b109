"""Memorisation: are generated rows nearer to the training rows than unseen real rows are?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.keys import Key
from ouroloop.metrics.base import Floor, Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval, ratio, resample_counts, share
from ouroloop.metrics.distances import nearest
from ouroloop.metrics.spaces import FEATURES, Rows

__all__ = ["NearestReal", "nearest_distance"]


def nearest_distance(*, real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Distance of every generated row (n, d) to the nearest real training row (m, d), float64 (n,).

    >>> nearest_distance(real=np.array([[0.0], [4.0]]), generated=np.array([[1.0], [4.0]])).tolist()
    [1.0, 0.0]
    """
    return np.sqrt(nearest(generated, real))


class _State(NamedTuple):
    train: np.ndarray
    unseen: np.ndarray  # sorted distances of unseen real rows to the training rows
    means: np.ndarray  # (1 + b,): of the unseen rows, then of their resamples
    thresholds: np.ndarray  # (1 + b,): their quantiles


@dataclass(frozen=True, kw_only=True)
class NearestReal(RowMetric):
    """Distance to the nearest training row.

    'nearest_real' is its mean over that of held-out rows: 1 is as new as unseen real data, 0 copies, above 1 off
    the data. 'near_duplicates' is the share of generated rows at least as near to a training row as the nearest
    one per cent (`quantile`) of held-out rows: about `quantile` for new rows, 1 for copies.

    Without held-out rows a training row's distance to the nearest other training row takes their place. Where held-out
    rows are copies of training rows themselves, 'nearest_real' has no unit to be measured in and is NaN.
    """

    features: Annotated[str | dict[str, Any], Field(description=FEATURES)] = "identity"
    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        2_000
    )
    quantile: Annotated[
        float, Field(gt=0, lt=1, description="share of unseen real rows that count as near duplicates")
    ] = 0.01

    few: ClassVar[int] = 50

    def _prepare(self, real: Real, key: Key) -> _State:
        train = real.train().x
        # A training row is its own nearest neighbour, so there the second nearest counts.
        unseen = np.sort(np.sqrt(nearest(real.rows.x, train, 1 if real.held_out else 2)))
        m = len(unseen)
        counts = resample_counts(key.child("bootstrap"), m, self.resamples)
        weights = np.concatenate([np.ones((1, m)), counts])
        rank = (np.cumsum(weights, axis=1) < self.quantile * m).sum(axis=1)
        return _State(train, unseen, weights @ unseen / m, unseen[rank])

    def _estimate(self, state: _State, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        n = len(rows)
        distance = nearest_distance(real=state.train, generated=rows.x)
        weights = np.concatenate([np.ones((1, n)), resample_counts(key, n, self.resamples)])
        b = len(weights)
        ratios = ratio(weights @ distance / n, state.means[:b])
        near = (weights * (distance <= state.thresholds[:b, None])).sum(axis=1) / n
        return {
            "nearest_real": interval(ratios[0], ratios[1:], 0.0),
            "near_duplicates": share(near[0], near[1:], n),
        }

    def floors(self, n: int, *, by_label: bool = False) -> dict[str, Floor]:
        """What unseen real rows score, which is what the values are relative to; `n` does not matter."""
        state: _State = self._ready.state
        unseen = state.unseen
        near = float((unseen <= state.thresholds[0]).mean())
        return {"nearest_real": Floor(1.0, 0.0, len(unseen)), "near_duplicates": Floor(near, 0.0, len(unseen))}
