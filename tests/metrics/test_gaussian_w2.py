from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import ot
import pytest

from ouroloop.errors import DataError, PartError, SpecError
from ouroloop.keys import Key
from ouroloop.metrics.gaussian_w2 import GaussianW2, gaussian_w2
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

TARGET = {"mean": [0.0, 0.0], "covariance": [[1.0, 0.0], [0.0, 1.0]]}


def one(metric, rows=None, generator=None, key=1):
    rows = Samples.of(np.zeros((0, 2))) if rows is None else rows
    (found,) = metric.measure(rows, generator=generator, key=Key(key))
    return found


def test_equals_exact_transport_between_gaussian_samples(make_cloud):
    """POT's exact transport of 2,000 points estimates W2 with a bias of about (log n / n)^(1/2) in the plane."""
    a, b = make_cloud(2000, "a").x, make_cloud(2000, "b").x @ np.array([[1.5, 0.3], [0.0, 0.7]]) + [1.0, -0.5]
    plan = np.sqrt(ot.emd2(np.full(2000, 1 / 2000), np.full(2000, 1 / 2000), ot.dist(a, b)))
    found = gaussian_w2(
        real_mean=a.mean(axis=0),
        real_covariance=np.cov(a.T),
        generated_mean=b.mean(axis=0),
        generated_covariance=np.cov(b.T),
    )
    assert found == pytest.approx(plan, abs=0.03)


def test_translation_is_its_own_distance(flat):
    metric = GaussianW2().fit(flat, key=Key(0))
    moved = Samples.of(flat.held_out.x + np.array([3.0, 4.0]))
    assert one(metric, moved).value == pytest.approx(5.0)
    assert one(metric, flat.held_out).value == pytest.approx(0.0, abs=1e-6)


def test_more_dimensions_than_rows_are_fine(make_cloud):
    reference = Reference(make_cloud(20, "a", dim=60), make_cloud(20, "b", dim=60))
    found = one(GaussianW2().fit(reference, key=Key(0)), make_cloud(10, "c", dim=60))
    assert np.isfinite([found.value, found.low, found.high, found.floor]).all()


def test_a_point_mass_is_as_far_as_the_spread_of_the_data(flat):
    found = one(GaussianW2(**TARGET).fit(flat, key=Key(0)), Samples.of(np.zeros((50, 2))))
    assert found.value == pytest.approx(np.sqrt(2.0))


def test_reads_the_model_against_a_known_target(flat):
    metric = GaussianW2(of="model", **TARGET).fit(Reference(flat.real), key=Key(0))
    assert not metric.notes  # the target is known: held-out rows are not missed
    found = one(metric, generator=SimpleNamespace(mean=[3.0, 4.0], covariance=np.eye(2)))
    assert found.value == pytest.approx(5.0)
    assert found.n == 0
    assert np.isnan(found.low)  # nothing was sampled
    assert one(metric, generator=SimpleNamespace(mean=[0.0, 0.0], covariance=9 * np.eye(2))).value == pytest.approx(
        np.sqrt(8)
    )


def test_the_floor_of_a_known_target_is_that_of_a_fit_to_n_draws(make_cloud):
    """SCSC's toy: a Gaussian fitted to 50 real points starts at E[W2] of about .22 to .29."""
    metric = GaussianW2(of="model", floor_repeats=200, **TARGET).fit(Reference(make_cloud(50, "toy")), key=Key(0))
    floor = one(metric, generator=SimpleNamespace(mean=[0.0, 0.0], covariance=np.eye(2))).floor
    assert 0.18 < floor < 0.29
    rng = np.random.default_rng(3)
    again = []
    for _ in range(200):
        x = rng.standard_normal((50, 2))
        again.append(gaussian_w2(**_zero_one(), generated_mean=x.mean(axis=0), generated_covariance=np.cov(x.T)))
    assert floor == pytest.approx(np.mean(again), abs=4 * np.std(again) / np.sqrt(200) * np.sqrt(2))


def _zero_one():
    return {"real_mean": np.zeros(2), "real_covariance": np.eye(2)}


def test_the_model_against_held_out_rows_has_an_interval(flat):
    metric = GaussianW2(of="model").fit(flat, key=Key(0))
    found = one(metric, generator=SimpleNamespace(mean=np.ones(2), covariance=np.eye(2)))
    assert found.low < found.value < found.high


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (object(), "does not have"),
        (SimpleNamespace(mean=np.zeros(3), covariance=np.eye(3)), r"expected \(2,\)"),
        (SimpleNamespace(mean=np.full(2, np.nan), covariance=np.eye(2)), "diverged"),
    ],
)
def test_a_model_without_usable_moments_is_refused(flat, generator, message):
    metric = GaussianW2(of="model").fit(flat, key=Key(0))
    with pytest.raises(PartError, match=message):
        one(metric, generator=generator)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mean": [0.0, 0.0]}, SpecError, "both"),
        ({"mean": [0.0], "covariance": [[1.0]]}, DataError, r"shape \(2,\)"),
        ({"mean": [0.0, 0.0], "covariance": [[1.0, 0.5], [0.0, 1.0]]}, DataError, "symmetric"),
        ({"mean": [0.0, 0.0], "covariance": [[1.0, 0.0], [0.0, -1.0]]}, DataError, "negative eigenvalue"),
        ({"mean": [0.0, 0.0], "covariance": [[1.0, 0.0], [0.0]]}, SpecError, "different lengths"),
    ],
)
def test_targets_that_make_no_sense_are_refused(flat, options, error, message):
    with pytest.raises(error, match=message):
        GaussianW2(**options).fit(flat, key=Key(0))
