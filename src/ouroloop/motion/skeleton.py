"""A skeleton: a tree of joints with rest offsets, and its forward kinematics."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.rotations import multiply, rotate

__all__ = ["HUMANML3D_NAMES", "HUMANML3D_PARENTS", "Skeleton"]

HUMANML3D_NAMES = (
    "pelvis", "left_hip", "right_hip", "spine1", "left_knee", "right_knee", "spine2", "left_ankle", "right_ankle",
    "spine3", "left_foot", "right_foot", "neck", "left_collar", "right_collar", "head", "left_shoulder",
    "right_shoulder", "left_elbow", "right_elbow", "left_wrist", "right_wrist",
)  # fmt: skip
"""The 22 body joints of SMPL in the order of HumanML3D."""
HUMANML3D_PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19)


@dataclass(frozen=True, eq=False)
class Skeleton:
    """Joints in an order in which parents come before their children; joint 0 is the root.

    With all rotations the identity, joint j lies at its parent's position plus ``offsets[j]``. Two skeletons are
    equal, and hash alike, when names, parents and offsets are.

    Args:
        names: J different joint names.
        parents: index of each joint's parent; -1 for the root alone.
        offsets: (J, 3) metres, in the frame of the parent; the root's offset is not used.

    Raises:
        DataError: counts that differ, repeated names, a parent behind its child, offsets that are not finite.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: np.ndarray

    def __post_init__(self) -> None:
        names, parents = tuple(str(name) for name in self.names), tuple(int(parent) for parent in self.parents)
        offsets = np.array(self.offsets, dtype=np.float64) + 0.0  # -0.0 becomes 0.0, so that equal means equal bytes
        if not names or len(parents) != len(names) or offsets.shape != (len(names), 3):
            raise DataError(
                f"skeleton: got {len(names)} names, {len(parents)} parents and offsets of shape {offsets.shape}; "
                f"expected one parent and one offset (x, y, z) for each of at least one joint"
            )
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise DataError(f"skeleton: joint names {twice} occur more than once; every joint needs its own name")
        for joint, parent in enumerate(parents):
            if not (parent == -1 if joint == 0 else 0 <= parent < joint):
                raise DataError(
                    f"skeleton: joint {joint} ({names[joint]!r}) has parent {parent}; "
                    f"joint 0 must have parent -1 and every other joint a parent before it"
                )
        if not np.isfinite(offsets).all():
            bad = names[int(np.argmin(np.isfinite(offsets).all(axis=1)))]
            raise DataError(f"skeleton: the offset of joint {bad!r} is not finite")
        offsets.setflags(write=False)
        for field, value in (("names", names), ("parents", parents), ("offsets", offsets)):
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Skeleton) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    @property
    def _identity(self) -> tuple[tuple[str, ...], tuple[int, ...], bytes]:
        return self.names, self.parents, self.offsets.tobytes()

    @cached_property
    def children(self) -> tuple[tuple[int, ...], ...]:
        """The joints that hang on each joint."""
        return tuple(tuple(j for j, parent in enumerate(self.parents) if parent == i) for i in range(len(self)))

    @cached_property
    def bone_lengths(self) -> np.ndarray:
        """(J,) metres from each joint's parent to it; 0 for the root."""
        lengths = np.linalg.norm(self.offsets, axis=1)
        lengths[0] = 0.0
        return lengths

    @cached_property
    def longest_path(self) -> float:
        """Metres along the bones between the two joints farthest apart: a size that no pose changes."""
        deepest, best = np.zeros(len(self)), 0.0
        for joint in range(len(self) - 1, 0, -1):
            reach, parent = deepest[joint] + self.bone_lengths[joint], self.parents[joint]
            best = max(best, deepest[parent] + reach)
            deepest[parent] = max(deepest[parent], reach)
        return float(best)

    def index(self, name: str) -> int:
        """The joint of that name.

        Raises:
            DataError: there is none; the message lists those there are.
        """
        if name not in self.names:
            raise DataError(f"no joint {name!r}; this skeleton has {', '.join(self.names)}")
        return self.names.index(name)

    def poses(self, root: np.ndarray, rotations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (..., J, 3) and global rotations (..., J, 4) from a root track and local rotations."""
        root, rotations = np.asarray(root, dtype=np.float64), np.asarray(rotations, dtype=np.float64)
        if root.shape != (*rotations.shape[:-2], 3) or rotations.shape[-2:] != (len(self), 4):
            raise DataError(
                f"forward kinematics of {len(self)} joints: got root {root.shape} and rotations {rotations.shape}; "
                f"expected (..., 3) and (..., {len(self)}, 4)"
            )
        # joints first: each step then works on contiguous memory
        local = np.ascontiguousarray(np.moveaxis(rotations, -2, 0))
        world, positions = np.empty_like(local), np.empty((len(self), *root.shape))
        world[0], positions[0] = local[0], root
        for joint, parent in enumerate(self.parents[1:], start=1):
            world[joint] = multiply(world[parent], local[joint])
            positions[joint] = positions[parent] + rotate(world[parent], self.offsets[joint])
        return np.moveaxis(positions, 0, -2), np.moveaxis(world, 0, -2)

    def forward(self, root: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        """Joint positions (..., J, 3) in metres from a root track (..., 3) and local rotations (..., J, 4)."""
        return self.poses(root, rotations)[0]

    def scaled(self, factor: float) -> Skeleton:
        """The same tree with all offsets multiplied by `factor`."""
        return Skeleton(self.names, self.parents, self.offsets * factor)

    @classmethod
    def from_positions(cls, positions: np.ndarray) -> Skeleton:
        """The T-posed 22-joint skeleton, with median bone lengths, of joint positions (T, 22, 3) in metres.

        See `ouroloop.motion.rest_pose.rest_skeleton`.
        """
        from ouroloop.motion.rest_pose import rest_skeleton

        return rest_skeleton([positions])
