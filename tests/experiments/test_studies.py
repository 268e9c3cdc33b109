"""Studies of experiments end to end: what is written, resumed, checked and shown."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from ouroloop import registry
from ouroloop.citations import bibtex_for
from ouroloop.errors import DataError, PartError, SpecError, StoreError
from ouroloop.estimation import estimate_runs
from ouroloop.experiments.ridge_classifier import RidgeClassifier
from ouroloop.forecasting import forecasts_of
from ouroloop.report import difference_table, summary_table, write_figures, write_report
from ouroloop.store import RunStore
from ouroloop.study import Study, run_study, study_names

TOY = {
    "name": "toy",
    "backend": "experiment",
    "seeds": [0, 3],
    "base": {
        "experiment": {
            "kind": "ridge_classifier",
            "values": [0.0, 0.5, 0.7],
            "n_synthetic": 60,
            "dimension": 5,
            "replicas": 2,
        }
    },
    "arms": [
        {"name": "plain", "label": "no verifier", "role": "control"},
        {"name": "oracle", "set": {"experiment": {"keep_wrong": 0.0}}},
    ],
    "checks": [
        {
            "statement": "an oracle is better than nothing",
            "left": {"arm": "oracle", "metric": "accuracy", "at": [0.7, 0.7]},
            "relation": ">",
            "right": {"arm": "plain", "metric": "accuracy", "at": [0.7, 0.7]},
        },
        {
            "statement": "a false one: wrong labels do no harm",
            "left": {"arm": "plain", "metric": "accuracy", "at": [0.7, 0.7]},
            "relation": ">",
            "right": 0.5,
        },
        {
            "statement": "near the formula",
            "left": {"arm": "oracle", "metric": "accuracy", "at": "all"},
            "relation": "near",
            "right": {"arm": "oracle", "metric": "accuracy", "forecast": "corrected formula", "at": "all"},
            "tolerance": 0.2,
        },
        {
            "statement": "a false one: at the formula",
            "left": {"arm": "oracle", "metric": "accuracy", "at": "all"},
            "relation": "near",
            "right": {"arm": "oracle", "metric": "accuracy", "forecast": "corrected formula", "at": "all"},
            "tolerance": 1e-9,
        },
    ],
}


def read(folder: Path, **changes) -> Study:
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump({**TOY, **changes}))
    return Study.read(path)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    study = read(folder)
    return study, folder / "out", run_study(study, folder / "out")


def values(out: Path) -> dict[str, list]:
    return {
        f"{path.parent.parent.name}/{path.parent.name}": pq.read_table(
            path, columns=["generation", "metric", "value"]
        ).to_pylist()
        for path in sorted(out.rglob("metrics.parquet"))
    }


def test_true_statements_hold_and_false_ones_fail(done):
    assert [r.verdict for r in done[2]] == ["holds", "fails", "holds", "fails"]
    assert "accuracy of plain (label_noise 0.7) > 0.5" in done[2][1].expected
    assert "accuracy, forecast 'corrected formula' of oracle (all)" in done[2][2].expected


def test_runs_say_what_their_positions_are(done):
    _, out, _ = done
    store = RunStore.open(out / "oracle" / "seed-3")
    assert store.spec["axis"] == {"name": "label_noise", "values": [0.0, 0.5, 0.7]}
    assert store.spec["generations"] == 2
    assert store.spec["seed"] == 3
    assert not store.verify()
    rows = store.metric_rows()
    assert [r["generation"] for r in rows] == [0, 1, 2]
    laws = {law["label"]: law["values"] for law in json.loads((out / "oracle/seed-3/forecasts.json").read_text())}
    assert [r["forecast"] for r in rows] == laws["corrected formula"]


def test_a_seed_does_not_depend_on_the_others(done, tmp_path):
    study, out, _ = done
    run_study(study.model_copy(update={"seeds": [3]}), tmp_path)
    assert values(tmp_path)["oracle/seed-3"] == values(out)["oracle/seed-3"]


def test_what_is_complete_is_not_run_again(done, monkeypatch):
    study, out, results = done
    before, events, ran = values(out), [], []
    run = RidgeClassifier.run
    monkeypatch.setattr(RidgeClassifier, "run", lambda self, keys: ran.append(self) or run(self, keys))
    assert run_study(study, out, listener=events.append) == results
    assert not ran
    assert sum(e.generation + 1 for e in events if e.generation == e.last) == 2 + 2 * 6
    (out / "oracle" / "seed-0" / "metrics.parquet").unlink()
    run_study(study, out)
    assert len(ran) == 1
    assert ran[0].keep_wrong == 0.0
    assert values(out) == before


def test_progress_is_told_point_by_point(tmp_path):
    events = []
    run_study(read(tmp_path), tmp_path / "out", listener=events.append)
    assert [e.generation for e in events if e.cell == "plain"] == [-1, 1, 3, 4, 5]  # -1: nothing was done before


def test_another_axis_in_the_same_place_is_refused(done, tmp_path):
    _, out, _ = done
    base = {"experiment": {**TOY["base"]["experiment"], "values": [0.0, 0.1, 0.2]}}
    with pytest.raises(StoreError, match=r"axis\.values|experiment\.values"):
        run_study(read(tmp_path, base=base), out)


def test_the_report_names_the_axis_and_its_values(done, tmp_path):
    _, out, _ = done
    page = write_report([out], tmp_path / "page.html").read_text()
    assert '"axis":{"title":"label noise","texts":["0","0.5","0.7"]}' in page
    assert "at label noise 0.7" in page
    assert "Label noise from 0 to 0.7." in page
    assert ">label noise</text>" in page
    assert ">0.5</text>" in page
    assert ">generation</text>" not in page
    assert "No generation folder" not in page
    assert {path.name for path in write_figures([out], tmp_path / "figures")} == {"accuracy.png", "accuracy.pdf"}


def test_tables_name_the_axis(done):
    from rich.console import Console

    console = Console(width=200, record=True, file=io.StringIO())
    console.print(summary_table([done[1]]))
    console.print(difference_table([done[1]]))
    text = console.export_text()
    assert "label noise 0.7" in text
    assert "last common label noise" in text


def test_every_experiment_says_what_to_cite():
    for kind in registry.names("experiments"):
        assert "arxiv.org" in bibtex_for([{"experiment": {"kind": kind}}]), kind


def test_runs_over_different_axes_are_not_shown_together(done, tmp_path):
    base = {"experiment": {**TOY["base"]["experiment"], "over": "n_synthetic", "values": [10, 100, 1000]}}
    run_study(read(tmp_path, base=base, checks=[]), tmp_path / "other")
    with pytest.raises(StoreError, match=r"label_noise .* and n_synthetic"):
        write_report([done[1], tmp_path / "other"], tmp_path / "page.html")


def test_a_sweep_has_no_contraction_to_estimate(done):
    with pytest.raises(DataError, match="label_noise"):
        list(estimate_runs([done[1]]))


def test_forecasts_need_no_run():
    laws = forecasts_of("rmt-phase")
    assert len(laws["oracle"]) == 2
    assert len(laws["oracle"][0].values) == 11


@pytest.mark.parametrize(
    ("experiment", "match"),
    [
        ({"kind": "no-such"}, r"experiment\.kind: must be one of: .*ridge_classifier"),
        ({"kind": "ridge_classifier", "noise": 1}, r"experiment\.noise: is not a known option"),
        ({"kind": "ridge_classifier", "values": [0.0, 2.0]}, r"values: label_noise must be <= 1, got 2"),
        ({"kind": "ridge_classifier", "values": [0.5, 0.1]}, r"values: label_noise needs .* rise"),
        ({"kind": "ridge_classifier", "values": [0.5]}, "at least 2"),
        ({"kind": "ridge_classifier", "over": "n_synthetic", "values": [1.5, 2]}, "must be a whole number"),
        ({"kind": "ridge_classifier", "dimension": 1, "displacement": 1}, "displacement"),
        (None, "needs a 'kind'"),
    ],
)
def test_problems_of_an_experiment_are_named(tmp_path, experiment, match):
    with pytest.raises(SpecError, match=match):
        read(tmp_path, base={"experiment": experiment}, arms=[{"name": "a"}])


def test_options_are_overridden_by_name(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text(yaml.safe_dump(TOY))
    study = Study.read(path, overrides=["experiment.n_synthetic=7", "experiment.values=[0, 1]"])
    spec = study.spec(study.arms[0], 0)
    assert spec.experiment["n_synthetic"] == 7
    assert spec.axis.values == (0.0, 1.0)
    assert spec.generations == 1


def test_curves_of_another_length_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(RidgeClassifier, "run", lambda self, keys: {"accuracy": np.zeros((2, 4))})
    with pytest.raises(PartError, match=r"accuracy: expected shape \(2, 3\), got \(2, 4\)"):
        run_study(read(tmp_path), tmp_path / "out")


QUICK = [name for name in study_names() if Study.read(name).backend == "experiment"]


@pytest.mark.parametrize("name", QUICK)
def test_a_small_version_of_every_bundled_study_holds(name, tmp_path):
    results = run_study(Study.read(name, quick=True), tmp_path)
    assert results
    assert {r.statement: r.verdict for r in results} == {r.statement: "holds" for r in results}
