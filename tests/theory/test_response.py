"""A generator's constants, recovered from loops that are simulated by their definition, and carried to other loops."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import DataError, SpecError
from ouroloop.theory import estimate
from ouroloop.theory.response import distorted_variance, response, shape, shares

REGIMES = ("replace", "fixed_real", "fresh_real", "accumulate", "linear_accumulate")


def loop(regime, generations, n, ratio, factor, step, start, strength=0.0):
    """The metric of a loop by averaging over training rows one by one: real rows give start, others their model's."""
    k, share, metrics, drawn = math.ceil(ratio * n), 1.0 / (1.0 + strength), [start], []
    for t in range(1, generations + 1):
        answer = start + step + factor * (metrics[-1] - start)
        drawn.append([share * answer + (1.0 - share) * start] * k)
        real = [] if regime == "replace" else [start] * n
        if regime == "accumulate":
            rows = real + [x for past in drawn for x in past]
        elif regime == "linear_accumulate":
            rows = real + [x for i, past in enumerate(drawn, 1) for x in past[: int(i / t * k)]]
        else:
            rows = real + drawn[-1]
        metrics.append(float(np.mean(rows)))
    return np.array(metrics)


@pytest.mark.parametrize("regime", REGIMES)
@given(
    factor=st.floats(0.1, 1.3),
    step=st.floats(-2.0, 2.0),
    ratio=st.sampled_from([0.5, 1.0, 3.0]),
    start=st.floats(-2, 2),
)
@settings(max_examples=15, deadline=None)
def test_the_shape_is_that_of_the_loop(regime, factor, step, ratio, start):
    for strength in (0.0, 0.7):
        k = shares(regime, 9, 20, ratio, strength)
        found = start + step * shape(k, factor)
        np.testing.assert_allclose(found, loop(regime, 9, 20, ratio, factor, step, start, strength), atol=1e-9)


def test_shares_of_mixed_batches():
    plain = shares("accumulate", 4, 20, 1.0)
    mixed = shares("accumulate", 4, 20, 1.0, batch_real_share=0.9)
    np.testing.assert_allclose(mixed[1:].sum(axis=1), 0.1)
    np.testing.assert_allclose(mixed[3] / mixed[3].sum(), plain[3] / plain[3].sum())  # among themselves as before
    np.testing.assert_array_equal(shares("replace", 4, 20, 1.0, batch_real_share=0.9), shares("replace", 4, 20, 1.0))
    np.testing.assert_array_equal(mixed[0], 0.0)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("factor", "step"), [(0.4, 1.0), (0.9, -0.5), (1.0, 0.2)])
def test_constants_are_recovered_and_forecast_other_loops(regime, factor, step):
    curve = loop(regime, 12, 20, 1.0, factor, step, 3.0, 0.5)
    found = response(curve, shares(regime, 12, 20, 1.0, 0.5))
    assert found.factor == pytest.approx(factor, abs=0.02)
    assert found.step == pytest.approx(step, rel=0.02)
    assert found.start == pytest.approx(3.0, abs=1e-3)
    for other, ratio, strength in (("fixed_real", 3.0, 0.0), ("accumulate", 0.5, 2.0), ("replace", 1.0, 1.0)):
        values, low, high = found.predict(shares(other, 15, 20, ratio, strength))
        truth = loop(other, 15, 20, ratio, factor, step, 3.0, strength)
        np.testing.assert_allclose(values, truth, atol=0.06 * np.ptp(truth) + 1e-6)
        assert (low <= values).all()
        assert (values <= high).all()


def test_without_accumulation_it_is_the_contraction():
    rng = np.random.default_rng(0)
    table = 1.0 - 0.6 ** np.arange(10) + 0.01 * rng.normal(size=(5, 10))
    curve, found = estimate.contraction(table), response(table, shares("fixed_real", 9, 10, 2.0))
    assert found.factor * 2 / 3 == pytest.approx(curve.factor.value)
    assert found.step * 2 / 3 == pytest.approx(curve.step)
    np.testing.assert_allclose(found.predict(shares("fixed_real", 20, 10, 2.0))[0], curve.predict(np.arange(21)))


@pytest.mark.parametrize("seeds", [1, 3, 5, 8])
def test_intervals_cover_as_often_as_they_say(seeds):
    """95 % within three standard errors of 80 trials. Resampled seeds cover 67 % with 3 of them, 80 % with 5."""
    rng, k, trials = np.random.default_rng(30 + seeds), shares("fixed_real", 20, 30, 1.0), 80
    truth, inside = loop("fixed_real", 20, 30, 1.0, 0.8, 1.0, 0.0), []
    for _ in range(trials):
        table = truth[:11] + 0.05 * rng.normal(size=(seeds, 11))
        _, low, high = response(table, k).predict(k)
        inside.append(low[20] <= truth[20] <= high[20])
    assert np.mean(inside) >= 0.95 - 3.0 * math.sqrt(0.05 * 0.95 / trials)


def test_noise_of_a_calm_loop_does_not_explode_in_another():
    """Of a flat metric half of whose rows are real, any M < 2 could be the best fit; alone the rows would run away."""
    rng, k, alone = np.random.default_rng(0), shares("fixed_real", 12, 400, 1.0), shares("replace", 12, 400, 1.0)
    ends, inside = [], []
    for _ in range(60):
        found = response(0.1 + 0.03 * rng.normal(size=(4, 6)), k, target=alone)
        values, low, high = found.predict(alone)
        ends.append(values[12])
        inside.append(low[12] <= 0.1 <= high[12])
    ends = np.array(ends)
    assert np.mean(np.abs(ends - 0.1) > 0.1) <= 0.1  # 52 % where the source alone bounds M
    assert np.mean(ends < 0.0) <= 0.05  # 28 %
    assert np.mean(inside) >= 0.95 - 3.0 * math.sqrt(0.05 * 0.95 / 60)


