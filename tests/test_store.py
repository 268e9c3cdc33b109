from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ouroloop import atomic, run_files
from ouroloop.errors import DataError, StoreError
from ouroloop.ipc import open_arrow
from ouroloop.samples import Samples, synthetic_ids
from ouroloop.store import MemoryStore, RunStore, find_runs, safe_name
from ouroloop.testing import StoreSuite

SPEC = {"name": "walk", "regime": {"kind": "replace", "synthetic_ratio": 1.0}, "generations": 3}
FINGERPRINT = {"regime": {"kind": "replace", "synthetic_ratio": 1.0}, "metrics": ["fid", "w2"], "seed": 3}


def make(path: Path, **options: Any) -> RunStore:
    arguments: dict[str, Any] = {"spec": SPEC, "fingerprint": FINGERPRINT, "environment": {"python": "3"}}
    return RunStore.create(path, **{**arguments, "arm": "none", "seed": 3, **options})


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting for the disk where no power fails; `test_crash.py` waits."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


def write(store: RunStore, t: int, n: int = 5) -> None:
    with store.begin(t) as writer:
        if t:
            table = writer.table("synthetic")
            table.write(Samples.of(np.full((n, 2), t / 3), id=synthetic_ids(t, 0, n)))
        (writer.model_dir / "weights.bin").write_bytes(bytes([t]) * 100)
        writer.preview("preview", {"x": np.full((2, 2), t)})
        writer.commit(state={"t": t}, metrics=[{"metric": "w2", "value": float(t)}])


def filled(path: Path, generations: int = 4, **options: Any) -> RunStore:
    store = make(path, **options)
    with store.lock():
        for t in range(generations):
            write(store, t)
    return store


class TestRunStore(StoreSuite):
    def make_store(self, path: Path) -> RunStore:
        return make(path)

    def reopen(self, store: RunStore) -> RunStore:
        assert store.verify() == []
        return RunStore.open(store.path)


class TestMemoryStore(StoreSuite):
    def make_store(self, path: Path) -> MemoryStore:
        return MemoryStore.create(spec=SPEC, fingerprint=FINGERPRINT, environment={}, arm="none", seed=3)

    def test_nothing_is_written(self, tmp_path: Path) -> None:
        store = self.make_store(tmp_path)
        self.write(store, 0)
        assert list(tmp_path.iterdir()) == []
        assert store.begin(1).model_dir is None
        assert store.model_dir(0) is None


