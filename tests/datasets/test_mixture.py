from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_circles, make_moons

from ouroloop.datasets.mixture import MixtureTarget
from ouroloop.errors import DataError
from ouroloop.keys import Key

TARGETS = [
    MixtureTarget(),
    MixtureTarget(shape="ring", modes=3, scale=1.0, noise=0.5),
    MixtureTarget(shape="grid", modes=9, scale=1.0, noise=0.2),
    MixtureTarget(shape="moons", scale=1.0, noise=0.1),
    MixtureTarget(shape="circles", scale=1.0, noise=0.1),
]


@pytest.mark.parametrize("target", TARGETS)
def test_the_density_integrates_to_one(target):
    reach = 2.6 * target.scale + 6 * target.noise
    side = np.arange(-reach, reach, min(target.noise / 3, 0.05))
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    total = np.exp(target.log_density(grid)).sum() * (side[1] - side[0]) ** 2
    assert total == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("target", TARGETS)
def test_samples_follow_the_density(target):
    """Counts in cells of a grid against n times the density there: chi-squared at level 1e-4."""
    n = 20_000
    x = target.sample(n, key=Key(1)).x
    edges = np.linspace(-3.2 * target.scale, 3.2 * target.scale, 25)
    fine = 8
    width = (edges[1] - edges[0]) / fine
    middle = edges[0] + width * (np.arange(24 * fine) + 0.5)
    grid = np.stack(np.meshgrid(middle, middle, indexing="ij"), -1).reshape(-1, 2)
    density = np.exp(target.log_density(grid)).reshape(24, fine, 24, fine).sum((1, 3)) * width**2
    counts = np.histogram2d(x[:, 0], x[:, 1], bins=[edges, edges])[0]
    used = n * density > 10
    rest = np.append(n * density[used], n * (1 - density[used].sum()))
    seen = np.append(counts[used], n - counts[used].sum())
    statistic = ((seen - rest) ** 2 / np.maximum(rest, 1)).sum()
    assert stats.chi2.sf(statistic, used.sum()) > 1e-4


def test_the_ring_density_is_the_mixture_written_out():
    target = MixtureTarget(modes=3, scale=1.5, noise=0.4)
    x = np.random.default_rng(0).normal(size=(50, 2))
    angles = [0, 2 * np.pi / 3, 4 * np.pi / 3]
    modes = [stats.multivariate_normal([1.5 * np.cos(a), 1.5 * np.sin(a)], 0.16 * np.eye(2)) for a in angles]
    expected = np.log(np.mean([mode.pdf(x) for mode in modes], axis=0))
    np.testing.assert_allclose(target.log_density(x), expected, rtol=1e-10)


@pytest.mark.parametrize(("shape", "make"), [("moons", make_moons), ("circles", make_circles)])
def test_moons_and_circles_lie_where_scikit_learn_puts_them(shape, make):
    reference, _ = make(2000, noise=0.02, random_state=0)
    target = MixtureTarget(shape=shape, scale=1.0, noise=0.02)
    assert target.log_density(reference).min() > target.log_density(np.array([[0.5, 1.5]]))[0] + 100
    mine = target.sample(20_000, key=Key(0)).x
    np.testing.assert_allclose(mine.mean(0), reference.mean(0), atol=0.04)
    np.testing.assert_allclose(np.cov(mine.T), np.cov(reference.T), atol=0.04)


def test_the_inner_circle_has_four_fifths_of_the_radius():
    rows = MixtureTarget(shape="circles", scale=1.5, noise=0.02).sample(5000, key=Key(0))
    radius = np.linalg.norm(rows.x, axis=1)
    np.testing.assert_allclose([radius[rows.label == mode].mean() for mode in (0, 1)], [1.5, 1.2], atol=0.002)


def test_labels_are_the_modes():
    target = MixtureTarget(modes=5, noise=0.01)
    rows = target.sample(5000, key=Key(2))
    for mode, centre in enumerate(target.centres()):
        np.testing.assert_allclose(rows.x[rows.label == mode].mean(0), centre, atol=0.01)
    assert stats.chisquare(np.bincount(rows.label, minlength=5)).pvalue > 1e-4


def test_streams_are_named_by_purpose():
    target = MixtureTarget(n=50, held_out=40)
    data, again, other = target.load(key=Key(0)), target.load(key=Key(0)), target.load(key=Key(1))
    assert data.held_out is not None
    assert (len(data.real), len(data.held_out)) == (50, 40)
    np.testing.assert_array_equal(data.real.x, again.real.x)
    assert (data.real.x != other.real.x).any()
    assert not np.isin(data.held_out.x, data.real.x).any()
    assert MixtureTarget(n=60, held_out=0).load(key=Key(0)).held_out is None
    fresh = [data.fresh(30, key=Key(0).child("generation", t, "fresh")) for t in (1, 2)]
    assert not np.isin(fresh[0].x, fresh[1].x).any()
    ids = np.concatenate([data.real.id, data.held_out.id, fresh[0].id, fresh[1].id])
    np.testing.assert_array_equal(ids, np.arange(150))


@pytest.mark.parametrize("modes", [1, 2, 8, 24])
def test_a_grid_needs_a_square_number(modes):
    with pytest.raises(DataError, match="square number"):
        MixtureTarget(shape="grid", modes=modes)


def test_points_of_another_dimension_have_no_density():
    with pytest.raises(DataError, match=r"got \(3, 3\)"):
        MixtureTarget().log_density(np.zeros((3, 3)))
