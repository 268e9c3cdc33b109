"""What is to be known about an answer of the planner, in words."""

from __future__ import annotations

from ouroloop.theory.risk_laws import NEVER, FewRows, ManyRows

__all__ = ["note"]


def note(law: ManyRows, regime: str, ratio: float, distortion: float, stable: bool, kind: str) -> str:
    """What limits the answer for one regime.

    Args:
        law: that the answer comes from. regime, ratio: of the question. distortion: s^2 of the sampler.
        stable: whether the loop is. kind: `law.kind` of the answer.
    """
    gaussian = isinstance(law, FewRows) and law.model == "gaussian"
    if not kind and isinstance(law, FewRows) and not gaussian and regime != "accumulate_subsample":
        return "the real rows do not determine the model"
    doubts = []
    if not stable:
        remedy = {"fixed_real": "correct, or mix in less", "replace": "keep real data"}.get(regime, "mix in less")
        doubts = [f"unstable: this sampler's distortion grows without bound at this ratio; {remedy}"]
        if not gaussian:
            return doubts[0]
    if distortion > 1.0 and regime.startswith("accumulate") and ratio:
        known = "" if gaussian else "risk of a faithful sampler; "
        doubts.append(f"{known}with this one the variance grows as t^{distortion - 1.0:.3g}")
    elif distortion != 1.0 and not gaussian:
        doubts.append("risk of a faithful sampler; the distortion enters stability only")
    if law.correction_strength and not law.strength(regime):
        doubts.append("without the correction: no closed form with it")
    if kind and law.horizon(regime) < NEVER:
        doubts.append(f"looked at up to generation {law.horizon(regime)}")
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
