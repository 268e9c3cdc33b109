"""Whatever is done to a run's files is found, named, and refused where it would be used."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from ouroloop.errors import StoreError
from ouroloop.samples import Samples
from ouroloop.store import RunStore


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("template") / "run").path


@pytest.fixture
def run(template: Path, tmp_path: Path) -> RunStore:
    shutil.copytree(template, tmp_path / "run")
    return RunStore.open(tmp_path / "run")


def make(path: Path, generations: int = 4, seed: int = 0) -> RunStore:
    store = RunStore.create(
        path, spec={"arm": "", "seed": seed}, fingerprint={"seed": seed}, environment={"b": 2}, seed=seed
    )
    with store.lock():
        for t in range(generations):
            with store.begin(t) as writer:
                table = writer.table("synthetic")
                table.write(Samples.of(np.full((5, 2), t + seed, float)))
                table.close()
                (writer.model_dir / "weights.bin").write_bytes(bytes(100))
                writer.commit(state={"t": t}, metrics=[{"metric": "w2", "value": float(t)}])
    assert store.verify() == []
    return store


def found(store: RunStore) -> dict[str, str]:
    with pytest.raises(StoreError, match="damaged"):
        RunStore.open(store.path).check()
    return {problem.file: problem.what for problem in RunStore.open(store.path).verify()}


FILES = ["state.json", "metrics.json", "synthetic.arrow", "model/weights.bin"]


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file(run: RunStore, name: str) -> None:
    path = run.generation_dir(2) / name
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-7])
    assert found(run) == {f"generations/0002/{name}": f"truncated: {size - 7} of {size} bytes"}


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit(run: RunStore, name: str) -> None:
    path = run.generation_dir(2) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert found(run) == {f"generations/0002/{name}": "changed: its SHA-256 differs from the manifest's"}


@pytest.mark.parametrize("name", FILES)
def test_a_longer_file(run: RunStore, name: str) -> None:
    path = run.generation_dir(2) / name
    with open(path, "ab") as file:
        file.write(b"x")
    assert "changed" in found(run)[f"generations/0002/{name}"]


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file(run: RunStore, name: str) -> None:
    (run.generation_dir(2) / name).unlink()
    assert found(run) == {f"generations/0002/{name}": "missing"}


@pytest.mark.parametrize("name", FILES)
def test_a_link_in_the_place_of_a_file(run: RunStore, name: str) -> None:
    path = run.generation_dir(2) / name
    shutil.copy(path, run.path / "elsewhere")
    path.unlink()
    path.symlink_to(run.path / "elsewhere")
    assert found(run) == {f"generations/0002/{name}": "not a regular file"}


READERS: dict[str, Callable[[RunStore], object]] = {
    "state.json": lambda store: store.state(2),
    "metrics.json": lambda store: store.metric_rows(),
    "synthetic.arrow": lambda store: store.synthetic(2),
    "model/weights.bin": lambda store: store.model_dir(2),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_file_is_not_read(run: RunStore, name: str, damage: str) -> None:
    path = run.generation_dir(2) / name
    data = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if damage == "truncated" else data[:-3] + b"xyz")
    with pytest.raises(StoreError, match=rf"{name}: {damage}"):
        READERS[name](RunStore.open(run.path))


def test_two_generations_swapped(run: RunStore) -> None:
    a, b, aside = run.generation_dir(1), run.generation_dir(2), run.path / "aside"
    a.rename(aside)
    b.rename(a)
    aside.rename(b)
    problems = found(run)
    assert "generation 2, expected 1: swapped?" in problems["generations/0001/manifest.json"]
    assert "generation 1, expected 2: swapped?" in problems["generations/0002/manifest.json"]
    with pytest.raises(StoreError, match="swapped"):
        RunStore.open(run.path).synthetic(1)


def test_a_generation_of_another_run(run: RunStore, tmp_path: Path) -> None:
    other = make(tmp_path / "other", seed=1)
    shutil.rmtree(run.generation_dir(2))
    shutil.copytree(other.generation_dir(2), run.generation_dir(2))
    problems = found(run)
    assert set(problems) == {"generations/0002/manifest.json", "generations/0003/manifest.json"}
    assert all("another run" in what for what in problems.values())
    with pytest.raises(StoreError, match=r"0002/manifest\.json: does not follow"):
        RunStore.open(run.path).synthetic(2)


def test_the_first_generation_of_another_run(run: RunStore, tmp_path: Path) -> None:
    other = make(tmp_path / "other", seed=1, generations=1)
    shutil.rmtree(run.generation_dir(0))
    shutil.copytree(other.generation_dir(0), run.generation_dir(0))
    assert "another run" in found(run)["generations/0000/manifest.json"]


def test_a_file_changed_together_with_its_manifest(run: RunStore) -> None:
    path = run.generation_dir(1) / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"].pop("metrics.json")
    path.write_text(json.dumps(manifest))
    problems = found(run)
    assert problems["generations/0001/metrics.json"] == "stray: no manifest lists it"
    assert "rewritten" in problems["generations/0002/manifest.json"]


def test_a_missing_generation(run: RunStore) -> None:
    shutil.rmtree(run.generation_dir(1))
    assert found(run)["generations/0001"] == "missing, although 3 is there"


def test_stray_files(run: RunStore) -> None:
    (run.generation_dir(1) / "model" / "extra.bin").write_text("x")
    (run.path / "generations" / "12").mkdir()
    (run.path / "generations" / "notes.txt").write_text("x")
    (run.path / "report.html").write_text("a user may put things here")
    assert found(run) == {
        "generations/0001/model/extra.bin": "stray: no manifest lists it",
        "generations/12": "stray: not a generation",
        "generations/notes.txt": "stray: not a generation",
    }


@pytest.mark.parametrize("name", ["fingerprint.json", "environment.json", "spec.yaml"])
def test_the_top_of_the_run(run: RunStore, name: str) -> None:
    path = run.path / name
    path.write_text(path.read_text().replace("1", "3").replace("2", "3").replace("0", "3"))
    assert "SHA-256" in found(run)[name]


def test_a_fingerprint_that_was_replaced_is_found_by_its_fields(run: RunStore) -> None:
    (run.path / "fingerprint.json").write_text('{"seed": 9}')
    with pytest.raises(StoreError, match="seed: got 0, stored 9"):
        RunStore.create(run.path, spec={}, fingerprint={"seed": 0}, environment={}, exist_ok=True)


def test_metrics_parquet_that_says_something_else(run: RunStore) -> None:
    path = run.path / "metrics.parquet"
    table = pq.read_table(path)
    better = table.set_column(4, table.schema.field(4), [np.zeros(len(table))])
    pq.write_table(better, path)
    assert "does not agree" in found(run)["metrics.parquet"]
    path.unlink()
    RunStore.open(run.path).check()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"generation": 2, "previous": "", "files": {"../../../etc/passwd": {"bytes": 1, "sha256": "'
        + "a" * 64
        + '"}}}',
        '{"generation": 2, "previous": "", "files": {"/abs": {"bytes": 1, "sha256": "' + "a" * 64 + '"}}}',
        '{"generation": 2, "previous": "", "files": {"state.json": {"bytes": "1", "sha256": ""}}}',
        "[" * 100_000,
        '{"generation": 2',
        "\xff",
    ],
)
def test_hostile_manifests(run: RunStore, text: str) -> None:
    (run.generation_dir(2) / "manifest.json").write_bytes(text.encode("latin-1"))
    assert "generations/0002/manifest.json" in found(run)
    with pytest.raises(StoreError, match=r"0002/manifest\.json"):
        RunStore.open(run.path).state(2)


@pytest.mark.parametrize("name", ["run.json", "fingerprint.json", "environment.json", "spec.yaml"])
@pytest.mark.parametrize("text", ["", "{", "\xff", "[" * 1_500, "[]", "3"])
def test_hostile_files_at_the_top(run: RunStore, name: str, text: str) -> None:
    (run.path / name).write_bytes(text.encode("latin-1"))
    with pytest.raises(StoreError, match=name):
        RunStore.open(run.path)


def test_a_file_too_large_to_be_json_is_not_read(run: RunStore) -> None:
    with open(run.path / "run.json", "r+b") as file:
        file.truncate(1 << 40)  # sparse
    with pytest.raises(StoreError, match=r"run\.json: larger than"):
        RunStore.open(run.path)


def test_a_pruned_list_does_not_excuse_a_change(run: RunStore) -> None:
    folder = run.generation_dir(1)
    (folder / "pruned.json").write_text('{"files": ["synthetic.arrow"]}')
    (folder / "synthetic.arrow").write_bytes(b"other")
    assert "truncated" in found(run)["generations/0001/synthetic.arrow"]
    (folder / "pruned.json").write_text('{"files": 3}')
    assert "pruned.json" in " ".join(found(run))


def test_only_some_generations_are_looked_at(run: RunStore) -> None:
    (run.generation_dir(1) / "state.json").write_bytes(b"")
    assert run.verify([2, 3]) == []
    assert [problem.file for problem in run.verify([1])] == ["generations/0001/state.json"]


@pytest.mark.parametrize(("field", "value", "said"), [("seed", 2, "seed is 2, "), ("arm", "b", "arm is 'b', ")])
def test_a_changed_run_json_is_named_and_not_what_is_derived_from_it(
    run: RunStore, field: str, value: object, said: str
) -> None:
    path = run.path / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), field: value}))
    assert (problem := found(run)).keys() == {"run.json"}
    assert said + "but spec.yaml says" in problem["run.json"]
    (run.path / "metrics.parquet").unlink()
    assert found(run) == problem  # nor is it mended by making that again
    with pytest.raises(StoreError, match=rf"run\.json: changed by hand\? {said}"):
        RunStore.open(run.path).begin(4)
    assert found(run) == problem
