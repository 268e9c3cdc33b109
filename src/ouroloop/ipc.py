"""Samples in Arrow IPC files: written batch by batch in bounded memory, read by mapping without a copy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.atomic import crash_point, storing
from ouroloop.columns import batch_of, columns_of
from ouroloop.errors import DataError, StoreError
from ouroloop.pool import Pool
from ouroloop.samples import PROVENANCE, Samples

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ParquetRowsWriter", "TableWriter", "open_arrow", "samples_of", "write_arrow", "write_columns"]

_BATCH_BYTES = 16 << 20  # small writes are gathered until here, large ones cut: the most that a writer holds


class TableWriter:
    """An Arrow IPC file that grows batch by batch. At most 16 MiB are held in memory.

    Args:
        path: the file; it must not be in use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._waiting: list[Samples] = []
        self._waiting_bytes = 0
        self._sink: Any = None
        self._file: Any = None
        self._pool: Pool | None = None

    def write(self, samples: Samples) -> None:
        """Append rows. All writes need the same columns, types and row shapes.

        Raises:
            DataError: other columns than before, or one that cannot be stored.
            StoreError: the disk is full or refuses.
        """
        if self._pool is not None:
            raise StoreError(f"{self.path}: already closed")
        size = sum(column.nbytes for column in samples.columns.values())
        if self._waiting_bytes + size > _BATCH_BYTES:
            self._flush()
        rows = max(1, int(len(samples) * _BATCH_BYTES / max(size, 1)))
        for piece in samples.batches(rows) if len(samples) > rows else (samples,):
            self._waiting.append(piece)
            self._waiting_bytes += sum(column.nbytes for column in piece.columns.values())
            if self._waiting_bytes >= _BATCH_BYTES // 2:
                self._flush()
        self.rows += len(samples)

    def close(self) -> Pool:
        """End the file and return its rows, mapped from where it lies; a rename leaves the mapping valid."""
        if self._pool is None:
            self._flush()
            if self._file is None:
                raise DataError(f"{self.path.name}: nothing was written; write at least one (possibly empty) table")
            with storing(self.path):
                self._file.close()
                self._sink.close()
                crash_point(f"closed {self.path.name}")
            self._pool = open_arrow(self.path)
        return self._pool

    def abort(self) -> None:
        """Let go of the file without ending it."""
        self._waiting = []
        if self._sink is not None:
            with contextlib.suppress(OSError):
                self._sink.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if not self._waiting:
            return
        batch = batch_of(Samples.concat(self._waiting).columns)
        self._waiting, self._waiting_bytes = [], 0
        with storing(self.path):
            if self._file is None:
                self._sink = pa.OSFile(str(self.path), "wb")
                self._file = pa.ipc.new_file(self._sink, batch.schema)
                self._schema = batch.schema
            if batch.schema != self._schema:
                raise DataError(f"{self.path.name}: {_difference(self._schema, batch.schema)}")
            crash_point(f"write {self.path.name}")
            self._file.write_batch(batch)


def _difference(first: pa.Schema, other: pa.Schema) -> str:
    for a in first:
        if a.name not in other.names:
            return f"the first rows have a column '{a.name}', later ones do not"
        b = other.field(a.name)
        if a.type != b.type:
            return f"column '{a.name}' is {a.type} in the first rows and {b.type} in later ones"
    return f"later rows have columns {other.names}, the first ones {first.names}"


