"""Joint positions to local rotations, for the 22 joints of HumanML3D: in closed form, all frames at once.

Positions leave the turns of limbs about themselves open. Here pelvis and chest are laid on their three children; the
spine shares the turn between them; every other bone is swung, the shortest way, to where its child should be from
where its joint has come to lie, so that errors of bone lengths do not add up. Upper arms and thighs are then twisted
so that elbows and knees bend about their hinges. Straight limbs have no hinge: there the twist is carried over from
neighbouring frames by a smoothness penalty (and, for the legs, hinted at by the foot). `refined` improves the result
by least squares, at about a tenth of the speed.

Rest poses are those of `ouroloop.motion.rest_pose`: T-pose, x to the left, y up, z forward.
"""

from __future__ import annotations

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.motion import Motion
from ouroloop.motion.refinement import refined
from ouroloop.motion.rest_pose import check_positions, chest_frame, pelvis_frame, rest_skeleton
from ouroloop.motion.rotations import (
    IDENTITY,
    between,
    conjugate,
    continuous,
    cross,
    from_matrix,
    from_rotation_vector,
    multiply,
    normalise,
    rotate,
    to_rotation_vector,
)
from ouroloop.motion.skeleton import HUMANML3D_PARENTS, Skeleton

__all__ = ["inverse_kinematics", "leg_rotations", "motion_from_positions"]

_LEGS = ((1, 4, 7, 10), (2, 5, 8, 11))
_ARMS = ((13, 16, 18, 20, 1.0), (14, 17, 19, 21, -1.0))  # collar, shoulder, elbow, wrist, side along x
_SMOOTH_TWIST = 20.0  # weight of the twist's squared second difference at 20 fps
_REST_TWIST = 0.02  # weight of the untwisted limb
_FOOT_HINT = 0.15


class _Pose:
    """Global rotations and positions of the joints laid so far, each (T, 4) and (T, 3)."""

    def __init__(self, target: np.ndarray, skeleton: Skeleton) -> None:
        self.target = np.ascontiguousarray(np.moveaxis(target, 1, 0))
        self.offsets = skeleton.offsets
        self.rotation = np.empty((22, len(target), 4))
        self.position = np.empty_like(self.target)

    def place(self, *joints: int) -> None:
        """Put joints where their parents' rotations and the bones put them."""
        for joint in joints:
            parent = HUMANML3D_PARENTS[joint]
            self.position[joint] = self.position[parent] + rotate(self.rotation[parent], self.offsets[joint])

    def wanted(self, joint: int, child: int) -> np.ndarray:
        """Unit vectors (T, 3) from where a joint is to where its child should be."""
        return normalise(self.target[child] - self.position[joint])

    def swung(self, start: np.ndarray, joint: int, child: int) -> np.ndarray:
        """The rotation `start`, then the smallest turn that points a joint's bone at its child's target."""
        return multiply(between(rotate(start, self.offsets[child]), self.wanted(joint, child)), start)

    def local(self) -> np.ndarray:
        """Local rotations (T, 22, 4)."""
        out = np.empty((self.rotation.shape[1], 22, 4))
        out[:, 0] = self.rotation[0]
        parents = list(HUMANML3D_PARENTS[1:])
        out[:, 1:] = np.moveaxis(multiply(conjugate(self.rotation[parents]), self.rotation[1:]), 0, 1)
        return continuous(normalise(out))


