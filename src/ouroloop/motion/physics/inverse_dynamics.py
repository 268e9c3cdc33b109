"""Feed-forward: the joint torques, contact forces and residual wrench that the reference motion itself asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ouroloop.motion.physics.body import JOINTS, PARENTS
from ouroloop.motion.physics.contact_forces import contact_forces
from ouroloop.motion.physics.engine import load_mujoco
from ouroloop.motion.physics.filters import blur
from ouroloop.motion.physics.humanoid import Humanoid
from ouroloop.motion.physics.resampling import Reference
from ouroloop.motion.rotations import conjugate, cross, rotate

__all__ = ["FeedForward", "feed_forward"]

_SMOOTH_ACCELERATION = 0.03  # s
_SMOOTH_FORCES = 0.008  # s


@dataclass(frozen=True, eq=False)
class FeedForward:
    """What a reference needs, one row a frame.

    Args:
        residual: (T, 6) N and N m about the pelvis, world axes: what no contact explains.
        torques: (T, 21, 3) N m in the child joint's frame.
        carried: (T, 6) N and N m about the pelvis, world axes: what contacts explain.
    """

    residual: np.ndarray
    torques: np.ndarray
    carried: np.ndarray

    def at(self, frames: np.ndarray) -> FeedForward:
        """Interpolated at fractional frame numbers (n,)."""
        low = np.minimum(frames.astype(int), len(self.residual) - 1)
        high = np.minimum(low + 1, len(self.residual) - 1)
        share = frames - low

        def between(x: np.ndarray) -> np.ndarray:
            weight = share.reshape(-1, *([1] * (x.ndim - 1)))
            return x[low] * (1 - weight) + x[high] * weight

        return FeedForward(between(self.residual), between(self.torques), between(self.carried))


def feed_forward(humanoid: Humanoid, reference: Reference) -> FeedForward:
    """Inverse dynamics of a reference with the contact forces that explain its root as far as contacts can."""
    body, rate = humanoid.body, reference.rate
    generalised = _inverse_dynamics(humanoid, reference)
    positions, orientations = body.pose(reference.root, reference.rotations)
    points = body.surface.lowest(positions, orientations)
    wrench = np.concatenate([generalised[:, :3], rotate(orientations[:, 0], generalised[:, 3:6])], axis=1)
    forces = contact_forces(body, points, reference.root, wrench, rate)
    if _SMOOTH_FORCES * rate > 0.3:
        forces = blur(forces, _SMOOTH_FORCES * rate)
    carried_force, carried_torque = _carried(body.surface.joint, points, positions, forces)
    torques = generalised[:, humanoid.joint_velocities].reshape(len(wrench), JOINTS - 1, 3)
    torques = torques - rotate(conjugate(orientations[:, 1:]), carried_torque[:, 1:])
    carried = np.concatenate([carried_force[:, 0], carried_torque[:, 0]], axis=1)
    return FeedForward(wrench - carried, torques, carried)


def _carried(
    joint: np.ndarray, points: np.ndarray, positions: np.ndarray, forces: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Force and torque about each joint, both (T, 22, 3), of the contacts on it and on all beyond it."""
    force = np.zeros((len(points), JOINTS, 3))
    torque = np.zeros_like(force)
    for point in np.flatnonzero(np.abs(forces).max(axis=(0, 2)) > 0):
        at = joint[point]
        force[:, at] += forces[:, point]
        torque[:, at] += cross(points[:, point] - positions[:, at], forces[:, point])
    for child in range(JOINTS - 1, 0, -1):  # children before parents
        parent = PARENTS[child]
        force[:, parent] += force[:, child]
        torque[:, parent] += torque[:, child] + cross(positions[:, child] - positions[:, parent], force[:, child])
    return force, torque


def _inverse_dynamics(humanoid: Humanoid, reference: Reference) -> np.ndarray:
    """Generalised forces (T, 69) of the motion without contacts."""
    mujoco, model = load_mujoco(), humanoid.contactless
    linear = np.gradient(reference.velocity, 1.0 / reference.rate, axis=0)
    angular = np.gradient(reference.angular, 1.0 / reference.rate, axis=0)
    if _SMOOTH_ACCELERATION * reference.rate > 0.3:
        linear, angular = (blur(x, _SMOOTH_ACCELERATION * reference.rate) for x in (linear, angular))
    position = humanoid.state(reference.root, reference.rotations)
    velocity = humanoid.velocity(reference.velocity, reference.angular)
    acceleration = humanoid.velocity(linear, angular)
    data, result = mujoco.MjData(model), np.empty_like(velocity)
    for frame in range(len(position)):
        data.qpos[:], data.qvel[:], data.qacc[:] = position[frame], velocity[frame], acceleration[frame]
        mujoco.mj_inverse(model, data)
        result[frame] = data.qfrc_inverse
    return result
