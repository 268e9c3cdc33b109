"""The exact risk for few rows, against simulated loops of least squares and of Gaussians."""

import itertools
import math

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.theory import budget, gaussian, risk, rows
from ouroloop.theory.finite_risk import REGIMES, finite_risk, unit_risks

TRIALS = 2000
# real rows, synthetic rows (more than p + 3, so that squared errors have a variance), generation, p coefficients
NEW_INPUTS = [
    (20, 20, 3, 3), (20, 12, 2, 3), (25, 40, 2, 3), (20, 9, 3, 2), (12, 6, 1, 1), (12, 7, 4, 1), (15, 30, 3, 2),
    (30, 11, 5, 4), (30, 60, 2, 5), (40, 13, 3, 6), (18, 10, 6, 2), (22, 17, 1, 7), (9, 8, 3, 1), (14, 45, 1, 4),
    (35, 14, 2, 8), (16, 9, 5, 3), (50, 12, 4, 5), (24, 48, 4, 2), (28, 21, 3, 9), (11, 33, 2, 3),
]  # fmt: skip
SAME_INPUTS = [(16, 3, sets, t) for sets in (1, 2, 3, 5) for t in (1, 3)] + [
    (n, p, sets, t) for n, p in ((9, 1), (12, 2), (25, 6)) for sets, t in ((1, 2), (2, 5), (4, 1), (7, 4))
]  # real rows, coefficients, synthetic labels of each, generation
GAUSSIAN = [(n, k, t) for n, k in ((8, 4), (5, 12), (12, 7), (6, 1), (20, 20)) for t in (1, 2, 3, 6)]


def least_squares(x, y):
    turned = x.transpose(0, 2, 1)
    return np.linalg.solve(turned @ x, turned @ y)


@pytest.mark.parametrize("regime", ["replace", "accumulate"])
@pytest.mark.parametrize(("n", "k", "t", "p"), NEW_INPUTS)
def test_least_squares_with_new_inputs(agrees, regime, n, k, t, p):
    noise = 0.5 + t

    def simulate(seed):
        rng = np.random.default_rng([seed, n, k, t, p])
        x = rng.normal(size=(TRIALS, n, p))
        y = math.sqrt(noise) * rng.normal(size=(TRIALS, n, 1))
        w = least_squares(x, y)
        for _ in range(t):
            new = rng.normal(size=(TRIALS, k, p))
            label = new @ w + math.sqrt(noise) * rng.normal(size=(TRIALS, k, 1))
            x, y = (new, label) if regime == "replace" else (np.hstack([x, new]), np.hstack([y, label]))
            w = least_squares(x, y)
        return (w**2).sum(axis=(1, 2))

    agrees(simulate, finite_risk("least_squares", regime, t, n, p, noise, k / n))


@pytest.mark.parametrize("regime", ["fixed_real", "fresh_real"])
@pytest.mark.parametrize(("n", "p", "sets", "t"), SAME_INPUTS)
def test_least_squares_with_the_same_inputs(agrees, regime, n, p, sets, t):
    def simulate(seed):
        rng = np.random.default_rng([seed, n, p, sets, t])
        x = rng.normal(size=(TRIALS, n, p))
        y = rng.normal(size=(TRIALS, n, 1))
        w = least_squares(x, y)
        tall = np.hstack([x] * (1 + sets))
        for _ in range(t):
            real = rng.normal(size=(TRIALS, n, 1)) if regime == "fresh_real" else y
            w = least_squares(tall, np.hstack([real, *(x @ w + rng.normal(size=(TRIALS, n, 1)) for _ in range(sets))]))
        return (w**2).sum(axis=(1, 2))

    agrees(simulate, finite_risk("least_squares", regime, t, n, p, 1.0, float(sets)))


