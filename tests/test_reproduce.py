"""Commands that make results again, and what `resume` says of runs that hold no loop."""

import json
import shlex
import subprocess
import sys

import numpy as np
import pytest
import yaml

from ouroloop.errors import StoreError
from ouroloop.loop import Loop
from ouroloop.pile import correct_pile
from ouroloop.reproduce import check_resumable, correct_command, study_command
from ouroloop.run_files import read_spec
from ouroloop.study import Study, run_study

SWEEP = {
    "name": "sweep",
    "seeds": [0],
    "backend": "vectorised",
    "base": {
        "data": {"kind": "gaussian", "n": 40},
        "generator": "gaussian",
        "regime": {"kind": "replace", "synthetic_ratio": 0.5},
        "generations": 2,
        "metrics": [{"kind": "gaussian_w2", "of": "model"}],
    },
    "arms": [{"name": "none"}],
}
EXPERIMENT = {
    "name": "sweep",
    "seeds": [0],
    "backend": "experiment",
    "base": {"experiment": {"kind": "linear_verifier", "values": [0, 90], "n": 200}},
    "arms": [{"name": "none"}],
}


@pytest.fixture
def pile(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "real rows.npy", rng.normal(size=(200, 2)))
    np.save(tmp_path / "pile.npy", rng.normal(size=(200, 2)) * 3)
    return tmp_path


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_command_of_a_pile_corrects_it_again(pile, monkeypatch):
    monkeypatch.chdir(pile)
    given = {"correction_strength": 2.0, "seed": 3, "overrides": ["quantile=0.5", "action=drop"]}
    source, real = pile / "pile.npy", pile / "real rows.npy"
    correct_pile(source, real=real, corrector="nearest_real", out=pile / "one", on_failure="keep_raw", **given)
    command = shlex.split(correct_command(read_spec(pile / "one" / "run")))
    assert command[:7] == ["ouroloop", "correct", "pile.npy", "--real", "real rows.npy", "--corrector", "nearest_real"]
    assert "--on-failure" in command
    subprocess.run([sys.executable, "-m", "ouroloop.cli", *command[1:], "-o", "two"], check=True, capture_output=True)
    assert np.array_equal(np.load("one/corrected.npy"), np.load("two/corrected.npy"))
    assert read_spec(pile / "one" / "run") == read_spec(pile / "two" / "run")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_command_of_a_pile_names_its_label_column(pile):
    rng = np.random.default_rng(0)
    for name in ("real", "pile"):
        lines = [f"{a},{b},{i % 2}" for i, (a, b) in enumerate(rng.normal(size=(40, 2)))]
        (pile / f"{name}.csv").write_text("\n".join(["a,b,kind", *lines]))
    correct_pile(pile / "pile.csv", real=pile / "real.csv", corrector="identity", out=pile / "out", label="kind")
    assert "--corrector identity --label kind" in correct_command(read_spec(pile / "out" / "run"))


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_pile_is_no_loop_to_fork(pile):
    correct_pile(pile / "pile.npy", real=pile / "real rows.npy", corrector="identity", out=pile / "out")
    command = ["fork", str(pile / "out" / "run"), "--at", "0", "-o", str(pile / "new")]
    result = subprocess.run([sys.executable, "-m", "ouroloop.cli", *command], capture_output=True, text=True)
    assert result.returncode == 1
    assert "holds a corrected pile" in result.stderr
    assert not (pile / "new").exists()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_pile_is_no_loop_to_resume(pile):
    correct_pile(pile / "pile.npy", real=pile / "real rows.npy", corrector="identity", out=pile / "out")
    with pytest.raises(StoreError, match=r"corrected pile.*ouroloop correct pile\.npy --real 'real rows\.npy'"):
        check_resumable(pile / "out" / "run")


@pytest.mark.parametrize(
    ("study", "advice"),
    [
        (SWEEP, "ouroloop study sweep.yaml --set regime.synthetic_ratio=0.25 --set generations=N -o out"),
        (EXPERIMENT, "ouroloop study sweep.yaml --set experiment.n=100 --set FIELD=VALUE -o FOLDER"),
    ],
)
def test_curves_without_generations_are_not_resumed_nor_said_to_be_deletable(study, advice, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(study))
    override = "regime.synthetic_ratio=0.25" if study is SWEEP else "experiment.n=100"
    run_study(Study.read("sweep.yaml", overrides=[override]), tmp_path / "out")
    result = subprocess.run(
        [sys.executable, "-m", "ouroloop.cli", "resume", "out/none/seed-0"], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert result.stderr.startswith("error: out/none/seed-0: holds the curves of an arm and seed of a study")
    assert result.stderr.rstrip().endswith(advice)
    assert "delete" not in result.stderr


def test_a_loop_can_be_resumed(tmp_path):
    Loop("gaussian", np.random.default_rng(0).normal(size=(50, 2)), generations=1, out=tmp_path / "run").run()
    check_resumable(tmp_path / "run")


@pytest.mark.parametrize("source", [None, "digits", {}, {"study": ""}, {"quick": True}])
def test_what_records_no_source_has_no_command(source):
    assert study_command(source) == ""


def test_words_of_a_command_are_quoted():
    source = json.loads('{"study": "my study.yaml", "quick": false, "set": ["name=$(touch x)"]}')
    assert study_command(source) == "ouroloop study 'my study.yaml' --set 'name=$(touch x)'"
