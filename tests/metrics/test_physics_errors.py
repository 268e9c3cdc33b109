from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ouroloop.errors import DataError
from ouroloop.features.motion_physics import COLUMNS, MotionPhysics
from ouroloop.keys import Key
from ouroloop.metrics.physics_errors import PhysicsErrors, acceleration_error
from ouroloop.protocols import Reference
from ouroloop.testing.metric_suite import MetricSuite

pytest.importorskip("mujoco", reason="torques need mujoco: pip install 'ouroloop[motion]'")

finite = st.floats(0, 100)


@pytest.fixture(scope="module")
def reference(make_bodies):
    return Reference(make_bodies(24, "training"), make_bodies(16, "held out"))


@pytest.fixture(scope="module")
def metric(reference):
    return PhysicsErrors().fit(reference, key=Key(0))


def measured(metric, rows):
    return {m.metric: m for m in metric.measure(rows, generator=None, key=Key(1))}


def test_real_motions_are_at_the_floor(metric, make_bodies):
    found = measured(metric, make_bodies(24, "fresh"))
    assert set(found) == {*COLUMNS, "acceleration_error"}
    for name, m in found.items():
        assert m.low <= m.value <= m.high
        assert abs(m.value - m.floor) <= 0.25 * m.floor + 0.6, name


@pytest.mark.parametrize(
    ("name", "change"), [("penetration", {"height": -0.05}), ("floating", {"height": 0.05}), ("skating", {"glide": 1})]
)
def test_each_error_is_seen_by_its_measure(metric, make_bodies, name, change):
    good, bad = measured(metric, make_bodies(10, "fresh")), measured(metric, make_bodies(10, "fresh", **change))
    assert bad[name].value > good[name].high + 40
    np.testing.assert_allclose(
        bad["physics_error"].value, sum(bad[part].value for part in ("penetration", "floating", "skating"))
    )


def test_torques_left_out_have_no_name(reference, make_bodies):
    features = {"kind": "motion_physics", "torques": False}
    found = measured(PhysicsErrors(features=features).fit(reference, key=Key(0)), make_bodies(6, "fresh"))
    assert set(found) == {*COLUMNS, "acceleration_error"} - {"torque_violation"}


def test_features_that_measure_no_physics_are_refused(reference):
    with pytest.raises(DataError, match="set features to motion_physics"):
        PhysicsErrors(features="identity").fit(reference, key=Key(0))


def test_numbers_that_are_not_finite_do_not_count_and_are_noted(reference, make_bodies, monkeypatch):
    features = {"kind": "motion_physics", "torques": False}
    rows = make_bodies(6, "fresh")
    known = PhysicsErrors(features=features).fit(reference, key=Key(0))
    clean, transform = measured(known, rows.take(slice(1, 6))), MotionPhysics.transform

    def spoilt(self, x):
        found = transform(self, x)
        if len(x) == 6:
            found[0, [COLUMNS.index("acceleration"), COLUMNS.index("jerk")]] = np.inf, np.nan
        return found

    monkeypatch.setattr(MotionPhysics, "transform", spoilt)
    metric = PhysicsErrors(features=features, floor_repeats=0).fit(reference, key=Key(0))
    found = measured(metric, rows.take(slice(None)))
    assert set(found) == {*COLUMNS, "acceleration_error"} - {"torque_violation"}
    for name in ("acceleration", "jerk", "acceleration_error"):
        assert found[name].value == pytest.approx(clean[name].value)
        assert found[name].low <= found[name].value <= found[name].high
    assert [note for note in metric.notes if "finite" in note] == [
        f"{name} counts 5 of 6 motions: of the others it is not finite" for name in ("acceleration", "jerk")
    ]


def test_a_measure_that_is_finite_for_no_motion_keeps_its_name(reference, make_bodies, monkeypatch):
    metric = PhysicsErrors(floor_repeats=0).fit(reference, key=Key(0))
    monkeypatch.setattr(MotionPhysics, "transform", lambda self, x: np.full((len(x), len(COLUMNS)), np.nan))
    found = measured(metric, make_bodies(6, "fresh"))
    assert set(found) == {*COLUMNS, "acceleration_error"}
    assert np.isnan([m.value for m in found.values()]).all()
    assert "torque_violation counts 0 of 6 motions: of the others it is not finite" in metric.notes


@settings(max_examples=30)
@given(arrays(float, st.integers(1, 12), elements=finite), arrays(float, st.integers(1, 12), elements=finite))
def test_acceleration_error_is_a_distance_of_distributions(a, b):
    there, back = acceleration_error(real=a, generated=b), acceleration_error(real=b, generated=a)
    np.testing.assert_allclose(there, back, atol=1e-9)
    assert there >= abs(a.mean() - b.mean()) - 1e-9
    assert acceleration_error(real=a, generated=np.concatenate([a, a])) == pytest.approx(0, abs=1e-9)
    np.testing.assert_allclose(acceleration_error(real=a, generated=a + 3), 3)
    twice = acceleration_error(real=a, generated=b, generated_counts=np.full(len(b), 2.0))
    np.testing.assert_allclose(twice, there, atol=1e-9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace(x=t.x[..., :262]), r"shape \(30, 262\) a row"),
        (lambda t: t.replace(length=np.full(len(t), 3)), "has length 3 but goes on"),
        (lambda t: t.take(slice(0, 0)), "at least 1 generated rows, got 0"),
    ],
)
def test_rows_that_cannot_be_measured(metric, make_bodies, change, message):
    with pytest.raises(DataError, match=message):
        measured(metric, change(make_bodies(6, "fresh")))


class TestPhysicsErrors(MetricSuite):
    @pytest.fixture(autouse=True)
    def _data(self, reference, make_bodies):
        type(self).data, type(self).bodies = reference, staticmethod(make_bodies)

    def make(self):
        return PhysicsErrors(floor_repeats=2)

    def reference(self):
        return self.data

    def generated(self, n=12):
        return self.bodies(n, "generated") if n else self.bodies(1, "generated").take(slice(0, 0))
