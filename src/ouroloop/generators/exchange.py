"""Rows handed to a foreign command and taken back from it, as Arrow, Parquet or npy files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from ouroloop.columns import batch_of
from ouroloop.errors import DataError, PartError
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.tables import read_samples, write_arrow

__all__ = ["Format", "read_rows", "write_rows"]

Format = Literal["arrow", "parquet", "npy"]


def write_rows(path: Path, rows: Pool) -> None:
    """Write all rows, provenance included, batch by batch; npy holds `x` alone.

    Tables of different number types (float32 and float64, say) get one that holds both.

    Raises:
        DataError: the format cannot hold the rows.
    """
    if path.suffix == ".npy":
        _write_npy(path, rows)
    elif path.suffix == ".parquet":
        _write_parquet(path, rows)
    else:
        write_arrow(path, _uniform(rows))


def read_rows(path: Path, n: int, what: str) -> Samples:
    """Read n rows that a command wrote, into memory, so that the file may be deleted. Provenance is left out.

    Raises:
        PartError: no file, not a readable one, another number of rows, NaN or infinity.
    """
    if path.is_symlink() or not path.is_file():
        raise PartError(f"{what} wrote no file at {{out}} (a regular file was expected)")
    try:
        found = read_samples(path)
        if len(found) != n:
            raise PartError(f"{what} wrote {len(found)} rows, but {n} were asked for")
        found.check_finite(f"what {what} wrote")
        return Samples({name: np.array(found[name]) for name in found.data_columns})
    except DataError as error:
        raise PartError(f"{what} wrote a file that cannot be used: {error}") from error


def _uniform(rows: Pool) -> Iterator[Samples]:
    types = {name: np.result_type(*(part[name].dtype for part in rows.parts)) for name in rows.data_columns}
    for batch in rows.batches():
        yield batch.replace(**{name: batch[name].astype(kind, copy=False) for name, kind in types.items()})


def _write_npy(path: Path, rows: Pool) -> None:
    dtype = np.result_type(*(part.x.dtype for part in rows.parts))
    if dtype.kind not in "biuf":
        raise DataError(f"a .npy file holds numbers, and column 'x' is of type {dtype}; use format 'arrow'")
    out = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=(len(rows), *rows.parts[0].x.shape[1:]))
    start = 0
    for batch in rows.batches():
        out[start : start + len(batch)] = batch.x
        start += len(batch)
    out.flush()


def _write_parquet(path: Path, rows: Pool) -> None:
    import pyarrow.parquet as pq

    writer: pq.ParquetWriter | None = None
    try:
        for batch in _uniform(rows):
            table = batch_of(batch.columns)
            writer = writer or pq.ParquetWriter(path, table.schema)
            writer.write_batch(table)
    finally:
        if writer is not None:
            writer.close()
