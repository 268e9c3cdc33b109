from __future__ import annotations

import numpy as np
import ot
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from ouroloop.keys import Key
from ouroloop.metrics.sliced_w2 import SlicedW2, _quantiles, random_directions, sliced_w2
from ouroloop.samples import Samples

ONE = np.ones((1, 1))


@settings(deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 99))
def test_one_dimension_equals_exact_transport_for_any_two_sizes(m, n, seed):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal(m), rng.standard_normal(n) * 2 + 1
    expected = np.sqrt(ot.emd2_1d(a, b, metric="sqeuclidean"))
    found = sliced_w2(real=a[:, None], generated=b[:, None], directions=ONE)
    assert found == pytest.approx(expected, abs=1e-9)


def test_one_dimensional_bound_by_w1():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal(50), rng.standard_normal(70) + 1
    assert sliced_w2(real=a[:, None], generated=b[:, None], directions=ONE) >= wasserstein_distance(a, b)


@pytest.mark.parametrize(("m", "n"), [(40, 40), (40, 25)])
def test_equals_pot_along_the_same_directions(m, n):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((m, 3)), rng.standard_normal((n, 3)) + 0.5
    directions = random_directions(3, 30, rng)
    expected = ot.sliced_wasserstein_distance(a, b, projections=directions)
    assert sliced_w2(real=a, generated=b, directions=directions) == pytest.approx(expected, rel=1e-9)


def test_directions_are_unit_vectors_and_uniform():
    d = random_directions(3, 4000, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(d, axis=0), 1.0)
    np.testing.assert_allclose(d @ d.T / 4000, np.eye(3) / 3, atol=0.03)
    assert random_directions(1, 7, np.random.default_rng(0)).tolist() == [[1.0]]


def test_translation_of_the_same_rows(flat):
    """SW2^2 of a translation is |shift|^2 / d for directions that are uniform."""
    metric = SlicedW2(directions=4000).fit(flat, key=Key(0))
    moved = Samples.of(flat.held_out.x + np.array([3.0, 4.0]))
    (found,) = metric.measure(moved, generator=None, key=Key(1))
    assert found.value == pytest.approx(5 / np.sqrt(2), rel=0.03)


def test_directions_come_from_the_key_of_fit(flat, make_cloud):
    rows = make_cloud(60, 0, shift=1)
    one, same, other = (
        SlicedW2(directions=2).fit(flat, key=Key(k)).measure(rows, generator=None, key=Key(m))[0].value
        for k, m in ((0, 1), (0, 2), (1, 1))
    )
    assert one == same
    assert one != other


def test_quantiles_of_resamples_equal_those_of_repeated_rows():
    x = np.random.default_rng(0).standard_normal((50, 3))
    found = _quantiles(x, Key(4), 2)
    drawn = Key(4).rng().integers(50, size=(2, 50))
    levels = ((np.arange(128) + 0.5) / 128 * 50).astype(int)
    for b in range(2):
        np.testing.assert_array_equal(found[b], np.sort(x[drawn[b]].T, axis=1)[:, levels])
