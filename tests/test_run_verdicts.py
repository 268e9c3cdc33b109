"""A verifier's rates from a run: known where the right labels are, a sheet to fill where they are not."""

import csv
import errno

import numpy as np
import pytest

from ouroloop.checked_rates import checked_rates
from ouroloop.errors import DataError
from ouroloop.estimation import rates_of_file
from ouroloop.run_verdicts import judged_rows, rates_of_run, write_sheet
from ouroloop.samples import Samples
from ouroloop.tables import write_arrow

PHI, PSI, NOISE = 0.9, 0.2, 0.3


def run_of(path, generations=20, truth=True, failed=0, width=2, noise=NOISE):
    """A run directory with nothing but the previews of its corrections, 64 rows each."""
    rng = np.random.default_rng(0)
    path.mkdir()
    (path / "run.json").write_text('{"arm": "", "seed": 3}')
    for t in range(1, generations + 1):
        folder = path / "generations" / f"{t:04d}"
        folder.mkdir(parents=True)
        right = rng.integers(3, size=64)
        label = np.where(rng.random(64) < np.broadcast_to(noise, generations)[t - 1], (right + 1) % 3, right)
        kept = rng.random(64) < np.where(label == right, PHI, PSI)
        verdict = np.where(kept, np.where(rng.random(64) < 0.5, 0, 1), 2)
        verdict[:failed] = 3
        x = rng.normal(size=(64, width))
        columns = {"before": x, "x": x, "label": label, "verdict": verdict.astype(np.int8), "distance": np.zeros(64)}
        write_arrow(folder / "corrections_preview.arrow", Samples({**columns, **({"truth": right} if truth else {})}))
    return path


def test_rates_are_found_where_the_run_knows_the_right_labels(tmp_path):
    found = rates_of_run(run_of(tmp_path / "run"), confidence=0.999)
    rates = found.rates
    assert rates.rows == 20 * 64
    for rate, law in ((rates.keep_correct, PHI), (rates.keep_wrong, PSI), (rates.label_noise, NOISE)):
        assert rate.low <= law <= rate.high
    assert found.drifts == ()
    assert found.scope == "1280 of 1280 rows checked, mean over generations 1 to 20"
    assert rates_of_run(tmp_path / "run", generations=5).rates.rows == 5 * 64
    assert rates_of_run(tmp_path / "run", generations=1).scope.endswith("checked, generation 1")


def test_generations_that_differ_are_told(tmp_path):
    """The labels of a loop that drifts: 10 % are wrong at first, 50 % at the end."""
    run = run_of(tmp_path / "run", generations=8, noise=np.linspace(0.1, 0.5, 8))
    found = rates_of_run(run)
    (drift,) = found.drifts
    assert (drift.name, drift.generations) == ("label_noise", (1, 8))
    assert drift.first.high < drift.last.low
    assert drift.p < 0.01
    assert "label_noise differs between generations" in str(drift)
    write_sheet(run, tmp_path / "sheet.csv")
    known = judged_rows(run)["truth"]
    head, *lines = (tmp_path / "sheet.csv").read_text().splitlines()
    (tmp_path / "sheet.csv").write_text("\n".join([head, *(f"{a}{b}" for a, b in zip(lines, known, strict=True))]))
    assert rates_of_file(tmp_path / "sheet.csv") == found  # a sheet says which generation its rows are of


def test_equal_generations_are_rarely_told_to_differ():
    rng, t, warned = np.random.default_rng(3), np.repeat(np.arange(1, 9), 24), 0
    for _ in range(100):
        right, kept = rng.random(len(t)) < 0.7, rng.random(len(t)) < 0.6
        warned += bool(checked_rates(right, kept, t).drifts)
    assert warned <= 12  # 5 % are allowed


def test_rows_that_failed_were_not_judged(tmp_path):
    assert len(judged_rows(run_of(tmp_path / "run", failed=10))["label"]) == 20 * 54


