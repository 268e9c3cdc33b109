from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import cdist

from ouroloop.metrics import distances
from ouroloop.metrics.distances import blocks, nearest, squared_distances


def rows(n, d, seed=0):
    return np.random.default_rng(seed).standard_normal((n, d))


@settings(deadline=None)
@given(
    arrays(np.float64, (4, 3), elements=st.floats(-100, 100)), arrays(np.float64, (5, 3), elements=st.floats(-100, 100))
)
def test_squared_distances_equal_scipy(a, b):
    np.testing.assert_allclose(squared_distances(a, b), cdist(a, b, "sqeuclidean"), atol=1e-9)


def test_far_from_the_origin_little_is_lost():
    a = 1e6 + rows(30, 4)
    np.testing.assert_allclose(squared_distances(a, a + 1e-2), cdist(a, a + 1e-2, "sqeuclidean"), atol=1e-8)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("limit", [7, 1 << 19])
def test_nearest_equals_brute_force_in_blocks_of_any_size(k, limit, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK_VALUES", limit)
    a, b = rows(23, 3), rows(31, 3, seed=1)
    expected = np.sort(cdist(a, b, "sqeuclidean"), axis=1)[:, k - 1]
    np.testing.assert_allclose(nearest(a, b, k), expected)
    own = np.sort(cdist(a, a, "sqeuclidean"), axis=1)[:, k]  # position 0 is the row itself
    np.testing.assert_allclose(nearest(a, a, k, same=True), own, atol=1e-12)


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(0, 2**20))
def test_blocks_cover_all_rows_once_and_stay_small(n, width):
    ranges = list(blocks(n, width))
    assert [i for r in ranges for i in range(r.start, r.stop)] == list(range(n))
    assert all(r.stop - r.start == 1 or (r.stop - r.start) * width <= distances.BLOCK_VALUES for r in ranges)
