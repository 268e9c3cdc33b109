from __future__ import annotations

import shutil
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ouroloop.errors import StoreError
from ouroloop.report import grids, previews
from ouroloop.report.grids import gallery_of, rows_table, texts_list
from ouroloop.report.load import load
from ouroloop.report.previews import Preview, kind_of, plan_of, read_preview


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (np.zeros((3, 8, 8)), "image"),
        (np.zeros((3, 64)), "image"),
        (np.zeros((3, 2)), "points"),
        (np.zeros(3), "values"),
        (np.zeros((3, 5)), "rows"),
        (np.array(["a", "b"]), "text"),
    ],
)
def test_kinds(x: np.ndarray, kind: str) -> None:
    assert kind_of(Preview({"x": x})) == kind


def test_every_seed_and_generation_has_a_frame_and_the_last_is_shown(digits: Path) -> None:
    gallery = gallery_of(load([digits]))
    assert gallery is not None
    assert gallery.generations == tuple(range(11))
    assert gallery.seeds == (0, 1, 2)
    for panel in gallery.panels:
        assert {(f.seed, f.generation) for f in panel.frames} == {(s, g) for s in range(3) for g in range(11)}
        assert (panel.first.seed, panel.first.generation) == (0, 10)
        assert panel.first.note == "100 samples"


def test_rows_are_ordered_by_label(make_runs: ModuleType, tmp_path: Path) -> None:
    make_runs.write_arrow(tmp_path / "p.arrow", {"x": np.array([[1.0], [2.0], [3.0]]), "label": np.array([2, 0, 2])})
    preview = read_preview(tmp_path / "p.arrow")
    assert preview is not None
    assert preview.x.ravel().tolist() == [2.0, 1.0, 3.0]


def test_pruned_previews_are_left_out_and_a_run_without_any_is_named(digits: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(digits, tmp_path / "digits")
    shutil.rmtree(copy / "cluster" / "seed-0" / "generations" / "0005")
    for seed in range(3):
        shutil.rmtree(copy / "real_only" / f"seed-{seed}" / "generations")
    gallery = gallery_of(load([copy]))
    assert gallery is not None
    assert [panel.label for panel in gallery.panels] == ["No correction", "Cluster correction"]
    assert not any(f.generation == 5 and f.seed == 0 for f in gallery.panels[1].frames)
    assert any("Real data only: no preview" in note for note in gallery.notes)


def test_no_preview_at_all_is_none(make_runs: ModuleType, tmp_path: Path) -> None:
    root = make_runs.digits_study(tmp_path / "d", generations=1, seeds=(0,), keep_previews=False)
    assert gallery_of(load([root])) is None


def test_a_truncated_preview_is_named(digits: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(digits, tmp_path / "digits")
    path = copy / "cluster" / "seed-0" / "generations" / "0003" / "preview.arrow"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match=r"0003/preview\.arrow"):
        gallery_of(load([copy]))


def test_many_frames_are_bounded_with_the_first_seed_in_full(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "MOST_FRAMES", 60)
    results = load([digits])
    plan = plan_of(results)
    counts = {p: [len(plan.shown(p, run)) for run in runs] for p, runs in plan.runs.items()}
    assert counts == {0: [11, 5], 1: [11, 5], 2: [11, 5]}
    assert plan.shown(0, plan.runs[0][1]) == [0, 2, 5, 8, 10]


def test_generations_are_bounded(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "_TRADES", ((4, 1),))
    gallery = gallery_of(load([digits]))
    assert gallery is not None
    assert gallery.generations == (0, 3, 7, 10)
    assert any("7 generations with a preview left out" in note for note in gallery.notes)


def test_pictures_are_bounded_in_bytes(digits: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "MOST_IMAGE_BYTES", 120_000)
    gallery = gallery_of(load([digits]))
    assert gallery is not None
    size = sum(len(frame.body) for panel in gallery.panels for frame in panel.frames)
    assert size < 120_000 * 1.25  # the estimate is taken from one frame, and there is a tag around each
    assert int(gallery.panels[0].first.note.split()[0]) < 100


def test_large_pictures_lose_generations_before_they_become_too_few(
    digits: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grids, "_TRADES", ((60, 100), (5, 64), (2, 1)))
    monkeypatch.setattr(grids, "MOST_IMAGE_BYTES", 200_000)
    gallery = gallery_of(load([digits]))
    assert gallery is not None
    assert len(gallery.generations) == 5
    assert int(gallery.panels[0].first.note.split()[0]) >= 64


def test_points_share_one_reference(gaussian: Path) -> None:
    gallery = gallery_of(load([gaussian]))
    assert gallery is not None
    assert str(gallery.shared).count('id="reference-points"') == 1
    assert all('href="#reference-points"' in frame.body for panel in gallery.panels for frame in panel.frames)


def test_nan_in_pictures_is_said(make_runs: ModuleType, tmp_path: Path) -> None:
    x = np.random.default_rng(0).uniform(size=(4, 8, 8))
    x[1, 0, 0] = np.nan
    make_runs.write_run(
        tmp_path / "r", arm="a", seed=0, curves={"fid": {"value": np.ones(1)}}, spec="{}\n", previews={0: {"x": x}}
    )
    gallery = gallery_of(load([tmp_path / "r"]))
    assert gallery is not None
    assert gallery.panels[0].first.note == "4 samples, 1 with NaN, drawn grey"


def test_texts_and_tables_are_cut_and_escaped() -> None:
    listed = texts_list(["<b>", "x" * 1000, *"abcdefghij"], "t")
    assert listed.count("<li>") == 8
    assert "&lt;b&gt;" in listed
    assert len(listed) < 1000
    table = rows_table(np.arange(200.0).reshape(10, 20), "t")
    assert table.count("<tr>") == 8
    assert table.count("…") == 8
    assert "<b>" not in rows_table(np.array([["<b>", "c"]]), "t")
