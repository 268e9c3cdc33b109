"""Forecast of a curated loop: the exact operator on the real rows' rewards, as if the model had no error of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ouroloop.theory import curation
from ouroloop.theory.forecast import Forecast

__all__ = ["curated_forecasts"]

_POINTS = 1000  # rewards are gathered into at most so many levels on either side of what is liked
_WIDEST = 10_000.0  # rewards farther apart have no law: see `curation.step`
_SOURCE = "Ferbach et al., arXiv 2407.09499, equation 6; evaluated exactly as derived in docs/theory.md"
_NOTE = (
    "a model without error of its own, many rows; the real rows' rewards stand for their distribution. A model with "
    "error goes on from what it makes, not from this curve"
)


def curated_forecasts(spec: Mapping[str, Any], rewards: np.ndarray, liked: float) -> list[Forecast]:
    """Mean reward and share of liked rows of a loop under the corrector `curate`, generations 0 to the last.

    Args:
        spec: a resolved specification with the corrector `curate` at infinite strength.
        rewards: of the real rows, float64 (n,).
        liked: rewards above it count as liked.

    Returns:
        Two forecasts, or none for a regime without a law (all but replace and fixed_real), rewards more than 10,000
        apart, or a guard that mixes real rows in.
    """
    regime, choices = spec["regime"], int(spec["corrector"]["choices"])
    ratio = {"replace": np.inf, "fixed_real": float(regime.get("synthetic_ratio", 0.0)) / choices}
    guarded = spec.get("guards", {}).get("min_real_share", 0.0) > 0
    if regime.get("kind") not in ratio or len(rewards) == 0 or guarded:
        return []
    rewards = np.asarray(rewards, np.float64)
    if not rewards.max() / 2 - rewards.min() / 2 <= _WIDEST / 2:  # halved, so that it cannot overflow
        return []
    levels, real = _levels(rewards, liked)
    found, means, shares = real, [], []
    for _ in range(int(spec["generations"]) + 1):
        means.append(float(found @ levels))
        shares.append(float(found[levels > liked].sum()))
        found = curation.mixed_step(found, levels, choices, real, ratio[regime["kind"]])
    shared: dict[str, Any] = {"label": "curation operator", "source": _SOURCE, "validity": "heuristic", "note": _NOTE}
    return [
        Forecast(metric="reward", units="units of the reward", values=np.array(means), **shared),
        Forecast(metric="liked_share", units="", values=np.array(shares), **shared),
    ]


def _levels(rewards: np.ndarray, liked: float) -> tuple[np.ndarray, np.ndarray]:
    """Distinct rewards and their shares; where there are many, the means of neighbours that are liked alike."""
    levels, counts = np.unique(rewards, return_counts=True)
    if len(levels) <= _POINTS:
        return levels, counts / len(rewards)
    group = (np.cumsum(counts) - 1) * _POINTS // len(rewards) + _POINTS * (levels > liked)
    weight = np.bincount(group, counts)
    total = np.bincount(group, counts * levels)
    used = weight > 0
    return total[used] / weight[used], weight[used] / len(rewards)
