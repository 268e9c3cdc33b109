from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from ouroloop.keys import Key
from ouroloop.metrics.diversity import Diversity, _within_class, pairwise_distance, within_class_variance
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def measure(metric, rows):
    return {m.metric: m for m in metric.measure(rows, generator=None, key=Key(1))}


def test_pairwise_distance_equals_scipy():
    x = np.random.default_rng(0).standard_normal((40, 3))
    assert pairwise_distance(x) == pytest.approx(pdist(x).mean())


def test_within_class_variance_equals_loops_also_when_weighted():
    rng = np.random.default_rng(1)
    x, label = rng.standard_normal((30, 2)), rng.integers(3, size=30)
    squares = sum(((x[label == c] - x[label == c].mean(0)) ** 2).sum() for c in range(3))
    assert within_class_variance(x, label) == pytest.approx(squares / (30 - 3))
    assert within_class_variance(x) == pytest.approx(np.trace(np.cov(x.T)))
    drawn = rng.integers(30, size=30)
    counts = np.bincount(drawn, minlength=30).astype(float)
    expected = within_class_variance(x[drawn], label[drawn])
    assert _within_class(x, label, counts[None])[0] == pytest.approx(expected)


def test_a_shrunk_cloud_is_less_diverse_by_the_factor(flat):
    metric = Diversity().fit(flat, key=Key(0))
    found = measure(metric, Samples.of(0.5 * flat.held_out.x))
    assert found["diversity"].value == pytest.approx(0.5)
    assert found["within_class_variance"].value == pytest.approx(0.25)
    assert found["pairwise_distance"].value == pytest.approx(0.5 * pdist(flat.held_out.x).mean())
    same = measure(metric, flat.held_out)
    assert same["diversity"].value == pytest.approx(1.0)
    assert same["diversity"].floor == pytest.approx(1.0, abs=0.1)


def test_one_picture_a_class_keeps_the_classes_but_loses_the_variety():
    label = np.arange(300) % 3
    x = Key(0).rng().standard_normal((300, 2)) + 10.0 * label[:, None]
    reference = Reference(Samples.of(x, label=label), Samples.of(x[::-1], label=label[::-1]))
    found = measure(Diversity().fit(reference, key=Key(0)), Samples.of(10.0 * label[:, None] * np.ones(2), label=label))
    assert found["within_class_variance"].value == 0.0
    assert found["diversity"].value > 0.8


def test_a_point_has_no_diversity(flat):
    found = measure(Diversity().fit(flat, key=Key(0)), Samples.of(np.zeros((20, 2))))
    assert found["diversity"].value == 0.0
    assert found["within_class_variance"].value == 0.0
