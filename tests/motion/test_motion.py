from __future__ import annotations

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.motion.mirroring import counterparts
from ouroloop.motion.motion import Motion, resample_positions
from ouroloop.motion.rotations import IDENTITY, about_y, normalise
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton

PAIR = Skeleton(("root", "tip"), (-1, 0), np.array([[0, 0, 0], [0, 0, 1.0]]))


def random_motion(skeleton: Skeleton, frames: int = 6, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    rotations = normalise(rng.standard_normal((frames, len(skeleton), 4)))
    return Motion(skeleton, rng.standard_normal((frames, 3)), rotations, 20.0, name="clip")


def test_resampling_a_steady_turn_is_exact():
    turn = Motion(PAIR, np.linspace(0, 1, 11)[:, None] * [1, 0, 2], np.tile(IDENTITY, (11, 2, 1)), 10)
    rotations = turn.rotations.copy()
    rotations[:, 0] = about_y(np.linspace(0, 3, 11))
    turn = Motion(PAIR, turn.root, rotations, 10)
    fast = turn.resampled(37.0)
    t = np.arange(len(fast)) / 37
    assert len(fast) == 38
    assert fast.fps == 37
    np.testing.assert_allclose(fast.root[:, 0], t, atol=1e-12)
    np.testing.assert_allclose(fast.positions[:, 1, 0] - fast.root[:, 0], np.sin(3 * t), atol=1e-12)


@pytest.mark.parametrize(
    ("frames", "fps", "to", "count"), [(121, 1 / 0.0083333, 20, 21), (1, 60, 20, 1), (4, 30, 20, 3)]
)
def test_resampled_length(frames, fps, to, count):
    motion = Motion(PAIR, np.zeros((frames, 3)), np.tile(IDENTITY, (frames, 2, 1)), fps)
    assert len(motion.resampled(to)) == count
    assert len(resample_positions(motion.positions, fps, to)) == count


def test_resampling_to_the_same_rate_changes_nothing():
    motion = random_motion(PAIR)
    np.testing.assert_allclose(motion.resampled(20).positions, motion.positions, atol=1e-12)
    np.testing.assert_allclose(resample_positions(motion.positions, 20, 20), motion.positions, atol=1e-12)


def symmetric_body() -> Skeleton:
    rng = np.random.default_rng(5)
    offsets = rng.standard_normal((22, 3))
    for i, j in enumerate(counterparts(HUMANML3D_NAMES)):
        offsets[j] = offsets[i] * [-1, 1, 1] if i != j else offsets[i] * [0, 1, 1]
    return Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, offsets)


def test_mirrored_positions_are_the_reflection_with_sides_swapped():
    motion = random_motion(symmetric_body())
    swap = list(counterparts(HUMANML3D_NAMES))
    np.testing.assert_allclose(motion.mirrored().positions, motion.positions[:, swap] * [-1, 1, 1], atol=1e-12)
    assert motion.mirrored().skeleton == motion.skeleton
    np.testing.assert_allclose(motion.mirrored().mirrored().positions, motion.positions, atol=1e-12)


@pytest.mark.parametrize("flip", [[1, 1, -1], [1, -1, 1], [-1, -1, -1]])
def test_joint_frames_mirrored_in_another_way_keep_their_skeleton(flip):
    """A body whose right side hangs along other axes than the mirror's, as in DeepMimic and Bandai files."""
    names, parents = ("hips", "left_leg", "left_foot", "right_leg", "right_foot"), (-1, 0, 1, 0, 3)
    left = np.array([[0.1, 0.2, 0.3], [0.4, 0.1, -0.2]])
    motion = random_motion(Skeleton(names, parents, np.concatenate([np.zeros((1, 3)), left, left * flip])))
    mirrored = motion.mirrored()
    np.testing.assert_allclose(mirrored.positions, motion.positions[:, [0, 3, 4, 1, 2]] * [-1, 1, 1], atol=1e-12)
    np.testing.assert_allclose(mirrored.skeleton.offsets, motion.skeleton.offsets, atol=1e-12)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_hip", "right_hip"),
        ("LeftUpLeg", "RightUpLeg"),
        ("L_Hip", "R_Hip"),
        ("CC_Base_L_Thigh", "CC_Base_R_Thigh"),
        ("Foot_L", "Foot_R"),
        ("lfemur", "rfemur"),
        ("LHipJoint", "RHipJoint"),
        ("calf.l", "calf.r"),
    ],
)
def test_sides_are_told_by_name(left, right):
    assert counterparts(("root", left, "lowerback", right, "Relaxed")) == (0, 3, 2, 1, 4)


def test_cut_counts_as_slices_do():
    motion = random_motion(PAIR, 10)
    np.testing.assert_array_equal(motion.cut(2, -3).root, motion.root[2:-3])
    np.testing.assert_array_equal(motion.cut(4).root, motion.root[4:])
    assert motion.cut(2).name == "clip"
    with pytest.raises(DataError, match=r"cut\(4, 4\) leaves none of its 10 frames"):
        motion.cut(4, 4)


def test_duration_length_and_unit_quaternions():
    motion = Motion(PAIR, np.zeros((5, 3)), np.full((5, 2, 4), 3.0), 8)
    assert (len(motion), motion.duration) == (5, 0.5)
    np.testing.assert_allclose(np.linalg.norm(motion.rotations, axis=-1), 1)


def faulty(**changes: np.ndarray | float) -> Motion:
    parts = {"root": np.zeros((4, 3)), "rotations": np.ones((4, 2, 4)), "fps": 20.0} | changes
    return Motion(PAIR, **parts, name="clip")  # type: ignore[arg-type]


def nan_at(shape: tuple[int, ...], frame: int) -> np.ndarray:
    values = np.ones(shape)
    values[frame] = np.nan
    return values


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": np.zeros((0, 3)), "rotations": np.zeros((0, 2, 4))}, "at least one frame"),
        ({"root": np.zeros((3, 3))}, r"root \(3, 3\)"),
        ({"rotations": np.ones((4, 3, 4))}, r"expected \(frames, 3\) and \(frames, 2, 4\)"),
        ({"root": nan_at((4, 3), 2)}, "root is NaN or infinite in 1 of 4 frames, first in frame 2"),
        ({"rotations": nan_at((4, 2, 4), 1)}, "rotations is NaN or infinite .* first in frame 1"),
        ({"rotations": np.zeros((4, 2, 4))}, "'root' in frame 0 is zero"),
        ({"fps": 0.0}, "fps is 0"),
        ({"fps": float("nan")}, "fps is nan"),
    ],
)
def test_faulty_motions_are_refused(changes, message):
    with pytest.raises(DataError, match=f"motion 'clip': .*{message}"):
        faulty(**changes)


def test_resampling_to_nonsense_is_refused():
    with pytest.raises(DataError, match="resampling to -1"):
        random_motion(PAIR).resampled(-1)
