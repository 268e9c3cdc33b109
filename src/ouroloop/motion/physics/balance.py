r"""Balance: the feet push so that the body needs less help from outside.

A hundred and twenty times a second every body compares where its centre of mass is and how its pelvis is turned with
where they should be, and asks for a wrench that brings them back, on top of the one that the reference asks for. As
much of that wrench as the soles that are down can give inside their friction cones (`contact_forces`) is turned into
torques of the legs by $\tau = -J^\top f$. The residual wrench has only to supply the rest. A swinging leg is aimed to
land where the body is falling to.

Source: Pratt et al., Virtual model control (2001), for $J^\top f$; Pratt et al., Capture point (2006), for the landing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ouroloop.motion.physics.body import LEGS, SOLE_POINTS
from ouroloop.motion.physics.contact_forces import distribute
from ouroloop.motion.physics.humanoid import Humanoid
from ouroloop.motion.physics.inverse_dynamics import FeedForward
from ouroloop.motion.physics.resampling import Reference
from ouroloop.motion.physics.stepped import Bodies
from ouroloop.motion.rotations import conjugate, cross, multiply, rotate, to_rotation_vector

__all__ = ["Balance"]

_DOWN = 0.01  # m: a sole point below this can push
_FALLING = 3.3  # 1/s: how fast a standing body falls over, the root of gravity over the height of its centre of mass


@dataclass(eq=False)
class Balance:
    """A controller that keeps bodies upright by their feet.

    Args:
        sway: rad/s, how fast the centre of mass is brought back. damping: ratio.
        turning: rad/s, how fast the pelvis is turned back. landing: share of the capture point's error that a
            swinging foot makes up for.
    """

    sway: float = 8.0
    damping: float = 0.8
    turning: float = 8.0
    landing: float = 1.0
    _hip_stiffness: float = field(default=0.0, init=False, repr=False)
    _clips: list[_Clip] = field(default_factory=list, init=False, repr=False)

    def start(
        self, humanoids: Sequence[Humanoid], references: Sequence[Reference], feeds: Sequence[FeedForward]
    ) -> None:
        """Prepare the references' centres of mass."""
        self._hip_stiffness = float(humanoids[0].servo_gains[0][0])
        self._clips = [_Clip(*parts) for parts in zip(humanoids, references, feeds, strict=True)]

    def torques(self, bodies: Bodies) -> np.ndarray:
        """Torques of the legs; see the module."""
        clips = [self._clips[row] for row in bodies.rows]
        frame = bodies.frame
        mass = np.array([clip.mass for clip in clips])[:, None]
        error = np.stack([clip.centre[frame] for clip in clips]) - bodies.centre
        slip = np.stack([clip.drift[frame] for clip in clips]) - bodies.drift
        wanted = np.stack([clip.carried[frame] for clip in clips])
        force = mass * (self.sway**2 * error + 2.0 * self.damping * self.sway * slip)
        facing = np.stack([clip.facing[frame] for clip in clips])
        turn = to_rotation_vector(multiply(facing, conjugate(bodies.orientations[:, 0])))
        spin = np.stack([clip.spin[frame] for clip in clips]) - rotate(
            bodies.orientations[:, 0], bodies.velocity[:, 3:6]
        )
        torque = 0.1 * mass * (self.turning**2 * turn + 2.0 * self.damping * self.turning * spin)
        points = self._soles(clips, bodies)
        # the carried wrench acts about the reference's pelvis; about the centre of mass here
        at = np.stack([clip.root[frame] - clip.centre[frame] for clip in clips])
        base = wanted[:, 3:] + cross(at, wanted[:, :3])
        down = points[..., 2] < _DOWN
        arms, cost = points - bodies.centre[:, None], np.where(down, 0.02, np.inf)
        cost[:, 8:] = np.inf  # toes are too weak to push
        forces = distribute(arms, cost, np.concatenate([wanted[:, :3] + force, base + torque], axis=1))
        planned = distribute(arms, cost, np.concatenate([wanted[:, :3], base], axis=1))
        result = self._through_legs(clips, bodies, points, forces - planned)
        if self.landing > 0:
            self._aim(bodies, error + slip / _FALLING, down, result)
        return result

    @staticmethod
    def _soles(clips: list[_Clip], bodies: Bodies) -> np.ndarray:
        local = np.stack([clip.sole_local for clip in clips])
        joint = clips[0].sole_joint
        points = bodies.positions[:, joint] + rotate(bodies.orientations[:, joint], local)
        points[..., 2] -= np.stack([clip.sole_radius for clip in clips])
        return points

    @staticmethod
    def _through_legs(clips: list[_Clip], bodies: Bodies, points: np.ndarray, forces: np.ndarray) -> np.ndarray:
        result = np.zeros((len(clips), 21, 3))
        for leg in LEGS:
            own = [*leg.heel, *leg.ball, *leg.toes]
            for joint in (leg.hip, leg.knee, leg.ankle):
                moment = cross(points[:, own] - bodies.positions[:, joint, None], forces[:, own]).sum(axis=1)
                result[:, joint - 1] = -rotate(conjugate(bodies.orientations[:, joint]), moment)
        return result

    def _aim(self, bodies: Bodies, capture: np.ndarray, down: np.ndarray, result: np.ndarray) -> None:
        """Turn the hips of feet in the air so that they land where the body falls to (`capture` is the way back)."""
        for leg in LEGS:
            swinging = ~np.any(down[:, [*leg.heel, *leg.ball]], axis=1)
            length = np.linalg.norm(bodies.positions[:, leg.ankle] - bodies.positions[:, leg.hip], axis=1)
            shift = -self.landing * np.clip(capture, -0.25, 0.25) * [1.0, 1.0, 0.0]
            # a turn w moves the foot, which hangs length below, by w x (0, 0, -length)
            turn = np.stack([shift[:, 1], -shift[:, 0], np.zeros(len(shift))], axis=1) / length[:, None]
            own = rotate(conjugate(bodies.orientations[:, leg.hip]), turn)
            result[:, leg.hip - 1] += np.where(swinging[:, None], self._hip_stiffness * own, 0.0)


class _Clip:
    """What balance needs of one clip's reference."""

    def __init__(self, humanoid: Humanoid, reference: Reference, feed: FeedForward) -> None:
        body, model = humanoid.body, humanoid.model
        surface = body.surface
        self.sole_joint = surface.joint[:SOLE_POINTS]
        self.sole_local, self.sole_radius = surface.local[:SOLE_POINTS], surface.radius[:SOLE_POINTS]
        positions, orientations = body.pose(reference.root, reference.rotations)
        masses = model.body_mass[humanoid.body_ids]
        centres = positions + rotate(orientations, model.body_ipos[humanoid.body_ids])
        self.mass = float(masses.sum())
        self.centre = np.einsum("j,tjk->tk", masses, centres) / self.mass
        self.drift = np.gradient(self.centre, 1.0 / reference.rate, axis=0)
        self.root, self.facing = reference.root, reference.rotations[:, 0]
        self.spin = rotate(reference.rotations[:, 0], reference.angular[:, 0])
        self.carried = feed.carried
