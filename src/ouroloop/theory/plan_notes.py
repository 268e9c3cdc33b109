"""What is to be known about an answer of the planner, in words."""

from __future__ import annotations

import math
from dataclasses import replace

from ouroloop.theory.needed_strength import stable_strength
from ouroloop.theory.risk_laws import NEVER, FewRows, ManyRows
from ouroloop.theory.rows import MAX_GENERATIONS

__all__ = ["note", "strength_note"]


def note(law: ManyRows, regime: str, ratio: float, distortion: float, stable: bool, kind: str) -> str:
    """What limits the answer for one regime.

    Args:
        law: that the answer comes from. regime, ratio: of the question. distortion: s^2 of the sampler.
        stable: whether the loop is. kind: `law.kind` of the answer.
    """
    gaussian = isinstance(law, FewRows) and law.model == "gaussian"
    if not kind and isinstance(law, FewRows) and not gaussian:
        return "the real rows do not determine the model"
    doubts = []
    if not stable:
        remedy = "correct, or keep real data" if regime == "replace" else "correct, or mix in less"
        doubts = [f"unstable: this sampler's distortion grows without bound at this ratio; {remedy}"]
        if not gaussian:
            return f"{doubts[0]}; the strength needed is for stability, and the risk of a faithful sampler"
    if distortion > 1.0 and regime.startswith("accumulate") and ratio:
        known = "" if gaussian else "risk of a faithful sampler; "
        power = distortion / (1.0 + law.correction_strength) - 1.0
        grows = f"grows as t^{power:.3g}" if power > 0.0 else "grows as log t" if power == 0.0 else "stays bounded"
        doubts.append(f"{known}with this one the variance {grows}")
    elif distortion != 1.0 and not gaussian:
        doubts.append("risk of a faithful sampler; the distortion enters stability only")
    if law.horizon(regime, ratio) < NEVER:
        doubts.append(f"looked at up to generation {law.horizon(regime, ratio)}")
    remarks = {
        "replace": "more synthetic rows a generation slow the loss, correction alone stops it",
        "fresh_real": "needs as many new real rows in every generation",
        "accumulate": "the training set grows with every generation",
    }
    return "; ".join(filter(None, [remarks.get(regime, ""), *doubts]))


def strength_note(
    law: ManyRows, regime: str, generations: int, ratio: float, budget: float, strength: float | None
) -> str:
    """What is to be known about the strength that is needed.

    Args:
        law: that the answer comes from. regime, generations, ratio, budget: of the question.
        strength: what `needed_strength` found.
    """
    few = isinstance(law, FewRows)
    if regime == "replace" and ratio == 0.0:
        return "strength: at this ratio there is nothing to train on"
    if strength is None:
        if not few or math.isnan(law.worst(regime, 1, [ratio])[0]):
            return ""
        if law.model == "gaussian":
            what = "strength, other ratios" if regime == "accumulate_subsample" else "strength"
            return f"{what}: looked at up to generation {MAX_GENERATIONS} alone"
        return "strength: the limit of many rows, all that is known with correction, is wrong for so few"
    if math.isinf(strength):
        perfect = float(replace(law, correction_strength=math.inf).worst(regime, generations, [ratio])[0])
        if perfect <= budget:
            return "strength: a perfect corrector alone keeps the budget"
        return f"strength: none suffices, draws of the real data have {perfect:.4g} times the risk themselves"
    if strength and few and law.model == "least_squares":
        return "strength: from the limit of many rows"
    if strength and isinstance(law, FewRows) and not law.falls_with_strength:
        if strength <= stable_strength(regime, ratio, law.sampler_distortion):
            return "strength: for stability; the risk needs no more"
        return "strength: least of a grid; with this sampler more correction need not be better"
    return ""
