r"""How much synthetic data, under which regime, how strongly corrected, and until when: the closed forms, inverted.

The loss is counted in units of the risk of training once on the n real rows (`theory.risk`): a *budget* of 1.5 allows
half as much risk again; `budget.relative_budget` turns an absolute one into it. What is said holds for models whose
error is the average of their rows' errors, for many rows (`finite_risk` has laws that are exact for few). The risks are
those of a faithful sampler; of an imperfect one (`sampler_distortion`) only the stability is known, and where a loop is
unstable no risk is claimed. With the rows of the real data and those that can be trained on, that limit is kept too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory import risk
from ouroloop.theory.arguments import number, whole
from ouroloop.theory.budget import most_ratio, rows_exceeded_at

__all__ = ["Answer", "Interval", "allowed_ratios", "breaks_at", "needed_strength", "plan"]

Interval = tuple[float, float]
_LAST = 10**9  # "never" is: not within so many generations
_RATIOS = np.concatenate([[0.0], np.geomspace(1e-4, 1e4, 801)])
_WITH_RATIO = ("fixed_real", "accumulate", "accumulate_subsample", "replace", "fresh_real")


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What may be done under one regime.

    Attributes:
        regime: its name.
        ratios: intervals of `synthetic_ratio` that stay within the budget up to the last generation, and stable.
        risk: the multiplier at the given ratio and last generation; NaN where no closed form is known.
        breaks_at: first generation that exceeds the budget or the rows at the given ratio; None: never, or unknown
            with the risk.
        breaks_by: which of them: "risk", "rows", "risk and rows"; "" where nothing is known to break.
        strength: least `correction_strength` that keeps the given ratio within the budget and the loop stable;
            infinity where no finite one does, None where no closed form is known.
        note: what limits the answer.
    """

    regime: str
    ratios: tuple[Interval, ...]
    risk: float
    breaks_at: int | None
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
) -> list[Answer]:
    """One answer a regime, the one with the least risk first.

    Args:
        budget: allowed risk over that of the real data alone, above 1.
        generations: last generation that must stay within it, >= 1 (generation 0 is the model of the real data).
        synthetic_ratio: what the user would like to mix in.
        correction_strength: of a corrector as good as real data; known for fixed_real only.
        sampler_distortion: s^2, the factor by which the sampler inflates the model's variance.
        n_real: real rows; needed where `rows` are given.
        rows: the most that a generation can be trained on, at least `n_real`; None: any number.

    Raises:
        SpecError: a budget of 1 or less, or an argument out of its range.
    """
    budget = number("budget", budget, 1.0, above=True)
    generations = whole("generations", generations, 1)
    ratio = number("synthetic_ratio", synthetic_ratio)
    if rows is not None and n_real is None:
        raise SpecError("rows: a limit of rows needs n_real, the number of real rows")
    room = None if n_real is None or rows is None else (n_real, rows)
    answers = [
        _answer(regime, budget, generations, ratio, correction_strength, sampler_distortion, room)
        for regime in _WITH_RATIO
    ]
    return sorted(answers, key=lambda a: (math.isnan(a.risk), a.risk))


def _answer(
    regime: str,
    budget: float,
    generations: int,
    ratio: float,
    correction_strength: float,
    distortion: float,
    room: tuple[int, int] | None,
) -> Answer:
    """One regime's; `room` is n_real and the rows that can be trained on."""
    strength = correction_strength if regime == "fixed_real" else 0.0
    limit, most, full = _stable_ratio(regime, distortion, strength), math.inf, None
    if room is not None:
        most, full = most_ratio(regime, generations, *room), rows_exceeded_at(regime, room[0], ratio, room[1])
    stable = ratio == 0.0 or ratio < limit
    value = _risk(regime, generations, ratio, strength) if stable else math.nan
    over = breaks_at(regime, budget, ratio, strength) if stable else None
    breaks = [(t, by) for t, by in ((over, "risk"), (full, "rows")) if t is not None]
    first = min((t for t, _ in breaks), default=None)
    needed = 0.0 if value <= budget else None
    if regime == "fixed_real":
        needed = needed_strength(budget, generations, ratio, distortion)
    allowed = [(low, high) for low, high in allowed_ratios(regime, budget, generations, strength) if low <= most]
    return Answer(
        regime=regime,
        ratios=tuple((low, min(high, limit, most)) for low, high in allowed if low < limit or low == 0.0),
        risk=value,
        breaks_at=first,
        breaks_by=" and ".join(by for t, by in breaks if t == first),
        strength=needed,
        note=_note(regime, ratio, distortion, correction_strength, stable),
    )


