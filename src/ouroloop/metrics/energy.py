r"""Energy distance: like MMD, but without a bandwidth to choose.

$$ \mathcal{E} = 2 E|x - y| - E|x - x'| - E|y - y'| $$
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate
from ouroloop.metrics.distances import squared_distances
from ouroloop.metrics.pairs import PairStatistic, pair_estimate, pair_statistic
from ouroloop.metrics.spaces import FEATURES, Rows

__all__ = ["Energy", "energy_distance"]


def energy_distance(*, real: np.ndarray, generated: np.ndarray) -> float:
    """Unbiased energy distance between rows (m, d) and (n, d), in the units of the data.

    It is 0 on average for equal laws, and then negative half of the time. In one dimension it is the square of
    `scipy.stats.energy_distance`, apart from the bias.

    Source: Szekely and Rizzo, J. Stat. Plan. Inference 143 (2013) 1249.
    """
    statistic = PairStatistic(_negative_distance, real, np.ones((1, len(real))))
    return float(statistic(generated, np.ones((1, len(generated))))[0])


def _negative_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    distance = squared_distances(a, b)
    np.sqrt(distance, out=distance)
    return np.negative(distance, out=distance)


@dataclass(frozen=True, kw_only=True)
class Energy(RowMetric):
    """Unbiased energy distance ('energy'), in the units of the data."""

    features: Annotated[str | dict[str, Any], Field(description=FEATURES)] = "identity"
    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        2_000
    )

    few: ClassVar[int] = 50

    def _prepare(self, real: Real, key: Key) -> PairStatistic:
        return pair_statistic(_negative_distance, real.rows.x, key, self.resamples)

    def _estimate(self, state: PairStatistic, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        return {"energy": pair_estimate(state, rows.x, key, self.resamples)}
