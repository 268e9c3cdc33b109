"""Risks of corrected loops of many rows: against simulated means, their recursions in fractions, and each other."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.theory import risk
from ouroloop.theory.accumulated_risk import worst_generation

REGIMES = ["replace", "accumulate", "accumulate_subsample", "fresh_real"]
# synthetic ratio, correction strength, last generation
LOOPS = [
    (ratio, strength, last)
    for ratio, last in ((0.05, 9), (0.3, 3), (1.0, 6), (2.5, 2), (20.0, 4))
    for strength in (0.05, 0.4, 1.0, 6.0)
] + [(0.7, math.inf, 3), (3.0, 1e-3, 12)]


def loop(regime, ratio, strength, last, seed, replicas=4000):
    """A mean whose rows have variance 1, over that of the real rows: all batches and the subset drawn as means."""
    rng = np.random.default_rng([seed, last, int(1000 * ratio), int(1000 * min(strength, 1e6))])

    def noise(variance):
        return math.sqrt(variance) * rng.standard_normal(replicas)

    model, found = noise(1.0), []
    pool, size = model.copy(), 1.0
    for _ in range(last):
        share = ratio / (ratio + 1.0)
        corrected = 0.0 if math.isinf(strength) else 1.0 / (1.0 + strength)
        batch = corrected * model + noise(1.0 / ratio)  # a corrected row's mean is 0, whatever the model's
        pool, size = (size * pool + ratio * batch) / (size + ratio), size + ratio
        if regime == "replace":
            model = batch
        elif regime == "fresh_real":
            model = (1.0 - share) * noise(1.0) + share * batch
        else:
            model = pool + (noise(1.0 - 1.0 / size) if regime == "accumulate_subsample" else 0.0)
        found.append(model**2)
    return np.array(found)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("ratio", "strength", "last"), LOOPS)
def test_a_corrected_mean_follows_the_law(agrees, regime, ratio, strength, last):
    agrees(lambda seed: loop(regime, ratio, strength, last, seed), risk.risk(regime, last, ratio, strength)[1:])


@pytest.mark.parametrize("strength", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("ratio", [0.5, 1.0, 2.0])
def test_rows_followed_one_by_one(agrees, ratio, strength):
    """Many rows of a known variance, each corrected or not; subsets drawn without replacement."""
    n, replicas = 40, 1500

    def simulate(seed):
        rng = np.random.default_rng([seed, int(10 * ratio), int(10 * strength)])
        pool = rng.standard_normal((replicas, n))
        found, model = [], pool.mean(axis=1)
        for _ in range(3):
            corrected = rng.random((replicas, int(ratio * n))) < strength / (1.0 + strength)
            rows = rng.standard_normal(corrected.shape) + np.where(corrected, 0.0, model[:, None])
            pool = np.concatenate([pool, rows], axis=1)
            order = np.argsort(rng.random(pool.shape), axis=1)[:, :n]
            model = np.take_along_axis(pool, order, axis=1).mean(axis=1)
            found.append(n * model**2)
        return found

    agrees(simulate, risk.accumulate_subsample(3, ratio, strength)[1:])


@pytest.mark.parametrize("ratio", [Fraction(1, 10**6), Fraction(1, 3), Fraction(1), Fraction(50)])
@pytest.mark.parametrize("strength", [Fraction(1, 10**9), Fraction(1, 10), Fraction(1), Fraction(7), Fraction(10**6)])
def test_all_generations_keep_their_digits(ratio, strength):
    """Beyond generation 100 by series: against the recursions of the variances, stepped."""
    share, last = 1 / (1 + strength), 400
    start = Fraction(1)
    replace, fresh, pool, subset = start, start, start, start
    for t in range(1, last + 1):
        size, kept = 1 + t * ratio, (1 + t * ratio - ratio * (1 - share)) / (1 + t * ratio)
        replace = rounded(share**2 * replace + 1 / ratio)
        fresh = rounded((1 + ratio**2 * (share**2 * fresh + 1 / ratio)) / (1 + ratio) ** 2)
        pool = rounded(kept**2 * pool + ratio / size**2)
        added = ratio + ratio**2 * share**2 * (1 - 1 / (size - ratio))
        subset = rounded(kept**2 * subset + added / size**2)  # the pool that subsets are drawn from
        if t in (1, 99, 100, 101, last):
            laws = {"replace": replace, "fresh_real": fresh, "accumulate": pool, "accumulate_subsample": subset}
            laws["accumulate_subsample"] += 1 - 1 / size
            for regime, law in laws.items():
                found = risk.multiplier(regime, t + 1, float(ratio), float(strength))
                assert found == pytest.approx(float(law), rel=1e-9), (regime, t)


def rounded(value):
    return Fraction(round(value * 10**40), 10**40)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("ratio", [0.01, 1.0, 30.0])
def test_ends_of_the_strength(regime, ratio):
    """None: the table without correction. All: draws of the data, so many as are trained on."""
    t = np.array([1, 2, 50, 101, 5000, 10**9])
    without = risk.multiplier(regime, t, ratio)
    np.testing.assert_allclose(risk.multiplier(regime, t, ratio, 1e-14), without, rtol=1e-4)
    size = {"replace": ratio, "accumulate": 1 + (t - 1) * ratio, "accumulate_subsample": 1.0, "fresh_real": 1 + ratio}
    expected = np.where(t == 1, 1.0, 1.0 / np.asarray(size[regime]))
    np.testing.assert_allclose(risk.multiplier(regime, t, ratio, math.inf), expected, rtol=1e-9)
    np.testing.assert_allclose(risk.multiplier(regime, t, ratio, 1e9), expected, rtol=1e-6)


@pytest.mark.parametrize("regime", ["accumulate", "accumulate_subsample"])
@pytest.mark.parametrize("strength", [1e-3, 0.02, 0.3, 0.5, 1.0, 3.0, math.inf])
@pytest.mark.parametrize("ratio", [0.004, 0.2, 1.0, 15.0])
def test_the_worst_generation(regime, ratio, strength):
    path = risk.risk(regime, 3000, ratio, strength)
    for last in (1, 2, 7, 130, 3000):
        at = int(worst_generation(regime, last, np.array([ratio]), strength)[0])
        assert 1 <= at <= last
        assert path[at] == pytest.approx(path[1 : last + 1].max(), rel=1e-9)


@given(
    regime=st.sampled_from(REGIMES),
    ratio=st.sampled_from([1e-300, 1e-12, 1e-3, 1.0, 1e6, 1e200]),
    strength=st.sampled_from([0.0, 5e-324, 1e-9, 0.3, 1e9, 1e308, math.inf]),
    generation=st.sampled_from([1, 2, 100, 102, 10**6, 10**15]),
)
@settings(deadline=None)
def test_extreme_arguments_give_a_risk(regime, ratio, strength, generation):
    found = risk.multiplier(regime, generation, ratio, strength)
    assert found >= 0.0
    assert math.isfinite(found) or (regime == "replace" and ratio == 1e-300)


@given(
    regime=st.sampled_from([*REGIMES, "fixed_real"]),
    ratio=st.floats(1e-3, 1e3),
    strength=st.floats(0.0, 1e3),
    more=st.floats(0.0, 10.0),
    generation=st.integers(1, 500),
)
@settings(deadline=None)
def test_more_correction_never_raises_a_risk(regime, ratio, strength, more, generation):
    found = np.asarray(risk.multiplier(regime, generation, ratio, [strength, strength + more]))
    assert found[1] <= found[0] * (1.0 + 1e-9)
