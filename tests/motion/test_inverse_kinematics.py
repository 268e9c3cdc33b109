from __future__ import annotations

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.motion.examples import walking
from ouroloop.motion.inverse_kinematics import inverse_kinematics, leg_rotations, motion_from_positions
from ouroloop.motion.refinement import refined
from ouroloop.motion.rest_pose import rest_skeleton
from ouroloop.motion.rotations import about_y, angle, from_rotation_vector, multiply, rotate
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton

HINGED = {"left_knee": [1, 0, 0], "right_knee": [1, 0, 0], "left_elbow": [0, -1, 0], "right_elbow": [0, 1, 0]}


def body() -> Skeleton:
    offsets = np.zeros((22, 3))
    offsets[[1, 2, 3]] = [[0.1, -0.08, 0], [-0.1, -0.08, 0], [0, 0.12, -0.02]]
    offsets[[4, 5, 7, 8], 1] = -0.4
    offsets[[6, 9], 1] = 0.13
    offsets[[10, 11]] = [0, -0.06, 0.12]
    offsets[[12, 13, 14]] = [[0, 0.2, 0], [0.08, 0.1, 0], [-0.08, 0.1, 0]]
    offsets[15] = [0, 0.1, 0.025]
    offsets[[16, 18, 20], 0] = [0.1, 0.27, 0.25]
    offsets[[17, 19, 21], 0] = [-0.1, -0.27, -0.25]
    return Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, offsets)


