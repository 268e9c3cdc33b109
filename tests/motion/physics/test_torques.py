"""Torques that motions ask for: against weights and arms, a pendulum's closed form, and MuJoCo's own inverse."""

from __future__ import annotations

import numpy as np
import pytest

from ouroloop.motion.examples import SKELETON, standing, walking
from ouroloop.motion.inverse_kinematics import inverse_kinematics
from ouroloop.motion.physics.body import Body, to_simulator
from ouroloop.motion.physics.torques import torque_demand, torque_excess, torque_humanoid
from ouroloop.motion.rotations import from_rotation_vector

mujoco = pytest.importorskip("mujoco", reason="torques need mujoco: pip install 'ouroloop[motion]'")

BODY = Body.of(SKELETON)
LEFT_ARM = ("left_shoulder", "left_elbow", "left_wrist")


def posed(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Root and rotations in the simulator's axes, soles on the floor."""
    root, rotations = inverse_kinematics(positions, SKELETON, 20.0)
    return to_simulator(root) + np.array([0.0, 0.0, BODY.ball_radius]), to_simulator(rotations)


def rest(frames: int, height: float) -> tuple[np.ndarray, np.ndarray]:
    """Arms stretched sideways."""
    return np.tile([0.0, 0.0, height], (frames, 1)), np.tile([1.0, 0.0, 0.0, 0.0], (frames, 22, 1))


def test_a_stretched_arm_weighs_on_its_shoulder_as_masses_and_arms_say():
    """The torque about the shoulder of what hangs on it, added up from masses and places of the bodies."""
    model = torque_humanoid(BODY).model
    data = mujoco.MjData(model)
    root, rotations = rest(5, 2.0)
    data.qpos[:] = torque_humanoid(BODY).state(root[0], rotations[0])
    mujoco.mj_kinematics(model, data)
    ids = [model.body(name).id for name in LEFT_ARM]
    arms = np.linalg.norm((data.xipos[ids] - data.xpos[ids[0]])[:, :2], axis=1)
    expected = 9.81 * float(model.body_mass[ids] @ arms)
    assert expected > 5
    np.testing.assert_allclose(torque_demand(BODY, root, rotations, 20.0)[:, 15], expected, rtol=1e-3)


def test_a_swinging_forearm_asks_for_moment_of_inertia_times_acceleration():
    """A pendulum about the elbow, level with the ground, so that its weight acts across the axis of the swing."""
    model = torque_humanoid(BODY).model
    data = mujoco.MjData(model)
    root, rotations = rest(200, 2.0)
    data.qpos[:] = torque_humanoid(BODY).state(root[0], rotations[0])
    mujoco.mj_kinematics(model, data)
    elbow, wrist = (model.body(name).id for name in LEFT_ARM[1:])
    inertia = float(model.dof_armature[model.body_dofadr[elbow]])
    weight = 0.0
    for body in (elbow, wrist):  # about the vertical through the elbow
        arm = np.linalg.norm((data.xipos[body] - data.xpos[elbow])[:2])
        turned = data.ximat[body].reshape(3, 3)
        own = turned @ np.diag(model.body_inertia[body]) @ turned.T
        inertia += own[2, 2] + model.body_mass[body] * arm**2
        weight += 9.81 * model.body_mass[body] * arm
    amplitude, rate, fps = 0.4, 2.0 * np.pi * 1.5, 120.0
    angle = amplitude * np.sin(rate * np.arange(200) / fps)
    rotations[:, 18] = from_rotation_vector(angle[:, None] * np.array([0.0, 0.0, 1.0]))
    expected = np.hypot(inertia * amplitude * rate**2, weight)  # at the turning points
    found = torque_demand(BODY, root, rotations, fps)[20:-20, 17].max()
    np.testing.assert_allclose(found, expected, rtol=0.06)  # accelerations are smoothed over 0.03 s: 4 % less


def test_in_the_air_it_is_what_mj_inverse_says():
    """Slow motion high above the floor: nothing touches, so that joint torques are those of MuJoCo."""
    humanoid, fps = torque_humanoid(BODY), 120.0
    seconds = np.arange(120) / fps
    root, rotations = rest(120, 3.0)
    for joint, axis in ((1, 1), (16, 2), (18, 2), (9, 0)):
        vector = np.zeros((120, 3))
        vector[:, axis] = 0.3 * np.sin(3.0 * seconds + joint)
        rotations[:, joint] = from_rotation_vector(vector)
    state = humanoid.state(root, rotations)
    data, velocity = mujoco.MjData(humanoid.model), np.zeros((119, 69))
    for frame in range(119):
        mujoco.mj_differentiatePos(humanoid.model, velocity[frame], 1 / fps, state[frame], state[frame + 1])
    expected = []
    for frame in range(30, 90):
        data.qpos[:] = state[frame]
        data.qvel[:] = 0.5 * (velocity[frame - 1] + velocity[frame])
        data.qacc[:] = (velocity[frame] - velocity[frame - 1]) * fps
        mujoco.mj_inverse(humanoid.model, data)
        torques = data.qfrc_inverse[humanoid.joint_velocities].reshape(21, 3)
        expected.append(np.linalg.norm(torques, axis=1))
    found = torque_demand(BODY, root, rotations, fps)[30:90]
    np.testing.assert_allclose(found, expected, atol=0.02 * np.max(expected))


def test_standing_and_walking_stay_within_the_limits_and_haste_does_not():
    for clip in (standing(30), walking(40)):
        assert torque_excess(BODY, *posed(clip), 20.0).max() == 0
    hasty = torque_excess(BODY, *posed(walking(40)), 80.0)  # four times as fast
    assert hasty.max() > 200
    assert hasty.mean() > 10
    assert torque_excess(BODY, *posed(walking(40)), 160.0).mean() > 4 * hasty.mean()


def test_legs_on_the_ground_carry_the_body():
    """A walker's hips and knees carry the body; in the air nothing but the legs hangs on them."""
    clip = walking(40)
    lifted = clip.copy()
    lifted[:, :, 1] += 0.3
    grounded, hanging = (torque_demand(BODY, *posed(p), 20.0).mean(axis=0) for p in (clip, lifted))
    assert grounded[[0, 1, 3, 4]].sum() > 3 * hanging[[0, 1, 3, 4]].sum()
    np.testing.assert_allclose(grounded[12:], hanging[12:], atol=0.1)  # arms
