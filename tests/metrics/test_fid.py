from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import sqrtm

from ouroloop.keys import Key
from ouroloop.metrics.fid import Fid, frechet_distance
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def measure(metric, rows, key=1):
    return {m.metric: m for m in metric.measure(rows, generator=None, key=Key(key))}


def published(a, b):
    """The formula as pytorch-fid and SCSC compute it."""
    ca, cb = np.cov(a.T), np.cov(b.T)
    return np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(ca + cb) - 2 * np.trace(sqrtm(ca @ cb).real)


def test_equals_the_published_formula():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((200, 10)), rng.standard_normal((150, 10)) * 1.3 + 0.2
    assert frechet_distance(real=a, generated=b) == pytest.approx(published(a, b), rel=1e-6)


def test_equal_sets_are_at_zero_also_with_fewer_rows_than_features():
    for n in (300, 12):
        a = np.random.default_rng(1).standard_normal((n, 40))
        assert frechet_distance(real=a, generated=a[::-1]) < 1e-10


def test_invariant_under_rotation_and_order_and_symmetric():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((50, 6)), rng.standard_normal((60, 6)) + 1
    turn = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    base = frechet_distance(real=a, generated=b)
    assert frechet_distance(real=a @ turn, generated=b @ turn) == pytest.approx(base)
    assert frechet_distance(real=a[::-1], generated=rng.permutation(b)) == pytest.approx(base)
    assert frechet_distance(real=b, generated=a) == pytest.approx(base)


def test_bias_at_small_n_matches_theory():
    """For equal Gaussians N(0, 1) in d dimensions and large m: E ~ d/n + d(d+1)/(4n), to first order in 1/n."""
    d, n, rng = 8, 400, Key(3).rng()
    real = rng.standard_normal((40_000, d))
    values = [frechet_distance(real=real, generated=rng.standard_normal((n, d))) for _ in range(100)]
    expected = d / n + d * (d + 1) / (4 * n)
    # second order in 1/n is about d/n = 2 % of it
    assert np.mean(values) == pytest.approx(expected, abs=0.06 * expected + 4 * np.std(values) / 10)


def test_other_numbers_of_rows_have_their_own_floor(make_cloud):
    reference = Reference(make_cloud(2000, "a", dim=4), make_cloud(2000, "b", dim=4))
    metric = Fid(also_n=(100, 5000)).fit(reference, key=Key(0))
    found = measure(metric, make_cloud(1500, "c", dim=4))
    assert list(found) == ["fid", "fid_n100"]
    assert (found["fid"].n, found["fid_n100"].n) == (1500, 100)
    assert found["fid_n100"].floor > 3 * found["fid"].floor  # the bias is 15 times larger, apart from m
    assert any("fid_n5000 needs 5000 generated rows" in note for note in metric.notes)


def test_subsets_keep_class_shares_when_classes_were_asked_for(make_cloud):
    """Balanced classes far apart: a random subset has a large class imbalance and so a large distance."""
    label = np.arange(1000) % 10
    x = make_cloud(1000, "x").x * 0.1 + 10.0 * label[:, None]
    held = Samples.of(x, label=label)
    reference = Reference(Samples.of(x[::-1].copy(), label=label[::-1].copy()), held)
    metric = Fid(also_n=(50,), features="identity", resamples=0).fit(reference, key=Key(0))
    asked = measure(metric, held)["fid_n50"]
    not_asked = np.mean([measure(metric, Samples.of(x), key=k)["fid_n50"].value for k in range(20)])
    assert asked.value < 0.2 * not_asked
    assert asked.floor < 0.2 * not_asked


def test_classifier_accuracy_is_reported_and_noise_is_far(digits, classifier):
    metric = Fid(features=classifier).fit(digits, key=Key(0))
    found = measure(metric, digits.held_out)
    assert found["fid"].value == pytest.approx(0.0, abs=1e-6)
    accuracy = found["feature_accuracy"]
    assert 0.9 < accuracy.low < accuracy.value <= accuracy.high <= 1.0
    noise = Samples.of(Key(1).rng().random((300, 8, 8)).astype(np.float32))
    assert measure(metric, noise)["fid"].low > 5 * found["fid"].floor