def poses(frames: int = 40, bend: float = 0.8, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Smooth joint rotations: knees and elbows bend about their hinges, the rest turns a little."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 2, frames)[:, None, None]
    vectors = 0.25 * np.sin(t + rng.uniform(0, 6, (22, 3))) * rng.uniform(0.2, 1, (22, 3))
    for name, axis in HINGED.items():
        vectors[:, HUMANML3D_NAMES.index(name)] = bend * (1 + 0.3 * np.sin(3 * t[:, 0])) * axis
    vectors[:, [10, 11, 15, 20, 21]] = 0  # ends: nothing tells how they turn
    rotations = from_rotation_vector(vectors)
    rotations[:, 0] = multiply(about_y(0.5 * t[:, 0, 0]), rotations[:, 0])
    return np.cumsum(rng.normal(0, 0.01, (frames, 3)), axis=0) + np.array([0, 0.9, 0]), rotations


def error_mm(skeleton: Skeleton, positions: np.ndarray, **options: int) -> float:
    root, rotations = inverse_kinematics(positions, skeleton, **options)
    return 1e3 * float(np.linalg.norm(skeleton.forward(root, rotations) - positions, axis=-1).mean())


def test_positions_made_by_the_skeleton_are_met():
    positions = body().forward(*poses())
    assert error_mm(body(), positions) < 0.5
    root, rotations = inverse_kinematics(positions, body())
    assert np.linalg.norm(body().forward(root, rotations) - positions, axis=-1).max() < 2e-3


def test_hinges_bend_about_their_axes():
    root, truth = poses(bend=1.2)
    rotations = inverse_kinematics(body().forward(root, truth), body())[1]
    for name, axis in HINGED.items():
        joint = HUMANML3D_NAMES.index(name)
        turned = rotate(rotations[:, joint], np.array(axis, dtype=float))
        assert (turned @ np.array(axis) > 0.98).all(), name
        np.testing.assert_allclose(angle(rotations[:, joint], truth[:, joint]), 0, atol=0.25)


def test_straight_limbs_do_not_spin():
    root, truth = poses(bend=0.0)
    noisy = body().forward(root, truth) + np.random.default_rng(0).normal(0, 1e-4, (40, 22, 3))
    rotations = inverse_kinematics(noisy, body())[1]
    assert np.rad2deg(angle(rotations[1:], rotations[:-1])).max() < 8


def test_heading_and_place_carry_over():
    root, truth = poses()
    positions = body().forward(root, truth)
    turn = about_y(2.5)
    moved = rotate(turn, positions) + np.array([3.0, 0, -4])
    a, b = inverse_kinematics(positions, body())[1], inverse_kinematics(moved, body())[1]
    np.testing.assert_allclose(angle(multiply(turn, a[:, 0]), b[:, 0]), 0, atol=1e-6)
    np.testing.assert_allclose(angle(a[:, 1:], b[:, 1:]), 0, atol=1e-6)


def test_refinement_lowers_the_error_where_the_body_does_not_fit():
    stretched = body().forward(*poses()) * [1.0, 1.03, 1.0]
    before, after = error_mm(body(), stretched), error_mm(body(), stretched, refinements=3)
    assert after < 0.9 * before


def test_refinement_finds_a_disturbed_pose_again():
    root, truth = poses()
    positions = body().forward(root, truth)
    disturbed = multiply(truth, from_rotation_vector(np.random.default_rng(0).normal(0, 0.05, (40, 22, 3))))
    new_root, rotations = refined(root, disturbed, positions, body(), steps=4)
    assert np.linalg.norm(body().forward(new_root, rotations) - positions, axis=-1).mean() < 1e-4


def test_many_frames_equal_each_frame_refined_alone():
    root, truth = poses(300)
    positions = body().forward(root, truth) * [1, 1.02, 1]
    _, together = refined(root, truth, positions, body(), 2)
    _, alone = refined(root[290:], truth[290:], positions[290:], body(), 2)
    np.testing.assert_allclose(angle(together[290:], alone), 0, atol=1e-6)


@pytest.mark.parametrize("side", [0, 1])
def test_one_leg_by_itself_is_as_in_the_whole(side):
    root, truth = poses()
    positions, world = body().poses(root, truth)
    joints = [1 + side, 4 + side, 7 + side, 10 + side]
    local = leg_rotations(body(), joints[0], world[:, 0], positions[:, joints], 20.0)
    whole = inverse_kinematics(positions, body())[1]
    np.testing.assert_allclose(angle(local, whole[:, joints]), 0, atol=0.02)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_few_frames(frames):
    positions = body().forward(*poses())[:frames]
    assert error_mm(body(), positions) < 1
    assert len(motion_from_positions(positions, 20.0, name="short")) == frames


def test_measured_skeletons_have_the_bodys_lengths():
    positions = body().forward(*poses())
    skeleton = rest_skeleton([positions])
    np.testing.assert_allclose(skeleton.bone_lengths, body().bone_lengths, atol=1e-3)
    np.testing.assert_allclose(skeleton.offsets[[4, 5, 7, 8]], body().offsets[[4, 5, 7, 8]], atol=1e-9)
    assert skeleton == rest_skeleton([positions])
    given = rest_skeleton([positions, positions], foot_drop=0.05)
    np.testing.assert_allclose(given.offsets[[10, 11], 1], -0.05)


@pytest.mark.parametrize("height", [0.0, 0.15, 0.3])
def test_a_foot_is_measured_where_it_stands_even_if_the_floor_heaves(height):
    """A walker whose feet point down in the air: on a floor that heaves by `height` m, the lowest feet do not stand."""
    clip = walking(24)
    for ankle, ball in ((7, 10), (8, 11)):
        down = 1.2 * (clip[:, ankle, 1] - 0.06) / 0.08  # rad, in proportion to the ankle's height
        clip[:, ball, 1] = clip[:, ankle, 1] - 0.06 * np.cos(down) - 0.13 * np.sin(down)
        clip[:, ball, 2] = clip[:, ankle, 2] + 0.13 * np.cos(down) - 0.06 * np.sin(down)
    clip[..., 1] += height * np.sin(1.0 + 5.3 * np.linspace(0.0, 1.0, 24))[:, None]
    np.testing.assert_allclose(rest_skeleton([clip]).offsets[[10, 11], 1], -0.06, atol=0.002)


def test_faults():
    positions = body().forward(*poses())
    hand = Skeleton(("wrist", "finger"), (-1, 0), np.eye(2, 3))
    with pytest.raises(DataError, match=r"skeleton of 2 joints \(wrist, finger"):
        inverse_kinematics(positions, hand)
    with pytest.raises(DataError, match=r"expected \(frames, 22, 3\)"):
        inverse_kinematics(positions[:, :21], body())
    with pytest.raises(DataError, match="no clips"):
        rest_skeleton([])
    positions[3, 5] = np.nan
    with pytest.raises(DataError, match="NaN or infinite in 1 of 40 frames, first in frame 3"):
        inverse_kinematics(positions, body())
    positions[3, 5] = positions[3, 2]
    with pytest.raises(DataError, match="zero-length bone to 'right_knee' in frame 3"):
        motion_from_positions(positions, 20.0)


def test_shared_clips(shared_clips):
    """Mean joint error in millimetres with bone lengths measured in each clip; every eighth clip of each source."""
    errors: dict[str, list[float]] = {}
    for about, positions in zip(shared_clips.about[::8], shared_clips.positions[::8], strict=True):
        errors.setdefault(about["source"], []).append(error_mm(rest_skeleton([positions]), positions))
    worst = {source: max(values) for source, values in errors.items()}
    assert worst["bandai"] < 0.1
    assert worst["deepmimic"] < 0.1
    assert worst["cmu_cc"] < 0.5
    assert worst["cmu_8act"] < 8  # its collars and spine joints are not rigidly joined
