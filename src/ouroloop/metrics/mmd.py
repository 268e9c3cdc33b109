r"""Maximum mean discrepancy with Gaussian kernels of several widths, unbiased.

$$ \mathrm{MMD}^2 = E\,k(x, x') + E\,k(y, y') - 2 E\,k(x, y), \qquad
   k(a, b) = \frac1B \sum_b \exp\Big(-\frac{|a - b|^2}{2 \sigma_b^2}\Big) $$
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
from ouroloop.metrics.pairs import Kernel, PairStatistic, pair_estimate, pair_statistic
from ouroloop.metrics.spaces import FEATURES, Rows

__all__ = ["Mmd", "gaussian_kernel", "median_distance", "mmd2"]

_MEDIAN_ROWS = 1000


def median_distance(x: np.ndarray) -> float:
    """Median distance between rows (n, d), of the first 1,000 of them; 1 where all rows are alike."""
    x = x[:_MEDIAN_ROWS]
    upper = np.triu_indices(len(x), 1)
    return float(np.sqrt(np.median(squared_distances(x, x)[upper]))) or 1.0


def gaussian_kernel(bandwidth: float, octaves: int) -> Kernel:
    """Mean of Gaussian kernels of widths bandwidth * 2^i for i = -octaves..octaves.

    Each width is half of the one before, so its kernel is the fourth power of that one's: one exponential is
    enough for all of them.
    """

    def kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        power = squared_distances(a, b)
        power *= -0.5 / (bandwidth * 2.0**octaves) ** 2
        np.exp(power, out=power)
        total = power.copy()
        for _ in range(2 * octaves):
            np.square(power, out=power)
            np.square(power, out=power)
            total += power
        return total / (2 * octaves + 1)

    return kernel


def mmd2(*, real: np.ndarray, generated: np.ndarray, bandwidth: float, octaves: int = 0) -> float:
    """Unbiased squared MMD between rows (m, d) and (n, d); its mean is 0 (and it may be negative) for equal laws.

    Args:
        real, generated: rows.
        bandwidth: sigma of the middle kernel, in the units of the data.
        octaves: 0 for one kernel, 1 for three (half, one and two times the bandwidth), and so on.

    Source: Gretton et al., J. Mach. Learn. Res. 13 (2012) 723, Eq. 3.
    """
    statistic = PairStatistic(gaussian_kernel(bandwidth, octaves), real, np.ones((1, len(real))))
    return float(statistic(generated, np.ones((1, len(generated))))[0])


@dataclass(frozen=True, kw_only=True)
class Mmd(RowMetric):
    """Unbiased squared MMD ('mmd', between 0 and 2; may be slightly negative for equal laws).

    Unless it is given, the middle bandwidth is the median distance between real rows (median heuristic).
    """

    features: Annotated[str | dict[str, Any], Field(description=FEATURES)] = "identity"
    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        2_000
    )
    bandwidth: Annotated[
        float | None, Field(gt=0, description="sigma of the middle kernel; null is the median real distance")
    ] = None
    octaves: Annotated[
        int, Field(ge=0, le=6, description="also average over kernels up to this many doublings wider and narrower")
    ] = 1

    few: ClassVar[int] = 50

    def _prepare(self, real: Real, key: Key) -> PairStatistic:
        bandwidth = self.bandwidth or median_distance(real.rows.x)
        return pair_statistic(gaussian_kernel(bandwidth, self.octaves), real.rows.x, key, self.resamples)

    def _estimate(self, state: PairStatistic, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        return {"mmd": pair_estimate(state, rows.x, key, self.resamples)}
