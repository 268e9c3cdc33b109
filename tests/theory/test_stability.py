from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.theory.stability import (
    certificate,
    distorted_variance_limit,
    distortion_is_stable,
    error_bound,
    spectral_radius,
    spectral_radius_of,
    threshold,
)

RATIOS = st.floats(0, 1e6) | st.just(math.inf)
STRENGTHS = st.floats(0, 1e6) | st.just(math.inf)


@pytest.mark.parametrize(
    ("ratio", "strength", "exact", "bound"),
    [
        (0.1, 0.0, 0.091, 0.111),
        (0.25, 0.1, 0.182, 0.303),
        (0.5, 1.0, 0.167, 0.500),
        (0.75, 5.0, 0.071, 0.500),
        (1.0, 1.0, 0.250, math.inf),
        (1.5, 0.0, 0.600, math.inf),
    ],
)
def test_factors_of_scscs_settings(ratio, strength, exact, bound):
    """Worked out by hand from lambda/((1+lambda)(1+gamma)) and lambda/((1-lambda)(1+gamma))."""
    found = certificate(ratio, strength)
    assert spectral_radius(ratio, strength) == pytest.approx(exact, abs=5e-4)
    assert found.rate == pytest.approx(bound, abs=5e-4)
    assert found.satisfied == (bound < 1)


def test_thresholds():
    assert [round(threshold(g), 3) for g in (0, 0.01, 0.1, 0.3, 1, 2, 5)] == [
        0.5,
        0.502,
        0.524,
        0.565,
        0.667,
        0.75,
        0.857,
    ]
    assert certificate(0.5).rho == 1.0


@settings(deadline=None)
@given(ratio=RATIOS, strength=STRENGTHS, misfit=st.floats(0, 100))
def test_the_certificate_is_the_threshold_and_never_tighter_than_the_truth(ratio, strength, misfit):
    found = certificate(ratio, strength, alpha=2.0, lipschitz=2.0, epsilon=misfit)
    assert not any(math.isnan(v) for v in vars(found).values())
    assert spectral_radius(ratio, strength) <= found.rate * (1 + 1e-12)
    assert spectral_radius(ratio, strength) <= 1.0
    assert found.satisfied == (found.margin > 0) or abs(found.margin) < 1e-9
    gain = ratio * (1 + misfit)
    if abs(gain - found.threshold) > 1e-9 and gain < 1:
        assert found.satisfied == (gain < found.threshold)
    if gain >= 1:
        assert not found.satisfied


def test_the_general_radius_is_the_largest_eigenvalue_of_the_jacobian():
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = (rng.normal(size=(4, 4)) for _ in range(2))
        real, model = -(a @ a.T + 0.1 * np.eye(4)), -(b @ b.T)
        ratio, strength = rng.exponential(2), rng.exponential()
        jacobian = np.linalg.inv(real + ratio * model) @ model * ratio / (1 + strength)
        expected = np.abs(np.linalg.eigvals(jacobian)).max()
        assert spectral_radius_of(real, model, ratio, strength) == pytest.approx(expected, rel=1e-8)
        assert expected < 1 / (1 + strength)


def test_the_radius_of_a_well_specified_model_needs_no_matrix():
    fisher = -np.diag([1.0, 3.0, 0.2])
    assert spectral_radius_of(fisher, fisher, 1.7, 0.4) == pytest.approx(spectral_radius(1.7, 0.4))
    assert spectral_radius_of(fisher, np.zeros((3, 3)), 1.7) == 0.0


@pytest.mark.parametrize(
    ("real", "model", "message"),
    [
        (np.eye(2), -np.eye(2), "negative definite"),
        (-np.eye(2), np.eye(2), "negative semi-definite"),
        (-np.eye(2), -np.eye(3), "one shape"),
        (-np.array([[1.0, 0.3], [0.0, 1.0]]), -np.eye(2), "symmetric"),
        (-np.eye(2), np.full((2, 2), np.nan), "finite"),
        (np.diag([-1.0, 0.0]), -np.eye(2), "negative definite"),
    ],
)
def test_matrices_that_are_no_hessians_at_an_optimum_are_refused(real, model, message):
    with pytest.raises(SpecError, match=message):
        spectral_radius_of(real, model, 1.0)


