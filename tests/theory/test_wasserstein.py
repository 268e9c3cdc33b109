"""The forecast of W2 against loops simulated row by row, scored with the distance written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.theory.rows import REGIMES, plan
from ouroloop.theory.wasserstein import wasserstein


def simulate(regime, last, n, k, strength, dim, replicas, seed=0):
    """W2 to N(0, I) and the two parts of its square at the last generation, each (replicas,)."""
    rng = np.random.default_rng([seed, last, n, k, dim])
    real = rng.standard_normal((replicas, n, dim))
    past: list[np.ndarray] = []
    training = real
    for t in range(1, last + 2):
        mean = training.mean(axis=1)
        centred = training - mean[:, None]
        covariance = np.swapaxes(centred, 1, 2) @ centred / training.shape[1]
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(np.maximum(values, 0))[:, None]
        if t > last:
            parts = np.square(mean).sum(1), np.square(np.sqrt(np.maximum(values, 0)) - 1).sum(1)
            return np.sqrt(sum(parts)), *parts
        rows = mean[:, None] + rng.standard_normal((replicas, k, dim)) @ np.swapaxes(root, 1, 2)
        corrected = rng.random((replicas, k, 1)) < strength / (1 + strength)
        past.append(np.where(corrected, rng.standard_normal((replicas, k, dim)), rows))
        shares = [int((i + 1) / t * k) if regime == "linear_accumulate" else k for i in range(t)]
        kept = past[-1:] if regime == "fixed_real" else [p[:, :s] for p, s in zip(past, shares, strict=True)]
        training = np.concatenate([real, *kept], axis=1)
    raise AssertionError


@pytest.mark.parametrize(
    ("regime", "last", "n", "k", "strength", "dim"),
    [
        ("linear_accumulate", 40, 50, 25, 0.0, 2),
        ("linear_accumulate", 40, 50, 25, 0.3, 2),
        ("linear_accumulate", 30, 20, 10, 0.0, 2),
        ("linear_accumulate", 0, 50, 25, 0.0, 2),
        ("accumulate", 20, 30, 30, 0.0, 3),
        ("fixed_real", 20, 40, 40, 0.0, 2),
        ("fixed_real", 10, 40, 80, 1.0, 1),
    ],
)
def test_the_distance_is_forecast_within_four_percent(regime, last, n, k, strength, dim):
    distance, mean_part, covariance_part = simulate(regime, last, n, k, strength, dim, replicas=1500)
    law = wasserstein(plan(regime, last, n, k), strength, dim)

    def error(values):
        return 4 * values.std() / math.sqrt(len(values))

    assert abs(distance.mean() - law.distance[-1]) < 0.04 * law.distance[-1] + error(distance)
    assert abs(mean_part.mean() - law.mean_part[-1]) < error(mean_part)  # exact
    assert abs(covariance_part.mean() - law.covariance_part[-1]) < 0.09 * law.covariance_part[-1] + error(
        covariance_part
    )


def test_the_error_of_the_forecast_falls_with_the_rows():
    """Generation 0, where the exact value follows from a Wishart matrix drawn by its Bartlett factor."""
    rng = np.random.default_rng(0)
    errors = []
    for n in (10, 100):
        a = np.sqrt(rng.chisquare(n - 1, 400_000))
        b, c = rng.standard_normal(len(a)), np.sqrt(rng.chisquare(n - 2, len(a)))
        trace, root_det = (a**2 + b**2 + c**2) / n, a * c / n
        covariance_part = trace + 2 - 2 * np.sqrt(trace + 2 * root_det)
        distance = np.sqrt(rng.chisquare(2, len(a)) / n + np.maximum(covariance_part, 0))
        errors.append(abs(wasserstein(plan("real_only", 0, n, 0)).distance[0] / distance.mean() - 1))
    assert errors[0] < 0.08
    assert errors[1] < 0.01


def test_without_rows_of_its_own_the_distance_stays():
    law = wasserstein(plan("real_only", 5, 50, 0))
    np.testing.assert_allclose(law.distance, law.distance[0])


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_more_correction_ends_nearer(dim):
    rows = plan("linear_accumulate", 60, 50, 25)
    ends = [wasserstein(rows, g, dim).distance[-1] for g in (0, 0.1, 1, 5, math.inf)]
    assert ends == sorted(ends, reverse=True)


@settings(max_examples=60, deadline=None)
@given(
    regime=st.sampled_from(REGIMES),
    last=st.integers(0, 25),
    n=st.integers(1, 10**6),
    k=st.sampled_from([1, 3, 10**6]),
    strength=st.floats(0, 1e6) | st.just(math.inf),
    dim=st.integers(1, 8),
)
def test_the_forecast_is_a_distance_at_any_size(regime, last, n, k, strength, dim):
    law = wasserstein(plan(regime, last, n, k), strength, dim)
    for values in (law.distance, law.mean_part, law.covariance_part):
        assert np.isfinite(values).all()
        assert (values >= 0).all()
    assert (law.distance**2 <= (law.mean_part + law.covariance_part) * (1 + 1e-9)).all()
