from __future__ import annotations

import json

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.motion.deepmimic import HUMANOID, read_deepmimic


def frame(duration: float = 0.05) -> list[float]:
    values = [duration, 0, 0.9, 0] + [1.0, 0, 0, 0] * 3 + [0] * 28
    for start in (16, 21, 25, 30, 35, 39):  # hips, ankles and shoulders; the angles of knees and elbows stand between
        values[start : start + 4] = [1, 0, 0, 0]
    return values


def file(folder, content):
    path = folder / "walk.txt"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_knees_and_elbows_are_angles_about_z(tmp_path):
    values = [frame(), frame()]
    values[1][20] = -np.pi / 2  # right knee
    motion = read_deepmimic(file(tmp_path, {"Loop": "wrap", "Frames": values}))
    assert (motion.fps, len(motion)) == (pytest.approx(20), 2)
    hip = np.array([0, 0.9, 0.084887])
    knee = hip + np.array([0, -0.421546, 0])
    right = [HUMANOID.index(f"right_{name}") for name in ("hip", "knee", "ankle")]
    np.testing.assert_allclose(motion.positions[0, right], [hip, knee, knee + np.array([0, -0.40987, 0])], atol=1e-12)
    np.testing.assert_allclose(motion.positions[1, right[2]], knee + np.array([-0.40987, 0, 0]), atol=1e-12)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ('{"Loop": "wrap",\n"Frames": [[1, 2', "walk.txt:2: no readable JSON"),
        ([1, 2], "expected an object with a list 'Frames'"),
        ({"Frames": []}, "at least one frame"),
        ({"Frames": [frame(), frame()[:-1]]}, "frame 1 has 43 numbers, expected 44"),
        ({"Frames": [frame(), 3]}, "frame 1 has 0 numbers"),
        ({"Frames": [[*frame()[:-1], "x"]]}, "something that is no number"),
        ({"Frames": [[*frame()[:-1], float("nan")]]}, "frame 0 is NaN"),
        ({"Frames": [frame(0.05), frame(0.02), frame()]}, "one positive duration for all"),
        ({"Frames": [frame(0.0)]}, "one positive duration for all"),
    ],
)
def test_faults(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_deepmimic(file(tmp_path, content))


def test_the_last_frames_duration_does_not_count(tmp_path):
    assert len(read_deepmimic(file(tmp_path, {"Frames": [frame(), frame(), frame(0)]}))) == 3


def test_the_humanoid_is_the_published_character(originals):
    character = json.loads((originals / "deepmimic" / "character_humanoid3d.txt").read_text())
    joints = character["Skeleton"]["Joints"]
    assert tuple(joint["Name"] for joint in joints) == HUMANOID.names
    assert tuple(joint["Parent"] for joint in joints) == HUMANOID.parents
    offsets = [[joint[f"Attach{axis}"] for axis in "XYZ"] for joint in joints]
    np.testing.assert_allclose(HUMANOID.offsets, offsets, atol=1e-9)


def test_original_files(originals):
    paths = sorted((originals / "deepmimic").glob("humanoid3d_*.txt"))
    assert len(paths) == 6
    for path in paths:
        motion = read_deepmimic(path)
        assert abs(motion.positions[..., 1].min()) < 0.15
        assert 15 < motion.fps < 61
