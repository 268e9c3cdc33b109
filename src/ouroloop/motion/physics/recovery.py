"""When the simulation loses a motion: noticing it, and blending back to the reference instead of teleporting."""

from __future__ import annotations

import numpy as np

from ouroloop.motion.physics.filters import blur
from ouroloop.motion.rotations import slerp

__all__ = ["blend_after", "lost_frame"]

_FADE = 0.25  # s


def lost_frame(error: np.ndarray, limit: float, diverged: bool) -> int | None:
    """The first frame whose mean joint distance (m) exceeds the limit or is not a number; None if all is well.

    A simulation that the engine gave up is lost from its first frame on at the latest seen.
    """
    wrong = ~(error <= limit)
    if wrong.any():
        return int(np.argmax(wrong))
    return len(error) - 1 if diverged else None


def blend_after(
    simulated: tuple[np.ndarray, np.ndarray],
    reference: tuple[np.ndarray, np.ndarray],
    lost: int,
    rate: float,
) -> tuple[np.ndarray, np.ndarray, int]:
    """Simulated up to half a second before the loss, then easing into the reference.

    Args:
        simulated, reference: root (T, 3) and local rotations (T, 22, 4). lost: the frame of the loss.

    Returns:
        root, rotations and the number of frames that are at least half simulated.
    """
    start = max(0, lost - round(0.75 * rate))
    stop = min(len(reference[0]), start + max(1, round(_FADE * rate)))
    weight = np.zeros(len(reference[0]))
    weight[:start] = 1.0
    if start > 0:
        weight[start:stop] = np.linspace(1.0, 0.0, stop - start)
        weight = np.minimum(blur(weight, 0.05 * rate), np.arange(len(weight)) < lost)
    used = weight > 0
    root, rotations = reference[0].copy(), reference[1].copy()
    share = weight[used]
    root[used] += share[:, None] * (simulated[0][used] - root[used])
    rotations[used] = slerp(rotations[used], simulated[1][used], np.repeat(share[:, None], rotations.shape[1], 1))
    return root, rotations, int((weight >= 0.5).sum())
