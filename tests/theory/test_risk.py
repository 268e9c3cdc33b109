"""The multipliers against loops that estimate a mean, and a regression, with many replicas at once."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.theory import risk

RATIOS = [0.05, 0.2, 1.0, 3.0, 20.0]
LASTS = [1, 2, 5, 10]


def mean_loop(regime, last, ratio, seed, replicas=4000, strength=0.0, n=1, weight=None):
    """Squared error of a mean whose rows have variance 1 and whose model has a known variance, over 1/n."""
    rng = np.random.default_rng([seed, last, int(100 * ratio), int(100 * strength), int(1000 * (weight or 0))])
    real = rng.standard_normal(replicas) / math.sqrt(n)
    a = 1 / (1 + strength)
    estimate, total, rows = real.copy(), n * real, n
    found = [estimate**2 * n]
    for _ in range(last):
        k = ratio * n
        batch = a * estimate + rng.standard_normal(replicas) / math.sqrt(k)
        fresh = rng.standard_normal(replicas) / math.sqrt(n)
        total, rows = total + k * batch, rows + k
        estimate = {
            "replace": lambda batch, fresh: batch,
            "accumulate": lambda batch, fresh: total / rows,  # noqa: B023  called at once
            "fixed_real": lambda batch, fresh: (real + ratio * batch) / (1 + ratio),
            "fresh_real": lambda batch, fresh: (fresh + ratio * batch) / (1 + ratio),
            "weighted": lambda batch, fresh: weight * fresh + (1 - weight) * batch,
        }[regime](batch, fresh)
        found.append(estimate**2 * n)
    return np.array(found)


@pytest.mark.parametrize("last", LASTS)
@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("regime", ["replace", "accumulate", "fixed_real", "fresh_real"])
def test_a_mean_follows_the_law(agrees, regime, ratio, last):
    agrees(lambda seed: mean_loop(regime, last, ratio, seed), risk.risk(regime, last, ratio))


@pytest.mark.parametrize("strength", [0.03, 0.3, 1.0, 2.0, 10.0])
@pytest.mark.parametrize("ratio", [0.2, 1.0, 2.0, 10.0])
def test_correction_of_a_loop_with_fixed_real_data(agrees, ratio, strength):
    law = risk.fixed_real(8, ratio, strength)
    agrees(lambda seed: mean_loop("fixed_real", 8, ratio, seed, strength=strength), law)


@pytest.mark.parametrize("weight", [0.1, 0.3, 0.618, 0.9, 1.0])
@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.0, 10.0])
def test_weighted_fresh_data(agrees, ratio, weight):
    law = risk.fresh_real_weighted(12, weight, ratio)
    agrees(lambda seed: mean_loop("weighted", 12, ratio, seed, weight=weight), law)


@pytest.mark.parametrize("n", [10, 20, 30, 40, 60])
@pytest.mark.parametrize("last", [1, 2, 4, 7])
def test_a_subset_of_the_pool(agrees, last, n):
    """n rows drawn without replacement from all that there are: rows are followed one by one."""
    replicas = 60_000 // n

    def simulate(seed):
        rng = np.random.default_rng([seed, n, last])
        pool = rng.standard_normal((replicas, n))
        found = []
        for _ in range(last + 1):
            order = np.argsort(rng.random(pool.shape), axis=1)[:, :n]
            estimate = np.take_along_axis(pool, order, axis=1).mean(axis=1)
            found.append(n * estimate**2)
            pool = np.concatenate([pool, estimate[:, None] + rng.standard_normal((replicas, n))], axis=1)
        return found

    agrees(simulate, risk.accumulate_subsample(last))


@pytest.mark.parametrize("regime", ["replace", "accumulate"])
@pytest.mark.parametrize(("rows", "d"), [(12, 1), (15, 2), (20, 3), (30, 4), (26, 8)])
@pytest.mark.parametrize("last", [1, 2, 4, 6])
def test_a_linear_regression_on_the_same_inputs_follows_the_same_law(agrees, regime, rows, d, last):
    """Gerstgrasser et al.: labels are resampled, inputs kept; exact, with c = sigma^2 d / (T - d - 1)."""

    def simulate(seed, replicas=1000):
        rng = np.random.default_rng([seed, rows, last])
        x = rng.standard_normal((replicas, rows, d))
        turned = np.swapaxes(x, 1, 2)
        solve = np.linalg.solve(turned @ x, turned)
        labels = [rng.standard_normal((replicas, rows, 1))]
        found = []
        for _ in range(last + 1):
            used = labels[-1] if regime == "replace" else sum(labels) / len(labels)
            weights = solve @ used
            found.append(np.square(weights).sum((1, 2)) / (d / (rows - d - 1)))
            labels.append(x @ weights + rng.standard_normal((replicas, rows, 1)))
        return found

    agrees(simulate, risk.risk(regime, last, 1.0))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_subset_of_a_pool_of_few_rows_has_less_risk(n):
    """Two generations by hand: the pool's variance is 1 - 1/(4n - 2), as its second half is around the first's mean."""
    expected = 1.25 + 0.5 * (1 - 1 / (4 * n - 2))
    rng = np.random.default_rng(n)
    real = rng.standard_normal((200_000, n))
    pool = np.concatenate([real, real.mean(axis=1, keepdims=True) + rng.standard_normal(real.shape)], axis=1)
    chosen = np.take_along_axis(pool, np.argsort(rng.random(pool.shape), axis=1)[:, :n], axis=1)
    found = n * chosen.mean(axis=1) ** 2
    assert abs(found.mean() - expected) < 3 * found.std() / math.sqrt(len(found))
    assert expected < risk.accumulate_subsample(1)[1]


def test_any_ratio_and_generation_keeps_its_digits():
    """Against the table's own form in exact fractions."""
    for ratio in (Fraction(1, 10**9), Fraction(3), Fraction(10**9), Fraction(10**40)):
        q = ratio / (1 + ratio)
        for t in (1, 2, 9):
            fixed = 1 + ratio * (1 - q ** (2 * t)) / (1 + 2 * ratio)
            fresh = (1 + ratio + ratio * q ** (2 * t)) / (1 + 2 * ratio)
            assert risk.multiplier("fixed_real", t + 1, float(ratio)) == pytest.approx(float(fixed), rel=1e-14)
            assert risk.multiplier("fresh_real", t + 1, float(ratio)) == pytest.approx(float(fresh), rel=1e-14)


