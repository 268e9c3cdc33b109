"""The simulated body without a simulator: bone offsets, masses, and the points of its surface.

Inside `ouroloop.motion.physics` the axes are the simulator's: x forward, y to the person's left, z up. Positions are
converted at the doors by `to_simulator` and `from_simulator`, a cyclic change of axes, so handedness is kept.
Every local rotation is the identity in the rest pose (a T-pose facing x).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ouroloop.motion.rotations import multiply, rotate
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton

__all__ = [
    "LEGS",
    "SHORTEST",
    "SOLE_POINTS",
    "TALLEST",
    "Body",
    "Leg",
    "Surface",
    "from_simulator",
    "limb_capsules",
    "to_simulator",
]

JOINTS = 22
SOLE_POINTS = 12
SHORTEST, TALLEST = 0.5, 3.0  # m: what a human's stature is taken to lie between
PARENTS = HUMANML3D_PARENTS
_LEVELS = ((1, 2, 3), (4, 5, 6), (7, 8, 9), (10, 11, 12, 13, 14), (15, 16, 17), (18, 19), (20, 21))
_REFERENCE_HEIGHT = 1.70  # metres: the stature at which the radii below are given
_BODY_MASS_INDEX = 22.0  # kg / m^2


@dataclass(frozen=True)
class Leg:
    """Joints of one leg, and its rows among the surface points: two at the heel, two at the ball, two at the toes."""

    hip: int
    knee: int
    ankle: int
    foot: int
    heel: tuple[int, int]
    ball: tuple[int, int]
    toes: tuple[int, int]


LEGS = (Leg(1, 4, 7, 10, (0, 1), (2, 3), (8, 9)), Leg(2, 5, 8, 11, (4, 5), (6, 7), (10, 11)))


def to_simulator(values: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) or quaternions (..., 4), y up, in the simulator's axes (z up)."""
    order = [2, 0, 1] if values.shape[-1] == 3 else [0, 3, 1, 2]
    return values[..., order]


def from_simulator(values: np.ndarray) -> np.ndarray:
    """The inverse of `to_simulator`."""
    order = [1, 2, 0] if values.shape[-1] == 3 else [0, 2, 3, 1]
    return values[..., order]


@dataclass(frozen=True, eq=False)
class Surface:
    """Spheres fixed to the joints whose lowest points stand for the body's surface.

    Args:
        joint: int (n,), the joint that carries the sphere; the first `SOLE_POINTS` are the soles.
        local: (n, 3) m, centre in the joint's frame.
        radius: (n,) m.
    """

    joint: np.ndarray
    local: np.ndarray
    radius: np.ndarray

    def lowest(self, positions: np.ndarray, orientations: np.ndarray, count: int | None = None) -> np.ndarray:
        """The lowest point of the first `count` spheres (all by default).

        Args:
            positions: (..., 22, 3) m. orientations: (..., 22, 4) global.

        Returns:
            (..., count, 3) m.
        """
        joint, local, radius = self.joint[:count], self.local[:count], self.radius[:count]
        points = positions[..., joint, :] + rotate(orientations[..., joint, :], local)
        points[..., 2] -= radius
        return points