@pytest.mark.parametrize("regime", ["replace", "accumulate", "fixed_real", "fresh_real"])
@pytest.mark.parametrize(("n", "k", "t"), GAUSSIAN)
def test_a_gaussian_with_fitted_mean_and_variance(agrees, regime, n, k, t):
    strength, stretch = [(0.0, 1.0), (1.0, 1.0), (0.0, 1.4), (0.4, 0.7)][t % 4]

    def simulate(seed):
        rng = np.random.default_rng([seed, n, k, t])
        real = rng.normal(size=(TRIALS, n))
        mean, variance, past = real.mean(axis=1), real.var(axis=1), []
        for _ in range(t):
            drawn = mean[:, None] + np.sqrt(stretch * variance)[:, None] * rng.normal(size=(TRIALS, k))
            corrected = rng.random((TRIALS, k)) < strength / (1.0 + strength)
            drawn = np.where(corrected, rng.normal(size=(TRIALS, k)), drawn)
            past = [*past, drawn] if regime == "accumulate" else [drawn]
            kept = {"replace": [], "fresh_real": [rng.normal(size=(TRIALS, n))]}.get(regime, [real])
            rows = np.hstack([*kept, *past])
            mean, variance = rows.mean(axis=1), rows.var(axis=1)
        return 6.0 * mean**2

    options = {"correction_strength": strength, "sampler_distortion": stretch}
    agrees(simulate, finite_risk("gaussian", regime, t, n, 3, 2.0, k / n, **options))


@pytest.mark.parametrize(("strength", "stretch"), [(0.0, 1.0), (0.7, 1.0), (0.0, 1.4), (0.4, 0.7)])
@pytest.mark.parametrize(("n", "k", "t"), [(8, 4, 3), (5, 12, 2), (12, 12, 4), (6, 1, 5), (10, 25, 1)])
def test_a_gaussian_of_subsets(agrees, n, k, t, strength, stretch):
    """As many rows as there are real ones, drawn anew from all so far for every fit."""

    def simulate(seed):
        rng = np.random.default_rng([seed, n, k, t])
        pool = rng.normal(size=(2 * TRIALS, n))
        subset = pool
        for _ in range(t):
            spread = np.sqrt(stretch * subset.var(axis=1))[:, None]
            drawn = subset.mean(axis=1)[:, None] + spread * rng.normal(size=(2 * TRIALS, k))
            corrected = rng.random(drawn.shape) < strength / (1.0 + strength)
            pool = np.hstack([pool, np.where(corrected, rng.normal(size=drawn.shape), drawn)])
            order = np.argsort(rng.random(pool.shape), axis=1)[:, :n]
            subset = np.take_along_axis(pool, order, axis=1)
        return subset.mean(axis=1) ** 2

    options = {"correction_strength": strength, "sampler_distortion": stretch}
    agrees(simulate, finite_risk("gaussian", "accumulate_subsample", t, n, 1, 1.0, k / n, **options))


@pytest.mark.parametrize("n", [2, 5, 60])
def test_subsets_of_as_many_synthetic_as_real_rows_have_a_law_of_their_own(n):
    """`gaussian.mean_squared_error` tabulates a product; steps must end where it does."""
    for t in (1, 2, 30, 400):
        close = finite_risk("gaussian", "accumulate_subsample", t, n, 1, 1.0, correction_strength=1e-13)
        assert close == pytest.approx(gaussian.mean_squared_error("accumulate_subsample", t + 1, n), rel=1e-9)


@pytest.mark.parametrize(("n", "k", "t", "p"), NEW_INPUTS[::3])
@pytest.mark.parametrize("regime", ["replace", "accumulate", "accumulate_subsample"])
def test_least_squares_on_rows_of_the_truth(agrees, regime, n, k, t, p):
    """Perfect correction leaves rows that no model had a part in, so that one fit is all there is."""
    size = {"replace": k, "accumulate": n + t * k, "accumulate_subsample": n}[regime]

    def simulate(seed):
        rng = np.random.default_rng([seed, n, k, t, p, 9])
        x = rng.normal(size=(TRIALS, size, p))
        return (least_squares(x, rng.normal(size=(TRIALS, size, 1))) ** 2).sum(axis=(1, 2))

    law = finite_risk("least_squares", regime, t, n, p, 1.0, k / n, correction_strength=math.inf)
    agrees(simulate, law)


