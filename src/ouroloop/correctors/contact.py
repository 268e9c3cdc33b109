"""Correction of contacts by kinematics alone: the control that says what the simulator adds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.motion_rows import Judged, by_positions
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

__all__ = ["Contact"]


@dataclass(frozen=True, kw_only=True)
class Contact:
    """The floor at height 0, standing feet held still, legs bent to suit; nothing is simulated.

    Rows are HumanML3D features at 20 frames a second (``x``, ``length``).

    Args:
        clearance: metres that a swinging foot is kept off the floor.
    """

    clearance: Annotated[
        float, Field(ge=0, le=0.2, description="metres that a swinging foot is kept off the floor")
    ] = 0.03

    def fit(self, reference: Reference, *, key: Key) -> Contact:
        """Nothing to prepare."""
        return replace(self)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Every motion with its feet on the floor."""
        return by_positions(synthetic, self.judge)

    def judge(self, motions: list[np.ndarray], fps: float) -> Judged:
        """Joint positions (T, 22, 3) in m, y up, at any frame rate, with their feet on the floor."""
        from ouroloop.motion.physics.conditioning import ConditioningOptions
        from ouroloop.motion.physics.correct import correct
        from ouroloop.motion.physics.options import PhysicsOptions

        steps = ConditioningOptions(
            denoise=False, limits=False, moving_floor=False, drift=False, clearance=self.clearance
        )
        results = correct(motions, fps, PhysicsOptions(mode="kinematic", conditioning=steps))
        verdicts = [Verdict.FAILED if result.verdict == "failed" else Verdict.CHANGED for result in results]
        return [result.positions for result in results], verdicts
