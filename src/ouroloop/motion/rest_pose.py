"""A T-posed skeleton from joint positions: bone lengths are measured, directions are those of a standing T.

Limbs get median lengths, the same left and right. The pelvis (hips and lowest spine joint) and the chest (neck and
collars) are rigid triangles whose shape is the median shape in the data. Feet point forward and down by the drop from
ankle to ball of foot, measured where the foot stands still.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.rotations import cross, normalise
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton

__all__ = ["check_positions", "chest_frame", "pelvis_frame", "rest_skeleton"]

_MIRROR = np.array([-1.0, 1.0, 1.0])
_UP_SHARE = np.array([0.0, 0.968, 0.25])  # the head's joint lies above and a little before the neck's
_SHORTEST_BONE_M = 1e-3
_SAME_HEIGHT_M = 0.02  # the other foot counts as standing as well up to this height above the lower one
_LEVEL = np.array([1.0, 0.0, 1.0])


def check_positions(positions: np.ndarray, what: str = "positions") -> np.ndarray:
    """The positions as float64 (T, 22, 3).

    Raises:
        DataError: another shape, no frame, NaN or infinity, a bone shorter than 1 mm in some frame.
    """
    positions = np.asarray(positions, dtype=np.float64)
    if positions.ndim != 3 or positions.shape[1:] != (22, 3) or len(positions) == 0:
        raise DataError(f"{what}: got shape {positions.shape}; expected (frames, 22, 3) with at least one frame")
    finite = np.isfinite(positions.reshape(len(positions), -1)).all(axis=1)
    if not finite.all():
        raise DataError(
            f"{what}: NaN or infinite in {int((~finite).sum())} of {len(positions)} frames, "
            f"first in frame {int(np.argmin(finite))}"
        )
    bones = positions[:, 1:] - positions[:, HUMANML3D_PARENTS[1:]]
    short = np.einsum("tji,tji->tj", bones, bones) < _SHORTEST_BONE_M**2
    if short.any():
        frame, bone = np.argwhere(short)[0]
        raise DataError(
            f"{what}: zero-length bone to {HUMANML3D_NAMES[bone + 1]!r} in frame {frame}; "
            f"joints on top of one another have no direction (are the units right, is the joint missing?)"
        )
    return positions


def _frame(lateral: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Matrices (..., 3, 3) with columns x (to the left), y (up, as far as x allows), z (forward)."""
    x = normalise(lateral)
    y = normalise(up - np.einsum("...i,...i->...", up, x)[..., None] * x)
    return np.stack([x, y, cross(x, y)], axis=-1)


def pelvis_frame(positions: np.ndarray) -> np.ndarray:
    """(..., 3, 3) frame of the pelvis from hips and lowest spine joint of positions (..., 22, 3)."""
    left, right = positions[..., 1, :], positions[..., 2, :]
    return _frame(left - right, positions[..., 3, :] - (left + right) / 2)


def chest_frame(positions: np.ndarray) -> np.ndarray:
    """(..., 3, 3) frame of the chest from collars, neck and uppermost spine joint of positions (..., 22, 3)."""
    return _frame(positions[..., 13, :] - positions[..., 14, :], positions[..., 12, :] - positions[..., 9, :])


def _speed(track: np.ndarray) -> np.ndarray:
    """(T,) metres a frame of a point (T, 3); 0 for a single frame."""
    return np.linalg.norm(np.gradient(track, axis=0), axis=-1) if len(track) > 1 else np.zeros(1)


def _foot_drop(clips: Sequence[np.ndarray], length: float) -> float:
    """Metres from ankle down to ball of foot when the foot stands: the median over frames in which it keeps still.

    Feet are compared with each other and with themselves, never with a floor, which may sink, rise or bob in the data.
    """
    drops = []
    for clip in clips:
        lowest = clip[:, [10, 11], 1].min(axis=1)
        for ankle, ball in ((7, 10), (8, 11)):
            stands = clip[:, ball, 1] <= lowest + _SAME_HEIGHT_M
            moves = _speed(clip[:, ball] - clip[:, ankle]) + 0.5 * _speed(clip[:, ball] * _LEVEL)
            if stands.any():
                still = stands & (moves <= np.percentile(moves[stands], 40))
                drops.append(clip[still, ankle, 1] - clip[still, ball, 1])
    return float(np.clip(np.median(np.concatenate(drops)), 0.15 * length, 0.75 * length))


def _triangle(sample: np.ndarray, frame: np.ndarray, parent: int, children: tuple[int, int, int]) -> np.ndarray:
    """Median offsets of three children in their parent's frame; the first in the middle, the others mirrored."""
    middle, left, right = (
        np.median(np.einsum("tji,tj->ti", frame, sample[:, child] - sample[:, parent]), axis=0) for child in children
    )
    left = (left + right * _MIRROR) / 2
    return np.stack([middle * [0.0, 1.0, 1.0], left, left * _MIRROR])


def rest_skeleton(clips: Sequence[np.ndarray], foot_drop: float | None = None) -> Skeleton:
    """The T-posed 22-joint skeleton of one body, from one or more clips of joint positions.

    In the rest pose x is to the body's left, y up, z forward; every joint frame equals the world's.

    Args:
        clips: joint positions (T, 22, 3) in metres; at most 200 frames of each are looked at.
        foot_drop: metres from ankle down to ball of foot in the rest pose; measured when None.

    Raises:
        DataError: no clips, or clips that `check_positions` refuses.
    """
    if not len(clips):
        raise DataError("rest_skeleton: no clips; give at least one array (frames, 22, 3)")
    clips = [check_positions(clip) for clip in clips]
    sample = np.concatenate([clip[:: -(-len(clip) // 200)] for clip in clips])
    length = np.zeros(22)
    length[1:] = np.median(np.linalg.norm(sample[:, 1:] - sample[:, HUMANML3D_PARENTS[1:]], axis=-1), axis=0)
    for left, right in ((4, 5), (7, 8), (10, 11), (16, 17), (18, 19), (20, 21)):
        length[left] = length[right] = (length[left] + length[right]) / 2
    offsets = np.zeros((22, 3))
    offsets[[3, 1, 2]] = _triangle(sample, pelvis_frame(sample), 0, (3, 1, 2))
    offsets[[12, 13, 14]] = _triangle(sample, chest_frame(sample), 9, (12, 13, 14))
    offsets[[6, 9], 1] = length[[6, 9]]
    offsets[[4, 5, 7, 8], 1] = -length[[4, 5, 7, 8]]
    offsets[[16, 18, 20], 0] = length[[16, 18, 20]]
    offsets[[17, 19, 21], 0] = -length[[17, 19, 21]]
    offsets[15] = length[15] * _UP_SHARE / np.linalg.norm(_UP_SHARE)
    drop = _foot_drop(clips, length[10]) if foot_drop is None else min(foot_drop, 0.95 * length[10])
    offsets[[10, 11]] = [0.0, -drop, np.sqrt(length[10] ** 2 - drop**2)]
    return Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, offsets)
