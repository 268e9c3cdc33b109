r"""The 263-number representation of HumanML3D: motions of 22 joints as a generator sees them, and back.

Frame t of a motion (20 fps, y up, metres) with heading :math:`\theta_t` becomes

====================  ========  ============================================================================
slice                 numbers   meaning
====================  ========  ============================================================================
`HEADING_VELOCITY`    1         :math:`-(\theta_{t+1}-\theta_t)/2`, radians a frame (half the turn, and clockwise)
`ROOT_VELOCITY`       2         the root's x and z motion to frame t + 1 in the heading of t + 1, metres a frame
`ROOT_HEIGHT`         1         the root's y, metres
`JOINT_POSITIONS`     21 x 3    joints 1..21: x and z from the root, turned by :math:`-\theta_t`; y from the floor
`JOINT_ROTATIONS`     21 x 6    rotations along the kinematic chains, two matrix columns each
`JOINT_VELOCITIES`    22 x 3    every joint's motion to frame t + 1, turned by :math:`-\theta_t`, metres a frame
`FOOT_CONTACTS`       4         1 where left ankle, left foot, right ankle, right foot moves less than sqrt(.002) m
====================  ========  ============================================================================

T frames give T - 1 vectors. What is lost: the heading and the place (x, z) at the start, and the last frame (of it only
the motion of the joints to it is known). Velocities, rotations and contacts repeat what positions say; `decode` does
not read them.

Source: Guo et al., "Generating diverse and natural 3D human motions from text" (CVPR 2022), section 3, and its
published data. Three habits of the published encoder are kept, because every data set and evaluator has them: the
heading is that of the shoulders *less* the hips (the sign of one of the two lines is turned round), smoothed with a
Gaussian of 20 frames; rotations of hips, lowest spine joint and collars contain the heading instead of being free of
it; rotations come from bone directions with the smallest turn from a T-pose whose arms hang down. Two differ: a turn
through 180 degrees keeps its sign (the published sine loses it), and nothing is retargeted to another body.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.rotations import about_y, between, conjugate, cross, multiply, normalise, to_6d
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS

__all__ = [
    "FEATURES",
    "FOOT_CONTACTS",
    "FPS",
    "HEADING_VELOCITY",
    "JOINT_POSITIONS",
    "JOINT_ROTATIONS",
    "JOINT_VELOCITIES",
    "MAX_FRAMES",
    "ROOT_HEIGHT",
    "ROOT_VELOCITY",
    "decode",
    "encode",
]

FEATURES = 263
FPS = 20
MAX_FRAMES = 196
"""Vectors that HumanML3D's models are given at most."""
HEADING_VELOCITY, ROOT_VELOCITY, ROOT_HEIGHT = slice(0, 1), slice(1, 3), slice(3, 4)
JOINT_POSITIONS, JOINT_ROTATIONS = slice(4, 67), slice(67, 193)
JOINT_VELOCITIES, FOOT_CONTACTS = slice(193, 259), slice(259, 263)

_CONTACT_M2 = 0.002
_SMOOTHING_FRAMES = 20
_SHORTEST_BONE_M = 1e-3
_CHUNK_FRAMES = 2048  # what fits the caches
_LEFT_HIP, _RIGHT_HIP, _LEFT_SHOULDER, _RIGHT_SHOULDER = 1, 2, 16, 17
_FEET = [7, 10, 8, 11]
_PARENTS = np.array(HUMANML3D_PARENTS[1:])
_UP = np.array([0.0, 1.0, 0.0])
# bone directions of the reference pose, joints 1..21: standing, arms hanging, feet and head's bone forward
_DIRECTIONS = np.array(
    [
        [1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, -1, 0], [0, 1, 0], [0, -1, 0], [0, -1, 0], [0, 1, 0],
        [0, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0], [-1, 0, 0], [0, 0, 1], [0, -1, 0], [0, -1, 0], [0, -1, 0],
        [0, -1, 0], [0, -1, 0], [0, -1, 0],
    ],
    dtype=np.float64,
)  # fmt: skip
# joints that begin a kinematic chain take the root's rotation for their parent's; the arms' chains begin at the collars
_FIRST_OF_CHAIN = np.isin(np.arange(1, 22), [1, 2, 3, 13, 14])


