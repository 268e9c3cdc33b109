"""Removing what no body does: single-frame pops, white noise, and stretches where the tracking stood still."""

from __future__ import annotations

import numpy as np

from ouroloop.motion.physics.filters import penalty_of, smooth

__all__ = ["despike", "fill_missing", "noise_level", "remove_noise"]

_CUTOFFS = (1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.5, 8.0)  # Hz
_QUIET = 0.002  # m: white noise below this is left alone
_SPIKE = 0.03  # m: a smaller deviation is never a pop


def noise_level(positions: np.ndarray) -> np.ndarray:
    """Robust standard deviation in m of white noise, one a joint, from third differences.

    Third differences of white noise have 20 times its variance. Motion leaks in, so it is an upper bound.
    """
    third = np.abs(np.diff(positions, 3, axis=0))
    return np.median(third, axis=(0, 2)) / 0.6745 / np.sqrt(20.0)


def despike(positions: np.ndarray, fps: float) -> tuple[np.ndarray, int]:
    """Replace frames in which a joint jumps away and back.

    A robust smooth curve is fitted to every joint; points far from it (7 robust standard deviations and 3 cm) are
    replaced by it, unless they are more than a quarter of the clip.

    Args:
        positions: (T, J, 3) m.

    Returns:
        the positions and the number of points replaced.
    """
    frames = len(positions)
    if frames < 9:
        return positions, 0
    penalty, result, replaced = penalty_of(min(5.0, 0.3 * fps), fps), positions.copy(), 0
    away = np.linalg.norm(positions - smooth(positions, penalty), axis=-1).max(axis=0)
    for joint in np.flatnonzero(away > _SPIKE / 3.0):  # a pop pulls the plain curve along, but by less than that
        track, weights = positions[:, joint], np.ones(frames)
        curve, away, scale = track, np.zeros(frames), 1.0
        for _ in range(4):
            curve = smooth(track, penalty, weights)
            away = np.linalg.norm(track - curve, axis=1)
            scale = 1.4826 * np.median(away) + 0.002
            weights = 1.0 / (1.0 + (away / (4.0 * scale)) ** 4)
        bad = (away > 7.0 * scale) & (away > _SPIKE)
        if bad.any() and bad.mean() < 0.25:
            result[bad, joint] = curve[bad]
            replaced += int(bad.sum())
    return result, replaced


def remove_noise(positions: np.ndarray, fps: float) -> tuple[np.ndarray, float, float]:
    r"""Smooth every joint with the cut-off that Stein's unbiased risk estimate prefers.

    $\widehat R(f) = \overline{|x - s_f|^2} - \sigma^2 + 2 \sigma^2 \operatorname{tr}(H_f) / T$, with $\sigma$ of the
    quietest quarter of the joints (motion leaks into the others). Clips with less than 2 mm of noise are untouched.

    Args:
        positions: (T, J, 3) m.

    Returns:
        the positions, the median noise level in m, and the mean cut-off in Hz (0 where nothing was smoothed).

    Source: Stein, Estimation of the mean of a multivariate normal distribution (1981).
    """
    frames, joints = positions.shape[:2]
    if frames < 12:
        return positions, 0.0, 0.0
    levels = noise_level(positions)
    level = float(np.median(levels))
    if level < _QUIET:
        return positions, level, 0.0
    variance = float(np.percentile(levels, 25)) ** 2
    frequency = np.linspace(0.0, np.pi, 512)
    best_risk, best, chosen = np.full(joints, 0.9 * variance), positions.copy(), np.zeros(joints)
    for cutoff in (c for c in _CUTOFFS if c < 0.45 * fps):
        penalty = penalty_of(cutoff, fps)
        curve = smooth(positions, penalty)
        trace = float((1.0 / (1.0 + penalty * (2.0 * np.sin(frequency / 2.0)) ** 6)).mean())
        risk = ((positions - curve) ** 2).mean(axis=(0, 2)) - variance + 2.0 * variance * trace
        better = risk < best_risk
        best[:, better], best_risk[better], chosen[better] = curve[:, better], risk[better], cutoff
    used = chosen[chosen > 0]
    return best, level, float(used.mean()) if len(used) else 0.0


def fill_missing(positions: np.ndarray) -> tuple[np.ndarray, int]:
    """Interpolate frames that say nothing: NaN or infinite, or held while the body around them moves.

    A stretch of three frames or more in which no joint moves by a micrometre, next to a jump at least four times the
    median step of the moving frames, is a tracker that had dropped out, not a body that stood still.

    Args:
        positions: (T, J, 3) m; at least one frame must be finite.

    Returns:
        the positions and the number of frames filled in.
    """
    finite = np.asarray(np.isfinite(positions.reshape(len(positions), -1)).all(axis=1))
    missing = ~finite | _held(np.where(finite[:, None, None], positions, 0.0), finite)
    good = np.flatnonzero(~missing)
    if len(good) == len(positions) or len(good) == 0:
        return positions, 0
    frames = np.arange(len(positions))
    flat = positions.reshape(len(positions), -1)
    filled = np.stack([np.interp(frames, good, column) for column in flat[good].T], axis=1)
    gap = missing & (frames > good[0]) & (frames < good[-1])
    if len(good) >= 4 and gap.any():  # a cubic through the good frames keeps the speed at the gap's ends
        from scipy.interpolate import PchipInterpolator

        filled[gap] = PchipInterpolator(good, flat[good], axis=0)(frames[gap])
    return filled.reshape(positions.shape), int(missing.sum())


def _held(positions: np.ndarray, finite: np.ndarray) -> np.ndarray:
    """Frames of a dropout that repeat the frame before, bool (T,)."""
    held = np.zeros(len(positions), bool)
    if len(positions) < 8:
        return held
    step = np.abs(np.diff(positions, axis=0)).max(axis=(1, 2))
    still = (step < 1e-6) & finite[1:] & finite[:-1]
    moving = step[~still]
    if len(moving) < 4:
        return held
    usual = float(np.median(moving))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], still.astype(np.int8), [0]])))
    for start, stop in edges.reshape(-1, 2):  # steps start..stop-1 are still: frames start+1..stop repeat `start`
        after = step[stop] if stop < len(step) else 0.0
        if stop - start >= 3 and after > 4.0 * usual:
            held[start + 1 : stop + 1] = True
    return held
