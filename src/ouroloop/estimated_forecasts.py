"""Forecasts with constants estimated from the first generations of a run: of that loop, or of another one.

A generator without a closed form still has constants (`theory.response`). They are fitted to a run and put into the
rows of the wanted specification: another ratio, regime, correction strength or number of generations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.errors import DataError, SpecError
from ouroloop.estimation import FEWEST, complete, first_half, measured_metrics, root_mean_square
from ouroloop.metric_ranges import range_of
from ouroloop.theory.forecast import Forecast
from ouroloop.theory.response import Response, distorted_variance, response, shares

if TYPE_CHECKING:
    from ouroloop.report.load import Arm

__all__ = ["EstimatedForecast", "Target", "estimated_forecasts", "own_estimates", "own_targets"]

_FAR = 1e100  # a metric that moves farther has left what squares can hold
_LINEAR = "linear answer of the generator to its own rows (theory.response); the interval is of the constants alone"


@dataclass(frozen=True, eq=False, kw_only=True)
class EstimatedForecast(Forecast):
    """A curve with the interval of its estimated constants, and what the run measured, where it is the same loop.

    Args:
        low, high: float64 (T + 1,), 95 %. Cut, like the values, to the metric's range.
        measured: mean over seeds, float64 (T + 1,), NaN where not measured; None for another loop.
        fitted: the last generation that was fitted.
    """

    low: np.ndarray
    high: np.ndarray
    measured: np.ndarray | None = None
    fitted: int = 0

    def held_out(self) -> tuple[float, float, int] | None:
        """Root mean square error after the fit, that of "nothing changes after it", and of how many generations."""
        if self.measured is None:
            return None
        later = np.flatnonzero(np.isfinite(self.measured) & np.isfinite(self.values))
        later = later[later > self.fitted]
        if not len(later):
            return None
        truth = self.measured[later]
        naive = root_mean_square(self.measured[self.fitted] - truth)
        return root_mean_square(self.values[later] - truth), naive, len(later)


@dataclass(frozen=True)
class Target:
    """A loop to forecast: its resolved specification and real rows."""

    spec: Mapping[str, Any]
    n_real: int


@dataclass(frozen=True, eq=False)
class _Source:
    arm: Arm
    spec: Mapping[str, Any]
    n_real: int


def own_targets(run: Path, overrides: Sequence[str] = ()) -> dict[str, Target]:
    """arm -> its own specification, with fields overridden, of a run or study directory."""
    from ouroloop.spec import Spec

    found = {}
    for source in _sources(run):
        spec = Spec.read(source.arm.runs[0].path / "spec.yaml", list(overrides)).resolved()
        found[source.arm.label] = Target(spec, source.n_real)
    return found


def estimated_forecasts(
    run: Path, targets: Mapping[str, Target] | None = None, *, overrides: Sequence[str] = (), fit: int | None = None
) -> dict[str, list[EstimatedForecast]]:
    """arm -> forecasts with the constants of a run.

    Args:
        run: a run directory, or a study or arm directory.
        targets: specifications to forecast; None: each arm's own with `overrides`, by its own constants. A target with
            the label of an arm takes that arm's constants; where there is one arm, all targets take its.
        fit: measured generations to fit to, at least 4; default: the first half, at least 4.

    Raises:
        DataError: a run without enough generations of any metric, or without as many as `fit`, or several arms to
            choose from.
        SpecError: a loop whose constants are not those of the run: another generator or corrector.
    """
    sources = {source.arm.label: _resolved(source) for source in _sources(run)}
    found = {}
    for label, target in (own_targets(run, overrides) if targets is None else targets).items():
        if label not in sources and len(sources) > 1:
            raise DataError(f"{run}: holds several arms ({', '.join(sources)}); give the directory of one of them")
        source = sources.get(label) or next(iter(sources.values()))
        found[label] = list(_forecasts(source, target, fit))
    if not any(found.values()):
        raise DataError(f"{run}: no metric has {FEWEST} measured generations of a loop with synthetic rows")
    return found


def own_estimates(arm: Arm, wanted: Callable[[str], bool]) -> list[EstimatedForecast]:
    """Forecasts of a loop by its own first half, of the metrics that are wanted; none where nothing can be fitted."""
    source = _source(arm)
    if source is None:
        return []
    try:
        found = list(_forecasts(source, Target(source.spec, source.n_real), None))
    except (DataError, SpecError, KeyError, TypeError, ValueError, OverflowError):
        return []  # all but the first two: a spec.yaml that was edited by hand
    return [law for law in found if law.fitted and wanted(law.metric)]


def _source(arm: Arm) -> _Source | None:
    """What is known of the loop of an arm, or None of a run that is no loop or whose generation 0 is not measured."""
    spec, track = arm.runs[0].spec, arm.runs[0].tracks.get("training_rows")
    rows = math.nan if track is None else track.at(0)
    parts = [spec.get(field) for field in ("regime", "corrector", "generator")]
    is_loop = all(isinstance(part, Mapping) and isinstance(part.get("kind"), str) for part in parts)
    return _Source(arm, spec, int(rows)) if is_loop and math.isfinite(rows) else None


def _sources(run: Path) -> list[_Source]:
    from ouroloop.report.load import load

    results = load([run])
    if results.axis.texts:
        raise DataError(f"{run}: is over {results.axis.name}, not generations; there are no constants to estimate")
    found = [source for arm in results.arms if (source := _source(arm)) is not None]
    if not found:
        raise DataError(f"{run}: holds no loop whose generation 0 is measured and whose spec.yaml is there")
    return found


def _resolved(source: _Source) -> _Source:
    """With the defaults of options that the run's version did not know, so that it is the same loop as today's."""
    from ouroloop.spec import Spec

    try:
        return replace(source, spec=Spec.from_mapping(source.spec).resolved())
    except SpecError:
        return source  # of parts given as objects, or edited by hand


def _forecasts(source: _Source, target: Target, fit: int | None) -> Iterator[EstimatedForecast]:
    _check_same(source.spec, target.spec)
    own, wanted = (
        _shares(t.spec, t.n_real, _last(t.spec, source)) for t in (Target(source.spec, source.n_real), target)
    )
    if not own.any():
        return
    same = _same_loop(source.spec, target.spec) and source.n_real == target.n_real
    length = int(target.spec["generations"]) + 1
    wanted = wanted[:length, :length]
    series = {name: known for name in measured_metrics(source.arm) if (known := complete(source.arm, name)) is not None}
    most = max((len(t) for t, _ in series.values()), default=0)
    if fit is not None and not FEWEST <= fit <= most:
        raise DataError(
            f"{source.arm.label or 'the run'}: --fit {fit}: must be at least {FEWEST} and at most {most}, the measured "
            "generations of the metric that has most, generation 0 included"
        )
    note = _note(source.spec, target.spec)
    yield from _of_distortion(source, wanted, same, note)
    for name, (t, table) in series.items():
        used = first_half(len(t)) if fit is None else fit
        if len(t) < used or t[used - 1] >= len(own) or not 0.0 < np.ptp(table[:, :used]) < _FAR:
            continue
        found = response(table[:, :used], own, t[:used], target=wanted)
        least, greatest = range_of(name)
        inside = least <= table.min() and table.max() <= greatest  # else the name means something else here
        yield _forecast(
            name,
            found,
            wanted,
            measured=_by_generation(t, table.mean(axis=0), length) if same else None,
            fitted=int(t[used - 1]),
            note=note,
            limits=(least, greatest) if inside else (-math.inf, math.inf),
        )


def _last(spec: Mapping[str, Any], source: _Source) -> int:
    return max(int(spec["generations"]), source.arm.last_generation or 0)


def _shares(spec: Mapping[str, Any], n_real: int, last: int) -> np.ndarray:
    regime = spec["regime"]
    ratio = float(regime.get("synthetic_ratio", 0.0))
    strength, mixed = _strength(spec["corrector"]), spec["generator"].get("batch_real_share")
    return shares(regime["kind"], last, n_real, ratio, strength, regime.get("window"), mixed)


def _strength(corrector: Mapping[str, Any]) -> float:
    """Of the ideal corrector that this one is taken for; 0 where what it does counts as the generator's own."""
    return float(corrector.get("correction_strength", 0.0)) if _is_mixture(corrector) else 0.0


