"""Arms against a baseline arm, paired by seed: the mean difference with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ouroloop.errors import DataError
from ouroloop.report.load import Arm, Results
from ouroloop.report.metric_names import BOOKKEEPING, describe, ordered
from ouroloop.report.series import interval_of_mean, series_of

__all__ = ["Difference", "baseline_of", "difference", "differences"]


@dataclass(frozen=True)
class Difference:
    """Arm minus baseline in one metric at one generation, over the seeds that both have.

    Args:
        low, high: 95 % t-interval of the mean difference, NaN with fewer than two pairs.
    """

    metric: str
    arm: str
    baseline: str
    generation: int
    pairs: int
    mean: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """ "better", "worse", "higher", "lower", "no difference shown" or "one pair: no interval"."""
        if not np.isfinite(self.low):
            return "one pair: no interval" if self.pairs == 1 else "no pair of seeds"
        if self.low <= 0 <= self.high:
            return "no difference shown"
        direction = "higher" if self.mean > 0 else "lower"
        better = describe(self.metric).better
        if better not in ("lower", "higher"):
            return direction
        return "better" if direction == better else "worse"


def difference(arm: Arm, baseline: Arm, metric: str) -> Difference | None:
    """The difference at the last generation that both arms have measured, or None where neither shares one."""
    ours, theirs = series_of(arm, metric), series_of(baseline, metric)
    if ours is None or theirs is None:
        return None
    common = np.intersect1d(ours.generation[ours.measured], theirs.generation[theirs.measured])
    if not len(common):
        return None
    generation = int(common[-1])
    left, right = ours.values[:, ours.index(generation)].ravel(), theirs.values[:, theirs.index(generation)].ravel()
    other = dict(zip(theirs.seeds, right, strict=True))
    pairs = [value - other[seed] for seed, value in zip(ours.seeds, left, strict=True) if seed in other]
    gaps = np.array([gap for gap in pairs if np.isfinite(gap)])
    mean, _, half = interval_of_mean(gaps.reshape(-1, 1))
    return Difference(
        metric=metric,
        arm=arm.label,
        baseline=baseline.label,
        generation=generation,
        pairs=len(gaps),
        mean=float(mean[0]),
        low=float(mean[0] - half[0]),
        high=float(mean[0] + half[0]),
    )


def baseline_of(results: Results, name: str | None = None) -> Arm:
    """The arm named (by name or label), else the real-only control, else the first control, else the first arm.

    Raises:
        DataError: no arm has that name; the message lists those that there are.
    """
    if name is None:
        controls = [arm for arm in results.arms if arm.control]
        return results.real_only or (controls or list(results.arms))[0]
    for arm in results.arms:
        if name in (arm.name, arm.label):
            return arm
    raise DataError(f"no arm '{name}' to compare with; there are: {', '.join(arm.name for arm in results.arms)}")


def differences(results: Results, baseline: Arm, metrics: Sequence[str] | None = None) -> list[Difference]:
    """Every other arm against the baseline, metric by metric (bookkeeping and the alarm left out)."""
    names = [name for run in results.runs for name in run.tracks]
    wanted = metrics if metrics is not None else [n for n in ordered(names, None) if n not in BOOKKEEPING]
    found = (difference(arm, baseline, metric) for metric in wanted for arm in results.arms if arm is not baseline)
    return [entry for entry in found if entry is not None]
