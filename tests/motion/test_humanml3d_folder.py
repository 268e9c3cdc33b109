from __future__ import annotations

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.motion.humanml3d import decode
from ouroloop.motion.humanml3d_folder import Caption, read_captions, read_features, read_humanml3d, read_statistics


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "new_joint_vecs").mkdir()
    (tmp_path / "texts").mkdir()
    for name in ("000001", "M000001", "000007"):
        np.save(tmp_path / "new_joint_vecs" / f"{name}.npy", np.zeros((3, 263), np.float32))
    (tmp_path / "texts" / "000001.txt").write_text(
        "a man kicks.#a/DET man/NOUN kick/VERB#0.0#0.0\nhe stops#he/PRON#1.5#nan\n"
    )
    (tmp_path / "train.txt").write_text("000007\n000001\n000099\n")
    return tmp_path


def test_features_captions_and_splits(folder):
    clips = {clip.name: clip for clip in read_humanml3d(folder)}
    assert list(clips) == ["000001", "000007", "M000001"]
    kick, stop = clips["000001"].captions
    assert kick == Caption("a man kicks.", ("a/DET", "man/NOUN", "kick/VERB"), 0, 0)
    assert (stop.text, stop.start, stop.stop) == ("he stops", 1.5, 0)
    assert clips["000007"].captions == ()
    assert [clip.name for clip in read_humanml3d(folder, "train")] == ["000007", "000001"]


def test_faults(folder):
    with pytest.raises(DataError, match=r"test.txt: cannot be read"):
        list(read_humanml3d(folder, "test"))
    (folder / "val.txt").write_text("000099\n")
    with pytest.raises(DataError, match=r"none of its 1 motions"):
        list(read_humanml3d(folder, "val"))
    with pytest.raises(DataError, match=r"no new_joint_vecs"):
        list(read_humanml3d(folder / "texts"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("#a#0#0", "c.txt:2: expected 'sentence#"),
        ("a man#x#0", "c.txt:2: expected"),
        ("a man#x#0#soon", "no two times"),
    ],
)
def test_faulty_captions(tmp_path, line, message):
    (tmp_path / "c.txt").write_text(f"fine\n{line}\n")
    with pytest.raises(DataError, match=message):
        read_captions(tmp_path / "c.txt")


@pytest.mark.parametrize("array", [np.zeros((3, 262)), np.zeros(263), np.zeros((0, 263)), np.full((2, 263), np.nan)])
def test_faulty_features(tmp_path, array):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match=r"x.npy: (got|NaN)"):
        read_features(tmp_path / "x.npy")


def test_damaged_features(tmp_path):
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY")
    np.save(tmp_path / "o.npy", np.array([None]), allow_pickle=True)
    for name in ("x", "o", "missing"):
        with pytest.raises(DataError, match=f"{name}.npy: not a readable npy"):
            read_features(tmp_path / f"{name}.npy")


def test_statistics(tmp_path):
    np.save(tmp_path / "Mean.npy", np.zeros(263))
    with pytest.raises(DataError, match=r"Std.npy: not a readable"):
        read_statistics(tmp_path)
    np.save(tmp_path / "Std.npy", np.zeros(263))
    with pytest.raises(DataError, match=r"of Std, positive"):
        read_statistics(tmp_path)
    np.save(tmp_path / "Std.npy", np.ones(263))
    mean, std = read_statistics(tmp_path)
    assert (mean.dtype, std.sum()) == (np.float32, 263)


def test_the_published_samples(shared_motion):
    folder = shared_motion / "humanml3d_format"
    captions = read_captions(folder / "example_text.txt")
    assert captions[0].text == "a man kicks something or someone with his left leg."
    assert captions[0].tokens[2] == "kick/VERB"
    mean, std = read_statistics(folder)
    assert mean[3] == pytest.approx(0.9, abs=0.1)  # the root's height
    assert (std > 0).all()
    features = read_features(folder / "new_joint_vecs_012314.npy")
    assert decode(features).shape == (170, 22, 3)
