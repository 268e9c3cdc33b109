from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.metrics import frechet
from ouroloop.metrics.frechet import FrechetTo, frechet_squared, moments, psd_root, resampled_moments


def gaussian(d, seed, rank=None):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((d, rank or d))
    return rng.standard_normal(d), a @ a.T


def squared(a, b):
    return frechet_squared(real_mean=a[0], real_covariance=a[1], generated_mean=b[0], generated_covariance=b[1])


@pytest.mark.parametrize("d", [1, 2, 5, 20])
def test_equals_the_formula_with_scipys_sqrtm(d):
    a, b = gaussian(d, 0), gaussian(d, 1)
    cross = np.trace(sqrtm(a[1] @ b[1]).real)
    expected = np.sum((a[0] - b[0]) ** 2) + np.trace(a[1] + b[1]) - 2 * cross
    np.testing.assert_allclose(squared(a, b), expected, rtol=1e-6)


@settings(deadline=None)
@given(st.lists(st.floats(0, 9), min_size=3, max_size=3), st.lists(st.floats(0, 9), min_size=3, max_size=3))
def test_closed_form_of_commuting_covariances(a, b):
    """W2^2 = |mean shift|^2 + sum (sigma_a - sigma_b)^2, zero variances included."""
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    ca, cb = turn @ np.diag(a) @ turn.T, turn @ np.diag(b) @ turn.T
    expected = 4.0 + np.sum((np.sqrt(a) - np.sqrt(b)) ** 2)
    np.testing.assert_allclose(squared((np.zeros(3), ca), (np.array([0, 2.0, 0]), cb)), expected, atol=1e-6)


def test_equals_exact_transport_of_many_points_by_the_optimal_map():
    """The map T(x) = m_b + A (x - m_a) with A = C_a^-1/2 (C_a^1/2 C_b C_a^1/2)^1/2 C_a^-1/2 moves one to the other."""
    (ma, ca), (mb, cb) = gaussian(3, 2), gaussian(3, 3)
    root = sqrtm(ca).real
    inverse = np.linalg.inv(root)
    a = inverse @ sqrtm(root @ cb @ root).real @ inverse
    np.testing.assert_allclose(a @ ca @ a.T, cb, rtol=1e-6)  # it does arrive
    moved = (a - np.eye(3)) @ ca @ (a - np.eye(3)).T
    np.testing.assert_allclose(squared((ma, ca), (mb, cb)), np.sum((ma - mb) ** 2) + np.trace(moved), rtol=1e-6)


def test_equal_gaussians_are_at_distance_zero_also_singular_ones():
    for rank in (6, 2):
        a = gaussian(6, 4, rank)
        assert squared(a, a) <= 1e-12 * np.trace(a[1])


def test_symmetric_and_real_for_ranks_that_do_not_meet():
    a, b = gaussian(8, 5, rank=2), gaussian(8, 6, rank=3)
    assert np.isfinite(squared(a, b))
    np.testing.assert_allclose(squared(a, b), squared(b, a), rtol=1e-9)
    nothing = (a[0], np.zeros((8, 8)))
    np.testing.assert_allclose(squared(a, nothing), np.trace(a[1]), rtol=1e-9)


def test_batches_equal_one_by_one():
    pairs = [(gaussian(3, i), gaussian(3, 10 + i)) for i in range(4)]
    batch = frechet_squared(
        real_mean=np.stack([a[0] for a, _ in pairs]),
        real_covariance=np.stack([a[1] for a, _ in pairs]),
        generated_mean=np.stack([b[0] for _, b in pairs]),
        generated_covariance=np.stack([b[1] for _, b in pairs]),
    )
    np.testing.assert_allclose(batch, [squared(a, b) for a, b in pairs], rtol=1e-9)


def test_root_reproduces_the_covariance():
    _, c = gaussian(5, 7, rank=2)
    r = psd_root(c)
    np.testing.assert_allclose(r @ r.T, c, atol=1e-9)


def test_moments_equal_numpy():
    x = np.random.default_rng(0).standard_normal((50, 4))
    np.testing.assert_allclose(moments(x).mean, x.mean(axis=0))
    np.testing.assert_allclose(moments(x).covariance, np.cov(x.T))
    assert not moments(x[:1]).covariance.any()


def test_more_features_than_a_covariance_can_hold_are_refused():
    """A motion of 196 x 263 numbers would ask for 21 GB."""
    with pytest.raises(DataError, match=r"51,548 features.*set features: pca"):
        moments(np.zeros((2, 51_548)))


def test_block_resamples_have_the_spread_of_row_resamples():
    """Standard deviations of the mean and of the variance of resamples against those of an ordinary bootstrap."""
    x = np.random.default_rng(1).standard_normal((1000, 2)) * [1.0, 3.0]
    found, count = resampled_moments(x, Key(0), 2000)
    assert count == frechet.BLOCKS
    rng = np.random.default_rng(2)
    means, variances = [], []
    for _ in range(2000):
        drawn = x[rng.integers(1000, size=1000)]
        means.append(drawn.mean(axis=0))
        variances.append(drawn.var(axis=0, ddof=1))
    # 128 blocks know a spread to within 6 % (one standard error); the bound is 3.5 of them.
    np.testing.assert_allclose(found.mean.std(axis=0), np.std(means, axis=0), rtol=0.22)
    spread = found.covariance[:, [0, 1], [0, 1]].std(axis=0)
    np.testing.assert_allclose(spread, np.std(variances, axis=0), rtol=0.3)
    np.testing.assert_allclose(found.mean.mean(axis=0), x.mean(axis=0), atol=0.02)


@pytest.mark.parametrize("n", [3, 5, 100])
def test_block_resamples_of_few_or_uneven_rows_are_finite(n):
    x = np.random.default_rng(3).standard_normal((n, 2))
    found, count = resampled_moments(x, Key(0), 30)
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.covariance).all()
    assert count == min(n, frechet.BLOCKS)


def test_high_dimension_resamples_less():
    x = np.random.default_rng(4).standard_normal((40, 300))
    assert len(resampled_moments(x, Key(0), 50)[0].mean) == 10
    wide = np.random.default_rng(4).standard_normal((4, 1100))
    assert len(resampled_moments(wide, Key(0), 50)[0].mean) == 0


def test_resampled_distances_equal_the_exact_ones():
    x, y = np.random.default_rng(5).standard_normal((2, 60, 4))
    real, _ = resampled_moments(x, Key(0), 6)
    own, _ = resampled_moments(y, Key(1), 6)
    found = FrechetTo(*moments(x), real).squared_resampled(own)
    exact = [
        squared((a, ca), (b, cb))
        for a, ca, b, cb in zip(real.mean, real.covariance, own.mean, own.covariance, strict=True)
    ]
    np.testing.assert_allclose(found, exact, atol=1e-6)
    known = FrechetTo(np.zeros(4), np.eye(4)).squared_resampled(own)
    expected = [squared((np.zeros(4), np.eye(4)), (b, c)) for b, c in zip(own.mean, own.covariance, strict=True)]
    np.testing.assert_allclose(known, expected, atol=1e-6)
