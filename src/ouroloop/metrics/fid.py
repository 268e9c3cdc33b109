r"""Fréchet distance between features. It is the published "FID" only with Inception features.

$$ d^2 = |\mu_r - \mu_g|^2 + \mathrm{tr}\,(C_r + C_g - 2 (C_r C_g)^{1/2}) $$

The number depends on the extractor and on n, so both are reported with it; it does not transfer between
extractors, and at small n it is mostly bias (compare with the floor).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric, choose_rows
from ouroloop.metrics.bootstrap import Estimate, interval, wilson
from ouroloop.metrics.frechet import FrechetTo, frechet_squared, moments, resampled_moments
from ouroloop.metrics.spaces import Rows
from ouroloop.protocols import Measurement

__all__ = ["Fid", "frechet_distance"]


def frechet_distance(*, real: np.ndarray, generated: np.ndarray) -> float:
    """Squared Fréchet distance between Gaussians fitted to feature rows (m, d) and (n, d), as FID is defined.

    Fewer rows than features are no problem numerically; the value is then mostly bias.

    Source: Heusel et al., arXiv 1706.08500, Eq. 6; SCSC (arXiv 2402.07087) with LeNet features.
    """
    a, b = moments(real), moments(generated)
    return float(
        frechet_squared(
            real_mean=a.mean,
            real_covariance=a.covariance,
            generated_mean=b.mean,
            generated_covariance=b.covariance,
        )
    )


@dataclass(frozen=True, kw_only=True)
class Fid(RowMetric):
    """Fréchet distance between features of generated and of real rows.

    'fid', for further numbers of rows 'fid_n100', ..., and the classifier's accuracy on real rows that it has not
    seen, 'feature_accuracy'.
    """

    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        50_000
    )
    also_n: Annotated[
        tuple[Annotated[int, Field(ge=2)], ...],
        Field(description="also measure on one subset of so many generated rows, each class keeping its share"),
    ] = ()

    def _prepare(self, real: Real, key: Key) -> FrechetTo:
        resampled, _ = resampled_moments(real.rows.x, key.child("bootstrap"), self.resamples)
        return FrechetTo(*moments(real.rows.x), resampled)

    def _estimate(self, state: FrechetTo, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        resampled, count = resampled_moments(rows.x, key, self.resamples)
        value = state.squared(moments(rows.x))
        return {"fid": interval(value, state.squared_resampled(resampled), 0.0, blocks=count)}

    def _measure_rows(self, rows: Rows, key: Key) -> list[Measurement]:
        found = super()._measure_rows(rows, key)
        for n in self.also_n:
            if n > len(rows):
                self._ready.notes.add(f"fid_n{n} needs {n} generated rows and is left out; raise evaluation.n")
                continue
            chosen = choose_rows(len(rows), n, key.child("subset", n).rng(), rows.given)
            (m,) = super()._measure_rows(rows.take(chosen), key.child("subset", n))
            found.append(Measurement(f"fid_n{n}", m.value, m.low, m.high, m.floor, n))
        accuracy = self._ready.space.accuracy
        if accuracy is not None:
            value, n = accuracy
            low, high = wilson(value, n)
            found.append(Measurement("feature_accuracy", value, low, high, n=n))
        return found
