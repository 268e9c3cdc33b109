from __future__ import annotations

import json
import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ouroloop.report.load import load
from ouroloop.report.provenance import citations, commands, differing, environment_of, files_of, flattened, specs_of


def test_nested_content_is_flattened_to_dotted_names() -> None:
    content = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": True}, 3]}
    assert flattened(content) == {"a.b": "1", "a.c": "1, 2", "d.0.e": "True", "d.1": "3"}


def test_only_the_fields_that_differ_between_arms_are_listed(digits: Path) -> None:
    assert differing(load([digits])) == [
        ("regime.name", ["fixed_real", "fixed_real", "real_only"]),
        ("corrector.name", ["identity", "cluster", "identity"]),
    ]


def test_the_recorded_command_comes_before_the_study_and_the_spec(make_runs: ModuleType, tmp_path: Path) -> None:
    curves = {"fid": {"value": np.ones(1)}}
    path = make_runs.write_run(tmp_path / "r", arm="a", seed=0, curves=curves, spec="seed: 0\n")
    assert commands(load([path])) == ["ouroloop run r/spec.yaml"]
    (path / "study.json").write_text('{"name": "mine"}')
    assert commands(load([path])) == ["ouroloop study mine"]
    (path / "environment.json").write_text('{"argv": ["ouroloop", "run", "x.yaml"]}')
    assert commands(load([path])) == ["ouroloop run x.yaml"]


def test_the_command_of_a_study_has_its_file_size_and_overrides(make_runs: ModuleType, tmp_path: Path) -> None:
    curves = {"fid": {"value": np.ones(1)}}
    make_runs.write_run(tmp_path / "s" / "a" / "seed-0", arm="a", seed=0, curves=curves, spec="seed: 0\n")
    make_runs.write_run(tmp_path / "alone", arm="b", seed=0, curves=curves, spec="seed: 0\n")
    source = {"study": "mini.yaml", "quick": True, "set": ["regime.synthetic_ratio=0.3", "name=a b"]}
    (tmp_path / "s" / "study.json").write_text(json.dumps({"name": "mini", "source": source}))
    study = "ouroloop study mini.yaml --quick --set regime.synthetic_ratio=0.3 --set 'name=a b'"
    assert commands(load([tmp_path / "s"])) == [study]
    both = commands(load([tmp_path / "s", tmp_path / "alone"]))
    assert both[0] == study
    assert both[1].endswith("alone/spec.yaml")
    assert len(both) == 2


PILE = """\
name: pile.npy
seed: 4
regime: {kind: pile}
generator: {kind: pile}
data: {kind: files, path: real.npy}
corrector: {kind: nearest_real, quantile: 0.5, radius: null, correction_strength: .inf}
on_failure: drop
"""


@pytest.mark.parametrize(
    ("spec", "run", "expected"),
    [
        (
            PILE,
            {},
            [
                "ouroloop correct pile.npy --real real.npy --corrector nearest_real --seed 4 "
                "--set quantile=0.5 --set radius=null",
                "# of a version that did not record --label; of motions --units, --fps and --format",
            ],
        ),
        (
            "seed: 0\ngenerator: {kind: object, object: Mine}\n",
            {},
            ["# r: made in Python with objects of its own (generator); no command makes it again"],
        ),
        (
            "seed: 0\n",
            {"forked_from": {"run": "first\nrm -r x", "at": 3}},
            ["# r: forked from the run 'first rm -r x' at generation 3; from there on its spec.yaml"],
        ),
        (
            "seed: 0\nexperiment: {kind: coin}\n",
            {},
            ["# r: an arm and seed of a study, which makes it again as a whole"],
        ),
    ],
)
def test_no_command_is_named_that_makes_something_else(
    make_runs: ModuleType, tmp_path: Path, spec: str, run: dict[str, object], expected: list[str]
) -> None:
    path = make_runs.write_run(tmp_path / "r", arm="a", seed=0, curves={"fid": {"value": np.ones(1)}}, spec=spec)
    described = {"format": 1, "arm": "a", "seed": 0, "anchor": "", **run}
    files = {name: [""] for name in ("spec.yaml", "fingerprint.json", "environment.json")}
    (path / "run.json").write_text(json.dumps({**described, "files": files}))
    assert commands(load([path])) == expected


def test_the_environment_names_what_is_not_the_same_everywhere(digits: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(digits, tmp_path / "digits")
    path = copy / "cluster" / "seed-1" / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "cpus": 64}))
    entries, varying = environment_of(load([copy]))
    assert ("packages.numpy", "2.4.6") in entries
    assert varying == ["cpus"]


def test_citations_name_version_paper_and_forecasts_once(gaussian: Path) -> None:
    assert citations(load([gaussian])) == [
        "Ouroloop: run, correct, measure and forecast self-consuming training loops, version 0.1.0.",
        "Gillman et al. 2024, Section 5.",
        "Forecast: closed form, eq. 7",
        "Forecast: Gillman et al. 2024, Theorem 4.3",
        "BibTeX of every method used: ouroloop cite gaussian",
    ]


def test_files_are_relative_and_counted(digits: Path) -> None:
    rows, more = files_of(load([digits]))
    paths = [row.path for row in rows]
    assert "digits/study.json" in paths
    assert "digits/cluster/seed-0/generations/" in paths
    assert not any(path.startswith("/") for path in paths)
    assert more == 6
    assert [s.label for s in specs_of(load([digits]))] == ["No correction", "Cluster correction", "Real data only"]
