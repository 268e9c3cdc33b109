"""A loop's risk over that of its real rows alone: in the limit of many rows, or for the very rows that there are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ouroloop.theory import risk
from ouroloop.theory.accumulated_risk import worst_generation
from ouroloop.theory.budget import real_risk
from ouroloop.theory.finite_risk import unit_risks
from ouroloop.theory.gaussian_rows import MAX_SUBSAMPLED
from ouroloop.theory.rows import MAX_GENERATIONS, drawn

__all__ = ["NEVER", "FewRows", "ManyRows"]

NEVER = 10**9  # generations within which nothing happens
_RATIOS = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 801)])
_EACH, _TIMES = 32, 40  # generations looked at one by one, and spread over those after them


@dataclass(frozen=True, kw_only=True)
class ManyRows:
    """`risk.multiplier`: any model whose error is the average of its rows' errors, with many rows.

    Attributes:
        correction_strength: of the ideal corrector.
    """

    correction_strength: float = 0.0

    @property
    def falls_with_strength(self) -> bool:
        """Whether more correction never raises a risk."""
        return True

    def kind(self, regime: str, generation: int, ratio: float) -> str:
        """What the answer rests on; "" where there is none."""
        return "" if math.isnan(self.at(regime, generation, [ratio])[0]) else "many rows"

    def horizon(self, regime: str, ratio: float) -> int:
        """The last generation that is looked at."""
        return NEVER

    def grid(self) -> np.ndarray:
        """Ratios from 0 to 10,000, between which a risk is taken to meet a budget at most once."""
        return _RATIOS

    def between(self, low: float, high: float) -> float:
        """A ratio between two."""
        return (low + high) / 2.0

    def at(self, regime: str, generation: int, ratios: Sequence[float] | np.ndarray) -> np.ndarray:
        """The multiplier of generation t of a run; infinity without any rows, NaN where none is known."""
        return self._many(regime, np.full(len(ratios), generation), np.asarray(ratios, np.float64))

    def worst(self, regime: str, generations: int, ratios: Sequence[float] | np.ndarray) -> np.ndarray:
        """The largest multiplier up to a generation where the risk can rise and fall again; else that at the last."""
        several = np.asarray(ratios, np.float64)
        return self._many(regime, self._until(regime, generations, several), several)

    def _until(self, regime: str, generations: int, ratios: np.ndarray) -> np.ndarray:
        strength = self.correction_strength
        if strength > 0.0 and regime == "fixed_real":
            peaks = [risk.fixed_real_peak(float(ratio), strength) for ratio in ratios]
            return np.minimum(peaks, float(generations))
        if strength > 0.0 and regime in ("accumulate", "accumulate_subsample"):
            return worst_generation(regime, generations, ratios, strength)
        return np.full(len(ratios), float(generations))

    def _many(self, regime: str, generations: np.ndarray, ratios: np.ndarray) -> np.ndarray:
        found = np.full(ratios.shape, math.inf if regime == "replace" else 1.0)
        some = ratios > 0.0
        found[some] = risk.multiplier(regime, generations[some] + 1, ratios[some], self.correction_strength)
        return found


@dataclass(frozen=True, kw_only=True)
class FewRows(ManyRows):
    """`finite_risk` where a law is exact for these rows, else the limit of many rows.

    A Gaussian has the exact law or none. Least squares with correction of finite strength, accumulate_subsample, and
    fixed_real with a ratio that is no whole number have the limit. fresh_real has it too: its law is exact for real
    rows with the same inputs and new labels in every generation, and real rows that are new have inputs of their own.

    Attributes:
        model: "least_squares" or "gaussian".
        n_real: real rows.
        dimension: parameters.
        sampler_distortion: s^2 of the sampler.
    """

    model: str
    n_real: int
    dimension: int
    sampler_distortion: float = 1.0

    @property
    def falls_with_strength(self) -> bool:
        """Not for sure where corrected rows vary more, or less, than those of the sampler."""
        return self.model != "gaussian" or self.sampler_distortion == 1.0

    def kind(self, regime: str, generation: int, ratio: float) -> str:
        """What the answer rests on: "exact", "exact, same inputs", "many rows", or "" for none."""
        if math.isnan(self.at(regime, generation, [ratio])[0]):
            return ""
        exact = not math.isnan(self._exact(regime, [generation], np.array([ratio]))[0, 0])
        if not exact or (self.model == "least_squares" and regime == "fresh_real" and ratio > 0.0):
            return "many rows"
        return "exact, same inputs" if self.model == "least_squares" and regime == "fixed_real" and ratio else "exact"

    def horizon(self, regime: str, ratio: float) -> int:
        """The last generation that is looked at."""
        if self.model != "gaussian" or not regime.startswith("accumulate") or not ratio:
            return NEVER
        if self._moved or (regime == "accumulate_subsample" and drawn(ratio, self.n_real) != self.n_real):
            return MAX_GENERATIONS
        return MAX_SUBSAMPLED if regime == "accumulate_subsample" else NEVER

    def grid(self) -> np.ndarray:
        """Those that make whole rows."""
        return np.unique(np.round(_RATIOS * self.n_real)) / self.n_real

    def between(self, low: float, high: float) -> float:
        """One that makes whole rows; `low` where there is none in between."""
        rows = drawn(low, self.n_real)
        return (rows + (drawn(high, self.n_real) - rows) // 2) / self.n_real

    def at(self, regime: str, generation: int, ratios: Sequence[float] | np.ndarray) -> np.ndarray:
        """The multiplier of generation t of a run; NaN where the real rows do not determine the model."""
        exact = self._exact(regime, [generation], np.asarray(ratios, np.float64))[0]
        return self._filled(exact, super().at(regime, generation, ratios))

    def worst(self, regime: str, generations: int, ratios: Sequence[float] | np.ndarray) -> np.ndarray:
        """The largest multiplier up to a generation, or that at the last where no risk falls that was above 1."""
        times = _times(generations) if self.model == "gaussian" and self._moved else [generations]
        exact = self._exact(regime, times, np.asarray(ratios, np.float64)).max(axis=0)
        return self._filled(exact, super().worst(regime, generations, ratios))

    @property
    def _moved(self) -> bool:
        """Whether correction or distortion can let a risk rise and fall again."""
        return self.correction_strength > 0.0 or self.sampler_distortion != 1.0

    def _exact(self, regime: str, generations: Sequence[int], ratios: np.ndarray) -> np.ndarray:
        rows = np.array([drawn(float(ratio), self.n_real) for ratio in ratios], np.float64)
        loop = {"correction_strength": self.correction_strength, "sampler_distortion": self.sampler_distortion}
        found = unit_risks(self.model, regime, generations, self.n_real, self.dimension, rows, **loop)
        return found / self._own if math.isfinite(self._own) else np.full(found.shape, np.nan)

    @property
    def _own(self) -> float:
        return real_risk(self.model, self.n_real, self.dimension, 1.0)

    def _filled(self, exact: np.ndarray, many: np.ndarray) -> np.ndarray:
        if self.model == "gaussian" or not math.isfinite(self._own):
            return exact
        return np.where(np.isnan(exact), many, exact)


def _times(last: int) -> list[int]:
    """Generations from 1 to the last: each of the first, then ever fewer."""
    far = np.geomspace(_EACH, last, _TIMES).round() if last > _EACH else []
    return sorted({*range(1, min(last, _EACH) + 1), *(int(t) for t in far), last})
