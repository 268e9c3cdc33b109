from __future__ import annotations

import gzip
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ouroloop.datasets.motion_clips import Clip
from ouroloop.datasets.motions import Motions, mirrored, mirrored_caption
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.motion.bvh import write_bvh
from ouroloop.motion.humanml3d import decode, encode
from ouroloop.motion.inverse_kinematics import motion_from_positions

_FILE = Path(__file__).with_name("motion_folders.py")
_SPEC = importlib.util.spec_from_file_location("motion_folders", _FILE)
assert _SPEC is not None
assert _SPEC.loader is not None
folders = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(folders)

SHARED = Path(__file__).parents[3] / "shared/data/motion"


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders.write_archive(tmp_path_factory.mktemp("data") / "motion")


def load(folder: Path, **options: Any) -> Any:
    return Motions(path=str(folder), **options).load(key=Key(0))


def test_rows_are_the_features_of_the_clips(archive: Path) -> None:
    data = load(archive, frames=60)
    assert data.real.x.shape == (5, 60, 263)  # the first clip is too short
    assert data.real.x.dtype == np.float32
    assert data.real["length"].dtype == np.int32
    assert data.real.data_columns == ("x", "length", "caption")
    for x, length, caption in zip(data.real.x, data.real["length"], data.real["caption"], strict=True):
        i = int(caption.rsplit(" ", 1)[1])
        assert length == 38 + 3 * i
        expected = encode(folders.waving(39 + 3 * i, side=20 + i % 2, speed=0.1 + 0.02 * i))
        np.testing.assert_allclose(x[:length, :4], expected[:, :4], atol=1e-3)  # positions are kept to 0.1 mm
        np.testing.assert_allclose(x[:length, 4:67], expected[:, 4:67], atol=1e-3)
        assert not x[length:].any()


def test_long_clips_are_cut(archive: Path) -> None:
    data = load(archive, frames=45)
    assert data.real.x.shape[1] == 45
    assert data.real["length"].max() == 45


def test_held_out_rows_are_the_validation_split(archive: Path) -> None:
    data = load(archive)
    assert sorted(int(c.rsplit(" ", 1)[1]) for c in data.held_out["caption"]) == [6, 7, 8]
    assert len(set(data.real.id) | set(data.held_out.id)) == 8
    assert load(archive, held_out_split=None).held_out is None


def test_subsets_are_nested_and_the_same_for_every_seed(archive: Path) -> None:
    small, large = (load(archive, subset=n).real["caption"].tolist() for n in (2, 4))
    assert large[:2] == small
    again = Motions(path=str(archive), subset=2).load(key=Key(9)).real
    assert again["caption"].tolist() == small


def test_sources(archive: Path) -> None:
    data = load(archive, sources=("one",))
    assert all(int(c.rsplit(" ", 1)[1]) % 3 for c in data.real["caption"])
    with pytest.raises(DataError, match=r"motions\.sources: no clips of four in .*; there are: one, two"):
        load(archive, sources=("four",))


def test_mirrored_copies_wave_the_other_hand(archive: Path) -> None:
    data = load(archive, mirror=True, subset=3)
    assert len(data.real) == 6
    for row in range(3):
        a, b = (decode(data.real.x[i, : data.real["length"][row]]) for i in (row, row + 3))
        raised_a, raised_b = (int(p[:, [20, 21], 1].max(axis=0).argmax()) for p in (a, b))
        assert raised_a != raised_b
        words = ("left", "right")
        assert words[raised_a] in data.real["caption"][row]
        assert words[raised_b] in data.real["caption"][row + 3]


def test_a_clip_mirrored_twice_is_itself() -> None:
    clip = Clip("c", "s", "train", "turns left", 49, lambda: folders.waving(50))
    twice = mirrored(mirrored([clip]))[0]
    np.testing.assert_allclose(twice.read(), clip.read(), atol=1e-6)
    assert twice.caption == clip.caption
    assert mirrored_caption("Leftover rights: LEFT, anticlockwise") == "Leftover rights: Right, clockwise"


def test_fresh_rows_are_in_neither_part_and_never_twice(archive: Path) -> None:
    data = load(archive, subset=2)  # three clips and their mirror images are left
    known = set(data.real.id) | set(data.held_out.id)
    drawn = [data.fresh(2, key=Key(1, ("generation", t, "fresh"))) for t in (1, 2, 3)]
    ids = np.concatenate([rows.id for rows in drawn])
    assert len(set(ids)) == 6
    assert not known & set(ids)
    assert drawn[0].data_columns == data.real.data_columns
    with pytest.raises(DataError, match="reserve"):
        data.fresh(2, key=Key(1, ("generation", 4, "fresh")))


