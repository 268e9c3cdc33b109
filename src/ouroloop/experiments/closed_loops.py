"""Loops simulated on sufficient statistics, with their exact laws: regression, Gaussians, categories.

Generation t is the fit numbered t + 1 in `ouroloop.theory`: generation 0 is fitted to real data alone. A seed's value
is a mean (or median, where a metric says so) over its replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.errors import SpecError
from ouroloop.experiment import Axis
from ouroloop.keys import Key
from ouroloop.theory import discrete, gaussian, regression, survival
from ouroloop.theory.arguments import distributions
from ouroloop.theory.forecast import Forecast
from ouroloop.theory.simulate import discrete_loop, gaussian_loop, regression_loop

__all__ = ["DiscreteLoop", "GaussianLoop", "RegressionLoop"]

_KAZDAN = "Gerstgrasser et al., arXiv 2404.01413; Kazdan et al., arXiv 2410.16713; derived in docs/theory.md"
Regime = Literal["replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real"]


@dataclass(frozen=True, kw_only=True)
class _Loop:
    """What the three have in common."""

    regime: Annotated[Regime, Field(description="which data each generation trains on")] = "replace"
    generations: Annotated[int, Field(ge=1, le=10_000, description="last generation")] = 99
    n: Annotated[int, Field(ge=1, description="rows a generation")] = 100
    synthetic_ratio: Annotated[float, Field(ge=0, description="of fixed_real and fresh_real")] = 1.0
    replicas: Annotated[int, Field(ge=1, description="loops that a seed's value summarises")] = 100

    @property
    def axis(self) -> Axis:
        """The generations."""
        return Axis.generations(self.generations + 1)

    @property
    def fits(self) -> np.ndarray:
        """Numbers of the fits, 1 to generations + 1."""
        return np.arange(1, self.generations + 2)

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """The metrics, float64 (keys, generations + 1)."""
        found = []
        for done, key in enumerate(keys):
            found.append(self.simulated(key))
            progress.report("loops", done + 1, len(keys))
        return {name: np.stack([one[name] for one in found]) for name in found[0]}

    def simulated(self, key: Key) -> dict[str, np.ndarray]:
        """The metrics of one key, float64 (generations + 1,)."""
        raise NotImplementedError


def _law(metric: str, values: Any, *, validity: str = "exact", label: str = "law", **fields: Any) -> Forecast:
    values, fields = np.asarray(values, np.float64), {"note": "", **fields}
    return Forecast(metric=metric, label=label, source=_KAZDAN, validity=validity, units="", values=values, **fields)


@dataclass(frozen=True, kw_only=True)
class RegressionLoop(_Loop):
    """Least squares refitted on its own labels: |w - w*|^2."""

    dimension: Annotated[int, Field(ge=1, description="d, coefficients")] = 10
    noise_variance: Annotated[float, Field(ge=0, description="of the labels")] = 1.0
    inputs: Annotated[Literal["same", "fresh"], Field(description="inputs of later generations")] = "same"

    def simulated(self, key: Key) -> dict[str, np.ndarray]:
        """risk, its mean over replicas, and risk_median."""
        size = (self.generations + 1, self.n, self.dimension, self.noise_variance)
        options = {"replicas": self.replicas, "synthetic_ratio": self.synthetic_ratio, "inputs": self.inputs}
        errors = regression_loop(self.regime, *size, key, **options)
        return {"risk": errors.mean(axis=1), "risk_median": np.median(errors, axis=1)}

    def forecasts(self) -> list[Forecast]:
        """The law of the risk, where there is one."""
        size = (self.fits, self.n, self.dimension, self.noise_variance)
        try:
            values = regression.risk(self.regime, *size, synthetic_ratio=self.synthetic_ratio, inputs=self.inputs)
        except SpecError:
            return []
        rough = self.regime == "accumulate_subsample"
        note = "many more rows than coefficients" if rough else "n > d + 1"
        return [_law("risk", values, validity="asymptotic" if rough else "exact", note=note)]


@dataclass(frozen=True, kw_only=True)
class GaussianLoop(_Loop):
    """A Gaussian refitted on its own samples: squared error of the mean, variance, and its median."""

    dimension: Annotated[int, Field(ge=1, description="d, coordinates")] = 10
    unbiased: Annotated[bool, Field(description="covariance over the rows less 1")] = False

    def simulated(self, key: Key) -> dict[str, np.ndarray]:
        """mean_error (summed over coordinates), trace_ratio, trace_ratio_median."""
        options = {"replicas": self.replicas, "synthetic_ratio": self.synthetic_ratio, "unbiased": self.unbiased}
        loop = gaussian_loop(self.regime, self.generations + 1, self.n, self.dimension, key, **options)
        return {
            "mean_squared_error": self.dimension * loop.mean_square.mean(axis=1),
            "trace_ratio": loop.variance.mean(axis=1),
            "trace_ratio_median": np.median(loop.variance, axis=1),
        }

    def forecasts(self) -> list[Forecast]:
        """Exact moments."""
        size = (self.regime, self.fits, self.n, self.unbiased)
        ratio = {"synthetic_ratio": self.synthetic_ratio}
        square = self.dimension * np.asarray(gaussian.mean_squared_error(*size, **ratio))
        return [_law("mean_squared_error", square), _law("trace_ratio", gaussian.variance(*size, **ratio))]


@dataclass(frozen=True, kw_only=True)
class DiscreteLoop(_Loop):
    """Categories resampled from their own counts: heterozygosity and how many survive."""

    categories: Annotated[int, Field(ge=2, description="how many")] = 100
    decay: Annotated[float, Field(ge=0, description="probability of the k-th is k to minus this; 0: all equal")] = 0.0

    @property
    def probabilities(self) -> np.ndarray:
        """Of the data, float64 (categories,)."""
        weights = np.arange(1.0, self.categories + 1.0) ** -self.decay
        return distributions("decay", weights / weights.sum())

    def simulated(self, key: Key) -> dict[str, np.ndarray]:
        """heterozygosity, support and fixed_share (replicas with one category left)."""
        options = {"replicas": self.replicas, "synthetic_ratio": self.synthetic_ratio}
        loop = discrete_loop(self.regime, self.generations + 1, self.n, self.probabilities, key, **options)
        return {
            "heterozygosity": loop.heterozygosity.mean(axis=1),
            "support": loop.support.mean(axis=1),
            "fixed_share": (loop.support == 1).mean(axis=1),
            "fixation_generation": np.full(self.generations + 1, _fixation(loop.support)),
        }

    def forecasts(self) -> list[Forecast]:
        """Exact heterozygosity; survivors and time to fixation for regime replace."""
        p, ratio = self.probabilities, {"synthetic_ratio": self.synthetic_ratio}
        laws = [_law("heterozygosity", discrete.heterozygosity(self.regime, self.fits, self.n, p, **ratio))]
        if self.regime == "replace":
            expected = survival.expected_support(p, self.n, self.fits)
            texts = {"validity": "asymptotic", "note": "rare categories", "label": "survivors"}
            laws.append(
                _law("support", expected, error=np.asarray(survival.support_gap(p, self.n, self.fits)), **texts)
            )
            line = np.full(len(self.fits), float(np.asarray(discrete.fixation_time(self.n, p))))
            laws.append(_law("fixation_generation", line, validity="asymptotic", note="diffusion"))
        return laws


def _fixation(support: np.ndarray) -> float:
    """Mean number of the first fit with one category, over replicas; NaN where one has not got there."""
    fixed = support == 1
    return float(fixed.argmax(axis=0).mean() + 1.0) if fixed[-1].all() else float("nan")
