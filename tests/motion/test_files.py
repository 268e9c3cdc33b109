from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.motion.files import read_folder, read_motion, read_motions, write_motion
from ouroloop.motion.humanml3d import encode
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import IDENTITY
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton
from ouroloop.motion.units import UnitsWarning

JOINTS = np.zeros((22, 3))
JOINTS[:11, 1] = [0.9, 0.8, 0.8, 1, 0.5, 0.5, 1.1, 0.1, 0.1, 1.2, 0]
JOINTS[11:, 1] = [0, 1.4, 1.3, 1.3, 1.6, 1.35, 1.35, 1.35, 1.35, 1.35, 1.35]
JOINTS[[1, 4, 7, 10, 13, 16, 18, 20], 0] = [0.1, 0.1, 0.1, 0.1, 0.05, 0.2, 0.45, 0.7]
JOINTS[[2, 5, 8, 11, 14, 17, 19, 21], 0] = [-0.1, -0.1, -0.1, -0.1, -0.05, -0.2, -0.45, -0.7]
JOINTS[[10, 11], 2] = 0.12
CLIP = np.repeat(JOINTS[None], 9, axis=0) + np.linspace(0, 0.3, 9)[:, None, None] * [0.0, 0, 1]


def motion(**changes) -> Motion:
    offsets = JOINTS.copy()
    offsets[1:] -= JOINTS[list(HUMANML3D_PARENTS[1:])]
    skeleton = Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, offsets)
    made = Motion(skeleton, CLIP[:, 0], np.tile(IDENTITY, (9, 22, 1)), 20, "walk", "a person walks")
    return replace(made, **changes)


@pytest.mark.parametrize("ending", [".bvh", ".npz", ".BVH"])
def test_what_is_written_is_read(tmp_path, ending):
    path = tmp_path / f"walk{ending}"
    write_motion(path, motion())
    back = read_motion(path, units="cm")
    at = [back.skeleton.index(name) for name in HUMANML3D_NAMES]
    np.testing.assert_allclose(back.positions[:, at], CLIP, atol=1e-6)
    assert (back.fps, back.name) == (20, "walk")


def test_arrays_of_joints_and_of_features(tmp_path):
    np.save(tmp_path / "joints.npy", CLIP * 100)
    with pytest.warns(UnitsWarning, match=r"'cm'"):
        np.testing.assert_allclose(read_motion(tmp_path / "joints.npy").positions, CLIP, atol=2e-3)
    np.save(tmp_path / "z.npy", np.stack([CLIP[..., 0], -CLIP[..., 2], CLIP[..., 1]], axis=-1))
    upright = read_motion(tmp_path / "z.npy", units="m", up="z", fps=30)
    np.testing.assert_allclose(upright.positions, CLIP, atol=2e-3)
    assert upright.fps == 30
    np.save(tmp_path / "features.npy", encode(CLIP))
    assert read_motion(tmp_path / "features.npy").positions.shape == (8, 22, 3)


def test_folders_in_order_with_captions(tmp_path):
    write_motion(tmp_path / "b" / "two.npz", motion(name="two", caption=""))
    (tmp_path / "b" / "two.txt").write_text("someone strolls#someone/NOUN#0#0\nmore\n")
    write_motion(tmp_path / "a.npz", motion(name="one"))
    (tmp_path / "LICENSE").write_text("free")
    found = list(read_folder(tmp_path))
    assert [(m.name, m.caption) for m in found] == [("one", "a person walks"), ("two", "someone strolls")]


def test_faults_in_a_folder_stop_or_are_told(tmp_path):
    write_motion(tmp_path / "a.npz", motion(name="one"))
    (tmp_path / "b.bvh").write_text("broken")
    with pytest.raises(DataError, match=r"b.bvh:1: cannot make sense"):
        list(read_folder(tmp_path))
    told = []
    assert [m.name for m in read_folder(tmp_path, on_error=lambda *fault: told.append(fault))] == ["one"]
    ((path, name, _),) = told
    assert (path.name, name) == ("b.bvh", "b")


def test_a_humanml3d_folder(tmp_path):
    for name in ("new_joint_vecs", "texts"):
        (tmp_path / name).mkdir()
    np.save(tmp_path / "new_joint_vecs" / "000001.npy", encode(CLIP))
    (tmp_path / "texts" / "000001.txt").write_text("a man walks#a/DET#0.0#0.0\n")
    (found,) = read_folder(tmp_path)
    assert (found.name, found.caption, found.fps) == ("000001", "a man walks", 20)
    np.testing.assert_allclose(found.positions - found.positions[:1, :1], CLIP[:8] - CLIP[:1, :1], atol=2e-3)
    np.save(tmp_path / "new_joint_vecs" / "000000.npy", np.full((5, 263), np.nan))
    np.save(tmp_path / "new_joint_vecs" / "000002.npy", np.zeros((5, 263)))  # bones of no length
    with pytest.raises(DataError, match=r"000000.npy: NaN or infinite, first in frame 0"):
        list(read_folder(tmp_path))
    told = []
    assert [m.name for m in read_folder(tmp_path, on_error=lambda path, *_: told.append(path.name))] == ["000001"]
    assert told == ["000000.npy", "000002.npy"]


def test_faults(tmp_path):
    with pytest.raises(DataError, match=r"no such file"):
        read_motion(tmp_path / "missing.bvh")
    with pytest.raises(DataError, match=r"no such folder"):
        list(read_folder(tmp_path / "missing"))
    with pytest.raises(DataError, match=r"no motions; looked for files that end in .bvh"):
        list(read_folder(tmp_path))
    (tmp_path / "x.fbx").write_text("binary")
    with pytest.raises(DataError, match=r"no motion format ends in '.fbx'; known are .bvh, .amc"):
        read_motion(tmp_path / "x.fbx")
    with pytest.raises(DataError, match=r"cannot write '.fbx'"):
        write_motion(tmp_path / "y.fbx", motion())
    np.save(tmp_path / "x.npy", np.zeros((3, 4, 5)))
    with pytest.raises(DataError, match=r"got \(3, 4, 5\); expected features"):
        read_motion(tmp_path / "x.npy")
    (tmp_path / "y.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"y.npy: not a readable npy"):
        read_motion(tmp_path / "y.npy")


def test_every_original_file_is_read(originals):
    refused = []
    with pytest.warns(UnitsWarning):
        found = list(read_folder(originals, on_error=lambda path, _, error: refused.append((path.name, str(error)))))
    assert len(found) == 21
    assert all(name.endswith(".amc") and "say which with asf" in message for name, message in refused)
    assert {round(m.fps) for m in found} == {16, 30, 60, 120}


def test_shared_archives_hold_many(shared_motion):
    with pytest.raises(DataError, match=r"holds 42 motions, expected one; use read_motions"):
        read_motion(shared_motion / "native_deepmimic.npz")
    with gzip.open(shared_motion / "clips.jsonl.gz", "rt") as lines:
        captions = {row["clip"]: row["captions"][0] for row in map(json.loads, lines)}
    for m in read_motions(shared_motion / "native_deepmimic.npz"):
        assert m.caption == captions[m.name]
