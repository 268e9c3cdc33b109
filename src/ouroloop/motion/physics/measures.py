"""How physical a motion is: penetration, floating and skating in millimetres, acceleration and jerk.

Measured on the body's surface, not on its joints. A frame penetrates or floats where the body's lowest point lies more
than 5 mm below or above the floor; sole points that stay below 5 mm from one frame to the next skate by what they
move sideways. `measure` reads joint positions alone, so that any motion can be measured; how far feet are rolled and
toes are bent cannot be seen in those: feet are taken to be level, and toes to carry nothing. `measure_pose` knows the
rotations of a simulated body and measures all of its surface.

Source: PhysDiff (arXiv 2212.02500), section 4.1 (penetrate, float, skate and their sum Phys-Err, tolerance 5 mm); they
measure on SMPL's mesh, here a body is built from the skeleton.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.physics.body import SOLE_POINTS, Body, to_simulator
from ouroloop.motion.physics.visible_surface import VISIBLE_SOLES, visible_surface
from ouroloop.motion.skeleton import Skeleton

__all__ = ["TOLERANCE", "Measures", "joint_error", "measure", "measure_pose", "registered_error"]

TOLERANCE = 0.005
"""Metres within which a point is on the floor."""


@dataclass(frozen=True)
class Measures:
    """One clip's numbers, each a mean over its frames.

    Args:
        penetration, floating: mm. skating: mm a frame. deepest: mm, the deepest penetration of any frame.
        acceleration: m/s^2, jerk: m/s^3, of all joints.
    """

    penetration: float
    floating: float
    skating: float
    deepest: float
    acceleration: float
    jerk: float

    @property
    def physics_error(self) -> float:
        """PhysDiff's Phys-Err: penetration + floating + skating."""
        return self.penetration + self.floating + self.skating

    def as_dict(self) -> dict[str, float]:
        """All numbers by name, `physics_error` included."""
        return {**asdict(self), "physics_error": self.physics_error}


def measure(
    positions: np.ndarray,
    fps: float,
    *,
    skeleton: Skeleton | None = None,
    floor: Literal["joints", "soles"] = "joints",
) -> Measures:
    """How physical joint positions are.

    Args:
        positions: (T, 22, 3) m, HumanML3D order, y up. fps: frames a second.
        skeleton: of the person; by default measured from the clip. Give the real one to judge damaged motions.
        floor: what lies at y = 0: the foot joints of a standing body, as in HumanML3D's data, or the soles.

    Raises:
        DataError: another shape, NaN, bones of no length.
    """
    positions = np.asarray(positions, np.float64)
    if positions.ndim != 3 or positions.shape[1:] != (22, 3) or len(positions) == 0:
        raise DataError(f"measure: got positions of shape {positions.shape}; expected (frames, 22, 3)")
    if not np.isfinite(positions).all():
        raise DataError("measure: NaN or infinite positions; correct or drop the clip first")
    if skeleton is None:
        skeleton = Skeleton.from_positions(positions if len(positions) > 1 else np.repeat(positions, 2, axis=0))
    body = Body.of(skeleton)
    inside = to_simulator(positions)
    surface = visible_surface(body, inside)
    if floor == "joints":
        surface[..., 2] += body.ball_radius
    return _measures(inside, surface, VISIBLE_SOLES, fps)


def measure_pose(body: Body, root: np.ndarray, rotations: np.ndarray, fps: float) -> Measures:
    """How physical a posed body is, soles on the floor at z = 0.

    Args:
        root: (T, 3) m, rotations: (T, 22, 4) local, both in the simulator's axes.
    """
    positions, orientations = body.pose(root, rotations)
    return _measures(positions, body.surface.lowest(positions, orientations), SOLE_POINTS, fps)


def _measures(positions: np.ndarray, surface: np.ndarray, soles: int, fps: float) -> Measures:
    lowest = surface[..., 2].min(axis=1)
    return Measures(
        penetration=1e3 * float(np.where(lowest < -TOLERANCE, -lowest, 0.0).mean()),
        floating=1e3 * float(np.where(lowest > TOLERANCE, lowest, 0.0).mean()),
        skating=1e3 * _skating(surface[:, :soles]),
        deepest=1e3 * max(0.0, -float(lowest.min())),
        acceleration=_mean_length(np.diff(positions, 2, axis=0)) * fps**2,
        jerk=_mean_length(np.diff(positions, 3, axis=0)) * fps**3,
    )


def joint_error(a: np.ndarray, b: np.ndarray) -> float:
    """Mean distance of joints (MPJPE) in mm between positions (T, J, 3)."""
    return 1e3 * _mean_length(a - b)


def registered_error(a: np.ndarray, b: np.ndarray) -> float:
    """`joint_error` after the best shift and turn about the vertical (one for the clip) of `a`; y up."""
    a, b = a - a.mean(axis=(0, 1)), b - b.mean(axis=(0, 1))
    flat_a, flat_b = a[..., [0, 2]].reshape(-1, 2), b[..., [0, 2]].reshape(-1, 2)
    moment = flat_a.T @ flat_b
    angle = np.arctan2(moment[0, 1] - moment[1, 0], moment[0, 0] + moment[1, 1])
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    turned = a.copy()
    turned[..., [0, 2]] = a[..., [0, 2]] @ turn
    return joint_error(turned, b)


def _skating(soles: np.ndarray) -> float:
    """Mean over frames of the mean sideways step (m) of the sole points that are down in both frames."""
    if len(soles) < 2:
        return 0.0
    low = soles[..., 2] <= TOLERANCE
    down = low[:-1] & low[1:]
    step = np.linalg.norm(np.diff(soles[..., :2], axis=0), axis=-1)
    count = down.sum(axis=1)
    return float(np.where(count > 0, (step * down).sum(axis=1) / np.maximum(count, 1), 0.0).mean())


def _mean_length(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=-1).mean()) if vectors.size else 0.0
