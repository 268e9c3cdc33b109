from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ouroloop.errors import StoreError
from ouroloop.report.load import load

CURVE = {"fid": {"value": np.array([1.0, 2.0, 3.0])}}


def run(make_runs: ModuleType, path: Path, arm: str = "a", seed: int = 0, spec: str = "generations: 2\n") -> Path:
    return make_runs.write_run(path, arm=arm, seed=seed, curves=CURVE, spec=spec)


def test_a_study_gives_arms_in_its_order_with_seeds_sorted(digits: Path) -> None:
    results = load([digits])
    assert [arm.label for arm in results.arms] == ["No correction", "Cluster correction", "Real data only"]
    assert [arm.seeds for arm in results.arms] == [(0, 1, 2)] * 3
    assert [arm.real_only for arm in results.arms] == [False, False, True]
    assert results.real_only is results.arms[2]
    assert results.notes == ()


def test_a_run_an_arm_and_a_parent_folder_are_found_alike(digits: Path) -> None:
    assert [a.name for a in load([digits / "cluster" / "seed-1"]).arms] == ["cluster"]
    assert load([digits / "cluster"]).arms[0].seeds == (0, 1, 2)
    assert len(load([digits.parent]).runs) == 9


def test_the_same_run_given_twice_counts_once(digits: Path) -> None:
    assert len(load([digits, digits / "cluster" / "seed-0"]).runs) == 9


def test_runs_of_one_arm_with_other_seeds_are_joined(make_runs: ModuleType, tmp_path: Path) -> None:
    paths = [run(make_runs, tmp_path / f"r{seed}", seed=seed) for seed in (2, 0, 1)]
    (arm,) = load(paths).arms
    assert arm.seeds == (0, 1, 2)


@pytest.mark.parametrize(("seed", "spec"), [(0, "generations: 2\n"), (1, "generations: 2\nregime: {name: replace}\n")])
def test_same_arm_name_with_the_same_seed_or_another_spec_is_two_arms(
    make_runs: ModuleType, tmp_path: Path, seed: int, spec: str
) -> None:
    paths = [run(make_runs, tmp_path / "old"), run(make_runs, tmp_path / "new", seed=seed, spec=spec)]
    assert [arm.label for arm in load(paths).arms] == ["a (old)", "a (new)"]


def test_one_arm_name_in_several_arm_folders_is_named_after_these(make_runs: ModuleType, tmp_path: Path) -> None:
    for folder in ("replace", "accumulate"):
        for seed in (0, 1):
            run(make_runs, tmp_path / "two" / folder / f"seed-{seed}", arm="main", seed=seed)
    arms = load([tmp_path / "two"]).arms
    assert [(arm.label, arm.seeds) for arm in arms] == [("main (accumulate)", (0, 1)), ("main (replace)", (0, 1))]


def test_the_same_study_from_two_places_is_named_after_both(make_runs: ModuleType, tmp_path: Path) -> None:
    for place in ("old", "new"):
        for arm in ("a", "b"):
            run(make_runs, tmp_path / place / arm / "seed-0", arm=arm)
    labels = [arm.label for arm in load([tmp_path / "old", tmp_path / "new"]).arms]
    assert labels == ["a (old)", "a (new)", "b (old)", "b (new)"]
    together = [arm.label for arm in load([tmp_path]).arms]
    assert together == ["a (new/a)", "a (old/a)", "b (new/b)", "b (old/b)"]


def test_a_metrics_file_with_several_arms_and_seeds_is_split(make_runs: ModuleType, tmp_path: Path) -> None:
    path = run(make_runs, tmp_path / "all")
    tables = [make_runs.metric_rows(arm, seed, CURVE) for arm in ("x", "y") for seed in (0, 7)]
    pq.write_table(pa.concat_tables(tables), path / "metrics.parquet")
    assert [(arm.name, arm.seeds) for arm in load([path]).arms] == [("x", (0, 7)), ("y", (0, 7))]


def test_a_generation_written_twice_counts_once_with_its_last_value(make_runs: ModuleType, tmp_path: Path) -> None:
    path = run(make_runs, tmp_path / "r")
    again = {"fid": {"value": np.array([9.0]), "generation": np.array([1])}}
    tables = [make_runs.metric_rows("a", 0, CURVE), make_runs.metric_rows("a", 0, again)]
    pq.write_table(pa.concat_tables(tables), path / "metrics.parquet")
    np.testing.assert_array_equal(load([path]).runs[0].tracks["fid"].value, [1.0, 9.0, 3.0])


