from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from ouroloop.errors import DataError
from ouroloop.motion import rotations as rot

ORDERS = ["".join(order) for order in itertools.permutations("XYZ")]
SEEDS = st.integers(0, 2**32 - 1)


def random(seed: int, *shape: int) -> np.ndarray:
    return rot.normalise(np.random.default_rng(seed).standard_normal((*shape, 4)))


def scipy(q: np.ndarray) -> Rotation:
    return Rotation.from_quat(np.roll(q, -1, axis=-1))


def same(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-12) -> bool:
    """The same rotations: up to sign."""
    return bool(np.allclose(np.abs((a * b).sum(-1)), 1, atol=tolerance))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_the_group_of_rotations(seed):
    a, b, c = random(seed, 3, 50)
    assert same(rot.multiply(rot.multiply(a, b), c), rot.multiply(a, rot.multiply(b, c)))
    assert same(rot.multiply(a, rot.conjugate(a)), rot.IDENTITY)
    assert same(rot.multiply(a, rot.IDENTITY), a)
    assert same(rot.multiply(a, b), np.roll((scipy(a) * scipy(b)).as_quat(), 1, axis=-1))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_vectors_turn_as_scipy_turns_them(seed):
    q, v = random(seed, 50), np.random.default_rng(seed).standard_normal((50, 3))
    np.testing.assert_allclose(rot.rotate(q, v), scipy(q).apply(v), atol=1e-12)
    np.testing.assert_allclose(rot.to_matrix(q), scipy(q).as_matrix(), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rot.rotate(q, v), axis=-1), np.linalg.norm(v, axis=-1))


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_every_representation_and_back(seed):
    q = random(seed, 50)
    assert same(rot.from_matrix(rot.to_matrix(q)), q)
    assert same(rot.from_6d(rot.to_6d(q)), q)
    assert same(rot.from_rotation_vector(rot.to_rotation_vector(q)), q)
    assert (rot.from_matrix(rot.to_matrix(q))[..., 0] >= 0).all()


@pytest.mark.parametrize("order", ORDERS)
def test_euler_angles_are_intrinsic_and_round_trip(order):
    q = random(3, 200)
    angles = rot.to_euler(q, order)
    assert same(rot.from_euler(angles, order), q)
    np.testing.assert_allclose(angles, scipy(q).as_euler(order), atol=1e-9)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("middle", [np.pi / 2, -np.pi / 2])
def test_gimbal_lock_keeps_the_rotation(order, middle):
    q = rot.from_euler(np.array([[0.4, middle, -1.1], [0.0, middle, 0.0]]), order)
    angles = rot.to_euler(q, order)
    assert (angles[:, 2] == 0).all()
    assert same(rot.from_euler(angles, order), q)


@pytest.mark.parametrize("order", ["XYX", "XY", "xyw", ""])
def test_an_unknown_euler_order_is_named(order):
    with pytest.raises(DataError, match="Euler order"):
        rot.from_euler(np.zeros(3), order)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_half_turns_survive_the_matrix(axis):
    q = np.zeros(4)
    q[1 + axis] = 1
    assert same(rot.from_matrix(rot.to_matrix(q)), q)
    np.testing.assert_allclose(np.linalg.norm(rot.to_rotation_vector(q)), np.pi)


def test_tiny_rotation_vectors_keep_their_length():
    v = np.array([[1e-11, 0, 0], [0, 1e-7, 0], [0, 0, 0]])
    np.testing.assert_allclose(rot.to_rotation_vector(rot.from_rotation_vector(v)), v, rtol=1e-6, atol=1e-18)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS, share=st.floats(0, 1))
def test_slerp_turns_at_constant_speed_the_short_way(seed, share):
    a, b = random(seed, 2, 20)
    middle = rot.slerp(a, b, share)
    np.testing.assert_allclose(rot.angle(a, middle), share * rot.angle(a, b), atol=1e-7)
    assert same(rot.slerp(a, -b, share), middle, 1e-9)


@settings(max_examples=30, deadline=None)
@given(seed=SEEDS)
def test_between_is_the_smallest_rotation_that_does_it(seed):
    a, b = np.random.default_rng(seed).standard_normal((2, 20, 3))
    q = rot.between(a, b)
    np.testing.assert_allclose(rot.rotate(q, rot.normalise(a)), rot.normalise(b), atol=1e-9)
    cosine = (rot.normalise(a) * rot.normalise(b)).sum(-1)
    np.testing.assert_allclose(rot.angle(q, rot.IDENTITY), np.arccos(np.clip(cosine, -1, 1)), atol=1e-6)


def test_between_opposite_directions_is_half_a_turn():
    a = np.concatenate([np.eye(3), [[1.0, 2.0, -3.0]]])
    q = rot.between(a, -a)
    np.testing.assert_allclose(rot.rotate(q, a), -a, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(q, axis=-1), 1)


def test_heading_is_the_turn_about_y():
    angles = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(rot.heading(rot.about_y(angles)), angles, atol=1e-12)
    nod = rot.from_euler(np.array([0.5, 0.0, 0.0]), "XYZ")
    np.testing.assert_allclose(rot.heading(rot.multiply(rot.about_y(angles), nod)), angles, atol=1e-12)
    np.testing.assert_allclose(rot.rotate(rot.about_y(np.pi / 2), np.array([0.0, 0, 1])), [1, 0, 0], atol=1e-12)


def test_continuous_removes_sign_flips_only():
    path = rot.from_rotation_vector(np.linspace(0, 6, 40)[:, None, None] * np.ones((1, 2, 3)) / np.sqrt(3))
    flipped = path * np.random.default_rng(0).choice([-1.0, 1.0], (40, 2, 1))
    smooth = rot.continuous(flipped)
    assert same(smooth, path)
    assert ((smooth[1:] * smooth[:-1]).sum(-1) > 0).all()
    assert rot.continuous(path[:1]).shape == (1, 2, 4)


def test_normalise_leaves_zero_alone():
    np.testing.assert_array_equal(rot.normalise(np.zeros((2, 3))), 0)
