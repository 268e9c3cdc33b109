"""What every store must do, as tests: subclass `StoreSuite` and override `make_store`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ouroloop.errors import OuroloopError
from ouroloop.pool import Pool
from ouroloop.samples import Samples, Verdict, synthetic_ids

__all__ = ["StoreSuite"]


class StoreSuite:
    """Conformance tests for a store: `begin` a generation, fill it, `commit` or `abort` it, read it back.

    Override `make_store`, and `reopen` where a store outlives the object.
    """

    def make_store(self, path: Path) -> Any:
        """A new, empty store; `path` is a folder that does not exist yet, for stores that need one."""
        raise NotImplementedError("override make_store(path) to return an empty store")

    def reopen(self, store: Any) -> Any:
        """The same run through a new object, as after a restart; stores without a memory return `store`."""
        return store

    @pytest.fixture
    def store(self, tmp_path: Path) -> Any:
        return self.make_store(tmp_path / "run")

    def rows(self, t: int, n: int = 6) -> Samples:
        """Rows of a generation: x float32 (n, 2, 2), label int64 (n,), name text (n,), with provenance."""
        x = (np.arange(n * 4, dtype=np.float32).reshape(n, 2, 2) + t) / 7
        ids = synthetic_ids(t, 0, n)
        return Samples.of(
            x,
            label=np.arange(n) % 3,
            name=np.array(["ä", "", "long name"] * n)[:n],
            id=ids,
            parent=ids - 1,
            origin=np.full(n, t),
            verdict=np.full(n, Verdict.CHANGED),
        )

    def write(self, store: Any, t: int, *, metrics: Sequence[dict[str, Any]] = (), **state: Any) -> Pool | None:
        """Commit generation t; its rows, for t >= 1, in batches of four."""
        writer, pool = store.begin(t), None
        if t:
            table, corrections = writer.table("synthetic"), writer.corrections()
            for batch in self.rows(t).batches(4):
                table.write(batch)
                distance = np.zeros(len(batch))
                columns = {"id": batch.id, "parent": batch.parent, "verdict": batch.verdict, "distance": distance}
                corrections.write(columns)
            pool = table.close()
            corrections.close()
        writer.preview("preview", {"x": np.zeros((3, 2))})
        writer.commit(state=state, metrics=metrics)
        return pool

    def test_a_new_store_is_empty(self, store: Any) -> None:
        assert store.generations() == []
        assert store.metric_rows() == []

    def test_generations_are_committed_in_order(self, store: Any) -> None:
        for t in range(3):
            assert store.generations() == list(range(t))
            self.write(store, t)
        assert self.reopen(store).generations() == [0, 1, 2]

    @pytest.mark.parametrize("wrong", [-1, 0, 2])
    def test_any_other_generation_is_refused(self, store: Any, wrong: int) -> None:
        self.write(store, 0)
        with pytest.raises(OuroloopError, match=f"generation {wrong}"):
            store.begin(wrong)
        assert store.generations() == [0]

    def test_rows_come_back_as_they_were(self, store: Any) -> None:
        self.write(store, 0)
        self.write(store, 1)
        expected, got = self.rows(1), self.reopen(store).synthetic(1).materialise()
        assert got.columns.keys() == expected.columns.keys()
        for name, column in expected.columns.items():
            np.testing.assert_array_equal(got.columns[name], column)
            assert got.columns[name].dtype.kind == column.dtype.kind, name
        assert got.x.dtype == np.float32

    def test_the_pool_of_a_closed_table_outlives_the_commit(self, store: Any) -> None:
        self.write(store, 0)
        pool = self.write(store, 1)
        self.write(store, 2)
        assert pool is not None
        np.testing.assert_array_equal(pool.x, self.rows(1).x)

    def test_a_generation_without_rows_has_none(self, store: Any) -> None:
        self.write(store, 0)
        with pytest.raises(OuroloopError, match=r"synthetic"):
            store.synthetic(0)

    def test_state_comes_back_exactly(self, store: Any) -> None:
        state = {"loss": 0.1 + 0.2, "none": None, "nested": {"list": [1, True, "ä"], "nan": math.nan}, "big": 1 << 60}
        self.write(store, 0, **state)
        got = self.reopen(store).state(0)
        assert got["generation"] == 0
        assert math.isnan(got["nested"].pop("nan"))
        assert {**got, "nested": {**got["nested"], "nan": 0}} == {
            **state,
            "generation": 0,
            "nested": {"list": [1, True, "ä"], "nan": 0},
        }

    def test_what_json_cannot_hold_is_refused(self, store: Any) -> None:
        for value in (np.zeros(2), {1, 2}, {1: 2}, object(), b"bytes", 1j):
            with pytest.raises(OuroloopError, match=r"state.*odd"):
                self.write(store, 0, odd=value)
        assert store.generations() == []
        self.write(store, 0)

    def test_metrics_come_back_in_long_form(self, store: Any) -> None:
        self.write(store, 0, metrics=[{"metric": "fid", "value": 1.5, "low": 1.0, "high": 2.0, "floor": 0.5, "n": 10}])
        self.write(store, 1, metrics=[{"metric": "fid", "value": np.float32(2.5)}, {"metric": "w2", "value": math.inf}])
        store = self.reopen(store)
        rows = store.metric_rows()
        assert [(row["generation"], row["metric"], row["value"]) for row in rows] == [
            (0, "fid", 1.5),
            (1, "fid", 2.5),
            (1, "w2", math.inf),
        ]
        assert (rows[0]["low"], rows[0]["high"], rows[0]["floor"], rows[0]["n"]) == (1.0, 2.0, 0.5, 10)
        assert math.isnan(rows[0]["forecast"])
        assert store.metrics().num_rows == 3

    @pytest.mark.parametrize(
        "row",
        [{"value": 1.0}, {"metric": "fid", "value": "1"}, {"metric": "fid", "vale": 1.0}, {"metric": "a", "n": -1}],
    )
    def test_bad_metrics_are_refused(self, store: Any, row: dict[str, Any]) -> None:
        with pytest.raises(OuroloopError, match="metrics"):
            self.write(store, 0, metrics=[row])
        assert store.generations() == []

    def test_an_aborted_generation_leaves_nothing(self, store: Any) -> None:
        self.write(store, 0)
        writer = store.begin(1)
        writer.table("synthetic").write(self.rows(1))
        writer.abort()
        assert self.reopen(store).generations() == [0]
        with pytest.raises(OuroloopError):
            writer.commit(state={}, metrics=[])
        self.write(store, 1)

    def test_leaving_the_block_without_a_commit_aborts(self, store: Any) -> None:
        with pytest.raises(ZeroDivisionError), store.begin(0):
            _ = 1 / 0
        with store.begin(0):
            pass
        assert store.generations() == []
        with store.begin(0) as writer:
            writer.commit(state={}, metrics=[])
        assert store.generations() == [0]

    def test_a_generation_is_committed_once(self, store: Any) -> None:
        writer = store.begin(0)
        writer.commit(state={}, metrics=[])
        with pytest.raises(OuroloopError):
            writer.commit(state={}, metrics=[])
        with pytest.raises(OuroloopError):
            writer.table("synthetic")
        writer.abort()
        assert store.generations() == [0]

    def test_a_table_needs_equal_columns(self, store: Any) -> None:
        self.write(store, 0)
        other = Samples.of(np.zeros((2, 2, 2), np.float32))
        writer = store.begin(1)
        with pytest.raises(OuroloopError, match="column"):
            _write_all(writer.table("synthetic"), [self.rows(1), other])
        writer.abort()
        assert store.generations() == [0]

    def test_events_are_kept_in_order(self, store: Any) -> None:
        store.append_event("start", note="a\nb")
        store.append_event("stop", n=3)
        first, second = self.reopen(store).events()
        assert (first["event"], first["note"], second["event"], second["n"]) == ("start", "a\nb", "stop", 3)
        assert first["time"] <= second["time"]

    def test_forecasts_are_replaced(self, store: Any) -> None:
        assert store.forecasts() == []
        store.write_forecasts([{"metric": "w2", "values": [1.0]}])
        store.write_forecasts([{"metric": "w2", "values": [1.0, 2.0]}])
        assert self.reopen(store).forecasts() == [{"metric": "w2", "values": [1.0, 2.0]}]

    def test_the_lock_may_be_taken_twice(self, store: Any) -> None:
        with store.lock():
            with store.lock():
                self.write(store, 0)
            self.write(store, 1)
        assert store.generations() == [0, 1]

    def test_pruning_keeps_the_first_the_last_and_every_so_many(self, store: Any) -> None:
        for t in range(8):
            self.write(store, t, metrics=[{"metric": "m", "value": float(t)}], at=t)
        store.prune(keep_last=2, keep_every=3, keep_synthetic=False)
        store = self.reopen(store)
        for t in (3, 6, 7):
            np.testing.assert_array_equal(store.synthetic(t).x, self.rows(t).x)
        for t in (1, 2, 4, 5):
            with pytest.raises(OuroloopError, match="pruned"):
                store.synthetic(t)
        assert [store.state(t)["at"] for t in range(8)] == list(range(8))
        assert [row["value"] for row in store.metric_rows()] == list(range(8))
        self.write(store, 8)

    def test_pruning_keeps_all_rows_where_they_are_needed(self, store: Any) -> None:
        for t in range(4):
            self.write(store, t)
        store.prune(keep_last=1, keep_every=None, keep_synthetic=True)
        store.prune(keep_last=None, keep_every=None, keep_synthetic=False)
        assert [len(self.reopen(store).synthetic(t)) for t in (1, 2, 3)] == [6, 6, 6]


def _write_all(table: Any, batches: Sequence[Samples]) -> Pool:
    for batch in batches:
        table.write(batch)
    return table.close()
