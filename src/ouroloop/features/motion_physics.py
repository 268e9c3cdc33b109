"""How physical a motion is, as features: one number a measure, from the joint positions that a row decodes to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, MissingExtraError, PartError
from ouroloop.features.motion_columns import inferred_lengths, motion_lengths
from ouroloop.keys import Key
from ouroloop.motion.humanml3d import FEATURES, FPS, decode
from ouroloop.motion.inverse_kinematics import inverse_kinematics
from ouroloop.motion.physics.body import SHORTEST, TALLEST, Body, to_simulator
from ouroloop.motion.physics.engine import load_mujoco
from ouroloop.motion.physics.limits import limit_excess
from ouroloop.motion.physics.measures import measure
from ouroloop.motion.physics.torques import torque_excess
from ouroloop.motion.skeleton import HUMANML3D_PARENTS, Skeleton
from ouroloop.samples import Samples

__all__ = ["COLUMNS", "MotionPhysics"]

COLUMNS = (
    "penetration",
    "floating",
    "skating",
    "physics_error",
    "deepest",
    "acceleration",
    "jerk",
    "limit_excess",
    "bone_error",
    "torque_violation",
)
"""What the features are: `ouroloop.motion.physics.measures.Measures`; degrees by which the worst limited joint of a
frame is beyond its limit; mm by which bones change their length; N m by which the most overtaxed joint of a frame is
beyond what the humanoid's can give. Each is a mean over the frames."""

_SKELETON_CLIPS = 32  # real motions whose bones the stand-in skeleton is the median of
_DECODED_ROWS = 64  # at a time


@dataclass(frozen=True, kw_only=True)
class MotionPhysics:
    """How physical motions are, float64 (n, 10) in the order of `COLUMNS`; x are HumanML3D features (n, frames, 263).

    Heights are above the floor at y = 0, on which the foot joints of a standing body lie, as in HumanML3D's data.
    The skeleton is each motion's own. Where a motion has none (joints that lie on top of one another), it is that of
    the real motions.

    Args:
        fps: frames a second.
        torques: whether torques are measured, which needs MuJoCo. Else they are NaN.
    """

    fps: Annotated[float, Field(gt=0, description="frames a second of the motions")] = float(FPS)
    torques: Annotated[
        bool, Field(description="measure torques, which needs MuJoCo: pip install 'ouroloop[motion]'")
    ] = True
    _skeleton: Skeleton | None = field(init=False, default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Short name, for tables and axis labels."""
        return "motion_physics"

    @property
    def dim(self) -> int:
        """Number of features."""
        return len(COLUMNS)

    def fit(self, samples: Samples, *, key: Key, cache: Path | None = None) -> MotionPhysics:
        """Learn the skeleton of the real motions. `key` and `cache` are not used.

        Raises:
            DataError: x of another shape, lengths that do not fit it, NaN, a real motion without a skeleton, or real
                motions of a stature that no human has, whose torques cannot be measured.
            MissingExtraError: torques are to be measured, and MuJoCo is not installed.
        """
        if self.torques:
            _check_mujoco()
        what = "motion_physics features"
        _check(samples.x)
        lengths = motion_lengths(samples, what)
        samples.check_finite(what)
        if not len(samples):
            raise DataError(f"{what} need at least one motion, got none")
        some = np.unique(np.linspace(0, len(samples) - 1, _SKELETON_CLIPS).round().astype(int))
        positions = decode(samples.x[some], lengths[some])
        own = [Skeleton.from_positions(_at_least_two(p[:n])) for p, n in zip(positions, lengths[some], strict=True)]
        offsets = np.median([skeleton.offsets for skeleton in own], axis=0)
        standard = Skeleton(own[0].names, own[0].parents, offsets)
        if self.torques and not (body := Body.of(standard)).is_human:
            raise DataError(
                f"{what}: the real motions' stature of {body.height:.2f} m is no human's, whose torques are measured; "
                f"give metres, between {SHORTEST} and {TALLEST}, or set 'torques: false'"
            )
        fitted = replace(self)
        object.__setattr__(fitted, "_skeleton", standard)
        return fitted

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Measures of motions x (n, frames, 263), float64 (n, 10); a row ends at its last frame not all zero."""
        standard = self._skeleton
        if standard is None:
            raise PartError("motion_physics features: call fit before transform")
        _check(x)
        found = np.full((len(x), self.dim), np.nan)
        for start in range(0, len(x), _DECODED_ROWS):
            rows = np.arange(start, min(start + _DECODED_ROWS, len(x)))
            rows = rows[np.isfinite(x[rows]).all(axis=(1, 2))]
            lengths = inferred_lengths(x[rows])
            for row, positions, length in zip(rows, decode(x[rows], lengths), lengths, strict=True):
                found[row] = self._measured(positions[:length], standard)
        return found

    def _measured(self, positions: np.ndarray, standard: Skeleton) -> list[float]:
        """The measures of one motion (T, 22, 3); `standard` is the skeleton of one that has none."""
        try:
            skeleton = Skeleton.from_positions(_at_least_two(positions))
        except DataError:  # no skeleton can be read from it
            skeleton = standard
        numbers = measure(positions, self.fps, skeleton=skeleton).as_dict()
        numbers["bone_error"] = _bone_error(positions)
        numbers.update(self._joint_numbers(positions, skeleton if Body.of(skeleton).is_human else standard))
        return [numbers[name] for name in COLUMNS]

    def _joint_numbers(self, positions: np.ndarray, skeleton: Skeleton) -> dict[str, float]:
        """Degrees and N m beyond limits; 0 where joints lie on top of one another, which have no angle."""
        try:
            root, rotations = inverse_kinematics(positions, skeleton, self.fps)
        except DataError:
            return {"limit_excess": 0.0, "torque_violation": 0.0 if self.torques else np.nan}
        rotations = to_simulator(rotations)
        degrees = float(np.rad2deg(limit_excess(rotations)).mean())
        if not self.torques:
            return {"limit_excess": degrees, "torque_violation": np.nan}
        body = Body.of(skeleton)
        on_soles = to_simulator(root) + np.array([0.0, 0.0, body.ball_radius])
        excess = torque_excess(body, _at_least_two(on_soles), _at_least_two(rotations), self.fps)
        return {"limit_excess": degrees, "torque_violation": float(excess.mean())}


def _check_mujoco() -> None:
    try:
        load_mujoco()
    except MissingExtraError as error:
        what = "measuring torques (the default; 'features: {kind: motion_physics, torques: false}' does without)"
        raise MissingExtraError(what, "mujoco>=4.0", "motion") from error


def _check(x: np.ndarray) -> None:
    if x.ndim != 3 or x.shape[2] != FEATURES or x.shape[1] == 0:
        raise DataError(f"motion_physics features need HumanML3D features (n, frames, {FEATURES}), got x of {x.shape}")


def _at_least_two(positions: np.ndarray) -> np.ndarray:
    return positions if len(positions) > 1 else np.repeat(positions, 2, axis=0)


def _bone_error(positions: np.ndarray) -> float:
    """Mean distance in mm of a frame's bone lengths from their medians over the motion."""
    bones = np.linalg.norm(positions[:, 1:] - positions[:, list(HUMANML3D_PARENTS[1:])], axis=-1)
    return 1e3 * float(np.abs(bones - np.median(bones, axis=0)).mean())
