"""A study's expected shape as statements that a machine checks, and what it found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Check", "CheckResult", "Quantity", "Rows", "evaluate"]

_FROZEN = ConfigDict(frozen=True, extra="forbid")

Rows = Mapping[tuple[str, str], Mapping[int, Mapping[int, float]]]
"""(arm, metric) -> seed -> generation -> value."""


class Quantity(BaseModel):
    """One number per seed: a metric of an arm, summarised over some generations."""

    model_config = _FROZEN
    arm: Annotated[str, Field(description="name of the arm")]
    metric: Annotated[str, Field(description="name of the metric")]
    at: Annotated[
        Literal["first", "last", "all"] | tuple[int, int],
        Field(description="first, last or all measured generations, or [from, to] inclusive (negative: from the end)"),
    ] = "last"
    statistic: Annotated[Literal["mean", "median", "max", "min"], Field(description="over those generations")] = "mean"


class Check(BaseModel):
    """A statement such as 'without correction FID at the end is above 1.5 times that with it'."""

    model_config = _FROZEN
    statement: Annotated[str, Field(description="the claim in words")]
    paper: Annotated[str, Field(description="what the paper says or shows, with its number")] = ""
    left: Quantity
    relation: Literal["<", ">", "in"]
    right: Annotated[
        Quantity | float | tuple[float, float], Field(description="another quantity, a number, or [low, high] for 'in'")
    ]
    factor: Annotated[float, Field(gt=0, description="the right side is multiplied by this")] = 1.0

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.relation == "in") != isinstance(self.right, tuple):
            raise ValueError("'in' needs a right side [low, high]; '<' and '>' need a number or a quantity")
        if self.relation == "in" and self.factor != 1:
            raise ValueError("a factor does not go with 'in'")
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


def evaluate(check: Check, rows: Rows) -> CheckResult:
    """Compare the two sides over seeds.

    Against another quantity the comparison is paired by seed: with two or more seeds the statement holds only
    where the 95 % t-interval of the mean difference excludes zero. Against numbers the mean over seeds counts.
    """
    left = _per_seed(check.left, rows)
    expected = _describe(check)
    common = {"statement": check.statement, "paper": check.paper, "expected": expected}
    if not left:
        return CheckResult(**common, measured="", verdict="not measured", note=f"no values of {_name(check.left)}")
    if isinstance(check.right, Quantity):
        right = _per_seed(check.right, rows)
        seeds = sorted(left.keys() & right.keys())
        if not seeds:
            return CheckResult(**common, measured="", verdict="not measured", note=f"no values of {_name(check.right)}")
        a = np.array([left[s] for s in seeds])
        b = check.factor * np.array([right[s] for s in seeds])
        sign = 1.0 if check.relation == ">" else -1.0
        low, high = _interval(sign * (a - b))
        holds = low > 0 if len(seeds) > 1 else bool((sign * (a - b))[0] > 0)
        note = f"{len(seeds)} seeds, paired difference {_short(sign * low)} to {_short(sign * high)}"
        measured = f"{_mean(a)} against {_mean(b)}"
        return CheckResult(**common, measured=measured, verdict="holds" if holds else "fails", note=note)
    values = np.array(list(left.values()))
    mean = float(values.mean())
    if isinstance(check.right, tuple):
        holds = check.right[0] <= mean <= check.right[1]
    else:
        bound = check.right * check.factor
        holds = mean > bound if check.relation == ">" else mean < bound
    note = f"{len(values)} seeds"
    return CheckResult(**common, measured=_mean(values), verdict="holds" if holds else "fails", note=note)


def _per_seed(quantity: Quantity, rows: Rows) -> dict[int, float]:
    result = {}
    for seed, by_generation in rows.get((quantity.arm, quantity.metric), {}).items():
        values = _select(by_generation, quantity.at)
        if len(values) and np.isfinite(values).all():
            result[seed] = float(getattr(np, quantity.statistic)(values))
    return result


def _select(by_generation: Mapping[int, float], at: str | tuple[int, int]) -> np.ndarray:
    generations = sorted(by_generation)
    if at == "first":
        chosen: Sequence[int] = generations[:1]
    elif at == "last":
        chosen = generations[-1:]
    elif at == "all":
        chosen = generations
    else:
        low, high = (int(b) if int(b) >= 0 else generations[-1] + 1 + int(b) for b in at)
        chosen = [g for g in generations if low <= g <= high]
    return np.array([by_generation[g] for g in chosen])


def _interval(values: np.ndarray) -> tuple[float, float]:
    from scipy import stats

    if len(values) < 2:
        return float(values.mean()), float(values.mean())
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return float(values.mean() - half), float(values.mean() + half)


def _short(value: float) -> str:
    return f"{value:.3g}"


def _mean(values: np.ndarray) -> str:
    spread = f" (sd {_short(values.std(ddof=1))})" if len(values) > 1 else ""
    return _short(values.mean()) + spread


def _name(quantity: Quantity) -> str:
    at = quantity.at if isinstance(quantity.at, str) else f"generations {quantity.at[0]} to {quantity.at[1]}"
    how = "" if quantity.at in ("first", "last") else f"{quantity.statistic} over "
    return f"{quantity.metric} of {quantity.arm} ({how}{at})"


def _describe(check: Check) -> str:
    right: Any = check.right
    if isinstance(right, Quantity):
        times = f"{_short(check.factor)} x " if check.factor != 1 else ""
        return f"{_name(check.left)} {check.relation} {times}{_name(right)}"
    if isinstance(right, tuple):
        return f"{_name(check.left)} in [{_short(right[0])}, {_short(right[1])}]"
    return f"{_name(check.left)} {check.relation} {_short(right * check.factor)}"
