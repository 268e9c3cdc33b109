r"""How fast a Gaussian loop with a distorted sampler and the ideal corrector forgets, measured.

Every generation is fitted to n real rows and `synthetic_ratio` n synthetic ones, drawn with $s^2$ times the model's
variance (`sampler_distortion`), of which a share $\gamma/(1+\gamma)$ is replaced by fresh draws of the target. Two
loops with the same random numbers start from variances that differ by half; the factor by which their difference
changes in a generation is the measured rate: below 1 the loop is stable. It is compared with the exact spectral radius
and with the theorem's certificate, whose rate is below 1 exactly where it holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.errors import SpecError
from ouroloop.experiment import Axis
from ouroloop.keys import Key
from ouroloop.theory import stability
from ouroloop.theory.forecast import Forecast

__all__ = ["DistortedLoop"]

_APART = 1e-6  # of the variance: differences below are rounding errors soon
_DERIVED = "derived in docs/theory.md"


@dataclass(frozen=True, kw_only=True)
class DistortedLoop:
    """Stability of a Gaussian loop over the synthetic ratio, at one correction strength.

    Source:
        Gillman et al., arXiv 2402.07087, Theorem 4.3 (certificate); exact threshold derived here.
    """

    values: Annotated[tuple[float, ...], Field(description="synthetic ratios, rising")] = (0.1, 0.3, 1.0, 3.0, 10.0)
    correction_strength: Annotated[float, Field(ge=0, description="of the ideal corrector")] = 0.0
    sampler_distortion: Annotated[float, Field(gt=0, description="s^2, factor of the sampled variance")] = 2.0
    n: Annotated[int, Field(ge=2, description="real rows")] = 5000
    generations: Annotated[int, Field(ge=2, le=200, description="fits after the first")] = 30

    @property
    def axis(self) -> Axis:
        """The synthetic ratios.

        Raises:
            SpecError: one that makes fewer than 2 synthetic rows.
        """
        axis = Axis("synthetic_ratio", self.values)
        if round(axis.values[0] * self.n) < 2:
            raise SpecError(f"values: synthetic_ratio {axis.values[0]:g} makes fewer than 2 rows of {self.n} real ones")
        return axis

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """factor, variance of the last generation, and boundary, float64 (keys, points)."""
        factor, variance, boundary = np.empty((3, len(keys), len(self.axis.values)))
        for row, key in enumerate(keys):
            track = self.variances(key.rng())
            factor[row], variance[row] = _factor(track), track[-1, 0]
            boundary[row] = _crossing(np.array(self.axis.values), factor[row])
            progress.report("seeds", row + 1, len(keys))
        return {"factor": factor, "variance": variance, "boundary": boundary}

    def variances(self, rng: np.random.Generator) -> np.ndarray:
        """Variances of both loops, float64 (generations + 1, 2, points)."""
        n, drawn = self.n, np.round(np.array(self.axis.values) * self.n).astype(np.int64)
        real_mean, real_square = _moments(rng, np.full(len(drawn), n))
        mean = np.stack([real_mean, real_mean])
        variance = (real_square - real_mean**2) * np.array([[1.0], [1.5]])
        track = [variance]
        for _ in range(self.generations):
            fresh = rng.binomial(drawn, self.correction_strength / (1.0 + self.correction_strength))
            fresh_mean, fresh_square = _moments(rng, fresh)
            z_mean, z_square = _moments(rng, drawn - fresh)
            deviation = np.sqrt(self.sampler_distortion * variance)
            own_mean = mean + deviation * z_mean
            own_square = mean**2 + 2.0 * mean * deviation * z_mean + deviation**2 * z_square
            total = n + drawn
            mean = (n * real_mean + fresh * fresh_mean + (drawn - fresh) * own_mean) / total
            square = (n * real_square + fresh * fresh_square + (drawn - fresh) * own_square) / total
            variance = square - mean**2
            track.append(variance)
        return np.stack(track)

    def forecasts(self) -> list[Forecast]:
        """The exact factor, the certificate's rate, the limit of the variance, and the threshold."""
        ratio, strength, stretch = np.array(self.axis.values), self.correction_strength, self.sampler_distortion
        radius = stability.spectral_radius(ratio, strength, stretch)
        rate = stability.certificate(ratio, strength).rate
        limit = stability.distorted_variance_limit(stretch, ratio, strength)
        spare = stretch - 1.0 - strength
        threshold = np.full(len(ratio), (1.0 + strength) / spare if spare > 0.0 else np.inf)
        theorem = "Gillman et al., arXiv 2402.07087, Theorem 4.3; for strength 0 Bertrand et al., arXiv 2310.00429"
        bound = "sufficient bound" if stretch <= 1.0 else "heuristic"  # of a faithful sampler, or one that shrinks
        return [
            _law("factor", "spectral radius", _DERIVED, "asymptotic", "many rows", radius),
            _law("factor", "certificate", theorem, bound, "stable where below 1; faithful sampler", rate),
            _law("variance", "limit", _DERIVED, "asymptotic", "many rows and generations", limit),
            _law("boundary", "exact threshold", _DERIVED, "asymptotic", "many rows", threshold),
        ]


def _law(metric: str, label: str, source: str, validity: str, note: str, values: object) -> Forecast:
    texts: dict[str, Any] = {"label": label, "source": source, "validity": validity, "note": note, "units": ""}
    return Forecast(metric=metric, values=np.asarray(values, np.float64), **texts)


def _moments(rng: np.random.Generator, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and mean square of so many standard normal rows; 0 of none."""
    some = np.maximum(count, 1)
    mean = np.where(count > 0, rng.standard_normal(len(count)) / np.sqrt(some), 0.0)
    spread = np.where(count > 1, 2.0 * rng.standard_gamma(np.maximum(some - 1, 1) / 2.0), 0.0)
    return mean, mean**2 + spread / some


def _factor(track: np.ndarray) -> np.ndarray:
    """Geometric mean of the difference's change a generation, while it is not a rounding error, float64 (points,)."""
    apart = np.abs(track[:, 1] - track[:, 0])
    usable = np.logical_and.accumulate(apart > _APART * track[:, 0], axis=0)
    last = np.maximum(usable.sum(axis=0) - 1, 1)
    end = np.take_along_axis(apart, last[None], axis=0)[0]
    return np.exp(np.log(np.maximum(end, 1e-300) / apart[0]) / last)


def _crossing(ratio: np.ndarray, factor: np.ndarray) -> float:
    """Where the factor first passes 1, interpolated in ratio/(1 + ratio), in which it is linear; NaN where never."""
    above = np.flatnonzero(factor >= 1.0)
    if not len(above) or above[0] == 0:
        return float("nan")
    share, right = ratio / (1.0 + ratio), above[0]
    weight = (1.0 - factor[right - 1]) / (factor[right] - factor[right - 1])
    crossing = share[right - 1] + weight * (share[right] - share[right - 1])
    return float(crossing / (1.0 - crossing))
