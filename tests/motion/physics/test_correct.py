"""The corrector as a whole, on made-up motions: what it promises of every clip, good or bad."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ouroloop.errors import DataError, MissingExtraError, SpecError
from ouroloop.motion.examples import standing, walking
from ouroloop.motion.physics.conditioning import ConditioningOptions
from ouroloop.motion.physics.correct import correct
from ouroloop.motion.physics.corruptions import CORRUPTIONS, apply, truth_of
from ouroloop.motion.physics.engine import load_mujoco
from ouroloop.motion.physics.humanoid import ResidualBounds
from ouroloop.motion.physics.measures import joint_error, measure
from ouroloop.motion.physics.options import PhysicsOptions

pytest.importorskip("mujoco", reason="the physics corrector needs mujoco: pip install 'ouroloop[motion]'")
FPS = 20.0
UP = np.array([0.0, 1.0, 0.0])


@pytest.fixture(scope="module")
def clips() -> list[np.ndarray]:
    return [walking(40), standing(20), walking(31, 0.4), standing(45) - 0.1 * UP]


@pytest.fixture(scope="module")
def results(clips):
    return correct(clips, FPS)


def test_motions_are_followed_and_made_physical(clips, results):
    for clip, result in zip(clips[:3], results, strict=False):
        assert result.positions.shape == clip.shape
        assert not result.fell
        assert joint_error(result.positions, clip) < 40
        measures = measure(result.positions, FPS, skeleton=result.skeleton)
        assert measures.penetration < 0.05
        assert measures.skating < 3.0
    assert results[1].verdict == "unchanged"


@pytest.mark.parametrize("speed", [0.4, 0.6])
def test_the_simulation_is_neither_ahead_of_the_motion_nor_behind_it(speed):
    """The time shift that explains most of the difference, by least squares, is a part of a simulator's step."""
    clip = walking(60, speed)
    wanted, found = (correct([clip], FPS, PhysicsOptions(mode=mode))[0].positions for mode in ("kinematic", "full"))
    velocity = np.gradient(wanted, 1 / FPS, axis=0)
    ahead = np.sum((found - wanted) * velocity) / np.sum(velocity**2)
    assert abs(ahead) < 0.5 * PhysicsOptions().timestep


def test_a_sunk_motion_is_raised(clips, results):
    assert results[3].verdict == "corrected"
    assert "floor" in results[3].message
    assert joint_error(results[3].positions, clips[3] + 0.1 * UP) < 20
    assert results[3].conditioning.floor == pytest.approx(-0.1, abs=0.01)
    assert results[3].distance_moved == pytest.approx(100, abs=20)


def test_a_clip_alone_is_the_clip_in_a_batch(clips, results):
    again = correct(clips[::-1], FPS, PhysicsOptions(threads=2, group=1))[::-1]
    alone = correct(clips[:1], FPS)
    for result, other in zip([*results, results[0]], [*again, alone[0]], strict=True):
        np.testing.assert_array_equal(result.positions, other.positions)
        assert result.message == other.message
        assert result.residual_force == other.residual_force


def test_the_residual_stays_within_its_bounds(clips):
    bounds = ResidualBounds(0.1, 0.05, 25.0)
    for result in correct(clips[:2], FPS, PhysicsOptions(bounds=bounds, recovery="blend")):
        assert result.residual_force <= np.hypot(np.hypot(0.1, 0.1), 0.05) + 1e-9
        assert result.residual_torque <= 25.0 + 1e-6


def test_balance_needs_no_help_to_stand_and_minds_no_neighbours():
    options = PhysicsOptions(bounds=ResidualBounds(0.0, 0.0, 0.0), recovery="keep", balance=True)
    clips = [standing(30), walking(10)]
    together, alone = correct(clips, FPS, options), [correct([clip], FPS, options)[0] for clip in clips]
    assert not together[0].fell
    assert joint_error(together[0].positions, clips[0]) < 60
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a.positions, b.positions)
    with pytest.raises(SpecError, match="choose one"):
        PhysicsOptions(balance=True, policy="policy.pt")


def test_backward_knees_are_bridged():
    truth = walking(40)
    bent = apply("knee_limit", truth, FPS, 3)
    result = correct([bent], FPS, PhysicsOptions(mode="kinematic"))[0]
    assert result.conditioning.bridged > 0
    assert joint_error(result.positions, truth) < joint_error(bent, truth)


@pytest.mark.parametrize("kind", [*CORRUPTIONS])
def test_no_damage_stops_the_corrector(kind):
    truth = walking(50)
    damaged = apply(kind, truth, FPS, 1)
    np.testing.assert_array_equal(damaged, apply(kind, truth, FPS, 1))
    result = correct([damaged], FPS, PhysicsOptions(mode="kinematic"))[0]
    assert result.positions.shape == damaged.shape
    assert np.isfinite(result.positions).all()
    assert truth_of(kind, truth, FPS).shape == damaged.shape
    if kind in ("sink", "float", "ramp", "bob", "drift", "jitter_15mm"):
        assert joint_error(result.positions, truth) < joint_error(damaged, truth)


def test_no_help_is_no_help(clips):
    options = PhysicsOptions(bounds=ResidualBounds(0.0, 0.0, 0.0), recovery="keep")
    result = correct([clips[0]], FPS, options)[0]
    assert result.residual_force == pytest.approx(0.0, abs=1e-9)
    assert result.residual_torque == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("recovery", "verdict"), [("keep", "kept"), ("drop", "dropped"), ("blend", "blended")])
