"""The metrics of a run as one long table: metrics.parquet, derived from each generation's metrics.json."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.atomic import plain, write_bytes
from ouroloop.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "MetricsTable",
    "as_metrics",
    "check_rows",
    "encode_table",
    "metrics_schema",
    "read_table",
    "stored_generations",
]

_VALUES = ("value", "low", "high", "floor", "forecast")
_FIELDS = {"arm", "seed", "generation", "metric", *_VALUES, "n"}
_GENERATIONS = b"ouroloop.generations"
_ROWS_A_STRIDE = 500  # the file is rewritten every 1 + rows/500 generations, so that its cost does not grow


def metrics_schema() -> pa.Schema:
    """Columns of metrics.parquet."""
    import pyarrow as pa

    types = {"arm": pa.string(), "seed": pa.int64(), "generation": pa.int32(), "metric": pa.string()}
    types |= dict.fromkeys(_VALUES, pa.float64()) | {"n": pa.int64()}
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


def check_rows(rows: Sequence[Mapping[str, Any]], *, arm: str, seed: int, generation: int) -> list[dict[str, Any]]:
    """Rows of one generation as they are stored: metric, five floats (NaN where absent) and n.

    Raises:
        StoreError: an unknown field, a value that is no number, or another arm, seed or generation than the run's.
    """
    own = {"arm": arm, "seed": seed, "generation": generation}
    checked = []
    for index, row in enumerate(rows):
        where = f"metrics[{index}]"
        known = plain(row, where)
        if not isinstance(known, dict) or not isinstance(known.get("metric"), str):
            raise StoreError(f"{where}: expected a mapping with the metric's name under 'metric', got {row!r}")
        unknown = known.keys() - {*own, *_VALUES, "metric", "n"}
        if unknown:
            raise StoreError(
                f"{where}: unknown fields {sorted(unknown)}; there are: {', '.join(metrics_schema().names)}"
            )
        for name, value in own.items():
            if known.get(name, value) != value:
                raise StoreError(f"{where}: {name} is {known[name]!r}, but this is {name} {value!r}")
        where = f"{where} ({known['metric']})"
        kept: dict[str, Any] = {"metric": known["metric"]}
        for name in _VALUES:
            kept[name] = _number(known.get(name), where, name)
        n = kept["n"] = known.get("n", 0)
        if type(n) is not int or not 0 <= n < 1 << 62:
            raise StoreError(f"{where}.n: expected a count, got {n!r}")
        checked.append(kept)
    return checked


def _number(value: Any, where: str, name: str) -> float:
    if type(value) is float:
        return value
    if value is None:
        return math.nan
    try:
        if type(value) is int:
            return float(value)
    except OverflowError:
        pass
    raise StoreError(f"{where}.{name}: expected a number, got {value!r}")


class MetricsTable:
    """The rows of all generations in memory, appended to by each commit and written out now and then.

    Args:
        arm, seed: what the rows are marked with.
    """

    def __init__(self, arm: str, seed: int) -> None:
        self._arm, self._seed = arm, seed
        self._table: pa.Table | None = None
        self._waiting: list[tuple[int, Mapping[str, Any]]] = []
        self.generations = 0
        self.written = 0

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows (see `check_rows`) of the next generation."""
        self._waiting.extend((self.generations, row) for row in rows)
        self.generations += 1

    def table(self) -> pa.Table:
        """All rows, in order of generation."""
        import pyarrow as pa

        if self._waiting or self._table is None:
            before = metrics_schema().empty_table() if self._table is None else self._table
            self._table = pa.concat_tables([before, self._new()]).combine_chunks()
            self._waiting = []
        return self._table

    def _new(self) -> pa.Table:
        import pyarrow as pa

        rows, n = [row for _, row in self._waiting], len(self._waiting)
        columns: dict[str, Any] = {
            "arm": pa.array([self._arm] * n, pa.string()),
            "seed": np.full(n, self._seed, np.int64),
            "generation": np.array([t for t, _ in self._waiting], np.int32),
            "metric": pa.array([row["metric"] for row in rows], pa.string()),
        }
        columns |= {name: np.array([row[name] for row in rows], np.float64) for name in _VALUES}
        columns["n"] = np.array([row["n"] for row in rows], np.int64)
        return pa.table(columns, schema=metrics_schema())

    def due(self) -> bool:
        """Whether so many generations have come since the last `write` that the next is worth its time."""
        rows = self._table.num_rows if self._table is not None else 0
        return self.generations - self.written > rows // _ROWS_A_STRIDE

    def write(self, path: Path) -> None:
        """Replace the file by all rows, unless it holds them already."""
        if self.written != self.generations or not path.exists():
            table = self.table().replace_schema_metadata({_GENERATIONS: str(self.generations)})
            write_bytes(path, encode_table(table), durable=False)
            self.written = self.generations


def as_metrics(table: pa.Table) -> pa.Table:
    """A table with the columns of `metrics_schema`, in their order and types.

    Raises:
        StoreError: columns are missing, too many, of other types or with missing values.
    """
    import pyarrow as pa

    schema = metrics_schema()
    if set(table.column_names) != set(schema.names):
        raise StoreError(f"metrics: columns {', '.join(table.column_names)}; expected {', '.join(schema.names)}")
    try:
        cast = table.select(schema.names).replace_schema_metadata(None).cast(schema).combine_chunks()
        cast.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise StoreError(f"metrics: {error}") from error
    return cast


def encode_table(table: pa.Table) -> bytes:
    """The bytes of a metrics.parquet."""
    import pyarrow.parquet as pq

    texts: Any = ["arm", "metric"]  # the stubs know only a bool
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd", use_dictionary=texts)
    return buffer.getvalue()


def read_table(path: Path) -> pa.Table:
    """The content of a metrics.parquet.

    Raises:
        StoreError: it is missing, damaged, or has other columns.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        raise StoreError(f"{path}: unreadable ({error})") from error
    return as_metrics(table)


def stored_generations(path: Path) -> int:
    """How many generations a metrics.parquet holds; -1 where it is missing or unreadable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int((pq.read_schema(path).metadata or {})[_GENERATIONS])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return -1
