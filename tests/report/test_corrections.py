from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from ouroloop.errors import StoreError
from ouroloop.report.corrections import corrections_of
from ouroloop.report.load import load

CURVE = {"fid": {"value": np.ones(3)}}


def test_arms_that_keep_everything_are_said_and_others_shown(digits: Path) -> None:
    shown, silent = corrections_of(load([digits]))
    assert [arm.label for arm in shown] == ["Cluster correction"]
    assert silent == [
        "No correction: every synthetic row was kept as it was",
        "Real data only: no record of corrections was kept",
    ]
    (arm,) = shown
    assert (arm.seed, arm.generation, len(arm.pairs)) == (0, 10, 18)
    distances = [pair.distance for pair in arm.pairs]
    assert distances == sorted(distances)
    assert {pair.verdict for pair in arm.pairs} == {"changed"}
    assert arm.pictures


def test_counts_are_summed_over_seeds_and_said_in_words(make_runs: ModuleType, tmp_path: Path) -> None:
    for seed in range(2):
        make_runs.write_run(
            tmp_path / f"seed-{seed}", arm="a", seed=seed, curves=CURVE, spec="{}\n",
            corrections={1: (np.array([1, 1, 1, 0]), np.array([1.0, 2.0, 3.0, 0.0])),
                         2: (np.array([1, 2, 2, 3]), np.array([5.0, 9.0, 9.0, np.nan]))},
        )  # fmt: skip
    (arm,), _ = corrections_of(load([tmp_path]))
    assert arm.words == (
        "Of 8 rows in generation 2: 50 % dropped, 25 % failed, 25 % changed. Changed rows moved by 5 (median)."
    )
    bars = [p.get("class") for p in ET.fromstring(str(arm.bars)).iter("path")]
    assert bars == ["bars kept", "bars changed", "bars dropped", "bars failed"]


def test_points_are_joined_by_moves(make_runs: ModuleType, tmp_path: Path) -> None:
    before = np.random.default_rng(0).normal(size=(20, 2))
    pairs = {1: {"before": before, "x": before * 0.5, "verdict": np.ones(20, np.int8), "distance": np.ones(20)}}
    make_runs.write_run(tmp_path / "r", arm="a", seed=0, curves=CURVE, spec="{}\n", pairs=pairs)
    (arm,), _ = corrections_of(load([tmp_path / "r"]))
    assert arm.pairs == ()
    assert 'class="moves"' in arm.moves
    assert arm.words == "The table of corrections was not kept."


def test_text_pairs(text: Path) -> None:
    (arm,), _ = corrections_of(load([text]))
    assert not arm.pictures
    assert [pair.verdict for pair in arm.pairs] == ["changed", "changed", "changed", "failed"]
    assert "DER LÖWE" in arm.pairs[0].body


def test_verdicts_written_as_words_are_read(make_runs: ModuleType, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = make_runs.write_run(
        tmp_path / "r", arm="a", seed=0, curves=CURVE, spec="{}\n", corrections={1: (np.zeros(2, int), np.zeros(2))}
    )
    table = pa.table({"verdict": ["changed", "KEPT"], "distance": [1.0, 0.0]})
    pq.write_table(table, path / "generations" / "0001" / "corrections.parquet")
    (arm,), _ = corrections_of(load([path]))
    assert "50 % kept, 50 % changed" in arm.words


def test_a_truncated_table_is_named(digits: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(digits, tmp_path / "digits")
    path = copy / "cluster" / "seed-2" / "generations" / "0010" / "corrections.parquet"
    path.write_bytes(path.read_bytes()[:80])
    with pytest.raises(StoreError, match=r"seed-2/generations/0010/corrections\.parquet"):
        corrections_of(load([copy]))


@pytest.mark.parametrize("entries", [["clip 7"], [None], {"name": "clip 7"}, 3])
def test_samples_not_drawn_that_are_no_objects_are_named(digits: Path, tmp_path: Path, entries: object) -> None:
    copy = shutil.copytree(digits, tmp_path / "digits")
    path = copy / "cluster" / "seed-0" / "generations" / "0010" / "state.json"
    path.write_text(json.dumps({"not_drawn": entries}))
    with pytest.raises(StoreError, match=r"seed-0/generations/0010/state\.json: expected 'not_drawn'"):
        corrections_of(load([copy]))
