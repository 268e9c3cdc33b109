"""Real tables: nothing of the test part reaches training, and what a file must hold."""

from pathlib import Path

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.experiments.tabular_classifier import TabularClassifier, _Rows
from ouroloop.keys import Key


@pytest.mark.parametrize("rows", ["same", "training"])
def test_test_rows_influence_nothing_but_the_score(rows):
    """With the test part's features scrambled, training is the same: the decision on other rows does not move."""
    e = TabularClassifier(generator_rows=rows, n_synthetic=50)
    table, key = e.table(), Key(1)
    train, test = e._parts(table, key.rng())
    moved = table.x.copy()
    inside = (table.x[:, None] == test.x[None, :, :]).all(axis=2).any(axis=1)
    moved[inside] += 1000.0
    seen = []
    for x in (table.x, moved):
        own, _ = e._parts(_Rows(x, table.y), key.rng())
        seen.append(own.x)
    assert (seen[0] == seen[1]).all()
    assert len(train.y) + len(test.y) == len(table.y)
    assert e.accuracy(table, key) != pytest.approx(e.accuracy(_Rows(moved, table.y), key), abs=0.02)


def test_a_leak_uses_all_rows_to_test():
    honest, leaking = TabularClassifier(n_real=0), TabularClassifier(n_real=0, leak=True)
    table = honest.table()
    scores = [[e.accuracy(table, Key(s)) for s in range(20)] for e in (honest, leaking)]
    assert np.mean(scores[1]) > np.mean(scores[0])
    assert {round(score * len(table.y), 6) % 1 for score in scores[1]} == {0.0}


def test_the_first_training_rows_have_both_classes():
    e = TabularClassifier()
    train, _ = e._parts(e.table(), Key(0).rng())
    assert train.y[:40].sum() == 0.0


def test_a_clean_gaussian_table_is_classified_as_theory_says(tmp_path):
    rng = np.random.default_rng(0)
    y = np.where(rng.random(6000) < 0.5, 1.0, -1.0)
    x = rng.standard_normal((6000, 6)) + 0.8 * y[:, None] * np.eye(6)[0]
    path = _csv(tmp_path / "rows.csv", x, ["yes" if v > 0 else "no" for v in y])
    e = TabularClassifier(data="file", path=str(path), label_column="kind", values=(0, 2000), n_real=60, replicas=10)
    measured, law = e.run([Key(0), Key(1)])["accuracy"].mean(axis=0), e.forecasts()[0].values
    np.testing.assert_allclose(measured, law, atol=0.02)


def _csv(path: Path, x: np.ndarray, kinds: list[str]) -> Path:
    header = ",".join([*(f"c{i}" for i in range(x.shape[1])), "kind"])
    lines = [",".join([*(f"{v:.6f}" for v in row), kind]) for row, kind in zip(x, kinds, strict=True)]
    path.write_text("\n".join([header, *lines]))
    return path


def test_a_table_needs_a_label_and_two_classes(tmp_path):
    x = np.random.default_rng(0).standard_normal((12, 2))
    path = _csv(tmp_path / "rows.csv", x, ["a"] * 12)
    with pytest.raises(DataError, match="need two"):
        TabularClassifier(data="file", path=str(path), label_column="kind").table()
    with pytest.raises(DataError, match="no such file"):
        TabularClassifier(data="file", path=str(tmp_path / "none.csv")).table()
    numbers = tmp_path / "numbers.csv"
    numbers.write_text("a,b\n" + "\n".join(f"{i},{i * 2}" for i in range(9)))
    with pytest.raises(DataError, match="label_column"):
        TabularClassifier(data="file", path=str(numbers)).table()