@pytest.mark.parametrize("stretch", [0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("ratio", [0.3, 1.1, 3.0, 50.0])
@pytest.mark.parametrize("strength", [0.0, 0.3, 0.9, 1.05])
def test_the_limit_with_a_distorted_sampler_is_where_the_map_goes(stretch, ratio, strength):
    v = 1.0
    for _ in range(20_000):
        v = (1 + ratio * (stretch * v + strength) / (1 + strength)) / (1 + ratio)
        if v > 1e12:
            v = math.inf
            break
    limit = distorted_variance_limit(stretch, ratio, strength)
    assert distortion_is_stable(stretch, ratio, strength) == (ratio * (stretch - 1 - strength) < 1 + strength)
    assert limit == pytest.approx(v, rel=1e-6)


@pytest.mark.parametrize("stretch", [0.5, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("ratio", [0.1, 1.0, 6.0])
@pytest.mark.parametrize("strength", [0.0, 0.4, 3.0])
def test_the_radius_is_the_factor_by_which_moments_move(stretch, ratio, strength):
    """Of a Gaussian mean (faithful sampler) and second moment, without an end to the rows: the loop written out."""
    gamma, moved = strength / (1 + strength), []
    for mean, variance in ((0.3, 2.0), (0.1, 1.1)):
        row_mean = (1 - gamma) * mean
        new_mean = ratio * row_mean / (1 + ratio)
        row_variance = (1 - gamma) * stretch * variance + gamma
        moved.append((new_mean, (1 + ratio * row_variance) / (1 + ratio)))
    assert (moved[0][0] - moved[1][0]) / 0.2 == pytest.approx(spectral_radius(ratio, strength), rel=1e-12)
    assert (moved[0][1] - moved[1][1]) / 0.9 == pytest.approx(spectral_radius(ratio, strength, stretch), rel=1e-12)


def test_the_error_bound_is_the_theorems_sum():
    q, tau = 0.6, 0.3
    expected = [tau * sum(q**i for i in range(t + 1)) + q**t * 2.0 for t in range(6)]
    np.testing.assert_allclose(error_bound(q, 5, start=2.0, noise=tau), expected)
    assert error_bound(math.inf, 2).tolist() == [1.0, math.inf, math.inf]
    assert error_bound(math.inf, 2, start=0.0).tolist() == [0.0, 0.0, 0.0]
    assert error_bound(0.0, 2).tolist() == [1.0, 0.0, 0.0]


@given(
    factor=st.floats(0, 1e9) | st.just(math.inf),
    generations=st.integers(0, 400),
    start=st.floats(0, 1e9),
    noise=st.floats(0, 1e9),
)
def test_the_error_bound_is_never_nan(factor, generations, start, noise):
    bound = error_bound(factor, generations, start, noise)
    assert bound.shape == (generations + 1,)
    assert not np.isnan(bound).any()


@pytest.mark.parametrize(
    "call",
    [
        lambda: certificate(-0.1),
        lambda: certificate([0.1, math.nan]),
        lambda: certificate("a lot"),
        lambda: certificate(1.0, alpha=0.0),
        lambda: certificate(1.0, lipschitz=math.inf),
        lambda: certificate(1.0, epsilon=-1.0),
        lambda: threshold(-1.0),
        lambda: certificate(0.5, math.nan),
        lambda: spectral_radius(1.0, 0.0, 0.0),
        lambda: error_bound(-1.0, 3),
        lambda: error_bound(0.5, -1),
        lambda: distorted_variance_limit(1.0, math.inf),
    ],
)
def test_arguments_out_of_range_are_named(call):
    with pytest.raises(
        SpecError, match=r"^(synthetic_ratio|alpha|lipschitz|epsilon|correction_strength|sampler_distortion|factor|gen)"
    ):
        call()


def test_arrays_broadcast_and_scalars_stay_scalars():
    ratios, strengths = np.array([0.0, 0.4, 1.0, 1e6, math.inf])[:, None], np.array([0.0, 1.0, math.inf])
    found = certificate(ratios, strengths)
    radii = spectral_radius(ratios, strengths, 1.3)
    for i, ratio in enumerate(ratios[:, 0]):
        for j, strength in enumerate(strengths):
            alone = certificate(ratio, strength)
            assert isinstance(alone.satisfied, bool)
            assert isinstance(alone.rate, float)
            for name, value in vars(alone).items():
                assert getattr(found, name)[i, j] == value
            assert radii[i, j] == spectral_radius(ratio, strength, 1.3)
    assert certificate(0.0, alpha=1e-300, lipschitz=1e300, epsilon=1.0).rate == 0.0
    assert certificate(1e-9, alpha=1e-300, lipschitz=1e300, epsilon=1.0).rate == math.inf
    assert bool(certificate([0.1, 0.2]))
    assert not certificate([0.1, 2.0])
    assert distorted_variance_limit(1.5, np.array([1.0, 2.5])).tolist() == [2.0, math.inf]
