"""Studies end to end: arms share seeds and generation 0, workers change nothing, statements are checked."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml

from ouroloop.backends.local import Cell, run_cells
from ouroloop.errors import PartError, SpecError
from ouroloop.spec import starting_point
from ouroloop.store import RunStore
from ouroloop.study import Study, run_study, study_names

TOY = {
    "name": "toy",
    "seeds": [0, 1],
    "base": {
        "data": {"kind": "gaussian", "n": 40},
        "generator": "gaussian",
        "regime": {"kind": "replace", "synthetic_ratio": 0.5},
        "generations": 3,
        "metrics": [{"kind": "gaussian_w2", "of": "model"}],
        "evaluation": {"n": 30},
    },
    "arms": [
        {"name": "none"},
        {"name": "ideal", "set": {"corrector": {"kind": "ideal", "correction_strength": 5}}},
        {"name": "real", "role": "control", "set": {"regime": {"kind": "real_only"}}},
    ],
    "checks": [
        {
            "statement": "a real-only Gaussian does not move",
            "left": {"arm": "real", "metric": "gaussian_w2", "at": "last"},
            "relation": "in",
            "right": [0.0, 1.0],
        }
    ],
}


def write(folder: Path, **changes) -> Path:
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump({**TOY, **changes}))
    return path


def values(out: Path) -> dict[str, list]:
    return {
        f"{path.parent.parent.name}/{path.parent.name}": [
            (r["generation"], r["metric"], repr(r["value"]), repr(r["low"])) for r in pq.read_table(path).to_pylist()
        ]
        for path in sorted(out.rglob("metrics.parquet"))
        if ".generation-0" not in path.parts
    }


def test_arms_start_from_the_same_generation_and_only_then_differ(tmp_path):
    results = run_study(Study.read(write(tmp_path)), tmp_path / "out", workers=1)
    assert [r.verdict for r in results] == ["holds"]
    found = values(tmp_path / "out")
    assert len(found) == 6
    zero = {k: [r[2] for r in v if r[:2] == (0, "gaussian_w2")] for k, v in found.items()}
    assert zero["none/seed-0"] == zero["ideal/seed-0"] == zero["real/seed-0"] != zero["none/seed-1"]
    assert found["none/seed-0"] != found["ideal/seed-0"]
    summary = json.loads((tmp_path / "out" / "study.json").read_text())
    assert [a["role"] for a in summary["arms"]] == ["arm", "arm", "control"]


def test_sharing_generation_zero_changes_no_number(tmp_path):
    study = Study.read(write(tmp_path))
    run_study(study, tmp_path / "shared", workers=1)
    cells = [
        Cell(f"{arm.name} {seed}", study.spec(arm, seed).resolved(), tmp_path / "alone" / arm.name / f"seed-{seed}")
        for arm in study.arms
        for seed in study.seeds
    ]
    run_cells(cells, workers=1)
    assert values(tmp_path / "alone") == values(tmp_path / "shared")


def test_arms_that_differ_in_fine_tuning_alone_share_generation_zero():
    study = Study.read("scsc-mnist")
    starts = [starting_point(study.spec(arm, 0).resolved()) for arm in study.arms]
    assert all(start == starts[0] for start in starts)
    other = study.spec(study.arms[0], 0).resolved()
    for option, value in (("first_steps", 3), ("widths", [8, 8, 8]), ("first_learning_rate", 0.1)):
        changed = {**other, "generator": {**other["generator"], option: value}}
        assert starting_point(changed) != starts[0], option
    unset = {**other, "generator": {**other["generator"], "first_steps": None}}
    assert starting_point(unset)["generator"]["steps"] == 47


@pytest.mark.slow
def test_workers_change_no_number_and_report_progress(tmp_path):
    study, events = Study.read(write(tmp_path)), []
    run_study(study, tmp_path / "one", workers=1)
    run_study(study, tmp_path / "two", workers=2, listener=events.append)
    assert values(tmp_path / "one") == values(tmp_path / "two")
    assert {e.cell for e in events} >= {"none, seed 0", "ideal, seed 1", "generation 0, seed 0"}
    assert max(e.generation for e in events) == 3


def test_running_again_resumes_and_adds_nothing(tmp_path):
    study = Study.read(write(tmp_path))
    run_study(study, tmp_path / "out", workers=1)
    before = values(tmp_path / "out")
    events = []
    run_study(study, tmp_path / "out", workers=1, listener=events.append)
    assert values(tmp_path / "out") == before
    assert all(e.generation in (0, 3) for e in events)


def test_one_failing_cell_leaves_the_others_complete(tmp_path):
    study = Study.read(write(tmp_path))
    specs = {arm.name: study.spec(arm, 0).resolved() for arm in study.arms}
    broken = {**specs["none"], "regime": {"kind": "replace", "synthetic_ratio": 0.0}}
    cells = [Cell("bad", broken, tmp_path / "bad"), Cell("good", specs["ideal"], tmp_path / "good")]
    with pytest.raises(
        PartError, match=r"1 of 2 runs did not finish; the others are complete:\n  bad: PartError: generation 1"
    ):
        run_cells(cells, workers=1)
    assert (tmp_path / "good" / "generations" / "0003").is_dir()


def cells_of(tmp_path, generations):
    study = Study.read(write(tmp_path))
    slow = {**study.spec(study.arms[0], 0).resolved(), "generations": generations}
    return [Cell(f"cell {i}", {**slow, "seed": i}, tmp_path / str(i)) for i in range(2)]


def worker_processes():
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {int(c) for c in children if "spawn_main" in Path(f"/proc/{c}/cmdline").read_text()}


@pytest.mark.slow
def test_after_a_killed_worker_every_run_is_finished_all_the_same(tmp_path):
    killed = []

    def kill_once(event):
        if not killed and event.generation >= 2:
            killed.append(event.cell)
            os.kill(min(worker_processes()), signal.SIGKILL)

    run_cells(cells_of(tmp_path, 60), workers=2, listener=kill_once)
    assert killed
    for i in range(2):
        assert RunStore.open(tmp_path / str(i)).generations()[-1] == 60
        assert not RunStore.open(tmp_path / str(i)).verify()


@pytest.mark.slow
def test_a_worker_that_dies_every_time_is_named(tmp_path):
    known = set()

    def kill_always(event):  # at the first sign of life of every new pool
        workers = worker_processes()
        if workers and not workers & known:
            known.update(workers)
            os.kill(min(workers), signal.SIGKILL)

    with pytest.raises(PartError, match="died again and again"):
        run_cells(cells_of(tmp_path, 3000), workers=2, listener=kill_always)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"seeds": []}, "seeds: "),
        ({"seeds": [1, 1]}, "seeds: .*different"),
        ({"arms": [{"name": "../up"}]}, r"arms\.0\.name: .*line"),
        ({"arms": [{"name": "a"}, {"name": "a"}]}, "two have the same name"),
        (
            {"arms": [{"name": "a", "set": {"regime": {"synthetic_ratio": -2}}}]},
            r"arm 'a': regime\.synthetic_ratio: must",
        ),
        ({"nonsense": 1}, "nonsense: is not a known option"),
        ({"checks": [{"statement": "x"}]}, r"checks\.0\.left: is required"),
    ],
)
def test_problems_of_a_study_are_named(tmp_path, changes, match):
    with pytest.raises(SpecError, match=match):
        Study.read(write(tmp_path, **changes))


LINES = """\
name: toy
seeds: [0, 1]
base:
  data: {kind: gaussian, n: 40}
  generator: gaussian
  regime:
    kind: replace
    synthetic_ratio: 0.5
  generations: 3
