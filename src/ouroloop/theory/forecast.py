"""From a specification to forecasts: which closed forms apply to this loop, and the curves they predict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory import risk, stability
from ouroloop.theory.rows import MAX_GENERATIONS, REGIMES, Plan, drawn, plan

__all__ = ["BOUNDS", "VALIDITIES", "Forecast", "SpecLoop", "corrects_nothing", "forecasts_for", "guarded"]

VALIDITIES = ("exact", "asymptotic", "sufficient bound", "heuristic")
BOUNDS = ("upper", "lower")
_DERIVED = "derived in docs/theory.md"
_SCSC = "Gillman et al., arXiv 2402.07087, Theorem 4.3"
_REGULAR = 1e12  # condition numbers beyond are those of singular matrices, but for rounding
_KEEPS_ALL = ("identity", "ideal", "histogram", "cluster", "transport")  # correctors that never drop a row


@dataclass(frozen=True, eq=False, kw_only=True)
class Forecast:
    """A predicted curve.

    Args:
        metric: the measured metric that it predicts the mean of, over seeds.
        label: how a figure calls it.
        source: paper and equation, or where it is derived.
        validity: "exact" (for any number of rows), "asymptotic" (as rows grow), "sufficient bound" (the truth may be
            better), or "heuristic".
        note: under which assumptions.
        units: of the values, "" for none.
        values: float64 (T + 1,), generations 0..T; infinity where the formula diverges or says nothing.
        error: by how much the formula itself may be off, in units of the values, float64 (T + 1,) and none negative:
            derived or measured, beside the sampling error of a measurement. None: not stated (an exact law: 0).
        bound: of a sufficient bound, whether the truth stays below it ("upper") or above it ("lower").

    Raises:
        SpecError: an unknown validity or bound, values that are not a curve of numbers, or errors of another length.
    """

    metric: str
    label: str
    source: str
    validity: str
    note: str
    units: str
    values: np.ndarray
    error: np.ndarray | None = None
    bound: str = "upper"

    def __post_init__(self) -> None:
        values = np.asarray(self.values, np.float64)
        if self.bound not in BOUNDS:
            raise SpecError(f"bound: must be one of {', '.join(BOUNDS)}, got '{self.bound}'")
        if self.validity not in VALIDITIES:
            raise SpecError(f"validity: must be one of {', '.join(VALIDITIES)}, got '{self.validity}'")
        if values.ndim != 1 or np.isnan(values).any():
            raise SpecError(f"values of forecast '{self.metric}': must be one number a generation and none of them NaN")
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "error", self._checked_error(values))

    def _checked_error(self, values: np.ndarray) -> np.ndarray | None:
        """The stated error by generation; that of an exact law is 0."""
        if self.error is None:
            return np.zeros(len(values)) if self.validity == "exact" else None
        error = np.asarray(self.error, np.float64)
        if error.shape != values.shape or not (error >= 0).all():
            raise SpecError(f"error of forecast '{self.metric}': must be one number >= 0 for each of its values")
        return error

    def to_dict(self) -> dict[str, Any]:
        """Plain data for forecasts.json; infinite values become None, and so does an error that is not stated."""
        texts = {name: getattr(self, name) for name in ("metric", "label", "source", "validity", "note", "units")}
        bound = {"bound": self.bound} if self.validity == "sufficient bound" else {}
        return {**texts, **bound, "values": _plain(self.values), "error": _plain(self.error)}


def _plain(values: np.ndarray | None) -> list[float | None] | None:
    return None if values is None else [float(v) if math.isfinite(v) else None for v in values]


@dataclass(frozen=True, eq=False)
class SpecLoop:
    """What the closed forms need to know of a specification."""

    spec: Mapping[str, Any]
    n_real: int
    dim: int
    generations: int
    ratio: float
    strength: float | None  # of the ideal corrector; None: another kind of correction
    rows: Plan | None  # None: no closed form for the regime, or rows may be dropped

    @property
    def regime(self) -> str:
        return str(self.spec["regime"]["kind"])

    @property
    def target(self) -> tuple[np.ndarray, float] | None:
        """Mean and variance of an isotropic Gaussian target, or None."""
        covariance, mean = self._covariance, self.spec["data"].get("mean")
        if covariance is None or not np.array_equal(covariance, covariance[0, 0] * np.eye(self.dim)):
            return None
        return (np.zeros(self.dim) if mean is None else np.asarray(mean, np.float64)), float(covariance[0, 0])

    @property
    def spread(self) -> tuple[float, float] | None:
        r"""Trace of a Gaussian target's covariance and $(\mathrm{tr}\,\Sigma)^2/\mathrm{tr}\,\Sigma^2$, or None."""
        if self._covariance is None or (trace := float(np.trace(self._covariance))) <= 0.0:
            return None
        return trace, trace**2 / float(np.square(self._covariance).sum())

    @property
    def regular(self) -> bool:
        """Whether the target is Gaussian with a covariance that has an inverse."""
        covariance = self._covariance
        return covariance is not None and bool(np.linalg.cond(covariance) < _REGULAR)

    @property
    def _covariance(self) -> np.ndarray | None:
        data = self.spec["data"]
        if data.get("kind") != "gaussian":
            return None
        covariance = np.asarray(np.eye(self.dim) if data.get("covariance") is None else data["covariance"], np.float64)
        return covariance if covariance.shape == (self.dim, self.dim) else None

    @property
    def is_gaussian(self) -> bool:
        """A Gaussian model of Gaussian data, without correction or with the ideal one."""
        generator = self.spec["generator"]
        return (
            generator.get("kind") == "gaussian"
            and not generator.get("per_class")
            and self.spec["data"].get("kind") == "gaussian"
            and self.strength is not None
        )

    @property
    def ddof(self) -> int:
        return int(self.spec["generator"].get("estimator") == "unbiased")

    @property
    def stretch(self) -> float:
        """s^2, by which sampling multiplies the variance."""
        return float(self.spec["generator"].get("sampling_bias", 1.0))

    @property
    def batch_real_share(self) -> float | None:
        """Share of real rows that the generator wants in every batch, or None."""
        share = self.spec["generator"].get("batch_real_share")
        return None if share is None else float(share)

    @property
    def trained_ratio(self) -> np.ndarray:
        """Synthetic per real row in the loss, by generation; that of the rows, unless batches are mixed otherwise."""
        assert self.rows is not None
        ratios, share = self.rows.synthetic_ratio, self.batch_real_share
        if share is None:
            return ratios
        mixed = math.inf if share == 0.0 else (1.0 - share) / share
        return np.where((ratios > 0.0) & np.isfinite(ratios), mixed, ratios)