def _stable_ratio(regime: str, distortion: float, strength: float) -> float:
    """The ratio below which a distorted sampler's variance does not grow exponentially; 0 where no ratio does."""
    inflation = number("sampler_distortion", distortion, above=True) - 1.0
    if regime in ("fixed_real", "fresh_real"):
        return math.inf if inflation <= strength else (1.0 + strength) / (inflation - strength)
    return 0.0 if regime == "replace" and inflation > 0.0 else math.inf


def _note(regime: str, ratio: float, distortion: float, strength: float, stable: bool) -> str:
    if not stable:
        remedy = {"fixed_real": "correct, or mix in less", "replace": "keep real data"}.get(regime, "mix in less")
        return f"unstable: this sampler's distortion grows without bound at this ratio; {remedy}"
    doubts = ["risk of a faithful sampler; the distortion enters stability only"] if distortion != 1.0 else []
    if distortion > 1.0 and regime.startswith("accumulate") and ratio:
        doubts = [f"risk of a faithful sampler; with this one the variance grows as t^{distortion - 1.0:.3g}"]
    doubts += ["without the correction: no closed form with it"] if strength and regime != "fixed_real" else []
    return "; ".join(filter(None, [_remark(regime, ratio), *doubts]))


def _remark(regime: str, ratio: float) -> str:
    notes = {
        "replace": "more synthetic rows a generation slow the loss, nothing stops it",
        "fresh_real": "needs as many new real rows in every generation",
        "accumulate": "the training set grows with every generation",
        "accumulate_subsample": "closed form for as many synthetic as real rows a generation, or none, only",
        "fixed_real": "",
    }
    if regime == "accumulate_subsample" and ratio in (0.0, 1.0):
        return ""
    return notes[regime]


def _risk(regime: str, generation: int, ratio: float, strength: float = 0.0) -> float:
    """The multiplier of generation t, with infinity for a loop without any rows and NaN where none is known."""
    if ratio == 0.0:
        return math.inf if regime == "replace" else 1.0
    if regime == "accumulate_subsample" and ratio != 1.0:
        return math.nan
    return float(risk.multiplier(regime, generation + 1, ratio, strength))


def _worst(regime: str, generation: int, ratio: float, strength: float) -> float:
    """The largest multiplier up to a generation where the risk can rise and fall again; else that at the generation."""
    return _risk(regime, _until(regime, generation, ratio, strength), ratio, strength)


def _until(regime: str, generation: int, ratio: float, strength: float) -> int:
    peak = risk.fixed_real_peak(ratio, strength) if regime == "fixed_real" and strength > 0.0 else math.inf
    return int(min(generation, peak))


