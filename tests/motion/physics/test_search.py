"""The search by sampling: it keeps up what falls otherwise, within the same bounds, and minds no neighbours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.motion.examples import standing, walking
from ouroloop.motion.physics.clip import prepare
from ouroloop.motion.physics.correct import correct
from ouroloop.motion.physics.engine import quiet
from ouroloop.motion.physics.humanoid import ResidualBounds, build_humanoid
from ouroloop.motion.physics.inverse_dynamics import feed_forward
from ouroloop.motion.physics.options import PhysicsOptions
from ouroloop.motion.physics.resampling import resample
from ouroloop.motion.physics.result import PhysicsResult, PhysicsVerdict
from ouroloop.motion.physics.search import search

pytest.importorskip("mujoco", reason="the physics corrector needs mujoco: pip install 'ouroloop[motion]'")
FPS = 20.0
ALONE = ResidualBounds(0.0, 0.0, 0.0)


def corrected(clips: list[np.ndarray], search: int, threads: int = 1) -> list[PhysicsResult]:
    """Without any help from outside."""
    return correct(clips, FPS, PhysicsOptions(bounds=ALONE, recovery="keep", search=search, threads=threads))


@pytest.fixture(scope="module")
def found() -> PhysicsResult:
    return corrected([walking(20)], 2)[0]


def test_a_walk_that_falls_without_help_is_kept_up(found: PhysicsResult) -> None:
    plain = corrected([walking(20)], 0)[0]
    assert plain.fell
    assert not found.fell
    assert found.tracking_error < 0.75 * plain.tracking_error
    assert found.residual_force < 1e-9
    assert found.residual_torque < 1e-6
    assert "steered by search" in found.message


def test_neither_neighbours_nor_threads_matter(found: PhysicsResult) -> None:
    standing_one, again = corrected([standing(12), walking(20)], 2, threads=2)
    np.testing.assert_array_equal(again.positions, found.positions)
    assert again.message == found.message
    assert "search" not in standing_one.message


def test_what_is_followed_well_is_not_searched() -> None:
    plain, searched = corrected([standing(12)], 0)[0], corrected([standing(12)], 3)[0]
    np.testing.assert_array_equal(plain.positions, searched.positions)


def test_a_hopeless_clip_is_given_up() -> None:
    clip = walking(8)
    clip[4:] += [0.0, 3.0, 0.0]  # three metres up within a frame, and no help from outside
    result = corrected([clip], 1)[0]
    assert np.isfinite(result.positions).all()
    assert result.fell
    assert "search" not in result.message
    retried = correct([clip], FPS, PhysicsOptions(search=1))[0]  # with ever more help instead
    assert "steered by search" not in retried.message or retried.assistance == 1.0


def test_a_body_that_the_engine_put_back_counts_as_lost() -> None:
    clip = prepare(standing(12), FPS, None, PhysicsOptions())
    reference = resample(clip.root, clip.rotations, clip.rate, 240.0)
    humanoid = build_humanoid(clip.body, 1.0 / 240.0, ALONE)
    feed = feed_forward(humanoid, reference)
    velocity = reference.velocity.copy()
    velocity[0] = 1e12  # diverges in the first step, and stands at the model's beginning, near the reference, after it
    with quiet():
        assert not search(humanoid, reference, feed, 1).diverged
        assert search(humanoid, replace(reference, velocity=velocity), feed, 2).diverged


def test_a_blend_from_a_search_says_so() -> None:
    clip = walking(30)
    clip[20:] += [0.0, 3.0, 0.0]
    result = correct([clip], FPS, PhysicsOptions(bounds=ALONE, recovery="blend", search=1))[0]
    assert result.verdict is PhysicsVerdict.BLENDED
    assert "; steered by search; simulated for" in result.message


def test_options_that_make_no_sense() -> None:
    with pytest.raises(SpecError, match="search: got -1"):
        PhysicsOptions(search=-1)
    with pytest.raises(SpecError, match="choose one"):
        PhysicsOptions(search=1, policy="policy.pt")