def test_a_reserve_may_be_used_again(archive: Path) -> None:
    data = load(archive, subset=2, repeat_reserve=True)
    ids = {t: tuple(data.fresh(2, key=Key(1, ("generation", t, "fresh"))).id) for t in range(1, 10)}
    for turn in range(3):
        assert len({i for t in range(1, 4) for i in ids[3 * turn + t]}) == 6
    assert len(set(ids.values())) > 3
    with pytest.raises(DataError, match="reserve"):
        data.fresh(7, key=Key(1))


def test_features_may_be_learnt_from_the_whole_training_split(archive: Path) -> None:
    data = load(archive, subset=2)
    assert data.background_fn is not None
    background = data.background_fn()
    assert background["caption"].tolist()[:2] == data.real["caption"].tolist()
    assert sorted(background["caption"]) == sorted(load(archive).real["caption"])
    assert load(archive).background_fn is None


def test_without_a_reserve_there_are_no_fresh_rows(archive: Path) -> None:
    assert not load(archive).has_fresh


def test_the_folder_is_found_by_the_environment(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUROLOOP_DATA", str(archive.parent))
    assert len(Motions().load(key=Key(0)).real) == 5
    monkeypatch.setenv("OUROLOOP_DATA", str(archive))
    assert len(Motions().load(key=Key(0)).real) == 5


def test_absent_data_say_where_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OUROLOOP_DATA", raising=False)
    with pytest.raises(DataError, match=r"OUROLOOP_DATA names no folder.*HumanML3D.*data\.path"):
        Motions().load(key=Key(0))
    with pytest.raises(DataError, match=r"motions\.path: no folder .*nowhere"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"subset": 6}, "subset: 6 clips asked for, but split 'train' .* has 5 of at least 40 frames"),
        ({"split": "test"}, "no clips .* in split 'test' .*; splits there: train, val"),
        ({"min_frames": 100}, "splits there: none"),
    ],
)
def test_too_much_is_asked_for(archive: Path, options: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        load(archive, **options)


def test_damaged_archives_name_file_and_field(tmp_path: Path) -> None:
    folder = folders.write_archive(tmp_path / "motion")
    table = folder / "clips.jsonl.gz"
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"clips\.jsonl\.gz:\d+: cannot be read"):
        load(folder)
    with gzip.open(table, "wt") as file:
        file.write('{"clip": "another"}\n' * 9)
    with pytest.raises(DataError, match=r"clips\.jsonl\.gz: nothing on clip 'clip 0'"):
        load(folder)
    table.unlink()
    with pytest.raises(DataError, match=r"clips\.jsonl\.gz: nothing on clip .* it belongs beside it"):
        load(folder)
    table.write_bytes(whole)
    (folder / "motion_j22.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"motion_j22\.npz: not a readable npz"):
        load(folder)


def test_a_humanml3d_folder(tmp_path: Path) -> None:
    folder = folders.write_humanml3d(tmp_path / "HumanML3D")
    data = load(folder)
    rows = dict(zip(data.real["caption"].tolist(), data.real["length"].tolist(), strict=True))
    assert rows == {"a man waves": 80, "he walks left": 81, "he turns right": 50}  # the last is about a part
    assert data.held_out["caption"].tolist() == ["he walks"]
    row = data.real["caption"].tolist().index("he turns right")
    whole = np.load(folder / "new_joint_vecs" / "M00003.npy")
    np.testing.assert_array_equal(data.real.x[row, :50], whole[10:60])
    plain = load(folder, sources=("HumanML3D",), mirror=True)
    assert sorted(plain.real["caption"]) == ["a man waves", "a man waves", "he walks left", "he walks right"]
    (folder / "texts" / "000001.txt").unlink()
    with pytest.raises(DataError, match=r"000001\.txt: missing; it holds the captions"):
        load(folder)


def test_a_folder_of_motion_files(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(3):
        motion = motion_from_positions(folders.waving(121), 40.0)  # twice the frames a second that features have
        write_bvh(folder / f"wave_{i}.bvh", motion)
    (folder / "wave_1.txt").write_text("a person waves\n")
    data = load(folder, units="cm")
    assert len(data.real) == 2
    assert len(data.held_out) == 1
    both = [*data.real["caption"], *data.held_out["caption"]]
    assert sorted(both) == ["a person waves", "wave 0", "wave 2"]
    assert set(data.real["length"].tolist()) == {60}
    joints = decode(data.real.x[0, :60])
    np.testing.assert_allclose(np.ptp(joints[:, 20, 1]), np.ptp(folders.waving(121)[:120:2, 20, 1]), atol=0.02)


@pytest.mark.skipif(not (SHARED / "motion_j22.npz").exists(), reason="no motions in ../shared/data/motion")
def test_the_shared_archive() -> None:
    data = load(SHARED, subset=64)
    assert data.real.x.shape == (64, 196, 263)
    assert len(data.held_out) > 100
    heights = decode(data.real.x, data.real["length"])[:, 0, 15, 1]  # of the heads in the first frame
    assert 0.8 < np.median(heights) < 1.9
    assert len(data.fresh(64, key=Key(0, ("generation", 15, "target")))) == 64
