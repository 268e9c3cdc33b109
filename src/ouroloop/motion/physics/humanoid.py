"""A simulated humanoid built from a body by MuJoCo's model editing: no model file, no licensed asset.

Every joint but the root is a ball joint with an orientation servo of bounded torque. The root carries the *residual
wrench*: three bounded linear servos and one bounded orientation servo between the pelvis and the world, the help from
outside that a body without balance control needs. It is an actuator like any other, so that it is bounded inside the
simulator and every newton of it can be read back.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from ouroloop.motion.physics.body import JOINTS, PARENTS, SOLE_POINTS, Body, limb_capsules
from ouroloop.motion.physics.engine import load_mujoco
from ouroloop.motion.skeleton import HUMANML3D_NAMES

__all__ = ["Humanoid", "ResidualBounds", "ResidualServo", "build_humanoid"]

# Shares of the body's mass: Winter, Biomechanics and Motor Control of Human Movement (2009), table 4.1, with the trunk
# and head split between their joints; normalised to 1 below.
_MASS = {
    "pelvis": 0.142, "spine1": 0.06, "spine2": 0.06, "spine3": 0.175, "neck": 0.02, "head": 0.061, "collar": 0.01,
    "shoulder": 0.028, "elbow": 0.016, "wrist": 0.006, "hip": 0.100, "knee": 0.0465, "ankle": 0.0115, "foot": 0.003,
}  # fmt: skip
# Servo stiffness (N m / rad), damping (N m s / rad) and torque limit (N m)
_SERVO = {
    "hip": (3200, 140, 350), "knee": (800, 40, 350), "ankle": (250, 15, 250), "foot": (30, 1.5, 60),
    "spine1": (1500, 80, 350), "spine2": (1500, 80, 350), "spine3": (1500, 60, 350), "neck": (150, 8, 60),
    "head": (100, 5, 40), "collar": (500, 25, 200), "shoulder": (400, 18, 150), "elbow": (250, 10, 100),
    "wrist": (60, 2, 30),
}  # fmt: skip
_LIGHT = ("wrist", "foot", "head", "neck", "elbow")  # joints with half the armature
_ARMATURE = 0.05  # kg m^2
_NOTHING = 1e-9  # N, N m: MuJoCo refuses a force range of no width


def _kind(joint: int) -> str:
    """The joint's name without its side."""
    return HUMANML3D_NAMES[joint].removeprefix("left_").removeprefix("right_")


@dataclass(frozen=True)
class ResidualBounds:
    """How much help from outside the body may get.

    Args:
        horizontal: per axis, in body weights. vertical: in body weights, up and down. torque: N m.
    """

    horizontal: float = 1.0
    vertical: float = 0.5
    torque: float = 250.0

    def scaled(self, factor: float) -> ResidualBounds:
        """All bounds times a factor."""
        return ResidualBounds(self.horizontal * factor, self.vertical * factor, self.torque * factor)

    @property
    def none(self) -> bool:
        """Whether there is no help at all."""
        return self.horizontal == self.vertical == self.torque == 0.0


@dataclass(frozen=True)
class ResidualServo:
    """Stiffness of the residual wrench: natural frequencies in rad/s and damping ratios of the body that it moves.

    Args:
        horizontal, vertical: of the body's mass. turning: of `inertia` kg m^2. damping: of the translation.
        turning_damping: of the rotation.
    """

    horizontal: float = 24.0
    vertical: float = 30.0
    damping: float = 1.0
    turning: float = 30.0
    turning_damping: float = 0.6
    inertia: float = 8.0


