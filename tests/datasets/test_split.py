from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.datasets.split import generation_of, reserve_rows, stratified_order
from ouroloop.errors import DataError
from ouroloop.keys import Key


@given(st.lists(st.integers(0, 4), min_size=1, max_size=200), st.integers(0, 1000))
def test_every_prefix_has_the_class_shares_of_the_whole(labels, seed):
    label = np.array(labels)
    order = stratified_order(label, key=Key(seed))
    np.testing.assert_array_equal(np.sort(order), np.arange(len(label)))
    classes, counts = np.unique(label, return_counts=True)
    for prefix in range(1, len(label) + 1):
        for cls, count in zip(classes, counts, strict=True):
            expected = prefix * count / len(label)
            assert abs(np.count_nonzero(label[order[:prefix]] == cls) - expected) <= len(classes)


def test_the_order_is_a_function_of_the_key():
    label = np.repeat(["a", "b"], 50)
    first, again, other = (stratified_order(label, key=Key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_rows_of_a_class_are_shuffled():
    order = stratified_order(np.zeros(500, int), key=Key(0))
    assert abs(np.corrcoef(order, np.arange(500))[0, 1]) < 5 / np.sqrt(500)


@given(st.integers(1, 20), st.integers(1, 8), st.integers(0, 50))
def test_generations_never_share_a_reserve_row(n, generations, seed):
    keys = [Key(seed).child("generation", t, "fresh") for t in range(1, generations + 1)]
    rows = [reserve_rows(n * generations, n, key=key, name="x") for key in keys]
    np.testing.assert_array_equal(np.sort(np.concatenate(rows)), np.arange(n * generations))
    again = reserve_rows(n * generations, n, key=keys[-1], name="x")
    np.testing.assert_array_equal(again, rows[-1])


def test_an_exhausted_reserve_says_how_much_there_is():
    with pytest.raises(DataError, match=r"'pile' keeps 100 real rows.*generation 3 of 40 fresh rows.*need 120"):
        reserve_rows(100, 40, key=Key(0).child("generation", 3, "fresh"), name="pile")
    with pytest.raises(DataError, match="keeps 5"):
        reserve_rows(5, 6, key=Key(0), name="pile")


def test_keys_without_a_generation_draw_without_replacement():
    rows = reserve_rows(50, 50, key=Key(3, ("floor",)), name="x")
    np.testing.assert_array_equal(np.sort(rows), np.arange(50))
    assert generation_of(Key(0, ("generation", 0, "fit"))) == (1, ("generation", 0, "fit"))