def forecasts_for(spec: Mapping[str, Any], n_real: int, dim: int) -> list[Forecast]:
    """The closed forms that are implemented for a loop; the best one of a metric first.

    Args:
        spec: a resolved specification, as plain data.
        n_real: rows of real data.
        dim: numbers in a row of x, or 0 where x is not numeric.

    Returns:
        Forecasts with one value a generation, 0..spec["generations"]; an empty list where nothing is known.
    """
    loop = _read(spec, n_real, dim)
    from ouroloop.theory.forecast_gaussian import gaussian_forecasts  # which needs this module

    found = [*gaussian_forecasts(loop), *_bookkeeping(loop), *_stability(loop), *_risk(loop)]
    return [f for f in found if np.isfinite(f.values).any()]


def corrects_nothing(spec: Mapping[str, Any]) -> bool:
    """Whether every drawn row enters the loop as it is, and no guard mixes real rows in."""
    return _ideal_strength(spec["corrector"]) == 0.0 and not guarded(spec)


def _ideal_strength(corrector: Mapping[str, Any]) -> float | None:
    """Strength of the ideal corrector that does the same, or None."""
    kind, strength = corrector.get("kind"), float(corrector.get("correction_strength", math.inf))
    if kind in _KEEPS_ALL and kind not in ("histogram", "ideal") and strength == 0.0:
        return 0.0  # strength 0 leaves every row as it is; SCSC's histogram resamples even then
    return {"identity": 0.0, "ideal": strength}.get(str(kind))


def guarded(spec: Mapping[str, Any]) -> bool:
    """Whether a guard may change which rows are trained on."""
    return spec.get("guards", {}).get("min_real_share", 0.0) > 0


