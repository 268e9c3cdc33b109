"""The corrector's parts against what must hold of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.motion.examples import SKELETON, standing, walking
from ouroloop.motion.physics.body import Body, from_simulator, to_simulator
from ouroloop.motion.physics.clip import prepare
from ouroloop.motion.physics.contact_forces import distribute
from ouroloop.motion.physics.contacts import detect_contacts, root_drift
from ouroloop.motion.physics.denoise import despike, fill_missing, noise_level, remove_noise
from ouroloop.motion.physics.filters import distance_to, penalty_of, runs, smooth, spread
from ouroloop.motion.physics.floor import floor_height
from ouroloop.motion.physics.kinematics import joint_rotations
from ouroloop.motion.physics.limits import clamp_to_limits, limit_excess, mend_hinges
from ouroloop.motion.physics.options import PhysicsOptions
from ouroloop.motion.physics.recovery import blend_after, lost_frame
from ouroloop.motion.physics.resampling import resample, resample_pose
from ouroloop.motion.rotations import from_rotation_vector, multiply, rotate
from ouroloop.motion.skeleton import Skeleton

BODY = Body.of(SKELETON)
FPS = 20.0


def random_rotations(frames: int, size: float) -> np.ndarray:
    return from_rotation_vector(np.random.default_rng(0).normal(size=(frames, 22, 3)) * size)


def test_axes_go_there_and_back_and_keep_rotations():
    rng = np.random.default_rng(0)
    q, v = from_rotation_vector(rng.normal(size=(50, 3))), rng.normal(size=(50, 3))
    np.testing.assert_allclose(rotate(to_simulator(q), to_simulator(v)), to_simulator(rotate(q, v)), atol=1e-12)
    np.testing.assert_array_equal(from_simulator(to_simulator(q)), q)
    np.testing.assert_array_equal(from_simulator(to_simulator(v)), v)


def test_a_body_poses_like_its_skeleton():
    rotations, root = random_rotations(20, 0.5), np.random.default_rng(1).normal(size=(20, 3))
    np.testing.assert_allclose(
        from_simulator(BODY.pose(to_simulator(root), to_simulator(rotations))[0]),
        SKELETON.forward(root, rotations),
        atol=1e-12,
    )


def test_weight_is_shared_by_two_feet():
    arms = np.array([[[0.0, 0.1, -1.0], [0.0, -0.1, -1.0]]])
    forces = distribute(arms, np.full((1, 2), 1e-4), np.array([[0.0, 0.0, 700.0, 0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(forces[0, :, 2], 350.0, rtol=1e-2)
    np.testing.assert_allclose(forces[0, :, :2], 0.0, atol=2.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_contact_forces_push_within_their_cones_and_only_where_there_is_contact(seed):
    rng = np.random.default_rng(seed)
    arms, cost = rng.normal(size=(5, 6, 3)), rng.uniform(0.02, 1.0, (5, 6))
    cost[:, 4:] = np.inf
    forces = distribute(arms, cost, rng.normal(size=(5, 6)) * 500.0)
    assert (forces[:, 4:] == 0).all()
    assert (forces[..., 2] >= 0).all()
    assert (np.linalg.norm(forces[..., :2], axis=-1) <= 0.9 * forces[..., 2] + 1e-6).all()


def test_smoothing_keeps_parabolas_and_halves_power_at_the_cutoff():
    t = np.arange(60.0)
    parabola = np.stack([t, t**2, 3 - t], axis=1)
    np.testing.assert_allclose(smooth(parabola, 1e4), parabola, rtol=1e-6, atol=1e-5)
    seconds = np.arange(2000) / FPS
    wave = np.sin(2 * np.pi * 3.0 * seconds)[:, None]
    assert np.abs(smooth(wave, penalty_of(3.0, FPS)))[500:1500].max() == pytest.approx(0.5, abs=0.01)


def test_stretches_and_distances():
    mask = np.array([0, 1, 1, 0, 0, 1], bool)
    assert runs(mask) == [(1, 3), (5, 6)]
    assert distance_to(mask).tolist() == [1, 0, 0, 1, 1, 0]
    filled = spread(np.arange(6.0)[:, None], mask, 2.0)
    np.testing.assert_allclose(filled[1:, 0], [1, 2, 3, 4, 5])
    assert not spread(np.ones((4, 2)), np.zeros(4, bool), 2.0).any()


def test_gaps_are_bridged_and_what_stands_still_is_left():
    line = np.arange(40.0)[:, None, None] * np.ones((1, 22, 3)) * 0.05
    broken = line.copy()
    broken[5] = np.nan
    broken[20:26] = broken[19]  # a tracker that dropped out
    mended, count = fill_missing(broken)
    assert count == 7
    np.testing.assert_allclose(mended, line, atol=1e-9)
    still = np.ones((40, 22, 3))
    assert fill_missing(still)[1] == 0
    assert fill_missing(np.full((5, 22, 3), np.nan))[1] == 0


def test_pops_are_removed_and_motion_is_not():
    clip = walking(60)
    popped = clip.copy()
    popped[30, 20] += [0.2, 0.1, 0.0]
    mended, count = despike(popped, FPS)
    assert count >= 1
    assert np.linalg.norm(mended[30, 20] - clip[30, 20]) < 0.05
    assert despike(clip, FPS)[1] == 0


def test_noise_is_measured_and_removed():
    clip = standing(200)
    noisy = clip + np.random.default_rng(0).normal(size=clip.shape) * 0.01
    assert np.median(noise_level(noisy)) == pytest.approx(0.01, rel=0.1)
    quiet, level, cutoff = remove_noise(noisy, FPS)
    assert level == pytest.approx(0.01, rel=0.1)
    assert cutoff > 0
    assert np.abs(quiet - clip).mean() < 0.5 * np.abs(noisy - clip).mean()
    assert remove_noise(clip, FPS)[0] is clip


@pytest.mark.parametrize("height", [-0.3, 0.0, 0.7])
def test_the_floor_is_found(height):
    up = np.array([0.0, height, 0.0])
    assert floor_height(standing(40) + up, FPS) == pytest.approx(height, abs=0.003)
    assert floor_height(walking(60) + up, FPS) == pytest.approx(height, abs=0.01)


def test_a_floor_under_noise_is_not_looked_for_below_it():
    clip = walking(60)
    skeleton = Skeleton.from_positions(clip)
    noise = [np.random.default_rng(seed).normal(0.0, 0.015, clip.shape) for seed in range(1, 5)]
    floors = [prepare(clip + by, FPS, skeleton, PhysicsOptions()).report.floor for by in noise]
    assert abs(np.mean(floors)) < 0.0065  # 9 mm where noise counts as depth


@pytest.mark.parametrize(("rise", "believed"), [(0.0, 0.0), (0.05, 0.0), (0.2, 1.0), (-0.2, 1.0)])
def test_a_floor_must_move_by_more_than_five_centimetres_to_be_believed(rise, believed):
    clip = walking(100)
    skeleton = Skeleton.from_positions(clip)
    clip[..., 1] += np.linspace(0.0, rise, 100)[:, None]
    prepared = prepare(clip, FPS, skeleton, PhysicsOptions())
    assert prepared.report.floor_belief == believed
    assert prepared.report.floor_range == pytest.approx(abs(rise), abs=0.02)


def soles(clip: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    positions = to_simulator(clip)
    root, rotations, _ = joint_rotations(BODY, positions, FPS)
    root[:, 2] += BODY.ball_radius
    return BODY.surface.lowest(*BODY.pose(root, rotations), 12), root


def test_contacts_alternate_in_a_walk():
    contacts = detect_contacts(soles(walking(100))[0], FPS)
    share = contacts.foot.mean(axis=0)
    assert (share > 0.4).all()
    assert (share < 0.8).all()
    assert contacts.foot.any(axis=1).mean() > 0.9


def test_drift_is_found_and_walking_is_none():
    clip = standing(100)
    drifting = clip + 0.3 * np.arange(100)[:, None, None] / FPS * np.array([1.0, 0.0, 0.0])
    found = root_drift(*soles(drifting), FPS)
    np.testing.assert_allclose(found[20:-20].mean(axis=0), [0.0, -0.3], atol=0.03)
    assert np.abs(root_drift(*soles(walking(100)), FPS)).max() < 0.02


def test_limits_hold_after_clamping_and_hinges_are_mended():
    wild = random_rotations(40, 1.0)
    assert limit_excess(wild).max() > 0.3
    assert limit_excess(clamp_to_limits(wild)).max() < 1e-5
    bent = np.tile([1.0, 0, 0, 0], (60, 22, 1))
    bent[:, 4] = from_rotation_vector(np.tile([0.0, 0.5, 0.0], (60, 1)))
    broken = bent.copy()
    broken[28:32, 4] = from_rotation_vector(np.tile([0.0, -0.7, 0.0], (4, 1)))
    mended, count = mend_hinges(broken, FPS)
    assert count >= 4
    np.testing.assert_allclose(mended[:, 4], bent[:, 4], atol=1e-9)
    assert mend_hinges(bent, FPS)[1] == 0
    rolled = bent.copy()  # as noise does it: far past the limit, but not bent the wrong way
    rolled[28:32, 4] = multiply(bent[28:32, 4], from_rotation_vector(np.tile([0.6, 0.0, 0.0], (4, 1))))
    assert np.rad2deg(limit_excess(rolled)).max() > 20
    assert mend_hinges(rolled, FPS)[1] == 0


def test_resampling_knows_velocities():
    seconds = np.arange(21) / FPS
    rotations = np.tile([1.0, 0, 0, 0], (21, 22, 1))
    rotations[:, 0] = from_rotation_vector(seconds[:, None] * np.array([0.0, 0.0, 1.5]))
    root = seconds[:, None] * np.array([1.0, -2.0, 0.5])
    reference = resample(root, rotations, FPS, 240.0)
    np.testing.assert_allclose(reference.velocity, np.tile([1.0, -2.0, 0.5], (len(reference), 1)), atol=1e-6)
    np.testing.assert_allclose(reference.angular[:, 0], np.tile([0.0, 0.0, 1.5], (len(reference), 1)), atol=1e-3)
    back, turns = resample_pose(reference.root, reference.rotations, 240.0, 21, FPS)
    np.testing.assert_allclose(back, root, atol=1e-9)
    np.testing.assert_allclose(turns[:, 0], rotations[:, 0], atol=1e-5)


def test_losses_are_noticed_and_blended_without_a_jump():
    assert lost_frame(np.array([0.1, 0.2, 0.1]), 0.4, False) is None
    assert lost_frame(np.array([0.1, 0.5, 0.1]), 0.4, False) == 1
    assert lost_frame(np.array([0.1, np.nan, 0.1]), 0.4, False) == 1
    assert lost_frame(np.array([0.1, 0.1, 0.1]), 0.4, True) == 2
    rotations = np.tile([1.0, 0, 0, 0], (480, 22, 1))
    turned = multiply(rotations, from_rotation_vector(np.array([0.0, 0.0, 0.3])))
    low, high = np.zeros((480, 3)), np.full((480, 3), 0.4)
    root, blended, frames = blend_after((high, turned), (low, rotations), 300, 240.0)
    assert root[0] == pytest.approx(0.4)
    assert (root[300:] == 0).all()
    np.testing.assert_array_equal(blended[300:], rotations[300:])
    assert np.abs(np.diff(root, axis=0)).max() < 0.02
    assert 90 < frames < 200
