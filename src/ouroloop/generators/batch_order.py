"""Which rows a gradient step sees: shuffled epochs, over all rows or over real and synthetic ones side by side."""

from __future__ import annotations

import functools
from typing import Protocol

import numpy as np

from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import REAL

__all__ = ["BatchOrder", "Epochs", "SideBySide", "batch_order"]

_ROUNDING = 1e-9  # 100 * 0.29 is 29 rows


class BatchOrder(Protocol):
    """Positions of the training rows of a gradient step."""

    def rows(self, step: int, size: int) -> np.ndarray:
        """Positions, int64 (size,); a pure function of the step."""
        ...


class Epochs:
    """Every row once in a shuffled order, then all in another; batches run on from one epoch into the next.

    Args:
        positions: of the rows, int64 (n,), n >= 1.
        key: epoch e is in the permutation drawn from ``key.child("order", e)``.
    """

    def __init__(self, positions: np.ndarray, key: Key) -> None:
        self._positions, self._key = positions, key
        self._order = functools.lru_cache(maxsize=2)(self._permutation)

    def rows(self, step: int, size: int) -> np.ndarray:
        """Entries step * size to (step + 1) * size - 1 of the endless order."""
        return self.between(step * size, (step + 1) * size)

    def between(self, start: int, stop: int) -> np.ndarray:
        """Entries start to stop - 1 of the endless order."""
        pieces = [np.empty(0, np.int64)]
        while start < stop:
            epoch, offset = divmod(start, len(self._positions))
            pieces.append(self._order(epoch)[offset : offset + stop - start])
            start += len(pieces[-1])
        return np.concatenate(pieces)

    def _permutation(self, epoch: int) -> np.ndarray:
        return self._positions[self._key.child("order", epoch).rng().permutation(len(self._positions))]


class SideBySide:
    """A share of every batch is real, whatever the share of real rows in the data; real rows come first.

    After t steps of s rows each, floor(t s share) real rows were seen: where s * share is not whole, batches differ by
    one row.

    Args:
        real, synthetic: positions of the rows, int64, at least one each.
        share: of real rows, in [0, 1].
        key: the stream of both orders.
    """

    def __init__(self, real: np.ndarray, synthetic: np.ndarray, share: float, key: Key) -> None:
        self._share = share
        self._real = Epochs(real, key.child("real"))
        self._synthetic = Epochs(synthetic, key.child("synthetic"))

    def rows(self, step: int, size: int) -> np.ndarray:
        """The next rows of both orders."""
        start, stop = step * size, (step + 1) * size
        first, last = self._real_before(start), self._real_before(stop)
        return np.concatenate([self._real.between(first, last), self._synthetic.between(start - first, stop - last)])

    def _real_before(self, rows: int) -> int:
        return int(rows * self._share + _ROUNDING)


def batch_order(data: Pool, real_share: float | None, key: Key) -> BatchOrder:
    """The order of the rows of `data`: by epochs, or with a share of real rows in every batch.

    Where all rows are real, or all synthetic, there is nothing to mix and the order is that of epochs.
    """
    if real_share is not None and 0 < data.n_real < len(data):
        is_real = np.concatenate([part.origin == REAL for part in data.parts])
        return SideBySide(np.flatnonzero(is_real), np.flatnonzero(~is_real), real_share, key)
    return Epochs(np.arange(len(data)), key)
