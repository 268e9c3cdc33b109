from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ouroloop.errors import DataError, MissingExtraError, StoreError
from ouroloop.motion.render import Camera, render

# a body with its arms stretched to the sides
BODY = np.zeros((22, 3))
BODY[:, 1] = [0.95, 0.87, 0.87, 1.07, 0.48, 0.48, 1.2, 0.08, 0.08, 1.3, 0, 0, 1.5, 1.4, 1.4, 1.6, *[1.4] * 6]
BODY[:, 0] = [0, 0.1, -0.1, 0, 0.1, -0.1, 0, 0.1, -0.1, 0, 0.1, -0.1, 0, 0.1, -0.1, 0, 0.2, -0.2, 0.5, -0.5, 0.7, -0.7]


def moving(frames: int) -> np.ndarray:
    motion = np.repeat(BODY[None], frames, axis=0)
    motion[:, :, 2] += 0.1 * np.arange(frames)[:, None]
    motion[:, 20, 1] += 0.05 * np.arange(frames)
    return motion


def coloured(image: Image.Image) -> np.ndarray:
    """Mask of pixels that are clearly neither paper nor floor."""
    return np.asarray(image.convert("L")) < 170


def test_projection_keeps_lengths_across_the_view() -> None:
    camera = Camera(yaw=0.0, pitch=0.0, height_m=2.0)
    seen = camera.project(np.array([[0.5, 1.0, 0.3], [-0.5, 1.5, -2.0]]), np.array([0.0, 1.0, 0.0]), 100)
    np.testing.assert_allclose(seen, [[75, 50, 0.3], [25, 25, -2.0]])
    behind = Camera(yaw=np.pi, pitch=0.0, height_m=2.0).project(np.array([0.5, 1.0, 0.3]), np.array([0, 1.0, 0]), 100)
    np.testing.assert_allclose(behind, [25, 50, -0.3], atol=1e-12)


def test_a_strip_has_a_row_a_motion_and_a_square_a_pose(tmp_path: Path) -> None:
    render([moving(30), moving(12)], tmp_path / "strip.png", size=64, poses=5)
    with Image.open(tmp_path / "strip.png") as image:
        assert image.size == (320, 128)
        ink = coloured(image).reshape(2, 64, 5, 64).sum(axis=(1, 3))
    assert (ink > 15).all(), ink


def test_the_figure_stands_where_it_should(tmp_path: Path) -> None:
    camera = Camera(yaw=0.0, pitch=0.0, height_m=2.2)
    render([BODY[None]], tmp_path / "one.png", size=220, poses=1, camera=camera)
    with Image.open(tmp_path / "one.png") as image:
        rows, columns = np.nonzero(coloured(image))
    lowest, highest = 110 + 95, 110 - 65  # pixels: 1 cm each, the height of 0.95 m in the middle
    assert abs(rows.max() - lowest) < 4
    assert abs(rows.min() - highest) < 10  # the head is a disc
    assert abs(columns.max() - 110 - 70) < 4


def test_a_gif_moves_and_short_motions_rest(tmp_path: Path) -> None:
    render([moving(6), moving(3)], tmp_path / "two.gif", size=48, fps=20, labels=["a", "<b>"])
    with Image.open(tmp_path / "two.gif") as image:
        assert image.size == (96, 48)
        assert getattr(image, "n_frames") == 6  # noqa: B009  not in every image class
        assert image.info["duration"] == 50
        frames = []
        for i in range(6):
            image.seek(i)
            frames.append(np.asarray(image.convert("L")))
    assert (frames[0][:, :48] != frames[5][:, :48]).any()
    np.testing.assert_array_equal(frames[3][:, 48:], frames[5][:, 48:])


def test_an_mp4_is_written_by_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {"frames": 0}

    def write_frames(path: str, size: tuple[int, int], **options: Any) -> Any:
        seen.update(size=size, **options)
        Path(path).write_bytes(b"video")
        while True:
            frame = yield
            assert len(frame) == 3 * size[0] * size[1]
            seen["frames"] += 1

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", SimpleNamespace(write_frames=write_frames))
    render([moving(4)], tmp_path / "a.mp4", size=47)
    assert seen == {"frames": 4, "size": (48, 48), "fps": 20.0, "macro_block_size": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


def test_a_missing_ffmpeg_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtraError, match=r"imageio-ffmpeg.*ouroloop\[video\]"):
        render([moving(2)], tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("motions", "name", "says"),
    [
        ([], "a.png", "0 motions"),
        ([np.zeros((3, 263))], "a.png", r"shape \(3, 263\).*decode features"),
        ([np.full((3, 22, 3), np.nan)], "a.png", "finite"),
        ([moving(2)], "a.avi", "cannot write 'a.avi'"),
    ],
)
def test_bad_input_is_refused(tmp_path: Path, motions: Any, name: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        render(motions, tmp_path / name)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        render([moving(2)], tmp_path / "nowhere/a.png", size=32, poses=2)
