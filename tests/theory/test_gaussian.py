"""The laws against an independent simulation: loops of one-dimensional rows, many replicas at once."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.theory.gaussian import limit, moments, replace_log_variance, replace_standard_deviation
from ouroloop.theory.rows import REGIMES, plan


def simulate(regime, last, n, k, strength=0.0, *, replicas, seed, stretch=1.0, ridge=0.0, ddof=0):
    """Fitted means and variances, both (last + 1, replicas), from rows drawn, mixed and refitted in each generation."""
    rng = np.random.default_rng([seed, last, n, k, ddof, int(100 * min(strength, 99)), int(100 * (stretch + ridge))])
    real = rng.standard_normal((replicas, n))
    past: list[np.ndarray] = []
    means, variances = [], []
    training = real
    for t in range(last + 1):
        if t:
            mean, deviation = means[-1][:, None], np.sqrt(stretch * variances[-1])[:, None]
            rows = mean + deviation * rng.standard_normal((replicas, k))
            corrected = rng.random((replicas, k)) < (1.0 if math.isinf(strength) else strength / (1 + strength))
            past.append(np.where(corrected, rng.standard_normal((replicas, k)), rows))
            if regime == "real_only":
                kept = []
            elif regime == "accumulate":
                kept = past
            elif regime == "linear_accumulate":
                kept = [rows[:, : int((i + 1) / t * k)] for i, rows in enumerate(past)]
            else:
                kept = past[-1:]
            first = rng.standard_normal((replicas, n)) if regime == "fresh_real" else real
            kept = kept if regime == "replace" else [first, *kept]
            training = np.concatenate(kept, axis=1)
        means.append(training.mean(axis=1))
        variances.append(training.var(axis=1, ddof=ddof) + ridge)
    return np.array(means), np.array(variances)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0, math.inf])
@pytest.mark.parametrize(("n", "k"), [(8, 4), (5, 9), (3, 3), (12, 2), (20, 10)])
def test_moments_are_exact_in_every_regime(agrees, regime, strength, n, k):
    last, at = 12, [0, 1, 4, 12]
    law = moments(plan(regime, last, n, k), strength)

    def run(seed):
        m, v = simulate(regime, last, n, k, strength, replicas=4000, seed=seed)
        return [*m[at] ** 2, *v[at]]

    agrees(run, [*law.mean_square[at], *law.variance[at]])


@pytest.mark.parametrize("regime", ["replace", "accumulate", "linear_accumulate", "fixed_real", "fresh_real"])
@pytest.mark.parametrize(
    "options",
    [
        {"stretch": 1.2},
        {"stretch": 0.7, "strength": 0.5},
        {"ddof": 1, "strength": 0.2},
        {"ridge": 0.3},
        {"stretch": 1.2, "ridge": 0.1, "ddof": 1},
    ],
)
def test_moments_with_a_distorted_sampler_a_ridge_or_the_unbiased_covariance(agrees, regime, options):
    last, n, k, at = 8, 7, 6, [0, 1, 3, 8]
    names = {"stretch": "sampler_distortion", "ridge": "ridge", "ddof": "ddof", "strength": "correction_strength"}
    law = moments(plan(regime, last, n, k), **{names[name]: value for name, value in options.items()})

    def run(seed):
        m, v = simulate(regime, last, n, k, replicas=8000, seed=seed, **options)
        return [*m[at] ** 2, *v[at]]

    agrees(run, [*law.mean_square[at], *law.variance[at]])


def test_accumulation_follows_the_product_and_the_sine():
    """Kazdan et al.: prod (1 - 1/(n k^2)) -> sin(pi/sqrt n)/(pi/sqrt n)."""
    n, last = 10, 300
    k = np.arange(1, last + 2)
    law = moments(plan("accumulate", last, n, n))
    np.testing.assert_allclose(law.variance, np.cumprod(1 - 1 / (n * k**2)), rtol=1e-12)
    x = math.pi / math.sqrt(n)
    assert limit("accumulate", n, n)[1] == pytest.approx(math.sin(x) / x, rel=1e-12)
    assert law.variance[-1] == pytest.approx(math.sin(x) / x, rel=5e-4)


def test_replacement_loses_a_share_1_over_n_of_variance_each_time():
    law = moments(plan("replace", 30, 20, 10))
    np.testing.assert_allclose(law.variance, 0.95 * 0.9 ** np.arange(31), rtol=1e-9)


@pytest.mark.parametrize("regime", ["replace", "fixed_real", "fresh_real", "real_only"])
@pytest.mark.parametrize("strength", [0.0, 0.2, 3.0, math.inf])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (12, 5), (3, 8)])
def test_the_limits_are_reached(regime, strength, n, k):
    law = moments(plan(regime, 250, n, k), strength)
    square, variance = limit(regime, n, k, strength)
    assert law.mean_square[-1] == pytest.approx(square, abs=1e-9)
    assert law.variance[-1] == pytest.approx(variance, abs=1e-9)


def test_the_limit_of_the_published_fixed_real_settings():
    """v2_gaussian: stationary E m^2 for n = 50 at synthetic ratios .5, 2, 10."""
    assert [round(limit("fixed_real", 50, k)[0], 5) for k in (25, 100, 500)] == [0.02488, 0.02778, 0.02925]


def test_correction_makes_accumulated_error_vanish_and_no_correction_does_not():
    assert limit("linear_accumulate", 50, 25, 0.1) == (0.0, 1.0)
    with pytest.raises(SpecError, match="no closed limit"):
        limit("linear_accumulate", 50, 25)
    assert limit("accumulate", 50, 25)[0] > 1 / 50


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize(("n", "k", "last"), [(9, 6, 4), (6, 12, 2), (20, 7, 6)])
def test_the_typical_path_of_replacement(agrees, dim, ddof, n, k, last):
    """E log det of products of Wishart matrices, drawn by fitting rows."""

    def run(seed, replicas=2000):
        rng = np.random.default_rng([seed, dim, ddof, n])
        root = np.broadcast_to(np.eye(dim), (replicas, dim, dim))
        found = []
        for t in range(last + 1):
            z = rng.standard_normal((replicas, n if t == 0 else k, dim))
            z -= z.mean(axis=1, keepdims=True)
            covariance = root @ np.swapaxes(z, 1, 2) @ z @ np.swapaxes(root, 1, 2) / (z.shape[1] - ddof)
            root = np.linalg.cholesky(covariance)
            found.append(np.linalg.slogdet(covariance)[1])
        return found

    agrees(run, replace_log_variance(n, k, last, dim, ddof))


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("last", [3, 10])
@pytest.mark.parametrize(("n", "k"), [(8, 5), (3, 3), (4, 15), (25, 10), (12, 30)])
def test_the_standard_deviation_of_replacement(agrees, n, k, last, ddof):
    def run(seed):
        return np.sqrt(simulate("replace", last, n, k, replicas=4000, seed=seed, ddof=ddof)[1])

    agrees(run, replace_standard_deviation(n, k, last, ddof))


def test_the_mean_of_the_variance_hides_what_its_logarithm_shows():
    assert moments(plan("replace", 200, 50, 50), ddof=1).variance[-1] == pytest.approx(1.0)
    assert replace_log_variance(50, 50, 200, ddof=1)[-1] == pytest.approx(-201 / 49, rel=0.05)


def test_an_unstable_loop_ends_in_infinity():
    law = moments(plan("replace", 900, 10, 10), sampler_distortion=10.0)
    assert np.isinf(law.variance[-1])
    assert np.isinf(law.mean_square[-1])
    assert not np.isnan(law.variance).any()


def test_too_few_rows():
    assert moments(plan("replace", 3, 1, 1)).variance.tolist() == [0, 0, 0, 0]
    assert replace_log_variance(5, 1, 2).tolist()[1:] == [-math.inf, -math.inf]
    assert np.isinf(replace_log_variance(3, 9, 1, dim=3)).all()
    assert replace_standard_deviation(5, 1, 2).tolist()[1:] == [0.0, 0.0]
    with pytest.raises(SpecError, match="ddof"):
        moments(plan("replace", 3, 5, 1), ddof=1)


@settings(max_examples=80, deadline=None)
@given(
    regime=st.sampled_from(REGIMES),
    last=st.integers(0, 30),
    n=st.integers(1, 10**6),
    k=st.sampled_from([1, 2, 10**3, 10**6, 10**12]),
    strength=st.floats(0, 1e9) | st.just(math.inf),
)
def test_extremes_give_moments_between_0_and_1(regime, last, n, k, strength):
    law = moments(plan(regime, last, n, k), strength)
    for values in (law.mean_square, law.variance):
        assert (values >= 0).all()
        assert (values <= 1 + 1e-6).all()
    np.testing.assert_allclose(law.mean_square + law.variance, 1.0, atol=1e-6)


@given(
    regime=st.sampled_from(["replace", "fixed_real", "fresh_real", "accumulate", "real_only"]),
    n=st.integers(1, 10**9),
    k=st.integers(1, 10**9),
    strength=st.floats(0, 1e12) | st.just(math.inf),
)
def test_limits_are_probabilities(regime, n, k, strength):
    square, variance = limit(regime, n, k, strength)
    assert -1e-12 <= square <= 1 + 1e-12
    assert variance == 1 - square


@pytest.mark.parametrize(
    "wrong",
    [{"correction_strength": -1.0}, {"correction_strength": math.nan}, {"sampler_distortion": 0.0}, {"ridge": -1.0}],
)
def test_arguments_out_of_range_are_named(wrong):
    with pytest.raises(SpecError, match=next(iter(wrong))):
        moments(plan("replace", 3, 5, 5), **wrong)
