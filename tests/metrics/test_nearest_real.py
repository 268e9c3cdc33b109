from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from ouroloop.keys import Key
from ouroloop.metrics.nearest_real import NearestReal, nearest_distance
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def measure(metric, rows):
    return {m.metric: m for m in metric.measure(rows, generator=None, key=Key(1))}


def test_distances_equal_brute_force():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((30, 3)), rng.standard_normal((20, 3))
    np.testing.assert_allclose(nearest_distance(real=a, generated=b), cdist(b, a).min(axis=1))


def test_copies_unseen_rows_and_rows_off_the_data(flat, make_cloud):
    metric = NearestReal().fit(flat, key=Key(0))
    copies = measure(metric, flat.real)
    assert copies["nearest_real"].value == pytest.approx(0.0, abs=1e-6)
    assert copies["near_duplicates"].value == 1.0
    unseen = measure(metric, flat.held_out)
    assert unseen["nearest_real"].value == pytest.approx(1.0)
    assert unseen["near_duplicates"].value == pytest.approx(0.01, abs=0.005)
    assert unseen["nearest_real"].floor == 1.0
    assert unseen["near_duplicates"].floor == pytest.approx(0.01, abs=0.005)
    off = measure(metric, make_cloud(100, 0, shift=5))
    assert off["nearest_real"].low > 3
    assert off["near_duplicates"].value == 0.0


def test_fresh_rows_are_as_new_as_unseen_ones(make_cloud):
    reference = Reference(make_cloud(500, "t"), make_cloud(500, "h"))
    found = measure(NearestReal().fit(reference, key=Key(0)), make_cloud(500, "f"))
    assert found["nearest_real"].low < 1.0 < found["nearest_real"].high
    assert found["near_duplicates"].low < 0.01 < found["near_duplicates"].high


def test_half_copies_are_found(flat, make_cloud):
    rows = Samples.of(np.concatenate([flat.real.x[:100], make_cloud(100, "new").x]))
    found = measure(NearestReal().fit(flat, key=Key(0)), rows)["near_duplicates"]
    assert found.value == pytest.approx(0.5, abs=0.05)


def test_without_held_out_rows_training_rows_judge_each_other(flat, make_cloud):
    metric = NearestReal().fit(Reference(flat.real), key=Key(0))
    found = measure(metric, make_cloud(200, "fresh"))["nearest_real"]
    assert found.value == pytest.approx(1.0, abs=0.3)
    assert measure(metric, flat.real)["nearest_real"].value == pytest.approx(0.0, abs=1e-6)


def test_real_data_with_duplicates_do_not_divide_by_zero():
    same = Samples.of(np.zeros((30, 2)))
    for rows in (same, Samples.of(np.ones((30, 2)))):
        found = measure(NearestReal().fit(Reference(same, same), key=Key(0)), rows)
        assert np.isnan(found["nearest_real"].value)
        assert found["near_duplicates"].value == (1.0 if rows is same else 0.0)
