"""Samples in files: Arrow, Parquet, npy, npz and CSV, chosen by the file's ending. Nothing is unpickled.

Columns keep their names. In CSV, the columns ``x_0, x_1, ...`` are the main column ``x`` of shape (n, d); a file
without a header line, numbers only, is all ``x``.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.atomic import storing, temporary_name
from ouroloop.columns import batch_of, columns_of
from ouroloop.errors import DataError
from ouroloop.ipc import open_arrow, samples_of, write_arrow
from ouroloop.samples import Samples

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["open_arrow", "read_samples", "write_arrow", "write_samples"]

_CSV_BLOCK = 64 << 20  # bytes that the types of a CSV's columns are guessed from


def read_samples(path: Path | str) -> Samples:
    """Read a table of samples.

    Args:
        path: .arrow, .parquet, .npy (one array, memory-mapped), .npz (arrays by name), .csv or .csv.gz.

    Raises:
        DataError: missing, damaged, of another kind, or with columns that samples cannot have; the message names
            the file and the column.
    """
    path = Path(path)
    read = _reader(path)
    if not path.is_file():
        raise DataError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        return samples_of(read(path))
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # what the parsers raise on a damaged file is anyone's guess
        text = " ".join(str(error).split())
        raise DataError(text if text.startswith(str(path)) else f"{path}: cannot be read ({text})") from error


def write_samples(path: Path | str, samples: Samples) -> None:
    """Write a table of samples, provenance included, in the format that the ending names; atomically.

    .npy holds nothing but ``x``; CSV holds numbers and text, with an ``x`` of at most two dimensions.

    Raises:
        DataError: the format cannot hold a column. StoreError: the disk is full or refuses.
    """
    path = Path(path)
    write = _writer(path)
    try:
        with _replacing(path) as temporary:
            write(temporary, samples)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _ending(path: Path) -> str:
    return ".csv.gz" if path.name.lower().endswith(".csv.gz") else path.suffix.lower()


def _reader(path: Path) -> Callable[[Path], dict[str, np.ndarray]]:
    readers = {
        ".arrow": _read_arrow,
        ".parquet": _read_parquet,
        ".npy": _read_npy,
        ".npz": _read_npz,
        ".csv": _read_csv,
        ".csv.gz": _read_csv,
    }
    if _ending(path) not in readers:
        raise DataError(f"{path}: unknown kind of file '{_ending(path)}'; known are {', '.join(readers)}")
    return readers[_ending(path)]


def _writer(path: Path) -> Callable[[Path, Samples], Any]:
    writers: dict[str, Callable[[Path, Samples], Any]] = {
        ".arrow": write_arrow,
        ".parquet": _write_parquet,
        ".npy": _write_npy,
        ".npz": _write_npz,
        ".csv": _write_csv,
        ".csv.gz": _write_csv,
    }
    if _ending(path) not in writers:
        raise DataError(f"{path}: unknown kind of file '{_ending(path)}'; known are {', '.join(writers)}")
    return writers[_ending(path)]


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place if the block succeeds."""
    temporary = path.with_name(f"{temporary_name('table')}{_ending(path)}")
    try:
        with storing(path):
            yield temporary
            with open(temporary, "rb") as file:
                os.fsync(file.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read_arrow(path: Path) -> dict[str, np.ndarray]:
    return dict(open_arrow(path).materialise().columns)


def _read_parquet(path: Path) -> dict[str, np.ndarray]:
    import pyarrow.parquet as pq

    return _columns(pq.read_table(path, use_threads=False))


def _columns(table: pa.Table) -> dict[str, np.ndarray]:
    import pyarrow as pa

    table = table.combine_chunks()
    arrays = [column.chunk(0) if column.num_chunks else pa.array([], column.type) for column in table.columns]
    return columns_of(pa.record_batch(arrays, schema=table.schema))


def _read_npy(path: Path) -> dict[str, np.ndarray]:
    return {"x": np.load(path, mmap_mode="r", allow_pickle=False)}


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in arrays.files}
    return columns if len(columns) != 1 else {"x": next(iter(columns.values()))}


def _read_csv(path: Path) -> dict[str, np.ndarray]:
    import pyarrow as pa
    from pyarrow import csv

    def read(**options: Any) -> pa.Table:
        return csv.read_csv(path, read_options=csv.ReadOptions(block_size=_CSV_BLOCK, use_threads=False, **options))

    table = read()
    headless = all(map(_is_number, table.column_names))
    if headless:
        table = read(autogenerate_column_names=True)
    dates = [i for i, field in enumerate(table.schema) if pa.types.is_temporal(field.type)]
    for i in dates:  # text that looks like a date stays the text that it is
        table = table.set_column(i, table.column_names[i], table.column(i).cast(pa.string()))
    columns = _columns(table)
    if headless:
        return {"x": _stack(list(columns.values()))}
    return _gather(columns)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _gather(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Join the columns x_0, x_1, ... to one."""
    names = [name for name in columns if re.fullmatch(r"x_(0|[1-9][0-9]*)", name)]
    if not names or "x" in columns:
        return columns
    wanted = [f"x_{i}" for i in range(len(names))]
    missing = [name for name in wanted if name not in names]
    if missing:
        raise DataError(f"columns {', '.join(names)}, but no {missing[0]}; x_0, x_1, ... must have no gaps")
    rest = {name: value for name, value in columns.items() if name not in names}
    return {"x": _stack([columns[name] for name in wanted]), **rest}


def _stack(values: list[np.ndarray]) -> np.ndarray:
    if any(value.dtype.kind not in "biuf" for value in values):
        raise DataError("the columns of x must all be numbers")
    return np.stack(values, axis=1)


def _write_parquet(path: Path, samples: Samples) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_batches([batch_of(samples.columns)]), path, compression="zstd")


def _write_npy(path: Path, samples: Samples) -> None:
    others = [name for name in samples.data_columns if name != "x"]
    if others:
        raise DataError(f"a .npy file holds x alone, but there are columns {', '.join(others)}; use .npz or .arrow")
    np.save(path, samples.x, allow_pickle=False)


def _write_npz(path: Path, samples: Samples) -> None:
    columns = dict(samples.columns)
    if "file" in columns:
        raise DataError("a column of an .npz file cannot be called 'file'; use .arrow")
    np.savez(path, allow_pickle=False, **columns)


def _write_csv(path: Path, samples: Samples) -> None:
    import pyarrow as pa
    from pyarrow import csv

    columns: dict[str, np.ndarray] = {}
    for name, value in samples.columns.items():
        if value.ndim == 1:
            columns[name] = value
        elif name == "x" and value.ndim == 2:
            columns |= {f"x_{i}": value[:, i] for i in range(value.shape[1])}
        else:
            raise DataError(f"CSV cannot hold column '{name}' with rows of shape {value.shape[1:]}; use .npz or .arrow")
    compression = "gzip" if _ending(path) == ".csv.gz" else None
    with pa.output_stream(str(path), compression=compression) as stream:
        csv.write_csv(pa.Table.from_batches([batch_of(columns)]), stream)
