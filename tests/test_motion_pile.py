"""Folders of motions corrected from the command line: files out, a table, a page, a word for what is unreadable."""

import shlex

import numpy as np
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from ouroloop.cli import app
from ouroloop.motion.examples import standing, walking
from ouroloop.motion.files import read_motion, write_motion
from ouroloop.motion.humanml3d import encode
from ouroloop.motion.inverse_kinematics import motion_from_positions
from ouroloop.motion.mapping import to_humanml3d
from ouroloop.motion.skeleton import HUMANML3D_NAMES
from ouroloop.motion_record import Drawn, Shown
from ouroloop.motion_rows import Row, severity
from ouroloop.report.corrections import corrections_of
from ouroloop.report.load import load
from ouroloop.reproduce import correct_command
from ouroloop.run_files import read_spec
from ouroloop.samples import Verdict

RUNNER = CliRunner()


def call(*arguments):
    result = RUNNER.invoke(app, ["correct", *map(str, arguments)])
    return result.exit_code, result.output, result.exception


@pytest.fixture
def folder(tmp_path):
    """A walk and a person sunk into the floor by 8 cm, as files of two kinds, with a file that is no motion."""
    (tmp_path / "in").mkdir()
    up = np.array([0.0, 0.0, 0.0])
    walk = motion_from_positions(walking(40) + up, 20.0, name="walk")
    sunk = motion_from_positions(standing(30, height=-0.08), 30.0, name="<b>sunk</b>")
    write_motion(tmp_path / "in" / "walk.npz", walk)
    write_motion(tmp_path / "in" / "sunk.bvh", sunk)
    (tmp_path / "in" / "broken.bvh").write_text("HIERARCHY\nnothing of the kind\n")
    return tmp_path


def rows(out):
    return {row["name"]: row for row in pq.read_table(out / "corrections.parquet").to_pylist()}


def test_a_folder_is_put_on_the_floor(folder):
    code, text, error = call(folder / "in", "--corrector", "refloor", "-o", folder / "out", "--units", "cm")
    assert code == 0, (text, error)
    assert shlex.join(["--corrector", "refloor", "--units", "cm"]) in correct_command(read_spec(folder / "out" / "run"))
    found = rows(folder / "out")
    assert found["sunk"]["penetration_before"] > 70.0
    assert found["sunk"]["penetration_after"] < 10.0
    assert found["broken"]["verdict"] == "failed"
    assert "broken.bvh" in found["broken"]["message"]
    assert not found["broken"]["file"]
    after = read_motion(folder / "out" / "motions" / found["sunk"]["file"], units="cm")
    assert (len(after), round(after.fps)) == (30, 30)
    assert to_humanml3d(after)[:, :, 1].min() > -0.01
    page = (folder / "out" / "report.html").read_text()
    assert "<b>sunk" not in page
    assert (folder / "out" / "run" / "metrics.parquet").is_file()


def test_one_broken_motion_of_a_data_set_does_not_stop_the_others(tmp_path):
    features = encode(walking(20))
    (tmp_path / "in" / "new_joint_vecs").mkdir(parents=True)
    np.save(tmp_path / "in" / "new_joint_vecs" / "a.npy", np.full_like(features, np.nan))
    np.save(tmp_path / "in" / "new_joint_vecs" / "b.npy", features)
    code, text, error = call(tmp_path / "in", "--corrector", "refloor", "-o", tmp_path / "out")
    assert code == 0, (text, error)
    found = rows(tmp_path / "out")
    assert found["a"]["verdict"] == "failed"
    assert "a.npy: NaN or infinite, first in frame 0" in found["a"]["message"]
    assert found["b"]["file"] == "b.bvh"


def test_one_broken_clip_of_an_archive_does_not_stop_the_others(tmp_path):
    clip, names = walking(20), ("broken", "fine")
    root, rel = np.concatenate([clip[:, 0], clip[:, 0]]), np.concatenate([clip[:, 1:] - clip[:, :1]] * 2)
    root[3] = np.nan
    arrays = {"root": root, "rel": np.round(rel * 1e4).astype(np.int16), "rel_scale": 1e-4, "fps": 20.0}
    about = {"clip": np.array(names), "clip_start": np.array([0, 20, 40]), "joint_names": np.array(HUMANML3D_NAMES)}
    np.savez(tmp_path / "clips.npz", allow_pickle=False, **arrays, **about)
    code, text, error = call(tmp_path / "clips.npz", "--corrector", "refloor", "-o", tmp_path / "out")
    assert code == 0, (text, error)
    found = rows(tmp_path / "out")
    assert (found["broken"]["verdict"], found["broken"]["source"]) == ("failed", "clips.npz")
    assert "clip 'broken'" in found["broken"]["message"]
    assert found["fine"]["file"] == "fine.bvh"


