"""What a motion asks of the joints: torques by inverse dynamics, against what the humanoid's joints can give."""

from __future__ import annotations

import numpy as np

from ouroloop.motion.physics.body import Body
from ouroloop.motion.physics.engine import quiet
from ouroloop.motion.physics.humanoid import Humanoid, ResidualBounds, build_humanoid
from ouroloop.motion.physics.inverse_dynamics import feed_forward
from ouroloop.motion.physics.resampling import resample

__all__ = ["torque_demand", "torque_excess", "torque_humanoid"]

_TIMESTEP = 1.0 / 240.0  # s; inverse dynamics does not use it


def torque_humanoid(body: Body) -> Humanoid:
    """The humanoid of a body that torques are measured on.

    Raises:
        MissingExtraError: MuJoCo is not installed.
    """
    return build_humanoid(body, _TIMESTEP, ResidualBounds(0.0, 0.0, 0.0))


def torque_demand(body: Body, root: np.ndarray, rotations: np.ndarray, fps: float) -> np.ndarray:
    """N m at joints 1 to 21 that a motion asks for, (T, 21), at the motion's own frame rate.

    Feet that are low and slow are taken to stand, and to push as far as that explains the root's motion; what it does
    not explain (somebody flies) is nobody's torque. Masses are those of the corrector's humanoid.

    Args:
        root: (T, 3) m, rotations: (T, 22, 4) local, both in the simulator's axes, soles on the floor at z = 0; at least
            two frames. fps: frames a second.

    Raises:
        MissingExtraError: MuJoCo is not installed.
    """
    reference = resample(root, rotations, fps, fps)
    with quiet():
        feed = feed_forward(torque_humanoid(body), reference)
    return np.linalg.norm(feed.torques, axis=-1)


def torque_excess(body: Body, root: np.ndarray, rotations: np.ndarray, fps: float) -> np.ndarray:
    """N m by which each frame's most overtaxed joint is beyond its limit, (T,); 0 where all are within theirs.

    Arguments and errors as for `torque_demand`.
    """
    limits = torque_humanoid(body).servo_gains[2]
    return np.maximum(torque_demand(body, root, rotations, fps) - limits, 0.0).max(axis=1)
