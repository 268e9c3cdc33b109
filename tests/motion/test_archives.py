from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from ouroloop.errors import DataError, StoreError
from ouroloop.motion.amass import read_amass
from ouroloop.motion.archives import read_clips, read_npz, read_positions, write_npz
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import from_rotation_vector, normalise, rotate, to_rotation_vector
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton

BODY = np.zeros((22, 3))
BODY[:11, 1] = [0.9, 0.8, 0.8, 1, 0.5, 0.5, 1.1, 0.1, 0.1, 1.2, 0]
BODY[11:, 1] = [0, 1.4, 1.3, 1.3, 1.6, 1.35, 1.35, 1.35, 1.35, 1.35, 1.35]
BODY[[1, 4, 7, 10, 13, 16, 18, 20], 0] = [0.1, 0.1, 0.1, 0.1, 0.05, 0.2, 0.45, 0.7]
BODY[[2, 5, 8, 11, 14, 17, 19, 21], 0] = [-0.1, -0.1, -0.1, -0.1, -0.05, -0.2, -0.45, -0.7]
BODY[[10, 11], 2] = 0.12
SKELETON = Skeleton(
    HUMANML3D_NAMES, HUMANML3D_PARENTS, BODY - np.concatenate([BODY[:1], BODY[list(HUMANML3D_PARENTS[1:])]])
)


def motion(frames: int = 5, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    rotations = normalise(np.array([1.0, 0, 0, 0]) + 0.1 * rng.standard_normal((frames, 22, 4)))
    return Motion(SKELETON, rng.normal(0, 0.1, (frames, 3)), rotations, 30, "kick", "a person kicks", "made", "CC0")


def test_our_own_format_is_exact(tmp_path):
    one = motion()
    write_npz(tmp_path / "new" / "kick.npz", one)
    back = read_npz(tmp_path / "new" / "kick.npz")
    np.testing.assert_array_equal(back.rotations, one.rotations)
    np.testing.assert_array_equal(back.positions, one.positions)
    assert back.skeleton == one.skeleton
    for field in ("fps", "name", "caption", "source", "licence"):
        assert getattr(back, field) == getattr(one, field)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"file"):
        write_npz(tmp_path / "file" / "x.npz", one)


