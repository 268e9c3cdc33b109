r"""A ridge regression on labels that went through several models, and on labels of two truths.

`RelabelledRegression`: coefficients are fitted by least squares to n rows labelled by the true ones, those label the
next n rows, and so on for `fakes` generations; the last fit is a ridge regression on `last_n` rows. `MixedRegression`:
one least-squares fit to real rows and to rows that were labelled by other coefficients. Inputs are N(0, I): all that a
fit needs are a Wishart matrix $S = BB^\top$ of the inputs and $X^\top\varepsilon = Bz$.
"""

from __future__ import annotations

import abc
import math
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
from ouroloop.theory import regression
from ouroloop.theory.forecast import Forecast
from ouroloop.theory.simulate.draws import wishart_factor

__all__ = ["MixedRegression", "RelabelledRegression"]

_DEMYSTIFIED = "Dohmatob et al., Model Collapse Demystified, arXiv 2402.07712"
_STRONG = "Dohmatob et al., Strong Model Collapse, arXiv 2410.04840; isotropic form derived in docs/theory.md"
_AT_ONCE = 2_000_000  # entries of the replicas' matrices


@dataclass(frozen=True, kw_only=True)
class _Sweep(abc.ABC):
    """A risk $|\\hat w - w^*|^2$ over one option, a mean over replicas."""

    dimension: Annotated[int, Field(ge=1, description="d, coefficients")] = 20
    noise_variance: Annotated[float, Field(ge=0, description="of the labels but a last fit's own")] = 1.0
    replicas: Annotated[int, Field(ge=1, description="regressions that a seed's value is the mean of")] = 200

    @property
    @abc.abstractmethod
    def axis(self) -> Axis:
        """The swept option."""

    @abc.abstractmethod
    def errors(self, rng: np.random.Generator, replicas: int) -> np.ndarray:
        """Coefficients less the true ones, float64 (replicas, d)."""

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """risk, float64 (keys, points)."""
        points = settings(self, self.axis)
        found = np.empty((len(keys), len(points)))
        for place, point in enumerate(points):
            for row, key in enumerate(keys):
                found[row, place] = _mean_risk(point, key.child("point", place).rng())
            progress.report("points", place + 1, len(points))
        return {"risk": found}


def _needs(name: str, rows: int, dimension: int, where: str = "") -> None:
    """Refuse rows that leave least squares without a finite risk."""
    if rows < dimension + 2:
        raise SpecError(
            f"{name}: must be at least {dimension + 2}{where}, for least squares to have a finite risk; got {rows}"
        )


