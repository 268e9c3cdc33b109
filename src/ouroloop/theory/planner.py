r"""How much synthetic data, under which regime, how strongly corrected, and until when: the closed forms, inverted.

The loss is counted in units of the risk of training once on the n real rows (`theory.risk`): a *budget* of 1.5 allows
half as much risk again; `budget.relative_budget` turns an absolute one into it. What is said holds for models whose
error is the average of their rows' errors, for many rows; of a model by name, with so many real rows, answers come from
the exact law where there is one (`risk_laws`). The risks of many rows are those of a faithful sampler; of an
imperfect one (`sampler_distortion`) only the stability is known, and where a loop is unstable no risk is claimed. With
the rows of the real data and those that can be trained on, that limit is kept too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import choice, number, whole
from ouroloop.theory.budget import MODELS, most_ratio, rows_exceeded_at
from ouroloop.theory.needed_strength import needed_strength, stable_ratio
from ouroloop.theory.plan_notes import note, strength_note
from ouroloop.theory.risk_laws import FewRows, ManyRows
from ouroloop.theory.rows import drawn

__all__ = ["Answer", "Interval", "allowed_ratios", "breaks_at", "law_for", "needed_strength", "plan"]

Interval = tuple[float, float]
_WITH_RATIO = ("fixed_real", "accumulate", "accumulate_subsample", "replace", "fresh_real")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What may be done under one regime.

    Attributes:
        regime: its name.
        ratios: intervals of `synthetic_ratio` that stay within the budget up to the last generation, and stable.
        risk: the multiplier at the given ratio and last generation; NaN where no closed form is known.
        law: which law says so: "many rows", or where it is exact for the given rows "exact" or "exact, same inputs"
            (`risk_laws.FewRows`); "" where none is known.
        breaks_at: first generation that exceeds the budget or the rows at the given ratio; None: never, or unknown
            with the risk.
        breaks_by: which of them: "risk", "rows", "risk and rows"; "" where nothing is known to break.
        within: whether no generation up to the last exceeds the budget; None where the risk is not known.
        strength: `needed_strength` at the given ratio, whatever correction the question has: infinity where no finite
            one will do, None where it is not known.
        note: what limits the answer.
    """

    regime: str
    ratios: tuple[Interval, ...]
    risk: float
    law: str
    breaks_at: int | None
    within: bool | None
    strength: float | None
    note: str = ""
    breaks_by: str = ""


def plan(
    budget: float,
    generations: int,
    synthetic_ratio: float = 1.0,
    *,
    correction_strength: float = 0.0,
    sampler_distortion: float = 1.0,
    n_real: int | None = None,
    rows: int | None = None,
    model: str | None = None,
    dimension: int | None = None,
) -> list[Answer]:
    """One answer a regime, the one with the least risk first.

    Args:
        budget: allowed risk over that of the real data alone, above 1.
        generations: last generation that must stay within it, >= 1 (generation 0 is the model of the real data).
        synthetic_ratio: what the user would like to mix in.
        correction_strength: of a corrector as good as real data.
        sampler_distortion: s^2, the factor by which the sampler inflates the model's variance.
        n_real: real rows; needed where `rows` or `model` are given.
        rows: the most that a generation can be trained on, at least `n_real`; None: any number.
        model: of `budget.MODELS`, to answer for these very rows where an exact law is known. None: for many rows.
        dimension: the model's parameters.

    Raises:
        SpecError: a budget of 1 or less, or an argument out of its range.
    """
    budget = number("budget", budget, 1.0, above=True)
    generations = whole("generations", generations, 1)
    ratio = number("synthetic_ratio", synthetic_ratio)
    number("sampler_distortion", sampler_distortion, above=True)
    for name, value in (("rows", rows), ("model", model)):
        if value is not None and n_real is None:
            raise SpecError(f"{name}: needs n_real, the number of real rows")
    law = law_for(
        number("correction_strength", correction_strength, inf=True), n_real, model, dimension, sampler_distortion
    )
    room = None if n_real is None or rows is None else (n_real, rows)
    if n_real is not None:
        drawn(ratio, n_real)  # refuses what makes no number of rows
    answers = [_answer(law, regime, budget, generations, ratio, sampler_distortion, room) for regime in _WITH_RATIO]
    return sorted(answers, key=lambda a: (math.isnan(a.risk), a.risk))


def law_for(
    strength: float, n_real: int | None, model: str | None, dimension: int | None, distortion: float
) -> ManyRows:
    """The law that a plan with these arguments answers from."""
    if n_real is None or model is None:
        return ManyRows(correction_strength=strength)
    if dimension is None:
        raise SpecError("dimension: a model needs the number of its parameters")
    return FewRows(
        correction_strength=strength,
        model=choice("model", model, MODELS),
        n_real=whole("n_real", n_real, 1),
        dimension=whole("dimension", dimension, 1),
        sampler_distortion=distortion,
    )


