"""Distances between all rows of two tables, in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

__all__ = ["blocks", "nearest", "squared_distances"]

BLOCK_VALUES = 1 << 19
"""Largest number of float64 values in a block (4 MiB, about a cache)."""


def blocks(n: int, width: int) -> Iterator[slice]:
    """Consecutive ranges of n rows such that a block of `width` columns stays within bounded memory."""
    size = max(1, BLOCK_VALUES // max(1, width))
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


def squared_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared Euclidean distances, float64 (n, m), between rows (n, d) and (m, d).

    Computed as |a|^2 + |b|^2 - 2ab around the mean of b, which loses about 1e-16 of the squared scale of the
    data; results are never negative.
    """
    centre = b.mean(axis=0) if len(b) else 0.0
    return _expand(a - centre, *_side(b - centre))


def nearest(a: np.ndarray, b: np.ndarray, k: int = 1, *, same: bool = False) -> np.ndarray:
    """Squared distance of every row of a to its k-th nearest row of b, float64 (n,).

    Args:
        a, b: rows, shapes (n, d) and (m, d).
        k: which neighbour, from 1.
        same: a and b are the same table: a row is not its own neighbour.
    """
    result = np.empty(len(a))
    centre = b.mean(axis=0)
    side = _side(b - centre)
    for rows in blocks(len(a), len(b)):
        distance = _expand(a[rows] - centre, *side)
        if same:
            distance[np.arange(len(distance)), np.arange(rows.start, rows.stop)] = np.inf
        result[rows] = distance.min(axis=1) if k == 1 else np.partition(distance, k - 1, axis=1)[:, k - 1]
    return result


def _side(b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """-2 b^T (d, m) and |b|^2 (m,)."""
    return -2.0 * b.T, np.einsum("ij,ij->i", b, b)


def _expand(a: np.ndarray, minus_two_b: np.ndarray, b_squared: np.ndarray) -> np.ndarray:
    result = a @ minus_two_b
    result += np.einsum("ij,ij->i", a, a)[:, None]
    result += b_squared[None, :]
    return np.maximum(result, 0.0, out=result)
