"""DeepMimic's motion files: JSON with frames of 44 numbers, for its one humanoid.

A frame holds its duration in seconds, the root's position, and local rotations: quaternions (w first) for ball
joints, one angle about z for knees and elbows. The body faces +x in its rest pose, its left at -z.

Source: Peng et al., "DeepMimic" (arXiv 1804.02717), its published data; the body is its ``humanoid3d`` character.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import from_rotation_vector
from ouroloop.motion.skeleton import Skeleton
from ouroloop.motion.text_file import read_lines

__all__ = ["HUMANOID", "read_deepmimic"]

HUMANOID = Skeleton(
    (
        "root", "chest", "neck", "right_hip", "right_knee", "right_ankle", "right_shoulder", "right_elbow",
        "right_wrist", "left_hip", "left_knee", "left_ankle", "left_shoulder", "left_elbow", "left_wrist",
    ),
    (-1, 0, 1, 0, 3, 4, 1, 6, 7, 0, 9, 10, 1, 12, 13),
    np.array(
        [
            [0, 0, 0], [0, 0.236151, 0], [0, 0.223894, 0],
            [0, 0, 0.084887], [0, -0.421546, 0], [0, -0.40987, 0],
            [-0.02405, 0.2435, 0.18311], [0, -0.274788, 0], [0, -0.258947, 0],
            [0, 0, -0.084887], [0, -0.421546, 0], [0, -0.40987, 0],
            [-0.02405, 0.2435, -0.18311], [0, -0.274788, 0], [0, -0.258947, 0],
        ]
    ),
)  # fmt: skip
"""The humanoid's joints; the wrists do not turn."""

_HINGES = ("right_knee", "right_elbow", "left_knee", "left_elbow")
_FIXED = ("right_wrist", "left_wrist")
_NUMBERS = 44


def read_deepmimic(path: Path | str) -> Motion:
    """The motion in a DeepMimic file.

    Raises:
        DataError: no readable JSON with "Frames", frames that are ragged, not of 44 numbers, not finite, or of
            different durations.
    """
    path = Path(path)
    try:
        content = json.loads("\n".join(read_lines(path)))
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}: no readable JSON ({error.msg}); is the file cut off?") from error
    frames = content.get("Frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames:
        raise DataError(
            f"{path}: expected an object with a list 'Frames' of at least one frame, as DeepMimic writes it"
        )
    for number, frame in enumerate(frames):
        count = len(frame) if isinstance(frame, list) else 0
        if count != _NUMBERS:
            raise DataError(f"{path}: frame {number} has {count} numbers, expected {_NUMBERS} (DeepMimic's humanoid)")
    try:
        table = np.array(frames, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}: a frame holds something that is no number ({error})") from error
    if not np.isfinite(table).all():
        raise DataError(f"{path}: frame {int(np.argwhere(~np.isfinite(table))[0, 0])} is NaN or infinite")
    durations = table[:-1, 0] if len(table) > 1 else table[:, 0]  # the last one's is not used, and often 0
    if durations.min() <= 0 or np.ptp(durations) > 0.01 * durations.mean():
        raise DataError(
            f"{path}: frames last {durations.min()} to {durations.max()} s; expected one positive duration for all"
        )
    return Motion(HUMANOID, table[:, 1:4], _rotations(table), 1 / durations.mean(), name=path.stem, source=path.name)


def _rotations(table: np.ndarray) -> np.ndarray:
    rotations = np.zeros((len(table), len(HUMANOID), 4))
    column = 4
    for joint, name in enumerate(HUMANOID.names):
        if name in _FIXED:
            rotations[:, joint, 0] = 1
        elif name in _HINGES:
            rotations[:, joint] = from_rotation_vector(table[:, column, None] * np.array([0.0, 0, 1]))
            column += 1
        else:
            rotations[:, joint] = table[:, column : column + 4]
            column += 4
    return rotations