def _is_mixture(corrector: Mapping[str, Any]) -> bool:
    """Whether it is taken to leave a share of rows as they are and to make the others as good as real ones."""
    kind, strength = corrector["kind"], float(corrector.get("correction_strength", math.inf))
    return kind == "ideal" or (kind not in ("identity", "curate") and math.isfinite(strength))


def _check_same(source: Mapping[str, Any], target: Mapping[str, Any]) -> None:
    kinds = [str(spec["generator"].get("kind")) for spec in (source, target)]
    if kinds[0] != kinds[1]:
        raise SpecError(f"generator: the run's constants are those of '{kinds[0]}', not of '{kinds[1]}'")
    correctors = [spec["corrector"] for spec in (source, target)]
    known = all(corrector["kind"] == "identity" or _is_mixture(corrector) for corrector in correctors)
    if correctors[0] != correctors[1] and not known:
        raise SpecError(
            f"corrector: how a loop with '{correctors[1]['kind']}' answers cannot be told from a run with "
            f"'{correctors[0]['kind']}'; give a run with the same one (or both none, or of finite correction_strength)"
        )


def _same_loop(source: Mapping[str, Any], target: Mapping[str, Any]) -> bool:
    return all(source.get(field) == target.get(field) for field in ("regime", "corrector", "generator", "data"))