@dataclass(frozen=True, eq=False)
class Humanoid:
    """A compiled model and where its joints' numbers lie.

    Args:
        body: what it was built from. model: the `mujoco.MjModel`. bounds: of the residual wrench.
    """

    body: Body
    model: Any
    bounds: ResidualBounds
    servo: ResidualServo

    @cached_property
    def contactless(self) -> Any:
        """A copy of the model that meets no floor, for inverse dynamics."""
        model = copy(self.model)
        model.opt.disableflags |= int(load_mujoco().mjtDisableBit.mjDSBL_CONTACT)
        return model

    @cached_property
    def body_ids(self) -> np.ndarray:
        """MuJoCo's body of each joint, int (22,)."""
        return np.array([self.model.body(name).id for name in HUMANML3D_NAMES])

    @cached_property
    def joint_columns(self) -> np.ndarray:
        """Columns of qpos with the 21 local quaternions, int (84,)."""
        addresses = self.model.jnt_qposadr[self.model.body_jntadr[self.body_ids[1:]]]
        return (addresses[:, None] + np.arange(4)).ravel()

    @cached_property
    def joint_velocities(self) -> np.ndarray:
        """Columns of qvel with the 21 angular velocities, int (63,)."""
        addresses = self.model.jnt_dofadr[self.model.body_jntadr[self.body_ids[1:]]]
        return (addresses[:, None] + np.arange(3)).ravel()

    @cached_property
    def servo_gains(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Stiffness, damping and torque limit of the 21 joint servos, each (21,)."""
        table = np.array([_SERVO[_kind(joint)] for joint in range(1, JOINTS)], float)
        return table[:, 0], table[:, 1], table[:, 2]

    @cached_property
    def residual_gains(self) -> tuple[np.ndarray, np.ndarray, float, float]:
        """Stiffness (3,) and damping (3,) of the residual force, and stiffness and damping of its torque."""
        servo, mass = self.servo, self.body.mass
        frequency = np.array([servo.horizontal, servo.horizontal, servo.vertical])
        turn = servo.inertia * servo.turning
        return (
            mass * frequency**2,
            2.0 * servo.damping * mass * frequency,
            turn * servo.turning,
            2.0 * servo.turning_damping * turn,
        )

    def state(self, root: np.ndarray, rotations: np.ndarray) -> np.ndarray:
        """qpos (..., 91) of a root (..., 3) and local rotations (..., 22, 4)."""
        state = np.empty((*root.shape[:-1], 7 + 4 * (JOINTS - 1)))
        state[..., :3], state[..., 3:7] = root, rotations[..., 0, :]
        state[..., self.joint_columns] = rotations[..., 1:, :].reshape(*root.shape[:-1], -1)
        return state

    def pose(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Root and local rotations of qpos (..., 91)."""
        joints = state[..., self.joint_columns].reshape(*state.shape[:-1], JOINTS - 1, 4)
        return state[..., :3], np.concatenate([state[..., None, 3:7], joints], axis=-2)

    def velocity(self, root: np.ndarray, angular: np.ndarray) -> np.ndarray:
        """qvel (..., 69) of the root's velocity (..., 3) and local angular velocities (..., 22, 3)."""
        velocity = np.empty((*root.shape[:-1], 6 + 3 * (JOINTS - 1)))
        velocity[..., :3], velocity[..., 3:6] = root, angular[..., 0, :]
        velocity[..., self.joint_velocities] = angular[..., 1:, :].reshape(*root.shape[:-1], -1)
        return velocity


def build_humanoid(body: Body, timestep: float, bounds: ResidualBounds, servo: ResidualServo | None = None) -> Humanoid:
    """The humanoid of a body; the same body and options give the same compiled model (the last 64 are kept).

    Args:
        timestep: s. bounds, servo: of the residual wrench.

    Raises:
        MissingExtraError: MuJoCo is not installed.
    """
    return _cached(body.offsets.tobytes(), timestep, bounds, servo or ResidualServo())


@lru_cache(maxsize=64)
def _cached(offsets: bytes, timestep: float, bounds: ResidualBounds, servo: ResidualServo) -> Humanoid:
    body = Body(np.frombuffer(offsets).reshape(JOINTS, 3))
    spec = _empty_world(timestep)
    masses = np.array([_MASS[_kind(joint)] for joint in range(JOINTS)])
    masses *= body.mass / masses.sum()
    _add_bodies(spec, body, masses)
    _add_joint_servos(spec)
    humanoid = Humanoid(body, None, bounds, servo)
    _add_residual(spec, humanoid)
    return Humanoid(body, spec.compile(), bounds, servo)


def _empty_world(timestep: float) -> Any:
    mujoco = load_mujoco()
    spec = mujoco.MjSpec()
    spec.modelname = "humanoid"
    option = spec.option
    option.timestep = timestep
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.solver = mujoco.mjtSolver.mjSOL_NEWTON
    option.iterations = option.ls_iterations = 30
    option.impratio, option.tolerance = 5.0, 1e-6
    floor = spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1], contype=1, conaffinity=0
    )
    _contact(floor)
    return spec


def _contact(geom: Any) -> None:
    """Friction 1 and a stiff contact; bodies meet the floor alone, not one another."""
    geom.condim, geom.friction = 3, [1.0, 0.005, 0.0001]
    geom.solref, geom.solimp = [0.008, 1.0], [0.9, 0.97, 0.002, 0.5, 2.0]


def _add_bodies(spec: Any, body: Body, masses: np.ndarray) -> None:
    mujoco = load_mujoco()
    nodes = {-1: spec.worldbody}
    for joint, name in enumerate(HUMANML3D_NAMES):
        place = body.offsets[joint] if joint else np.array([0.0, 0.0, 1.0])
        node = nodes[joint] = nodes[PARENTS[joint]].add_body(name=name, pos=place.tolist())
        if joint == 0:
            node.add_freejoint(name="root")
        else:
            ball = node.add_joint(name=name, type=mujoco.mjtJoint.mjJNT_BALL)
            ball.armature = _ARMATURE * (0.5 if _kind(joint) in _LIGHT else 1.0)
    shapes = _shapes(body)
    for joint, node in ((j, nodes[j]) for j in range(JOINTS)):
        for start, end, radius, share, touches in shapes[joint]:
            kind = mujoco.mjtGeom.mjGEOM_SPHERE if end is None else mujoco.mjtGeom.mjGEOM_CAPSULE
            where = {"pos": list(start)} if end is None else {"fromto": [*start, *end]}
            geom = node.add_geom(
                type=kind, size=[radius, 0, 0], mass=masses[joint] * share, contype=0, conaffinity=int(touches), **where
            )
            _contact(geom)


