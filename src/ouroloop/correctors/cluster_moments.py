"""The moments of real clusters, and the map that gives synthetic clusters the same ones (see `cluster`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from ouroloop.keys import Key

__all__ = ["ClassMoments", "group_sums", "moment_map"]

_MOST_AXES = 64
_ROWS_AN_AXIS = 4  # real rows needed for every principal direction
_FEWEST = 2 * _ROWS_AN_AXIS


def group_sums(x: np.ndarray, label: np.ndarray, groups: int) -> np.ndarray:
    """Sum of the rows of every group, float64 (groups, d), for rows (n, d) and groups (n,) 0..groups-1."""
    return (label == np.arange(groups)[:, None]).astype(np.float64) @ x


@dataclass(frozen=True)
class ClassMoments:
    """How the real rows of one class vary about their cluster's centre.

    Args:
        axes: principal directions u_j, float64 (q, d), q <= d.
        variance: real variance along each, float64 (q,).
        rest: mean of the squared length of what the axes leave out, in all d - q directions together; infinity
            where there are too few real rows to know.
        sizes: real rows in every cluster, int64 (k,).
    """

    axes: np.ndarray
    variance: np.ndarray
    rest: float
    sizes: np.ndarray

    @classmethod
    def empty(cls) -> Self:
        """No moments, for modes that need none."""
        return cls(np.empty((0, 0)), np.empty(0), 0.0, np.empty(0, np.int64))

    @classmethod
    def of(cls, x: np.ndarray, features: np.ndarray, label: np.ndarray, *, key: Key) -> Self:
        """Moments of the rows of one class.

        Deviations are from the nearest centre computed without the row itself, and axes come from one half of
        the rows and variances from the other: held-out real rows have the same moments in expectation, where
        moments of the rows that k-means was fitted on would be too small.

        Args:
            x: rows, float64 (n, d). features: the same rows where nearest is measured, (n, f).
            label: the cluster of each row, int (n,), 0..k-1.
            key: draws the halves.
        """
        if len(x) < _FEWEST:
            return cls(np.empty((0, x.shape[1])), np.empty(0), np.inf, np.bincount(label))
        deviation = _left_out(x, features, label)
        order = key.child("halves").rng().permutation(len(x))
        first, second = deviation[order[: len(x) // 2]], deviation[order[len(x) // 2 :]]
        count = min(_MOST_AXES, x.shape[1], len(first) // _ROWS_AN_AXIS)
        axes = np.linalg.svd(first, full_matrices=False)[2][:count]
        scores = second @ axes.T
        squares = np.einsum("ij,ij->i", second, second)
        rest = float(np.mean(squares - np.einsum("ij,ij->i", scores, scores)))
        return cls(axes, np.mean(scores**2, axis=0), max(rest, 0.0), np.bincount(label))


def _left_out(x: np.ndarray, features: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Deviation of every row from its nearest centre, computed without it, float64 (n, d); 0 where there is none."""
    sizes = np.bincount(label)
    sums_x = group_sums(x, label, len(sizes))
    means_f = group_sums(features, label, len(sizes)) / sizes[:, None]
    squares = np.einsum("ij,ij->i", features, features)
    distance = squares[:, None] - 2.0 * features @ means_f.T + np.einsum("ij,ij->i", means_f, means_f)
    row, others = np.arange(len(x)), sizes[label] - 1
    scale = np.where(others > 0, sizes[label] / np.maximum(others, 1), np.inf)
    with np.errstate(invalid="ignore"):  # 0 * inf: a row that is its cluster
        distance[row, label] = np.where(others > 0, distance[row, label] * scale**2, np.inf)
    nearest = distance.argmin(axis=1)
    own = (nearest == label) & (others > 0)
    centre = (sums_x[nearest] - np.where(own[:, None], x, 0.0)) / (sizes[nearest] - own)[:, None]
    alone = ~np.isfinite(distance[row, nearest])
    return np.where(alone[:, None], 0.0, x - centre)


def moment_map(
    x: np.ndarray, nearest: np.ndarray, centres: np.ndarray, member: np.ndarray, moments: tuple[ClassMoments, ...]
) -> np.ndarray:
    """Rows moved so that their clusters have the real means and their classes the real variances.

    Args:
        x: rows, float64 (n, d).
        nearest: the centre that each belongs to, int (n,).
        centres: real centres, (K, d). member: the class of each, (K,).
        moments: by class.

    Returns:
        The moved rows, float64 (n, d).
    """
    result = x.copy()
    group = member[nearest]
    for index, real in enumerate(moments):
        rows = np.flatnonzero(group == index)
        if len(rows):
            first = int(np.searchsorted(member, index))
            count = len(real.sizes)
            result[rows] = _move_class(x[rows], nearest[rows] - first, centres[first : first + count], real)
    return result


def _move_class(x: np.ndarray, label: np.ndarray, centres: np.ndarray, real: ClassMoments) -> np.ndarray:
    if np.isinf(real.rest):
        return x
    deviation = x - centres[label] + _shifts(x, label, centres, real)[label]
    scores = deviation @ real.axes.T
    along = scores @ real.axes
    across = deviation - along
    squares = np.einsum("ij,ij->i", across, across)[:, None]
    scale = _scales(scores**2, real.variance)
    scale_rest = _scales(squares, np.array([real.rest]))
    return centres[label] + (scores * scale) @ real.axes + across * scale_rest


def _shifts(x: np.ndarray, label: np.ndarray, centres: np.ndarray, real: ClassMoments) -> np.ndarray:
    """How far every cluster has to move, float64 (k, d): the difference of the means, shrunk (James and Stein).

    The squared length of the difference is tr(S) (1/m + 1/m_real) by sampling noise alone, S the real
    covariance within clusters; that share of it is left out.
    """
    sizes = np.bincount(label, minlength=len(centres))
    total = group_sums(x, label, len(centres))
    shift = np.where(sizes[:, None] > 0, centres - total / np.maximum(sizes, 1)[:, None], 0.0)
    noise = (real.variance.sum() + real.rest) * (1.0 / np.maximum(sizes, 1) + 1.0 / real.sizes)
    length = np.einsum("ij,ij->i", shift, shift)
    signal = np.divide(length - noise, length, out=np.zeros_like(length), where=length > noise)
    return shift * signal[:, None]


def _scales(squares: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Factors sqrt(real / synthetic variance), float64 (q,), shrunk towards 1 (Ledoit and Wolf).

    Args:
        squares: squared deviations of the synthetic rows in units of the data, (m, q).
        variance: the real variances, (q,).
    """
    flat = variance <= 1e-12 * max(variance.max(initial=0.0), np.finfo(float).tiny)
    ratio = squares / np.where(flat, 1.0, variance)
    mean = ratio.mean(axis=0)
    # A Gaussian's squared deviation has twice its squared mean as variance; few rows may show less than that.
    noise = np.maximum(np.mean((ratio - mean) ** 2, axis=0), 2.0 * mean**2) / len(ratio)
    signal = (mean - 1.0) ** 2
    noise_sum, signal_sum = float(noise[~flat].sum()), float(signal[~flat].sum())
    share = noise_sum / signal_sum if noise_sum < signal_sum else 1.0
    shrunk = share + (1.0 - share) * mean
    return np.where(flat, 0.0, 1.0 / np.sqrt(np.maximum(shrunk, np.finfo(float).tiny)))
