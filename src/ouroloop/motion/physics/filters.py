"""Linear filters along time: penalised least squares and a few helpers, all on arrays with time first."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded
from scipy.ndimage import gaussian_filter1d

__all__ = ["blur", "distance_to", "penalty_of", "runs", "smooth", "spread"]


def smooth(x: np.ndarray, penalty: float, weights: np.ndarray | None = None, order: int = 3) -> np.ndarray:
    r"""Penalised least squares: $\min_s \sum_t w_t |x_t - s_t|^2 + \lambda \sum_t |\Delta^d s_t|^2$.

    Args:
        x: (T, ...) values. penalty: lambda. weights: (T,), 1 by default. order: d, of the difference.

    Source: E. T. Whittaker, On a new method of graduation (1923); Eilers, A perfect smoother (2003).
    """
    frames = len(x)
    if frames <= order:
        return x.copy()
    weights = np.ones(frames) if weights is None else weights
    stencil = np.diff(np.eye(order + 1), order, axis=0)[0]
    bands = np.zeros((order + 1, frames))
    for i in range(order + 1):
        for j in range(i, order + 1):
            bands[order - (j - i), j : frames - order + j] += penalty * stencil[i] * stencil[j]
    bands[order] += weights
    columns = x.reshape(frames, -1)
    return solveh_banded(bands, columns * weights[:, None], check_finite=False).reshape(x.shape)


def penalty_of(cutoff: float, fps: float) -> float:
    """The penalty (order 3) whose half-power frequency is `cutoff` Hz at `fps` frames a second."""
    return 1.0 / (2.0 * np.sin(np.pi * cutoff / fps)) ** 6


def blur(x: np.ndarray, frames: float) -> np.ndarray:
    """Gaussian blur along time with a standard deviation in frames; ends are held."""
    return gaussian_filter1d(x, frames, axis=0, mode="nearest") if frames > 0 and len(x) > 1 else x.copy()


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, stop) of every stretch of True."""
    edges = np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True))


def distance_to(mask: np.ndarray) -> np.ndarray:
    """Frames to the nearest True, float (T,); very far where there is none."""
    where = np.flatnonzero(mask)
    frames = np.arange(len(mask))
    if len(where) == 0:
        return np.full(len(mask), 1e6)
    after = np.clip(np.searchsorted(where, frames), 0, len(where) - 1)
    before = np.maximum(after - 1, 0)
    return np.minimum(np.abs(frames - where[before]), np.abs(frames - where[after])).astype(float)


def spread(values: np.ndarray, mask: np.ndarray, decay: float) -> np.ndarray:
    """Corrections known on a mask, everywhere: interpolated in gaps, fading within `decay` frames at the ends.

    Args:
        values: (T, k). mask: bool (T,). decay: frames.
    """
    where = np.flatnonzero(mask)
    if len(where) == 0:
        return np.zeros_like(values)
    frames = np.arange(len(mask))
    result = np.stack([np.interp(frames, where, column) for column in values[where].T], axis=1)
    outside = (frames < where[0]) | (frames > where[-1])
    gap = np.minimum(np.abs(frames - where[0]), np.abs(frames - where[-1]))
    result[outside] *= np.exp(-((gap[outside] / decay) ** 2))[:, None]
    return result