def _read(spec: Mapping[str, Any], n_real: int, dim: int) -> SpecLoop:
    regime, corrector = spec["regime"], spec["corrector"]
    generations, ratio = int(spec["generations"]), float(regime.get("synthetic_ratio", math.nan))
    kind, ideal, changed = corrector.get("kind"), _ideal_strength(corrector), guarded(spec)
    known = regime.get("kind") in REGIMES and generations <= MAX_GENERATIONS and n_real > 0 and not math.isnan(ratio)
    rows = None
    if known and (kind in _KEEPS_ALL or ideal == 0.0) and not changed:
        draws = drawn(ratio, n_real)
        if draws or regime["kind"] != "replace" or not generations:
            rows = plan(regime["kind"], generations, n_real, draws, regime.get("window"))
    return SpecLoop(spec, n_real, dim, generations, ratio, ideal, rows)


def _bookkeeping(loop: SpecLoop) -> Iterator[Forecast]:
    if loop.rows is not None:
        yield Forecast(
            metric="synthetic_ratio",
            label="rows of the regime",
            source="definition of the regime",
            validity="exact",
            note="when no row is dropped",
            units="synthetic per real row",
            values=loop.rows.synthetic_ratio,
        )
    if loop.rows is not None and loop.spec["corrector"].get("kind") == "ideal" and loop.strength is not None:
        yield Forecast(
            metric="corrected_share",
            label="strength / (1 + strength)",
            source=_SCSC,
            validity="exact",
            note="",
            units="",
            values=np.full(loop.generations + 1, 1.0 - 1.0 / (1.0 + loop.strength)),
        )


def _stability(loop: SpecLoop) -> Iterator[Forecast]:
    """Factors by which an error shrinks in one generation, at the ratio that is in force there."""
    if loop.rows is None or loop.strength is None or loop.regime == "real_only":
        return
    strength, ratios = loop.strength, loop.trained_ratio
    memoryless = loop.regime in ("fixed_real", "fresh_real", "replace")
    gaussian_model = loop.spec["generator"].get("kind") == "gaussian"
    stretch = loop.stretch if gaussian_model else 1.0  # a mixture's bias is that of its components alone
    where = "" if memoryless else "; at the effective ratio of each generation, as if its rows were all new"
    certified = np.asarray(stability.certificate(ratios, strength).rate)
    yield Forecast(
        metric="contraction_factor",
        label="SCSC certificate",
        source=_SCSC,
        validity="sufficient bound" if memoryless and gaussian_model and stretch <= 1.0 else "heuristic",
        note="misfit L eps / alpha taken as 0; below 1 certifies local stability, no value means no certificate"
        + where,
        units="per generation",
        values=certified,
    )
    yield Forecast(
        metric="contraction_factor",
        label="spectral radius",
        source=_DERIVED,
        validity="asymptotic" if memoryless and gaussian_model else "heuristic",
        note="population limit of a well-specified exponential family" + where,
        units="per generation",
        values=np.asarray(
            stability.spectral_radius(ratios, strength, max(stretch, 1.0))
        ),  # the mean's or the variance's
    )


def _risk(loop: SpecLoop) -> Iterator[Forecast]:
    """The long-run multiplier of the regime, of a faithful sampler."""
    if loop.strength is None or loop.stretch != 1.0 or guarded(loop.spec):
        return
    if loop.batch_real_share is not None and loop.regime not in ("real_only", "replace"):
        return  # weighs the rows otherwise
    if loop.spec["regime"].get("window") or loop.spec["regime"].get("size") not in (None, loop.n_real):
        return
    fits = np.arange(1, loop.generations + 2)
    ratio = 0.0 if loop.regime == "real_only" else loop.ratio
    try:
        values = np.asarray(risk.multiplier(loop.regime, fits, ratio, loop.strength))
    except SpecError:
        return  # no law of this regime with this ratio or correction
    gaussian_model = loop.spec["generator"].get("kind") == "gaussian"
    yield Forecast(
        metric="risk_multiplier",
        label=loop.regime.replace("_", " "),
        source=_DERIVED if loop.regime != "accumulate" else "Gerstgrasser et al., arXiv 2404.01413; " + _DERIVED,
        validity="asymptotic" if gaussian_model else "heuristic",
        note="squared error of an averaging estimator over that of the real data alone; many rows",
        units="",
        values=values,
    )