def encode(positions: np.ndarray, lengths: np.ndarray | None = None, *, floor: bool = False) -> np.ndarray:
    """Joint positions to feature vectors.

    Args:
        positions: (T, 22, 3) metres at 20 fps, y up, joints in HumanML3D's order; or (n, T, 22, 3), padded.
        lengths: (n,) frames of each padded motion, 2..T; all T when None.
        floor: put each motion's lowest joint at height 0 first, as the published encoder does. By default heights are
            kept, so that floating and sinking survive.

    Returns:
        float32 (T - 1, 263) or (n, T - 1, 263), zero from vector ``lengths - 1`` on.

    Raises:
        DataError: another shape, fewer than two frames, NaN, a bone of no length.
    """
    positions = np.asarray(positions)
    batch = positions[None] if positions.ndim == 3 else positions
    if batch.ndim != 4 or batch.shape[2:] != (22, 3) or batch.shape[1] < 2:
        raise DataError(
            f"encode: got positions of shape {positions.shape}; expected (frames, 22, 3) or (n, frames, 22, 3) "
            f"with at least two frames (velocities need a next frame)"
        )
    count, frames = batch.shape[:2]
    frames_of = _lengths(lengths, count, 2, frames)
    out = np.zeros((count, frames - 1, FEATURES), dtype=np.float32)
    for some, longest in _chunks(frames_of):
        motions = _filled(np.asarray(batch[some, :longest], dtype=np.float64), frames_of[some])
        _check(motions, some)
        features = _encode(motions, floor)
        features[np.arange(longest - 1) >= (frames_of[some] - 1)[:, None]] = 0
        out[some, : longest - 1] = features
    return out[0] if positions.ndim == 3 else out