def test_lost_motions_are_never_hidden(recovery, verdict):
    lifted = walking(40) + np.where(np.arange(40) < 20, 0.0, 30.0)[:, None, None] * np.array([1.0, 0.0, 0.0])
    options = PhysicsOptions(recovery=recovery, conditioning=ConditioningOptions(denoise=False))
    result = correct([lifted], FPS, options)[0]
    assert result.verdict == verdict
    assert result.fell
    assert "lost" in result.message
    if recovery != "blend":
        np.testing.assert_array_equal(result.positions, lifted)
    else:
        assert np.isfinite(result.positions).all()


def test_more_help_is_tried_and_reported():
    hopping = standing(40) + 0.8 * np.clip(np.sin(np.arange(40) / 4.0), 0, None)[:, None, None] * UP
    few = ResidualBounds(0.02, 0.02, 2.0)
    lost = correct([hopping], FPS, PhysicsOptions(bounds=few, recovery="drop"))[0]
    tried = correct([hopping], FPS, PhysicsOptions(bounds=few, retries=(100.0,)))[0]
    assert lost.verdict == "dropped"
    assert tried.fell
    assert tried.assistance == 100.0


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
def test_short_clips(frames):
    result = correct([standing(frames)], FPS)[0]
    assert result.positions.shape == (frames, 22, 3)
    assert result.verdict == "unchanged"


def test_missing_frames_are_filled():
    whole = walking(40)
    clip = whole.copy()
    clip[7:10] = np.nan
    clip[20, 3] = np.inf
    result = correct([clip], FPS)[0]
    assert result.verdict == "corrected"
    assert "4 missing frames filled" in result.message
    assert joint_error(result.positions, whole) < 40


def test_identical_frames_and_flying_and_upside_down_starts():
    still = np.repeat(walking(5)[:1], 40, axis=0)
    flying = walking(40) + 5.0 * UP
    turned = walking(40) * np.array([1.0, -1.0, -1.0])
    for clip, result in zip([still, flying, turned], correct([still, flying, turned], FPS), strict=True):
        assert result.positions.shape == clip.shape
        assert np.isfinite(result.positions).all()
        assert result.message
        assert result.verdict in ("unchanged", "corrected", "blended")


@pytest.mark.parametrize(
    ("clip", "reason"),
    [
        (np.zeros((10, 24, 3)), "22"),
        (np.zeros((0, 22, 3)), "22"),
        (np.full((10, 22, 3), np.nan), "nothing to correct"),
        (np.zeros((10, 22, 3)), "zero-length"),
        (40.0 * np.asarray(standing(10)), "stature"),
    ],
)
def test_what_cannot_be_corrected_gets_a_reason_and_stops_nothing(clip, reason):
    bad, good = correct([clip, standing(10)], FPS)
    assert bad.verdict == "failed"
    assert reason in bad.message
    assert good.verdict == "unchanged"


def test_divergence_is_a_verdict_and_leaves_no_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    wild = standing(30)
    wild[10:] += np.cumsum(np.full((20, 1, 1), 1e9), axis=0)
    options = PhysicsOptions(
        mode="simulation", bounds=ResidualBounds(1e12, 1e12, 1e15), recovery="blend", timestep=0.02
    )
    result = correct([wild, walking(20)], FPS, options)[0]
    assert result.verdict in ("blended", "failed")
    assert result.message
    assert list(tmp_path.iterdir()) == []


def test_modes(clips):
    kinematic = correct(clips[3:], FPS, PhysicsOptions(mode="kinematic"))[0]
    assert kinematic.assistance == 0.0
    assert np.isnan(kinematic.tracking_error)
    assert joint_error(kinematic.positions, clips[3] + 0.1 * UP) < 15
    simulated = correct(clips[3:], FPS, PhysicsOptions(mode="simulation"))[0]
    assert simulated.assistance == 1.0
    assert joint_error(simulated.positions, clips[3] + 0.1 * UP) < 20


def test_the_floor_may_be_that_of_the_soles(clips):
    joints = correct(clips[1:2], FPS)[0]
    soles = correct(clips[1:2], FPS, PhysicsOptions(floor="soles"))[0]
    difference = (soles.positions - joints.positions)[..., 1]
    assert np.ptp(difference) < 1e-9
    assert 0.015 < difference.mean() < 0.03


def test_progress_counts_every_clip(clips):
    done = []
    correct(clips, FPS, PhysicsOptions(mode="kinematic", group=3), progress=done.append)
    assert sum(done) == len(clips)
    assert correct([], FPS) == []


@pytest.mark.parametrize(
    "options", [{"mode": "magic"}, {"recovery": "teleport"}, {"threads": 0}, {"timestep": 0.5}, {"floor": "sea"}]
)
def test_wrong_options_are_refused(options):
    with pytest.raises(SpecError):
        PhysicsOptions(**options)


@pytest.mark.parametrize("fps", [0.0, -1.0, np.nan])
def test_a_frame_rate_is_positive(fps):
    with pytest.raises(DataError, match="fps"):
        correct([standing(10)], fps)


def test_without_mujoco_the_message_says_what_to_install(monkeypatch):
    load_mujoco.cache_clear()
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'ouroloop\[motion\]'"):
        correct([standing(10)], FPS)
    monkeypatch.undo()
    load_mujoco.cache_clear()
