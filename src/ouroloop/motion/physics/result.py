"""What the physics corrector says about a clip."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from ouroloop.motion.physics.conditioning import ConditioningReport
from ouroloop.motion.skeleton import Skeleton

__all__ = ["PhysicsResult", "PhysicsVerdict"]


class PhysicsVerdict(StrEnum):
    """What became of a clip.

    UNCHANGED: nothing was wrong that physics can see; the simulated motion is the input up to the tracking error.
    CORRECTED: a fault was found, and mended. BLENDED: lost by the simulation; partly or wholly kinematic.
    KEPT: lost, and the input returned as it was. DROPPED: lost, and no motion returned. FAILED: nothing could be done.
    """

    UNCHANGED = "unchanged"
    CORRECTED = "corrected"
    BLENDED = "blended"
    KEPT = "kept"
    DROPPED = "dropped"
    FAILED = "failed"


@dataclass(frozen=True, eq=False)
class PhysicsResult:
    """One clip's answer.

    Args:
        positions: (T, 22, 3) m, y up, as many frames as the input; the input where the verdict is KEPT, DROPPED or
            FAILED.
        verdict: see `PhysicsVerdict`. message: why, in words.
        tracking_error: mm, mean joint distance of the simulation from its reference (NaN where none was run).
        fell: whether the simulation lost the motion at the bounds that were asked for.
        assistance: factor on the bounds at which the returned motion was simulated; 0: it was not.
        residual_force: body weights, mean size of the residual force; residual_torque: N m.
        residual_share: share of the frames with more than 2 % of a body weight or 5 N m of help.
        distance_moved: mm, mean joint distance from the input.
        conditioning: what was mended kinematically.
        skeleton, root, rotations: the motion as bones and local rotations, y up; None where there is none.
    """

    positions: np.ndarray
    verdict: PhysicsVerdict
    message: str
    tracking_error: float = float("nan")
    fell: bool = False
    assistance: float = 0.0
    residual_force: float = 0.0
    residual_torque: float = 0.0
    residual_share: float = 0.0
    distance_moved: float = 0.0
    conditioning: ConditioningReport = field(default_factory=ConditioningReport)
    skeleton: Skeleton | None = None
    root: np.ndarray | None = None
    rotations: np.ndarray | None = None
