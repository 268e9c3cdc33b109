"""Pool: an ordered view over several tables, read in batches, so that training data may exceed memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ouroloop.errors import DataError
from ouroloop.samples import REAL, Samples

__all__ = ["Pool"]

BATCH_ROWS = 65_536


@dataclass(frozen=True, eq=False)
class Pool:
    """What a generator is fitted on: tables one below the other, none of them copied.

    The tables may be memory-mapped; `batches` and `take` touch only the rows that they return.

    Args:
        parts: the tables, in order. Empty ones are left out.

    >>> pool = Pool.of(Samples.of(np.zeros((3, 2))), Samples.of(np.ones((2, 2)), origin=[1, 1]))
    >>> len(pool), pool.n_real, pool.synthetic_ratio
    (5, 3, 0.6666666666666666)
    """

    parts: tuple[Samples, ...]
    offsets: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        parts = tuple(part for part in self.parts if len(part)) or self.parts[:1]
        if parts:
            columns = set(parts[0].data_columns)
            for part in parts[1:]:
                if set(part.data_columns) != columns:
                    raise DataError(
                        f"cannot pool tables with different columns: {sorted(columns)} and {sorted(part.data_columns)}"
                    )
        object.__setattr__(self, "parts", parts)
        object.__setattr__(self, "offsets", np.cumsum([0, *map(len, parts)]))

    @classmethod
    def of(cls, *sources: Samples | Pool) -> Pool:
        """A pool of tables and of other pools' tables, in order."""
        parts: list[Samples] = []
        for source in sources:
            parts.extend(source.parts if isinstance(source, Pool) else (source,))
        return cls(tuple(parts))

    def __len__(self) -> int:
        return int(self.offsets[-1])

    @property
    def data_columns(self) -> tuple[str, ...]:
        """Names of the columns that are not provenance."""
        return self.parts[0].data_columns if self.parts else ()

    def batches(self, size: int = BATCH_ROWS) -> Iterator[Samples]:
        """Consecutive tables of at most `size` rows; a batch never spans two tables."""
        for part in self.parts:
            yield from part.batches(size)

    def take(self, rows: np.ndarray | Sequence[int]) -> Samples:
        """The rows at these positions (not a mask), in this order, in memory."""
        rows = np.asarray(rows, dtype=np.int64)
        if not self.parts:
            raise DataError("an empty pool has no rows to take")
        if len(self.parts) == 1:
            return self.parts[0].take(rows)
        which = np.searchsorted(self.offsets, rows, side="right") - 1
        pieces, places = [], []
        for index in np.unique(which):
            mask = which == index
            pieces.append(self.parts[index].take(rows[mask] - self.offsets[index]))
            places.append(np.flatnonzero(mask))
        if not pieces:
            return self.parts[0].take(rows)
        order = np.argsort(np.concatenate(places), kind="stable")
        return Samples.concat(pieces).take(order)

    def slice(self, start: int, stop: int) -> Pool:
        """Rows start..stop-1 as a pool; nothing is copied."""
        parts = []
        for part, offset in zip(self.parts, self.offsets[:-1], strict=True):
            low, high = max(start - offset, 0), min(stop - offset, len(part))
            if low < high:
                parts.append(part.take(slice(int(low), int(high))))
        return Pool(tuple(parts) or tuple(p.take(slice(0, 0)) for p in self.parts[:1]))

    def materialise(self) -> Samples:
        """All rows as one table in memory (no copy where there is only one part)."""
        return Samples.concat(self.parts)

    @property
    def x(self) -> np.ndarray:
        """The main column of all rows, in memory, shape (n, ...)."""
        return self.column("x")

    def column(self, name: str) -> np.ndarray:
        """A column of all rows, in memory, shape (n, ...)."""
        if not self.parts:
            raise DataError(f"an empty pool has no column '{name}'")
        arrays = [part[name] for part in self.parts]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    @property
    def n_real(self) -> int:
        """Number of real rows."""
        return int(sum(np.count_nonzero(part.origin == REAL) for part in self.parts))

    @property
    def synthetic_ratio(self) -> float:
        """Synthetic rows per real row, the effective ratio; infinity where no row is real."""
        real = self.n_real
        return (len(self) - real) / real if real else float("inf")