def _note(source: Mapping[str, Any], target: Mapping[str, Any]) -> str:
    differing = [f for f in ("data", "generator") if source.get(f) != target.get(f)]
    changed = f"; the run has other options of {' and '.join(differing)}" if differing else ""
    taken = target["corrector"]["kind"] not in ("identity", "ideal") and _strength(target["corrector"]) > 0.0
    return _LINEAR + ("; the corrector is taken for the ideal one of its strength" if taken else "") + changed


def _forecast(
    metric: str,
    found: Response,
    wanted: np.ndarray,
    *,
    measured: np.ndarray | None,
    fitted: int,
    note: str,
    limits: tuple[float, float],
) -> EstimatedForecast:
    free = found.predict(wanted)
    values, low, high = np.clip(free, *limits)
    return EstimatedForecast(
        metric=metric,
        label=f"estimated, generations 0 to {fitted}",
        source=_constants(found, wanted) + (", cut to the metric's range" if (values != free[0]).any() else ""),
        validity="heuristic",
        note=note,
        units="",
        values=values,
        low=low,
        high=high,
        measured=measured,
        fitted=fitted,
    )


def _constants(found: Response, wanted: np.ndarray) -> str:
    """M and d in words: whether they run away, and what chance did not let us claim."""
    if found.step == 0.0:
        return "no change beyond chance in the fitted generations"
    text = f"M = {found.factor:.3g}, d = {found.step:.3g}"
    if found.factor * float(wanted.sum(axis=1).max(initial=0.0)) > 1.0 + 1e-9:
        return f"{text}, runs away"
    if found.best > found.factor * (1.0 + 1e-9) + 1e-9:
        return f"{text}; M = {found.best:.3g} fits best and would run away, but not beyond chance: not in the interval"
    return text


def _of_distortion(source: _Source, wanted: np.ndarray, same: bool, note: str) -> Iterator[EstimatedForecast]:
    """What s^2 of generation 0 says of the variance and of stability."""
    from ouroloop.estimation import distortion

    stretch = distortion(source.arm)
    if stretch is None or stretch.value <= 0.0:
        return
    ends = [stretch.low if stretch.low > 0.0 else stretch.value, max(stretch.high, stretch.value)]
    ends = [stretch.value if math.isnan(end) else end for end in ends]
    shared: dict[str, Any] = {
        "label": "estimated, s² of generation 0",
        "source": f"s² = {stretch.value:.3g}",
        "validity": "heuristic",
        "units": "",
    }
    series = complete(source.arm, "trace_ratio") if same else None
    low, values, high = (distorted_variance(wanted, s) for s in (ends[0], stretch.value, ends[1]))
    yield EstimatedForecast(
        metric="trace_ratio",
        note="a sampler that distorts the variance of every model as it did with the real rows alone; many rows",
        values=values,
        low=low,
        high=high,
        measured=None if series is None else _by_generation(series[0], series[1].mean(axis=0), len(values)),
        **shared,
    )
    factor = wanted.sum(axis=1)
    yield EstimatedForecast(
        metric="contraction_factor",
        note="of the variance; below 1 the loop is stable; at the share of synthetic rows of each generation",
        values=factor * stretch.value,
        low=factor * ends[0],
        high=factor * ends[1],
        **shared,
    )


def _by_generation(t: np.ndarray, values: np.ndarray, length: int) -> np.ndarray:
    found, inside = np.full(length, np.nan), t < length
    found[t[inside]] = values[inside]
    return found
