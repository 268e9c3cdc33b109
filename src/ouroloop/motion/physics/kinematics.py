"""Inverse kinematics in the simulator's axes."""

from __future__ import annotations

import numpy as np

from ouroloop.motion import inverse_kinematics as library
from ouroloop.motion.physics.body import Body, Leg, from_simulator, to_simulator
from ouroloop.motion.physics.filters import penalty_of, smooth
from ouroloop.motion.refinement import refined
from ouroloop.motion.rotations import continuous, normalise

__all__ = ["joint_rotations", "leg_rotations"]

_GOOD_FIT = 0.003  # m: a closed form that comes this near is not refined
_TRUNK = [0, 3, 6, 9, 12, 13, 14, 15]


def joint_rotations(
    body: Body, positions: np.ndarray, fps: float, *, cutoff: float = 0.0, refine: bool = True
) -> tuple[np.ndarray, np.ndarray, float]:
    """Root (T, 3) and local rotations (T, 22, 4) of joint positions (T, 22, 3), and the mean error in m.

    Args:
        cutoff: Hz to which the positions were smoothed; 0 if they were not. Short bones amplify noise, so the trunk's
            rotations are smoothed, too.
        refine: improve a poor fit by least squares.

    Raises:
        DataError: NaN, or bones of no length.
    """
    outside, skeleton = from_simulator(positions), body.skeleton
    root, rotations = library.inverse_kinematics(outside, skeleton, fps)
    error = _error(skeleton.forward(root, rotations), outside)
    if refine and error > _GOOD_FIT:
        if cutoff > 0:
            trunk = smooth(continuous(rotations[:, _TRUNK]), penalty_of(min(2.5, cutoff), fps))
            rotations[:, _TRUNK] = normalise(trunk)
        root, rotations = refined(root, rotations, outside, skeleton, 3)
        error = _error(skeleton.forward(root, rotations), outside)
    return to_simulator(root), to_simulator(rotations), error


def leg_rotations(body: Body, leg: Leg, pelvis: np.ndarray, points: np.ndarray, fps: float) -> np.ndarray:
    """Local rotations (T, 4, 4) of hip, knee, ankle and foot at points (T, 4, 3); pelvis (T, 4) is global."""
    local = library.leg_rotations(body.skeleton, leg.hip, from_simulator(pelvis), from_simulator(points), fps)
    return to_simulator(local)


def _error(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.linalg.norm(a - b, axis=-1).mean())
