from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ouroloop import options
from ouroloop.datasets.gaussian import GaussianTarget
from ouroloop.errors import DataError
from ouroloop.keys import Key

TILTED = GaussianTarget(mean=(1.0, -2.0), covariance=((2.0, 0.6), (0.6, 0.5)))


def test_the_default_target_is_standard_normal():
    x = GaussianTarget(dim=3).sample(40_000, key=Key(0)).x
    assert x.dtype == np.float64
    for column in x.T:
        assert stats.kstest(column, "norm").pvalue > 1e-4
    np.testing.assert_allclose(np.corrcoef(x.T), np.eye(3), atol=5 / 200)


def test_a_given_mean_and_covariance_are_followed():
    n = 40_000
    x = TILTED.sample(n, key=Key(3)).x
    np.testing.assert_allclose(x.mean(0), [1, -2], atol=5 * np.sqrt(2 / n))
    np.testing.assert_allclose(np.cov(x.T), [[2, 0.6], [0.6, 0.5]], atol=5 * 2 * np.sqrt(2 / n))


def test_fresh_rows_are_standard_normals_of_the_key():
    """The convention that the vectorised backend relies on."""
    key = Key(5).child("generation", 4, "correct", 0, "target")
    expected = key.rng().standard_normal((7, 2))
    np.testing.assert_array_equal(GaussianTarget().load(key=Key(5)).fresh(7, key=key).x, expected)


def test_the_density_is_scipys():
    x = np.random.default_rng(0).normal(size=(20, 2))
    expected = stats.multivariate_normal([1.0, -2.0], [[2.0, 0.6], [0.6, 0.5]]).logpdf(x)
    np.testing.assert_allclose(TILTED.log_density(x), expected, rtol=1e-12)


def test_a_run_is_a_function_of_its_seed_and_streams_do_not_overlap():
    target = GaussianTarget(n=30, held_out=20)
    data, again, other = (target.load(key=Key(seed).child("data")) for seed in (0, 0, 1))
    assert data.held_out is not None
    np.testing.assert_array_equal(data.real.x, again.real.x)
    assert (data.real.x != other.real.x).any()
    assert not np.isin(data.held_out.x, data.real.x).any()
    ids = [data.fresh(10, key=Key(0).child("generation", t)).id for t in (1, 2)]
    everything = np.concatenate([data.real.id, data.held_out.id, *ids])
    assert len(np.unique(everything)) == 30 + 20 + 20


def test_more_held_out_rows_leave_the_training_rows_alone():
    few, many = (GaussianTarget(held_out=h).load(key=Key(2)) for h in (0, 500))
    assert few.held_out is None
    np.testing.assert_array_equal(few.real.x, many.real.x)


def test_a_singular_covariance_is_sampled_and_has_no_density():
    line = GaussianTarget(covariance=((1.0, 1.0), (1.0, 1.0)))
    x = line.sample(100, key=Key(0)).x
    np.testing.assert_allclose(x[:, 0], x[:, 1], atol=1e-12)
    with pytest.raises(DataError, match="singular"):
        line.log_density(x)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mean": (0.0,)}, r"gaussian.mean: expected shape \(2,\)"),
        ({"mean": (0.0, float("nan"))}, "gaussian.mean: has NaN"),
        ({"covariance": ((1.0, 0.0),)}, "gaussian.covariance: expected shape"),
        ({"covariance": ((1.0, 0.0), (0.0,))}, "different lengths"),
        ({"covariance": ((1.0, 2.0), (2.0, 1.0))}, "no negative eigenvalue"),
        ({"covariance": ((1.0, 0.5), (0.0, 1.0))}, "must be symmetric"),
        ({"covariance": ((float("inf"), 0.0), (0.0, 1.0))}, "NaN or infinite"),
    ],
)
def test_bad_moments_are_refused_by_name(wrong, message):
    with pytest.raises(DataError, match=message):
        GaussianTarget(**wrong)


def test_points_of_another_shape_have_no_density():
    with pytest.raises(DataError, match=r"shape \(n, 2\)"):
        GaussianTarget().log_density(np.zeros((3, 3)))


def test_options_are_checked_field_by_field():
    resolved, problems = options.resolve_options("datasets", {"kind": "gaussian", "n": 0, "what": 1}, ("data",))
    assert resolved == {}
    assert {path for path, _ in problems} == {("data", "n"), ("data", "what")}
    resolved, problems = options.resolve_options("datasets", {"kind": "gaussian", "mean": [0, 1]}, ("data",))
    assert problems == []
    assert options.build("datasets", resolved).mean == (0.0, 1.0)


@settings(max_examples=30, deadline=None)
@given(dim=st.integers(1, 5), n=st.integers(1, 20), seed=st.integers(0, 100))
def test_any_size_loads(dim, n, seed):
    data = GaussianTarget(dim=dim, n=n, held_out=0).load(key=Key(seed))
    assert data.real.x.shape == (n, dim)
    assert data.fresh(0, key=Key(seed)).x.shape == (0, dim)
