"""How strong a corrector must be for a loop to stay within a budget of risk, and stable."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from ouroloop.theory.arguments import choice, number, whole
from ouroloop.theory.risk_laws import FewRows, ManyRows

__all__ = ["REGIMES", "needed_strength", "stable_ratio", "stable_strength"]

REGIMES = ("fixed_real", "accumulate", "accumulate_subsample", "replace", "fresh_real")
_MOST = 1e6  # beyond it a budget is the perfect corrector's own risk, up to rounding
_GRID = np.geomspace(1e-3, _MOST, 73)


def needed_strength(
    budget: float,
    generations: int,
    synthetic_ratio: float,
    sampler_distortion: float = 1.0,
    *,
    regime: str = "fixed_real",
    law: ManyRows | None = None,
) -> float | None:
    r"""Least strength of an ideal corrector with which no generation exceeds the budget and the loop is stable.

    Found by bisection, since all risks of a faithful sampler fall with $\gamma$ (`risk`; of a Gaussian with few rows
    for the same reason, as the second moment of its rows is that of the data). Of a Gaussian with a distorted sampler
    they need not: from a grid of strengths the first that will do is taken, and bisection goes on below it.

    Args:
        budget: allowed risk over that of the real data alone, above 1.
        generations: the last, at least 1.
        synthetic_ratio: rows per real row and generation.
        sampler_distortion: s^2.
        regime: of `REGIMES`.
        law: of the risk, its own strength aside; None: that of many rows.

    Returns:
        0 where none is needed; infinity where none up to a million will do (`law` with infinite strength tells whether
        a perfect corrector would); None where it is not known.

    Raises:
        SpecError: an argument out of its range.

    >>> needed_strength(1.6, 100, 5.0), round(needed_strength(1.2, 100, 5.0), 3)
    (0.0, 0.029)
    >>> round(needed_strength(1.5, 10, 1.0, regime="replace"), 3), needed_strength(1.5, 10, 0.5, regime="replace")
    (0.732, inf)
    """
    choice("regime", regime, REGIMES)
    budget, generations = number("budget", budget, 1.0, above=True), whole("generations", generations, 1)
    ratio = number("synthetic_ratio", synthetic_ratio)
    floor = stable_strength(regime, ratio, number("sampler_distortion", sampler_distortion, above=True))
    asked = law or ManyRows()

    def worst(strength: float, law: ManyRows = asked) -> float:
        return float(replace(law, correction_strength=strength).worst(regime, generations, [ratio])[0])

    if worst(floor) <= budget:
        return floor
    if math.isnan(worst(floor)) or math.isnan(worst(math.inf)):
        return None
    if not asked.falls_with_strength:
        return _first(lambda strength: worst(strength) <= budget, floor)
    if not worst(math.inf) <= budget:
        return math.inf
    if isinstance(asked, FewRows) and asked.model == "least_squares" and worst(floor, ManyRows()) <= budget:
        return None  # with correction the limit alone is known, and it is wrong without
    return _least(lambda strength: worst(strength) <= budget, floor, max(1.0, 2.0 * floor))


def stable_ratio(regime: str, distortion: float, strength: float) -> float:
    """The ratio below which a distorted sampler's variance does not grow without bound; 0 where no ratio does."""
    inflation = distortion - 1.0
    if regime in ("fixed_real", "fresh_real"):
        return math.inf if inflation <= strength else (1.0 + strength) / (inflation - strength)
    grows = inflation > strength or inflation == strength > 0.0
    return 0.0 if regime == "replace" and grows else math.inf


def stable_strength(regime: str, ratio: float, distortion: float) -> float:
    """The least strength with which `ratio` is below `stable_ratio`, which is a strict bound."""
    excess = {"replace": distortion - 1.0 if ratio else 0.0, "fixed_real": ratio * (distortion - 1.0) - 1.0}
    excess["fresh_real"] = excess["fixed_real"]
    least = excess.get(regime, 0.0) / (1.0 if regime == "replace" else 1.0 + ratio)
    needless = least < 0.0 or (least == 0.0 and regime not in ("fixed_real", "fresh_real"))
    return 0.0 if needless else least * (1.0 + 1e-12) + 1e-12


def _least(fits: Callable[[float], bool], low: float, high: float) -> float:
    """Between a strength that does not fit and one that does, or beyond both."""
    while not fits(high):
        if high > _MOST:
            return math.inf
        low, high = high, 2.0 * high
    while high - low > 1e-12 * high and high > 1e-300:
        middle = (low + high) / 2.0
        low, high = (low, middle) if fits(middle) else (middle, high)
    return high


def _first(fits: Callable[[float], bool], floor: float) -> float:
    """The first of a grid that fits, and below it the least between it and the one before."""
    before = floor
    for strength in floor + _GRID:
        if fits(float(strength)):
            return _least(fits, before, float(strength))
        before = float(strength)
    return math.inf
