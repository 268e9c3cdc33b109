"""Laws of single generations against loops of rows, the general moments, and the simulator on sufficient statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.theory import gaussian, stability
from ouroloop.theory.rows import plan
from ouroloop.theory.simulate import gaussian_loop


def rows_loop(regime, last, n, seed, *, unbiased=False, ratio=1, stretch=1.0, replicas=2000):
    """Mean and variance of the last fit, each (replicas,): rows are drawn, pooled and refitted."""
    rng = np.random.default_rng([seed, last, n, ratio, int(unbiased), int(100 * stretch)])
    real = rng.standard_normal((replicas, n))
    training = pool = real
    for t in range(1, last + 1):
        mean, variance = training.mean(axis=1), training.var(axis=1, ddof=int(unbiased))
        if t == last:
            return mean, variance
        new = mean[:, None] + np.sqrt(stretch * variance)[:, None] * rng.standard_normal((replicas, ratio * n))
        pool = np.concatenate([pool, new], axis=1)
        order = np.argsort(rng.random(pool.shape), axis=1)[:, :n]
        training = {
            "replace": new,
            "accumulate": pool,
            "accumulate_subsample": np.take_along_axis(pool, order, axis=1),
            "fixed_real": np.concatenate([real, new], axis=1),
            "fresh_real": np.concatenate([rng.standard_normal(real.shape), new], axis=1),
        }[regime]
    raise AssertionError


GRID = [(t, n, unbiased) for t in (1, 2, 5) for n in (4, 7, 12, 25) for unbiased in (False, True)]


@pytest.mark.parametrize("regime", gaussian.LAWS)
@pytest.mark.parametrize(("last", "n", "unbiased"), GRID)
def test_exact_laws(agrees, regime, last, n, unbiased):
    ratio = 2 if "real" in regime else 1
    options = {"unbiased": unbiased, "synthetic_ratio": ratio}

    def simulate(which, seed):
        found = rows_loop(regime, last, n, seed, unbiased=unbiased, ratio=ratio)
        return found[1] if which == "variance" else found[0] ** 2

    agrees(lambda seed: simulate("variance", seed), gaussian.variance(regime, last, n, **options))
    agrees(lambda seed: simulate("mean", seed), gaussian.mean_squared_error(regime, last, n, **options))


@pytest.mark.parametrize("regime", ["replace", "fixed_real", "fresh_real"])
@pytest.mark.parametrize("bias", [0.3, 0.6, 0.9, 1.3])
@pytest.mark.parametrize("n", [6, 10, 15, 22, 30])
def test_mads_sampling_bias_in_its_three_loops(agrees, regime, bias, n):
    """Fully synthetic, fixed and fresh real data; with the unbiased covariance the first loses the factor exactly."""
    law = gaussian.variance(regime, 4, n, True, sampler_distortion=bias)
    agrees(lambda seed: rows_loop(regime, 4, n, seed, unbiased=True, stretch=bias)[1], law)
    if regime == "replace":
        assert law == pytest.approx(bias**3)


@pytest.mark.parametrize("bias", [0.1, 0.8, 0.9, 1.0, 1.5])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.9, 2.1])
def test_the_limit_of_a_biased_sampler_with_many_rows(bias, ratio):
    """n_r/(n_r + n_s (1 - bias)); at ratio (s^2 - 1) >= 1 there is none."""
    found = gaussian.variance("fixed_real", 10**5, 10**9, synthetic_ratio=ratio, sampler_distortion=bias)
    limit = stability.distorted_variance_limit(bias, ratio)
    assert limit == pytest.approx(1 / (1 + ratio * (1 - bias)) if ratio * (bias - 1) < 1 else math.inf)
    assert found == pytest.approx(limit, rel=1e-4)


@pytest.mark.parametrize("regime", ["replace", "accumulate", "fixed_real", "fresh_real"])
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("n", [2, 9])
def test_they_are_the_general_moments(regime, unbiased, n):
    ratio = 3 if "real" in regime else 1
    general = gaussian.moments(plan(regime, 30, n, ratio * n), ddof=int(unbiased))
    fits = np.arange(1, 32)
    options = {"unbiased": unbiased, "synthetic_ratio": ratio}
    np.testing.assert_allclose(gaussian.variance(regime, fits, n, **options), general.variance, atol=1e-12)
    np.testing.assert_allclose(gaussian.mean_squared_error(regime, fits, n, **options), general.mean_square, atol=1e-12)


@pytest.mark.parametrize("regime", gaussian.LAWS)
@pytest.mark.parametrize(("n", "d", "unbiased"), [(10, 3, False), (4, 6, False), (8, 1, True), (30, 2, True)])
def test_the_simulator_on_sufficient_statistics_follows_the_laws(agrees, regime, n, d, unbiased):
    """n = 4, d = 6: singular scatter matrices."""

    def simulate(seed, name):
        return getattr(gaussian_loop(regime, 5, n, d, Key(seed), replicas=2000, unbiased=unbiased), name)[-1]

    agrees(lambda seed: simulate(seed, "variance"), gaussian.variance(regime, 5, n, unbiased))
    agrees(lambda seed: simulate(seed, "mean_square"), gaussian.mean_squared_error(regime, 5, n, unbiased))


def test_the_simulator_has_the_spread_of_rows_too():
    """Not only means: quantiles of the variance of the last fit, from statistics and from rows."""
    ours = gaussian_loop("accumulate", 6, 9, 1, Key(0), replicas=6000).variance[-1]
    _, rows = rows_loop("accumulate", 6, 9, 1, replicas=6000)
    np.testing.assert_allclose(np.quantile(ours, [0.1, 0.5, 0.9]), np.quantile(rows, [0.1, 0.5, 0.9]), rtol=0.04)


def test_the_simulator_repeats_itself_and_mixes_real_rows_as_asked():
    again = [gaussian_loop("fixed_real", 3, 5, 2, Key(4), replicas=3, synthetic_ratio=0.2).mean for _ in range(2)]
    np.testing.assert_array_equal(*again)
    none = gaussian_loop("fixed_real", 4, 5, 2, Key(4), replicas=3, synthetic_ratio=0.0)
    np.testing.assert_array_equal(none.mean[0], none.mean[3])
    with pytest.raises(SpecError, match="whole number of synthetic rows"):
        gaussian_loop("fixed_real", 3, 5, 2, Key(4), synthetic_ratio=0.3)


@pytest.mark.parametrize("unbiased", [False, True])
def test_the_typical_path_of_replacement(unbiased):
    """The median over runs is nearer to the law than the mean is, at generation 150 of n = 30."""
    found = gaussian_loop("replace", 150, 30, 1, Key(1), replicas=3000, unbiased=unbiased).variance[-1]
    law = gaussian.median_variance(150, 30, unbiased)
    spread = 1.25 * np.log(found).std() / math.sqrt(3000)
    assert abs(np.log(np.median(found)) - math.log(law)) < 3 * spread + 0.03
    assert law == pytest.approx(math.exp(gaussian.replace_log_variance(30, 30, 149, 1, int(unbiased))[-1]))
    assert gaussian.median_variance(0, 30) == 1.0
    assert gaussian.median_variance([0, 1, 5], 1).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("n", [2, 3, 10, 1000])
def test_accumulation_keeps_its_digits(n):
    """The product itself, and the sine beyond: gamma functions of large numbers have none left."""
    t = np.arange(1, 2001)
    np.testing.assert_allclose(gaussian.variance("accumulate", t, n), np.cumprod(1 - 1 / (n * t**2.0)), rtol=1e-12)
    x = math.pi / math.sqrt(n)
    for last in (10**6, 10**9, 10**15, 10**300):
        expected = math.sin(x) / x * (1 + 1 / n / last)
        assert gaussian.variance("accumulate", last, n) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("unbiased", [False, True])
def test_the_typical_variance_keeps_its_digits(unbiased):
    """Around 10,000 rows, where two forms meet, and after n generations of any n: exp(-2), exp(-1)."""
    n = np.arange(9_990, 10_020)
    steps = np.diff(np.log(gaussian.median_variance(1, n, unbiased)))
    np.testing.assert_allclose(steps, (1 if unbiased else 2) / n[:-1] / n[1:], rtol=2e-3)
    for rows in (10**8, 10**12, 10**20, 10**300):
        assert gaussian.median_variance(rows, rows, unbiased) == pytest.approx(
            math.exp(-1 if unbiased else -2), rel=1e-7
        )


def test_published_figures():
    assert gaussian.variance("replace", 100, 100) == pytest.approx(0.366, abs=5e-4)
    assert 10 * gaussian.mean_squared_error("replace", 100, 100) == pytest.approx(6.34, abs=5e-3)
    assert gaussian.variance("accumulate", 100, 100) == pytest.approx(0.984, abs=5e-4)
    assert gaussian.variance("accumulate", 10**9, 10) == pytest.approx(
        math.sin(math.pi / 10**0.5) / (math.pi / 10**0.5)
    )
    assert 10 * gaussian.mean_squared_error("accumulate_subsample", 100, 100) == pytest.approx(0.29, abs=5e-3)
    assert gaussian.mean_squared_error("fixed_real", 10**6, 50, synthetic_ratio=2.0) == pytest.approx(0.02778, abs=1e-5)


@settings(max_examples=200, deadline=None)
@given(
    regime=st.sampled_from(gaussian.LAWS),
    t=st.integers(0, 3000),
    n=st.integers(1, 20) | st.just(10**9),
    unbiased=st.booleans(),
    ratio=st.sampled_from([0.0, 1.0, 3.0, 1e6]),
)
def test_extremes_are_finite_and_conserve_the_second_moment(regime, t, n, unbiased, ratio):
    if unbiased and n == 1:
        with pytest.raises(SpecError, match="n: "):
            gaussian.variance(regime, t, n, True)
        return
    options = {"synthetic_ratio": ratio} if "real" in regime else {}
    v = gaussian.variance(regime, t, n, unbiased, **options)
    m = gaussian.mean_squared_error(regime, t, n, unbiased, **options)
    # unbiased covariances also count how far the batches' means are apart, which grows about as t^(1/n) at worst
    assert 0 <= v <= (3 * max(t, 1) ** (1 / n) if unbiased else 1 + 1e-9)
    assert 0 <= m < math.inf
    if not unbiased and regime != "accumulate_subsample":
        assert v + m == pytest.approx(1.0)
    if t == 0:
        assert (v, m) == (1.0, 0.0)


@given(
    regime=st.sampled_from(["replace", "fixed_real", "fresh_real"]),
    t=st.integers(0, 10**6),
    n=st.integers(1, 50),
    stretch=st.floats(1e-9, 1e9),
)
def test_an_unstable_loop_ends_in_infinity_and_never_in_nan(regime, t, n, stretch):
    for law in (gaussian.variance, gaussian.mean_squared_error):
        assert law(regime, t, n, sampler_distortion=stretch) >= 0


def test_arrays_broadcast():
    t, n = np.arange(6)[:, None], np.array([3, 10, 100])
    for regime in gaussian.LAWS:
        for unbiased in (False, True):
            found = gaussian.variance(regime, t, n, unbiased)
            assert found.shape == (6, 3)
            assert found[4, 1] == gaussian.variance(regime, 4, 10, unbiased)
    assert isinstance(gaussian.variance("replace", 1, 5), float)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: gaussian.variance("linear", 1, 5), "regime: must be one of"),
        (lambda: gaussian.variance("replace", -1, 5), "generation"),
        (lambda: gaussian.variance("replace", [1, math.nan], 5), "generation"),
        (lambda: gaussian.variance("replace", 1, 2.5), "n: must be whole"),
        (lambda: gaussian.variance("accumulate", 1, 5, synthetic_ratio=2.0), "synthetic_ratio"),
        (lambda: gaussian.variance("fixed_real", 1, 5, synthetic_ratio=0.1), "at least one synthetic row"),
        (lambda: gaussian.variance("accumulate", 1, 5, sampler_distortion=2.0), "sampler_distortion"),
        (lambda: gaussian.variance("replace", 1, 5, sampler_distortion=0.0), "sampler_distortion"),
        (lambda: gaussian.variance("accumulate_subsample", 10**7, 5), "stepped up to"),
        (lambda: gaussian_loop("replace", 0, 5, 1, Key(0)), "generations"),
        (lambda: gaussian_loop("forget", 1, 5, 1, Key(0)), "regime"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(SpecError, match=message):
        call()


@pytest.mark.parametrize("regime", ["fixed_real", "fresh_real"])
@pytest.mark.parametrize(("n", "ratio", "drawn"), [(13, 0.31, 5), (10, 0.15, 2), (7, 1.0, 7), (10, 0.3, 3)])
def test_a_ratio_is_rounded_up_to_whole_rows(regime, n, ratio, drawn):
    exact = gaussian.moments(plan(regime, 6, n_real=n, draws=drawn), sampler_distortion=0.6, ddof=1)
    options = {"unbiased": True, "synthetic_ratio": ratio, "sampler_distortion": 0.6}
    np.testing.assert_allclose(gaussian.variance(regime, np.arange(1, 8), n, **options), exact.variance, rtol=1e-10)
    square = gaussian.mean_squared_error(regime, np.arange(1, 8), n, **options)
    np.testing.assert_allclose(square, exact.mean_square, rtol=1e-10)