def test_limits():
    assert risk.accumulate(10**6)[-1] == pytest.approx(math.pi**2 / 6, abs=1e-5)
    assert risk.accumulate_subsample(10**6)[-1] == pytest.approx(math.pi**2 / 2 - 2, abs=1e-5)
    for ratio in (0.1, 1.0, 50.0):
        assert risk.fixed_real(10**4, ratio)[-1] == pytest.approx(1 + ratio / (1 + 2 * ratio))
        assert risk.fresh_real(10**4, ratio)[-1] == pytest.approx((1 + ratio) / (1 + 2 * ratio))
    assert risk.fixed_real(50, 3.0, math.inf)[-1] == pytest.approx(1 / 4)


@pytest.mark.parametrize("ratio", [0.01, 1.0, 100.0])
def test_the_golden_weight_is_the_best_one(ratio):
    weights = np.linspace(1e-3, 1, 20_001)
    ends = (weights**2 + (1 - weights) ** 2 / ratio) / (1 - (1 - weights) ** 2)
    assert risk.golden_weight(ratio) == pytest.approx(weights[ends.argmin()], abs=1e-3)
    if ratio == 1.0:
        assert risk.fresh_real_weighted(500, risk.golden_weight())[-1] == pytest.approx((math.sqrt(5) - 1) / 2)


@given(
    regime=st.sampled_from(["replace", "accumulate", "fixed_real", "fresh_real", "real_only"]),
    ratio=st.floats(1e-6, 1e6) | st.just(0.0),
    last=st.integers(0, 300),
)
def test_any_ratio_gives_a_finite_curve_that_starts_at_1(regime, ratio, last):
    if regime == "replace" and ratio == 0:
        with pytest.raises(SpecError, match="synthetic_ratio"):
            risk.risk(regime, last, ratio)
        return
    curve = risk.risk(regime, last, ratio)
    assert curve.shape == (last + 1,)
    assert np.isfinite(curve).all()
    assert curve[0] == pytest.approx(1.0)
    rises = np.diff(curve) * (-1 if regime == "fresh_real" else 1)
    assert (rises >= -1e-9).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: risk.risk("accumulate_subsample", 5, -2.0), "synthetic_ratio"),
        (lambda: risk.risk("replace", 5, 1.0, -0.5), "correction_strength"),
        (lambda: risk.risk("nonsense", 5, 1.0), "regime: must be one of"),
        (lambda: risk.fresh_real_weighted(5, 1.5), "real_weight"),
        (lambda: risk.fresh_real_weighted(5, 0.5, 0.0), "synthetic_ratio"),
        (lambda: risk.replace(-1), "generations"),
        (lambda: risk.fixed_real(5, math.inf), "synthetic_ratio"),
        (lambda: risk.fixed_real(5, 1.0, math.nan), "correction_strength"),
    ],
)
def test_what_has_no_closed_form_is_said(call, message):
    with pytest.raises(SpecError, match=message):
        call()


def test_a_weight_of_zero_on_real_rows_is_replacement():
    np.testing.assert_allclose(risk.fresh_real_weighted(6, 0.0, 2.0), risk.replace(6, 2.0))