def test_a_sheet_is_filled_in_part_and_read_back(tmp_path):
    run, sheet = run_of(tmp_path / "run"), tmp_path / "sheet.csv"
    known = judged_rows(run)
    with pytest.raises(DataError, match="no column 'right'"):
        rates_of_run(run, truth="right")
    assert write_sheet(run, sheet, generations=10) == 640
    with pytest.raises(DataError, match="no row has a value under 'truth'"):
        rates_of_file(sheet)
    with open(sheet, newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["seed", "generation", "row", "x_0", "x_1", "label", "kept", "truth"]
    assert {row["seed"] for row in rows} == {"3"}
    for place in range(0, 640, 2):
        rows[place]["truth"] = known["truth"][place]
    with open(sheet, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    found = rates_of_file(sheet)
    part = slice(0, 640, 2)
    right = known["label"][part] == known["truth"][part]
    assert found.scope == "320 of 640 rows checked, mean over generations 1 to 10"
    assert found.rates.keep_correct.value == known["kept"][part][right].mean()
    assert found.rates.keep_wrong.value == known["kept"][part][~right].mean()
    with pytest.raises(DataError, match="is there already"):
        write_sheet(run, sheet)


def test_a_sheet_that_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    run, sheet = run_of(tmp_path / "run", generations=1), tmp_path / "sheet.csv"

    def full(source, target):
        raise OSError(errno.ENOSPC, "disk full")

    with monkeypatch.context() as patched:
        patched.setattr("ouroloop.atomic.os.replace", full)
        with pytest.raises(DataError, match="cannot be written"):
            write_sheet(run, sheet)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run"]
    assert write_sheet(run, sheet) == 64  # the name is free for the next try
    with pytest.raises(DataError, match=r"ends in \.csv"):
        write_sheet(run, tmp_path / "sheet.txt")


@pytest.mark.parametrize("spelled", ["NA", "null", "nan", "None", "#N/A"])
def test_a_label_that_looks_like_nothing_is_a_label(tmp_path, spelled):
    file = tmp_path / "checked.csv"
    rows = [f"{spelled},{spelled},1", f"a,{spelled},0", "a,a,1", f"{spelled},a,1", "a,,1"]
    file.write_text("\n".join(["label,truth,kept", *rows]))
    found = rates_of_file(file)
    assert found.scope == "4 of 5 rows checked"
    assert found.rates.label_noise.value == 0.5
    assert found.rates.keep_wrong.value == 0.5


def test_a_number_that_is_none_is_no_wrong_label(tmp_path):
    file = tmp_path / "checked.csv"
    file.write_text("label,truth,kept\n1.0,nan,1\n1.0,1.0,1\n2.0,1.0,0\n1.0,,1\n")
    with pytest.raises(DataError, match="no finite number under 'truth'"):
        rates_of_file(file)


def test_wide_rows_are_not_in_the_sheet(tmp_path):
    write_sheet(run_of(tmp_path / "run", generations=1, width=100), tmp_path / "sheet.csv")
    assert (tmp_path / "sheet.csv").read_text().startswith("seed,generation,row,label,kept,truth")


def test_runs_without_labels_or_verdicts_are_errors(tmp_path):
    run = run_of(tmp_path / "run", generations=1)
    file = run / "generations" / "0001" / "corrections_preview.arrow"
    write_arrow(file, Samples({"before": np.zeros((4, 1)), "x": np.zeros((4, 1)), "distance": np.zeros(4)}))
    with pytest.raises(DataError, match="have no label"):
        rates_of_run(run)
    file.unlink()
    with pytest.raises(DataError, match="keeps no raw rows"):
        rates_of_run(run)
    with pytest.raises(DataError, match="cannot be written"):
        write_sheet(run_of(tmp_path / "other", generations=1), tmp_path / "nowhere" / "sheet.csv")
