"""One clip on its way through the corrector: refused, prepared, judged, finished."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.physics.body import SHORTEST, TALLEST, Body, from_simulator, to_simulator
from ouroloop.motion.physics.conditioning import ConditioningReport, condition, denoised
from ouroloop.motion.physics.denoise import fill_missing
from ouroloop.motion.physics.inverse_dynamics import FeedForward
from ouroloop.motion.physics.kinematics import joint_rotations
from ouroloop.motion.physics.options import PhysicsOptions
from ouroloop.motion.physics.recovery import blend_after, lost_frame
from ouroloop.motion.physics.resampling import Reference, resample_pose
from ouroloop.motion.physics.result import PhysicsResult, PhysicsVerdict
from ouroloop.motion.physics.tracking import Tracked
from ouroloop.motion.skeleton import Skeleton

__all__ = ["FOLLOWED", "Clip", "finish", "prepare", "refuse"]

_FEWEST = 4  # frames that a spline and a skeleton need: shorter clips are held to that length
FOLLOWED = 50.0  # mm: a motion that the simulation follows less well is not what it was
_LOOK_EVERY = 4  # steps of the simulator between looks at the tracking error
_NOTICED_FORCE, _NOTICED_TORQUE = 0.02, 5.0  # body weights, N m: less help than this is none
_SEARCHED = "; steered by search"


@dataclass(eq=False)
class Clip:
    """A clip that can be simulated, in the simulator's axes; `judge` adds the outcome.

    Args:
        given: (T, 22, 3) m, the input as it came (y up). fps: its rate.
        body, root, rotations, rate: the conditioned motion. height: m, added to the output's heights.
    """

    given: np.ndarray
    fps: float
    body: Body
    root: np.ndarray
    rotations: np.ndarray
    rate: float
    height: float
    report: ConditioningReport
    reference: Reference = field(init=False)
    feed: FeedForward | None = None
    outcome: Tracked | None = None
    error: np.ndarray | None = None
    factor: float = 0.0
    lost: int | None = None
    fell: bool = False
    searched: bool = False

    def distance(self, outcome: Tracked) -> np.ndarray:
        """Mean joint distance in m of a simulation from the reference, at every fourth of its steps."""
        some = slice(None, None, _LOOK_EVERY)
        with np.errstate(all="ignore"):
            simulated, _ = self.body.pose(outcome.root[some], outcome.rotations[some])
            wanted, _ = self.body.pose(self.reference.root[some], self.reference.rotations[some])
            return np.linalg.norm(simulated - wanted, axis=-1).mean(axis=1)

    def judge(self, outcome: Tracked, factor: float, limit: float) -> None:
        """Keep what the simulation made of the clip, and whether it was lost."""
        error = self.distance(outcome)
        self.outcome, self.factor, self.error = outcome, factor, error
        lost = lost_frame(error, limit, outcome.diverged)
        self.lost = None if lost is None else lost * _LOOK_EVERY
        self.fell = self.fell or self.lost is not None


def prepare(given: np.ndarray, fps: float, skeleton: Skeleton | None, options: PhysicsOptions) -> Clip:
    """Condition a clip.

    Raises:
        DataError: positions that are not those of 22 joints of a human, or hold no usable frame.
    """
    given = np.asarray(given)
    if given.ndim != 3 or given.shape[1:] != (22, 3) or len(given) == 0:
        raise DataError(
            f"got positions of shape {given.shape}; expected (frames, 22, 3), the joints of HumanML3D "
            "(ouroloop.motion.mapping brings other skeletons into that order)"
        )
    positions = np.asarray(given, np.float64)
    finite = np.isfinite(positions.reshape(len(positions), -1)).all(axis=1)
    if not finite.any():
        raise DataError("no frame without NaN or infinity: there is nothing to correct")
    mends = options.mode != "simulation" and options.conditioning.denoise
    if mends:
        positions, report = denoised(positions, fps)
    else:
        positions, filled = fill_missing(positions)
        report = ConditioningReport(filled=filled)
    if len(positions) < _FEWEST:
        positions = np.concatenate([positions, np.repeat(positions[-1:], _FEWEST - len(positions), axis=0)])
    body = Body.of(skeleton or Skeleton.from_positions(positions))
    if not body.is_human:
        raise DataError(
            f"a stature of {body.height:.2f} m is no human's; expected metres, between {SHORTEST} and {TALLEST}"
        )
    inside = to_simulator(positions)
    if options.mode == "simulation":
        root, rotations, error = joint_rotations(body, inside, fps, refine=False)
        first = body.surface.lowest(*body.pose(root[:1], rotations[:1]))[..., 2].min()
        root[:, 2] -= first
        report, rate = replace(report, floor=float(first), fit_error=error), fps
    else:
        conditioned = condition(inside, fps, body, options.conditioning, report)
        root, rotations, rate = conditioned.root, conditioned.rotations, conditioned.rate
        report = conditioned.report
    height = -body.ball_radius if options.floor == "joints" else 0.0
    report = replace(report, floor=report.floor - height)
    return Clip(given, fps, body, root, rotations, rate, height, report)


def refuse(given: np.ndarray, reason: str) -> PhysicsResult:
    """The verdict on a clip that nothing can be done with; its positions are returned as they came."""
    return PhysicsResult(np.asarray(given), PhysicsVerdict.FAILED, reason)


def finish(clip: Clip, options: PhysicsOptions) -> PhysicsResult:
    """The result of a prepared, and perhaps simulated, clip."""
    if clip.outcome is None:
        result = _result(clip, clip.root, clip.rotations, clip.rate)
        return _with(result, PhysicsVerdict.CORRECTED, "conditioned kinematically; not simulated")
    rate = clip.reference.rate
    if clip.lost is None:
        result = _result(clip, clip.outcome.root, clip.outcome.rotations, rate)
        return _with(result, *_verdict(clip, result))
    seconds = clip.lost / rate
    text = f"lost by the simulation after {seconds:.2f} s" + (
        ": the simulation diverged" if clip.outcome.diverged else _help(clip.factor, " at {:g} times the bounds")
    )
    if options.recovery in ("keep", "drop"):
        verdict = PhysicsVerdict.KEPT if options.recovery == "keep" else PhysicsVerdict.DROPPED
        result = _result(clip, clip.reference.root, clip.reference.rotations, rate)
        return _with(result, verdict, text, positions=clip.given, distance_moved=0.0)
    root, rotations, frames = blend_after(
        (clip.outcome.root, clip.outcome.rotations),
        (clip.reference.root, clip.reference.rotations),
        clip.lost,
        rate,
    )
    text += _SEARCHED * clip.searched + f"; simulated for {frames / rate:.2f} s, kinematic from there on"
    return _with(_result(clip, root, rotations, rate), PhysicsVerdict.BLENDED, text)


def _verdict(clip: Clip, result: PhysicsResult) -> tuple[PhysicsVerdict, str]:
    found = _faults(clip.report)
    help_ = _help(clip.factor, " (tracked with {:g} times the bounds)") + _SEARCHED * clip.searched
    if found:
        return PhysicsVerdict.CORRECTED, "; ".join(found) + help_
    if result.tracking_error > FOLLOWED:
        return PhysicsVerdict.CORRECTED, f"followed to {result.tracking_error:.0f} mm only" + help_
    return PhysicsVerdict.UNCHANGED, "no fault that physics can see" + help_


def _help(factor: float, words: str) -> str:
    """Words on the help that a clip got, where that was more than was asked for."""
    return "" if factor == 1.0 else words.format(factor)


def _faults(report: ConditioningReport) -> list[str]:
    """What conditioning found, in words."""
    faults = [
        (report.filled > 0, f"{report.filled} missing frames filled"),
        (report.spikes > 0, f"{report.spikes} pops removed"),
        (report.cutoff > 0, f"{1e3 * report.noise:.1f} mm of noise removed"),
        (abs(report.floor) > 0.03, f"floor moved by {-1e2 * report.floor:+.0f} cm"),
        (report.floor_belief > 0.5, f"a floor that moved over {1e2 * report.floor_range:.0f} cm levelled"),
        (report.drift > 0.03, f"{1e2 * report.drift:.0f} cm/s of drift removed"),
        (report.bridged > 0, "knees or elbows that bent the wrong way bridged"),
        (report.limit_excess > np.deg2rad(20), f"joints {np.rad2deg(report.limit_excess):.0f} degrees past a limit"),
    ]
    return [text for wrong, text in faults if wrong]


def _result(clip: Clip, root: np.ndarray, rotations: np.ndarray, rate: float) -> PhysicsResult:
    """The motion at the input's rate and length, in the input's axes, with the numbers of the simulation."""
    root, rotations = resample_pose(root, rotations, rate, len(clip.given), clip.fps)
    root = root + np.array([0.0, 0.0, clip.height])
    positions = from_simulator(clip.body.pose(root, rotations)[0])
    with np.errstate(all="ignore"):
        moved = np.linalg.norm(positions - clip.given, axis=-1)
    numbers = _simulation_numbers(clip) if clip.outcome is not None else {}
    return PhysicsResult(
        positions=positions,
        verdict=PhysicsVerdict.CORRECTED,
        message="",
        fell=clip.fell,
        assistance=clip.factor,
        distance_moved=1e3 * float(np.nanmean(moved)) if np.isfinite(moved).any() else 0.0,
        conditioning=clip.report,
        skeleton=clip.body.skeleton,
        root=from_simulator(root),
        rotations=from_simulator(rotations),
        **numbers,
    )


def _simulation_numbers(clip: Clip) -> dict[str, float]:
    assert clip.outcome is not None
    assert clip.error is not None
    force = np.linalg.norm(clip.outcome.wrench[:, :3], axis=1) / clip.body.weight
    torque = np.linalg.norm(clip.outcome.wrench[:, 3:], axis=1)
    return {
        "tracking_error": 1e3 * float(clip.error.mean()),
        "residual_force": float(force.mean()),
        "residual_torque": float(torque.mean()),
        "residual_share": float(((force > _NOTICED_FORCE) | (torque > _NOTICED_TORQUE)).mean()),
    }


def _with(result: PhysicsResult, verdict: PhysicsVerdict, message: str, **changes: object) -> PhysicsResult:
    return replace(result, verdict=verdict, message=message, **changes)  # pyright: ignore[reportArgumentType]