_Shape = tuple[Any, Any, float, float, bool]  # start, end (None for a sphere), radius, share of the mass, meets floor


def _shapes(body: Body) -> dict[int, list[_Shape]]:
    """Capsules and spheres of every joint; their radii are those of `Body.surface`."""
    offsets, scale = body.offsets, body.scale
    chest = offsets[12, 2] * 0.45

    def across(height: float, half: float, radius: float) -> list[_Shape]:
        return [([0, half * scale, height], [0, -half * scale, height], radius * scale, 1.0, True)]

    shapes: dict[int, list[_Shape]] = {
        0: [(offsets[1] * [1, 0.75, 0.5], offsets[2] * [1, 0.75, 0.5], 0.095 * scale, 1.0, True)],
        3: across(offsets[6, 2] * 0.5, 0.045, 0.10),
        6: across(offsets[9, 2] * 0.5, 0.045, 0.10),
        9: across(chest, 0.07, 0.11),
        12: [([0, 0, 0], offsets[15] * 0.8, 0.05 * scale, 1.0, True)],
        15: [([0.015 * scale, 0, 0.06 * scale], None, 0.095 * scale, 1.0, True)],
    }
    for collar, shoulder in ((13, 16), (14, 17)):
        shapes[collar] = [(offsets[shoulder] * 0.3, offsets[shoulder] * 0.9, 0.05 * scale, 1.0, True)]
    for joint, child, (radius, start, end) in limb_capsules():
        shapes[joint] = [(offsets[child] * start, offsets[child] * end, radius * scale, 1.0, True)]
    for wrist, side in ((20, 1), (21, -1)):
        shapes[wrist] = [([0, 0, 0], [0, side * 0.09 * scale, 0], 0.028 * scale, 1.0, True)]
    surface = body.surface
    for index in range(SOLE_POINTS):
        joint = int(surface.joint[index])
        share = 0.2 if joint in (7, 8) else 0.5
        shapes.setdefault(joint, []).append((surface.local[index], None, float(surface.radius[index]), share, True))
    for ankle, foot in ((7, 10), (8, 11)):
        forward, _, down = offsets[foot]
        middle = ([-0.02 * scale, 0, down * 0.6], [forward * 0.8, 0, down * 0.8], 0.03 * scale, 0.2, False)
        shapes[ankle].append(middle)
    return shapes


def _add_joint_servos(spec: Any) -> None:
    mujoco = load_mujoco()
    for joint in range(1, JOINTS):
        stiffness, damping, limit = _SERVO[_kind(joint)]
        servo = spec.add_actuator()
        servo.name = servo.target = HUMANML3D_NAMES[joint]
        servo.trntype = mujoco.mjtTrn.mjTRN_JOINT
        servo.set_to_orientation(kp=stiffness, kv=damping, ctrlspec=int(mujoco.mjtCtrlChart.mjCHART_QUAT))
        servo.forcelimited, servo.forcerange = 1, [0, limit]


def _add_residual(spec: Any, humanoid: Humanoid) -> None:
    mujoco = load_mujoco()
    spec.worldbody.add_site(name="origin")
    spec.body("pelvis").add_site(name="residual")
    stiffness, damping, turning, turning_damping = humanoid.residual_gains
    bounds, weight = humanoid.bounds, humanoid.body.weight
    limits = weight * np.array([bounds.horizontal, bounds.horizontal, bounds.vertical]) + _NOTHING
    for axis, letter in enumerate("xyz"):
        servo = spec.add_actuator()
        servo.name, servo.target, servo.refsite = f"residual_{letter}", "residual", "origin"
        servo.trntype, servo.gear = mujoco.mjtTrn.mjTRN_SITE, np.eye(6)[axis].tolist()
        servo.set_to_position(kp=stiffness[axis], kv=damping[axis])
        servo.forcelimited, servo.forcerange = 1, [-limits[axis], limits[axis]]
    servo = spec.add_actuator()
    servo.name, servo.target, servo.refsite = "residual_turn", "residual", "origin"
    servo.trntype = mujoco.mjtTrn.mjTRN_SITE
    servo.set_to_orientation(kp=turning, kv=turning_damping, ctrlspec=int(mujoco.mjtCtrlChart.mjCHART_QUAT))
    servo.forcelimited, servo.forcerange = 1, [0, bounds.torque + _NOTHING]