def _mean_risk(point: _Sweep, rng: np.random.Generator) -> float:
    at_once = max(1, _AT_ONCE // point.dimension**2)
    sizes = [min(at_once, point.replicas - start) for start in range(0, point.replicas, at_once)]
    return sum(float(np.square(point.errors(rng, size)).sum()) for size in sizes) / point.replicas


@dataclass(frozen=True, kw_only=True)
class RelabelledRegression(_Sweep):
    """The risk of a ridge regression on labels that are several fake generations old."""

    over: Annotated[Literal["fakes", "ridge", "last_n"], Field(description="the option that is swept")] = "fakes"
    values: Annotated[tuple[float, ...], Field(description="its values, rising")] = (0, 1, 2, 5, 10)
    fakes: Annotated[int, Field(ge=0, le=10_000, description="t, fake generations before the last fit")] = 0
    n: Annotated[int, Field(ge=1, description="rows of a fake generation; more than d + 1")] = 100
    last_n: Annotated[int, Field(ge=1, description="rows of the last fit")] = 100
    last_noise_variance: Annotated[float, Field(ge=0, description="of the last fit's labels")] = 1.0
    ridge: Annotated[float, Field(ge=0, description="penalty of the last fit; 0: least squares")] = 0.0
    signal: Annotated[float, Field(ge=0, description="|w|^2 of the true coefficients")] = 1.0

    @property
    def axis(self) -> Axis:
        """The swept option.

        Raises:
            SpecError: too few rows for a fit of finite risk.
        """
        axis = swept(self, self.over, self.values)
        for point in settings(self, axis):
            if point.fakes:
                _needs("n", point.n, point.dimension)
            if not point.ridge:
                _needs("last_n", point.last_n, point.dimension, " without a ridge")
        return axis

    def errors(self, rng: np.random.Generator, replicas: int) -> np.ndarray:
        """Coefficients less the true ones, float64 (replicas, d)."""
        d, truth = self.dimension, np.zeros(self.dimension)
        truth[0] = math.sqrt(self.signal)
        w = np.broadcast_to(truth, (replicas, d))
        for _ in range(self.fakes):
            w = w + _least_squares_error(rng, replicas, self.n, d, self.noise_variance)
        factor = wishart_factor(rng, (replicas,), self.last_n, d)
        noise = math.sqrt(self.last_noise_variance) * rng.standard_normal((replicas, factor.shape[-1], 1))
        labelled = factor @ (np.swapaxes(factor, -1, -2) @ w[..., None] + noise)
        second = factor @ np.swapaxes(factor, -1, -2)
        return np.linalg.solve(second + self.last_n * self.ridge * np.eye(d), labelled)[..., 0] - truth

    def forecasts(self) -> list[Forecast]:
        """Exact for least squares, asymptotic for ridge regression."""
        points = settings(self, self.axis)
        ridged = any(point.ridge for point in points)
        texts = {"source": f"{_DEMYSTIFIED}; isotropic form derived in docs/theory.md", "metric": "risk"}
        if ridged:
            texts |= {"label": "ridge regression", "validity": "asymptotic", "note": "d and rows large"}
            return [forecast_over(points, RelabelledRegression.ridge_law, **texts)]
        texts |= {"label": "law", "validity": "exact", "note": "n > d + 1"}
        return [forecast_over(points, RelabelledRegression.law, **texts)]

    @property
    def _chain(self) -> tuple[float, float, float, float]:
        return self.fakes, self.n, self.dimension, self.noise_variance

    @property
    def _last(self) -> tuple[float, float]:
        return self.last_n, self.last_noise_variance

    def law(self) -> float:
        """Of least squares."""
        return float(np.asarray(regression.relabelled_risk(*self._chain, *self._last)))

    def ridge_law(self) -> float:
        """Of ridge regression."""
        return float(np.asarray(regression.relabelled_ridge_risk(*self._chain, *self._last, self.ridge, self.signal)))


@dataclass(frozen=True, kw_only=True)
class MixedRegression(_Sweep):
    """The risk of least squares on real rows and on synthetic ones of another truth, over the synthetic rows."""

    values: Annotated[tuple[float, ...], Field(description="synthetic rows, rising")] = (0, 100, 1000)
    n_synthetic: Annotated[int, Field(ge=0, description="synthetic rows; swept over `values`")] = 0
    n_real: Annotated[int, Field(ge=0, description="real rows")] = 100
    real_per_synthetic: Annotated[
        float, Field(ge=0, description="further real rows per synthetic one: above 0 both grow together")
    ] = 0.0
    distance: Annotated[float, Field(ge=0, description="|w_syn - w|^2, squared distance of the synthetic truth")] = 0.1

    @property
    def axis(self) -> Axis:
        """The synthetic rows.

        Raises:
            SpecError: too few rows for a fit of finite risk.
        """
        axis = swept(self, "n_synthetic", self.values)
        first = settings(self, axis)[0]
        where = f" with {first.n_synthetic} synthetic rows"
        _needs("n_real", first.real_rows, first.dimension - first.n_synthetic, where)
        return axis

    @property
    def real_rows(self) -> int:
        """Real rows at this point."""
        return self.n_real + round(self.real_per_synthetic * self.n_synthetic)

    def errors(self, rng: np.random.Generator, replicas: int) -> np.ndarray:
        """Coefficients less those of the real data, float64 (replicas, d)."""
        d = self.dimension
        real = wishart_factor(rng, (replicas,), self.real_rows, d)
        other = wishart_factor(rng, (replicas,), self.n_synthetic, d)
        both = np.concatenate([real, other], axis=-1)
        noise = both @ rng.standard_normal((replicas, both.shape[-1], 1))
        gap = math.sqrt(self.distance) * (other @ other[:, :1].swapaxes(-1, -2))  # the truths differ in one direction
        labelled = gap + math.sqrt(self.noise_variance) * noise
        return np.linalg.solve(both @ np.swapaxes(both, -1, -2), labelled)[..., 0]

    def forecasts(self) -> list[Forecast]:
        """The risk, and the floor that is left of it however many rows there are."""
        points = settings(self, self.axis)
        texts = {"source": _STRONG, "metric": "risk", "validity": "asymptotic"}
        return [
            forecast_over(points, MixedRegression.law, label="law", note="d and rows large", **texts),
            forecast_over(points, MixedRegression.floor, label="floor", note="infinitely many rows", **texts),
        ]

    def law(self) -> float:
        """By `regression.mixed_risk`."""
        size = (self.real_rows, self.n_synthetic, self.dimension)
        return float(np.asarray(regression.mixed_risk(*size, self.noise_variance, self.distance)))

    def floor(self) -> float:
        """distance times the squared synthetic share."""
        total = self.real_rows + self.n_synthetic
        return self.distance * (self.n_synthetic / total) ** 2 if total else math.inf


def _least_squares_error(rng: np.random.Generator, replicas: int, n: int, d: int, noise: float) -> np.ndarray:
    r"""$(X^\top X)^{-1}X^\top\varepsilon = B^{-\top}z$, float64 (replicas, d)."""
    factor = wishart_factor(rng, (replicas,), n, d)
    z = rng.standard_normal((replicas, d, 1))
    return math.sqrt(noise) * np.linalg.solve(np.swapaxes(factor, -1, -2), z)[..., 0]
