"""How far joints turn: Euler-angle limits of knees, elbows, ankles, hips and toes on local rotations."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

from ouroloop.motion.physics.filters import runs
from ouroloop.motion.rotations import continuous, from_euler, normalise, to_euler

__all__ = ["clamp_to_limits", "limit_excess", "mend_hinges"]

# joint: order of intrinsic rotations, lower and upper bounds in degrees; x forward, y left, z up in the rest pose
_LEFT: dict[int, tuple[str, tuple[float, float, float], tuple[float, float, float]]] = {
    4: ("YXZ", (-3, -12, -15), (150, 12, 15)),  # knee: +y bends it
    18: ("ZXY", (-155, -10, -95), (3, 10, 95)),  # elbow: -z bends the left one
    7: ("YXZ", (-45, -35, -35), (60, 35, 35)),  # ankle
    1: ("YXZ", (-135, -60, -60), (50, 60, 60)),  # hip
    10: ("YXZ", (-50, -5, -5), (30, 5, 5)),  # toes
}


_HINGES = (4, 5, 18, 19)  # knees and elbows
_BROKEN = np.deg2rad(10)
_MARGIN = 0.25  # s


def _both_sides() -> dict[int, tuple[str, np.ndarray, np.ndarray]]:
    limits = {}
    for joint, (order, low, high) in _LEFT.items():
        limits[joint] = (order, np.deg2rad(low), np.deg2rad(high))
        if joint == 18:
            limits[joint + 1] = (order, np.deg2rad((-3, -10, -95)), np.deg2rad((155, 10, 95)))
        else:
            limits[joint + 1] = limits[joint]
    return limits


_LIMITS = _both_sides()


def clamp_to_limits(rotations: np.ndarray) -> np.ndarray:
    """Local rotations (T, 22, 4) with the limited joints brought within their limits."""
    result = rotations.copy()
    for joint, (order, low, high) in _LIMITS.items():
        angles = to_euler(rotations[:, joint], order)
        within = np.clip(angles, low, high)
        wrong = np.abs(angles - within).max(axis=1) > 1e-6
        if wrong.any():
            result[wrong, joint] = from_euler(within[wrong], order)
    return continuous(result)


def limit_excess(rotations: np.ndarray) -> np.ndarray:
    """Radians by which each frame's worst limited joint is beyond its limit, (T,)."""
    worst = np.zeros(len(rotations))
    for joint, (order, low, high) in _LIMITS.items():
        angles = to_euler(rotations[:, joint], order)
        worst = np.maximum(worst, np.abs(angles - np.clip(angles, low, high)).max(axis=1))
    return worst


def mend_hinges(rotations: np.ndarray, rate: float) -> tuple[np.ndarray, int]:
    """Bridge stretches in which a knee or an elbow is bent far the wrong way.

    Where a hinge is more than `_BROKEN` past its limit the frames before and after are suspect as well: what bent it
    did so gradually. The stretch and `_MARGIN` seconds on either side are interpolated; a stretch that is as long as
    half the clip is left alone.

    Args:
        rotations: (T, 22, 4) local. rate: frames a second.

    Returns:
        the rotations and the number of frames bridged (of all hinges).
    """
    result, bridged, frames = rotations.copy(), 0, np.arange(len(rotations))
    for joint in _HINGES:
        order, low, high = _LIMITS[joint]
        bend = to_euler(rotations[:, joint], order)[:, 0]  # noise alone turns the other two past their limits
        excess = np.abs(bend - np.clip(bend, low[0], high[0]))
        broken = np.zeros(len(rotations), bool)
        for start, stop in runs(excess > 0):
            broken[start:stop] = excess[start:stop].max() > _BROKEN
        if not broken.any():
            continue
        broken = np.asarray(binary_dilation(broken, iterations=max(1, round(_MARGIN * rate))), bool)
        good = np.flatnonzero(~broken)
        if len(good) < len(frames) / 2:
            continue
        track = continuous(rotations[:, joint])
        result[:, joint] = normalise(np.stack([np.interp(frames, good, part) for part in track[good].T], axis=1))
        bridged += int(broken.sum())
    return result, bridged
