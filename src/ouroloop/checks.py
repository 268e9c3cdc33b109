"""A study's expected shape as statements that a machine checks, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from ouroloop.measurements import forecast_name

__all__ = ["Check", "CheckResult", "Quantity", "Rows", "evaluate"]

_FROZEN = ConfigDict(frozen=True, extra="forbid")

Rows = Mapping[tuple[str, str], Mapping[int, Mapping[float, float]]]
"""(arm, metric) -> seed -> generation (or value on the axis) -> value; see `measurements.read_rows`."""


class Quantity(BaseModel):
    """One number per seed: a metric of an arm, summarised over some generations."""

    model_config = _FROZEN
    arm: Annotated[str, Field(description="name of the arm")]
    metric: Annotated[str, Field(description="name of the metric")]
    forecast: Annotated[str, Field(description="label of a forecast of that metric, to be taken in its place")] = ""
    at: Annotated[
        Literal["first", "last", "all"] | tuple[float, float],
        Field(description="first, last or all measured generations, or [from, to] inclusive (negative: from the end)"),
    ] = "last"
    statistic: Annotated[Literal["mean", "median", "max", "min"], Field(description="over those generations")] = "mean"


class Check(BaseModel):
    """A statement such as 'without correction FID at the end is above 1.5 times that with it'."""

    model_config = _FROZEN
    statement: Annotated[str, Field(description="the claim in words")]
    paper: Annotated[str, Field(description="what the paper says or shows, with its number")] = ""
    left: Quantity
    relation: Annotated[
        Literal["<", ">", "in", "near"],
        Field(description="near: the means over seeds differ by at most the tolerance at every single generation"),
    ]
    right: Annotated[
        Quantity | float | tuple[float, float], Field(description="another quantity, a number, or [low, high] for 'in'")
    ]
    factor: Annotated[float, Field(gt=0, description="the right side is multiplied by this")] = 1.0
    tolerance: Annotated[float | None, Field(gt=0, description="of 'near'")] = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.relation == "in") != isinstance(self.right, tuple):
            raise ValueError("'in' needs a right side [low, high]; '<', '>' and 'near' need a number or a quantity")
        if self.relation == "in" and self.factor != 1:
            raise ValueError("a factor does not go with 'in'")
        if (self.relation == "near") != (self.tolerance is not None):
            raise ValueError("'near', and nothing else, needs a tolerance")
        return self


class CheckResult(BaseModel):
    """What was found. `verdict` is 'holds', 'fails' or 'not measured'."""

    model_config = _FROZEN
    statement: str
    paper: str
    expected: str
    measured: str
    verdict: Literal["holds", "fails", "not measured"]
    note: str = ""


def evaluate(check: Check, rows: Rows, *, axis: str = "generation") -> CheckResult:
    """Compare the two sides over seeds.

    Against another quantity the comparison is paired by seed: with two or more seeds the statement holds only
    where the 95 % t-interval of the mean difference excludes zero. Against numbers the mean over seeds counts.
    'near' compares the means over seeds point by point.

    Args:
        check: the statement.
        rows: what was measured.
        axis: what the values run over, for the texts.
    """
    common = {"statement": check.statement, "paper": check.paper, "expected": _describe(check, axis)}
    sides = [side for side in (check.left, check.right) if isinstance(side, Quantity)]
    for side in sides:
        if not _per_seed(side, rows):
            return CheckResult(**common, measured="", verdict="not measured", note=f"no values of {_name(side, axis)}")
    seeds = sorted(set.intersection(*(set(_per_seed(side, rows)) for side in sides)))
    if not seeds:
        return CheckResult(**common, measured="", verdict="not measured", note="no seed that both sides have")
    compare = _near if check.relation == "near" else _paired if len(sides) == 2 else _against_numbers
    holds, measured, note = compare(check, rows, seeds, axis)
    return CheckResult(**common, measured=measured, verdict="holds" if holds else "fails", note=note)


def _paired(check: Check, rows: Rows, seeds: Sequence[int], axis: str) -> tuple[bool, str, str]:
    assert isinstance(check.right, Quantity)
    left, right = _per_seed(check.left, rows), _per_seed(check.right, rows)
    a = np.array([left[s] for s in seeds])
    b = check.factor * np.array([right[s] for s in seeds])
    sign = 1.0 if check.relation == ">" else -1.0
    low, high = _interval(sign * (a - b))
    ends = sorted((sign * low, sign * high))
    found = f"paired difference {_short(ends[0])} to {_short(ends[1])}"
    note = f"{_seeds(len(seeds))}, {found if len(seeds) > 1 else 'so that nothing is known of other seeds'}"
    return low > 0, f"{_mean(a)} against {_mean(b)}", note


def _against_numbers(check: Check, rows: Rows, seeds: Sequence[int], axis: str) -> tuple[bool, str, str]:
    left = _per_seed(check.left, rows)
    values = np.array([left[s] for s in seeds])
    mean = float(values.mean())
    if isinstance(check.right, tuple):
        holds = check.right[0] <= mean <= check.right[1]
    else:
        assert isinstance(check.right, float)
        bound = check.right * check.factor
        holds = mean > bound if check.relation == ">" else mean < bound
    return holds, _mean(values), _seeds(len(values))


def _near(check: Check, rows: Rows, seeds: Sequence[int], axis: str) -> tuple[bool, str, str]:
    """The farthest point counts; the statistic plays no part."""
    left, right = _mean_curve(check.left, rows, seeds), check.right
    other = _mean_curve(right, rows, seeds) if isinstance(right, Quantity) else dict.fromkeys(left, float(str(right)))
    gaps = {at: left[at] - check.factor * other[at] for at in sorted(left.keys() & other.keys())}
    assert check.tolerance is not None
    if not gaps:
        return False, "", "the two sides have no point in common"
    at = max(gaps, key=lambda point: abs(gaps[point]))
    note = f"{_seeds(len(seeds))}, {len(gaps)} points, farthest at {axis} {at:g}"
    return abs(gaps[at]) <= check.tolerance, f"largest difference {_short(gaps[at])}", note


def _mean_curve(quantity: Quantity, rows: Rows, seeds: Sequence[int]) -> dict[float, float]:
    curves = [_select(_curves(quantity, rows)[seed], quantity.at) for seed in seeds]
    return {at: float(np.mean([curve[at] for curve in curves])) for at in curves[0]}


def _curves(quantity: Quantity, rows: Rows) -> Mapping[int, Mapping[float, float]]:
    metric = forecast_name(quantity.metric, quantity.forecast) if quantity.forecast else quantity.metric
    return rows.get((quantity.arm, metric), {})


def _per_seed(quantity: Quantity, rows: Rows) -> dict[int, float]:
    result = {}
    for seed, curve in _curves(quantity, rows).items():
        values = np.array([*_select(curve, quantity.at).values()])
        if len(values) and np.isfinite(values).all():
            result[seed] = float(getattr(np, quantity.statistic)(values))
    return result


def _select(curve: Mapping[float, float], at: str | tuple[float, float]) -> dict[float, float]:
    points = sorted(curve)
    if at == "first":
        chosen: Sequence[float] = points[:1]
    elif at == "last":
        chosen = points[-1:]
    elif at == "all":
        chosen = points
    else:
        low, high = (b if b >= 0 else points[-1] + 1 + b for b in at if isinstance(b, float | int))
        chosen = [g for g in points if low <= g <= high]
    return {g: curve[g] for g in chosen}


def _interval(values: np.ndarray) -> tuple[float, float]:
    from scipy import stats

    if len(values) < 2:
        return float(values.mean()), float(values.mean())
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


def _short(value: float) -> str:
    return f"{value:.3g}"


def _mean(values: np.ndarray) -> str:
    spread = f" (sd {_short(values.std(ddof=1))})" if len(values) > 1 and np.ptp(values) > 0.0 else ""
    return _short(values.mean()) + spread


def _name(quantity: Quantity, axis: str, *, pointwise: bool = False) -> str:
    at, metric = quantity.at, quantity.metric
    how = "" if pointwise else f"{quantity.statistic} over "
    where = f"{how}{at}" if at == "all" else at
    if isinstance(at, tuple):
        plural = f"{axis}s" if axis == "generation" else axis
        span = f"{plural} {at[0]:g} to {at[1]:g}"
        where = f"{axis} {at[0]:g}" if at[0] == at[1] else f"{how}{span}"
    if quantity.forecast:
        metric = forecast_name(metric, quantity.forecast)
    return f"{metric} of {quantity.arm} ({where})"


def _describe(check: Check, axis: str) -> str:
    right: Any = check.right
    times = f"{_short(check.factor)} x " if check.factor != 1 else ""
    relation = f"within {_short(check.tolerance)} of" if check.tolerance is not None else check.relation
    pointwise = check.relation == "near"
    left = _name(check.left, axis, pointwise=pointwise)
    if isinstance(right, Quantity):
        return f"{left} {relation} {times}{_name(right, axis, pointwise=pointwise)}"
    if isinstance(right, tuple):
        return f"{left} in [{_short(right[0])}, {_short(right[1])}]"
    return f"{left} {relation} {_short(right * check.factor)}"
