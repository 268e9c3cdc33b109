"""Your own data: tables in files, and arrays in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ouroloop.datasets.loaded import LoadedDataset
from ouroloop.datasets.split import reserve_rows, stratified_order
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.protocols import Dataset
from ouroloop.samples import Samples

__all__ = ["Files", "from_arrays", "read_rows"]

_LABEL = "label"


@dataclass(frozen=True, kw_only=True)
class Files:
    """Real rows from a .npy, .npz, .csv, .parquet or .arrow file, split by the run's seed.

    The file's column ``x``, or its numeric columns side by side, become ``x``, float (n, ...); a label column
    becomes ``label``. Held-out rows come from a file of their own or are split off, class by class where there
    are labels; then a reserve for fresh rows is split off. Every seed holds out other rows, all arms of a seed
    the same.
    """

    path: Annotated[str, Field(description="the file with the real rows")]
    held_out_path: Annotated[
        str | None, Field(description="a file with held-out rows, same columns; None: split them off")
    ] = None
    held_out_share: Annotated[
        float, Field(ge=0, lt=1, description="share of the rows to hold out; not used with held_out_path")
    ] = 0.2
    reserve_share: Annotated[
        float, Field(ge=0, lt=1, description="share of the rows to hand out as fresh real rows, never trained on else")
    ] = 0.0
    label_column: Annotated[
        str | None, Field(description="column with class labels; None: 'label' where there is one")
    ] = None
    columns: Annotated[
        tuple[str, ...] | None, Field(description="numeric columns that make up x, in order; None: all but the label")
    ] = None

    def load(self, *, key: Key, cache: Path | None = None) -> LoadedDataset:
        """The data set, split by `key`; `cache` is not used.

        Raises:
            DataError: a file is missing, damaged, empty, or holds text, NaN or too few rows; with file and column.
        """
        path = Path(self.path).expanduser()
        rows = read_rows(path, label_column=self.label_column, columns=self.columns)
        held_out = None
        if self.held_out_path is not None:
            other = Path(self.held_out_path).expanduser()
            held_out = read_rows(other, label_column=self.label_column, columns=self.columns)
            _same_columns(rows, held_out, str(path), str(other))
        rows.check_finite(str(path))
        n_held_out = 0 if held_out is not None else round(self.held_out_share * len(rows))
        n_reserve = round(self.reserve_share * len(rows))
        if len(rows) - n_held_out - n_reserve < 2:
            raise DataError(
                f"{path}: {len(rows)} rows, of which {n_held_out} are held out and {n_reserve} kept in reserve, leave "
                "fewer than 2 to train on; add rows or lower held_out_share and reserve_share"
            )
        label = rows.label if _LABEL in rows.data_columns else None
        order = _order(len(rows), label, key.child("split"))
        parts = [np.sort(part) for part in np.split(order, [n_held_out, n_held_out + n_reserve])]
        tables = [rows.take(part) if n_held_out or n_reserve else rows for part in parts]
        if held_out is not None:
            held_out = held_out.replace(id=len(rows) + np.arange(len(held_out)))
        elif n_held_out:
            held_out = tables[0]
        kept = tables[1]

        def fresh(n: int, key: Key) -> Samples:
            return kept.take(reserve_rows(len(kept), n, key=key, name=path.name))

        return LoadedDataset(
            name=Path(path.name.removesuffix(".gz")).stem,
            real=tables[2],
            held_out=held_out,
            fresh_fn=fresh if n_reserve else None,
        )


def from_arrays(x: Any, label: Any = None, held_out: Any = None, *, key: Key | None = None) -> LoadedDataset:
    """Arrays in memory as a data set.

    Args:
        x: the real rows: an array or tensor of shape (n, ...), `Samples`, a data set, or options of one
            (such as `Digits()`). An array of shape (n,) is taken as n rows of one number, (n, 1).
        label: class labels of an array `x`, shape (n,).
        held_out: rows for the metrics alone, as `x`, or a tuple ``(x, label)``.
        key: used where `x` is the options of a data set; default ``Key(0)``.

    Raises:
        DataError: fewer than 2 rows; NaN or infinity; ragged or object arrays; labels or held-out rows that
            do not fit.

    >>> data = from_arrays(np.zeros((10, 2)), label=np.arange(10) % 2, held_out=(np.ones((5, 2)), np.zeros(5)))
    >>> data.real.x.shape, len(data.held_out), data.real.data_columns
    ((10, 2), 5, ('x', 'label'))
    """
    if callable(getattr(x, "load", None)) and not isinstance(x, np.ndarray):
        x = x.load(key=key or Key(0).child("data"))
    if isinstance(x, Dataset):
        return _from_dataset(x, label, held_out)
    real = _table(x, label, "real data")
    if len(real) < 2:
        raise DataError(f"real data: {len(real)} row(s); a generator needs at least 2 to be fitted on")
    other = None
    if held_out is not None:
        held_out, other_label = held_out if isinstance(held_out, tuple) and len(held_out) == 2 else (held_out, None)
        other = _table(held_out, other_label, "held-out data")
        _same_columns(real, other, "real data", "held-out data")
        if len(other) == 0:
            raise DataError("held-out data: no rows; leave it out, and metrics compare with the training rows")
        if not isinstance(held_out, Samples):
            other = other.replace(id=len(real) + np.arange(len(other)))
    return LoadedDataset(name="array", real=real, held_out=other)


def _from_dataset(data: Any, label: Any, held_out: Any) -> LoadedDataset:
    if label is not None:
        raise DataError("labels were given beside a data set; give them inside it, as the column 'label'")
    if not isinstance(data, LoadedDataset):
        fresh = data.fresh
        data = LoadedDataset(
            name=data.name, real=data.real, held_out=data.held_out, fresh_fn=lambda n, key: fresh(n, key=key)
        )
    if held_out is None:
        return data
    return replace(data, held_out=from_arrays(data.real, held_out=held_out).held_out)


def read_rows(path: Path, *, label_column: str | None = None, columns: tuple[str, ...] | None = None) -> Samples:
    """The rows of a file as ``x`` and, where there is one, ``label``.

    Args:
        path: a .npy, .npz, .csv, .parquet or .arrow file.
        label_column: which column becomes ``label``; None: the one of that name, if any.
        columns: which numeric columns become ``x``, side by side; None: the column ``x``, else all but the label.

    Raises:
        DataError: the file cannot be read, has no rows, lacks a column, or has a text column that nothing said
            what to do with; with file and column.
    """
    from ouroloop.tables import read_samples

    table = read_samples(path)
    if len(table) == 0:
        raise DataError(f"{path}: no rows")
    there = table.data_columns
    for name in (*(columns or ()), *([label_column] if label_column else [])):
        if name not in there:
            raise DataError(f"{path}: no column '{name}'; there are: {', '.join(there)}")
    label_name = label_column or (_LABEL if _LABEL in there else None)
    if columns is None and "x" in there:
        x = _numbers(table["x"], f"{path}: column 'x'")
    else:
        names = columns or tuple(name for name in there if name != label_name)
        if not names:
            raise DataError(f"{path}: only the label column '{label_name}'; there is nothing to model")
        x = _side_by_side(table, names, path)
    if label_name is None:
        return Samples.of(x)
    return Samples.of(x, label=_classes(table[label_name], len(x), f"{path}: column '{label_name}'"))


def _side_by_side(table: Samples, names: tuple[str, ...], path: Path) -> np.ndarray:
    for name in names:
        if table[name].dtype.kind not in "biuf":
            raise DataError(
                f"{path}: column '{name}' holds text, and x takes numbers: encode it, name it as label_column, or list "
                "the columns to use in 'columns'"
            )
        if table[name].ndim != 1:
            raise DataError(f"{path}: column '{name}' has rows of shape {table[name].shape[1:]}; call it 'x' to use it")
    return np.column_stack([table[name].astype(np.float64) for name in names])


def _table(x: Any, label: Any, what: str) -> Samples:
    if isinstance(x, Samples):
        if label is not None:
            raise DataError(f"{what}: labels were given beside Samples; give them inside, as the column 'label'")
        return x
    table = Samples.of(x)
    x = _numbers(table.x, what)
    return Samples.of(x) if label is None else Samples.of(x, label=_classes(Samples.of(label).x, len(x), what))


def _numbers(x: np.ndarray, what: str) -> np.ndarray:
    """x as floats of shape (n, d, ...); small integers (images) as float32, others as float64."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"{what}: {x.dtype} values; expected numbers")
    if x.size == 0:
        raise DataError(f"{what}: empty, of shape {x.shape}; expected rows of at least one number")
    if x.dtype.kind != "f":
        x = x.astype(np.float32 if x.dtype.itemsize <= 2 else np.float64)
    return x[:, None] if x.ndim == 1 else x


def _classes(label: np.ndarray, n: int, what: str) -> np.ndarray:
    """Labels (n,) as int64 or text."""
    if label.shape != (n,):
        raise DataError(f"{what}: labels of shape {label.shape} for {n} rows; expected ({n},)")
    if label.dtype.kind == "U":
        return label
    whole = label.dtype.kind in "biu" or (label.dtype.kind == "f" and bool((label == np.round(label)).all()))
    if not whole:
        raise DataError(f"{what}: labels must be classes (whole numbers or text), got {label.dtype} values")
    return label.astype(np.int64)


def _same_columns(real: Samples, other: Samples, what: str, other_what: str) -> None:
    names, others = (", ".join(sorted(table.data_columns)) for table in (real, other))
    if names != others:
        raise DataError(f"{other_what} has the columns {others}, but {what} has {names}")
    for name in real.data_columns:
        shape, other_shape = real[name].shape[1:], other[name].shape[1:]
        if shape != other_shape:
            raise DataError(f"{other_what}: rows of '{name}' have shape {other_shape}, those of {what} {shape}")


def _order(n: int, label: np.ndarray | None, key: Key) -> np.ndarray:
    return key.rng().permutation(n) if label is None else stratified_order(label, key=key)
