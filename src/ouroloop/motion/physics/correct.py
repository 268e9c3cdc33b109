"""The physics corrector's entry: clips in, simulated clips and verdicts out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.physics.balance import Balance
from ouroloop.motion.physics.clip import FOLLOWED, Clip, finish, prepare, refuse
from ouroloop.motion.physics.engine import load_mujoco, quiet
from ouroloop.motion.physics.humanoid import Humanoid, build_humanoid
from ouroloop.motion.physics.inverse_dynamics import feed_forward
from ouroloop.motion.physics.options import PhysicsOptions
from ouroloop.motion.physics.policy import Policy, load_policy
from ouroloop.motion.physics.recovery import lost_frame
from ouroloop.motion.physics.resampling import resample
from ouroloop.motion.physics.result import PhysicsResult
from ouroloop.motion.physics.search import search
from ouroloop.motion.physics.stepped import track_stepped
from ouroloop.motion.physics.tracking import Tracked, track
from ouroloop.motion.skeleton import Skeleton

__all__ = ["correct"]

_FEED_RATE = 60.0  # Hz: feed-forward is computed at this rate, and interpolated


def correct(
    clips: Sequence[np.ndarray],
    fps: float,
    options: PhysicsOptions | None = None,
    *,
    skeletons: Sequence[Skeleton | None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[PhysicsResult]:
    """Correct motions by physics; nothing raised by one clip stops the others.

    Every clip's result depends on that clip and the options alone: not on the other clips, not on their order, not on
    the number of threads.

    Args:
        clips: joint positions (T, 22, 3) in m, HumanML3D order, y up; lengths may differ. Frames may be NaN.
        fps: frames a second.
        skeletons: of the persons, where they are known; by default measured from each clip.
        progress: called with the number of clips done since the last call.

    Returns:
        one result a clip, in order.

    Raises:
        DataError: a frame rate that is not positive. MissingExtraError: MuJoCo is not installed.
    """
    options = options or PhysicsOptions()
    if not (np.isfinite(fps) and fps > 0):
        raise DataError(f"fps: got {fps!r}; expected frames a second, a number above 0")
    if options.mode != "kinematic":
        load_mujoco()  # raises at once where it is missing, rather than once a clip
    known = skeletons if skeletons is not None else [None] * len(clips)
    results: list[PhysicsResult | None] = [None] * len(clips)
    order = sorted(range(len(clips)), key=lambda i: np.shape(clips[i])[:1])
    size = 1 if options.search else options.group  # a search takes seconds: tell of every clip
    groups = [order[start : start + size] for start in range(0, len(order), size)]

    def work(group: list[int]) -> None:
        for index, result in zip(
            group, _correct_group([clips[i] for i in group], fps, [known[i] for i in group], options), strict=True
        ):
            results[index] = result
        if progress is not None:
            progress(len(group))

    if options.threads == 1 or len(groups) == 1:
        for group in groups:
            work(group)
    else:
        with ThreadPoolExecutor(options.threads) as pool:
            list(pool.map(work, groups))
    return [result for result in results if result is not None]


def _correct_group(
    clips: list[np.ndarray], fps: float, skeletons: list[Skeleton | None], options: PhysicsOptions
) -> list[PhysicsResult]:
    prepared: list[Clip | PhysicsResult] = []
    for clip, skeleton in zip(clips, skeletons, strict=True):
        try:
            prepared.append(prepare(clip, fps, skeleton, options))
        except (DataError, ValueError, np.linalg.LinAlgError) as error:
            prepared.append(refuse(clip, str(error)))
    if options.mode != "kinematic":
        with quiet():
            _simulate([clip for clip in prepared if isinstance(clip, Clip)], options)
    return [finish(clip, options) if isinstance(clip, Clip) else clip for clip in prepared]


def _simulate(clips: list[Clip], options: PhysicsOptions) -> None:
    """Track every clip at the bounds asked for, and those that are lost again with more help."""
    controller = Policy(load_policy(options.policy)) if options.policy else Balance() if options.balance else None
    for clip in clips:
        clip.reference = resample(clip.root, clip.rotations, clip.rate, 1.0 / options.timestep)
    factors = (1.0, *(options.retries if options.recovery == "retry" else ()))
    waiting = clips
    for factor in factors:
        if not waiting:
            return
        humanoids = [
            build_humanoid(clip.body, options.timestep, options.bounds.scaled(factor), options.servo)
            for clip in waiting
        ]
        for clip, humanoid in zip(waiting, humanoids, strict=True):
            if clip.feed is None:
                step = max(1, round(clip.reference.rate / _FEED_RATE))
                coarse = feed_forward(humanoid, clip.reference.every(step))
                clip.feed = coarse.at(np.arange(len(clip.reference)) / step)
        parts = (humanoids, [clip.reference for clip in waiting], [clip.feed for clip in waiting if clip.feed])
        tracked = track(*parts) if controller is None else track_stepped(*parts, controller)
        lost = []
        for clip, humanoid, outcome in zip(waiting, humanoids, tracked, strict=True):
            clip.searched = False  # what was found with less help is of no use to a simulation with more
            if options.search and factor == factors[0]:
                outcome = _found(clip, humanoid, outcome, options)
            clip.judge(outcome, factor, options.lost_at)
            if clip.lost is not None:
                lost.append(clip)
        waiting = lost


def _found(clip: Clip, humanoid: Humanoid, outcome: Tracked, options: PhysicsOptions) -> Tracked:
    """The outcome, or what a search finds where the body was lost or followed badly, if that is not lost or nearer."""
    lost, error = _badness(clip, outcome, options)
    if clip.feed is None or (not lost and 1e3 * error <= FOLLOWED):
        return outcome
    other = search(humanoid, clip.reference, clip.feed, options.search)
    clip.searched = _badness(clip, other, options) < (lost, error)
    return other if clip.searched else outcome


def _badness(clip: Clip, outcome: Tracked, options: PhysicsOptions) -> tuple[bool, float]:
    """Whether the body was lost, and then its mean joint distance in m, infinite where there is a NaN."""
    error = clip.distance(outcome)
    lost = lost_frame(error, options.lost_at, outcome.diverged) is not None
    return lost, float(np.where(np.isfinite(error), error, np.inf).mean())
