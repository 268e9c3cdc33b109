import itertools
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.correctors import transport
from ouroloop.correctors.transport import Transport, assignment
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

KEY = Key(0, ("test",))


def correct(real, rows, **options):
    return Transport(**options).fit(Reference(real), key=KEY).correct(rows, key=KEY)


def points(n, d=2, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


@given(n=st.integers(1, 6), d=st.integers(1, 3), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_assignment_is_the_cheapest_permutation(n, d, seed):
    x, y = points(n, d, seed), points(n, d, seed + 1)
    cost = ((x[:, None] - y) ** 2).sum(axis=2)
    best = min(sum(cost[i, p[i]] for i in range(n)) for p in itertools.permutations(range(n)))
    found = assignment(x, y)
    assert sorted(found) == list(range(n))
    assert cost[np.arange(n), found].sum() == pytest.approx(best)


def test_on_the_line_rows_are_matched_by_rank():
    real, rows = Samples.of(points(40, 1, 1) * 3 + 5), Samples.of(points(40, 1))
    x = correct(real, rows, blend=1.0).proposed.x
    np.testing.assert_array_equal(np.argsort(x[:, 0]), np.argsort(rows.x[:, 0]))
    np.testing.assert_allclose(np.sort(x[:, 0]), np.sort(real.x[:, 0]))


@pytest.mark.slow  # importing POT alone takes seconds
def test_a_large_assignment_is_the_same_with_and_without_pot(monkeypatch):
    pytest.importorskip("ot")
    x, y = points(60, 2), points(60, 2, 1) + 1
    plain = assignment(x, y)
    monkeypatch.setattr(transport, "_SCIPY_ROWS", 10)
    np.testing.assert_array_equal(assignment(x, y), plain)
    monkeypatch.setitem(sys.modules, "ot", None)
    np.testing.assert_array_equal(assignment(x, y), plain)


def test_a_forgotten_mode_is_filled_again():
    real = Samples.of(np.repeat([[0.0], [10.0]], 50, axis=0))
    rows = Samples.of(points(100, 1) * 0.1)
    x = correct(real, rows, blend=1.0).proposed.x[:, 0]
    assert (x == 10).sum() == 50


@pytest.mark.parametrize("blend", [0.0, 0.3, 1.0])
def test_blend_and_distance(blend):
    real, rows = Samples.of(points(30, 2, 1) + 4), Samples.of(points(30))
    full, part = correct(real, rows, blend=1.0), correct(real, rows, blend=blend)
    np.testing.assert_allclose(part.proposed.x, rows.x + blend * (full.proposed.x - rows.x))
    np.testing.assert_allclose(part.distance, blend * full.distance)
    assert (part.verdict == (Verdict.CHANGED if blend else Verdict.KEPT)).all()


def test_rows_go_to_their_own_class_and_unknown_classes_fail():
    real = Samples.of(np.array([[0.0], [1.0], [2.0]]), label=np.array([0, 1, 1]))
    rows = Samples.of(np.array([[2.0], [0.0], [5.0], [9.0]]), label=np.array([0, 1, 1, 7]))
    answer = correct(real, rows, blend=1.0)
    assert answer.proposed.x[:3, 0].tolist() == [0.0, 1.0, 2.0]
    assert answer.verdict.tolist() == [1, 1, 1, Verdict.FAILED]


@pytest.mark.parametrize(("n", "group"), [(7, 3), (40, 2000), (95, 10), (30, 1)])
def test_every_reference_row_is_used_about_equally_often(n, group):
    real = Samples.of(np.arange(30.0)[:, None])
    x = correct(real, Samples.of(points(n, 1)), blend=1.0, max_assignment=group).proposed.x
    used = np.bincount(x[:, 0].astype(int), minlength=30)
    assert used.sum() == n
    assert used.max() - used.min() <= 1


def test_smaller_groups_cost_more_distance():
    real, rows = Samples.of(points(200, 2, 1)), Samples.of(points(200, 2, 2))
    whole, split = (correct(real, rows, max_assignment=m).distance for m in (200, 10))
    assert (whole**2).sum() < (split**2).sum()


def test_fresh_rows_are_the_named_stream():
    def fresh(n, *, key):
        return Samples.of(key.rng().standard_normal((n, 2)))

    part = Transport(reference="fresh", blend=1.0).fit(Reference(Samples.of(points(3)), fresh=fresh), key=KEY)
    x = part.correct(Samples.of(points(20, seed=5)), key=KEY).proposed.x
    expected = fresh(20, key=KEY.child("target")).x
    np.testing.assert_allclose(np.sort(x, axis=0), np.sort(expected, axis=0))


def test_what_cannot_be_used_is_refused():
    with pytest.raises(DataError, match="no fresh rows; use reference 'real'"):
        Transport(reference="fresh").fit(Reference(Samples.of(points(3))), key=KEY)
    with pytest.raises(DataError, match="got none"):
        Transport().fit(Reference(Samples.of(np.zeros((0, 2)))), key=KEY)
    with pytest.raises(DataError, match="NaN"):
        Transport().fit(Reference(Samples.of(np.full((2, 2), np.nan))), key=KEY)
    with pytest.raises(DataError, match="needs numbers"):
        Transport().fit(Reference(Samples.of(np.array(["a"]))), key=KEY)
    with pytest.raises(PartError, match="call fit"):
        Transport().correct(Samples.of(points(3)), key=KEY)
    with pytest.raises(PartError, match="rows of 2 values, got rows of 3"):
        correct(Samples.of(points(3)), Samples.of(points(3, 3)))
