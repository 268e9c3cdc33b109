"""Where the floor is: one height a clip, or a slow curve where the evidence for one is strong."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded

from ouroloop.motion.physics.body import Body, to_simulator
from ouroloop.motion.physics.visible_surface import visible_surface
from ouroloop.motion.skeleton import Skeleton

__all__ = ["constant_floor", "floor_curve", "floor_height", "second_difference_bands"]


def second_difference_bands(frames: int, penalty: float) -> np.ndarray:
    """Upper bands (3, T) of penalty times the Gram matrix of second differences, for ``solveh_banded``."""
    bands = np.zeros((3, frames))
    diagonal, beside = np.full(frames, 6.0), np.full(frames, -4.0)
    diagonal[[0, -1]], diagonal[[1, -2]] = 1.0, 5.0
    beside[[1, -1]] = -2.0
    bands[2], bands[1, 1:], bands[0, 2:] = penalty * diagonal, penalty * beside[1:], penalty
    return bands


def constant_floor(surface: np.ndarray, fps: float) -> float:
    """Height in m of the floor under a clip.

    The weighted 35th percentile of the lowest surface point over time, weighted by how little that point moves up or
    down (a point on the floor does not).

    Args:
        surface: (T, n, 3) m, the lowest points of the body's spheres.
    """
    height = surface[..., 2]
    lowest, which = height.min(axis=1), height.argmin(axis=1)
    if len(height) == 1:
        return float(lowest[0])
    speed = np.abs(np.gradient(height, 1.0 / fps, axis=0))[np.arange(len(height)), which]
    weights = np.exp(-((speed / 0.15) ** 2)) + 1e-3
    order = np.argsort(lowest, kind="stable")
    share = np.cumsum(weights[order])
    return float(np.interp(0.35, share / share[-1], lowest[order]))


def floor_curve(soles: np.ndarray, lowest: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """A floor height for every frame, and in [0, 1] how well each frame supports it, both (T,).

    A smooth curve goes through the lowest point of the body wherever a foot carries it and stands still; what lies
    more than 6 cm above the curve (jumps) counts little.

    Args:
        soles: (T, 12, 3) m, the lowest points of the soles. lowest: (T,) m, of the whole body.
    """
    frames = len(lowest)
    which = soles[..., 2].argmin(axis=1)
    velocity = np.gradient(soles, 1.0 / fps, axis=0)[np.arange(frames), which]
    sideways = np.linalg.norm(velocity[:, :2], axis=1)
    support = np.exp(-((sideways / 0.3) ** 2)) * np.exp(-((velocity[:, 2] / 0.6) ** 2))
    support = support * (soles[..., 2].min(axis=1) <= lowest + 0.02)
    curve = np.full(frames, np.percentile(lowest, 20))
    stiffness = second_difference_bands(frames, (0.2 * fps) ** 4 / 4.0)
    for iteration in range(10):
        lifted = (lowest - curve > 0.06) & (iteration > 0)
        weights = support * np.where(lifted, 0.05, 1.0) + 2e-3
        bands = stiffness.copy()
        bands[2] += weights
        curve = solveh_banded(bands, weights * lowest)
    return curve, support


def floor_height(positions: np.ndarray, fps: float) -> float:
    """Height in m at which the foot joints of a standing body would be, for positions (T, 22, 3) with y up.

    Raises:
        DataError: positions that no skeleton can be read from.
    """
    body = Body.of(Skeleton.from_positions(positions if len(positions) > 1 else np.repeat(positions, 2, axis=0)))
    return constant_floor(visible_surface(body, to_simulator(positions)), fps) + body.ball_radius
