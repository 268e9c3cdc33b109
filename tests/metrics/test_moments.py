from __future__ import annotations

import numpy as np
import pytest

from ouroloop.keys import Key
from ouroloop.metrics.moments import Moments, logdet_ratio, mean_error, trace_ratio
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def measure(metric, rows):
    return {m.metric: m for m in metric.measure(rows, generator=None, key=Key(1))}


def test_scaled_and_shifted_rows_give_closed_forms(flat):
    metric = Moments().fit(flat, key=Key(0))
    x = flat.held_out.x
    centre = x.mean(axis=0)
    found = measure(metric, Samples.of(centre + 0.5 * (x - centre) + [3.0, 4.0]))
    assert found["mean_error"].value == pytest.approx(5.0)
    assert found["trace_ratio"].value == pytest.approx(0.25)
    assert found["logdet_ratio"].value == pytest.approx(2 * np.log(0.25))
    for m in found.values():
        assert m.low < m.value < m.high


def test_logdet_equals_slogdet_and_works_in_batches():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 4, 4))
    real, generated = a @ a.T, np.stack([b @ b.T, 2 * b @ b.T])
    expected = np.linalg.slogdet(generated)[1] - np.linalg.slogdet(real)[1]
    np.testing.assert_allclose(logdet_ratio(real_covariance=real, generated_covariance=generated), expected)


def test_directions_without_variance_are_left_out():
    real, generated = np.diag([1.0, 1.0, 0.0]), np.diag([np.e, 1.0, 5.0])
    assert logdet_ratio(real_covariance=real, generated_covariance=generated) == pytest.approx(1.0)


def test_a_collapsed_cloud_is_very_negative_but_finite(flat):
    found = measure(Moments().fit(flat, key=Key(0)), Samples.of(np.ones((40, 2))))
    assert found["trace_ratio"].value == 0.0
    assert found["logdet_ratio"].value < -50
    assert np.isfinite([found["logdet_ratio"].low, found["logdet_ratio"].high]).all()


def test_too_few_rows_for_a_determinant_leave_it_out(make_cloud):
    reference = Reference(make_cloud(50, "a", dim=5), make_cloud(50, "b", dim=5))
    assert "logdet_ratio" not in measure(Moments().fit(reference, key=Key(0)), make_cloud(4, "c", dim=5))


def test_functions_on_batches():
    assert mean_error(real_mean=np.zeros((3, 2)), generated_mean=np.ones((3, 2))).shape == (3,)
    np.testing.assert_allclose(
        trace_ratio(real_covariance=np.eye(2), generated_covariance=np.stack([np.eye(2), 3 * np.eye(2)])), [1, 3]
    )
