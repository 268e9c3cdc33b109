from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import DataError
from ouroloop.motion import humanml3d as h
from ouroloop.motion.rotations import about_y, from_6d, rotate
from ouroloop.motion.skeleton import HUMANML3D_PARENTS

ORIGIN = np.array([1.0, 0.0, 1.0])


def walk(frames: int, seed: int = 0, turn: float = 0.02) -> np.ndarray:
    """A jittering figure with a plausible body that walks in a curve."""
    rng = np.random.default_rng(seed)
    body = np.zeros((22, 3))
    body[:11, 1] = [0.9, 0.8, 0.8, 1, 0.5, 0.5, 1.1, 0.1, 0.1, 1.2, 0]
    body[11:, 1] = [0, 1.4, 1.3, 1.3, 1.6, 1.35, 1.35, 1.1, 1.1, 0.9, 0.9]
    body[[1, 4, 7, 10, 13, 16, 18, 20], 0] = [0.1, 0.1, 0.1, 0.1, 0.05, 0.2, 0.25, 0.3]
    body[[2, 5, 8, 11, 14, 17, 19, 21], 0] = [-0.1, -0.1, -0.1, -0.1, -0.05, -0.2, -0.25, -0.3]
    body[[10, 11], 2] = 0.15
    heading = np.arange(frames) * turn
    path = np.cumsum(rotate(about_y(heading), np.array([0.0, 0, 0.05])), axis=0)
    local = body + 0.01 * rng.standard_normal((frames, 22, 3))
    return rotate(about_y(heading)[:, None], local) + path[:, None]


