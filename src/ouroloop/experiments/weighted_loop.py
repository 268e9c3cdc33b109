r"""A Gaussian refitted on fresh real rows of weight w and on its own samples of weight 1 - w.

Every generation's mean and variance are $w$ times those of n fresh real rows and $1-w$ times those of
`synthetic_ratio` n rows drawn from the last model. Coordinates of N(0, I) do not depend on one another, and each one's
estimates are a loop of their own, so that scalar sufficient statistics are all there is to draw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.errors import SpecError
from ouroloop.experiment import Axis
from ouroloop.experiments.sweeps import forecast_over, settings, swept
from ouroloop.keys import Key
from ouroloop.theory import risk
from ouroloop.theory.forecast import Forecast
from ouroloop.theory.rows import drawn

__all__ = ["WeightedLoop"]

_SOURCE = "arXiv 2502.18049 (weighted fresh data); derived in docs/theory.md"


@dataclass(frozen=True, kw_only=True)
class WeightedLoop:
    """Long-run error of a Gaussian's mean over the weight that fresh real rows are given.

    Source:
        arXiv 2502.18049: the golden ratio for as many synthetic as real rows.
    """

    values: Annotated[tuple[float, ...], Field(description="weights of the real rows, rising")] = (0.1, 0.5, 0.9)
    real_weight: Annotated[float, Field(ge=0, le=1, description="weight of the real rows; swept over `values`")] = 0.5
    synthetic_ratio: Annotated[float, Field(gt=0, description="synthetic per real row")] = 1.0
    drawn_from: Annotated[
        Literal["model", "real"],
        Field(description="where the other rows are from: the last fit, or the data (control)"),
    ] = "model"
    n: Annotated[int, Field(ge=2, description="fresh real rows a generation")] = 100
    dimension: Annotated[int, Field(ge=1, description="d, coordinates")] = 2
    generations: Annotated[int, Field(ge=1, le=10_000, description="fits after the first")] = 50
    replicas: Annotated[int, Field(ge=1, description="loops that a seed's value is the mean of")] = 100

    @property
    def axis(self) -> Axis:
        """The weights.

        Raises:
            SpecError: a ratio that makes fewer than 2 synthetic rows.
        """
        if self.drawn < 2:
            raise SpecError(f"synthetic_ratio: must make 2 rows of n = {self.n} or more, got {self.synthetic_ratio:g}")
        return swept(self, "real_weight", self.values)

    @property
    def drawn(self) -> int:
        """Synthetic rows of a generation."""
        return drawn(self.synthetic_ratio, self.n)

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """mean_squared_error, summed over coordinates, and risk, its multiple of real data alone; (keys, points)."""
        weights, errors = np.array(self.axis.values), []
        for done, key in enumerate(keys):
            errors.append(self.dimension * self._squares(key.rng(), weights))
            progress.report("seeds", done + 1, len(keys))
        error = np.stack(errors)
        return {"mean_squared_error": error, "risk": error * (self.n / self.dimension)}

    def _squares(self, rng: np.random.Generator, weights: np.ndarray) -> np.ndarray:
        """Mean square of the last generation's means, float64 (points,)."""
        w, shape = weights[:, None], (len(weights), self.replicas * self.dimension)
        mean, variance = _estimates(rng, shape, self.n)
        for _ in range(self.generations):
            real_mean, real_variance = _estimates(rng, shape, self.n)
            own_mean, own_variance = _estimates(rng, shape, self.drawn)
            if self.drawn_from == "model":
                own_mean, own_variance = mean + np.sqrt(variance) * own_mean, variance * own_variance
            mean = w * real_mean + (1.0 - w) * own_mean
            variance = w * real_variance + (1.0 - w) * own_variance
        return np.square(mean).mean(axis=1)

    def forecasts(self) -> list[Forecast]:
        """The law, as a squared error and as a multiple of that of the real rows; its note has the best weight."""
        points = settings(self, self.axis)
        best = risk.golden_weight(self.drawn / self.n)
        note = f"least at a weight of {best:.4g}; unbiased variance, whose mean is that of the data"
        texts = {"label": "law", "source": _SOURCE, "validity": "exact", "note": note}
        unit = self.dimension / self.n
        return [
            forecast_over(points, lambda point: unit * point.law(), metric="mean_squared_error", **texts),
            forecast_over(points, WeightedLoop.law, metric="risk", **texts),
        ]

    def law(self) -> float:
        """The last generation's risk over that of n real rows."""
        if self.drawn_from == "real":
            return self.real_weight**2 + (1.0 - self.real_weight) ** 2 * self.n / self.drawn
        return float(risk.fresh_real_weighted(self.generations, self.real_weight, self.drawn / self.n)[-1])


def _estimates(rng: np.random.Generator, shape: tuple[int, ...], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and unbiased variances of so many standard normal rows."""
    return rng.standard_normal(shape) / np.sqrt(rows), rng.chisquare(rows - 1, shape) / (rows - 1)
