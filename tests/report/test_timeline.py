from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ouroloop.report import timeline
from ouroloop.report.load import load
from ouroloop.report.timeline import timeline_of


def written(make_runs: ModuleType, root: Path, rows: list[list[float]]) -> None:
    for seed, values in enumerate(rows):
        curves = {"alarm": {"value": np.array(values)}, "fid": {"value": np.ones(len(values))}}
        make_runs.write_run(root / f"seed-{seed}", arm="a", seed=seed, curves=curves, spec="{}\n")


def test_each_seed_has_a_row_of_letters(make_runs: ModuleType, tmp_path: Path) -> None:
    written(make_runs, tmp_path, [[0, 1, 2], [0, np.nan]])
    shown = timeline_of(load([tmp_path]))
    assert shown is not None
    assert shown.generations == (0, 1, 2)
    assert [(row.who, "".join(cell.letter or "-" for cell in row.cells)) for row in shown.rows] == [
        ("seed 0", "HDC"),
        ("seed 1", "H--"),
    ]
    assert shown.rows[0].cells[2].status == "collapsing"


def test_many_rows_are_joined_to_one_an_arm_with_the_worse_in_a_tie(
    make_runs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "_MOST_ROWS", 3)
    written(make_runs, tmp_path, [[0, 0], [0, 1], [0, 1], [0, 0]])
    shown = timeline_of(load([tmp_path]))
    assert shown is not None
    (row,) = shown.rows
    assert shown.joined
    assert [cell.letter for cell in row.cells] == ["H", "D"]
    assert row.cells[1].title == "a, generation 1: 2 healthy, 2 drifting"


def test_generations_are_thinned_and_no_alarm_is_none(make_runs: ModuleType, tmp_path: Path) -> None:
    written(make_runs, tmp_path / "long", [[0.0] * 200])
    shown = timeline_of(load([tmp_path / "long"]))
    assert shown is not None
    assert (len(shown.generations), shown.generations[-1], shown.left_out) == (60, 199, 140)
    make_runs.write_run(tmp_path / "no", arm="a", seed=0, curves={"fid": {"value": np.ones(2)}}, spec="{}\n")
    assert timeline_of(load([tmp_path / "no"])) is None