def aligned(clip: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The clip moved in x and z and turned about y so that it lies on `like` as well as it can."""
    a, b = clip - clip[0, 0] * ORIGIN, like - like[0, 0] * ORIGIN
    cross = (a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]).sum()
    angle = np.arctan2(cross, (a * b)[..., ::2].sum())
    return rotate(about_y(angle), a) + like[0, 0] * ORIGIN


def test_every_number_has_its_place():
    parts = [h.HEADING_VELOCITY, h.ROOT_VELOCITY, h.ROOT_HEIGHT, h.JOINT_POSITIONS]
    parts += [h.JOINT_ROTATIONS, h.JOINT_VELOCITIES, h.FOOT_CONTACTS]
    assert [p.start for p in parts] == [0, *(p.stop for p in parts[:-1])]
    assert parts[-1].stop == h.FEATURES == 263


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), frames=st.integers(2, 60), turn=st.floats(-0.4, 0.4))
def test_round_trip_of_a_made_up_walk(seed, frames, turn):
    clip = walk(frames, seed, turn)
    back = h.decode(h.encode(clip))
    assert back.shape == (frames - 1, 22, 3)
    np.testing.assert_allclose(back, aligned(clip[:-1], back), atol=2e-5)


def test_turning_and_moving_a_motion_changes_no_feature():
    clip = walk(30)
    moved = rotate(about_y(2.0), clip) + np.array([3, 0, -5])
    np.testing.assert_allclose(h.encode(moved), h.encode(clip), atol=2e-6)


def test_a_full_turn_keeps_its_direction():
    """The published sine of half the turn changes sign where the heading passes 180 degrees."""
    features = h.encode(walk(400, turn=0.05))
    assert (features[..., h.HEADING_VELOCITY] < 0).all()


def test_features_mean_what_the_table_says():
    clip = walk(40, turn=0.0)
    features = h.encode(clip)
    np.testing.assert_allclose(features[:, 3], clip[:-1, 0, 1], atol=1e-6)
    positions = features[:, h.JOINT_POSITIONS].reshape(39, 21, 3)
    np.testing.assert_allclose(positions[..., 1], clip[:-1, 1:, 1], atol=1e-6)
    distance = np.linalg.norm((clip[:, 1:] - clip[:, :1])[:-1, :, ::2], axis=-1)
    np.testing.assert_allclose(np.linalg.norm(positions[..., ::2], axis=-1), distance, atol=1e-6)
    speeds = np.linalg.norm(np.diff(clip, axis=0), axis=-1)
    velocities = features[:, h.JOINT_VELOCITIES].reshape(39, 22, 3)
    np.testing.assert_allclose(np.linalg.norm(velocities, axis=-1), speeds, atol=1e-6)
    np.testing.assert_array_equal(features[:, h.FOOT_CONTACTS], speeds[:, [7, 10, 8, 11]] ** 2 < 0.002)
    assert 0 < features[:, h.FOOT_CONTACTS].mean() < 1


def test_rotations_lead_along_the_legs_to_the_bones():
    """Below the hip the rotations of a chain, multiplied from the heading on, point the bones where they point."""
    clip = walk(20)
    q = from_6d(h.encode(clip)[:, h.JOINT_ROTATIONS].astype(np.float64).reshape(19, 21, 6))
    hip, knee, ankle = (q[:, joint - 1] for joint in (2, 5, 8))
    knee_to_ankle = rotate(knee, rotate(ankle, np.array([0.0, -1, 0])))
    hip_to_knee = rotate(knee, np.array([0.0, -1, 0]))
    bones = np.diff(clip[:-1, [2, 5, 8]], axis=1)
    bones /= np.linalg.norm(bones, axis=-1, keepdims=True)
    cosine = (bones[:, 0] * bones[:, 1]).sum(-1)
    np.testing.assert_allclose((hip_to_knee * knee_to_ankle).sum(-1), cosine, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(hip, axis=-1), 1)


def test_heights_are_kept_unless_asked():
    clip = walk(20) + np.array([0, 0.3, 0])
    assert h.decode(h.encode(clip))[..., 1].min() == pytest.approx(clip[:-1, :, 1].min(), abs=1e-6)
    grounded = h.encode(clip, floor=True)
    lowest = clip[..., 1].min()
    np.testing.assert_allclose(grounded[:, 3], clip[:-1, 0, 1] - lowest, atol=1e-6)


def test_a_padded_batch_equals_its_motions_one_by_one():
    clips = [walk(frames, seed) for seed, frames in enumerate([2, 90, 17, 200, 17])]
    lengths = np.array([len(clip) for clip in clips])
    batch = np.full((5, 200, 22, 3), np.nan)
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip)] = clip
    features = h.encode(batch, lengths)
    assert features.shape == (5, 199, 263)
    assert features.dtype == np.float32
    positions = h.decode(features, lengths - 1)
    for i, clip in enumerate(clips):
        np.testing.assert_array_equal(features[i, : len(clip) - 1], h.encode(clip))
        np.testing.assert_array_equal(positions[i, : len(clip) - 1], h.decode(h.encode(clip)))
        assert (features[i, len(clip) - 1 :] == 0).all()
        assert (positions[i, len(clip) - 1 :] == 0).all()


def test_many_frames_pass_through_chunks():
    clip = walk(5000)
    np.testing.assert_allclose(h.encode(clip)[:100], h.encode(clip[:400])[:100], atol=2e-6)


# --- the published sample: its vectors, and the joints that its authors decoded from them ---


def sample(folder):
    load = lambda name: np.load(folder / "humanml3d_format" / f"{name}_012314.npy", allow_pickle=False)  # noqa: E731
    return load("new_joint_vecs"), load("new_joints").astype(np.float64)


def test_decoding_the_published_sample(shared_motion):
    vectors, joints = sample(shared_motion)
    np.testing.assert_allclose(h.decode(vectors), joints, atol=1e-6)


def test_encoding_the_published_sample(shared_motion):
    """All numbers agree but in frame 0, whose heading the older published encoder set to 0, and near the end, where
    the smoothing of the heading sees one frame less than the authors had."""
    vectors, joints = sample(shared_motion)
    ours, theirs = h.encode(joints), vectors[:-1]
    inner, read = slice(1, -81), slice(0, h.JOINT_POSITIONS.stop)
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=1e-5)
    np.testing.assert_allclose(ours[inner, read], theirs[inner, read], atol=1e-6)
    np.testing.assert_allclose(ours[-81:], theirs[-81:], atol=0.02)
    np.testing.assert_array_equal(ours[:, h.FOOT_CONTACTS], theirs[:, h.FOOT_CONTACTS])
    np.testing.assert_allclose(ours[:, h.ROOT_HEIGHT], theirs[:, h.ROOT_HEIGHT], atol=1e-7)


def test_round_trip_of_all_shared_clips(shared_clips):
    lengths = np.array([len(clip) for clip in shared_clips.positions])
    batch = np.zeros((len(lengths), lengths.max(), 22, 3), dtype=np.float32)
    for row, clip in zip(batch, shared_clips.positions, strict=True):
        row[: len(clip)] = clip
    back = h.decode(h.encode(batch, lengths), lengths - 1)
    worst = 0.0
    for clip, positions in zip(shared_clips.positions, back, strict=True):
        found = positions[: len(clip) - 1]
        worst = max(worst, np.linalg.norm(aligned(clip[:-1], found) - found, axis=-1).max())
    assert worst < 1e-3  # metres


# --- faults ---


@pytest.mark.parametrize(
    "shape", [(22, 3), (1, 22, 3), (0, 22, 3), (5, 21, 3), (2, 1, 22, 3), (5, 66), (2, 3, 5, 22, 3)]
)
def test_encode_refuses_other_shapes(shape):
    with pytest.raises(DataError, match=r"encode: got positions of shape"):
        h.encode(np.ones(shape))


@pytest.mark.parametrize("shape", [(263,), (0, 263), (5, 262), (2, 0, 263), (1, 2, 3, 263)])
def test_decode_refuses_other_shapes(shape):
    with pytest.raises(DataError, match=r"decode: got features of shape"):
        h.decode(np.ones(shape))


def test_nan_is_located():
    batch = np.stack([walk(9), walk(9), walk(9)])
    batch[2, 4, 3] = np.nan
    with pytest.raises(DataError, match="motion 2 is NaN or infinite in frame 4"):
        h.encode(batch)
    features = h.encode(np.stack([walk(9), walk(9)]))
    features[1, 3, 8] = np.inf
    with pytest.raises(DataError, match="features of motion 1 are NaN"):
        h.decode(features)
    features[1, 3:] = np.nan
    assert np.isfinite(h.decode(features, np.array([8, 3]))).all()


def test_bones_of_no_length_are_named():
    clip = walk(9)
    clip[5, 4] = clip[5, HUMANML3D_PARENTS[4]]
    with pytest.raises(DataError, match="motion 0, frame 5: zero-length bone to 'left_knee'"):
        h.encode(clip)


@pytest.mark.parametrize(
    ("lengths", "message"),
    [([9], "expected 2 integers"), ([9.0, 9.0], "expected 2 integers"), ([9, 10], "got 9 to 10; expected 2 to 9"),
     ([1, 9], "got 1 to 9; expected 2 to 9")],
)  # fmt: skip
def test_faulty_lengths_are_refused(lengths, message):
    with pytest.raises(DataError, match=message):
        h.encode(np.stack([walk(9), walk(9)]), np.array(lengths))


def test_an_empty_batch_stays_empty():
    assert h.encode(np.zeros((0, 9, 22, 3))).shape == (0, 8, 263)
    assert h.decode(np.zeros((0, 8, 263))).shape == (0, 8, 22, 3)