class TestCreate:
    def test_everything_comes_back(self, tmp_path: Path) -> None:
        make(tmp_path / "a" / "b")
        store = RunStore.open(tmp_path / "a" / "b")
        assert (store.spec, store.fingerprint, store.environment) == (SPEC, FINGERPRINT, {"python": "3"})
        assert (store.arm, store.seed, store.forked_from) == ("none", 3, None)
        assert store.verify() == []

    def test_an_existing_run_is_refused(self, tmp_path: Path) -> None:
        make(tmp_path / "run")
        with pytest.raises(StoreError, match="exists already"):
            make(tmp_path / "run")

    def test_the_same_fingerprint_is_taken_up(self, tmp_path: Path) -> None:
        filled(tmp_path / "run", 2)
        same = {**FINGERPRINT, "regime": {"synthetic_ratio": 1.0, "kind": "replace"}}
        assert make(tmp_path / "run", exist_ok=True, fingerprint=same).generations() == [0, 1]

    @pytest.mark.parametrize("exist_ok", [True, False])
    def test_another_fingerprint_is_refused_by_field(self, tmp_path: Path, exist_ok: bool) -> None:
        make(tmp_path / "run")
        other = {"regime": {"kind": "replace", "synthetic_ratio": 0.5}, "metrics": ["fid"], "new": 1, "later": None}
        with pytest.raises(StoreError) as caught:
            make(tmp_path / "run", exist_ok=exist_ok, fingerprint=other)
        text = str(caught.value)
        assert "regime.synthetic_ratio: got 0.5, stored 1.0" in text
        assert "metrics: got ['fid'], stored ['fid', 'w2']" in text
        assert "new: got 1, stored '(absent)'" in text
        assert "later" not in text  # an option that the run's version did not have, left alone
        assert "seed: got '(absent)', stored 3" in text
        assert "kind" not in text
        assert "or delete the folder, which holds no generation yet" in text

    def test_an_option_that_was_not_there_is_unset_inside_lists_too(self, tmp_path: Path) -> None:
        old = {"metrics": [{"kind": "fid", "of": {"n": 3}}], "seed": 3}
        make(tmp_path / "run", fingerprint=old)
        later = {"metrics": [{"kind": "fid", "of": {"n": 3, "new": None}, "also": None}], "seed": 3, "more": None}
        make(tmp_path / "run", exist_ok=True, fingerprint=later)
        later["metrics"][0]["also"] = 0
        with pytest.raises(StoreError, match="metrics: got"):
            make(tmp_path / "run", exist_ok=True, fingerprint=later)

    def test_a_run_with_generations_is_to_be_forked_not_deleted(self, tmp_path: Path) -> None:
        filled(tmp_path / "run", 1)
        with pytest.raises(StoreError, match="other settings; give it another name, or fork it"):
            make(tmp_path / "run", exist_ok=True, fingerprint={"seed": 4})

    def test_nan_in_a_fingerprint_equals_itself(self, tmp_path: Path) -> None:
        make(tmp_path / "run", fingerprint={"strength": math.nan, "all": math.inf})
        make(tmp_path / "run", fingerprint={"strength": math.nan, "all": math.inf}, exist_ok=True)

    def test_an_empty_directory_is_used(self, tmp_path: Path) -> None:
        make(tmp_path)
        assert RunStore.open(tmp_path).generations() == []

    def test_a_directory_with_other_things_is_left_alone(self, tmp_path: Path) -> None:
        (tmp_path / "thesis.tex").write_text("x")
        with pytest.raises(StoreError, match=r"thesis\.tex"):
            make(tmp_path)
        assert not (tmp_path / "run.json").exists()

    def test_a_file_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "run").write_text("x")
        with pytest.raises(StoreError, match="run: cannot create"):
            make(tmp_path / "run")

    @pytest.mark.parametrize("field", ["spec", "fingerprint", "environment"])
    def test_what_json_cannot_hold_is_refused(self, tmp_path: Path, field: str) -> None:
        with pytest.raises(StoreError, match=rf"{field}\.a\[1\]: a Path|{field}\.a\[1\]: a PosixPath"):
            make(tmp_path / "run", **{field: {"a": [1, tmp_path]}})

    def test_no_run(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="not a run directory"):
            RunStore.open(tmp_path)
        with pytest.raises(StoreError, match="no such directory"):
            RunStore.open(tmp_path / "absent")

    def test_a_later_format_is_refused(self, tmp_path: Path) -> None:
        make(tmp_path / "run")
        path = tmp_path / "run" / "run.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
        with pytest.raises(StoreError, match="format 99"):
            RunStore.open(tmp_path / "run")

    @pytest.mark.parametrize(
        "text", ["a: &x [1]\nb: [*x, *x]", "a: !!python/object/apply:os.system [id]", "[1, 2]", ":\n -"]
    )
    def test_a_hostile_spec_is_refused(self, tmp_path: Path, text: str) -> None:
        make(tmp_path / "run")
        (tmp_path / "run" / "spec.yaml").write_text(text)
        with pytest.raises(StoreError, match=r"spec\.yaml"):
            RunStore.open(tmp_path / "run")

    def test_find_runs(self, tmp_path: Path) -> None:
        for name in ("study/b/seed-0", "study/a/seed-1", "study/a/seed-0"):
            make(tmp_path / name)
        found = find_runs(tmp_path)
        assert [str(p.relative_to(tmp_path)) for p in found] == ["study/a/seed-0", "study/a/seed-1", "study/b/seed-0"]
        assert find_runs(found[0]) == [found[0]]
        with pytest.raises(StoreError, match="no such directory"):
            find_runs(tmp_path / "absent")


