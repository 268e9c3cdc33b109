"""From frames to the simulator's clock and back: cubic splines of the root and of the quaternions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import CubicSpline

from ouroloop.motion.rotations import conjugate, continuous, multiply, normalise

__all__ = ["Reference", "resample", "resample_pose", "sample_times"]


@dataclass(frozen=True, eq=False)
class Reference:
    """A motion with its velocities.

    Args:
        root: (T, 3) m. rotations: (T, 22, 4) local. velocity: (T, 3) m/s, world axes.
        angular: (T, 22, 3) rad/s in the child's frame. rate: frames a second.
    """

    root: np.ndarray
    rotations: np.ndarray
    velocity: np.ndarray
    angular: np.ndarray
    rate: float

    def __len__(self) -> int:
        return len(self.root)

    def every(self, step: int) -> Reference:
        """Every step-th frame."""
        return Reference(
            self.root[::step],
            self.rotations[::step],
            self.velocity[::step],
            self.angular[::step],
            self.rate / step,
        )


def sample_times(frames: int, fps: float, rate: float) -> np.ndarray:
    """Times in s of a clip of `frames` frames at `fps`, resampled at `rate`; the last does not pass the clip's end."""
    end = (frames - 1) / fps
    count = round(end * rate) + 1
    return np.minimum(np.arange(count) / rate, end)


def resample(root: np.ndarray, rotations: np.ndarray, fps: float, rate: float) -> Reference:
    """A motion (two frames or more) at another rate, with the velocities of its spline."""
    times = np.arange(len(root)) / fps
    wanted = sample_times(len(root), fps, rate)
    track = CubicSpline(times, root)
    turns = CubicSpline(times, continuous(rotations).reshape(len(root), -1))
    shape = (len(wanted), *rotations.shape[1:])
    quaternion, change = turns(wanted).reshape(shape), turns(wanted, 1).reshape(shape)
    length = np.linalg.norm(quaternion, axis=-1, keepdims=True)
    quaternion, change = quaternion / length, change / length
    # the part of the change along the quaternion only alters its length; q* times the rest is half the turning
    angular = 2.0 * multiply(conjugate(quaternion), change)[..., 1:]
    return Reference(track(wanted), quaternion, track(wanted, 1), angular, rate)


def resample_pose(
    root: np.ndarray, rotations: np.ndarray, rate: float, frames: int, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """A motion at `rate` looked at `frames` times at `fps`: by picking frames where they coincide, else by splines."""
    ratio = rate / fps
    if abs(ratio - round(ratio)) < 1e-3:
        picked = np.minimum(np.arange(frames) * round(ratio), len(root) - 1)
        return root[picked], rotations[picked]
    times = np.arange(len(root)) / rate
    wanted = np.minimum(np.arange(frames) / fps, times[-1])
    turns = CubicSpline(times, continuous(rotations).reshape(len(root), -1))
    return CubicSpline(times, root)(wanted), normalise(turns(wanted).reshape(frames, *rotations.shape[1:]))
