"""A study's directory: what is refused is left as it was, and what is removed is what the study wrote."""

import hashlib
import json

import numpy as np
import pytest
import yaml

from ouroloop import loop_commands
from ouroloop.errors import PartError, StoreError
from ouroloop.study import Study, run_study
from ouroloop.study_files import remove_study

TOY = {
    "name": "toy",
    "title": "A toy",
    "description": "Refitted three times.",
    "seeds": [0, 1],
    "base": {
        "data": {"kind": "gaussian", "n": 40},
        "generator": "gaussian",
        "regime": {"kind": "replace", "synthetic_ratio": 0.5},
        "generations": 3,
        "metrics": [{"kind": "gaussian_w2", "of": "model"}],
        "evaluation": {"n": 30},
    },
    "arms": [{"name": "none"}, {"name": "real", "role": "control", "set": {"regime": {"kind": "real_only"}}}],
    "checks": [
        {
            "statement": "a real-only Gaussian does not move",
            "left": {"arm": "real", "metric": "gaussian_w2", "at": "last"},
            "relation": "in",
            "right": [0.0, 1.0],
        }
    ],
    "quick": {"seeds": [0], "base": {"generations": 1}},
}


def read(folder, overrides=(), quick=False, **changes):
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump({**TOY, **changes}))
    return Study.read(path, quick=quick, overrides=overrides)


def files(folder):
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("backend", ["local", "vectorised"])
def test_a_refused_study_changes_nothing_and_says_so_in_one_line(tmp_path, backend):
    out = tmp_path / "out"
    run_study(read(tmp_path, backend=backend), out, workers=1)
    before = files(out)
    # the real-only control does not differ; were it run, it would be extended to generation 9
    changed = read(tmp_path, ["regime.synthetic_ratio=0.3", "generations=9"], backend=backend, title="Another")
    with pytest.raises(StoreError) as error:
        run_study(changed, out, workers=1)
    assert str(error.value) == (
        f"{out}: 2 of the {6 if backend == 'local' else 4} runs in it were made with other settings "
        "(regime.synthetic_ratio: got 0.3, stored 0.5); nothing was changed; "
        "give another folder with -o, or start again in this one with --fresh"
    )
    assert files(out) == before
    assert json.loads((out / "study.json").read_text())["checks"][0]["verdict"] == "holds"


def test_another_study_in_the_same_folder_is_refused(tmp_path):
    out = tmp_path / "out"
    run_study(read(tmp_path), out, workers=1)
    before = files(out)
    with pytest.raises(StoreError, match=r"holds the study 'toy', not 'other'; .* -o, .* --fresh"):
        run_study(read(tmp_path, name="other", arms=[{"name": "b"}], checks=[]), out, workers=1)
    assert files(out) == before


def test_changed_data_leave_the_verdicts(tmp_path):
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(60, 2)))
    base = {**TOY["base"], "data": {"kind": "arrays", "path": str(tmp_path / "rows.npy")}, "metrics": ["moments"]}
    check = {**TOY["checks"][0], "left": {"arm": "real", "metric": "trace_ratio", "at": "last"}, "right": [0.5, 2.0]}
    study, out = read(tmp_path, base=base, checks=[check]), tmp_path / "out"
    run_study(study, out, workers=1)
    before = (out / "study.json").read_bytes()
    np.save(tmp_path / "rows.npy", np.random.default_rng(1).normal(size=(60, 2)))
    with pytest.raises(PartError, match="data_sha256"):
        run_study(study, out, workers=1)
    assert (out / "study.json").read_bytes() == before


def test_more_generations_and_seeds_are_no_other_settings(tmp_path):
    out = tmp_path / "out"
    run_study(read(tmp_path, quick=True), out, workers=1)
    assert [r.verdict for r in run_study(read(tmp_path), out, workers=1)] == ["holds"]
    summary = json.loads((out / "study.json").read_text())
    assert (summary["seeds"], summary["source"]["quick"]) == ([0, 1], False)


def test_study_json_records_what_was_read(tmp_path):
    study = read(tmp_path, ["generations=2", "regime.synthetic_ratio=1"], quick=True)
    run_study(study, tmp_path / "out", workers=1)
    summary = json.loads((tmp_path / "out" / "study.json").read_text())
    assert summary["source"] == {
        "study": str(tmp_path / "toy.yaml"),
        "quick": True,
        "set": ["generations=2", "regime.synthetic_ratio=1"],
    }
    assert summary["description"] == (
        "Quick version (seeds [0]; generations 1), changed with --set generations=2 regime.synthetic_ratio=1. "
        "What follows describes the study without these changes. Refitted three times."
    )


def test_a_description_is_led_by_the_changes_where_there_are_any(tmp_path):
    assert read(tmp_path).description == "Refitted three times."
    assert read(tmp_path, quick=True).description.startswith("Quick version (seeds [0]; generations 1). What ")


def test_removing_a_study_leaves_what_is_not_its_own(tmp_path):
    out = tmp_path / "out"
    run_study(read(tmp_path), out, workers=1)
    (out / "notes.txt").write_text("mine")
    remove_study(out)
    assert [p.name for p in out.iterdir()] == ["notes.txt"]
    with pytest.raises(StoreError, match="not a study directory; nothing was removed"):
        remove_study(out)
    run_study(read(tmp_path, name="other"), out, workers=1)


def test_a_study_is_not_written_among_other_things(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match=r"holds other things \(notes\.txt\); give a new or empty folder"):
        loop_commands.study("digits", out=out)
    assert [p.name for p in out.iterdir()] == ["notes.txt"]
    with pytest.raises(StoreError, match=r"notes\.txt: is a file; give a new or empty folder"):
        loop_commands.study("digits", out=out / "notes.txt")
    assert (out / "notes.txt").read_text() == "mine"


def test_the_quick_demo_and_the_whole_one_have_folders_of_their_own(monkeypatch):
    asked = []
    monkeypatch.setattr(
        loop_commands, "study", lambda name, **options: asked.append((str(options["out"]), options["quick"]))
    )
    loop_commands.demo(quick=True)
    loop_commands.demo(quick=False)
    assert asked == [("runs/demo-quick", True), ("runs/demo", False)]
