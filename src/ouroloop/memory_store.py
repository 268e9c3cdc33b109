"""A store without a directory: the same methods as `RunStore`, everything in memory, gone with the process."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ouroloop.atomic import plain
from ouroloop.errors import DataError, StoreError
from ouroloop.events import new_event
from ouroloop.pool import Pool
from ouroloop.pruning import prunable
from ouroloop.rollup import MetricsTable, check_rows
from ouroloop.samples import Samples

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["MemoryRows", "MemoryStore", "MemoryTable", "MemoryWriter"]


class MemoryTable:
    """What `GenerationWriter.table` gives, in memory."""

    def __init__(self) -> None:
        self.rows = 0
        self._tables: list[Samples] = []

    def write(self, samples: Samples) -> None:
        """Append rows."""
        self._tables.append(samples)
        self.rows += len(samples)

    def close(self) -> Pool:
        """The rows that were written."""
        if not self._tables:
            raise DataError("nothing was written; write at least one (possibly empty) table")
        return Pool(tuple(self._tables))


class MemoryRows:
    """What `GenerationWriter.corrections` gives; rows are counted and let go."""

    def __init__(self) -> None:
        self.rows = 0

    def write(self, columns: Mapping[str, np.ndarray]) -> None:
        """Count rows."""
        self.rows += len(columns["id"])

    def close(self) -> None:
        """Nothing to do."""


class MemoryWriter:
    """One generation of a `MemoryStore`."""

    path: Path | None = None
    model_dir: Path | None = None

    def __init__(self, store: MemoryStore, generation: int) -> None:
        self.generation = generation
        self._store = store
        self._tables: dict[str, MemoryTable] = {}
        self._previews: dict[str, dict[str, np.ndarray]] = {}
        self._done = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.abort()

    def table(self, name: str = "synthetic") -> MemoryTable:
        """A new table, written batch by batch."""
        self._check_unfinished()
        return self._tables.setdefault(name.removesuffix(".arrow"), MemoryTable())

    def corrections(self) -> MemoryRows:
        """Takes (id, parent, verdict, distance) and keeps nothing."""
        self._check_unfinished()
        return MemoryRows()

    def preview(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """Keep a small table of columns (n, ...)."""
        self._check_unfinished()
        self._previews[name.removesuffix(".arrow")] = dict(columns)

    def commit(self, *, state: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> None:
        """Make the generation a part of the run; see `GenerationWriter.commit`."""
        self._check_unfinished()
        self._done = True
        store = self._store
        if state.get("generation", self.generation) != self.generation:
            raise StoreError(f"state.generation is {state['generation']!r}, but this is {self.generation}")
        kept = plain({"generation": self.generation, **state}, "state")
        rows = check_rows(metrics, arm=store.arm, seed=store.seed, generation=self.generation)
        store.add(self.generation, kept, rows, {name: table.close() for name, table in self._tables.items()})

    def abort(self) -> None:
        """Forget the generation."""
        self._done = True

    def _check_unfinished(self) -> None:
        if self._done:
            raise StoreError(f"generation {self.generation} is already committed or aborted; begin a new one")


class MemoryStore:
    """A run that is written nowhere.

    Args:
        spec, fingerprint, environment: kept as given.
        arm, seed: what the metrics are marked with.
    """

    path: Path | None = None

    def __init__(
        self,
        *,
        spec: Mapping[str, Any] | None = None,
        fingerprint: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None,
        arm: str = "",
        seed: int = 0,
    ) -> None:
        self.spec = dict(spec or {})
        self.fingerprint = dict(fingerprint or {})
        self.environment = dict(environment or {})
        self.arm, self.seed = arm, seed
        self._metrics = MetricsTable(arm, seed)
        self._states: list[dict[str, Any]] = []
        self._tables: list[dict[str, Pool]] = []
        self._events: list[dict[str, Any]] = []
        self._forecasts: list[dict[str, Any]] = []

    @classmethod
    def create(cls, **arguments: Any) -> Self:
        """The constructor under the name that `RunStore` has for it."""
        return cls(**arguments)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Nothing to lock: no other process sees this store."""
        yield

    def generations(self) -> list[int]:
        """Numbers of the committed generations."""
        return list(range(len(self._states)))

    def begin(self, generation: int) -> MemoryWriter:
        """Start the next generation."""
        if generation != len(self._states):
            raise StoreError(f"generation {generation} cannot be written: the next one is {len(self._states)}")
        return MemoryWriter(self, generation)

    def add(self, generation: int, state: dict[str, Any], rows: list[dict[str, Any]], tables: dict[str, Pool]) -> None:
        """Take over a finished generation; called by `MemoryWriter.commit`."""
        if generation != len(self._states):
            raise StoreError(f"generation {generation} is already committed")
        self._states.append(state)
        self._tables.append(tables)
        self._metrics.append(rows)

    def synthetic(self, t: int) -> Pool:
        """The rows that entered the loop in a generation."""
        tables = self._entry(self._tables, t)
        if "synthetic" not in tables:
            raise StoreError(f"generation {t} has no synthetic rows (none were written, or they were pruned)")
        return tables["synthetic"]

    def model_dir(self, t: int) -> Path | None:
        """None: no model is saved, it is fitted again from the rows where it is needed."""
        self._entry(self._states, t)
        return None

    def state(self, t: int) -> dict[str, Any]:
        """The state that was committed with a generation."""
        return copy.deepcopy(self._entry(self._states, t))

    def metrics(self) -> pa.Table:
        """All metrics of all generations."""
        return self._metrics.table()

    def metric_rows(self) -> list[dict[str, Any]]:
        """`metrics` as one dictionary a row."""
        return self.metrics().to_pylist()

    def append_event(self, event: str, **fields: Any) -> None:
        """Keep an event."""
        self._events.append(plain(new_event(event, **fields), f"event {event}"))

    def events(self) -> list[dict[str, Any]]:
        """All events, oldest first."""
        return list(self._events)

    def write_forecasts(self, forecasts: Sequence[Mapping[str, Any]]) -> None:
        """Keep the forecasts."""
        self._forecasts = plain(list(forecasts), "forecasts")

    def forecasts(self) -> list[dict[str, Any]]:
        """What `write_forecasts` was given last."""
        return list(self._forecasts)

    def prune(
        self, *, keep_last: int | None = None, keep_every: int | None = None, keep_synthetic: bool = True
    ) -> None:
        """Let go of old generations' synthetic rows unless `keep_synthetic`; see `RunStore.prune`."""
        if not keep_synthetic:
            for t in prunable(len(self._states), keep_last=keep_last, keep_every=keep_every):
                self._tables[t].pop("synthetic", None)

    def _entry(self, entries: list[Any], t: int) -> Any:
        if not 0 <= t < len(entries):
            raise StoreError(f"no generation {t}: {len(entries)} are committed")
        return entries[t]
