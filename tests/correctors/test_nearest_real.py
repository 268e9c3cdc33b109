import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.correctors import nearest_real
from ouroloop.correctors.nearest_real import NearestReal
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

KEY = Key(0, ("test",))


def fitted(real, **options):
    return NearestReal(**options).fit(Reference(real), key=KEY)


@given(
    n=st.integers(4, 30),
    m=st.integers(1, 10),
    d=st.integers(1, 20),
    k=st.integers(1, 3),
    quantile=st.floats(0.05, 1),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_keeps_what_brute_force_says(n, m, d, k, quantile, seed):
    rng = np.random.default_rng(seed)
    real, rows = rng.standard_normal((n, d)), 2 * rng.standard_normal((m, d))
    own = np.sort(np.linalg.norm(real[:, None] - real, axis=2), axis=1)[:, k]  # column 0 is the row itself
    distance = np.sort(np.linalg.norm(rows[:, None] - real, axis=2), axis=1)[:, k - 1]
    part = fitted(Samples.of(real), quantile=quantile, neighbours=k)
    assert part.threshold == pytest.approx(np.quantile(own, quantile), rel=1e-6)
    clear = np.abs(distance - part.threshold) > 1e-6
    answer = part.correct(Samples.of(rows), key=KEY)
    np.testing.assert_array_equal((answer.verdict == Verdict.DROPPED)[clear], (distance > part.threshold)[clear])
    assert (answer.distance == 0).all()


def test_the_quantile_is_the_share_of_good_rows_that_is_kept():
    rng = np.random.default_rng(0)
    part = fitted(Samples.of(rng.standard_normal((2000, 2))), quantile=0.9)
    kept = part.correct(Samples.of(rng.standard_normal((2000, 2))), key=KEY).verdict == Verdict.KEPT
    assert kept.mean() == pytest.approx(0.9, abs=4 * np.sqrt(2 * 0.09 / 2000))


def test_radius_in_place_of_a_quantile():
    part = fitted(Samples.of(np.zeros((3, 1))), radius=1.5)
    answer = part.correct(Samples.of(np.array([[1.4], [-1.6], [1.5]])), key=KEY)
    assert answer.verdict.tolist() == [Verdict.KEPT, Verdict.DROPPED, Verdict.KEPT]


def test_more_neighbours_do_not_trust_an_outlier():
    real = Samples.of(np.append(np.arange(20.0) / 10, 50.0)[:, None])
    near_outlier = Samples.of(np.array([[50.1]]))
    assert fitted(real, radius=1.0).correct(near_outlier, key=KEY).verdict[0] == Verdict.KEPT
    assert fitted(real, radius=1.0, neighbours=2).correct(near_outlier, key=KEY).verdict[0] == Verdict.DROPPED


def test_by_label_a_row_must_be_near_its_own_class():
    real = Samples.of(np.array([[0.0], [0.1], [5.0], [5.1]]), label=np.array([0, 0, 1, 1]))
    rows = Samples.of(np.array([[0.0], [0.0], [5.0]]), label=np.array([0, 1, 9]))
    assert fitted(real, radius=1.0).correct(rows, key=KEY).verdict.tolist() == [0, 0, 0]
    verdict = fitted(real, radius=1.0, by_label=True).correct(rows, key=KEY).verdict
    assert verdict.tolist() == [Verdict.KEPT, Verdict.DROPPED, Verdict.FAILED]


def test_action_fail_leaves_the_choice_to_the_loop():
    part = fitted(Samples.of(np.zeros((3, 1))), radius=1.0, action="fail")
    answer = part.correct(Samples.of(np.array([[9.0]])), key=KEY)
    assert answer.verdict[0] == Verdict.FAILED
    assert len(answer.survivors("keep_raw")) == 1


def test_distance_in_a_feature_space():
    rng = np.random.default_rng(0)
    real = Samples.of(rng.standard_normal((200, 2)) * [10.0, 0.01])
    part = fitted(real, space={"kind": "pca", "components": 1})
    answer = part.correct(Samples.of(np.array([[0.0, 3.0], [90.0, 0.0]])), key=KEY)
    assert answer.verdict.tolist() == [Verdict.KEPT, Verdict.DROPPED]


def test_of_many_real_rows_some_measure_the_quantile(monkeypatch):
    rng = np.random.default_rng(0)
    real = Samples.of(rng.standard_normal((3000, 2)), label=np.append(np.zeros(2997, int), [1, 1, 1]))
    whole = fitted(real)
    monkeypatch.setattr(nearest_real, "_MOST_OWN", 1000)
    assert fitted(real).threshold == pytest.approx(whole.threshold, rel=0.15)
    monkeypatch.setattr(nearest_real, "_MOST_OWN", 1)  # no row of a class may be among them
    assert fitted(real, by_label=True).threshold > 0


def test_what_cannot_be_used_is_refused():
    with pytest.raises(DataError, match="got none"):
        fitted(Samples.of(np.zeros((0, 1))))
    with pytest.raises(DataError, match="more than neighbours = 2 real rows, got 2"):
        fitted(Samples.of(np.zeros((2, 1))), neighbours=2)
    with pytest.raises(DataError, match="of class 1, got 1"):
        fitted(Samples.of(np.zeros((3, 1)), label=np.array([0, 0, 1])), by_label=True)
    with pytest.raises(DataError, match="NaN"):
        fitted(Samples.of(np.full((4, 1), np.nan)))
    with pytest.raises(DataError, match="needs numbers"):
        fitted(Samples.of(np.array(["a", "b"])))
    with pytest.raises(PartError, match="call fit"):
        NearestReal().correct(Samples.of(np.zeros((0, 1))), key=KEY)