def _answer(
    law: ManyRows,
    regime: str,
    budget: float,
    generations: int,
    ratio: float,
    distortion: float,
    room: tuple[int, int] | None,
) -> Answer:
    """One regime's; `room` is n_real and the rows that can be trained on."""
    limit = stable_ratio(regime, distortion, law.correction_strength)
    stable = ratio == 0.0 or ratio < limit
    kind = law.kind(regime, generations, ratio)
    known = stable or kind.startswith("exact")  # of an unstable loop the law of many rows says nothing
    value = float(law.at(regime, generations, [ratio])[0]) if known else math.nan
    over = breaks_at(regime, budget, ratio, law=law) if known else None
    most, full = math.inf, None
    if room is not None:
        most, full = most_ratio(regime, generations, *room), rows_exceeded_at(regime, room[0], ratio, room[1])
    breaks = [(t, by) for t, by in ((over, "risk"), (full, "rows")) if t is not None]
    first = min((t for t, _ in breaks), default=None)
    broken = over is not None and over <= generations
    within = False if broken else None if math.isnan(value) else True
    strength = needed_strength(budget, generations, ratio, distortion, regime=regime, law=law)
    notes = (
        note(law, regime, ratio, distortion, stable, kind),
        strength_note(law, regime, generations, ratio, budget, strength),
    )
    allowed = [(low, high) for low, high in allowed_ratios(regime, budget, generations, law=law) if low <= most]
    return Answer(
        regime=regime,
        ratios=tuple((low, min(high, limit, most)) for low, high in allowed if low < limit or low == 0.0),
        risk=value,
        law=kind if known else "",
        breaks_at=first,
        breaks_by=" and ".join(by for t, by in breaks if t == first),
        within=within,
        strength=strength,
        note="; ".join(filter(None, notes)),
    )


def allowed_ratios(
    regime: str, budget: float, generations: int, correction_strength: float = 0.0, *, law: ManyRows | None = None
) -> tuple[Interval, ...]:
    """Intervals of `synthetic_ratio` between 0 and 10,000 whose risk stays within the budget up to the last generation.

    Very large ratios can be allowed too where generations are few: the loop has then not had the time to forget.

    Args:
        regime: a regime of `risk.multiplier`.
        budget: allowed risk multiplier.
        generations: last generation.
        correction_strength: of the ideal corrector.
        law: in place of that of many rows with this strength.

    >>> [tuple(round(x, 3) for x in pair) for pair in allowed_ratios("replace", 2.0, 10)]
    [(10.0, 10000.0)]
    >>> [tuple(round(x, 2) for x in pair) for pair in allowed_ratios("fixed_real", 1.25, 10**6)]
    [(0.0, 0.5)]
    """
    law = law or ManyRows(correction_strength=correction_strength)
    grid = law.grid()
    fits = law.worst(regime, generations, grid) <= budget
    ends = [float(grid[0]), float(grid[-1])]
    for edge in np.flatnonzero(fits[1:] != fits[:-1]):
        ends.insert(-1, _crossing(law, regime, budget, generations, float(grid[edge]), float(grid[edge + 1])))
    return tuple((ends[i], ends[i + 1]) for i in range(len(ends) - 1) if bool(fits[0]) ^ bool(i % 2))


def _crossing(law: ManyRows, regime: str, budget: float, generations: int, low: float, high: float) -> float:
    """The ratio between two at which the risk meets the budget, the last on the side that is within it."""

    def fits(ratio: float) -> bool:
        return bool(law.worst(regime, generations, [ratio])[0] <= budget)

    inside = fits(low)
    for _ in range(60):
        middle = law.between(low, high)
        if middle in (low, high):
            break
        low, high = (middle, high) if fits(middle) == inside else (low, middle)
    return low if inside else high


def breaks_at(
    regime: str,
    budget: float,
    synthetic_ratio: float,
    correction_strength: float = 0.0,
    *,
    law: ManyRows | None = None,
) -> int | None:
    """First generation t >= 1 whose risk exceeds the budget; None where no generation does that the law looks at.

    Every risk here is monotone up to its peak, or at most 1 from the start, so that bisection finds it.

    >>> breaks_at("replace", 3.0, 1.0), breaks_at("accumulate", 1.7, 1.0), breaks_at("accumulate", 1.5, 1.0)
    (3, None, 6)
    """
    number("budget", budget)
    law = law or ManyRows(correction_strength=correction_strength)

    def over(t: int) -> bool:  # in generation t or before it
        return bool(law.worst(regime, t, [synthetic_ratio])[0] > budget)

    last = law.horizon(regime, synthetic_ratio)
    if over(1):
        return 1
    if not over(last):
        return None
    low, high = 1, 2
    while not over(high):
        low, high = high, min(high * 2, last)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if over(middle) else (middle, high)
    return high
