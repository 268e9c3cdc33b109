import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import DataError
from ouroloop.pool import Pool
from ouroloop.samples import Samples, corrected_ids, synthetic_ids


def table(n, start=0, origin=0):
    return Samples.of(
        np.arange(start, start + n, dtype=float)[:, None], id=np.arange(n) + start, origin=np.full(n, origin)
    )


def test_provenance_defaults_to_real_rows():
    s = Samples.of(np.zeros((3, 2)))
    assert (s.id.tolist(), s.parent.tolist(), s.origin.tolist(), s.verdict.tolist()) == (
        [0, 1, 2],
        [-1] * 3,
        [0] * 3,
        [0] * 3,
    )


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        ({}, "at least one data column"),
        ({"x": np.zeros(3), "label": np.zeros(2)}, "column 'label' has 2 rows but column 'x' has 3"),
        ({"x": [[1, 2], [3]]}, "ragged"),
        ({"x": np.array([{}, {}], dtype=object)}, "Python objects"),
        ({"x": 3.0}, "single value"),
    ],
)
def test_bad_columns_are_named(columns, match):
    with pytest.raises(DataError, match=match):
        Samples(columns)


@pytest.mark.parametrize(("bad", "word"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")])
def test_check_finite_names_column_and_row(bad, word):
    x = np.zeros((300_000, 2))
    x[280_000, 1] = bad
    with pytest.raises(DataError, match=f"real data: {word} in column 'x', row 280000"):
        Samples.of(x).check_finite("real data")


def test_strings_and_integers_are_finite():
    Samples.of(np.array([1, 2]), caption=["<b>a</b>", "b"]).check_finite("rows")


def test_concat_refuses_other_columns_and_shapes():
    with pytest.raises(DataError, match="different columns"):
        Samples.concat([Samples.of(np.zeros(1)), Samples.of(np.zeros(1), label=np.zeros(1))])
    with pytest.raises(DataError, match="rows of shapes"):
        Samples.concat([Samples.of(np.zeros((1, 2))), Samples.of(np.zeros((1, 3)))])


def test_missing_column_lists_those_there_are():
    with pytest.raises(DataError, match="no column 'label'; there are: x"):
        _ = Samples.of(np.zeros(2)).label


def test_ids_of_rows_and_their_corrections_never_meet():
    raw = np.concatenate([synthetic_ids(t, 0, 1000) for t in (1, 2, 500)])
    every = np.concatenate([np.arange(1000), raw, corrected_ids(raw)])
    assert len(np.unique(every)) == len(every)
    assert (every >= 0).all()


sizes = st.lists(st.integers(0, 7), min_size=1, max_size=6)


@given(sizes, st.integers(1, 9))
def test_pool_reads_like_the_tables_one_below_the_other(lengths, batch):
    starts = np.cumsum([0, *lengths])
    pool = Pool(tuple(table(n, s) for n, s in zip(lengths, starts, strict=False)))
    whole = np.arange(sum(lengths), dtype=float)
    assert len(pool) == len(whole)
    assert np.array_equal(pool.x[:, 0], whole)
    batches = list(pool.batches(batch))
    assert all(len(b) <= batch for b in batches)
    assert np.array_equal(np.concatenate([b.x[:, 0] for b in batches] or [whole]), whole)


@given(sizes, st.data())
def test_pool_take_and_slice_agree_with_the_materialised_table(lengths, data):
    starts = np.cumsum([0, *lengths])
    pool = Pool(tuple(table(n, s) for n, s in zip(lengths, starts, strict=False)))
    total = len(pool)
    whole = pool.materialise()
    rows = data.draw(st.lists(st.integers(0, max(total - 1, 0)), max_size=10)) if total else []
    assert np.array_equal(pool.take(np.array(rows, int)).x, whole.take(np.array(rows, int)).x)
    low = data.draw(st.integers(0, total))
    high = data.draw(st.integers(low, total))
    assert np.array_equal(pool.slice(low, high).x, whole.x[low:high])
    assert len(pool.slice(low, high)) == high - low


def test_effective_ratio_counts_rows_by_origin():
    assert Pool.of(table(50), table(6025, 50, origin=3)).synthetic_ratio == pytest.approx(120.5)
    assert Pool.of(table(5, origin=1)).synthetic_ratio == float("inf")


def test_pool_refuses_tables_with_other_columns():
    with pytest.raises(DataError, match="different columns"):
        Pool.of(table(1), Samples.of(np.zeros((1, 1)), label=np.zeros(1)))
