"""The exact risk for few rows, against simulated loops of least squares and of Gaussians."""

import math

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.theory import budget, risk
from ouroloop.theory.finite_risk import finite_risk

TRIALS = 4000


def close(found, law):
    assert abs(found.mean() - law) < 4.0 * found.std() / math.sqrt(len(found)), (found.mean(), law)


def least_squares(x, y):
    return np.linalg.solve(x.transpose(0, 2, 1) @ x, x.transpose(0, 2, 1) @ y)


@pytest.mark.parametrize("regime", ["replace", "accumulate"])
@pytest.mark.parametrize(("n", "k", "t"), [(20, 20, 3), (20, 12, 2), (25, 40, 2), (20, 1, 3)])
def test_least_squares_with_new_inputs(regime, n, k, t):
    if regime == "replace" and k < 5:
        assert finite_risk("least_squares", regime, t, n, 3, 1.0, k / n) == math.inf
        return
    rng, p, noise = np.random.default_rng(n + k + t), 3, 1.5
    x = rng.normal(size=(TRIALS, n, p))
    y = math.sqrt(noise) * rng.normal(size=(TRIALS, n, 1))
    w = least_squares(x, y)
    for _ in range(t):
        new = rng.normal(size=(TRIALS, k, p))
        label = new @ w + math.sqrt(noise) * rng.normal(size=(TRIALS, k, 1))
        x, y = (new, label) if regime == "replace" else (np.hstack([x, new]), np.hstack([y, label]))
        w = least_squares(x, y)
    close((w[..., 0] ** 2).sum(axis=1), finite_risk("least_squares", regime, t, n, p, noise, k / n))


@pytest.mark.parametrize("regime", ["fixed_real", "fresh_real"])
def test_least_squares_with_the_same_inputs(regime):
    rng, n, p, sets, t = np.random.default_rng(5), 16, 3, 2, 3
    x = rng.normal(size=(TRIALS, n, p))
    y = rng.normal(size=(TRIALS, n, 1))
    w = least_squares(x, y)
    tall = np.hstack([x] * (1 + sets))
    for _ in range(t):
        real = rng.normal(size=(TRIALS, n, 1)) if regime == "fresh_real" else y
        labels = [x @ w + rng.normal(size=(TRIALS, n, 1)) for _ in range(sets)]
        w = least_squares(tall, np.hstack([real, *labels]))
    close((w[..., 0] ** 2).sum(axis=1), finite_risk("least_squares", regime, t, n, p, 1.0, float(sets)))


@pytest.mark.parametrize("regime", ["replace", "accumulate", "fixed_real", "fresh_real"])
@pytest.mark.parametrize(("strength", "stretch"), [(0.0, 1.0), (1.0, 1.0), (0.0, 1.4)])
def test_a_gaussian_with_fitted_mean_and_variance(regime, strength, stretch):
    rng, n, k, t = np.random.default_rng(7), 8, 4, 3
    real = rng.normal(size=(TRIALS, n))
    rows, mean, variance, past = real, real.mean(axis=1), real.var(axis=1), []
    for _ in range(t):
        drawn = mean[:, None] + np.sqrt(stretch * variance)[:, None] * rng.normal(size=(TRIALS, k))
        corrected = rng.random((TRIALS, k)) < strength / (1.0 + strength)
        drawn = np.where(corrected, rng.normal(size=(TRIALS, k)), drawn)
        past = [*past, drawn] if regime == "accumulate" else [drawn]
        kept = {"replace": [], "fresh_real": [rng.normal(size=(TRIALS, n))]}.get(regime, [real])
        rows = np.hstack([*kept, *past])
        mean, variance = rows.mean(axis=1), rows.var(axis=1)
    law = finite_risk("gaussian", regime, t, n, 3, 2.0, k / n, correction_strength=strength, sampler_distortion=stretch)
    close(6.0 * mean**2, law)


@pytest.mark.parametrize("regime", ["replace", "accumulate", "fixed_real", "fresh_real", "accumulate_subsample"])
@pytest.mark.parametrize("model", ["least_squares", "gaussian"])
def test_for_many_rows_it_is_the_multiplier(regime, model):
    n, t = 1_000_000, 4
    law = finite_risk(model, regime, t, n, 2, 1.0)
    expected = risk.multiplier(regime, t + 1, 1.0) * budget.real_risk(model, n, 2, 1.0)
    if model == "least_squares" and regime == "accumulate_subsample":
        assert math.isnan(law)
    else:
        assert law == pytest.approx(expected, rel=1e-4)


def test_ends_and_what_is_not_known():
    assert finite_risk("least_squares", "accumulate_subsample", 5, 100, 10, 1.0, 0.0) == 10 / 89
    assert finite_risk("gaussian", "fixed_real", 0, 100, 10, 1.0, 3.0) == 0.1
    assert finite_risk("gaussian", "replace", 1, 100, 10, 1.0, 0.0) == math.inf
    assert finite_risk("least_squares", "replace", 1, 5, 10, 1.0) == math.inf
    assert math.isnan(finite_risk("least_squares", "fixed_real", 1, 100, 10, 1.0, 0.5))
    assert math.isnan(finite_risk("least_squares", "fixed_real", 1, 100, 10, 1.0, correction_strength=1.0))
    assert math.isnan(finite_risk("gaussian", "accumulate", 1001, 100, 10, 1.0))
    with pytest.raises(SpecError, match="synthetic_ratio"):
        finite_risk("gaussian", "replace", 1, 100, 10, 1.0, math.inf)
