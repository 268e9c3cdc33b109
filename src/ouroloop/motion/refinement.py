"""Least squares on joint positions: rotations that are nearly right, made better."""

from __future__ import annotations

import numpy as np

from ouroloop.motion.rotations import conjugate, continuous, from_rotation_vector, multiply, normalise
from ouroloop.motion.skeleton import Skeleton

__all__ = ["refined"]

_DAMPING = 0.03  # metres a radian: turns that move no joint are left alone
_LARGEST_STEP = 0.3  # radians
_CHUNK_FRAMES = 256


def refined(
    root: np.ndarray, rotations: np.ndarray, positions: np.ndarray, skeleton: Skeleton, steps: int = 3
) -> tuple[np.ndarray, np.ndarray]:
    """Damped Gauss-Newton steps on the squared distances of all joints, each frame by itself, in bounded memory.

    Args:
        root: (T, 3) metres. rotations: (T, J, 4) local. positions: (T, J, 3) metres, where the joints should be.
        skeleton: J joints.
        steps: how many.

    Returns:
        root and rotations, continuous in time.
    """
    root, rotations = root.copy(), rotations.copy()
    below = _below(skeleton)
    for start in range(0, len(root), _CHUNK_FRAMES):
        some = slice(start, start + _CHUNK_FRAMES)
        for _ in range(steps):
            root[some], rotations[some] = _step(root[some], rotations[some], positions[some], skeleton, below)
    return root, continuous(rotations)


def _below(skeleton: Skeleton) -> np.ndarray:
    """(J, J) 1 where the second joint hangs, over any number of bones, on the first."""
    below = np.zeros((len(skeleton), len(skeleton)))
    for joint in range(1, len(skeleton)):
        above = skeleton.parents[joint]
        while above >= 0:
            below[above, joint] = 1
            above = skeleton.parents[above]
    return below


def _step(
    root: np.ndarray, rotations: np.ndarray, positions: np.ndarray, skeleton: Skeleton, below: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    frames, joints = len(root), len(skeleton)
    now, world = skeleton.poses(root, rotations)
    # a turn w of joint k moves joint i below it by w x (p_i - p_k); moved[t, i, :, k, :] is that map
    arm = (now[:, :, None] - now[:, None, :]) * below.T[:, :, None]
    moved = np.zeros((frames, joints, 3, joints, 3))
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        moved[:, :, a, :, b] = arm[..., c]
        moved[:, :, b, :, a] = -arm[..., c]
    jacobian = np.concatenate(
        [
            np.broadcast_to(np.tile(np.eye(3), (joints, 1)), (frames, 3 * joints, 3)),
            moved.reshape(frames, 3 * joints, -1),
        ],
        axis=2,
    )
    transposed = jacobian.swapaxes(1, 2)
    normal = transposed @ jacobian
    diagonal = np.arange(normal.shape[1])
    normal[:, diagonal, diagonal] += np.where(diagonal < 3, 1e-6, _DAMPING**2)
    error = (positions - now).reshape(frames, -1, 1)
    change = np.linalg.solve(normal, transposed @ error)[..., 0]
    turn = change[:, 3:].reshape(frames, joints, 3)
    turn *= np.minimum(1, _LARGEST_STEP / np.maximum(np.linalg.norm(turn, axis=-1, keepdims=True), 1e-9))
    above = world[:, list(skeleton.parents)]
    above[:, 0] = [1, 0, 0, 0]
    local_turn = multiply(conjugate(above), multiply(from_rotation_vector(turn), above))
    return root + change[:, :3], normalise(multiply(local_turn, rotations))