def allowed_ratios(
    regime: str, budget: float, generations: int, correction_strength: float = 0.0
) -> tuple[Interval, ...]:
    """Intervals of `synthetic_ratio` between 0 and 10,000 whose risk stays within the budget up to the last generation.

    Very large ratios can be allowed too where generations are few: the loop has then not had the time to forget.

    Args:
        regime: a regime of `risk.multiplier`.
        budget: allowed risk multiplier.
        generations: last generation.
        correction_strength: for fixed_real.

    >>> [tuple(round(x, 3) for x in pair) for pair in allowed_ratios("replace", 2.0, 10)]
    [(10.0, 10000.0)]
    >>> [tuple(round(x, 2) for x in pair) for pair in allowed_ratios("fixed_real", 1.25, 10**6)]
    [(0.0, 0.5)]
    """
    if regime == "accumulate_subsample":
        return tuple((r, r) for r in (0.0, 1.0) if _risk(regime, generations, r) <= budget)
    until = [_until(regime, generations, r, correction_strength) + 1 for r in _RATIOS[1:]]
    risks = np.asarray(risk.multiplier(regime, until, _RATIOS[1:], correction_strength))
    fits = np.append(_risk(regime, generations, 0.0, correction_strength) <= budget, risks <= budget)
    edges = np.flatnonzero(np.diff(fits.astype(int)))
    crossings = [_crossing(regime, budget, generations, correction_strength, int(i)) for i in edges]
    ends = [0.0, *crossings, float(_RATIOS[-1])]
    return tuple((ends[i], ends[i + 1]) for i in range(len(ends) - 1) if bool(fits[0]) ^ bool(i % 2))


def _crossing(regime: str, budget: float, generations: int, strength: float, edge: int) -> float:
    """The ratio between two neighbours of the grid at which the risk meets the budget, by bisection."""
    low, high = float(_RATIOS[edge]), float(_RATIOS[edge + 1])
    inside = _worst(regime, generations, low, strength) <= budget
    for _ in range(60):
        middle = (low + high) / 2.0
        if (_worst(regime, generations, middle, strength) <= budget) == inside:
            low = middle
        else:
            high = middle
    return low if inside else high


def breaks_at(regime: str, budget: float, synthetic_ratio: float, correction_strength: float = 0.0) -> int | None:
    """First generation t >= 1 whose risk exceeds the budget; None where no generation does.

    Every risk here is monotone up to its peak, or at most 1 from the start, so that bisection finds it.

    >>> breaks_at("replace", 3.0, 1.0), breaks_at("accumulate", 1.7, 1.0), breaks_at("accumulate", 1.5, 1.0)
    (3, None, 6)
    """
    number("budget", budget)

    def over(t: int) -> bool:  # in generation t or before it
        return _worst(regime, t, synthetic_ratio, correction_strength) > budget

    if math.isnan(_risk(regime, 1, synthetic_ratio, correction_strength)):
        return None
    if over(1):
        return 1
    if not over(_LAST):
        return None
    low, high = 1, 2
    while not over(high):
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if over(middle) else (middle, high)
    return high


def needed_strength(budget: float, generations: int, synthetic_ratio: float, sampler_distortion: float = 1.0) -> float:
    r"""Least correction strength with which real data plus synthetic rows stay within the budget, and stable.

    Stability asks for $\gamma > (\lambda(s^2-1)-1)/(1+\lambda)$; the risk falls with $\gamma$.

    >>> needed_strength(1.6, 100, 5.0), round(needed_strength(1.2, 100, 5.0), 3)
    (0.0, 0.029)
    """
    ratio = number("synthetic_ratio", synthetic_ratio)
    excess = ratio * (number("sampler_distortion", sampler_distortion, above=True) - 1.0) - 1.0
    floor = 0.0 if excess < 0.0 else excess / (1.0 + ratio) * (1.0 + 1e-12) + 1e-12  # stability is a strict bound

    def fits(strength: float) -> bool:
        return _worst("fixed_real", generations, ratio, strength) <= budget

    if fits(floor):
        return floor
    if not fits(math.inf):
        return math.inf
    low, high = floor, max(1.0, 2.0 * floor)
    while not fits(high):
        if high > 1e12:
            raise SpecError(f"budget: {budget} is met by a perfect corrector only")
        low, high = high, 2.0 * high
    for _ in range(80):
        middle = (low + high) / 2.0
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high
