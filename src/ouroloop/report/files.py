"""Reading the files of a run directory: JSON, YAML, Parquet and Arrow, each failure naming the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.errors import StoreError

__all__ = ["read_arrow", "read_json", "read_parquet", "read_yaml", "text_of"]


def text_of(path: Path) -> str | None:
    """The text of a UTF-8 file, or None where there is no such file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file, or None where there is no such file."""
    text = text_of(path)
    if text is None:
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise StoreError(f"{path}: not valid JSON ({error}); was it cut off while being written?") from error


def read_yaml(path: Path) -> tuple[dict[str, Any], str]:
    """The mapping in a YAML file and its text; ({}, "") where there is no such file."""
    import yaml

    text = text_of(path)
    if text is None:
        return {}, ""
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise StoreError(f"{path}: not valid YAML ({error})") from error
    return (content if isinstance(content, dict) else {}), text


def read_parquet(path: Path, columns: Sequence[str] | None = None) -> Any:
    """A Parquet file as a `pyarrow.Table`, of these columns if they are named.

    Raises:
        StoreError: the file is truncated, is not Parquet, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            missing = sorted(set(columns or ()) - set(file.schema_arrow.names))
            if missing:
                raise StoreError(f"{path}: no column {', '.join(missing)}; there are: {file.schema_arrow.names}")
            return file.read(columns=list(columns) if columns else None)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path}: truncated or not a Parquet file ({error})") from error


def read_arrow(path: Path, limit: int) -> dict[str, np.ndarray]:
    """The first `limit` rows of an Arrow IPC file: column name -> array (n, ...), strings as numpy strings.

    Raises:
        StoreError: the file is truncated or is not an Arrow IPC file.
    """
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as source:
            table = _first_rows(pa.ipc.open_file(source), limit)
            return {name: _numpy(table.column(name)) for name in table.column_names}
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"{path}: truncated or not an Arrow file ({error})") from error


def _first_rows(reader: Any, limit: int) -> Any:
    import pyarrow as pa

    batches, rows = [], 0
    for index in range(reader.num_record_batches):
        batch = reader.get_batch(index)
        batches.append(batch)
        rows += batch.num_rows
        if rows >= limit:
            break
    return pa.Table.from_batches(batches, reader.schema).slice(0, limit)


def _numpy(column: Any) -> np.ndarray:
    """A column as an array; a fixed-shape tensor becomes (n, ...), a ragged list its text."""
    import pyarrow as pa

    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # an empty column keeps its chunks
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    if isinstance(array, pa.FixedShapeTensorArray):
        return np.array(array.to_numpy_ndarray())
    if pa.types.is_fixed_size_list(array.type):
        return np.array(array.flatten().to_numpy(zero_copy_only=False)).reshape(len(array), array.type.list_size)
    if pa.types.is_floating(array.type) or pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return np.array(array.to_numpy(zero_copy_only=False))
    return np.array(["" if value is None else str(value) for value in array.to_pylist()], dtype=np.str_)
