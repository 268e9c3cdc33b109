from __future__ import annotations

import gc

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.metrics import spaces
from ouroloop.metrics.spaces import shared, space
from ouroloop.samples import Samples


def test_shared_things_are_computed_once_and_go_with_their_table():
    calls = []
    table = Samples.of(np.zeros((2, 2)))
    before = len(spaces._shared)
    for _ in range(3):
        assert shared(table, "answer", lambda: calls.append(1) or 42) == 42
    assert len(calls) == 1
    assert len(spaces._shared) == before + 1
    del table
    gc.collect()
    assert len(spaces._shared) == before


def test_features_of_a_table_are_computed_once_for_all_metrics(flat):
    where = space("identity", flat)
    assert space({"kind": "identity"}, flat) is not where  # written otherwise, fitted otherwise
    assert space("identity", flat) is where
    table = Samples.of(np.ones((5, 2)))
    assert where.rows(table) is where.rows(table)


def test_a_large_table_is_cut_before_its_features_are_computed(flat, monkeypatch):
    monkeypatch.setattr(spaces, "_SHARED_VALUES", 10)
    where, table = space("identity", flat), Samples.of(np.arange(40.0).reshape(20, 2))
    np.testing.assert_array_equal(where.take(table, np.array([3, 7])).x, table.x[[3, 7]])
    assert table not in spaces._shared


def test_automatic_choice(flat, digits):
    assert space("auto", flat).name == "identity"
    assert spaces._automatic(digits.real) == "classifier"
    x, label = digits.real.x, digits.real.label
    for other in (Samples.of(x), Samples.of(x[:50], label=label[:50]), Samples.of(x[:50], label=np.zeros(50))):
        assert spaces._automatic(other) == "identity"
    assert spaces._automatic(Samples.of(x.reshape(len(x), -1), label=label)) == "identity"


def test_labels_come_from_the_classifier_and_else_from_the_column(flat, digits, classifier):
    rows = space(classifier, digits).rows(digits.held_out)
    assert np.mean(rows.label == digits.held_out.label) > 0.9
    np.testing.assert_array_equal(rows.given, digits.held_out.label)
    plain = space("identity", digits).rows(digits.held_out)
    assert plain.label is plain.given
    assert space("identity", flat).rows(flat.real).label is None


def test_unknown_features_are_refused(flat):
    with pytest.raises(SpecError, match="inception"):
        space("inception", flat)