@pytest.mark.parametrize("regime", rows.REGIMES)
@pytest.mark.parametrize(("n", "k"), [(1, 5), (2, 3), (7, 60), (50, 1), (1000, 400)])
def test_a_gaussian_is_what_the_law_of_whole_loops_says(regime, n, k):
    """`gaussian.moments` solves for all generations of a loop; here many numbers of rows go side by side."""
    for strength, stretch in itertools.product([0.0, 0.5, math.inf], [1.0, 0.6, 1.7]):
        if n == 1 and stretch == 1.7:
            continue  # rounding, which an unstable loop lets grow
        law = gaussian.moments(rows.plan(regime, 400, n, k), strength, sampler_distortion=stretch).mean_square
        times = [0, 1, 2, 3, 10, 199, 200, 201, 400]
        options = {"correction_strength": strength, "sampler_distortion": stretch}
        found = unit_risks("gaussian", regime, times, n, 1, np.array([float(k)]), **options)
        np.testing.assert_allclose(found[:, 0], law[times], rtol=1e-9)


@pytest.mark.parametrize("t", [1, 199, 200, 201, 5000])
@pytest.mark.parametrize(("n", "k", "p"), [(4, 7, 1), (30, 1, 20), (10**6, 3, 2), (10**10, 10**4, 5)])
def test_a_sum_over_generations_is_that_of_its_terms(t, n, k, p):
    total = n + k * np.arange(1.0, t + 1.0)
    law = p / (n - p - 1) + math.fsum(k / total * p / (total - p - 1))
    assert finite_risk("least_squares", "accumulate", t, n, p, 1.0, k / n) == pytest.approx(law, rel=1e-12)


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
    assert math.isnan(finite_risk("gaussian", "accumulate", 1001, 100, 10, 1.0, correction_strength=1.0))
    assert math.isnan(finite_risk("least_squares", "linear_accumulate", 1, 100, 10, 1.0))
    assert finite_risk("least_squares", "real_only", 7, 100, 10, 1.0) == 10 / 89
    assert finite_risk("gaussian", "real_only", 7, 100, 10, 2.0, correction_strength=1.0) == 0.2
    assert finite_risk("least_squares", "replace", 1, 20, 10, 0.0, 0.5) == 0.0  # without noise 10 rows are enough
    assert finite_risk("least_squares", "replace", 1, 20, 10, 0.0, 0.4) == math.inf


@pytest.mark.parametrize("model", ["gaussian", "least_squares"])
@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("model", "forest"), ("regime", "nonsense"), ("regime", None), ("generation", -1), ("generation", 1.5),
        ("n_real", 0), ("n_real", "a"), ("n_real", 10**30), ("dimension", 0), ("noise_variance", -1.0),
        ("synthetic_ratio", math.inf), ("synthetic_ratio", -1.0), ("synthetic_ratio", 1e308), ("synthetic_ratio", "a"),
        ("correction_strength", -1.0), ("sampler_distortion", 0.0), ("sampler_distortion", math.inf),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(model, argument, wrong):
    good = {"model": model, "regime": "replace", "generation": 3, "n_real": 100, "dimension": 2, "noise_variance": 1.0}
    with pytest.raises(SpecError, match=f"^{argument}: "):
        finite_risk(**{**good, argument: wrong})


@pytest.mark.parametrize("model", ["gaussian", "least_squares"])
@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("t", [0, 1, 1000, 10**9])
def test_extreme_numbers_give_a_risk_or_nothing(model, regime, t):
    for n, ratio in ((1, 0.0), (1, 1e6), (3, 1.0), (10**9, 1e-9), (10**9, 1e6)):
        found = finite_risk(model, regime, t, n, 2, 1.0, ratio)
        assert math.isnan(found) or found >= 0.0
