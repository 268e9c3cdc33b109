"""Correcting files of rows: columns by name, labels by name, every format."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from ouroloop.errors import DataError
from ouroloop.pile import correct_pile
from ouroloop.samples import Samples
from ouroloop.store import RunStore
from ouroloop.tables import read_samples, write_samples

RNG = np.random.default_rng(0)


def csv(path, names, rows):
    path.write_text("\n".join([",".join(names), *(",".join(map(repr, row)) for row in rows.tolist())]) + "\n")
    return path


def test_columns_are_matched_by_name_not_by_place(tmp_path):
    rows = np.column_stack([RNG.normal(size=80), RNG.normal(size=80) + 100])
    real = csv(tmp_path / "real.csv", ["a", "b"], rows)
    pile = csv(tmp_path / "pile.csv", ["b", "a"], rows[:40, ::-1])
    correct_pile(pile, real=real, corrector="nearest_real", out=tmp_path / "out")
    assert set(pq.read_table(tmp_path / "out" / "corrections.parquet")["verdict"].to_pylist()) == {"kept"}
    corrected = read_samples(tmp_path / "out" / "corrected.csv")
    assert corrected["b"].min() > 50


def test_columns_called_x_and_y_are_both_corrected(tmp_path):
    rows = RNG.normal(size=(60, 2))
    real = csv(tmp_path / "real.csv", ["x", "y"], rows)
    pile = csv(tmp_path / "pile.csv", ["x", "y"], rows[:30] + 1)
    correct_pile(pile, real=real, corrector="transport", out=tmp_path / "out", overrides=["blend=1.0"])
    corrected = read_samples(tmp_path / "out" / "corrected.csv")
    assert {tuple(r) for r in np.column_stack([corrected["x"], corrected["y"]])} <= {tuple(r) for r in rows}


def test_labels_keep_their_name(tmp_path):
    rows = np.column_stack([RNG.normal(size=(60, 2)), np.arange(60) % 3])
    real = csv(tmp_path / "real.csv", ["a", "b", "kind"], rows)
    pile = csv(tmp_path / "pile.csv", ["kind", "b", "a"], rows[:30, ::-1])
    correct_pile(pile, real=real, corrector="transport", out=tmp_path / "out", label="kind")
    corrected = read_samples(tmp_path / "out" / "corrected.csv")
    assert set(corrected.data_columns) == {"a", "b", "kind"}
    assert corrected["kind"].tolist() == rows[:30, 2].tolist()
    twice = csv(tmp_path / "twice.csv", ["a", "b", "kind", "label"], np.column_stack([rows, rows[:, 2]]))
    with pytest.raises(DataError, match="a column 'label' besides 'kind'"):
        correct_pile(twice, real=twice, corrector="transport", out=tmp_path / "other", label="kind")


@pytest.mark.parametrize(
    ("names", "label", "match"),
    [(["a", "b"], "kind", "no column 'kind' for --label"), (["a", "c"], None, "expected numeric columns a, b")],
)
def test_missing_columns_are_named_and_nothing_is_written(tmp_path, names, label, match):
    real = csv(tmp_path / "real.csv", ["a", "b"], RNG.normal(size=(60, 2)))
    pile = csv(tmp_path / "pile.csv", names, RNG.normal(size=(30, 2)))
    with pytest.raises(DataError, match=match):
        correct_pile(pile, real=real, corrector="identity", out=tmp_path / "out", label=label)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("which", ["pile", "real"])
@pytest.mark.parametrize("suffix", [".csv", ".npy"])
def test_a_file_without_rows_is_refused_and_nothing_is_written(tmp_path, which, suffix):
    rows = {"pile": RNG.normal(size=(30, 2)), "real": RNG.normal(size=(60, 2))}
    rows[which] = rows[which][:0]
    paths = {name: tmp_path / f"{name}{suffix}" for name in rows}
    for name, path in paths.items():
        np.save(path, rows[name]) if suffix == ".npy" else csv(path, ["a", "b"], rows[name])
    with pytest.raises(DataError, match=rf"{which}{suffix}: .*no rows"):
        correct_pile(paths["pile"], real=paths["real"], corrector="identity", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("survivors", [0, 1])
@pytest.mark.parametrize("suffix", [".csv", ".npy", ".parquet", ".arrow"])
def test_rows_that_are_all_dropped_are_counted_and_reported(tmp_path, survivors, suffix):
    real = RNG.normal(size=(60, 2))
    pile = real[:30] + 50.0
    pile[:survivors] -= 50.0
    for name, rows in (("real", real), ("pile", pile)):
        write_samples(tmp_path / f"{name}{suffix}", Samples({"x": rows}))
    said = correct_pile(
        tmp_path / f"pile{suffix}", real=tmp_path / f"real{suffix}", corrector="nearest_real", out=tmp_path / "out"
    )
    assert f"{30 - survivors} dropped" in said
    assert f"{survivors} rows written" in said
    assert "too few to measure" in said
    verdicts = pq.read_table(tmp_path / "out" / "corrections.parquet")["verdict"].to_pylist()
    assert verdicts.count("dropped") == 30 - survivors
    store = RunStore.open(tmp_path / "out" / "run")
    assert store.verify() == []
    assert {row["generation"] for row in store.metric_rows()} == {0}
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "out" / f"corrected{suffix}").is_file()


def test_an_error_half_way_leaves_nothing(tmp_path, monkeypatch):
    real = csv(tmp_path / "real.csv", ["a", "b"], RNG.normal(size=(60, 2)))

    def fail(*_, **__):
        raise DataError("no page today")

    monkeypatch.setattr("ouroloop.report.write_report", fail)
    (tmp_path / "there").mkdir()
    for out in ("new", "there"):
        with pytest.raises(DataError, match="no page today"):
            correct_pile(real, real=real, corrector="identity", out=tmp_path / out)
    assert not (tmp_path / "new").exists()
    assert list((tmp_path / "there").iterdir()) == []
