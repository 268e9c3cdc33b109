"""Numpy columns as Arrow columns and back, without copying where the bytes agree.

Numbers are stored as they are, rows of several numbers as `fixed_shape_tensor`, text as UTF-8, and booleans
as 0/1 bytes marked in the field's metadata (Arrow packs its own booleans into bits, which cannot be mapped).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.errors import DataError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["batch_of", "column_of", "columns_of"]

_BOOLEAN = {b"ouroloop": b"bool"}


def batch_of(columns: Mapping[str, np.ndarray]) -> pa.RecordBatch:
    """An Arrow batch of equally long columns, each of shape (n, ...).

    Raises:
        DataError: a column that Arrow cannot hold, by name.
    """
    import pyarrow as pa

    arrays, fields = [], []
    for name, value in columns.items():
        array = _arrow(name, np.asarray(value))
        arrays.append(array)
        fields.append(pa.field(name, array.type, nullable=False, metadata=_marks(value)))
    lengths = {name: len(array) for name, array in zip(columns, arrays, strict=True)}
    if len(set(lengths.values())) > 1:
        raise DataError(f"columns of different lengths: {lengths}")
    return pa.record_batch(arrays, schema=pa.schema(fields))


def _marks(value: np.ndarray) -> dict[bytes, bytes] | None:
    return _BOOLEAN if np.asarray(value).dtype == bool else None


def _arrow(name: str, value: np.ndarray) -> pa.Array:
    import pyarrow as pa

    if value.ndim == 0:
        raise DataError(f"column '{name}' is a single value; expected one entry a row")
    if value.dtype == object or value.dtype.kind in "UT":
        return _text(name, value)
    if value.dtype.kind not in "biuf" or value.dtype.itemsize > 8:
        raise DataError(f"column '{name}' is of type {value.dtype}; expected numbers, booleans or strings")
    flat = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("="))
    flat = (flat.view(np.uint8) if flat.dtype == bool else flat).reshape(-1)
    if value.ndim == 1:
        return pa.array(flat)
    shape = value.shape[1:]
    if 0 in shape:
        raise DataError(f"column '{name}' has rows of shape {shape}, which hold nothing")
    storage = pa.FixedSizeListArray.from_arrays(pa.array(flat), int(np.prod(shape)))
    return pa.ExtensionArray.from_storage(pa.fixed_shape_tensor(pa.from_numpy_dtype(flat.dtype), shape), storage)


def _text(name: str, value: np.ndarray) -> pa.Array:
    import pyarrow as pa

    if value.ndim != 1:
        raise DataError(f"column '{name}' holds text of shape {value.shape}; text columns have one string a row")
    strings = value.tolist()
    if not all(isinstance(item, str) for item in strings):
        raise DataError(f"column '{name}' holds Python objects; expected numbers or strings")
    try:
        return pa.array(strings, pa.string())
    except UnicodeEncodeError as error:
        raise DataError(f"column '{name}' holds text that is not valid Unicode ({error.reason})") from error


def columns_of(batch: pa.RecordBatch) -> dict[str, np.ndarray]:
    """The columns of a batch as numpy arrays of shape (n, ...); numbers are views on the batch's memory.

    Raises:
        DataError: missing values, ragged lists, or a type that numpy has no columns for, by name.
    """
    if len(set(batch.schema.names)) < len(batch.schema.names):
        raise DataError(f"column names repeat: {', '.join(batch.schema.names)}")
    return {field.name: column_of(field, batch.column(i)) for i, field in enumerate(batch.schema)}


def column_of(field: pa.Field, array: pa.Array) -> np.ndarray:
    """One Arrow column as a numpy array of shape (n, ...); see `columns_of`."""
    import pyarrow as pa

    name, shape, rows = field.name, [], len(array)
    if isinstance(array, pa.DictionaryArray):
        array = array.dictionary_decode()
    while True:
        _refuse_missing(name, array)
        if isinstance(array.type, pa.FixedShapeTensorType):
            if array.type.permutation not in (None, list(range(len(array.type.shape)))):
                raise DataError(f"column '{name}' is a tensor with permuted dimensions; store it in plain order")
            shape.extend(array.type.shape)
            array = array.storage.flatten()
        elif pa.types.is_fixed_size_list(array.type):
            shape.append(array.type.list_size)
            array = array.flatten()
        elif pa.types.is_list(array.type) or pa.types.is_large_list(array.type):
            shape.append(_common_length(name, array))
            array = array.flatten()
        else:
            break
    value = _values(name, array)
    if (field.metadata or {}).get(b"ouroloop") == b"bool" and value.dtype == np.uint8:
        value = value.view(bool)
    return value.reshape(rows, *shape) if shape else value


def _refuse_missing(name: str, array: pa.Array) -> None:
    if array.null_count:
        raise DataError(f"column '{name}' has {array.null_count} missing values; remove or impute such rows first")


def _common_length(name: str, array: Any) -> int:
    array.validate(full=True)
    lengths = np.diff(array.offsets.to_numpy())
    if not len(lengths):
        raise DataError(f"column '{name}' holds lists but no rows, so that their length is unknown")
    if lengths.min() != lengths.max():
        raise DataError(
            f"column '{name}' is ragged: lists of {lengths.min()} to {lengths.max()} entries; every row needs the same"
        )
    if not lengths[0]:
        raise DataError(f"column '{name}' holds empty lists")
    return int(lengths[0])


def _values(name: str, array: pa.Array) -> np.ndarray:
    import pyarrow as pa

    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        array.validate(full=True)  # offsets of a damaged file may point anywhere
        return np.array(array.to_pylist(), dtype=str) if len(array) else np.empty(0, dtype="U1")
    if pa.types.is_boolean(kind):
        return array.to_numpy(zero_copy_only=False)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        array.validate()
        return array.to_numpy(zero_copy_only=True)
    if pa.types.is_null(kind) and not len(array):  # a CSV file of nothing but its first line
        raise DataError(f"column '{name}' has no rows")
    raise DataError(f"column '{name}' is of type {kind}; expected numbers, booleans, strings or lists of numbers")