def test_files_of_any_name_are_corrected(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("tänzer (2).bvh", "CON.bvh", "a.b.bvh"):
        write_motion(tmp_path / "in" / name, motion_from_positions(walking(20), 20.0, name="walk"))
    code, text, error = call(tmp_path / "in", "--corrector", "refloor", "-o", tmp_path / "out", "--units", "cm")
    assert code == 0, (text, error)
    written = sorted(path.name for path in (tmp_path / "out" / "motions").iterdir())
    assert written == ["a.b.bvh", "motion_CON.bvh", "t_nzer _2.bvh"]
    (tmp_path / "file").write_text("")
    code, _, error = call(tmp_path / "in", "--corrector", "refloor", "-o", tmp_path / "file")
    assert code == 1
    assert "is a file; choose a folder" in str(error)


def test_strength_0_changes_nothing(folder):
    code, text, error = call(
        folder / "in", "--corrector", "smooth", "-o", folder / "out", "--correction-strength", 0, "--format", "npz"
    )
    assert code == 0, (text, error)
    assert "--format npz --correction-strength 0" in correct_command(read_spec(folder / "out" / "run"))
    before = read_motion(folder / "in" / "walk.npz")
    after = read_motion(folder / "out" / "motions" / "walk.npz")
    np.testing.assert_array_equal(after.rotations, before.rotations)
    assert rows(folder / "out")["walk"]["verdict"] == "kept"


def test_physics_says_how_well_it_tracked(folder):
    pytest.importorskip("mujoco", reason="needs MuJoCo: pip install ouroloop[motion]")
    code, text, error = call(folder / "in", "--corrector", "physics", "-o", folder / "out", "--set", "recovery=keep")
    assert code == 0, (text, error)
    found = rows(folder / "out")
    for name in ("walk", "sunk"):
        assert found[name]["verdict"] in ("corrected", "unchanged")
        assert 0.0 < found[name]["tracking_error"] < 60.0
        assert found[name]["penetration_after"] < 1.0
    assert "penetration:" in text


def test_the_page_shows_what_went_worst_first_and_why(folder):
    pytest.importorskip("mujoco", reason="needs MuJoCo: pip install ouroloop[motion]")
    leap = walking(40)
    leap[20:] += np.array([0.0, 0.0, 6.0])  # a lost one: nobody follows a leap of 6 m in one frame
    write_motion(folder / "in" / "leap.npz", motion_from_positions(leap, 20.0, name="leap"))
    weak = ["--set", "residual_force=0.05", "--set", "residual_lift=0.05", "--set", "residual_torque=10"]
    code, text, error = call(
        folder / "in", "--corrector", "physics", "-o", folder / "out", *weak, "--set", "recovery=blend"
    )
    assert code == 0, (text, error)
    (arm,), _ = corrections_of(load([folder / "out" / "run"]))
    assert arm.order == "those that went worst first"
    assert arm.pairs[0].verdict == "lost, blended"
    assert "lost by the simulation after" in arm.pairs[0].reason
    assert "leap" in arm.pairs[0].body
    assert arm.pairs[0].body.count("<svg") == 2
    errors = {name: row["tracking_error"] for name, row in rows(folder / "out").items() if row["verdict"] != "failed"}
    assert max(errors, key=errors.__getitem__) == "leap"
    (unreadable,) = arm.not_drawn
    assert (unreadable["name"], unreadable["outcome"]) == ("broken", "failed")
    assert "cannot make sense" in unreadable["reason"]
    assert "25 % failed" in arm.words
    page = (folder / "out" / "report.html").read_text()
    assert "lost by the simulation after" in page
    assert "cannot make sense" in page
    assert "those that went worst first" in page
    call(folder / "in", "--corrector", "physics", "-o", folder / "dropped", *weak, "--set", "recovery=drop")
    (arm,), _ = corrections_of(load([folder / "dropped" / "run"]))
    assert arm.pairs[0].verdict == "lost, dropped"
    assert arm.pairs[0].body.count("<svg") == 1  # there is nothing after it


def test_no_more_motions_are_kept_than_are_shown_and_those_are_the_worst():
    shown = Shown()
    nothing = np.zeros((2, 263), np.float32)
    for number in np.random.default_rng(0).permutation(200):
        row = Row(name=str(number), verdict="corrected", tracking_error=float(number))
        if number in (3, 5):  # lost ones come first, whatever their error
            row.verdict, row.fell = ("blended", True) if number == 3 else ("dropped", True)
        if shown.wants(severity(row)):
            shown.add(Drawn(severity(row), row, nothing, nothing, "", Verdict.CHANGED))
    names = [int(motion.row.name) for motion in shown.drawn]
    assert names == [5, 3, *range(199, 199 - len(names) + 2, -1)]
    assert len(names) == 48


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--corrector", "refloor"], "nowhere"),
        (["in", "--corrector", "refloor", "--format", "fbx"], "must be bvh or npz"),
        (["in", "--corrector", "refloor", "--on-failure", "cry"], "must be drop or keep_raw"),
        (["in", "--corrector", "contact", "--set", "clearance=-1"], "clearance: must be >= 0"),
        (["in", "--corrector", "nearest_real"], "needs real rows"),
    ],
)
def test_what_cannot_be_done_is_said(folder, arguments, message, monkeypatch):
    monkeypatch.chdir(folder)
    code, text, error = call(*arguments, "-o", folder / "out")
    assert code == 1
    assert message in f"{text}{error}"


def test_a_folder_in_use_is_left_alone(folder):
    (folder / "out").mkdir()
    (folder / "out" / "mine.txt").write_text("precious")
    code, _, error = call(folder / "in", "--corrector", "refloor", "-o", folder / "out")
    assert (code, "is not empty" in str(error)) == (1, True)
    assert [p.name for p in (folder / "out").iterdir()] == ["mine.txt"]


def test_motions_are_drawn_side_by_side(folder):
    files = [str(folder / "in" / name) for name in ("walk.npz", "sunk.bvh")]
    for ending, magic in ((".png", b"\x89PNG"), (".gif", b"GIF8")):
        picture = folder / f"pair{ending}"
        result = RUNNER.invoke(app, ["render", *files, "-o", str(picture), "--size", "64", "--units", "cm"])
        assert result.exit_code == 0, (result.output, result.exception)
        assert picture.read_bytes().startswith(magic)
    result = RUNNER.invoke(app, ["render", files[0], "-o", str(folder / "pair.fbx")])
    assert "cannot write" in str(result.exception)
