from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.theory import discrete, gaussian
from ouroloop.theory.simulate import discrete_loop

SKEWED = np.array([0.5, 0.3, 0.15, 0.05])


def rows_loop(regime, last, n, p, seed, replicas=1500):
    """Heterozygosity of the last fit: draws are kept one by one."""
    rng = np.random.default_rng([seed, last, n])

    def draw(fitted):
        steps = np.cumsum(fitted, axis=1)[:, None, :-1]
        return (rng.random((replicas, n, 1)) > steps).sum(axis=2)

    truth = np.broadcast_to(p, (replicas, len(p)))
    real = pool = training = draw(truth)
    for t in range(1, last + 1):
        fitted = (training[:, :, None] == np.arange(len(p))).mean(axis=1)
        if t == last:
            return 1 - np.square(fitted).sum(axis=1)
        new = draw(fitted)
        pool = np.concatenate([pool, new], axis=1)
        order = np.argsort(rng.random(pool.shape), axis=1)[:, :n]
        training = {
            "replace": new,
            "accumulate": pool,
            "accumulate_subsample": np.take_along_axis(pool, order, axis=1),
            "fixed_real": np.concatenate([real, new], axis=1),
            "fresh_real": np.concatenate([draw(truth), new], axis=1),
        }[regime]
    raise AssertionError


@pytest.mark.parametrize("regime", gaussian.LAWS)
@pytest.mark.parametrize("last", [1, 2, 4, 6])
@pytest.mark.parametrize("n", [2, 5, 9, 14, 20])
def test_heterozygosity(agrees, regime, last, n):
    law = discrete.heterozygosity(regime, last, n, SKEWED)
    agrees(lambda seed: rows_loop(regime, last, n, SKEWED, seed), law)


@pytest.mark.parametrize("regime", gaussian.LAWS)
@pytest.mark.parametrize("n", [3, 12])
def test_the_simulator(agrees, regime, n):
    ratio = 2.0 if "real" in regime else 1.0
    law = discrete.heterozygosity(regime, 7, n, SKEWED, synthetic_ratio=ratio)

    def simulate(seed):
        loop = discrete_loop(regime, 7, n, SKEWED, Key(seed), replicas=3000, synthetic_ratio=ratio)
        assert (loop.support >= 1).all()
        np.testing.assert_allclose(loop.probabilities.sum(axis=1), 1.0)
        return loop.heterozygosity[-1]

    agrees(simulate, law)


@pytest.mark.parametrize("p", [[0.2, 0.8], [0.5, 0.5], [0.1] * 10, [0.6, 0.3, 0.1]])
def test_fixation_time_in_the_diffusion_limit(p):
    """Within 3 standard errors of 4 % at n = 60."""
    n, rng = 60, np.random.default_rng(0)
    counts, time = rng.multinomial(n, p, size=1500), np.ones(1500)
    while (alive := (counts < n).all(axis=1)).any():
        time[alive] += 1
        counts[alive] = rng.multinomial(n, counts[alive] / n)
    law = discrete.fixation_time(n, p)
    assert abs(time.mean() - law) < 3 * time.std() / 1500**0.5 + 0.04 * law


def test_fixation_times_in_closed_form():
    assert discrete.fixation_time(100, [0.2, 0.8]) == pytest.approx(100.08, abs=0.01)
    assert discrete.fixation_time(1, np.full(10**6, 1e-6)) == pytest.approx(2.0, rel=1e-5)
    assert discrete.fixation_time(50, [1.0, 0.0]) == 0.0


@given(n=st.integers(1, 10**9), weights=st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_any_distribution(n, weights):
    total = sum(weights)
    if total <= 0 or not np.isfinite(np.divide(weights, total)).all():
        return
    p = np.divide(weights, total)
    assert 0 <= discrete.fixation_time(n, p) <= 2 * n * (1 + 1e-9)
    assert 0 <= discrete.heterozygosity("accumulate", 5, n, p) <= 1


@pytest.mark.parametrize("p", [[0.5, 0.4], [-0.5, 1.5], [], 0.5, [np.nan, 1.0]])
def test_what_is_no_distribution_is_refused(p):
    for call in (lambda: discrete.fixation_time(5, p), lambda: discrete_loop("replace", 3, 5, p, Key(0))):
        with pytest.raises(SpecError, match="probabilities"):
            call()