arms:
  - name: none
  - name: real
    set:
      regime:
        kind: fixed_real
        synthetic_ratio: 0.2
quick:
  base:
    generations: 1
"""


@pytest.mark.parametrize(
    ("old", "new", "options", "expected"),
    [
        ("ratio: 0.5", "ratio: -1", {}, "arm 'none': regime.synthetic_ratio: must be >= 0, got -1, in t.yaml line 8"),
        (
            "ratio: 0.2",
            "ratio: -2",
            {},
            "arm 'real': regime.synthetic_ratio: must be >= 0, got -2, in t.yaml line 16",
        ),
        ("  generator: gaussian\n", "", {}, "arm 'none': generator: is required, in t.yaml line 3"),
        ("generations: 1", "generations: -1", {"quick": True}, "got -1, in t.yaml line 19"),
        ("name: toy", "name: toy", {"overrides": ["regime.synthetic_ratio=-3"]}, "got -3, given with --set"),
        ("[0, 1]", "[0, 0]", {}, "seeds: seeds must be different whole numbers >= 0, got [0, 0], in t.yaml line 2"),
    ],
)
def test_a_problem_has_the_line_of_its_field(tmp_path, old, new, options, expected):
    path = tmp_path / "t.yaml"
    path.write_text(LINES.replace(old, new))
    with pytest.raises(SpecError) as error:
        Study.read(path, **options)
    assert str(error.value).endswith(expected)


def test_a_missing_file_of_real_rows_has_its_line(tmp_path):
    """Before anything is computed: the base's file is there, that of an arm is not."""
    np.save(tmp_path / "there.npy", np.zeros((30, 2)))
    arms = [{"name": "none"}, {"name": "other", "set": {"data": {"path": str(tmp_path / "gone.npy")}}}]
    base = {"data": {"kind": "arrays", "path": str(tmp_path / "there.npy")}, "generator": "gaussian", "generations": 1}
    path = tmp_path / "files.yaml"
    path.write_text(yaml.safe_dump({"name": "files", "seeds": [0], "base": base, "arms": arms}, sort_keys=False))
    (line,) = [i for i, text in enumerate(path.read_text().splitlines(), 1) if "gone.npy" in text]
    Study.read(path)
    with pytest.raises(SpecError) as caught:
        Study.read(path, with_files=True)
    said = f"arm 'other': data.path: {tmp_path / 'gone.npy'}: no such file, in {path.name} line {line}"
    assert str(caught.value) == said
    (tmp_path / "there.npy").unlink()
    with pytest.raises(SpecError) as caught:
        Study.read(path, with_files=True)
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"arm 'none': data.path: {tmp_path / 'there.npy'}: no such file, in ")
    assert second == said