def positions_archive(folder, **changes):
    positions = np.stack([BODY + i * np.array([0.01, 0, 0.02]) for i in range(12)])
    arrays = {
        "root": positions[:, 0].astype(np.float32),
        "rel": np.round((positions[:, 1:] - positions[:, :1]) * 1e4).astype(np.int16),
        "rel_scale": np.float32(1e-4),
        "clip_start": np.array([0, 5, 12]),
        "clip": np.array(["a/00", "b/00"]),
        "fps": np.float32(20),
        "joint_names": np.array(HUMANML3D_NAMES),
    } | changes
    np.savez(folder / "clips.npz", allow_pickle=False, **{k: v for k, v in arrays.items() if v is not None})
    rows = [{"clip": "b/00", "captions": ["b walks", "walking"], "source": "here", "licence": "free"}]
    with gzip.open(folder / "clips.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder / "clips.npz", positions


def test_archives_of_positions(tmp_path):
    path, positions = positions_archive(tmp_path)
    first, second = read_positions(path)
    assert (first.name, second.name, first.about, second.fps) == ("a/00", "b/00", {}, 20)
    np.testing.assert_allclose(np.concatenate([first.positions, second.positions]), positions, atol=6e-5)
    _, solved = read_clips(path)
    np.testing.assert_allclose(solved.positions, positions[5:], atol=2e-3)
    assert (solved.caption, solved.source, solved.licence, solved.name) == ("b walks", "here", "free", "b/00")


def rotations_archive(folder, **changes):
    one = motion(6)
    arrays = {
        "root": one.root.astype(np.float32),
        "quat": np.round(one.rotations / 3.051851e-05).astype(np.int16),
        "quat_scale": np.float32(3.051851e-05),
        "offsets": SKELETON.offsets,
        "parents": np.array(HUMANML3D_PARENTS),
        "joint_names": np.array(HUMANML3D_NAMES),
        "clip_start": np.array([0, 2, 6]),
        "clip": np.array(["a", "b/00"]),
        "fps": np.float32(30),
    } | changes
    np.savez(folder / "native.npz", allow_pickle=False, **{k: v for k, v in arrays.items() if v is not None})
    return folder / "native.npz", one


def test_archives_of_rotations(tmp_path):
    positions_archive(tmp_path)  # for its table
    path, one = rotations_archive(tmp_path)
    first, second = read_clips(path)
    np.testing.assert_allclose(np.concatenate([first.positions, second.positions]), one.positions, atol=2e-4)
    assert (len(first), len(second), second.caption, first.caption, second.fps) == (2, 4, "b walks", "", 30)


@pytest.mark.parametrize(
    ("archive", "changes", "message"),
    [
        (positions_archive, {"rel_scale": None}, "no rel_scale; the file has clip, "),
        (positions_archive, {"joint_names": np.array(HUMANML3D_NAMES[::-1])}, "expected .* of the 22 joints"),
        (positions_archive, {"rel": np.zeros((12, 20, 3), np.int16)}, r"rel \(12, 20, 3\)"),
        (positions_archive, {"clip_start": np.array([0, 5, 11])}, "the last 11, for 12 and 12 frames"),
        (positions_archive, {"clip_start": np.array([0, 12, 12])}, "expected rising starts"),
        (positions_archive, {"clip_start": np.array([0, 12])}, "2 clips with 2 starts"),
        (positions_archive, {"rel": np.zeros((12, 21, 3), np.int16)}, "clip 'a/00': .*zero-length bone"),
        (rotations_archive, {"quat_scale": np.float32(np.nan)}, "clip 'a': .*rotations is NaN"),
        (rotations_archive, {"quat": np.zeros((6, 22, 4), np.int16)}, "clip 'a': .*'pelvis' in frame 0 is zero"),
        (rotations_archive, {"parents": np.arange(22)}, "native.npz: skeleton: joint 0"),
        (rotations_archive, {"offsets": SKELETON.offsets * 100}, "longest way .* look like 'cm', not metres"),
        (rotations_archive, {"root": np.zeros((5, 3))}, "for 5 and 6 frames"),
    ],
)
def test_faulty_archives_are_refused(tmp_path, archive, changes, message):
    path, _ = archive(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        list(read_clips(path))


@pytest.mark.parametrize("archive", [positions_archive, rotations_archive])
def test_a_broken_clip_is_told_and_the_others_are_read(tmp_path, archive):
    path, _ = archive(tmp_path)
    with np.load(path) as arrays:
        root = arrays["root"]
    root[1] = np.nan  # in the first clip of two
    path, _ = archive(tmp_path, root=root)
    told = []
    assert [m.name for m in read_clips(path, lambda *fault: told.append(fault))] == ["b/00"]
    ((where, name, error),) = told
    assert (where, name[0]) == (path, "a")
    assert f"clip {name!r}" in str(error)
    assert "NaN" in str(error)


def test_damaged_files_are_refused(tmp_path):
    write_npz(tmp_path / "whole.npz", motion())
    content = (tmp_path / "whole.npz").read_bytes()
    for name, data in (("cut", content[: len(content) // 2]), ("empty", b""), ("text", b"hello")):
        path = tmp_path / f"{name}.npz"
        path.write_bytes(data)
        with pytest.raises(DataError, match=f"{name}.npz: not a readable npz file"):
            read_npz(path)
    with pytest.raises(DataError, match=r"not a readable npz file"):
        read_npz(tmp_path / "missing.npz")
    np.savez(tmp_path / "objects.npz", root=np.array([{}, None], dtype=object))
    with pytest.raises(DataError, match=r"not a readable npz file .*allow_pickle"):
        read_npz(tmp_path / "objects.npz")
    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    with pytest.raises(DataError, match=r"no joint_names, .*; the file has a"):
        read_npz(tmp_path / "other.npz")
    np.save(tmp_path / "single.npy", np.zeros(3))
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    with pytest.raises(DataError, match=r"a single array"):
        read_npz(tmp_path / "single.npz")


def test_a_damaged_table_is_located(tmp_path):
    path, _ = positions_archive(tmp_path)
    with gzip.open(tmp_path / "clips.jsonl.gz", "wt") as file:
        file.write('{"clip": "a/00"}\n[1]\n')
    with pytest.raises(DataError, match=r"clips.jsonl.gz:2: expected an object"):
        list(read_clips(path))
    (tmp_path / "clips.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match=r"clips.jsonl.gz:1: cannot be read"):
        list(read_clips(path))


def test_the_shared_archive(shared_motion, shared_clips):
    clips = list(read_positions(shared_motion / "motion_j22.npz"))
    assert len(clips) == len(shared_clips.positions) == 1047
    for clip, positions, about in zip(clips, shared_clips.positions, shared_clips.about, strict=True):
        assert clip.about == about
        np.testing.assert_allclose(clip.positions, positions, atol=1e-6)


# --- AMASS: rotations, z up, of a body whose joints the file does not tell ---


def amass_file(folder, **changes):
    one = motion(7)
    poses = np.zeros((7, 156))
    poses[:, :66] = to_rotation_vector(one.rotations).reshape(7, 66)
    up = from_rotation_vector(np.array([np.pi / 2, 0, 0]))  # y up to z up
    world = Motion(SKELETON, rotate(up, one.root), one.rotations, 120)
    poses[:, :3] = to_rotation_vector(turned(up, one.rotations[:, 0]))
    arrays = {"poses": poses, "trans": world.root, "mocap_framerate": np.float64(120), "betas": np.zeros(16)} | changes
    np.savez(folder / "amass.npz", allow_pickle=False, **{k: v for k, v in arrays.items() if v is not None})
    return folder / "amass.npz", one


def turned(a, b):
    from ouroloop.motion.rotations import multiply

    return multiply(a, b)


def test_amass_with_a_skeleton(tmp_path):
    path, one = amass_file(tmp_path)
    back = read_amass(path, SKELETON)
    np.testing.assert_allclose(back.positions, one.positions, atol=1e-9)
    assert (back.fps, back.name) == (120, "amass")
    at_rest = replace(SKELETON, offsets=SKELETON.offsets + np.eye(22, 1) * [0, -0.2, 0])
    np.testing.assert_allclose(read_amass(path, at_rest).root, one.root + np.array([0, 0, 0.2]), atol=1e-9)


def test_amass_with_joints(tmp_path):
    positions = np.repeat(BODY[None], 7, axis=0)
    path, _ = amass_file(tmp_path, joints=np.stack([positions[..., 0], -positions[..., 2], positions[..., 1]], axis=-1))
    np.testing.assert_allclose(read_amass(path).positions, positions, atol=2e-3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "Where the joints are is for the SMPL body model to say"),
        ({"mocap_framerate": None}, "no mocap_framerate or mocap_frame_rate; give fps"),
        ({"trans": None}, "'trans': None"),
        ({"poses": np.zeros((7, 60))}, r"'poses': \(7, 60\)"),
        ({"trans": np.zeros((6, 3))}, r"'trans': \(6, 3\)"),
        ({"joints": np.zeros((7, 5, 3))}, r"joints \(7, 5, 3\)"),
    ],
)
def test_faulty_amass_files_are_refused(tmp_path, changes, message):
    path, _ = amass_file(tmp_path, **changes)
    with pytest.raises(DataError, match=message):
        read_amass(path)
    with pytest.raises(DataError, match=r"a skeleton of 1 joints|expected"):
        read_amass(amass_file(tmp_path)[0], Skeleton(("a",), (-1,), np.ones((1, 3))))
