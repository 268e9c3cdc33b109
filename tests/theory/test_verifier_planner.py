"""What a verifier needs, against brute force over the accuracy, and that a loop over its rates finds no exception."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.theory.verification import classifier_accuracy
from ouroloop.theory.verifier_planner import needed_verifier


def inside(intervals, rate):
    return any(low <= rate <= high for low, high in intervals)


@given(
    n=st.integers(0, 300),
    m=st.integers(1, 1500),
    p=st.integers(2, 300),
    signal=st.floats(0.2, 2.5),
    noise=st.floats(0.0, 1.0),
    phi=st.floats(0.05, 1.0),
    ridge=st.floats(-4, 1).map(lambda e: 10.0**e),
    wanted=st.floats(0.45, 0.97),
)
@settings(max_examples=60, deadline=None)
def test_rates_are_enough_just_where_the_accuracy_is_reached(n, m, p, signal, noise, phi, ridge, wanted):
    need = needed_verifier(n, m, p, signal, noise, phi, ridge, wanted)
    for rate in np.linspace(0.0, 1.0, 83):
        if n == 0 and noise * rate + (1.0 - noise) * phi == 0.0:
            continue  # nothing to train on
        found = classifier_accuracy(n, m, p, signal, noise, phi, float(rate), ridge)
        assert found <= need.best_accuracy + 1e-9, rate  # of rates that are not on the planner's own grid
        if abs(found - wanted) > 1e-7:
            assert inside(need.keep_wrong, rate) == (found > wanted), rate
    for low, high in need.keep_wrong:
        assert 0.0 <= low <= high <= 1.0


def test_no_worse_than_the_real_rows_is_the_default():
    need = needed_verifier(200, 400, 100, 1.0, 0.3, 1.0, 1.0)
    assert need.accuracy == need.alone == classifier_accuracy(200, 0, 100, 1.0, 0.3, 1.0, 1.0, 1.0)
    ((low, high),) = need.keep_wrong
    assert low == 0.0
    assert classifier_accuracy(200, 400, 100, 1.0, 0.3, 1.0, high, 1.0) == pytest.approx(need.alone, abs=1e-9)
    assert classifier_accuracy(200, 400, 100, 1.0, 0.3, 1.0, high + 1e-4, 1.0) < need.alone


def test_where_more_wrong_rows_help_there_are_two_intervals():
    """Rows and dimensions about as many, hardly a ridge: the accuracy falls, and rises again with more wrong rows."""
    setting = (79, 387, 316, 1.48, 0.22, 0.56, 1e-4)
    curve = [float(classifier_accuracy(*setting[:6], float(rate), 1e-4)) for rate in np.linspace(0.0, 1.0, 2001)]
    dip = int(np.argmin(curve))
    assert 0 < dip < 2000
    wanted = (curve[dip] + curve[-1]) / 2
    need = needed_verifier(*setting, wanted)
    assert len(need.keep_wrong) == 2
    assert need.keep_wrong[-1][1] == 1.0
    for rate, found in zip(np.linspace(0.0, 1.0, 2001), curve, strict=True):
        if abs(found - wanted) > 1e-7:
            assert inside(need.keep_wrong, rate) == (found > wanted)


def test_the_best_rate_is_better_than_those_around_it():
    """The accuracy is highest between two rates of the planner's grid of thousandths."""
    setting, ridge = (164, 266, 232, 0.4546, 0.2133, 0.4557), 0.0013
    need = needed_verifier(*setting, ridge, 0.6)
    rates = np.linspace(0.0, 1.0, 200_001)
    found = np.asarray(classifier_accuracy(*setting, rates, ridge))
    on_grid = np.asarray(classifier_accuracy(*setting, np.linspace(0.0, 1.0, 1001), ridge))
    assert need.best_accuracy >= found.max() - 1e-15 > on_grid.max()
    assert need.best_accuracy == pytest.approx(classifier_accuracy(*setting, need.best_keep_wrong, ridge), abs=1e-15)
    assert need.best_keep_wrong == pytest.approx(rates[found.argmax()], abs=2e-5)


def test_a_rate_does_not_matter_without_wrong_labels_and_none_is_enough_for_the_impossible():
    assert needed_verifier(50, 100, 20, 1.0, 0.0, 1.0, 1.0).keep_wrong == ((0.0, 1.0),)
    assert needed_verifier(200, 400, 100, 1.0, 0.3, 1.0, 1.0, 0.95).keep_wrong == ()
    assert needed_verifier(200, 400, 100, 1.0, 1.0, 1.0, 1.0).keep_wrong[0][0] == 0.0  # keeps nothing: the real rows


def test_without_a_ridge_only_rates_that_keep_enough_rows_have_an_accuracy():
    need = needed_verifier(0, 200, 100, 1.0, 0.4, 0.5, 0.0, 0.51)
    for low, high in need.keep_wrong:
        assert 200 * (0.5 * 0.6 + 0.4 * low) >= 100 - 1e-6
        assert high <= 1.0
    with pytest.raises(SpecError, match="leaves enough rows"):
        needed_verifier(0, 20, 100, 1.0, 0.4, 0.5, 0.0, 0.6)


@pytest.mark.parametrize("wanted", [0.0, 1.0, math.nan, math.inf, -0.5])
def test_an_accuracy_is_a_probability(wanted):
    with pytest.raises(SpecError, match="accuracy"):
        needed_verifier(100, 100, 20, 1.0, 0.1, 1.0, 1.0, wanted)


def test_what_is_missing_is_named():
    with pytest.raises(SpecError, match="must be given"):
        needed_verifier(0, 100, 20, 1.0, 0.1, 1.0, 1.0)
    with pytest.raises(SpecError, match="n_synthetic"):
        needed_verifier(10, 0, 20, 1.0, 0.1, 1.0, 1.0)


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("n_real", -1), ("n_real", 1.5), ("n_synthetic", 0), ("dimension", 0), ("dimension", "5"), ("signal", "x"),
        ("signal", -1.0), ("signal", [1.0, 2.0]), ("label_noise", "x"), ("label_noise", 1.5), ("label_noise", None),
        ("keep_correct", 1.5), ("keep_correct", math.nan), ("keep_correct", "all"), ("ridge", -1.0), ("ridge", "x"),
    ],
)  # fmt: skip
def test_a_bad_argument_is_named(argument, wrong):
    good = {"n_real": 10, "n_synthetic": 10, "dimension": 5, "signal": 1.0, "label_noise": 0.1, "keep_correct": 1.0}
    with pytest.raises(SpecError, match=f"^{argument}: "):
        needed_verifier(**{**good, "ridge": 1.0, argument: wrong})
