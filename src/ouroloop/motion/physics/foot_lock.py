"""Feet that stand, stand still: planted feet are held, swinging feet clear the floor, the legs follow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d

from ouroloop.motion.physics.body import LEGS, Body, Leg
from ouroloop.motion.physics.contacts import FootContacts
from ouroloop.motion.physics.filters import blur, distance_to, runs, spread
from ouroloop.motion.physics.kinematics import leg_rotations
from ouroloop.motion.rotations import conjugate, cross, from_rotation_vector, multiply, normalise, rotate

__all__ = ["level_soles", "lock_feet", "roll_toes"]

_BLEND = 0.025  # s: how softly a foot enters and leaves its hold
_FADE = 0.25  # s: how long a held foot's correction lasts after the last contact of the clip
_REACH = 0.9985  # share of the leg's length that a held foot may ask for


@dataclass(frozen=True, eq=False)
class _Feet:
    """Planned positions (T, 3) of one leg's ankle and ball, and where they are held, bool (T,)."""

    ankle: np.ndarray
    ball: np.ndarray
    held: np.ndarray


def lock_feet(
    body: Body, root: np.ndarray, rotations: np.ndarray, contacts: FootContacts, fps: float, clearance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Hold feet in contact, lift swinging feet, and bend the legs to suit; the trunk and arms keep their rotations.

    Args:
        root: (T, 3) m. rotations: (T, 22, 4) local. clearance: m that a swinging foot is kept off the floor.

    Returns:
        root (T, 3), lowered where a held foot was out of reach, and rotations (T, 22, 4).
    """
    positions, orientations = body.pose(root, rotations)
    plans = [
        _plan(body, leg, positions, contacts.heel[:, side], contacts.ball[:, side], fps, clearance)
        for side, leg in enumerate(LEGS)
    ]
    lower = _lowering(body, positions, plans, fps)
    root, positions = root.copy(), positions.copy()
    root[:, 2] -= lower
    positions[..., 2] -= lower[:, None]
    rotations = rotations.copy()
    for leg, plan in zip(LEGS, plans, strict=True):
        target = _leg_positions(body, leg, positions, orientations, plan)
        joints = [leg.hip, leg.knee, leg.ankle, leg.foot]
        rotations[:, joints] = leg_rotations(body, leg, orientations[:, 0], target, fps)
    return root, rotations


def _plan(
    body: Body, leg: Leg, positions: np.ndarray, heel: np.ndarray, ball: np.ndarray, fps: float, clearance: float
) -> _Feet:
    """Where one foot shall be: held at the mean place of each stretch of contact, at the height of a flat foot."""
    ankle_at, ball_at = positions[:, leg.ankle], positions[:, leg.foot]
    offset = body.offsets[leg.foot]
    ankle_height = body.ball_radius - offset[2]
    to_ball, ball_held = _hold(ball_at, ball, body.ball_radius)
    to_ankle, ankle_held = _hold(ankle_at, heel, ankle_height)
    held = ankle_held | ball_held
    # where only one of the two is held, the other moves along with it
    move_ankle = spread(np.where(ankle_held[:, None], to_ankle, to_ball), held, _FADE * fps)
    move_ball = spread(np.where(ball_held[:, None], to_ball, to_ankle), held, _FADE * fps)
    ankle_at = ankle_at + blur(move_ankle, _BLEND * fps)
    ball_at = ball_at + blur(move_ball, _BLEND * fps)
    _lift(ankle_at, ankle_held, ankle_height, clearance, fps)
    _lift(ball_at, ball_held, body.ball_radius, clearance, fps)
    # restore the foot's length around whichever end is held
    along = normalise(ankle_at - ball_at) * np.linalg.norm(offset)
    weight = blur(ball_held.astype(float), _BLEND * fps)[:, None]
    ankle_at = weight * (ball_at + along) + (1.0 - weight) * ankle_at
    return _Feet(ankle_at, ankle_at - along, held)


def _hold(points: np.ndarray, contact: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Moves (T, 3) to the mean place of each stretch of contact, and where they hold (3 frames or more)."""
    move, held = np.zeros_like(points), np.zeros(len(points), bool)
    for start, stop in runs(contact):
        if stop - start >= 3:
            place = points[start:stop].mean(axis=0)
            place[2] = height
            move[start:stop], held[start:stop] = place - points[start:stop], True
    return move, held


def _lift(points: np.ndarray, held: np.ndarray, height: float, clearance: float, fps: float) -> None:
    """Keep swinging points above the floor, softly, in place; the clearance grows over 80 ms from a contact."""
    least = height + clearance * np.minimum(1.0, distance_to(held) / (0.08 * fps))
    above = points[:, 2] - least
    points[:, 2] = np.where(held, points[:, 2], least + 0.006 * np.logaddexp(0.0, above / 0.006))


def _lowering(body: Body, positions: np.ndarray, plans: list[_Feet], fps: float) -> np.ndarray:
    """How far in m, (T,), the root must sink so that held feet are within reach (8 cm at most)."""
    need = np.zeros(len(positions))
    for leg, plan in zip(LEGS, plans, strict=True):
        length = np.linalg.norm(body.offsets[leg.knee]) + np.linalg.norm(body.offsets[leg.ankle])
        span = plan.ankle - positions[:, leg.hip]
        reach = np.linalg.norm(span, axis=1)
        steepness = np.maximum(-span[:, 2] / np.maximum(reach, 1e-6), 0.3)
        excess = np.maximum(0.0, reach - length * _REACH) / steepness
        need = np.maximum(need, np.where(plan.held, excess, 0.0))
    if need.max() <= 1e-3:
        return np.zeros(len(positions))
    return blur(maximum_filter1d(np.minimum(need, 0.08), int(0.1 * fps) | 1), 0.05 * fps)


def _leg_positions(body: Body, leg: Leg, positions: np.ndarray, orientations: np.ndarray, plan: _Feet) -> np.ndarray:
    """Hip, knee, ankle and ball (T, 4, 3): the knee by the law of cosines, bent to the side it was bent to."""
    hip = positions[:, leg.hip]
    forward = rotate(orientations[:, leg.hip], np.array([0.5, 0.0, 0.0]))
    towards = 4.0 * (positions[:, leg.knee] - hip) + forward
    thigh, shank = np.linalg.norm(body.offsets[leg.knee]), np.linalg.norm(body.offsets[leg.ankle])
    span = plan.ankle - hip
    distance = np.clip(np.linalg.norm(span, axis=1), abs(thigh - shank) + 1e-3, 0.9995 * (thigh + shank))[:, None]
    line = normalise(span)
    side = normalise(towards - np.einsum("ti,ti->t", towards, line)[:, None] * line)
    along = (thigh**2 - shank**2 + distance**2) / (2.0 * distance)
    across = np.sqrt(np.maximum(thigh**2 - along**2, 0.0))
    ankle = hip + line * distance
    return np.stack([hip, hip + line * along + side * across, ankle, plan.ball + (ankle - plan.ankle)], axis=1)


def level_soles(body: Body, root: np.ndarray, rotations: np.ndarray, contacts: FootContacts, fps: float) -> np.ndarray:
    """Roll feet about their own axis so that standing soles are level: joint positions do not say how a foot rolls."""
    positions, orientations = body.pose(root, rotations)
    rotations = rotations.copy()
    for side, leg in enumerate(LEGS):
        weight = blur(contacts.foot[:, side].astype(float), 0.06 * fps)
        axis = normalise(positions[:, leg.foot] - positions[:, leg.ankle])
        lateral = rotate(orientations[:, leg.ankle], np.array([0.0, 1.0, 0.0]))
        roll = np.arctan2(-lateral[:, 2], cross(axis, lateral)[:, 2])
        roll = np.where(np.abs(roll) > np.pi / 2, roll - np.sign(roll) * np.pi, roll)
        turn = from_rotation_vector(axis * (np.clip(roll, -0.45, 0.45) * weight)[:, None])
        rotations[:, leg.ankle] = multiply(
            conjugate(orientations[:, leg.knee]), multiply(turn, orientations[:, leg.ankle])
        )
    return rotations


def roll_toes(body: Body, root: np.ndarray, rotations: np.ndarray, fps: float) -> np.ndarray:
    """Bend the toes up where the heel lifts, so that they stay on the floor; (T, 22, 4)."""
    positions, orientations = body.pose(root, rotations)
    rotations = rotations.copy()
    for leg in LEGS:
        down = -rotate(orientations[:, leg.ankle], np.array([1.0, 0.0, 0.0]))[:, 2]
        pitch = np.arcsin(np.clip(down, -1.0, 1.0))
        height = np.maximum(positions[:, leg.foot, 2] - body.ball_radius, 0.0)
        bend = np.zeros((len(root), 3))
        bend[:, 1] = -np.clip(pitch, 0.0, 0.85) * np.exp(-((height / 0.04) ** 2))
        rotations[:, leg.foot] = from_rotation_vector(blur(bend, 0.03 * fps))
    return rotations
