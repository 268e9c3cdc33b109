"""Kernel density estimates: the distance against quadrature, the sampler's moments, what each regime trains on."""

import numpy as np
import pytest
from scipy import stats

from ouroloop.experiments.kernel_density import KernelLoop, KernelMixture, bandwidth, distance, sampled
from ouroloop.keys import Key


def test_the_distance_is_that_of_the_densities():
    x = np.random.default_rng(0).standard_normal((60, 1)) * 1.2 + 0.3
    at = np.linspace(-9, 9, 20_001)
    density = stats.norm.pdf(at[:, None], x[:, 0], bandwidth(x)).mean(axis=1)
    expected = 0.5 * np.trapezoid(np.abs(density - stats.norm.pdf(at)), at)
    assert distance(x) == pytest.approx(expected, abs=5e-4)


def test_the_distance_in_the_plane():
    x = np.random.default_rng(1).standard_normal((40, 2))
    at = np.linspace(-6, 6, 301)
    one = [stats.norm.pdf(at[:, None], column, bandwidth(x)) for column in x.T]
    density = np.einsum("ai,bi->ab", *one) / len(x)
    truth = np.outer(stats.norm.pdf(at), stats.norm.pdf(at))
    assert distance(x) == pytest.approx(0.5 * np.abs(density - truth).sum() * (at[1] - at[0]) ** 2, abs=2e-3)


def test_rows_beyond_the_grid_count_as_far_off():
    assert distance(np.full((5, 1), 40.0)) == pytest.approx(1.0, abs=1e-3)


def test_draws_have_the_moments_of_the_estimate():
    x = np.array([[-1.0], [1.0], [3.0]])
    drawn = sampled(x, 200_000, Key(0).rng())
    assert drawn.mean() == pytest.approx(1.0, abs=0.02)
    assert drawn.var() == pytest.approx(x.var() + bandwidth(x) ** 2, rel=0.02)


def test_real_rows_in_place_of_synthetic_ones_follow_the_fitting_error():
    e = KernelMixture(values=(0, 3, 15), generator="truth", replicas=20)
    found = e.run([Key(0), Key(1)])["total_variation"].mean(axis=0)
    np.testing.assert_allclose(found, e.forecasts()[0].values, rtol=0.2)


@pytest.mark.parametrize("regime", ["fixed_real", "fresh_real"])
def test_real_rows_alone_do_not_drift(regime):
    loop = KernelLoop(regime=regime, real_share=1.0, generations=3, n=50, replicas=2)
    found = loop.run([Key(0)])["total_variation"][0]
    assert (np.ptp(found) < 1e-12) == (regime == "fixed_real")


def test_no_real_rows_is_replacement():
    none = KernelLoop(regime="fixed_real", real_share=0.0, generations=2, n=40, replicas=1)
    replaced = KernelLoop(regime="replace", generations=2, n=40, replicas=1)
    assert (none.run([Key(0)])["total_variation"] == replaced.run([Key(0)])["total_variation"]).all()
