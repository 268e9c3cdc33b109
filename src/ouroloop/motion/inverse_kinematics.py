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

# both sides at once, left first
_HIPS, _KNEES, _ANKLES, _FEET = [1, 2], [4, 5], [7, 8], [10, 11]
_COLLARS, _SHOULDERS, _ELBOWS, _WRISTS = [13, 14], [16, 17], [18, 19], [20, 21]
_SIDES = np.array([[1.0], [-1.0]])
_SMOOTH_TWIST = 20.0  # weight of the twist's squared second difference at 20 fps
_REST_TWIST = 0.02  # weight of the untwisted limb
_FOOT_HINT = 0.15


class _Pose:
    """Global rotations (22, T, 4) and positions (22, T, 3) of the joints laid so far."""

    def __init__(self, target: np.ndarray, skeleton: Skeleton) -> None:
        self.target = np.ascontiguousarray(np.moveaxis(target, 1, 0))
        self.offsets = skeleton.offsets[:, None]
        self.rotation = np.empty((22, len(target), 4))
        self.position = np.empty_like(self.target)

    def place(self, joints: list[int]) -> None:
        """Put joints where their parents' rotations and the bones put them."""
        parents = [HUMANML3D_PARENTS[joint] for joint in joints]
        self.position[joints] = self.position[parents] + rotate(self.rotation[parents], self.offsets[joints])

    def wanted(self, joints: list[int], children: list[int]) -> np.ndarray:
        """Unit vectors (j, T, 3) from where joints are to where their children should be."""
        return normalise(self.target[children] - self.position[joints])

    def swung(self, start: np.ndarray, joints: list[int], children: list[int]) -> np.ndarray:
        """The rotations `start` (j, T, 4), then the smallest turns that point bones at their children's targets."""
        return multiply(between(rotate(start, self.offsets[children]), self.wanted(joints, children)), start)

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
    _lay_arms(pose, fps)
    pose.place(_HIPS)
    points = np.stack([pose.position[_HIPS], *(pose.target[joints] for joints in (_KNEES, _ANKLES, _FEET))])
    bones = np.stack([pose.offsets[joints] for joints in (_KNEES, _ANKLES, _FEET)])
    legs = _legs(pose.rotation[:1], points, bones, fps)
    for joints, rotation in zip((_HIPS, _KNEES, _ANKLES, _FEET), legs, strict=True):
        pose.rotation[joints] = rotation
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
        pose.place([joint])
        pose.rotation[[joint]] = pose.swung(
            multiply(pelvis, from_rotation_vector(bend * share))[None], [joint], [child]
        )
    pose.place([9])
    pose.rotation[9] = chest
    pose.place([12])
    pose.rotation[[12, 15]] = pose.swung(chest[None], [12], [15])


def _lay_arms(pose: _Pose, fps: float) -> None:
    pose.place(_COLLARS)
    pose.rotation[_COLLARS] = pose.swung(pose.rotation[9:10], _COLLARS, _SHOULDERS)
    pose.place(_SHOULDERS)
    swing = pose.swung(pose.rotation[_COLLARS], _SHOULDERS, _ELBOWS)
    upper, fore = pose.wanted(_SHOULDERS, _ELBOWS), normalise(pose.target[_WRISTS] - pose.target[_ELBOWS])
    hinge, sine = _hinge(swing, upper, fore)
    # untwisted, the elbow's axis is -y on the left and +y on the right: flexion brings the forearm forward
    bend = -_SIDES * (hinge[..., 1] + 1j * hinge[..., 2])
    twist = _smooth_angles(bend, np.clip((sine - 0.10) / 0.25, 0, 1), fps)
    pose.rotation[_SHOULDERS] = multiply(swing, _about(0, twist))
    pose.place(_ELBOWS)
    pose.rotation[_ELBOWS] = pose.rotation[_WRISTS] = pose.swung(pose.rotation[_SHOULDERS], _ELBOWS, _WRISTS)


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
    targets = np.moveaxis(np.asarray(points, dtype=np.float64), 1, 0)[:, None]
    bones = np.stack([skeleton.offsets[joints[hip - 1]][None, None] for joints in (_KNEES, _ANKLES, _FEET)])
    world = _legs(pelvis[None], targets, bones, fps)[:, 0]
    before = np.concatenate([pelvis[None], world[:-1]])
    return np.moveaxis(multiply(conjugate(before), world), 0, 1)


