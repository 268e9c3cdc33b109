"""The simulation: servos follow a reference while a bounded residual wrench helps, many clips at once.

All targets are known beforehand (reference, velocity and feed-forward are folded into the servos' set points), so the
whole clip runs inside MuJoCo: no Python between steps, and each simulation depends on nothing but its own clip.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ouroloop.motion.physics.engine import load_mujoco
from ouroloop.motion.physics.humanoid import Humanoid
from ouroloop.motion.physics.inverse_dynamics import FeedForward
from ouroloop.motion.physics.resampling import Reference
from ouroloop.motion.rotations import conjugate, from_rotation_vector, multiply, rotate

__all__ = ["Tracked", "bounded", "set_points", "track", "tracked"]

_LARGEST_OFFSET = 2.0  # rad: how far a set point may lie ahead of the reference
_CHUNK = 960  # steps a call: bounds the memory, whatever the clips' lengths
_RESIDUAL = 6  # the last numbers of actuator_force: 3 linear servos, then the orientation servo's 3


@dataclass(frozen=True, eq=False)
class Tracked:
    """What became of one clip.

    Args:
        root: (T, 3) m. rotations: (T, 22, 4) local, both at the simulator's rate.
        wrench: (T, 6) N and N m, the residual wrench on the pelvis (torque in its own axes).
        torques: (T, 21, 3) N m of the joint servos.
        diverged: whether the simulator gave up (numbers that grew without bound).
    """

    root: np.ndarray
    rotations: np.ndarray
    wrench: np.ndarray
    torques: np.ndarray
    diverged: bool


def set_points(humanoid: Humanoid, reference: Reference, feed: FeedForward) -> np.ndarray:
    """Controls (T, 91): 21 joint quaternions, the residual's position, and its quaternion.

    A servo's force is stiffness times error less damping times velocity; the set point is moved ahead of the
    reference so that on the reference, at its velocity, the force is the feed-forward. Controls t make step t - 1 to t,
    in which the force is that at its beginning: hence the position and the feed-forward of t - 1, and the mean
    velocity. With those of t the body runs one step ahead of the reference.
    """
    frames = len(reference)
    stiffness, damping, _ = humanoid.servo_gains
    linear, linear_damping, turning, turning_damping = humanoid.residual_gains
    turning_rate, velocity = _during(reference.angular), _during(reference.velocity)
    torques, residual, rotations = map(_before, (feed.torques, feed.residual, reference.rotations))
    ahead = (damping[:, None] * turning_rate[:, 1:] + torques) / stiffness[:, None]
    joints = multiply(rotations[:, 1:], from_rotation_vector(bounded(ahead)))
    place = _before(reference.root) + (linear_damping * velocity + residual[:, :3]) / linear
    own = rotate(conjugate(rotations[:, 0]), residual[:, 3:])
    turn = (turning_damping * turning_rate[:, 0] + own) / turning
    facing = multiply(rotations[:, 0], from_rotation_vector(bounded(turn)))
    return np.concatenate([joints.reshape(frames, -1), place, facing], axis=1)


def _before(values: np.ndarray) -> np.ndarray:
    """What was there one step before each."""
    return np.concatenate([values[:1], values[:-1]])


def _during(values: np.ndarray) -> np.ndarray:
    """Means over the step that leads to each."""
    return 0.5 * (values + _before(values))


def bounded(vectors: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) no longer than a set point may lie ahead."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors * np.minimum(1.0, _LARGEST_OFFSET / np.maximum(length, 1e-9))


def track(
    humanoids: Sequence[Humanoid], references: Sequence[Reference], feeds: Sequence[FeedForward], threads: int = 1
) -> list[Tracked]:
    """Simulate clips that may differ in body and length; each result is that of the clip alone.

    Args:
        humanoids, references, feeds: one a clip; references at the simulator's rate.
        threads: of MuJoCo's pool.
    """
    mujoco = load_mujoco()
    lengths = np.array([len(reference) for reference in references])
    batch = mujoco.batch.Batch(humanoids[0].model, len(humanoids), threads)
    batch.set_models([humanoid.model for humanoid in humanoids])
    batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE.value)
    qpos, qvel = batch.bind("qpos"), batch.bind("qvel")
    states, forces, controls = [], [], []
    for row, (humanoid, reference, feed) in enumerate(zip(humanoids, references, feeds, strict=True)):
        qpos[row] = humanoid.state(reference.root[0], reference.rotations[0])
        qvel[row] = humanoid.velocity(reference.velocity[0], reference.angular[0])
        states.append(np.repeat(qpos[row][None], lengths[row], axis=0))
        forces.append(np.zeros((lengths[row], 3 * 21 + _RESIDUAL)))
        controls.append(set_points(humanoid, reference, feed))
    done = 1  # frame 0 is the initial state
    while done < lengths.max():
        rows = np.flatnonzero(lengths > done)
        steps = int(min(lengths[rows].min() - done, _CHUNK))
        stretch = np.stack([controls[row][done : done + steps] for row in rows])
        record = batch.rollout(
            steps,
            stretch,
            control_spec=mujoco.mjtState.mjSTATE_CTRL.value,
            record=("qpos", "actuator_force"),
            ids=rows,
        )
        for position, row in enumerate(rows):
            states[row][done : done + steps] = record["qpos"][position]
            forces[row][done : done + steps] = record["actuator_force"][position]
        done += steps
    diverged = batch.warning[..., 1].sum(axis=1) > 0
    return [
        tracked(humanoid, state, force, bool(gone))
        for humanoid, state, force, gone in zip(humanoids, states, forces, diverged, strict=True)
    ]


def tracked(humanoid: Humanoid, state: np.ndarray, force: np.ndarray, diverged: bool) -> Tracked:
    """The outcome as numbers of joints: qpos (T, 91) and actuator forces (T, 69) taken apart."""
    root, rotations = humanoid.pose(state)
    return Tracked(root, rotations, force[:, -_RESIDUAL:], force[:, :-_RESIDUAL].reshape(len(state), 21, 3), diverged)