@dataclass(frozen=True, eq=False)
class Body:
    """A body of 22 joints.

    Args:
        offsets: (22, 3) m, every joint in its parent's frame, in the simulator's axes; row 0 is ignored.
    """

    offsets: np.ndarray

    @classmethod
    def of(cls, skeleton: Skeleton) -> Body:
        """The body of a 22-joint skeleton (y up)."""
        return cls(to_simulator(skeleton.offsets))

    @cached_property
    def skeleton(self) -> Skeleton:
        """The skeleton it was made of, y up."""
        return Skeleton(HUMANML3D_NAMES, PARENTS, from_simulator(self.offsets))

    @cached_property
    def height(self) -> float:
        """Stature in m: legs, trunk, neck and head, and 12 cm for the sole and the top of the head."""
        z = self.offsets[:, 2]
        return float(z[[3, 6, 9, 12, 15]].sum() - z[[4, 7, 10]].sum() + 0.12)

    @cached_property
    def scale(self) -> float:
        """Stature relative to that at which radii are given."""
        return self.height / _REFERENCE_HEIGHT

    @cached_property
    def mass(self) -> float:
        """kg, from the stature at a body mass index of 22."""
        return _BODY_MASS_INDEX * self.height**2

    @property
    def is_human(self) -> bool:
        """Whether the stature is one that a human has."""
        return SHORTEST < self.height < TALLEST

    @property
    def weight(self) -> float:
        """N."""
        return 9.81 * self.mass

    @property
    def ball_radius(self) -> float:
        """Radius in m of the spheres under ball and heel: the height of the foot joint when the foot is flat."""
        return 0.022 * self.scale

    def pose(self, root: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Forward kinematics.

        Args:
            root: (..., 3) m. rotations: (..., 22, 4) local, the first is the root's.

        Returns:
            positions (..., 22, 3) m and global orientations (..., 22, 4).
        """
        positions = np.empty((*rotations.shape[:-1], 3))
        orientations = np.empty(rotations.shape)
        positions[..., 0, :], orientations[..., 0, :] = root, rotations[..., 0, :]
        for level in _LEVELS:
            joints = list(level)
            parents = [PARENTS[j] for j in joints]
            base = orientations[..., parents, :]
            positions[..., joints, :] = positions[..., parents, :] + rotate(base, self.offsets[joints])
            orientations[..., joints, :] = multiply(base, rotations[..., joints, :])
        return positions, orientations

    @cached_property
    def surface(self) -> Surface:
        """Twelve points under the soles, then points along trunk, head, arms and legs."""
        points = [*self._sole(), *self._trunk(), *self._limbs()]
        joint, local, radius = zip(*points, strict=True)
        return Surface(np.array(joint), np.array(local, float), np.array(radius, float))

    def _sole(self) -> list[tuple[int, list[float], float]]:
        """Heel (outer, inner) and ball (outer, inner) of both feet, then the toes of both."""
        scale, radius, width = self.scale, self.ball_radius, 0.032 * self.scale
        points = []
        for joint, foot, side in ((7, 10, 1), (8, 11, -1)):
            forward, _, down = self.offsets[foot]
            points += [
                (joint, [-0.045 * scale, side * width * 0.7, down], radius),
                (joint, [-0.045 * scale, -side * width * 0.7, down], radius),
                (joint, [forward - 0.005, side * width * 1.1, down], radius),
                (joint, [forward - 0.005, -side * width, down], radius),
            ]
        toe = 0.85 * radius
        for joint, side in ((10, 1), (11, -1)):
            for sideways in (0.028, -0.022):
                points.append((joint, [0.05 * scale, side * sideways * scale, toe - radius], toe))
        return points

    def _trunk(self) -> list[tuple[int, list[float], float]]:
        offsets, scale = self.offsets, self.scale
        chest = offsets[12, 2] * 0.45
        hips = [(0, list(offsets[hip] * [1, 0.75, 0.5]), 0.095 * scale) for hip in (1, 2)]
        spine = [(joint, [0, 0, offsets[child, 2] * 0.5], 0.10 * scale) for joint, child in ((3, 6), (6, 9))]
        ribs = [(9, [0, side * 0.07 * scale, chest], 0.11 * scale) for side in (1, -1)]
        return [*hips, *spine, *ribs, (15, [0.015 * scale, 0, 0.06 * scale], 0.095 * scale)]

    def _limbs(self) -> list[tuple[int, list[float], float]]:
        points = []
        for joint, child, (radius, start, end) in limb_capsules():
            points += [(joint, list(self.offsets[child] * part), radius * self.scale) for part in (start, end)]
        for joint, side in ((20, 1), (21, -1)):
            points += [(joint, [0, side * reach * self.scale, 0], 0.028 * self.scale) for reach in (0.09, 0.0)]
        return points


def limb_capsules() -> list[tuple[int, int, tuple[float, float, float]]]:
    """Joint, child, and (radius in m at the reference stature, start, end as shares of the bone), arms then legs."""
    upper_arm, forearm = (0.043, 0.12, 0.9), (0.036, 0.08, 0.92)
    thigh, shank = (0.068, 0.12, 0.92), (0.05, 0.06, 0.86)
    arms = [(16, 18, upper_arm), (17, 19, upper_arm), (18, 20, forearm), (19, 21, forearm)]
    return [*arms, (1, 4, thigh), (2, 5, thigh), (4, 7, shank), (5, 8, shank)]
