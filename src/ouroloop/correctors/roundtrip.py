"""No correction but the round trip through joint positions: what the representation alone does to a motion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ouroloop.correction import Correction
from ouroloop.correctors.motion_rows import Judged, by_positions
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

__all__ = ["Roundtrip"]


@dataclass(frozen=True, kw_only=True)
class Roundtrip:
    """Features decoded to joint positions and encoded again: velocities and rotations then agree with positions.

    Every other corrector of motions makes this trip, so this is the control that tells its effect from theirs.
    Rows are HumanML3D features at 20 frames a second (``x``, ``length``).
    """

    def fit(self, reference: Reference, *, key: Key) -> Roundtrip:
        """Nothing to prepare."""
        return replace(self)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Every motion, there and back."""
        return by_positions(synthetic, self.judge)

    def judge(self, motions: list[np.ndarray], fps: float) -> Judged:
        """The motions as they are: the trip is what `correct` adds."""
        return motions, [Verdict.CHANGED] * len(motions)