def test_what_is_missing_or_unfinished_is_said(make_runs: ModuleType, tmp_path: Path) -> None:
    path = run(make_runs, tmp_path / "r", spec="loop: {generations: 10}\n")
    (path / "environment.json").unlink()
    notes = "\n".join(load([path]).notes)
    assert "unfinished: generation 2 of 10" in notes
    assert "environment.json is missing" in notes
    assert "no generation folder is left" in notes


def test_equal_notes_of_some_seeds_are_joined(make_runs: ModuleType, digits: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(digits, tmp_path / "digits")
    for seed in (0, 2):
        (copy / "cluster" / f"seed-{seed}" / "spec.yaml").unlink()
    assert load([copy]).notes == ("Cluster correction, seeds 0, 2: spec.yaml is missing",)


def test_names_come_from_the_folders_where_the_files_do_not_say(tmp_path: Path) -> None:
    (tmp_path / "my_arm" / "seed-5" / "generations" / "0000").mkdir(parents=True)
    (tmp_path / "my_arm" / "seed-5" / "generations" / ".tmp-0001").mkdir()
    (arm,) = load([tmp_path / "my_arm" / "seed-5"]).arms
    assert (arm.name, arm.label, arm.seeds, arm.last_generation) == ("my_arm", "my arm", (5,), 0)


def test_a_run_without_an_arm_goes_by_its_name(make_runs: ModuleType, tmp_path: Path) -> None:
    curves = {"fid": {"value": np.arange(3.0)}}
    make_runs.write_run(tmp_path / "a", arm="", seed=0, curves=curves, spec="name: my loop\narm: ''\n")
    make_runs.write_run(tmp_path / "b", arm="", seed=0, curves=curves, spec="{}\n")
    labels = [arm.label for arm in load([tmp_path / "a", tmp_path / "b"]).arms]
    assert labels == ["my loop", "b"]


def test_arm_and_seed_of_a_run_that_measured_nothing_yet_come_from_run_json(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "run.json").write_text('{"arm": "mine", "seed": 4}')
    (arm,) = load([tmp_path / "r"]).arms
    assert (arm.name, arm.seeds) == ("mine", (4,))


@pytest.mark.parametrize(
    ("given", "message"),
    [("nowhere", "no such directory"), ("empty", "holds no run")],
)
def test_paths_without_runs_are_refused_by_name(tmp_path: Path, given: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match=f"{given}: {message}"):
        load([tmp_path / given])


def test_no_path_is_refused() -> None:
    with pytest.raises(StoreError, match="nothing to report on"):
        load([])


@pytest.mark.parametrize("name", ["metrics.parquet", "spec.yaml", "environment.json", "forecasts.json"])
def test_a_broken_file_is_named(make_runs: ModuleType, tmp_path: Path, name: str) -> None:
    path = run(make_runs, tmp_path / "r")
    (path / name).write_text('{"unclosed": [')
    with pytest.raises(StoreError, match=name.replace(".", r"\.")):
        load([path])


@pytest.mark.parametrize("content", ['{"metric": "fid"}', "[1]", '[{"metric": "fid", "values": ["x"]}]'])
def test_forecasts_of_another_shape_are_refused(make_runs: ModuleType, tmp_path: Path, content: str) -> None:
    path = run(make_runs, tmp_path / "r")
    (path / "forecasts.json").write_text(content)
    with pytest.raises(StoreError, match=r"forecasts\.json"):
        load([path])


def test_forecast_values_may_be_null(make_runs: ModuleType, tmp_path: Path) -> None:
    path = run(make_runs, tmp_path / "r")
    (path / "forecasts.json").write_text(json.dumps([{"metric": "fid", "values": [None, 1.5]}]))
    np.testing.assert_array_equal(load([path]).runs[0].forecasts[0].values, [np.nan, 1.5])


def test_metrics_without_the_needed_columns_are_refused(make_runs: ModuleType, tmp_path: Path) -> None:
    path = run(make_runs, tmp_path / "r")
    pq.write_table(pa.table({"value": [1.0]}), path / "metrics.parquet")
    with pytest.raises(StoreError, match="no column generation, metric"):
        load([path])


def test_notes_that_hold_for_every_arm_are_said_once(make_runs: ModuleType, tmp_path: Path) -> None:
    paths = [run(make_runs, tmp_path / arm, arm=arm) for arm in ("a", "b", "c")]
    assert load(paths).notes == ("every arm: no generation folder is left: no samples can be shown",)
    assert load(paths[:1]).notes == ("a: no generation folder is left: no samples can be shown",)
