"""The metrics of a run as one long table: metrics.parquet, derived from each generation's metrics.json."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.atomic import plain, write_bytes
from ouroloop.errors import StoreError

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MetricsTable", "check_rows", "metrics_schema", "stored_generations"]

_VALUES = ("value", "low", "high", "floor", "forecast")
_GENERATIONS = b"ouroloop.generations"
_ROWS_A_STRIDE = 1000  # the file is rewritten every 1 + rows/1000 generations: at most about 3 ms each time


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
        values = {name: _number(known.get(name), f"{where}.{name}") for name in _VALUES}
        checked.append({"metric": known["metric"], **values, "n": _count(known.get("n", 0), f"{where}.n")})
    return checked


def _number(value: Any, where: str) -> float:
    if value is None:
        return float("nan")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise StoreError(f"{where}: expected a number, got {value!r}")
    return float(value)


def _count(value: Any, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 62:
        raise StoreError(f"{where}: expected a count, got {value!r}")
    return value


class MetricsTable:
    """The rows of all generations in memory, appended to by each commit and written out now and then.

    Args:
        arm, seed: what the rows are marked with.
    """

    def __init__(self, arm: str, seed: int) -> None:
        self._arm, self._seed = arm, seed
        self._table: pa.Table | None = None
        self._waiting: list[pa.Table] = []
        self.generations = 0
        self.written = 0

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows (see `check_rows`) of the next generation."""
        import pyarrow as pa

        n = len(rows)
        columns: dict[str, Any] = {
            "arm": pa.array([self._arm] * n, pa.string()),
            "seed": pa.array(np.full(n, self._seed, np.int64)),
            "generation": pa.array(np.full(n, self.generations, np.int32)),
            "metric": pa.array([row["metric"] for row in rows], pa.string()),
        }
        columns |= {name: pa.array([row[name] for row in rows], pa.float64()) for name in _VALUES}
        columns["n"] = pa.array([row["n"] for row in rows], pa.int64())
        self._waiting.append(pa.table(columns, schema=metrics_schema()))
        self.generations += 1

    def table(self) -> pa.Table:
        """All rows, in order of generation."""
        import pyarrow as pa

        if self._waiting or self._table is None:
            parts = [self._table if self._table is not None else metrics_schema().empty_table(), *self._waiting]
            self._table, self._waiting = pa.concat_tables(parts).combine_chunks(), []
        return self._table

    def due(self) -> bool:
        """Whether so many generations have come since the last `write` that the next is worth its time."""
        rows = self._table.num_rows if self._table is not None else 0
        return self.generations - self.written > rows // _ROWS_A_STRIDE

    def write(self, path: Path) -> None:
        """Replace the file by all rows, unless it holds them already."""
        import pyarrow.parquet as pq

        if self.written == self.generations and path.exists():
            return
        table = self.table().replace_schema_metadata({_GENERATIONS: str(self.generations)})
        buffer = io.BytesIO()
        texts: Any = ["arm", "metric"]  # the stubs know only a bool
        pq.write_table(table, buffer, compression="zstd", use_dictionary=texts)
        write_bytes(path, buffer.getvalue())
        self.written = self.generations


def stored_generations(path: Path) -> int:
    """How many generations a metrics.parquet holds; -1 where it is missing or unreadable."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int((pq.read_schema(path).metadata or {})[_GENERATIONS])
    except (OSError, KeyError, ValueError, pa.ArrowException):
        return -1
