from __future__ import annotations

import sys

import numpy as np
import pytest

from ouroloop.errors import DataError, MissingExtraError, PartError
from ouroloop.features.motion_physics import COLUMNS, MotionPhysics
from ouroloop.keys import Key
from ouroloop.motion.humanml3d import JOINT_POSITIONS, decode, encode
from ouroloop.motion.physics.engine import load_mujoco
from ouroloop.samples import Samples
from ouroloop.testing.digest import state_digest

KEY = Key(0, ("test",))


@pytest.fixture(scope="module")
def fitted(make_bodies):
    pytest.importorskip("mujoco", reason="torques need mujoco: pip install 'ouroloop[motion]'")
    return MotionPhysics().fit(make_bodies(12, "real"), key=KEY)


def measured(part, table):
    return dict(zip(COLUMNS, part.transform(table.x).T, strict=True))


def test_standing_bodies_are_physical(fitted, make_bodies):
    found = measured(fitted, make_bodies(8, "rows"))
    for name in ("physics_error", "deepest", "bone_error", "limit_excess", "torque_violation"):
        np.testing.assert_allclose(found[name], 0, atol=0.05, err_msg=name)
    assert (found["acceleration"] > 0.01).all()


@pytest.mark.parametrize(("height", "penetration", "floating"), [(-0.1, 100, 0), (0.07, 0, 70)])
def test_heights_are_measured_in_millimetres(fitted, make_bodies, height, penetration, floating):
    found = measured(fitted, make_bodies(5, "rows", height=height))
    np.testing.assert_allclose(found["penetration"], penetration, atol=0.1)
    np.testing.assert_allclose(found["floating"], floating, atol=0.1)
    np.testing.assert_allclose(found["physics_error"], penetration + floating, atol=0.2)


def test_gliding_feet_skate(fitted, make_bodies):
    found = measured(fitted, make_bodies(5, "rows", glide=0.4))
    np.testing.assert_allclose(found["skating"], 400 / 20, rtol=1e-3)


def test_noise_on_the_joints_is_seen_by_every_measure_of_smoothness(fitted, make_bodies):
    table = make_bodies(6, "rows")
    x = table.x.copy()
    noise = 0.01 * np.random.default_rng(0).standard_normal(x[..., JOINT_POSITIONS].shape)
    x[..., JOINT_POSITIONS] += noise * (x != 0).any(axis=2, keepdims=True)
    clean, noisy = measured(fitted, table), measured(fitted, table.replace(x=x))
    for name in ("acceleration", "jerk", "bone_error", "physics_error", "torque_violation"):
        assert (noisy[name] > clean[name]).all(), name


def test_torques_can_be_left_out(fitted, make_bodies):
    table = make_bodies(4, "rows")
    without = MotionPhysics(torques=False).fit(make_bodies(12, "real"), key=KEY).transform(table.x)
    assert np.isnan(without[:, -1]).all()
    np.testing.assert_array_equal(without[:, :-1], fitted.transform(table.x)[:, :-1])


def test_without_mujoco_torques_are_refused_and_the_rest_is_measured(monkeypatch, make_bodies):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    load_mujoco.cache_clear()
    try:
        without = MotionPhysics(torques=False).fit(make_bodies(4, "real"), key=KEY)
        found = without.transform(make_bodies(2, "rows").x)
        assert np.isnan(found).all(axis=0).tolist() == [name == "torque_violation" for name in COLUMNS]
        with pytest.raises(MissingExtraError, match=r"torques: false.* needs 'mujoco.*ouroloop\[motion\]"):
            MotionPhysics().fit(make_bodies(4, "real"), key=KEY)
    finally:
        load_mujoco.cache_clear()


def test_torques_of_bodies_that_are_no_humans_are_refused(make_bodies):
    pytest.importorskip("mujoco", reason="torques need mujoco: pip install 'ouroloop[motion]'")
    table = make_bodies(4, "real")
    joints = decode(table.x, table["length"]) * 100  # cm
    table = table.replace(x=encode(joints, table["length"]), length=table["length"] - 1)
    with pytest.raises(DataError, match=r"stature of 1\d\d\.\d\d m is no human's.*torques: false"):
        MotionPhysics().fit(table, key=KEY)
    found = measured(MotionPhysics(torques=False).fit(table, key=KEY), table)
    assert np.isfinite(found["limit_excess"]).all()


def test_rows_do_not_depend_on_their_neighbours_or_padding(fitted, make_bodies):
    table = make_bodies(70, "rows", frames=20)
    found = fitted.transform(table.x)
    for i in (0, 63, 64, 69):
        np.testing.assert_allclose(fitted.transform(table.x[i : i + 1, : table["length"][i]])[0], found[i], atol=1e-9)


def test_motions_without_a_body_have_numbers(fitted):
    rng = np.random.default_rng(0)
    x = np.zeros((3, 9, 263), np.float32)
    x[1, :4] = 1.0
    x[2] = 50 * rng.standard_normal((9, 263))
    assert np.isfinite(fitted.transform(x)).all()
    assert fitted.transform(x[:0]).shape == (0, len(COLUMNS))
    assert np.isfinite(fitted.transform(x[:, :1])).all()


def test_a_row_with_nan_has_nan_features_and_spoils_no_other(fitted, make_bodies):
    x = make_bodies(4, "rows").x.copy()
    x[1, 2, 3] = np.nan
    assert np.isnan(fitted.transform(x)).any(axis=1).tolist() == [False, True, False, False]


def test_fit_returns_a_new_object_and_ignores_the_key(make_bodies, fitted):
    part = MotionPhysics()
    before = state_digest(part)
    other = part.fit(make_bodies(12, "real"), key=Key(5))
    assert state_digest(part) == before
    x = make_bodies(3, "rows").x
    np.testing.assert_array_equal(other.transform(x), fitted.transform(x))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (Samples.of(np.ones((4, 9, 262), np.float32)), r"HumanML3D features \(n, frames, 263\)"),
        (Samples.of(np.ones((4, 263), np.float32)), "HumanML3D features"),
        (Samples.of(np.ones((0, 9, 263), np.float32)), "at least one motion"),
        (Samples.of(np.full((4, 9, 263), np.nan)), "NaN in column 'x'"),
        (Samples.of(np.ones((4, 9, 263)), length=np.full(4, 5)), "goes on to frame 9"),
    ],
)
def test_data_that_cannot_be_measured(table, message):
    with pytest.raises(DataError, match=message):
        MotionPhysics(torques=False).fit(table, key=KEY)


def test_unfitted_use_is_refused():
    with pytest.raises(PartError, match="call fit"):
        MotionPhysics().transform(np.ones((1, 2, 263)))
