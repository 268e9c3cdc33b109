"""The motion player's data and the strips of stick figures."""

from __future__ import annotations

import base64
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ouroloop.motion.humanml3d import decode, encode
from ouroloop.report import motions, write_report
from ouroloop.report.grids import gallery_of
from ouroloop.report.load import load
from ouroloop.report.motions import player_of
from ouroloop.report.strips import is_motion, joints_of, lengths_of, strip_svg


@pytest.fixture(scope="module")
def study(make_motions: ModuleType, make_runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_motions.motion_study(tmp_path_factory.mktemp("report") / "motions", make_runs)


def unpacked(track: dict) -> np.ndarray:
    return np.frombuffer(base64.b64decode(track["data"]), "<i2").reshape(track["frames"], 22, 3) / 1000


def test_motions_are_told_from_pictures() -> None:
    assert is_motion(np.zeros((3, 20, 263), np.float32))
    assert not is_motion(np.zeros((3, 28, 28), np.float32))
    assert not is_motion(np.zeros((0, 20, 263), np.float32))


def test_lengths_come_from_the_column_or_from_the_zeros() -> None:
    x = np.ones((3, 10, 263), np.float32)
    x[0, 4:] = 0
    x[2] = 0
    assert lengths_of(x, None).tolist() == [4, 10, 1]
    assert lengths_of(x, np.array([3, 99, 0], np.int32)).tolist() == [3, 10, 1]


def test_the_player_shows_the_same_captions_in_all_arms(study: Path, make_motions: ModuleType) -> None:
    player = player_of(load([study]))
    assert player is not None
    view = player.content["views"][0]
    assert [c["label"] for c in view["columns"]] == ["real", "none", "physics", "real only"]
    assert view["generations"] == [0, 1, 2]
    assert sorted(view["clips"]) == sorted(make_motions.CAPTIONS)
    tracks = player.content["tracks"]
    for clip, caption in enumerate(view["clips"]):
        row = make_motions.CAPTIONS.index(caption)
        expected = make_motions.rows(0.0, 0)
        joints = decode(expected["x"][row, : expected["length"][row]])
        step = round(20 / player.content["fps"])
        for column in (0, 3):  # the real motions, and the arm without noise
            for generation in range(3):
                shown = unpacked(tracks[view["tracks"][column][generation][clip]])
                np.testing.assert_allclose(shown, joints[::step], atol=6e-4)


def test_corrections_are_shown_before_and_after(study: Path, make_motions: ModuleType) -> None:
    player = player_of(load([study]))
    assert player is not None
    (view,) = [v for v in player.content["views"] if v["overlay"]]
    assert view["label"].startswith("physics")
    assert view["generations"] == [2]
    assert view["clips"][0][0] == "a person walks (changed, moved 0)"
    step = round(20 / player.content["fps"])
    for column, noise in ((0, 0.02), (1, 0.004)):
        rows = make_motions.rows(noise, 7)
        shown = unpacked(player.content["tracks"][view["tracks"][column][0][0]])
        np.testing.assert_allclose(shown, decode(rows["x"][0, : rows["length"][0]])[::step], atol=6e-4)


def test_a_large_study_stays_small(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = player_of(load([study]))
    monkeypatch.setattr(motions, "MOST_BYTES", 60_000)
    small = player_of(load([study]))
    assert whole is not None
    assert small is not None
    sizes = [sum(len(t["data"]) for t in p.content["tracks"]) for p in (whole, small)]
    assert sizes[1] < sizes[0] / 3
    assert small.content["fps"] < 20


def test_pages_without_motions_have_no_player(digits: Path) -> None:
    assert player_of(load([digits])) is None


def test_the_page_holds_player_strips_and_no_raw_caption(study: Path, tmp_path: Path) -> None:
    page = write_report([study], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "playMotions(data.motions)" in page
    assert "<b>runs" not in page
    assert "&lt;b&gt;runs" in page  # below a strip
    assert "\\u003cb\\u003eruns" in page  # in the player's data
    gallery = gallery_of(load([study]))
    assert gallery is not None
    assert gallery.panels[0].first.body.count('class="strip') == 2
    assert page.count("before</title>") == 6


def test_a_strip_stands_on_its_floor(make_motions: ModuleType) -> None:
    svg = strip_svg(joints_of(encode(make_motions.walk(60))), "c0", "walk <1>")
    assert "walk &lt;1&gt;" in svg
    heights = [int(y) for y in re.findall(r"[ML]-?\d+ (-?\d+)", "".join(re.findall(r'limbs[^>]* d="([^"]*)"', svg)))]
    assert max(heights) == pytest.approx(118, abs=2)
    assert min(heights) == pytest.approx(118 - 60 * 1.57, abs=3)


def test_what_is_not_finite_is_drawn_all_the_same() -> None:
    x = np.full((5, 263), np.nan, np.float32)
    x[2] = np.inf
    assert np.isfinite(joints_of(x)).all()
