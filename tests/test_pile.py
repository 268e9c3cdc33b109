"""Correcting files of rows: columns by name, labels by name, every format."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from ouroloop.errors import DataError
from ouroloop.pile import correct_pile
from ouroloop.tables import read_samples

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
