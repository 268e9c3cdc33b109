import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import DataError, SpecError
from ouroloop.theory import estimate


@pytest.mark.parametrize("p", [0.02, 0.3, 0.9])
def test_intervals_of_rates_cover_at_least_as_often_as_they_say(p):
    rng, n, trials = np.random.default_rng(0), 40, 3000
    found = [estimate.rate(int(k), n, 0.9) for k in rng.binomial(n, p, size=trials)]
    covered = np.mean([r.low <= p <= r.high for r in found])
    assert covered >= 0.9 - 3 * np.sqrt(0.09 / trials)


def test_rates_at_the_ends():
    assert estimate.rate(0, 5).low == 0.0
    assert estimate.rate(5, 5).high == 1.0
    with pytest.raises(SpecError, match="successes"):
        estimate.rate(6, 5)
    with pytest.raises(SpecError, match="n:"):
        estimate.rate(0, 0)


@pytest.mark.parametrize(("noise", "phi", "psi"), [(0.2, 0.9, 0.1), (0.5, 1.0, 0.6), (0.7, 0.5, 0.5)])
def test_rates_of_a_verifier_are_found(noise, phi, psi):
    rng, n = np.random.default_rng(1), 40_000
    correct = rng.random(n) >= noise
    kept = rng.random(n) < np.where(correct, phi, psi)
    found = estimate.verifier_rates(correct, kept, 0.999)
    law = {
        "label_noise": noise,
        "keep_correct": phi,
        "keep_wrong": psi,
        "p_star": 1.0 / (1.0 + psi / phi),
        "purity": (1 - noise) * phi / ((1 - noise) * phi + noise * psi),
    }
    for name, rate in found.table():
        assert rate.low <= law[name] <= rate.high, name
        assert rate.value == pytest.approx(law[name], abs=0.02)


def test_advice_says_help_hurt_or_undecided():
    right = np.array([1] * 80 + [0] * 20)
    good = estimate.verifier_rates(right, right)
    assert "help" in estimate.advice(good)
    assert "more often than wrong ones, and drops 0 %" in estimate.advice(good)
    strict = np.array([1] * 100 + [0] * 850 + [0] * 50)  # keeps 100 of 950 right rows and no wrong one of 50
    assert "drops 89 % of the right ones" in estimate.advice(estimate.verifier_rates([1] * 950 + [0] * 50, strict))
    bad = estimate.verifier_rates(1 - right, np.ones(100, int))
    assert "mislead" in estimate.advice(bad)
    assert "undecided" in estimate.advice(estimate.verifier_rates([1, 0, 1, 0], [1, 1, 1, 0]))


@pytest.mark.parametrize(
    ("correct", "kept", "match"),
    [
        ([], [], "one flag a row"),
        ([1, 0], [1], "equally long"),
        ([1, 2], [1, 1], "0 and 1"),
        ([1, 1], [1, 1], "no wrong label"),
        ([0, 0], [1, 1], "no right label"),
        ([0, 1], [0, 0], "no row that was kept"),
    ],
)
def test_what_cannot_be_told_is_an_error(correct, kept, match):
    with pytest.raises(DataError, match=match):
        estimate.verifier_rates(correct, kept)