def _legs(pelvis: np.ndarray, points: np.ndarray, bones: np.ndarray, fps: float) -> np.ndarray:
    """Global rotations (4, legs, T, 4) of hips, knees, ankles and feet.

    Args:
        pelvis: (1, T, 4). points: (4, legs, T, 3), where these joints should be. bones: (3, legs, 1, 3) offsets.
        fps: frames per second.
    """
    thigh, shank, sole = normalise(points[1:] - points[:-1])
    swing = multiply(between(rotate(pelvis, bones[0]), thigh), pelvis)
    hinge, sine = _hinge(swing, thigh, shank)
    bend = hinge[..., 0] - 1j * hinge[..., 2]
    bend = np.where(np.real(bend) < 0, -bend, bend)  # an over-stretched knee turns its axis round
    sure = np.clip((sine - 0.12) / 0.3, 0, 1)
    forward = rotate(conjugate(swing), sole)
    hint = forward[..., 2] + 1j * forward[..., 0]
    hint_weight = _FOOT_HINT * np.clip(np.abs(hint) - 0.3, 0, 1)
    weight = sure + hint_weight
    both = (sure * _unit(bend) + hint_weight * _unit(hint)) / np.maximum(weight, 1e-9)
    rotation = multiply(swing, _about(1, _smooth_angles(both, weight, fps)))
    out, at = [rotation], points[0]
    for bone, next_bone, target in zip(bones[:-1], bones[1:], points[2:], strict=True):
        at = at + rotate(rotation, bone)
        rotation = multiply(between(rotate(rotation, next_bone), normalise(target - at)), rotation)
        out.append(rotation)
    return np.stack([*out, rotation])


def _hinge(swing: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The axis about which two bones bend, in the frame `swing`, and the sine of the bend."""
    normal = cross(upper, lower)
    sine = np.linalg.norm(normal, axis=-1)
    return rotate(conjugate(swing), normal / np.maximum(sine, 1e-6)[..., None]), sine


def _unit(z: np.ndarray) -> np.ndarray:
    return z / np.maximum(np.abs(z), 1e-6)


def _about(axis: int, radians: np.ndarray) -> np.ndarray:
    """Quaternions of turns about one coordinate axis."""
    q = np.zeros((*radians.shape, 4))
    q[..., 0], q[..., 1 + axis] = np.cos(radians / 2), np.sin(radians / 2)
    return q


def _smooth_angles(z: np.ndarray, weight: np.ndarray, fps: float) -> np.ndarray:
    r"""Angles (limbs, T) of the complex tracks u, each of which minimises

    .. math:: \sum_t w_t |u_t - z_t|^2 + \epsilon |u_t - 1|^2 + \lambda |u_{t+1} - 2 u_t + u_{t-1}|^2,

    so that directions z count where their weight w is large, and are interpolated elsewhere.
    """
    from scipy.linalg import solveh_banded

    right = np.stack([weight * np.real(z) + _REST_TWIST, weight * np.imag(z)], axis=-1)
    frames = z.shape[1]
    if frames >= 3:
        stiffness = _SMOOTH_TWIST * (fps / 20) ** 4  # second differences of one movement shrink with the rate squared
        bands = stiffness * _second_difference_bands(frames)
        for limb in range(len(z)):
            own = bands.copy()
            own[2] += weight[limb] + _REST_TWIST
            right[limb] = solveh_banded(own, right[limb])
    return np.arctan2(right[..., 1], right[..., 0])


def _second_difference_bands(frames: int) -> np.ndarray:
    """(3, frames) upper bands, the diagonal last, of D'D, where D takes second differences."""
    bands = np.zeros((3, frames))
    bands[2, :-2] += 1
    bands[2, 1:-1] += 4
    bands[2, 2:] += 1
    bands[1, 1:-1] -= 2
    bands[1, 2:] -= 2
    bands[0, 2:] += 1
    return bands
