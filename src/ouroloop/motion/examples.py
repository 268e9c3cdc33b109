"""Motions that are made, not recorded: a figure that stands and one that walks, for examples and tests."""

from __future__ import annotations

import numpy as np

from ouroloop.motion.rotations import from_rotation_vector
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton

__all__ = ["SKELETON", "standing", "walking"]

_FPS = 20.0
_THIGH, _SHANK = 0.40, 0.41  # m
_OFFSETS = {
    1: (0.09, -0.08, 0), 2: (-0.09, -0.08, 0), 3: (0, 0.12, 0), 4: (0, -_THIGH, 0), 5: (0, -_THIGH, 0),
    6: (0, 0.13, 0), 7: (0, -_SHANK, 0), 8: (0, -_SHANK, 0), 9: (0, 0.06, 0), 10: (0, -0.06, 0.13),
    11: (0, -0.06, 0.13), 12: (0, 0.21, 0), 13: (0.07, 0.11, 0), 14: (-0.07, 0.11, 0), 15: (0, 0.12, 0.03),
    16: (0.11, 0, 0), 17: (-0.11, 0, 0), 18: (0.26, 0, 0), 19: (-0.26, 0, 0), 20: (0.25, 0, 0), 21: (-0.25, 0, 0),
}  # fmt: skip
SKELETON = Skeleton(
    HUMANML3D_NAMES, HUMANML3D_PARENTS, np.array([_OFFSETS.get(joint, (0, 0, 0)) for joint in range(22)], float)
)
"""An adult of 1.7 m in a T-pose, y up."""
_UPRIGHT = 0.08 + _THIGH + _SHANK + 0.06  # m, of the pelvis over the foot joints
_BENT = 0.03  # m by which a walker's hips are lower


def standing(frames: int = 30, height: float = 0.0) -> np.ndarray:
    """Arms down, breathing slightly, foot joints at `height` m; positions (frames, 22, 3), y up, 20 fps."""
    root = np.zeros((frames, 3))
    root[:, 1] = _UPRIGHT + height
    return SKELETON.forward(root, _trunk(frames))


def walking(frames: int = 50, speed: float = 0.6, step: float = 0.6) -> np.ndarray:
    """Steps of `step` s along z at `speed` m/s; positions (frames, 22, 3), y up, 20 fps."""
    seconds = np.arange(frames) / _FPS
    root = np.stack([np.zeros(frames), np.full(frames, _UPRIGHT - _BENT), speed * seconds], axis=1)
    positions = SKELETON.forward(root, _trunk(frames))
    for hip, phase in ((1, 0.0), (2, 1.0)):
        cycles = seconds / (2.0 * step) + phase / 2.0
        swing = np.clip(2.0 * (cycles % 1.0), 0.0, 1.0)  # first half of a cycle: the foot moves; second: it stands
        travelled = np.floor(cycles) + 0.5 * (1.0 - np.cos(np.pi * swing))
        ankle = positions[:, hip].copy()
        ankle[:, 1] = 0.06 + 0.08 * np.sin(np.pi * swing) ** 2
        ankle[:, 2] = 2.0 * step * speed * (travelled - 0.25 - phase / 2.0)
        knee, foot = hip + 3, hip + 9
        positions[:, knee] = _knee(positions[:, hip], ankle)
        positions[:, hip + 6], positions[:, foot] = ankle, ankle + np.array([0.0, -0.06, 0.13])
    return positions


def _trunk(frames: int) -> np.ndarray:
    """Local rotations (frames, 22, 4): arms down, the chest breathing."""
    rotations = np.tile([1.0, 0, 0, 0], (frames, 22, 1))
    breath = 0.02 * np.sin(2 * np.pi * 0.3 * np.arange(frames) / _FPS)
    for joint, axis, angle in ((16, 2, -1.3), (17, 2, 1.3), (9, 0, breath)):
        vector = np.zeros((frames, 3))
        vector[:, axis] = angle
        rotations[:, joint] = from_rotation_vector(vector)
    return rotations


def _knee(hip: np.ndarray, ankle: np.ndarray) -> np.ndarray:
    """Where a knee is that bends forward between hip and ankle, both (frames, 3)."""
    line = ankle - hip
    reach = np.linalg.norm(line, axis=1, keepdims=True)
    line = line / reach
    along = (_THIGH**2 - _SHANK**2 + reach**2) / (2.0 * reach)
    forward = np.stack([np.zeros(len(line)), -line[:, 2], line[:, 1]], axis=1) * -1.0
    return hip + along * line + np.sqrt(np.maximum(_THIGH**2 - along**2, 0.0)) * forward
