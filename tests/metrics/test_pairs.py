from __future__ import annotations

import numpy as np
import pytest

from ouroloop.keys import Key
from ouroloop.metrics import distances
from ouroloop.metrics.bootstrap import resample_counts
from ouroloop.metrics.pairs import PairStatistic, mean_within


def kernel(a, b):
    return 1.0 + a @ b.T + np.square(a @ b.T)


def by_loops(x, y, wx, wy):
    def within(z, w):
        total = norm = 0.0
        for i in range(len(z)):
            for j in range(len(z)):
                if i != j:
                    total += w[i] * w[j] * kernel(z[i : i + 1], z[j : j + 1])[0, 0]
                    norm += w[i] * w[j]
        return total / norm

    across = sum(
        wx[i] * wy[j] * kernel(x[i : i + 1], y[j : j + 1])[0, 0] for i in range(len(x)) for j in range(len(y))
    ) / (wx.sum() * wy.sum())
    return within(x, wx) + within(y, wy) - 2 * across


@pytest.mark.parametrize("limit", [5, 1 << 19])
def test_weighted_statistics_equal_loops_in_blocks_of_any_size(limit, monkeypatch):
    monkeypatch.setattr(distances, "BLOCK_VALUES", limit)
    rng = Key(0).rng()
    x, y = rng.standard_normal((9, 2)), rng.standard_normal((7, 2)) + 0.5
    wx = np.concatenate([np.ones((1, 9)), resample_counts(Key(1), 9, 3)])
    wy = np.concatenate([np.ones((1, 7)), resample_counts(Key(2), 7, 3)])
    expected = [by_loops(x, y, a, b) for a, b in zip(wx, wy, strict=True)]
    np.testing.assert_allclose(PairStatistic(kernel, y, wy)(x, wx), expected)


def test_mean_within_leaves_out_the_diagonal():
    x = np.array([[1.0], [2.0], [3.0]])
    assert mean_within(lambda a, b: a @ b.T, x, np.ones((1, 3)))[0] == pytest.approx((2 + 3 + 6) / 3)