def inverse_kinematics(
    positions: np.ndarray, skeleton: Skeleton, fps: float = 20.0, *, refinements: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Root track and local rotations whose joints lie near given positions.

    Args:
        positions: (T, 22, 3) metres, y up.
        skeleton: 22 joints in the rest pose of `ouroloop.motion.rest_pose`.
        fps: frames per second; sets how fast limbs may twist.
        refinements: steps of least squares on all joint positions afterwards.

    Returns:
        root (T, 3) metres and local rotations (T, 22, 4), continuous in time.

    Raises:
        DataError: faulty positions (`check_positions`), or another skeleton.
    """
    positions = check_positions(positions)
    if skeleton.parents != HUMANML3D_PARENTS:
        raise DataError(
            f"inverse kinematics: got a skeleton of {len(skeleton)} joints ({', '.join(skeleton.names[:4])}, ...); "
            f"expected the 22 joints of HumanML3D (see ouroloop.motion.mapping for others)"
        )
    pose = _Pose(positions, skeleton)
    _lay_trunk(pose)
    for collar, shoulder, elbow, wrist, side in _ARMS:
        _lay_arm(pose, collar, shoulder, elbow, wrist, side, fps)
    for hip, knee, ankle, foot in _LEGS:
        pose.place(hip)
        points = np.stack([pose.position[hip], *pose.target[[knee, ankle, foot]]], axis=1)
        pose.rotation[[hip, knee, ankle, foot]] = _leg(pose.rotation[0], points, pose.offsets, (knee, ankle, foot), fps)
    root, rotations = positions[:, 0].copy(), pose.local()
    return refined(root, rotations, positions, skeleton, refinements) if refinements else (root, rotations)


def motion_from_positions(
    positions: np.ndarray, fps: float, skeleton: Skeleton | None = None, *, refinements: int = 0, name: str = ""
) -> Motion:
    """A `Motion` whose joints lie near positions (T, 22, 3); the skeleton is measured where none is given."""
    skeleton = rest_skeleton([positions]) if skeleton is None else skeleton
    root, rotations = inverse_kinematics(positions, skeleton, fps, refinements=refinements)
    return Motion(skeleton, root, rotations, fps, name=name)


def _lay_trunk(pose: _Pose) -> None:
    rest = np.zeros((22, 3))
    for joint, parent in enumerate(HUMANML3D_PARENTS[1:], start=1):
        rest[joint] = rest[parent] + pose.offsets[joint]
    target = np.moveaxis(pose.target, 0, 1)
    pelvis = from_matrix(pelvis_frame(target) @ pelvis_frame(rest).T)
    chest = from_matrix(chest_frame(target) @ chest_frame(rest).T)
    bend = to_rotation_vector(multiply(conjugate(pelvis), chest))
    pose.position[0], pose.rotation[0] = pose.target[0], pelvis
    for joint, child, share in ((3, 6, 1 / 3), (6, 9, 2 / 3)):
        pose.place(joint)
        pose.rotation[joint] = pose.swung(multiply(pelvis, from_rotation_vector(bend * share)), joint, child)
    pose.place(9)
    pose.rotation[9] = chest
    pose.place(12)
    pose.rotation[12] = pose.rotation[15] = pose.swung(chest, 12, 15)


def _lay_arm(pose: _Pose, collar: int, shoulder: int, elbow: int, wrist: int, side: float, fps: float) -> None:
    pose.place(collar)
    pose.rotation[collar] = pose.swung(pose.rotation[9], collar, shoulder)
    pose.place(shoulder)
    swing = pose.swung(pose.rotation[collar], shoulder, elbow)
    upper, fore = pose.wanted(shoulder, elbow), normalise(pose.target[wrist] - pose.target[elbow])
    hinge, sine = _hinge(swing, upper, fore)
    # untwisted, the elbow's axis is -y on the left and +y on the right: flexion brings the forearm forward
    twist = _smooth_angle(-side * (hinge[:, 1] + 1j * hinge[:, 2]), np.clip((sine - 0.10) / 0.25, 0, 1), fps)
    pose.rotation[shoulder] = multiply(swing, _about(0, twist))
    pose.place(elbow)
    pose.rotation[elbow] = pose.rotation[wrist] = pose.swung(pose.rotation[shoulder], elbow, wrist)


def leg_rotations(skeleton: Skeleton, hip: int, pelvis: np.ndarray, points: np.ndarray, fps: float) -> np.ndarray:
    """Local rotations of one leg that is hung on a given pelvis.

    Args:
        skeleton: 22 joints.
        hip: 1 for the left leg, 2 for the right.
        pelvis: (T, 4) global rotations.
        points: (T, 4, 3) metres: where hip, knee, ankle and foot should be.
        fps: frames per second.

    Returns:
        (T, 4, 4) local rotations of hip, knee, ankle and foot.
    """
    _, knee, ankle, foot = _LEGS[hip - 1]
    world = _leg(pelvis, np.asarray(points, dtype=np.float64), skeleton.offsets, (knee, ankle, foot), fps)
    before = np.concatenate([pelvis[None], world[:-1]])
    return np.moveaxis(multiply(conjugate(before), world), 0, 1)


def _leg(
    pelvis: np.ndarray, points: np.ndarray, offsets: np.ndarray, joints: tuple[int, int, int], fps: float
) -> np.ndarray:
    """Global rotations (4, T, 4) of hip, knee, ankle and foot; see `leg_rotations`."""
    knee, ankle, foot = joints
    thigh, shank, sole = (normalise(points[:, i + 1] - points[:, i]) for i in range(3))
    swing = multiply(between(rotate(pelvis, offsets[knee]), thigh), pelvis)
    hinge, sine = _hinge(swing, thigh, shank)
    bend = hinge[:, 0] - 1j * hinge[:, 2]
    bend = np.where(bend.real < 0, -bend, bend)  # an over-stretched knee turns its axis round
    sure = np.clip((sine - 0.12) / 0.3, 0, 1)
    forward = rotate(conjugate(swing), sole)
    hint = forward[:, 2] + 1j * forward[:, 0]
    hint_weight = _FOOT_HINT * np.clip(np.abs(hint) - 0.3, 0, 1)
    both = sure * _unit(bend) + hint_weight * _unit(hint)
    weight = sure + hint_weight
    twist = _smooth_angle(both / np.maximum(weight, 1e-9), weight, fps)
    out = np.empty((4, *pelvis.shape))
    out[0] = multiply(swing, _about(1, twist))
    at = points[:, 0] + rotate(out[0], offsets[knee])
    out[1] = multiply(between(rotate(out[0], offsets[ankle]), normalise(points[:, 2] - at)), out[0])
    at = at + rotate(out[1], offsets[ankle])
    out[2] = multiply(between(rotate(out[1], offsets[foot]), normalise(points[:, 3] - at)), out[1])
    out[3] = out[2]
    return out


def _hinge(swing: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The axis about which two bones bend, in the frame `swing`, and the sine of the bend."""
    normal = cross(upper, lower)
    sine = np.linalg.norm(normal, axis=-1)
    return rotate(conjugate(swing), normal / np.maximum(sine, 1e-6)[:, None]), sine


def _unit(z: np.ndarray) -> np.ndarray:
    return z / np.maximum(np.abs(z), 1e-6)


def _about(axis: int, radians: np.ndarray) -> np.ndarray:
    """Quaternions of turns about one coordinate axis."""
    q = np.tile(0 * IDENTITY, (len(radians), 1))
    q[:, 0], q[:, 1 + axis] = np.cos(radians / 2), np.sin(radians / 2)
    return q


def _smooth_angle(z: np.ndarray, weight: np.ndarray, fps: float) -> np.ndarray:
    r"""Angles (T,) of the complex track u that minimises

    .. math:: \sum_t w_t |u_t - z_t|^2 + \epsilon |u_t - 1|^2 + \lambda |u_{t+1} - 2 u_t + u_{t-1}|^2,

    so that directions z count where their weight w is large, and are interpolated elsewhere.
    """
    from scipy.linalg import solveh_banded

    frames = len(z)
    right = np.stack([weight * np.real(z) + _REST_TWIST, weight * np.imag(z)], axis=-1)
    if frames < 3:
        return np.arctan2(right[:, 1], right[:, 0])
    stiffness = _SMOOTH_TWIST * (fps / 20) ** 4  # second differences of one movement shrink with the rate squared
    second = np.zeros((3, frames))  # D'D of second differences, upper bands, last row the diagonal
    second[2, :-2] += 1
    second[2, 1:-1] += 4
    second[2, 2:] += 1
    second[1, 1:-1] -= 2
    second[1, 2:] -= 2
    second[0, 2:] += 1
    bands = stiffness * second
    bands[2] += weight + _REST_TWIST
    u = solveh_banded(bands, right)
    return np.arctan2(u[:, 1], u[:, 0])