def test_a_runaway_of_the_other_loop_is_claimed_where_the_run_shows_it():
    k, alone = shares("fixed_real", 11, 20, 1.0), shares("replace", 15, 20, 1.0)
    curve = loop("fixed_real", 11, 20, 1.0, 1.3, 1.0, 3.0)
    found = response(curve, k, target=alone)
    assert found.factor == pytest.approx(1.3, abs=0.02)
    noisy = response(curve + 0.5 * np.random.default_rng(0).normal(size=12), k, target=alone)
    assert noisy.factor == pytest.approx(1.0)
    assert noisy.best > 1.0
    assert (noisy.draws[0] <= 1.0 + 1e-9).all()


def test_a_trend_is_no_noise():
    rng, k = np.random.default_rng(5), shares("fixed_real", 12, 20, 1.0)
    trend = loop("fixed_real", 12, 20, 1.0, 0.8, 0.1, 0.0)[:6]
    steps = [response(trend + 0.03 * rng.normal(size=(4, 6)), k).step for _ in range(50)]
    assert np.mean(np.array(steps) > 0.0) >= 0.9
    steps = [response(0.03 * rng.normal(size=(4, 6)), k).step for _ in range(50)]
    assert np.mean(np.array(steps) == 0.0) >= 0.8


def test_one_seed_has_an_interval_from_what_the_fit_leaves():
    rng, k = np.random.default_rng(2), shares("fixed_real", 20, 30, 1.0)
    wide = response(loop("fixed_real", 11, 30, 1.0, 0.8, 1.0, 0.0) + 0.05 * rng.normal(size=12), k).predict(k)
    narrow = response(loop("fixed_real", 11, 30, 1.0, 0.8, 1.0, 0.0), k).predict(k)
    assert (narrow[2] - narrow[1])[-1] < 0.05 < (wide[2] - wide[1]).max()


def test_generations_that_were_not_measured_are_left_out():
    curve, t = loop("accumulate", 12, 20, 1.0, 0.7, 1.0, 2.0), np.array([0, 2, 3, 7, 11])
    found = response(curve[t], shares("accumulate", 12, 20, 1.0), t)
    np.testing.assert_allclose(found.predict(shares("accumulate", 12, 20, 1.0))[0], curve, atol=1e-3)


@pytest.mark.parametrize("s2", [0.6, 1.0, 1.3])
@pytest.mark.parametrize(("regime", "ratio"), [("replace", 1.0), ("fixed_real", 2.0), ("accumulate", 1.0)])
def test_the_variance_of_a_distorting_sampler(s2, regime, ratio):
    rng, n, t = np.random.default_rng(3), 60_000, 4
    real = rng.normal(size=n)
    variance, past, measured = 1.0, [], [s2]
    for _ in range(t):
        past.append(math.sqrt(s2 * variance) * rng.normal(size=int(ratio * n)))
        rows = {"replace": past[-1:], "fixed_real": [real, past[-1]], "accumulate": [real, *past]}[regime]
        variance = float(np.concatenate(rows).var())
        measured.append(s2 * variance)
    np.testing.assert_allclose(distorted_variance(shares(regime, t, n, ratio), s2), measured, rtol=0.03)


def test_a_runaway_stays_within_floating_point():
    values, low, high = response([0.0, 1.0, 3.0, 7.0, 15.0, 31.0], shares("replace", 5, 10, 1.0)).predict(
        shares("replace", 900, 10, 1.0)
    )
    assert np.isfinite([values, low, high]).all()
    assert values[-1] > 1e100


def test_what_cannot_be_fitted_is_an_error():
    with pytest.raises(DataError, match="at least 4"):
        response([1.0, 2.0, 3.0], shares("replace", 3, 10, 1.0))
    with pytest.raises(SpecError, match="no synthetic row"):
        response([1.0, 2.0, 3.0, 4.0], shares("real_only", 3, 10, 0.0))
    with pytest.raises(SpecError, match="known up to generation 2"):
        response([1.0, 2.0, 3.0, 4.0], shares("replace", 2, 10, 1.0))
    with pytest.raises(DataError, match="finite"):
        response([1.0, math.nan, 3.0, 4.0], shares("replace", 3, 10, 1.0))
    for values in (["a"] * 4, [[1.0, 2.0], [1.0]], np.zeros((2, 2, 4)), [1j, 2j, 3j, 4j]):
        with pytest.raises(DataError, match="response: values: must be numbers"):
            response(values, shares("replace", 3, 10, 1.0))
    with pytest.raises(SpecError, match="generations: must be whole"):
        response([1.0, 2.0, 3.0, 4.0], shares("replace", 3, 10, 1.0), [0, 0.5, 1, 2])
    for wrong in ([0.0, 1.0], np.zeros((3, 4)), "replace"):
        with pytest.raises(SpecError, match="target"):
            response([1.0, 2.0, 3.0, 4.0], shares("replace", 3, 10, 1.0), target=wrong)
    with pytest.raises(SpecError, match="synthetic_ratio: must be one number"):
        shares("replace", 3, 10, [1, 2])
    with pytest.raises(SpecError, match="sampler_distortion"):
        distorted_variance(shares("replace", 3, 10, 1.0), 0.0)
