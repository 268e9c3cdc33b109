"""Measures against motions whose numbers follow from how they were made."""

from __future__ import annotations

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.motion.physics.body import Body, from_simulator
from ouroloop.motion.physics.measures import joint_error, measure, measure_pose, registered_error
from ouroloop.motion.physics.visible_surface import visible_surface
from ouroloop.motion.rotations import about_y, from_rotation_vector, rotate
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton

FPS = 20.0
OFFSETS = np.zeros((22, 3))
for joint, offset in {
    1: (0.09, -0.08, 0), 2: (-0.09, -0.08, 0), 3: (0, 0.12, 0), 4: (0, -0.4, 0), 5: (0, -0.4, 0), 6: (0, 0.13, 0),
    7: (0, -0.41, 0), 8: (0, -0.41, 0), 9: (0, 0.06, 0), 10: (0, -0.06, 0.13), 11: (0, -0.06, 0.13),
    12: (0, 0.21, 0), 13: (0.07, 0.11, 0), 14: (-0.07, 0.11, 0), 15: (0, 0.12, 0.03), 16: (0.11, 0, 0),
    17: (-0.11, 0, 0), 18: (0.26, 0, 0), 19: (-0.26, 0, 0), 20: (0.25, 0, 0), 21: (-0.25, 0, 0),
}.items():  # fmt: skip
    OFFSETS[joint] = offset
SKELETON = Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, OFFSETS)
HEIGHT = 0.08 + 0.4 + 0.41 + 0.06  # of the pelvis over the foot joints


def standing(frames: int = 40, height: float = 0.0, velocity: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """A T-pose whose foot joints are at `height` m and that slides at `velocity` m/s."""
    seconds = np.arange(frames)[:, None] / FPS
    root = np.concatenate([seconds * velocity[0], np.full((frames, 1), HEIGHT + height), seconds * velocity[1]], axis=1)
    return SKELETON.forward(root, np.tile([1.0, 0, 0, 0], (frames, 22, 1)))


def test_standing_still_is_physical():
    measures = measure(standing(), FPS)
    assert measures.physics_error == pytest.approx(0.0, abs=1e-9)
    assert measures.jerk == pytest.approx(0.0, abs=1e-8)


@pytest.mark.parametrize(("height", "penetration", "floating"), [(-0.1, 100, 0), (0.1, 0, 100), (0.004, 0, 0)])
def test_heights_are_measured_beyond_the_tolerance(height, penetration, floating):
    measures = measure(standing(height=height), FPS)
    assert measures.penetration == pytest.approx(penetration, abs=1e-6)
    assert measures.floating == pytest.approx(floating, abs=1e-6)


def test_skating_is_what_the_feet_move_in_a_frame():
    assert measure(standing(velocity=(0.3, 0.4)), FPS).skating == pytest.approx(500 / FPS)
    assert measure(standing(velocity=(0.3, 0.4), height=0.05), FPS).skating == 0.0


def test_the_floor_may_be_that_of_the_soles():
    raised = standing(height=Body.of(SKELETON).ball_radius)
    assert measure(raised, FPS, floor="soles").physics_error == pytest.approx(0.0, abs=1e-9)
    assert measure(raised, FPS, floor="joints").floating > 10


def test_acceleration_and_jerk_of_a_parabola_and_a_cubic():
    seconds = np.arange(30)[:, None, None] / FPS
    up = np.array([0.0, 1.0, 0.0])
    assert measure(standing(30) + 0.5 * 3.0 * seconds**2 * up, FPS).acceleration == pytest.approx(3.0)
    assert measure(standing(30) + 2.0 / 6.0 * seconds**3 * up, FPS).jerk == pytest.approx(2.0)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_short_clips_have_numbers(frames):
    assert np.isfinite(list(measure(standing(frames), FPS).as_dict().values())).all()


@pytest.mark.parametrize("positions", [np.zeros((5, 21, 3)), np.zeros((0, 22, 3)), np.full((5, 22, 3), np.nan)])
def test_what_cannot_be_measured_is_refused(positions):
    with pytest.raises(DataError, match="measure"):
        measure(positions, FPS)


def test_the_visible_surface_is_the_surface_of_level_feet():
    rng = np.random.default_rng(0)
    body = Body.of(SKELETON)
    rotations = np.tile([1.0, 0, 0, 0], (50, 22, 1))
    rotations[:, 0] = from_rotation_vector(np.stack([*np.zeros((2, 50)), rng.uniform(-3, 3, 50)], axis=1))
    pitch = rng.uniform(-0.9, 0.9, (50, 2))
    for column, ankle in enumerate((7, 8)):
        rotations[:, ankle] = from_rotation_vector(np.stack([np.zeros(50), pitch[:, column], np.zeros(50)], axis=1))
    root = rng.normal(size=(50, 3))
    positions, orientations = body.pose(root, rotations)
    whole, seen = body.surface.lowest(positions, orientations), visible_surface(body, positions)
    np.testing.assert_allclose(seen[:, [0, 2], 2], whole[:, [0, 4], 2], atol=1e-9)  # heels of both feet
    np.testing.assert_allclose(seen[:, 11:15], whole[:, 19:23], atol=1e-9)  # upper arms
    assert measure_pose(body, root, rotations, FPS).acceleration == pytest.approx(
        measure(from_simulator(positions), FPS, skeleton=SKELETON).acceleration
    )


def test_errors_of_joints():
    a = standing(10)
    assert joint_error(a + np.array([0.03, 0.0, 0.04]), a) == pytest.approx(50)
    turned = rotate(about_y(np.array(0.7)), a) + np.array([1.0, 0.0, -2.0])
    assert registered_error(turned, a) == pytest.approx(0.0, abs=1e-6)
    assert joint_error(turned, a) > 500