def decode(features: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Feature vectors to joint positions: the root by summing its velocities, the other joints from their positions.

    The motion starts at x = z = 0 with heading 0.

    Args:
        features: (T, 263), or (n, T, 263) padded, in physical units (not standardised).
        lengths: (n,) vectors of each padded motion, 1..T; all T when None.

    Returns:
        float64 (T, 22, 3) or (n, T, 22, 3) metres, zero from frame ``lengths`` on.

    Raises:
        DataError: another shape, or NaN.
    """
    features = np.asarray(features)
    if features.ndim not in (2, 3) or features.shape[-1] != FEATURES or features.shape[-2] == 0:
        raise DataError(
            f"decode: got features of shape {features.shape}; expected (frames, {FEATURES}) or (n, frames, {FEATURES}) "
            f"with at least one frame"
        )
    batch = features.reshape(-1, *features.shape[-2:])
    frames_of = _lengths(lengths, len(batch), 1, batch.shape[1])
    out = np.zeros((*batch.shape[:2], 22, 3))
    for some, longest in _chunks(frames_of):
        known = batch[some, :longest, : JOINT_POSITIONS.stop].astype(np.float64)
        known[np.arange(longest) >= frames_of[some][:, None]] = 0
        finite = np.isfinite(known).all(axis=(1, 2))
        if not finite.all():
            bad = some[int(np.argmin(finite))]
            raise DataError(f"decode: features of motion {bad} are NaN or infinite; drop it or repair it first")
        positions = _decode(known)
        positions[np.arange(longest) >= frames_of[some][:, None]] = 0
        out[some, :longest] = positions
    return out.reshape(*features.shape[:-1], 22, 3)


def _chunks(frames_of: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Motions of like length, about `_CHUNK_FRAMES` frames together, and the longest of them."""
    order = np.argsort(frames_of, kind="stable")
    start = 0
    while start < len(order):
        stop = start + max(1, _CHUNK_FRAMES // int(frames_of[order[start]]))
        some = order[start:stop]
        yield some, int(frames_of[some[-1]])
        start = stop


def _lengths(lengths: np.ndarray | None, count: int, least: int, most: int) -> np.ndarray:
    if lengths is None:
        return np.full(count, most)
    lengths = np.asarray(lengths)
    if lengths.shape != (count,) or not np.issubdtype(lengths.dtype, np.integer):
        raise DataError(
            f"lengths: got {lengths.dtype} of shape {lengths.shape}; expected {count} integers, one a motion"
        )
    if count and (lengths.min() < least or lengths.max() > most):
        raise DataError(f"lengths: got {lengths.min()} to {lengths.max()}; expected {least} to {most}")
    return lengths.astype(np.int64)


def _filled(motions: np.ndarray, frames_of: np.ndarray) -> np.ndarray:
    """Padding replaced by the last frame, which is how the smoothing of the heading ends a motion."""
    if (frames_of == motions.shape[1]).all():
        return motions
    at = np.minimum(np.arange(motions.shape[1]), frames_of[:, None] - 1)
    return motions[np.arange(len(motions))[:, None], at]


def _check(motions: np.ndarray, which: np.ndarray) -> None:
    if not np.isfinite(motions).all():
        clip, frame = np.argwhere(~np.isfinite(motions).all(axis=(2, 3)))[0]
        raise DataError(f"encode: motion {which[clip]} is NaN or infinite in frame {frame}; cut it there or repair it")
    bones = motions[:, :, 1:] - motions[:, :, _PARENTS]
    squares = np.einsum("ntji,ntji->ntj", bones, bones)
    if squares.min() < _SHORTEST_BONE_M**2:
        clip, frame, bone = np.argwhere(squares < _SHORTEST_BONE_M**2)[0]
        raise DataError(
            f"encode: motion {which[clip]}, frame {frame}: zero-length bone to {HUMANML3D_NAMES[bone + 1]!r}; "
            f"joints on top of one another have no direction (are they there, are the units metres?)"
        )


def _facing(motions: np.ndarray, hips: float) -> np.ndarray:
    """(..., 3) direction on the ground, at right angles to shoulders plus `hips` times hips (to the right)."""
    across = motions[..., _RIGHT_SHOULDER, :] - motions[..., _LEFT_SHOULDER, :]
    across = across + hips * (motions[..., _RIGHT_HIP, :] - motions[..., _LEFT_HIP, :])
    return cross(_UP, normalise(across))


def _headings(motions: np.ndarray) -> np.ndarray:
    """(n, T) smoothed headings in radians, as the published encoder has them; see the module's text."""
    from scipy.ndimage import gaussian_filter1d

    facing = gaussian_filter1d(_facing(motions, hips=-1.0), _SMOOTHING_FRAMES, axis=1, mode="nearest")
    return np.arctan2(facing[..., 0], facing[..., 2])


def _turned(vectors: np.ndarray, radians: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) turned about +y by angles (...)."""
    sine, cosine, x, z = np.sin(radians), np.cos(radians), vectors[..., 0], vectors[..., 2]
    out = np.empty(vectors.shape)
    out[..., 0], out[..., 1], out[..., 2] = cosine * x + sine * z, vectors[..., 1], cosine * z - sine * x
    return out


def _encode(motions: np.ndarray, floor: bool) -> np.ndarray:
    """The features (n, T - 1, 263) of filled motions (n, T, 22, 3)."""
    count, frames = motions.shape[:2]
    first = _facing(motions[:, 0], hips=1.0)
    motions = _turned(motions, -np.arctan2(first[:, 0], first[:, 2])[:, None, None])
    if floor:
        motions[..., 1] -= motions[..., 1].min(axis=(1, 2))[:, None, None]
    heading = _headings(motions)
    turn = np.diff(heading, axis=1)
    turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
    steps = np.diff(motions, axis=1)
    out = np.empty((count, frames - 1, FEATURES), dtype=np.float32)
    out[..., HEADING_VELOCITY] = -turn[..., None] / 2
    out[..., ROOT_VELOCITY] = _turned(steps[:, :, 0], -heading[:, 1:])[..., ::2]
    out[..., ROOT_HEIGHT] = motions[:, :-1, 0, 1:2]
    ground = motions[:, :-1, :1] * [1.0, 0.0, 1.0]
    local = _turned(motions[:, :-1, 1:] - ground, -heading[:, :-1, None])
    out[..., JOINT_POSITIONS] = local.reshape(count, frames - 1, 63)
    out[..., JOINT_ROTATIONS] = _chain_rotations(motions[:, :-1], about_y(-heading[:, :-1]))
    out[..., JOINT_VELOCITIES] = _turned(steps, -heading[:, :-1, None]).reshape(count, frames - 1, 66)
    feet = steps[:, :, _FEET]
    out[..., FOOT_CONTACTS] = np.einsum("ntji,ntji->ntj", feet, feet) < _CONTACT_M2
    return out


def _chain_rotations(motions: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """(n, T, 126): each bone's smallest turn from the reference pose, relative to the bone before it in its chain."""
    turned = between(_DIRECTIONS, motions[:, :, 1:] - motions[:, :, _PARENTS])
    before = turned[:, :, np.maximum(_PARENTS - 1, 0)]
    before[:, :, _FIRST_OF_CHAIN] = facing[:, :, None]
    return to_6d(multiply(conjugate(before), turned)).reshape(*motions.shape[:2], 126)


def _decode(known: np.ndarray) -> np.ndarray:
    """(n, T, 22, 3) positions from the first 67 features."""
    heading = np.zeros(known.shape[:2])
    heading[:, 1:] = np.cumsum(-2 * known[:, :-1, 0], axis=1)
    step = np.zeros((*known.shape[:2], 3))
    step[:, 1:, ::2] = known[:, :-1, ROOT_VELOCITY]
    root = np.cumsum(_turned(step, heading), axis=1)
    positions = np.empty((*known.shape[:2], 22, 3))
    positions[:, :, 1:] = known[..., JOINT_POSITIONS].reshape(*known.shape[:2], 21, 3)
    positions[:, :, 1:] = _turned(positions[:, :, 1:], heading[..., None]) + root[:, :, None]
    root[..., 1] = known[..., 3]
    positions[:, :, 0] = root
    return positions
