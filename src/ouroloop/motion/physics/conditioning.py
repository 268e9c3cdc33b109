"""Kinematic conditioning: everything that can be mended without a simulator, before the simulator sees it.

In order: gaps, pops and noise (`denoise`; a body is measured only then), inverse kinematics, joint limits (`limits`),
floor height and slow floor drift (`floor`), root drift and contacts (`contacts`), planted feet, level soles and toes
(`foot_lock`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.interpolate import CubicSpline

from ouroloop.motion.physics.body import SOLE_POINTS, Body
from ouroloop.motion.physics.contacts import FootContacts, detect_contacts, root_drift
from ouroloop.motion.physics.denoise import despike, fill_missing, remove_noise
from ouroloop.motion.physics.floor import constant_floor, floor_curve
from ouroloop.motion.physics.foot_lock import level_soles, lock_feet, roll_toes
from ouroloop.motion.physics.kinematics import joint_rotations
from ouroloop.motion.physics.limits import clamp_to_limits, limit_excess, mend_hinges
from ouroloop.motion.physics.resampling import sample_times
from ouroloop.motion.rotations import continuous, normalise

__all__ = ["Conditioned", "ConditioningOptions", "ConditioningReport", "condition", "denoised"]

_BELOW = 0.65  # the least of noisy points lies below the floor by this share of what is left of their noise (measured)
_MOVES = (0.06, 0.04)  # m: a floor that moved by less is not believed; by how much more it must have, to be so


@dataclass(frozen=True, kw_only=True)
class ConditioningOptions:
    """Which steps are taken.

    Args:
        rate: frames a second of the conditioned motion.
        denoise: remove pops and white noise.
        limits: bring knees, elbows, hips, ankles and toes within their limits.
        floor: put the floor at height 0. moving_floor: also a slowly moving one, where the evidence is strong.
        drift: move the root so that standing feet stand. lock: hold feet in contact.
        clearance: m that a swinging foot is kept off the floor.
        toes: bend the toes where the heel lifts.
    """

    rate: float = 60.0
    denoise: bool = True
    limits: bool = True
    floor: bool = True
    moving_floor: bool = True
    drift: bool = True
    lock: bool = True
    clearance: float = 0.03
    toes: bool = True


@dataclass(frozen=True)
class ConditioningReport:
    """What was found and mended.

    Args:
        filled: frames that were missing or held. spikes: points that were replaced.
        noise: white noise in m, and cutoff in Hz that it was smoothed with (0: not at all).
        limit_excess: rad beyond a joint limit at worst. bridged: frames in which a hinge bent the wrong way.
        floor: m, its height. floor_range: m, how far it moved.
        floor_belief: in [0, 1], how far a moving floor was believed. drift: m/s, mean root drift removed.
        fit_error: m, mean distance of the fitted skeleton from the (denoised) joints.
    """

    filled: int = 0
    spikes: int = 0
    noise: float = 0.0
    cutoff: float = 0.0
    limit_excess: float = 0.0
    bridged: int = 0
    floor: float = 0.0
    floor_range: float = 0.0
    floor_belief: float = 0.0
    drift: float = 0.0
    fit_error: float = 0.0


@dataclass(frozen=True, eq=False)
class Conditioned:
    """A conditioned motion in the simulator's axes.

    Args:
        root: (T, 3) m. rotations: (T, 22, 4) local. rate: frames a second.
        contacts: of the feet, where they were looked for. report: what was done.
    """

    root: np.ndarray
    rotations: np.ndarray
    rate: float
    contacts: FootContacts
    report: ConditioningReport


def denoised(positions: np.ndarray, fps: float) -> tuple[np.ndarray, ConditioningReport]:
    """Joint positions (T, 22, 3) without gaps, pops and white noise: what a skeleton can be measured on."""
    positions, filled = fill_missing(positions)
    positions, spikes = despike(positions, fps)
    positions, noise, cutoff = remove_noise(positions, fps)
    return positions, ConditioningReport(filled=filled, spikes=spikes, noise=noise, cutoff=cutoff)


def condition(
    positions: np.ndarray,
    fps: float,
    body: Body,
    options: ConditioningOptions | None = None,
    report: ConditioningReport | None = None,
) -> Conditioned:
    """Mend a clip kinematically.

    Args:
        positions: (T, 22, 3) m in the simulator's axes, two frames or more, without pops and noise (`denoised`).
        report: what `denoised` found.
    """
    options = options or ConditioningOptions()
    report = report or ConditioningReport()
    wanted = sample_times(len(positions), fps, options.rate)
    positions = CubicSpline(np.arange(len(positions)) / fps, positions)(wanted)
    rate = options.rate
    root, rotations, error = joint_rotations(body, positions, rate, cutoff=report.cutoff)
    report = replace(report, fit_error=error, limit_excess=float(limit_excess(rotations).max()))
    if options.limits:
        rotations, bridged = mend_hinges(rotations, rate)
        report = replace(report, bridged=bridged)
        rotations = clamp_to_limits(rotations)
    if options.floor:
        left = report.noise * np.sqrt(min(1.0, 2.0 * report.cutoff / fps))  # white noise after the cut-off
        root, report = _on_floor(body, root, rotations, rate, options.moving_floor, report, _BELOW * left)
    soles = _soles(body, root, rotations)
    if options.drift:
        drift = root_drift(soles, root, rate)
        shift = np.zeros_like(root)
        shift[:, :2] = np.cumsum(drift, axis=0) / rate
        shift -= shift[:1]
        root, soles = root + shift, soles + shift[:, None]
        report = replace(report, drift=float(np.abs(drift).mean()))
    contacts = detect_contacts(soles, rate)
    if options.lock:
        root, rotations = lock_feet(body, root, rotations, contacts, rate, options.clearance)
        rotations = level_soles(body, root, rotations, contacts, rate)
        if options.limits:
            rotations = clamp_to_limits(rotations)
    if options.toes:
        rotations = roll_toes(body, root, rotations, rate)
    return Conditioned(root, continuous(normalise(rotations)), rate, contacts, report)


def _soles(body: Body, root: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    return body.surface.lowest(*body.pose(root, rotations), SOLE_POINTS)


def _on_floor(
    body: Body,
    root: np.ndarray,
    rotations: np.ndarray,
    rate: float,
    moving: bool,
    report: ConditioningReport,
    above: float,
) -> tuple[np.ndarray, ConditioningReport]:
    """The root with the floor at 0; a moving floor is believed where it explains supporting feet much better.

    Args:
        above: m, how far the floor lies above where the least points of the body say.
    """
    surface = body.surface.lowest(*body.pose(root, rotations))
    surface[..., 2] += above
    lowest = surface[..., 2].min(axis=1)
    height = constant_floor(surface, rate)
    floor = np.full(len(root), height)
    report = replace(report, floor=height)
    if moving and len(root) > 1.5 * rate:
        curve, support = floor_curve(surface[:, :SOLE_POINTS], lowest, rate)
        span = float(np.percentile(curve, 97) - np.percentile(curve, 3))
        total = support.sum() + 1e-9
        constant_error = np.sqrt((support * (lowest - height) ** 2).sum() / total)
        curve_error = np.sqrt((support * (lowest - curve) ** 2).sum() / total)
        gain = constant_error / max(curve_error, 0.004)
        evidence = ((span - _MOVES[0]) / _MOVES[1], gain - 1.5, (support.mean() - 0.2) / 0.2)
        belief = float(np.prod(np.clip(evidence, 0.0, 1.0)))
        floor = (1.0 - belief) * floor + belief * curve
        report = replace(report, floor_range=span, floor_belief=belief)
    root = root.copy()
    root[:, 2] -= floor
    return root, report