@given(
    q=st.floats(0.05, 2.5),
    start=st.floats(-5, 5),
    step=st.floats(0.1, 3),
    points=st.integers(5, 20),
    sign=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_contraction_of_an_exact_curve_is_recovered(q, start, step, points, sign):
    step = step if sign else -step
    x = [start]
    for _ in range(points - 1):
        x.append(x[-1] + step)
        step *= q
    found = estimate.contraction(x)
    assert found.factor.value == pytest.approx(q, abs=2e-3, rel=1e-3)
    np.testing.assert_allclose(found.predict(np.arange(points)), x, atol=1e-2 * max(1.0, np.ptp(x)))


@pytest.mark.parametrize("q", [1.7, 2.0, 5.0, 30.0])
def test_a_fast_runaway_is_recovered(q):
    found = estimate.contraction((1.0 - q ** np.arange(8)) / (1.0 - q))
    assert found.factor.value == pytest.approx(q, rel=1e-3)


def test_noise_is_rarely_taken_for_a_runaway():
    rng, loops = np.random.default_rng(4), 400
    found = [estimate.contraction(row) for row in 1.0 + rng.normal(0.0, 0.1, size=(loops, 6))]
    errors = [abs(float(f.predict(15)[0]) - 1.0) for f in found]
    assert np.mean([f.factor.value > 1.0 for f in found]) < 0.12
    assert np.median(errors) < 0.3


def test_one_value_that_is_off_at_the_end_is_no_runaway():
    """Of q = 100 the curve is flat but for the last point: the best fit, and 10^12 a few generations later."""
    found = estimate.contraction([0.1344, 0.1271, 0.1322, 0.1307, 0.1333, 0.078])
    assert found.factor.value <= 1.0
    assert abs(float(found.predict(12)[0])) < 1.0


@pytest.mark.parametrize("scale", [1e-200, 1e-12, 1.0, 1e12, 1e200])
def test_the_factor_does_not_depend_on_the_unit(scale):
    found = estimate.contraction(scale * np.array([1.0, 2.0, 2.5, 2.75, 2.875]))
    assert found.factor.value == pytest.approx(0.5, abs=2e-3)
    assert found.limit == pytest.approx(3.0 * scale, rel=1e-3)


def test_a_long_loop_is_fitted():
    found = estimate.contraction(1.0 - 0.999 ** np.arange(5001))
    assert found.factor.value == pytest.approx(0.999, abs=5e-4)


def test_noise_does_not_bias_the_factor_towards_zero():
    """A regression of x(t+1) on x(t) finds about 0.5 here; the curve finds what it was made with."""
    rng, q, t = np.random.default_rng(2), 0.8, np.arange(16)
    curves = 1.0 - q**t + rng.normal(0.0, 0.15, size=(200, 16))
    found = estimate.contraction(curves)
    assert found.factor.low <= q <= found.factor.high
    assert found.limit == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("seeds", [3, 5, 8])
def test_the_interval_of_the_factor_covers_as_often_as_it_says(seeds):
    """95 % within three standard errors of 80 trials; resampled seeds cover 70 % with 3 of them."""
    rng, truth, trials = np.random.default_rng(seeds), (1.0 - 0.4 ** np.arange(11)) / 1.2, 80
    found = [estimate.contraction(truth + 0.05 * rng.normal(size=(seeds, 11))).factor for _ in range(trials)]
    assert np.mean([r.low <= 0.4 <= r.high for r in found]) >= 0.95 - 3.0 * math.sqrt(0.05 * 0.95 / trials)


def test_growth_has_no_limit():
    assert estimate.contraction([0.0, 1.0, 2.0, 3.0, 4.0]).limit == math.inf
    assert estimate.contraction([0.0, -1.0, -3.0, -7.0, -15.0]).limit == -math.inf
    assert estimate.contraction([2.0, 2.0, 2.0, 2.0]).limit == 2.0


@pytest.mark.parametrize(
    "values",
    [[1.0, 2.0, 3.0], [1.0, 2.0, math.nan, 4.0], np.zeros((0, 5)), ["a"] * 5, [[1.0, 2.0], [3.0]], [None] * 5],
)
def test_too_few_or_bad_values(values):
    with pytest.raises(DataError, match="contraction"):
        estimate.contraction(values)


def test_generations_increase_and_confidence_is_a_share():
    with pytest.raises(DataError, match="must increase"):
        estimate.contraction([1.0, 2.0, 3.0, 4.0], generations=[3, 2, 1, 0])
    with pytest.raises(SpecError, match="confidence"):
        estimate.contraction([1.0, 2.0, 3.0, 4.0], confidence=1.5)


@pytest.mark.parametrize("s2", [0.6, 1.0, 1.5])
def test_distortion_of_a_sampler(s2):
    rng = np.random.default_rng(3)
    mean = np.array([3.0, -2.0, 1.0])
    found = estimate.sampler_distortion(
        mean + rng.normal(size=(4000, 3)), 2 * mean + math.sqrt(s2) * rng.normal(size=(5000, 3)), confidence=0.999
    )
    assert found.low <= s2 <= found.high
    assert found.high - found.low < 0.2


@pytest.mark.parametrize(
    ("training", "generated", "match"),
    [
        (np.zeros((1, 2)), np.zeros((5, 2)), "at least 2 rows"),
        (np.zeros((4, 2)), np.zeros((5, 3)), "one width"),
        (np.full((4, 2), np.nan), np.zeros((5, 2)), "finite"),
        (np.ones((4, 2)), np.zeros((5, 2)), "do not vary"),
    ],
)
def test_distortion_needs_rows_that_vary(training, generated, match):
    with pytest.raises(DataError, match=match):
        estimate.sampler_distortion(training, generated)