def test_a_problem_of_an_experiment_has_its_line(tmp_path):
    path = tmp_path / "sweep.yaml"
    text = """\
name: sweep
seeds: [0]
backend: experiment
base:
  experiment:
    kind: linear_verifier
    values: [1]
arms:
  - name: one
"""
    path.write_text(text)
    with pytest.raises(SpecError, match=r"arm 'one': experiment\.values: .*, in sweep\.yaml line 7"):
        Study.read(path)
    path.write_text(text.replace("values: [1]", "colour: red"))
    with pytest.raises(SpecError, match=r"experiment\.colour: is not a known option, .*, in sweep\.yaml line 7"):
        Study.read(path)


def test_quick_and_overrides_change_the_base(tmp_path):
    path = write(tmp_path, quick={"seeds": [7], "base": {"generations": 1}})
    assert Study.read(path).seeds == [0, 1]
    quick = Study.read(path, quick=True, overrides=["regime.synthetic_ratio=0.25"])
    assert (quick.seeds, quick.base["generations"], quick.base["regime"]["synthetic_ratio"]) == ([7], 1, 0.25)


def test_unknown_names_list_the_bundled_studies():
    with pytest.raises(SpecError, match=r"bundled studies: .*digits"):
        Study.read("no-such-study")


@pytest.mark.parametrize("name", study_names())
@pytest.mark.parametrize("quick", [False, True])
def test_bundled_studies_are_valid_and_have_a_control(name, quick):
    study = Study.read(name, quick=quick)
    controls = [study.spec(a, study.seeds[0]) for a in study.arms if a.role == "control"]
    assert controls if study.backend == "experiment" else "real_only" in [c.regime["kind"] for c in controls]
    assert study.checks or quick


@pytest.mark.slow
def test_an_interrupted_study_goes_on(tmp_path):
    """SIGINT in the middle of the command line; the second start finishes with the numbers of one start."""
    path = write(tmp_path, base={**TOY["base"], "generations": 40})
    command = [sys.executable, "-m", "ouroloop.cli", "study", str(path), "--workers", "1"]

    def listen():  # a test run in the background of a shell inherits deafness to SIGINT
        signal.signal(signal.SIGINT, signal.default_int_handler)

    process = subprocess.Popen(
        [*command, "-o", str(tmp_path / "cut")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=listen
    )
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob("cut/*/seed-*/generations/0003")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"run the same command again" in errors
    for out in ("cut", "whole"):
        subprocess.run([*command, "-o", str(tmp_path / out)], check=True, capture_output=True)
    assert values(tmp_path / "cut") == values(tmp_path / "whole")


@pytest.mark.slow
def test_workers_end_with_the_process_that_started_them(tmp_path):
    """SIGKILL of the command alone: its workers notice, and the second start finds no run locked."""
    path = write(tmp_path, base={**TOY["base"], "generations": 2000})
    command = [sys.executable, "-m", "ouroloop.cli", "study", str(path), "--workers", "2", "-o", str(tmp_path / "out")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not list(tmp_path.glob("out/*/seed-*/generations/0003")):
        time.sleep(0.02)
    process.kill()
    process.wait(timeout=60)
    deadline = time.monotonic() + 20  # of themselves they would go on for longer
    while (alive := _group_lives(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive
    run = next(tmp_path.glob("out/*/seed-*/generations/0003")).parents[1]
    with RunStore.open(run).lock():
        pass


def _group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