class TestSpec:
    def test_the_spec_can_be_extended(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 2)
        for generations in (10, 20, 20, 30):
            store.write_spec({**SPEC, "generations": generations})
        again = RunStore.open(tmp_path / "run")
        assert again.spec["generations"] == store.spec["generations"] == 30
        assert again.verify() == []

    def test_a_spec_changed_by_hand_is_not_covered_up(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        with open(store.path / "spec.yaml", "a") as file:
            file.write("extra: 1\n")
        assert [str(p) for p in store.verify()] == ["spec.yaml: changed: its SHA-256 is not the one in run.json"]
        with pytest.raises(StoreError, match="changed by hand"):
            store.write_spec(SPEC)


class TestFiles:
    def test_the_layout_is_the_contract(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 2)
        store.append_event("start")
        store.write_forecasts([])
        top = {"spec.yaml", "run.json", "fingerprint.json", "environment.json", "metrics.parquet"}
        assert {p.name for p in store.path.iterdir() if not p.name.startswith(".")} == top | {
            "events.jsonl",
            "forecasts.json",
            "generations",
        }
        files = {
            str(p.relative_to(store.path / "generations")) for p in store.path.glob("generations/*/**/*") if p.is_file()
        }
        common = {"state.json", "metrics.json", "manifest.json", "preview.arrow", "model/weights.bin"}
        assert files == {f"0000/{n}" for n in common} | {f"0001/{n}" for n in common | {"synthetic.arrow"}}

    def test_metrics_parquet_is_long_form(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 3)
        table = pq.read_table(store.path / "metrics.parquet")
        types = {field.name: str(field.type) for field in table.schema}
        floats = dict.fromkeys(("value", "low", "high", "floor", "forecast"), "double")
        head = {"arm": "string", "seed": "int64", "generation": "int32", "metric": "string"}
        assert types == {**head, **floats, "n": "int64"}
        assert table["generation"].to_pylist() == [0, 1, 2]
        assert set(table["arm"].to_pylist()) == {"none"}
        assert set(table["seed"].to_pylist()) == {3}

    def test_metrics_parquet_is_complete_after_many_commits(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        many = [{"metric": f"m{i}", "value": float(i)} for i in range(400)]
        with store.lock():
            for t in range(7):
                with store.begin(t) as writer:
                    writer.commit(state={}, metrics=many)
                assert store.metrics().num_rows == 400 * (t + 1)
        assert pq.read_table(store.path / "metrics.parquet").num_rows == 2800

    @pytest.mark.parametrize("damage", ["absent", "stale", "garbage"])
    def test_open_makes_metrics_parquet_again(self, tmp_path: Path, damage: str) -> None:
        store = filled(tmp_path / "run", 2)
        path = store.path / "metrics.parquet"
        whole = path.read_bytes()
        stale = filled(tmp_path / "other", 1).path / "metrics.parquet"
        if damage == "absent":
            path.unlink()
        else:
            path.write_bytes(stale.read_bytes() if damage == "stale" else b"PAR1garbage")
        RunStore.open(store.path)
        assert path.read_bytes() == whole

    def test_a_model_directory_without_files_vanishes(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        with store.begin(0) as writer:
            writer.commit(state={}, metrics=[])
        assert not (store.generation_dir(0) / "model").exists()
        assert store.model_dir(0) is None
        assert store.verify() == []

    def test_a_link_in_a_model_directory_is_refused(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        (tmp_path / "secret").write_text("x")
        writer = store.begin(0)
        (writer.model_dir / "weights").symlink_to(tmp_path / "secret")
        with pytest.raises(StoreError, match="weights"):
            writer.commit(state={}, metrics=[])
        assert store.generations() == []

    @pytest.mark.parametrize("name", ["../up", "a/b", "", ".hidden", "state.json\0"])
    def test_table_names_cannot_leave_the_generation(self, tmp_path: Path, name: str) -> None:
        store = make(tmp_path / "run")
        with store.begin(0) as writer, pytest.raises(StoreError, match="cannot be a name"):
            writer.table(name)

    def test_a_name_is_used_once(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        with store.begin(0) as writer:
            writer.preview("preview", {"x": np.zeros(2)})
            with pytest.raises(StoreError, match="already has"):
                writer.preview("preview.arrow", {"x": np.zeros(2)})

    def test_previews_and_corrections_can_be_read(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        with store.begin(0) as writer:
            corrections = writer.corrections()
            columns = {"id": np.arange(3), "parent": np.arange(3), "verdict": [0, 1, 2], "distance": np.ones(3)}
            corrections.write({k: np.asarray(v) for k, v in columns.items()})
            with pytest.raises(DataError, match="expected id, parent"):
                corrections.write({"id": np.arange(3)})
            with pytest.raises(DataError, match="one entry a row"):
                corrections.write({**{k: np.asarray(v) for k, v in columns.items()}, "distance": np.ones((3, 1))})
            writer.preview("preview", {"x": np.ones((3, 2, 2), np.float32), "before": np.zeros(3)})
            writer.commit(state={}, metrics=[])
        table = pq.read_table(store.generation_dir(0) / "corrections.parquet")
        assert {f.name: str(f.type) for f in table.schema} == {
            "id": "int64",
            "parent": "int64",
            "verdict": "int8",
            "distance": "double",
        }
        assert table["verdict"].to_pylist() == [0, 1, 2]
        assert open_arrow(store.generation_dir(0) / "preview.arrow").x.shape == (3, 2, 2)

    def test_a_torn_event_is_skipped_and_ended(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        store.append_event("one")
        with open(store.path / "events.jsonl", "ab") as file:
            file.write(b'{"time": "2026", "event": "to')
        assert [e["event"] for e in store.events()] == ["one"]
        store.append_event("two")
        assert [e["event"] for e in store.events()] == ["one", "two"]

    def test_events_with_odd_characters(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        store.append_event("one", text="a\u2028b\x85c\x0bd\r\n€")
        with open(store.path / "events.jsonl", "ab") as file:
            file.write('{"text": "€'.encode()[:-1])  # torn inside a character
        store.append_event("two")
        assert [e.get("text") for e in store.events()] == ["a\u2028b\x85c\x0bd\r\n€", None]

    def test_what_is_too_large_or_endless_to_be_read_is_not_written(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = make(tmp_path / "run")
        endless: list[Any] = []
        endless.append(endless)
        for state in ({"a": endless}, {"a": "x" * 2000}):
            monkeypatch.setattr(atomic, "JSON_LIMIT", 1000)
            with pytest.raises(StoreError, match=r"state.*(nested too deeply|bytes of JSON, at most)"):
                store.begin(0).commit(state=state, metrics=[])
        with pytest.raises(StoreError, match="spec: nested too deeply"):
            store.write_spec({"a": endless})
        with pytest.raises(StoreError, match="fingerprint: nested too deeply"):
            store.check_fingerprint({"a": endless})
        monkeypatch.setattr(run_files, "_SPEC_LIMIT", 1000)
        with pytest.raises(StoreError, match="bytes of YAML, at most"):
            store.write_spec({"a": "x" * 2000})
        assert store.verify() == []

    def test_synthetic_rows_are_mapped_not_copied(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 2)
        x = store.synthetic(1).parts[0].x
        assert not x.flags.owndata
        assert not x.flags.writeable


class TestSummary:
    """Runs whose generations are not kept."""

    def table(self, n: int = 3) -> pa.Table:
        nothing = np.full(n, np.nan)
        columns = {"metric": ["w2"] * n, "arm": ["none"] * n, "seed": np.zeros(n, int), "generation": np.arange(n)}
        columns |= dict.fromkeys(("low", "high", "floor", "forecast"), nothing)
        return pa.table({**columns, "value": np.arange(n) / 2, "n": np.zeros(n, int)})

    def test_the_metrics_come_back(self, tmp_path: Path) -> None:
        make(tmp_path / "run").write_summary(self.table())
        store = RunStore.open(tmp_path / "run")
        assert [row["value"] for row in store.metric_rows()] == [0.0, 0.5, 1.0]
        assert store.metrics().schema.names == pq.read_schema(store.path / "metrics.parquet").names
        assert store.generations() == []
        assert store.verify() == []
        store.write_summary(self.table(5))
        assert len(make(tmp_path / "run", exist_ok=True).metric_rows()) == 5
        assert store.verify() == []

    def test_they_are_checked(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        store.write_summary(self.table())
        pq.write_table(self.table(4), store.path / "metrics.parquet")
        assert [problem.file for problem in RunStore.open(store.path).verify()] == ["metrics.parquet"]

    def test_a_summary_cannot_be_continued(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        store.write_summary(self.table())
        for each in (store, RunStore.open(store.path)):
            with pytest.raises(StoreError, match="cannot be continued"):
                each.begin(0)

    def test_a_run_with_generations_takes_none(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 1)
        with pytest.raises(StoreError, match="has generations"):
            store.write_summary(self.table())
        assert store.verify() == []

    def test_other_columns_are_refused(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        with pytest.raises(StoreError, match="expected arm, seed, generation"):
            store.write_summary(self.table().drop_columns(["low"]))
        with pytest.raises(StoreError, match="metrics:"):
            store.write_summary(self.table().set_column(0, "metric", pa.array(["a", None, "b"])))
        assert not (store.path / "metrics.parquet").exists()


class TestOrder:
    def test_a_missing_generation_stops_the_count_and_the_writing(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 4)
        os.rename(store.generation_dir(1), tmp_path / "aside")
        store = RunStore.open(store.path)
        assert store.generations() == [0]
        with pytest.raises(StoreError, match="1 is missing, and 2 is there: verify the run"):
            store.begin(1)

    def test_what_a_crash_left_is_removed_by_the_next_writer_only(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 1)
        stale = store.path / "generations" / ".tmp-0001-dead" / "model"
        stale.mkdir(parents=True)
        RunStore.open(store.path).metric_rows()
        assert stale.exists()
        write(store, 1)
        assert not stale.exists()
        assert store.generations() == [0, 1]

    def test_every_file_is_on_the_disk_before_the_generation_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = make(tmp_path / "run")
        synced: set[tuple[int, int]] = set()
        seen: list[set[str]] = []
        fsync, rename = os.fsync, os.rename

        def record(descriptor: int) -> None:
            status = os.fstat(descriptor)
            synced.add((status.st_dev, status.st_ino))
            fsync(descriptor)

        def check(source: Path, target: Path) -> None:
            everything = [Path(source), *Path(source).rglob("*")]
            seen.append({p.name for p in everything if (p.stat().st_dev, p.stat().st_ino) not in synced})
            rename(source, target)
            synced.discard((Path(target).parent.stat().st_dev, Path(target).parent.stat().st_ino))

        monkeypatch.setattr(os, "fsync", record)
        monkeypatch.setattr(os, "rename", check)
        write(store, 0)
        write(store, 1)
        assert seen == [set(), set()]
        folder = (store.path / "generations").stat()
        assert (folder.st_dev, folder.st_ino) in synced


LOCKED = """
import sys
from ouroloop.store import RunStore
with RunStore.open(sys.argv[1]).lock():
    print("locked", flush=True)
    sys.stdin.readline()
"""


class TestLock:
    def test_a_second_process_is_refused_by_name(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 1)
        command = [sys.executable, "-c", LOCKED, str(store.path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"
            with pytest.raises(StoreError, match=rf"process {other.pid} on .* since 20"):
                store.begin(1)
            with pytest.raises(StoreError, match="another process"):
                store.write_forecasts([])
            assert RunStore.open(store.path).state(0) == {"generation": 0, "t": 0}
            assert store.verify() == []
            other.kill()
        write(store, 1)
        assert store.generations() == [0, 1]

    def test_a_second_object_is_refused(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        writer = store.begin(0)
        with pytest.raises(StoreError, match="another process"):
            make(tmp_path / "run", exist_ok=True).begin(0)
        writer.commit(state={}, metrics=[])
        other = RunStore.open(tmp_path / "run")
        write(other, 1)
        assert store.generations() == [0, 1]
        write(store, 2)
        assert [row["value"] for row in store.metric_rows()] == [1.0, 2.0]

    def test_a_holder_file_that_makes_no_sense_does_no_harm(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        with store.lock():
            (store.path / ".lock.json").write_text('["?"]')
            with pytest.raises(StoreError, match="another process is writing this run; wait"):
                RunStore.open(store.path).begin(0)


class TestFork:
    def test_forks_of_forks_know_which_generator_made_each_generation(self, tmp_path: Path) -> None:
        def forked(store: RunStore, name: str, at: int, kind: str) -> RunStore:
            spec = {"generator": {"kind": kind}}
            fork = store.fork(tmp_path / name, at=at, spec=spec, fingerprint={}, environment={})
            write(fork, at + 1)
            return fork

        first = forked(filled(tmp_path / "run", 2), "first", 1, "kde")  # the run itself names none
        second = forked(first, "second", 2, "vae")
        back = forked(second, "back", 1, "flow")
        same = forked(second, "same", 3, "vae")

        def kinds(store: RunStore) -> list[str | None]:
            return [(store.generator_at(t) or {}).get("kind") for t in store.generations()]

        assert kinds(first) == [None, None, "kde"]
        assert kinds(second) == [None, None, "kde", "vae"]
        assert kinds(back) == [None, None, "flow"]
        assert kinds(same) == [None, None, "kde", "vae", "vae"]

    def test_the_fork_shares_the_past_and_goes_its_own_way(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 4)
        fork = store.fork(
            tmp_path / "fork", at=2, spec={"name": "f"}, fingerprint={"other": 1}, environment={}, arm="cluster"
        )
        assert (fork.generations(), fork.arm, fork.seed, fork.spec) == ([0, 1, 2], "cluster", 3, {"name": "f"})
        assert fork.forked_from is not None
        assert (fork.forked_from["run"], fork.forked_from["at"]) == ("run", 2)
        assert {row["arm"] for row in fork.metric_rows()} == {"cluster"}
        write(fork, 3)
        assert fork.verify() == []
        assert store.verify() == []
        with pytest.raises(StoreError, match="other: got 2, stored 1"):
            fork.check_fingerprint({"other": 2})

    def test_the_rows_are_linked(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 2)
        fork = store.fork(tmp_path / "fork", at=1, spec={}, fingerprint={}, environment={})
        assert os.path.samefile(*(s.generation_dir(1) / "synthetic.arrow" for s in (store, fork)))

    def test_the_rows_are_copied_where_links_cannot_be(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise OSError(18, "Invalid cross-device link")

        monkeypatch.setattr(os, "link", refuse)
        fork = filled(tmp_path / "run", 2).fork(tmp_path / "fork", at=1, spec={}, fingerprint={}, environment={})
        assert fork.verify() == []

    def test_pruning_a_fork_leaves_its_origin_whole(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 4)
        fork = store.fork(tmp_path / "fork", at=3, spec={}, fingerprint={}, environment={})
        fork.prune(keep_last=1, keep_synthetic=False)
        assert len(store.synthetic(1)) == 5
        assert (store.verify(), fork.verify()) == ([], [])

    def test_forks_that_cannot_be(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 4)
        arguments: dict[str, Any] = {"spec": {}, "fingerprint": {}, "environment": {}}
        with pytest.raises(StoreError, match="cannot fork at generation 9: generations 0 to 3"):
            store.fork(tmp_path / "fork", at=9, **arguments)
        store.prune(keep_last=1)
        with pytest.raises(StoreError, match="generation 2: its model was pruned"):
            store.fork(tmp_path / "fork", at=2, **arguments)
        make(tmp_path / "there")
        with pytest.raises(StoreError, match="exists already"):
            store.fork(tmp_path / "there", at=3, **arguments)
        (store.generation_dir(3) / "synthetic.arrow").write_bytes(b"")
        with pytest.raises(StoreError, match="truncated"):
            store.fork(tmp_path / "fork", at=3, **arguments)
        assert not (tmp_path / "fork").exists()


class TestPrune:
    def test_the_disk_is_bounded(self, tmp_path: Path) -> None:
        store = make(tmp_path / "run")
        for t in range(12):
            write(store, t)
            store.prune(keep_last=2, keep_every=5, keep_synthetic=False)
            models = {int(p.parent.name) for p in store.path.glob("generations/*/model")}
            assert models == {s for s in range(t + 1) if s == 0 or s > t - 2 or s % 5 == 0}
        assert store.verify() == []
        assert not (store.generation_dir(3) / "synthetic.arrow").exists()
        with pytest.raises(StoreError, match=r"weights\.bin: was pruned"):
            store.model_dir(3)
        assert RunStore.open(store.path).state(3) == {"generation": 3, "t": 3}
        assert (store.generation_dir(3) / "preview.arrow").exists()

    def test_rows_stay_where_they_are_needed_and_can_go_later(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 4)
        store.prune(keep_last=1)
        assert len(store.synthetic(1)) == 5
        store.prune(keep_last=1, keep_synthetic=False)
        with pytest.raises(StoreError, match=r"synthetic\.arrow: was pruned"):
            store.synthetic(1)
        assert store.verify() == []

    def test_an_interrupted_pruning_is_finished_by_the_next(self, tmp_path: Path) -> None:
        store = filled(tmp_path / "run", 4)
        said = {"files": ["model/weights.bin", "synthetic.arrow"]}
        (store.generation_dir(1) / "pruned.json").write_text(json.dumps(said))
        assert store.verify() == []
        store.prune(keep_last=1, keep_synthetic=False)
        assert not (store.generation_dir(1) / "synthetic.arrow").exists()


GOOD_NAMES = ["digits", "gamma=0.3", "no correction", "a+b@c", "v1.2", "_x", "seed-0", "console"]
BAD_NAMES = ["", ".", "..", "../a", "a/b", "/abs", "a\\b", "C:", "a\n", "a\0b", ".hidden", "-flag", " a", "a ", "a."]
BAD_NAMES += ["CON", "nul.txt", "com1", "ä", "a" * 121, "a*", "~", "$HOME", "a;b"]


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_good_names(name: str) -> None:
    assert safe_name(name) == name


@pytest.mark.parametrize("name", BAD_NAMES)
def test_bad_names(name: str) -> None:
    with pytest.raises(StoreError, match="cannot be a name"):
        safe_name(name)


def test_a_name_must_be_text() -> None:
    with pytest.raises(StoreError, match="cannot be a name"):
        safe_name(7)  # type: ignore[arg-type]
