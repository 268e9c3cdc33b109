r"""Total variation distance of kernel density estimates from the truth, when they feed on one another's samples.

The truth is a standard normal distribution in 1 or 2 dimensions, the model a Gaussian kernel estimate with bandwidth
$(4/((d+2)N))^{1/(4+d)}$, a function of the rows' number alone, as in the theory. Densities are compared on a grid
(2,000 cells, or 160 x 160), where an estimate is a histogram convolved with its kernel: sampling noise alone remains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.experiment import Axis
from ouroloop.keys import Key
from ouroloop.theory import tv
from ouroloop.theory.forecast import Forecast

__all__ = ["KernelLoop", "KernelMixture", "distance", "sampled"]

_FU = "Fu et al., arXiv 2402.11778; recursion derived in docs/theory.md"
_REACH = 6.0  # the grid's ends, standard deviations of the truth
_CELLS = {1: 2_000, 2: 160}


def bandwidth(x: np.ndarray) -> float:
    """Silverman's, for rows float64 (n, d) of unit variance."""
    n, d = x.shape
    return (4.0 / ((d + 2.0) * n)) ** (1.0 / (d + 4.0))


def sampled(x: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """n draws of the estimate on these rows, float64 (n, d)."""
    return x[rng.integers(0, len(x), n)] + bandwidth(x) * rng.standard_normal((n, x.shape[1]))


def distance(x: np.ndarray) -> float:
    """Total variation between the estimate on these rows, float64 (n, d), and the standard normal distribution."""
    from scipy.ndimage import gaussian_filter1d
    from scipy.special import ndtr

    d = x.shape[1]
    edges = np.linspace(-_REACH, _REACH, _CELLS[d] + 1)
    own, _ = np.histogramdd(np.clip(x, -_REACH, _REACH), bins=[edges] * d)
    own /= len(x)
    for axis in range(d):
        own = gaussian_filter1d(own, bandwidth(x) / (edges[1] - edges[0]), axis=axis, mode="constant", truncate=5.0)
    truth = np.diff(ndtr(edges))
    truth = truth if d == 1 else truth[:, None] * truth
    return float(0.5 * (np.abs(own - truth).sum() + abs(1.0 - own.sum())))


@dataclass(frozen=True, kw_only=True)
class _Kernel:
    """What both experiments have in common."""

    n: Annotated[int, Field(ge=2, description="real rows")] = 200
    dimension: Annotated[Literal[1, 2], Field(description="of the rows")] = 1
    replicas: Annotated[int, Field(ge=1, description="repetitions that a seed's value is the mean of")] = 20
    constant: Annotated[float, Field(gt=0, description="C of the fitting error C N^-s, for the bound")] = 0.375
    exponent: Annotated[float, Field(gt=0, lt=1, description="s of it")] = 0.368

    def real(self, rng: np.random.Generator) -> np.ndarray:
        """The real rows, float64 (n, d)."""
        return rng.standard_normal((self.n, self.dimension))

    def law(self, label: str, validity: str, note: str, values: np.ndarray) -> Forecast:
        """A forecast of the distance."""
        return Forecast(
            metric="total_variation", label=label, source=_FU, validity=validity, note=note, units="", values=values
        )


@dataclass(frozen=True, kw_only=True)
class KernelMixture(_Kernel):
    """Real rows and synthetic ones of an estimate, over their ratio: does a little harm, and much less?"""

    values: Annotated[tuple[float, ...], Field(description="synthetic ratios, rising")] = (0.0, 1.0, 10.0)
    generator: Annotated[
        Literal["same", "other", "truth"],
        Field(
            description="estimate of the same real rows, of as many others, or real rows in the place of synthetic ones"
        ),
    ] = "same"

    @property
    def axis(self) -> Axis:
        """Synthetic rows per real one."""
        return Axis("synthetic_ratio", self.values)

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """total_variation, float64 (keys, points), and its excess over that of the first point of the same rows."""
        points = self.axis.values
        found = np.zeros((len(keys), len(points)))
        for row, key in enumerate(keys):
            for repeat in range(self.replicas):
                rng = key.child("repeat", repeat).rng()
                x = self.real(rng)
                source = x if self.generator == "same" else self.real(rng)
                for place, ratio in enumerate(points):
                    count = round(ratio * self.n)
                    real = self.generator == "truth"
                    synthetic = rng.standard_normal((count, self.dimension)) if real else sampled(source, count, rng)
                    found[row, place] += distance(np.concatenate([x, synthetic])) / self.replicas
            progress.report("seeds", row + 1, len(keys))
        return {"total_variation": found, "excess": found - found[:, :1]}

    def forecasts(self) -> list[Forecast]:
        """The bound; its constant and exponent are options, so it is a heuristic."""
        ratio = np.array(self.axis.values)
        error = np.asarray(tv.fitting_error(self.n, self.constant, self.exponent))
        if self.generator == "truth":
            bound = tv.fitting_error(self.n * (1.0 + ratio), self.constant, self.exponent)
            return [self.law("fitting error", "heuristic", "as measured over 100 to 6,400 rows", np.asarray(bound))]
        bound = error * np.asarray(tv.transition(ratio * self.n, self.n, self.exponent))
        return [self.law("bound", "heuristic", "measured fitting error; rows taken as independent", bound)]


@dataclass(frozen=True, kw_only=True)
class KernelLoop(_Kernel):
    """A loop of estimates over generations: replaced, with fresh real rows, or accumulated."""

    regime: Annotated[
        Literal["replace", "fresh_real", "fixed_real", "accumulate"], Field(description="training rows")
    ] = "replace"
    real_share: Annotated[float, Field(ge=0, le=1, description="of fresh_real and fixed_real")] = 0.5
    generations: Annotated[int, Field(ge=1, le=1000, description="last generation")] = 29

    @property
    def axis(self) -> Axis:
        """The generations."""
        return Axis.generations(self.generations + 1)

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """total_variation, float64 (keys, generations + 1)."""
        found = np.zeros((len(keys), self.generations + 1))
        for row, key in enumerate(keys):
            for repeat in range(self.replicas):
                found[row] += self.track(key.child("repeat", repeat).rng()) / self.replicas
            progress.report("seeds", row + 1, len(keys))
        return {"total_variation": found}

    def track(self, rng: np.random.Generator) -> np.ndarray:
        """Distances of one loop, float64 (generations + 1,)."""
        first = rows = self.real(rng)
        found = [distance(rows)]
        own = round((1.0 - self.real_share) * self.n)
        for _ in range(self.generations):
            if self.regime == "replace":
                rows = sampled(rows, self.n, rng)
            elif self.regime == "accumulate":
                rows = np.concatenate([rows, sampled(rows, self.n, rng)])
            else:
                real = self.real(rng) if self.regime == "fresh_real" else first
                rows = np.concatenate([sampled(rows, own, rng), real[: self.n - own]])
            found.append(distance(rows))
        return np.array(found)

    def forecasts(self) -> list[Forecast]:
        """The bound of the regime, with the measured fitting error."""
        fits = np.arange(1, self.generations + 2)
        share = self.real_share if self.regime in ("fresh_real", "fixed_real") else 0.0
        bound = tv.bound(self.regime, fits, self.n, self.constant, self.exponent, share)
        return [self.law("bound", "heuristic", "measured fitting error", np.asarray(bound))]
