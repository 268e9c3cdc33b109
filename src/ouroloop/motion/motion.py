"""A motion: a skeleton, where its root is and how its joints are turned, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.mirroring import mirror
from ouroloop.motion.rotations import slerp
from ouroloop.motion.skeleton import Skeleton

__all__ = ["Motion", "resample_positions"]


@dataclass(frozen=True, eq=False)
class Motion:
    """One clip. The world is right-handed with y up: a person facing +z has +x to the left hand. The floor is y = 0.

    Args:
        skeleton: J joints.
        root: (T, 3) metres, position of joint 0.
        rotations: (T, J, 4) local quaternions, w first, child frame to parent frame; joint 0 to the world.
            Brought to unit length here.
        fps: frames per second.
        name: what the clip is called, usually its file's stem.
        caption: what happens in it, one sentence; empty when unknown.
        source: the data set or file it comes from.
        licence: under what terms it may be used, as its source says.

    Raises:
        DataError: no frame, counts that do not fit, values that are not finite, a quaternion of length zero.
    """

    skeleton: Skeleton
    root: np.ndarray
    rotations: np.ndarray
    fps: float
    name: str = ""
    caption: str = ""
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        where = f"motion {self.name!r}" if self.name else "motion"
        root, rotations = np.array(self.root, dtype=np.float64), np.array(self.rotations, dtype=np.float64)
        frames, joints = len(root), len(self.skeleton)
        if root.shape != (frames, 3) or rotations.shape != (frames, joints, 4) or frames == 0:
            raise DataError(
                f"{where}: got root {root.shape} and rotations {rotations.shape}; "
                f"expected (frames, 3) and (frames, {joints}, 4) with at least one frame"
            )
        if not (np.isfinite(self.fps) and self.fps > 0):
            raise DataError(f"{where}: fps is {self.fps}; expected a positive number of frames per second")
        for field, values in (("root", root), ("rotations", rotations)):
            good = np.isfinite(values.reshape(frames, -1)).all(axis=1)
            if not good.all():
                raise DataError(
                    f"{where}: {field} is NaN or infinite in {int((~good).sum())} of {frames} frames, "
                    f"first in frame {int(np.argmin(good))}; cut those frames or repair them"
                )
        length = np.linalg.norm(rotations, axis=-1)
        if (length < 1e-6).any():
            frame, joint = np.argwhere(length < 1e-6)[0]
            raise DataError(f"{where}: the rotation of joint {self.skeleton.names[joint]!r} in frame {frame} is zero")
        # what is of unit length stays as it is, bit by bit
        rotations /= np.where(np.abs(length - 1) > 1e-14, length, 1.0)[..., None]
        for field, value in (("root", root), ("rotations", rotations), ("fps", float(self.fps))):
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, field, value)

    def __len__(self) -> int:
        return len(self.root)

    @cached_property
    def positions(self) -> np.ndarray:
        """(T, J, 3) metres, joint positions in the world."""
        return self.skeleton.forward(self.root, self.rotations)

    @property
    def duration(self) -> float:
        """Seconds from the first frame to the last."""
        return (len(self) - 1) / self.fps

    def resampled(self, fps: float) -> Motion:
        """The motion at another frame rate: linear in the root, slerp in the rotations; the last frame is kept or cut.

        Frame k of the result is the motion at k / fps seconds. Nothing is filtered: high frequencies alias when the
        rate falls.
        """
        left, right, share = _neighbours(len(self), self.fps, fps)
        root = self.root[left] + (self.root[right] - self.root[left]) * share[:, None]
        rotations = slerp(self.rotations[left], self.rotations[right], share[:, None])
        return replace(self, root=root, rotations=rotations, fps=fps)

    def mirrored(self) -> Motion:
        """The motion in a mirror (x to -x, left joints for right ones). Name and caption stay: mind "left" in it."""
        skeleton, root, rotations = mirror(self.skeleton, self.root, self.rotations)
        return replace(self, skeleton=skeleton, root=root, rotations=rotations)

    def cut(self, start: int, stop: int | None = None) -> Motion:
        """Frames start to stop (not included), counted as Python slices are.

        Raises:
            DataError: nothing is left.
        """
        if len(range(len(self))[start:stop]) == 0:
            raise DataError(f"motion {self.name!r}: cut({start}, {stop}) leaves none of its {len(self)} frames")
        return replace(self, root=self.root[start:stop], rotations=self.rotations[start:stop])


def resample_positions(positions: np.ndarray, fps: float, to: float) -> np.ndarray:
    """Joint positions (T, J, 3) at another frame rate, linear in time; see `Motion.resampled`."""
    left, right, share = _neighbours(len(positions), fps, to)
    return positions[left] + (positions[right] - positions[left]) * share[:, None, None]


def _neighbours(frames: int, fps: float, to: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Frames before and after each new instant, and the share of the way between them."""
    if not (np.isfinite(to) and to > 0):
        raise DataError(f"resampling to {to} frames per second; expected a positive number")
    count = int(np.floor((frames - 1) * to / fps + 1e-3)) + 1  # 1e-3: rates such as 1 / 0.0083333 are not exact
    at = np.minimum(np.arange(count) * fps / to, frames - 1)
    left = np.minimum(at.astype(np.int64), max(frames - 2, 0))
    return left, np.minimum(left + 1, frames - 1), at - left
