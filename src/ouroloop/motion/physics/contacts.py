"""Which foot stands when, and how the root must move so that standing feet stand still."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import median_filter

from ouroloop.motion.physics.body import LEGS
from ouroloop.motion.physics.filters import blur
from ouroloop.motion.physics.floor import second_difference_bands

__all__ = ["FootContacts", "detect_contacts", "root_drift"]

_HEIGHT = 0.025  # m: a sole point above this does not stand
_SPEED = 0.3  # m/s: nor does one that is faster than this


@dataclass(frozen=True, eq=False)
class FootContacts:
    """Heel and ball contact of both feet.

    Args:
        heel, ball: bool (T, 2), left foot first.
    """

    heel: np.ndarray
    ball: np.ndarray

    @property
    def foot(self) -> np.ndarray:
        """Whether any part of the foot stands, bool (T, 2)."""
        return self.heel | self.ball


def detect_contacts(soles: np.ndarray, fps: float) -> FootContacts:
    """Contacts from height and speed of the sole points.

    A foot that stands still a little above the floor counts as standing: its lowest part is first lowered by as much
    as its speed allows.

    Args:
        soles: (T, 12, 3) m, floor at z = 0.
    """
    velocity = np.gradient(soles, 1.0 / fps, axis=0)
    window = max(3, int(0.05 * fps) | 1)
    heel, ball = [], []
    for leg in LEGS:
        heights = [soles[:, part, 2].mean(axis=1) for part in (leg.heel, leg.ball)]
        speeds = [np.linalg.norm(velocity[:, part].mean(axis=1), axis=-1) for part in (leg.heel, leg.ball)]
        lower = np.minimum(*heights)
        speed = np.where(heights[0] < heights[1], *speeds)
        lift = np.clip(lower, 0.0, 0.07) * np.exp(-((speed / 0.15) ** 2))
        for result, height, own in zip((heel, ball), heights, speeds, strict=True):
            raw = (height - lift < _HEIGHT) & (own < _SPEED)
            result.append(median_filter(raw.astype(float), window, mode="nearest") > 0.5)
    return FootContacts(np.stack(heel, axis=1), np.stack(ball, axis=1))


def root_drift(soles: np.ndarray, root: np.ndarray, fps: float, threshold: float = 0.12) -> np.ndarray:
    """Slow horizontal velocity to add to the root so that feet near the floor stand still, (T, 2) m/s.

    Iteratively reweighted least squares over heel and ball velocities with a smoothness prior. A drift is slow: only
    the one-second mean counts, only above `threshold` m/s (or 12 % of the body's own speed), and only where a foot
    supports the body for most of that second.

    Args:
        soles: (T, 12, 3) m, floor at z = 0. root: (T, 3) m.
    """
    if len(soles) < 5:
        return np.zeros((len(soles), 2))
    velocity = np.gradient(soles, 1.0 / fps, axis=0)
    parts = [part for leg in LEGS for part in (leg.heel, leg.ball)]
    height = np.stack([soles[:, part, 2].mean(axis=1) for part in parts], axis=1)
    moving = np.stack([velocity[:, part].mean(axis=1) for part in parts], axis=1)
    low = 1.0 / (1.0 + np.exp(np.clip((height - 0.045) / 0.008, -50, 50))) * np.exp(-((moving[..., 2] / 0.25) ** 2))
    stiffness = second_difference_bands(len(soles), 0.1 * (0.5 * fps) ** 4)
    drift, support = np.zeros((len(soles), 2)), np.zeros(len(soles))
    for scale in (0.8, 0.5, 0.35, 0.25, 0.2, 0.2):
        residual = np.linalg.norm(moving[..., :2] + drift[:, None], axis=-1)
        weights = low * np.exp(-((residual / scale) ** 2))
        support = weights.sum(axis=1)
        bands = stiffness.copy()
        bands[2] += support + 0.02
        drift = solveh_banded(bands, -(weights[..., None] * moving[..., :2]).sum(axis=1))
    mean = blur(drift, 0.5 * fps)
    supported = blur(np.clip(support, 0, 1), 0.5 * fps)[:, None]
    speed = np.linalg.norm(np.gradient(root[:, :2], 1.0 / fps, axis=0), axis=1)
    least = np.maximum(threshold, 0.12 * blur(speed, 0.5 * fps)[:, None])
    size = np.linalg.norm(mean, axis=1, keepdims=True)
    return mean * np.clip((size - least) / (0.5 * threshold), 0, 1) * np.clip((supported - 0.25) / 0.25, 0, 1)
