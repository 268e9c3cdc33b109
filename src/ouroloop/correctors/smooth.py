"""Correction by smoothing alone: a control of the physics corrector, which smooths too."""

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

__all__ = ["Smooth"]


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """Joint positions smoothed along time by penalised least squares (Whittaker).

    Rows are HumanML3D features at 20 frames a second (``x``, ``length``).

    Args:
        cutoff: Hz at which a movement's power is halved.
    """

    cutoff: Annotated[float, Field(gt=0, lt=10, description="hertz at which a movement's power is halved")] = 4.0

    def fit(self, reference: Reference, *, key: Key) -> Smooth:
        """Nothing to prepare."""
        return replace(self)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Every motion smoothed; motions of three frames or fewer stay as they are."""
        return by_positions(synthetic, self.judge)

    def judge(self, motions: list[np.ndarray], fps: float) -> Judged:
        """Joint positions (T, 22, 3) in m, y up, at any frame rate, smoothed."""
        from ouroloop.motion.physics.filters import penalty_of, smooth

        penalty = penalty_of(self.cutoff, fps)
        verdicts = [Verdict.KEPT if len(motion) <= 3 else Verdict.CHANGED for motion in motions]
        return [smooth(motion, penalty) for motion in motions], verdicts
