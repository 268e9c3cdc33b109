"""Retrieval between two embeddings: does a text find its own motion among those of other texts?"""

from __future__ import annotations

from math import comb

import numpy as np

__all__ = ["batches_of", "blind_precision", "retrieval_hits"]

_RANKS = 3  # R-precision 1, 2 and 3


def retrieval_hits(
    *, text: np.ndarray, motion: np.ndarray, meaning: np.ndarray, batches: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Whether a text finds a motion of its own meaning among the k nearest of its batch, for k = 1, 2, 3.

    A motion whose caption says the same as the text counts as found, since nothing tells it from the text's own.

    Args:
        text, motion: embeddings, float (n, d); row i belongs to row i.
        meaning: the same number for captions that say the same, (n,).
        batches: row numbers, int (b, size).

    Returns:
        Hits, bool (b, size, 3), and the hits that a blind guess has on average, float64 (b, size, 3).

    Source: Guo et al., "Generating Diverse and Natural 3D Human Motions from Text" (CVPR 2022), section 5.1:
    batches of 32. There a motion with the same caption counts as wrong.
    """
    a, b = text[batches], motion[batches]
    squared = np.square(a).sum(-1)[:, :, None] + np.square(b).sum(-1)[:, None, :] - 2.0 * a @ b.swapaxes(1, 2)
    same = meaning[batches][:, :, None] == meaning[batches][:, None, :]
    nearest_own = np.where(same, squared, np.inf).min(axis=2)
    nearer = (squared < nearest_own[:, :, None]).sum(axis=2)
    # A motion of another meaning at exactly the same distance counts as nearer: a constant embedding finds nothing.
    nearer += ((squared == nearest_own[:, :, None]) & ~same).sum(axis=2)
    size = batches.shape[1]
    blind = np.array([blind_precision(size, count) for count in range(size + 1)])
    return nearer[:, :, None] < np.arange(1, _RANKS + 1), blind[same.sum(axis=2)]


def blind_precision(size: int, own: int) -> list[float]:
    """R-precision 1, 2 and 3 of a random order of `size` motions of which `own` are right.

    >>> [round(value, 4) for value in blind_precision(32, 1)]
    [0.0312, 0.0625, 0.0938]
    """
    return [1.0 - comb(size - own, min(k, size)) / comb(size, min(k, size)) for k in range(1, _RANKS + 1)]


def batches_of(n: int, size: int, replications: int, rng: np.random.Generator) -> np.ndarray:
    """Rows 0 to n - 1 in random order and in batches, so many times over; int64 (replications * (n // size), size).

    The rows that fill no batch are others in every replication.
    """
    orders = rng.permuted(np.tile(np.arange(n), (replications, 1)), axis=1)
    return orders[:, : n // size * size].reshape(-1, size)