class ParquetRowsWriter:
    """A Parquet file of plain columns that grows batch by batch; used for the table of corrections.

    Args:
        path: the file.
        schema: column name -> type.
    """

    def __init__(self, path: Path, schema: Mapping[str, np.dtype]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        self.rows = 0
        self._types = dict(schema)
        fields = [pa.field(name, pa.from_numpy_dtype(dtype), nullable=False) for name, dtype in schema.items()]
        self._schema = pa.schema(fields)
        with storing(path):
            self._sink: Any = pa.OSFile(str(path), "wb")
            self._file = pq.ParquetWriter(self._sink, self._schema, compression="zstd", use_dictionary=False)
        self._closed = False

    def write(self, columns: Mapping[str, np.ndarray]) -> None:
        """Append rows: one array of shape (n,) a column.

        Raises:
            DataError: other columns than the schema's, or of different lengths.
            StoreError: the disk is full or refuses.
        """
        import pyarrow as pa

        if columns.keys() != self._types.keys():
            raise DataError(f"{self.path.name}: columns {', '.join(columns)}; expected {', '.join(self._types)}")
        arrays = [np.asarray(columns[name], dtype=dtype) for name, dtype in self._types.items()]
        if {a.shape for a in arrays} != {arrays[0].shape} or arrays[0].ndim != 1:
            raise DataError(
                f"{self.path.name}: columns of shapes {[a.shape for a in arrays]}; expected one entry a row in each"
            )
        with storing(self.path):
            crash_point(f"write {self.path.name}")
            self._file.write_batch(pa.record_batch(arrays, schema=self._schema))
        self.rows += len(arrays[0])

    def close(self) -> None:
        """End the file. Closing twice does nothing."""
        if not self._closed:
            self._closed = True
            with storing(self.path):
                self._file.close()
                self._sink.close()

    def abort(self) -> None:
        """Let go of the file without ending it."""
        self._closed = True
        self._file.is_open = False  # else its finaliser would write a footer into the closed file
        self._sink.close()


def write_columns(path: Path, columns: Mapping[str, np.ndarray]) -> None:
    """Write a small table of columns (n, ...) as an Arrow IPC file; no provenance is added."""
    import pyarrow as pa

    batch = batch_of(columns)
    with storing(path), pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as file:
        crash_point(f"write {path.name}")
        file.write_batch(batch)


def write_arrow(path: Path, source: Samples | Pool | Iterable[Samples]) -> Pool:
    """Write a table, a pool or a stream of tables as an Arrow IPC file, and map it.

    Raises:
        DataError: tables that do not fit together, or a column that cannot be stored.
        StoreError: the disk is full or refuses.
    """
    tables = (source,) if isinstance(source, Samples) else source.parts if isinstance(source, Pool) else source
    writer = TableWriter(path)
    try:
        for table in tables:
            writer.write(table)
        return writer.close()
    finally:
        writer.abort()


def open_arrow(path: Path) -> Pool:
    """Map an Arrow IPC file of samples; columns of numbers are views on the file, text is read into memory.

    Raises:
        StoreError: missing, truncated or not such a file; or columns that samples cannot have.
    """
    try:
        return Pool(tuple(_tables(path)))
    except DataError as error:
        raise StoreError(f"{path}: {error}") from error


def _tables(path: Path) -> Iterator[Samples]:
    import pyarrow as pa

    try:
        source = pa.memory_map(str(path), "r")
        reader = pa.ipc.open_file(source)
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index)
            batch.validate()
            yield samples_of(columns_of(batch))
        if not reader.num_record_batches:
            yield samples_of(columns_of(pa.record_batch(reader.schema.empty_table().columns, schema=reader.schema)))
    except FileNotFoundError as error:
        raise StoreError(f"{path}: missing") from error
    except DataError:
        raise
    except Exception as error:  # damaged metadata raises more than Arrow's own errors
        raise StoreError(f"{path}: not a readable Arrow IPC file ({error}); truncated or damaged?") from error


def samples_of(columns: Mapping[str, np.ndarray]) -> Samples:
    for name, dtype in PROVENANCE.items():
        if name in columns and (columns[name].dtype.kind not in "iu" or columns[name].ndim != 1):
            raise DataError(
                f"column '{name}' ({columns[name].dtype}) has the name of a provenance column ({dtype}); rename it"
            )
    return Samples(columns)
