from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics.pairwise import polynomial_kernel

from ouroloop.keys import Key
from ouroloop.metrics.kid import Kid, kernel_distance
from ouroloop.protocols import Reference


def test_equals_sklearns_kernel_without_diagonals():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((20, 5)), rng.standard_normal((25, 5)) + 0.5

    def k(x, y):
        return polynomial_kernel(x, y, degree=3, gamma=1 / 5, coef0=1)

    def off(x):
        return (k(x, x).sum() - np.trace(k(x, x))) / (len(x) * (len(x) - 1))

    assert kernel_distance(real=a, generated=b) == pytest.approx(off(a) + off(b) - 2 * k(a, b).mean())


def test_unbiased_on_equal_laws_at_any_n():
    rng = Key(0).rng()
    for n in (5, 40):
        values = [
            kernel_distance(real=rng.standard_normal((n, 3)), generated=rng.standard_normal((n, 3))) for _ in range(300)
        ]
        assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)
        assert min(values) < 0


def test_subsets_average_to_the_whole(make_cloud):
    """Subsets of an unbiased statistic are unbiased: with many of them the mean approaches the one on all rows."""
    reference = Reference(make_cloud(50, "t"), make_cloud(400, "a"))
    rows = make_cloud(500, "b", shift=0.5)
    whole = Kid(floor_repeats=0).fit(reference, key=Key(0)).measure(rows, generator=None, key=Key(1))[0]
    parts = Kid(subset_size=50, subsets=200, floor_repeats=0).fit(reference, key=Key(0))
    found = parts.measure(rows, generator=None, key=Key(1))[0]
    assert whole.value == pytest.approx(kernel_distance(real=reference.held_out.x, generated=rows.x))
    assert found.value == pytest.approx(whole.value, abs=0.5 * (whole.high - whole.low))
    assert found.low < whole.value < found.high


def test_few_rows_are_not_split(make_cloud):
    reference = Reference(make_cloud(50, "t"), make_cloud(30, "a"))
    metric = Kid(subset_size=1000, subsets=7, floor_repeats=0).fit(reference, key=Key(0))
    rows = make_cloud(20, "b")
    found = metric.measure(rows, generator=None, key=Key(1))[0]
    assert found.value == pytest.approx(kernel_distance(real=reference.held_out.x, generated=rows.x))
