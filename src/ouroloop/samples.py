"""Samples: a table of named numpy columns of equal length, every row with its provenance.

The main column is ``x``; class labels are ``label``; a data set may carry more (captions, lengths,
table columns). Four columns of provenance are always there:

* ``id``       int64, unique in a run. Real rows: 0..n-1. A synthetic row drawn in generation t has
               id ``t << 40 | i``; its corrected version has id ``t << 40 | 1 << 39 | i``.
* ``parent``   int64, the id of the row this one was made from, or -1.
* ``origin``   int32, the generation in which the row entered the loop; 0 means real.
* ``verdict``  int8, what a corrector decided (see `Verdict`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from ouroloop.errors import DataError

__all__ = ["PROVENANCE", "REAL", "Samples", "Verdict", "corrected_ids", "synthetic_ids"]

REAL = 0
PROVENANCE: dict[str, np.dtype] = {
    "id": np.dtype(np.int64),
    "parent": np.dtype(np.int64),
    "origin": np.dtype(np.int32),
    "verdict": np.dtype(np.int8),
}
_CORRECTED_BIT = 1 << 39
_CHECK_ROWS = 1 << 18  # rows checked for NaN at a time, so that a memory-mapped column stays on disk


class Verdict(IntEnum):
    """What happened to a synthetic row before it was trained on."""

    KEPT = 0
    CHANGED = 1
    DROPPED = 2
    FAILED = 3


def synthetic_ids(generation: int, start: int, count: int) -> np.ndarray:
    """Ids of rows start..start+count-1 drawn in a generation, int64 (count,)."""
    return (np.int64(generation) << 40) | np.arange(start, start + count, dtype=np.int64)


def corrected_ids(ids: np.ndarray) -> np.ndarray:
    """Ids of the corrected versions of rows, int64, same shape."""
    return np.asarray(ids, np.int64) | _CORRECTED_BIT


@dataclass(frozen=True, eq=False)
class Samples:
    """A table of samples. Columns are never written to; `replace` and `take` make new tables.

    Args:
        columns: name -> array of shape (n, ...). Missing provenance columns are filled in as real
            rows numbered from 0.

    Raises:
        DataError: a column of another length, a ragged (object) column, or no column at all.

    >>> s = Samples.of(np.zeros((3, 2)), label=np.array([0, 1, 1]))
    >>> len(s), s.x.shape, s.label.tolist(), s.origin.tolist()
    (3, (3, 2), [0, 1, 1], [0, 0, 0])
    """

    columns: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        columns = {name: _as_column(name, value) for name, value in self.columns.items()}
        data = [name for name in columns if name not in PROVENANCE]
        if not data:
            raise DataError("samples need at least one data column, got none (the main one is 'x')")
        n = len(columns[data[0]])
        for name, value in columns.items():
            if len(value) != n:
                raise DataError(
                    f"column '{name}' has {len(value)} rows but column '{data[0]}' has {n}: "
                    "all columns must be equally long"
                )
        defaults = {"id": np.arange(n), "parent": np.full(n, -1), "origin": np.zeros(n), "verdict": np.zeros(n)}
        for name, dtype in PROVENANCE.items():
            columns[name] = np.asarray(columns.get(name, defaults[name])).astype(dtype, copy=False)
        object.__setattr__(self, "columns", columns)

    @classmethod
    def of(cls, x: Any, **columns: Any) -> Samples:
        """A table whose main column is `x`, shape (n, ...), with any further columns by name."""
        return cls({"x": x, **columns})

    def __len__(self) -> int:
        return len(self.columns["id"])

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise DataError(f"no column '{name}'; there are: {', '.join(self.data_columns)}")
        return self.columns[name]

    @property
    def x(self) -> np.ndarray:
        """The main column, shape (n, ...)."""
        return self["x"]

    @property
    def label(self) -> np.ndarray:
        """Class labels, shape (n,). Raises DataError where there are none."""
        return self["label"]

    @property
    def id(self) -> np.ndarray:
        """Row ids, int64 (n,)."""
        return self.columns["id"]

    @property
    def parent(self) -> np.ndarray:
        """Ids of the rows these were made from, int64 (n,), -1 for none."""
        return self.columns["parent"]

    @property
    def origin(self) -> np.ndarray:
        """Generation of origin, int32 (n,), 0 for real."""
        return self.columns["origin"]

    @property
    def verdict(self) -> np.ndarray:
        """Verdicts, int8 (n,), values of `Verdict`."""
        return self.columns["verdict"]

    @property
    def data_columns(self) -> tuple[str, ...]:
        """Names of the columns that are not provenance."""
        return tuple(name for name in self.columns if name not in PROVENANCE)

    def take(self, rows: np.ndarray | slice | Sequence[int]) -> Samples:
        """The rows at these positions (or of this boolean mask, or slice), provenance included."""
        return Samples({name: value[rows] for name, value in self.columns.items()})

    def replace(self, **columns: Any) -> Samples:
        """The same rows with some columns replaced or added."""
        return Samples({**self.columns, **columns})

    def only(self, names: Sequence[str]) -> Samples:
        """The same rows with these data columns (and the provenance) alone."""
        return Samples({name: self[name] for name in (*names, *PROVENANCE)})

    def batches(self, size: int) -> Iterator[Samples]:
        """Consecutive tables of at most `size` rows."""
        for start in range(0, len(self), size):
            yield self.take(slice(start, start + size))

    def check_finite(self, what: str) -> None:
        """Raise DataError naming the column and row of the first NaN or infinity.

        Args:
            what: what the table is, for the message ("real data", "synthetic samples of generation 3").
        """
        for name in self.data_columns:
            column = self.columns[name]
            if column.dtype.kind not in "fc":
                continue
            for start in range(0, len(column), _CHECK_ROWS):
                block = column[start : start + _CHECK_ROWS]
                good = np.isfinite(block)
                if not good.all():
                    row = start + int(np.argmin(good.reshape(len(block), -1).all(axis=1)))
                    bad = "NaN" if np.isnan(column[row]).any() else "infinity"
                    raise DataError(f"{what}: {bad} in column '{name}', row {row}; remove or impute such rows first")

    @classmethod
    def concat(cls, tables: Sequence[Samples]) -> Samples:
        """One table below the other, in memory. All need the same columns and row shapes."""
        if not tables:
            raise DataError("cannot join zero tables")
        names = tables[0].columns.keys()
        for table in tables[1:]:
            if table.columns.keys() != names:
                raise DataError(
                    f"cannot join tables with different columns: {sorted(tables[0].data_columns)} "
                    f"and {sorted(table.data_columns)}"
                )
        if len(tables) == 1:
            return tables[0]
        return cls({name: _join(name, [t.columns[name] for t in tables]) for name in names})


def _join(name: str, arrays: list[np.ndarray]) -> np.ndarray:
    shapes = {a.shape[1:] for a in arrays}
    if len(shapes) > 1:
        raise DataError(f"cannot join column '{name}': rows of shapes {sorted(map(str, shapes))}")
    return np.concatenate(arrays)


def _as_column(name: str, value: Any) -> np.ndarray:
    try:
        column = np.asarray(value)
    except ValueError as error:  # numpy refuses ragged nested sequences
        raise DataError(f"column '{name}' is ragged: every row needs the same shape ({error})") from error
    if column.dtype == object:
        if all(isinstance(v, str) for v in column.ravel()):
            column = column.astype(str)
        else:
            raise DataError(f"column '{name}' holds Python objects; expected numbers or strings of one shape")
    if column.ndim == 0:
        raise DataError(f"column '{name}' is a single value; expected an array with one entry a row")
    return column
