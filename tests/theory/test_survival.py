from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.theory import survival
from ouroloop.theory.simulate import discrete_loop

ZIPF = 1.0 / (np.arange(1, 1001.0) + 2.7)
ZIPF /= ZIPF.sum()


@pytest.mark.parametrize("mean", [0.01, 0.3, 1.0, 4.0, 8.0])
@pytest.mark.parametrize("generation", [1, 2, 5, 12])
def test_poisson_counts(agrees, mean, generation):
    def simulate(seed):
        rng = np.random.default_rng([seed, generation, int(100 * mean)])
        counts = rng.poisson(mean, 40_000)
        for _ in range(generation - 1):
            counts = rng.poisson(counts)
        return counts > 0

    agrees(simulate, survival.poisson_survival(mean, generation))


def test_the_published_example():
    """Probabilities 1/(rank + 2.7), n = 1,000, as in the authors' notebook."""
    found = survival.expected_support(ZIPF, 1000, np.arange(1, 11))
    published = [390, 292.5, 239, 204.5, 180, 161, 146, 134, 124, 115]
    assert found.shape == (10,)
    np.testing.assert_allclose(found, published, atol=0.5)


@pytest.mark.parametrize("n", [50, 300, 1000])
@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_draws_of_a_fixed_number(n, exponent):
    """A lower bound, and within 3 standard errors of 5 %."""
    p = np.arange(1, 201.0) ** -exponent
    support = discrete_loop("replace", 8, n, p / p.sum(), Key(0), replicas=300).support
    law = survival.expected_support(p / p.sum(), n, np.arange(1, 9))
    error = 3 * support.std(axis=1) / math.sqrt(300)
    assert (support.mean(axis=1) > law - error).all()
    assert (support.mean(axis=1) < 1.05 * law + error).all()


@pytest.mark.parametrize("n", [1, 2, 3, 10])
@pytest.mark.parametrize("m", [2, 30])
def test_at_least_one_category_is_left_of_a_fixed_number_of_draws(m, n):
    support = discrete_loop("replace", 40, n, np.full(m, 1 / m), Key(1), replicas=4000).support
    law = survival.expected_support(np.full(m, 1 / m), n, np.arange(1, 41))
    error = 3 * support.std(axis=1) / math.sqrt(4000)
    assert (law >= 1.0).all()
    assert (law <= support.mean(axis=1) + error).all()
    np.testing.assert_array_equal(survival.expected_support(np.full(m, 1 / m), 1, [1, 10, 10**6]), 1.0)


@pytest.mark.parametrize(("p", "n"), [(0.001, 1000), (0.01, 50), (0.0, 10)])
def test_bernoulli_bounds_hold(p, n):
    low, high = survival.bernoulli_bounds(p, n, np.arange(1, 6))
    counts, rng = np.full(40_000, n * p), np.random.default_rng(1)
    for k in range(5):
        counts = rng.binomial(n, counts / n)
        seen = (counts > 0).mean()
        error = 3 * math.sqrt(max(seen * (1 - seen), 1e-12) / 40_000)
        assert low[k] - error <= seen <= high[k] + error


def test_the_gap_of_the_support_is_that_of_the_bounds_and_holds():
    p, n, k = np.arange(1, 41) ** -1.0, 60, np.arange(1, 6)
    p /= p.sum()
    low, high = survival.bernoulli_bounds(p, n, k[:, None])
    expected, gap = survival.expected_support(p, n, k), survival.support_gap(p, n, k)
    np.testing.assert_allclose(gap, np.minimum(high - low, 1 - low).sum(axis=1), rtol=1e-12)
    counts, rng = np.full((4000, 40), n * p), np.random.default_rng(1)
    for t in range(5):
        counts = rng.multinomial(n, counts / n)
        seen = (counts > 0).sum(axis=1)
        error = 3 * seen.std() / math.sqrt(len(seen))
        assert expected[t] - error <= seen.mean() <= expected[t] + gap[t] + error


def test_the_gaussian_bound_holds_and_is_loose():
    rng, deviation = np.random.default_rng(0), np.ones(20_000)
    for k in range(1, 201):
        deviation *= np.sqrt(rng.chisquare(9, 20_000) / 10)
        if k in (10, 50, 200):
            assert (deviation > 0.1).mean() <= survival.gaussian_survival_bound(k, 10, 0.1) + 1e-12
    assert survival.gaussian_survival_bound(10**6, 10, 0.1) < 1e-9


def test_the_factor():
    found = survival.survival_factor(np.arange(5))
    assert found[0] == math.inf
    for k in range(1, 4):
        assert found[k + 1] == pytest.approx(1 - math.exp(-found[k]))
    assert survival.survival_factor(10**5) == pytest.approx(2e-5, rel=1e-3)


@given(
    weights=st.lists(st.sampled_from([0.0, 1e-12, 0.3, 1.0, 1e6]), min_size=1, max_size=12),
    n=st.integers(1, 10**12),
    generation=st.integers(0, 500),
)
def test_a_number_between_none_and_all(weights, n, generation):
    if not sum(weights):
        return
    p = np.array(weights) / sum(weights)
    found = survival.expected_support(p, n, generation)
    assert 0 <= found <= (p > 0).sum() + 1e-9
    assert found <= survival.expected_support(p, n, max(generation - 1, 0)) + 1e-9
    if generation == 0:
        assert found == (p > 0).sum()


def test_arrays_broadcast_and_large_ones_are_split(monkeypatch):
    monkeypatch.setattr(survival, "_CHUNK", 64)
    batch = np.stack([ZIPF, np.ones(1000) / 1000])
    found = survival.expected_support(batch, np.array([[10], [100], [1000]]), 3)
    assert found.shape == (3, 2)
    for i, n in enumerate((10, 100, 1000)):
        for j in range(2):
            assert found[i, j] == pytest.approx(survival.expected_support(batch[j], n, 3))
    assert isinstance(survival.expected_support([1.0], 1, 1), float)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: survival.expected_support([0.5, 0.4], 10, 1), "probabilities"),
        (lambda: survival.expected_support([0.5, 0.5], 0, 1), "n: "),
        (lambda: survival.expected_support([0.5, 0.5], 10, -1), "generation"),
        (lambda: survival.expected_support([0.5, 0.5], 10, 10**7), "generation"),
        (lambda: survival.expected_support(np.full((3, 2), 0.5), [1, 2], 1), "does not broadcast"),
        (lambda: survival.poisson_survival(-1.0, 1), "mean"),
        (lambda: survival.bernoulli_bounds(2.0, 10, 1), "probability"),
        (lambda: survival.gaussian_survival_bound(1, 10, 0.0), "threshold"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(SpecError, match=message):
        call()
