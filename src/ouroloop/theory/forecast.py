"""From a specification to forecasts: which closed forms apply to this loop, and the curves they predict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory import gaussian, risk, stability
from ouroloop.theory.rows import MAX_GENERATIONS, REGIMES, Plan, plan
from ouroloop.theory.wasserstein import wasserstein

__all__ = ["BOUNDS", "VALIDITIES", "Forecast", "corrects_nothing", "forecasts_for"]

VALIDITIES = ("exact", "asymptotic", "sufficient bound", "heuristic")
BOUNDS = ("upper", "lower")
_DERIVED = "derived in docs/theory.md"
_KAZDAN = "Kazdan et al., arXiv 2410.16713 (replace, accumulate); " + _DERIVED
_MAD = "Alemohammad et al., arXiv 2307.01850 (sampling bias, many rows); " + _DERIVED
_SCSC = "Gillman et al., arXiv 2402.07087, Theorem 4.3"
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
class _Loop:
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
        data = self.spec["data"]
        if data.get("kind") != "gaussian":
            return None
        mean = data.get("mean")
        covariance = np.asarray(np.eye(self.dim) if data.get("covariance") is None else data["covariance"], np.float64)
        variance = float(covariance[0, 0])
        if covariance.shape != (self.dim, self.dim) or not np.array_equal(covariance, variance * np.eye(self.dim)):
            return None
        return (np.zeros(self.dim) if mean is None else np.asarray(mean, np.float64)), variance

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


def forecasts_for(spec: Mapping[str, Any], n_real: int, dim: int) -> list[Forecast]:
    """Every closed form that applies to a loop; the best one of a metric first.

    Args:
        spec: a resolved specification, as plain data.
        n_real: rows of real data.
        dim: numbers in a row of x, or 0 where x is not numeric.

    Returns:
        Forecasts with one value a generation, 0..spec["generations"]; an empty list where nothing is known.
    """
    loop = _read(spec, n_real, dim)
    found = [*_gaussian(loop), *_bookkeeping(loop), *_stability(loop)]
    return [f for f in found if np.isfinite(f.values).any()]


def corrects_nothing(spec: Mapping[str, Any]) -> bool:
    """Whether every drawn row enters the loop as it is, and no guard mixes real rows in."""
    return _ideal_strength(spec["corrector"]) == 0.0 and not _guarded(spec)


def _ideal_strength(corrector: Mapping[str, Any]) -> float | None:
    """Strength of the ideal corrector that does the same, or None."""
    kind, strength = corrector.get("kind"), float(corrector.get("correction_strength", math.inf))
    if kind in _KEEPS_ALL and kind not in ("histogram", "ideal") and strength == 0.0:
        return 0.0  # strength 0 leaves every row as it is; SCSC's histogram resamples even then
    return {"identity": 0.0, "ideal": strength}.get(str(kind))


def _guarded(spec: Mapping[str, Any]) -> bool:
    return spec.get("guards", {}).get("min_real_share", 0.0) > 0


def _read(spec: Mapping[str, Any], n_real: int, dim: int) -> _Loop:
    regime, corrector = spec["regime"], spec["corrector"]
    generations, ratio = int(spec["generations"]), float(regime.get("synthetic_ratio", math.nan))
    kind, ideal, guarded = corrector.get("kind"), _ideal_strength(corrector), _guarded(spec)
    known = regime.get("kind") in REGIMES and generations <= MAX_GENERATIONS and n_real > 0 and not math.isnan(ratio)
    rows = None
    if known and (kind in _KEEPS_ALL or ideal == 0.0) and not guarded:
        draws = math.ceil(ratio * n_real - 1e-9) if ratio else 0  # as the regimes round
        if draws or regime["kind"] != "replace" or not generations:
            rows = plan(regime["kind"], generations, n_real, draws, regime.get("window"))
    return _Loop(spec, n_real, dim, generations, ratio, ideal, rows)


def _gaussian(loop: _Loop) -> Iterator[Forecast]:
    if not loop.is_gaussian or loop.strength is None:
        return
    if loop.rows is not None and (loop.rows.rows > loop.ddof).all():
        yield from _distance(loop, loop.rows, loop.strength)
        yield from _sampled_moments(loop, loop.rows, loop.strength)
    if loop.regime == "replace" and loop.strength == 0.0 and loop.rows is not None:
        yield from _log_determinant(loop)


def _distance(loop: _Loop, rows: Plan, strength: float) -> Iterator[Forecast]:
    """Forecast of 'gaussian_w2' where it compares the model itself with the true target."""
    target = loop.target
    if target is None or target[1] <= 0 or loop.ddof or loop.stretch != 1.0:
        return
    mean, variance = target
    for metric in loop.spec["metrics"]:
        known = metric.get("mean") is not None and metric.get("covariance") is not None
        if metric.get("kind") != "gaussian_w2" or metric.get("of") != "model" or not known:
            continue
        if not (
            np.array_equal(metric["mean"], mean) and np.array_equal(metric["covariance"], variance * np.eye(loop.dim))
        ):
            continue
        ridge = float(loop.spec["generator"].get("regularisation", 0.0)) / variance
        values = math.sqrt(variance) * wasserstein(rows, strength, loop.dim, ridge=ridge).distance
        yield Forecast(
            metric="gaussian_w2",
            label="Gaussian loop, second order",
            source=_DERIVED,
            validity="asymptotic",
            note="mean part exact; covariance part to second order in 1/n",
            units="units of the data",
            values=values,
            error=_measured_error(loop, rows, values, 0.04),
        )


def _measured_error(loop: _Loop, rows: Plan, values: np.ndarray, share: float) -> np.ndarray | None:
    """Stated error of a law in 1/n: a share of the values, measured for 20 rows and 10 a dimension or more.

    Regime replace drifts: the share grows by 5 % every k generations of k rows, and after 2 k of them nothing is said.
    """
    k = int(rows.counts.max()) if loop.generations and loop.regime != "real_only" else loop.n_real
    if min(loop.n_real, k) < max(20, 10 * loop.dim) or loop.stretch > 1.0:  # that one was measured up to 1
        return None
    drift = np.arange(len(values)) / k if loop.regime == "replace" else np.zeros(len(values))
    return np.where(drift <= 2.0, (share + 0.05 * drift) * values, np.inf)


def _same(given: Any, expected: np.ndarray) -> bool:
    return given is not None and np.array_equal(np.asarray(given, np.float64), expected)


def _elsewhere(loop: _Loop, rows: int) -> bool:
    """Whether the metric `moments` measures in a space of its own, or on fewer rows than these."""
    found = [metric for metric in loop.spec["metrics"] if metric.get("kind") == "moments"]
    return any(m.get("features", "identity") != "identity" or m.get("max_rows", rows) < rows for m in found)


def _sampled_moments(loop: _Loop, rows: Plan, strength: float) -> Iterator[Forecast]:
    """Forecasts of the metric `moments`, which compares generated rows with held-out ones."""
    target, measured = loop.target, int(loop.spec.get("evaluation", {}).get("n", 0))
    held_out = int(loop.spec["data"].get("held_out", 0) or 0)
    if target is None or target[1] <= 0 or measured < 2 or held_out < 2 or _elsewhere(loop, max(measured, held_out)):
        return
    ridge = float(loop.spec["generator"].get("regularisation", 0.0)) / target[1]
    law = gaussian.moments(rows, strength, sampler_distortion=loop.stretch, ridge=ridge, ddof=loop.ddof)
    drawn = loop.stretch * law.variance
    square = law.mean_square + drawn / measured + 1.0 / held_out
    root = math.sqrt(2.0) * math.exp(math.lgamma((loop.dim + 1) / 2) - math.lgamma(loop.dim / 2))
    values = math.sqrt(target[1]) * root * np.sqrt(square)
    yield Forecast(
        metric="mean_error",
        label="Gaussian loop",
        source=_DERIVED,
        validity="asymptotic",
        note="mean square exact, with the noise of generated and held-out rows; its root as if the mean were Gaussian",
        units="units of the data",
        values=values,
        error=_measured_error(loop, rows, values, 0.05),
    )
    freedom = loop.dim * (held_out - 1)  # of the held-out rows' variance, by which it is divided
    if freedom > 2:
        yield Forecast(
            metric="trace_ratio",
            label="Gaussian loop",
            source=_KAZDAN if loop.stretch == 1.0 else _MAD,
            validity="exact",
            note="for any number of rows, with the noise of the held-out ones",
            units="",
            values=drawn * freedom / (freedom - 2.0),
        )


def _log_determinant(loop: _Loop) -> Iterator[Forecast]:
    target, measured = loop.target, int(loop.spec.get("evaluation", {}).get("n", 0))
    held_out = int(loop.spec["data"].get("held_out", 0) or 0)
    draws = int(loop.rows.counts[-1, -1]) if loop.rows is not None and loop.generations else loop.n_real
    if target is None or min(measured, held_out, loop.n_real, draws) <= loop.dim or target[1] <= 0:
        return
    if loop.spec["generator"].get("regularisation") or _elsewhere(loop, max(measured, held_out)):
        return  # the ridge keeps the determinant from collapsing
    law = gaussian.replace_log_variance(loop.n_real, draws, loop.generations, loop.dim, loop.ddof)
    generated, real = (gaussian.replace_log_variance(n, 1, 0, loop.dim, 1)[0] for n in (measured, held_out))
    yield Forecast(
        metric="logdet_ratio",
        label="Wishart product",
        source="Bertrand et al., arXiv 2310.00429 (one dimension); " + _DERIVED,
        validity="exact",
        note="mean of the logarithm, the typical path; with the bias of generated and held-out rows",
        units="nats",
        values=law + generated - real + loop.dim * math.log(loop.stretch) * np.arange(1.0, len(law) + 1.0),
    )


def _bookkeeping(loop: _Loop) -> Iterator[Forecast]:
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


def _stability(loop: _Loop) -> Iterator[Forecast]:
    """Factors by which an error shrinks in one generation, at the ratio that is in force there."""
    if loop.rows is None or loop.strength is None or loop.regime == "real_only":
        return
    strength, ratios = loop.strength, loop.rows.synthetic_ratio
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
    if loop.regime == "fixed_real" and loop.stretch == 1.0:
        yield Forecast(
            metric="risk_multiplier",
            label="fixed real data",
            source=_DERIVED,
            validity="asymptotic" if gaussian_model else "heuristic",
            note="squared error of an averaging estimator over that of the real data alone",
            units="",
            values=risk.fixed_real(loop.generations, loop.ratio, strength),
        )
