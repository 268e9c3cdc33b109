"""Correction of heights alone: the cheapest control of the physics corrector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ouroloop.correction import Correction
from ouroloop.correctors.motion_rows import Judged, by_positions
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

__all__ = ["Refloor"]


@dataclass(frozen=True, kw_only=True)
class Refloor:
    """Every motion raised or lowered as a whole so that its standing feet are at height 0.

    Rows are HumanML3D features at 20 frames a second (``x``, ``length``).
    """

    def fit(self, reference: Reference, *, key: Key) -> Refloor:
        """Nothing to prepare."""
        return replace(self)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Every motion on the floor; motions without a body (bones of no length) have failed."""
        return by_positions(synthetic, self.judge)

    def judge(self, motions: list[np.ndarray], fps: float) -> Judged:
        """Joint positions (T, 22, 3) in m, y up, at any frame rate, raised or lowered."""
        from ouroloop.errors import DataError
        from ouroloop.motion.physics.floor import floor_height

        moved, verdicts = [], []
        for positions in motions:
            try:
                height = floor_height(positions, fps)
            except DataError:
                moved.append(positions)
                verdicts.append(Verdict.FAILED)
            else:
                moved.append(positions - np.array([0.0, height, 0.0]))
                verdicts.append(Verdict.CHANGED)
        return moved, verdicts
