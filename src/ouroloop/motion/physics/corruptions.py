"""Known damage to motions, for tests and benchmarks: what physics can mend, and what it cannot.

Every function of `CORRUPTIONS` takes joint positions (T, 22, 3) in m with y up, the frame rate and a random generator,
and returns damaged positions; `speed_up` and `apply` may change the number of frames.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np

from ouroloop.motion.physics.body import Body, from_simulator, to_simulator
from ouroloop.motion.physics.kinematics import joint_rotations
from ouroloop.motion.rotations import about_y, from_rotation_vector, multiply, rotate
from ouroloop.motion.skeleton import Skeleton

__all__ = ["CORRUPTIONS", "apply", "truth_of"]

Corruption = Callable[[np.ndarray, float, np.random.Generator], np.ndarray]
_UP = np.array([0.0, 1.0, 0.0])


def apply(kind: str, positions: np.ndarray, fps: float, seed: int = 0) -> np.ndarray:
    """The clip with one kind of damage (a name in `CORRUPTIONS`); the same seed gives the same damage."""
    rng = np.random.default_rng(zlib.crc32(kind.encode()) + seed)
    return CORRUPTIONS[kind](np.array(positions, np.float64), fps, rng)


def truth_of(kind: str, positions: np.ndarray, fps: float) -> np.ndarray:
    """What a corrected clip is compared with: the undamaged clip, played at the damaged clip's speed."""
    return _speed(positions, fps, np.random.default_rng(0)) if kind == "speed" else positions


def _sink(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    return positions - 0.10 * _UP


def _float(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    return positions + 0.10 * _UP


def _ramp(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    return positions + np.linspace(-0.10, 0.10, len(positions))[:, None, None] * _UP


def _bob(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    seconds = np.arange(len(positions)) / fps
    return positions + 0.10 * np.sin(np.pi * seconds + rng.uniform(0, 6))[:, None, None] * _UP


def _drift(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    direction = rng.uniform(0, 2 * np.pi)
    away = 0.25 * np.arange(len(positions)) / fps
    return positions + away[:, None, None] * np.array([np.sin(direction), 0.0, np.cos(direction)])


def _wander(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    """A smooth random walk of the root at 0.3 m/s root mean square."""
    frames = len(positions)
    reach = round(1.5 * fps)
    kernel = np.exp(-0.5 * ((np.arange(-reach, reach + 1) / fps) / 0.35) ** 2)
    noise = rng.normal(size=(frames + 2 * reach, 2))
    velocity = np.stack([np.convolve(column, kernel, "valid") for column in noise.T], axis=1)
    velocity *= 0.3 / max(float(np.sqrt((velocity**2).sum(axis=1).mean())), 1e-6)
    shift = np.cumsum(velocity, axis=0) / fps
    return positions + np.stack([shift[:, 1], np.zeros(frames), shift[:, 0]], axis=1)[:, None]


def _jitter(size: float) -> Corruption:
    def damage(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
        return positions + rng.normal(size=positions.shape) * size

    return damage


def _pops(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    """Single-frame glitches on 4 % of the frames, at least one."""
    hit = rng.random(len(positions)) < 0.04
    hit[rng.integers(len(positions))] = True
    count = int(hit.sum())
    positions[hit] += rng.normal(size=(count, 1, 3)) * 0.08 + rng.normal(size=(count, 22, 3)) * 0.04
    return positions


def _by_rotations(change: Callable[[np.ndarray, float, np.random.Generator], None]) -> Corruption:
    """A change of local rotations, carried over to the positions (so that nothing else of them changes)."""

    def damage(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
        body = Body.of(Skeleton.from_positions(positions))
        root, rotations, _ = joint_rotations(body, to_simulator(positions), fps, refine=False)
        before, _ = body.pose(root, rotations)
        changed = rotations.copy()
        change(changed, fps, rng)
        after, _ = body.pose(root, changed)
        return positions + from_simulator(after - before)

    return damage


def _freeze(joints: tuple[int, ...]) -> Corruption:
    def change(rotations: np.ndarray, fps: float, rng: np.random.Generator) -> None:
        rotations[:, joints] = rotations[:1, joints]

    return _by_rotations(change)


def _bend_knees(rotations: np.ndarray, fps: float, rng: np.random.Generator) -> None:
    """Knees bent the wrong way by up to 50 degrees, part of the time."""
    seconds = np.arange(len(rotations)) / fps
    bend = np.zeros((len(rotations), 3))
    bend[:, 1] = -np.deg2rad(50) * np.clip(np.sin(0.8 * np.pi * seconds + rng.uniform(0, 6)), 0, 1)
    for knee in (4, 5):
        rotations[:, knee] = multiply(rotations[:, knee], from_rotation_vector(bend))


def _speed(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    """Played 1.5 times as fast: fewer frames."""
    from scipy.interpolate import CubicSpline

    frames = len(positions)
    return CubicSpline(np.arange(frames), positions)(np.arange(0.0, frames - 1 + 1e-9, 1.5))


def _dropout(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    """Twenty frames in which the last pose is held (fewer in a clip of less than 40)."""
    frames = min(20, len(positions) // 2)
    start = int(rng.integers(1, max(2, len(positions) - frames)))
    positions[start : start + frames] = positions[start - 1]
    return positions


def _spin(positions: np.ndarray, fps: float, rng: np.random.Generator) -> np.ndarray:
    """From one frame to the next the whole body faces the other way."""
    start = int(rng.integers(len(positions) // 4, max(len(positions) // 4 + 1, 3 * len(positions) // 4)))
    pivot = positions[start, 0] * [1.0, 0.0, 1.0]
    positions[start:] = rotate(about_y(np.array(np.pi)), positions[start:] - pivot) + pivot
    return positions


CORRUPTIONS: dict[str, Corruption] = {
    "sink": _sink,
    "float": _float,
    "ramp": _ramp,
    "bob": _bob,
    "drift": _drift,
    "wander": _wander,
    "jitter_5mm": _jitter(0.005),
    "jitter_15mm": _jitter(0.015),
    "pops": _pops,
    "knee_limit": _by_rotations(_bend_knees),
    "frozen_arm": _freeze((16, 18)),
    "frozen_leg": _freeze((1, 4, 7)),
    "speed": _speed,
    "dropout": _dropout,
    "spin": _spin,
}
"""Kinds of damage: twelve that the literature's checks know, then 1.5x speed, a 20-frame dropout and a sudden turn."""
