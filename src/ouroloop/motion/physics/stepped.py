"""The simulation with something in the loop: a controller that sees the bodies and adds torques, many clips at once.

`tracking` knows all set points beforehand and never leaves the simulator; here it is left 120 times a second, for
`balance` and for plugged-in policies (`policy`). It is slower, and otherwise the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ouroloop.motion.physics.engine import load_mujoco
from ouroloop.motion.physics.humanoid import Humanoid
from ouroloop.motion.physics.inverse_dynamics import FeedForward
from ouroloop.motion.physics.resampling import Reference
from ouroloop.motion.physics.tracking import Tracked, bounded, set_points, tracked
from ouroloop.motion.rotations import cross, from_rotation_vector, multiply

__all__ = ["Bodies", "Controller", "track_stepped"]

_EVERY = 2  # simulator steps a decision


@dataclass(frozen=True, eq=False)
class Bodies:
    """What a controller sees of n bodies, in the simulator's axes.

    Args:
        rows: int (n,), which clips they belong to. frame: of their references.
        positions: (n, 22, 3) m. orientations: (n, 22, 4) global.
        centre, drift: (n, 3) m and m/s, of mass.
        velocity: (n, 69), MuJoCo's qvel: root velocity (world) and angular velocity (own), then 21 angular velocities.
    """

    rows: np.ndarray
    frame: int
    positions: np.ndarray
    orientations: np.ndarray
    centre: np.ndarray
    drift: np.ndarray
    velocity: np.ndarray


class Controller(Protocol):
    """Torques on top of the servos."""

    def start(
        self, humanoids: Sequence[Humanoid], references: Sequence[Reference], feeds: Sequence[FeedForward]
    ) -> None:
        """Prepare for these clips."""
        ...

    def torques(self, bodies: Bodies) -> np.ndarray:
        """(n, 21, 3) N m in the child joint's frame, for the clips `bodies.rows`."""
        ...


class _View:
    """A batch's fields as `Bodies`."""

    def __init__(self, batch: Any, humanoids: Sequence[Humanoid]) -> None:
        self.fields = {name: batch.bind(name) for name in ("xpos", "xquat", "xipos", "cvel", "subtree_com", "qvel")}
        self.ids = humanoids[0].body_ids
        self.masses = np.stack([humanoid.model.body_mass for humanoid in humanoids])

    def look(self, rows: np.ndarray, frame: int) -> Bodies:
        seen = {name: field[rows] for name, field in self.fields.items()}
        masses = self.masses[rows][..., None]
        tree = seen["subtree_com"][:, 1:2]
        linear = seen["cvel"][..., 3:] + cross(seen["cvel"][..., :3], seen["xipos"] - tree)
        drift = (masses * linear)[:, 1:].sum(axis=1) / masses.sum(axis=1)
        return Bodies(
            rows, frame, seen["xpos"][:, self.ids], seen["xquat"][:, self.ids], tree[:, 0], drift, seen["qvel"]
        )


def track_stepped(
    humanoids: Sequence[Humanoid],
    references: Sequence[Reference],
    feeds: Sequence[FeedForward],
    controller: Controller,
) -> list[Tracked]:
    """As `tracking.track`, with a controller in the loop."""
    mujoco = load_mujoco()
    lengths = np.array([len(reference) for reference in references])
    batch = mujoco.batch.Batch(humanoids[0].model, len(humanoids), 1)
    batch.set_models([humanoid.model for humanoid in humanoids])
    batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE.value)
    qpos, qvel, ctrl, force = (batch.bind(name) for name in ("qpos", "qvel", "ctrl", "actuator_force"))
    states, forces, controls = [], [], []
    for row, (humanoid, reference, feed) in enumerate(zip(humanoids, references, feeds, strict=True)):
        qpos[row] = humanoid.state(reference.root[0], reference.rotations[0])
        qvel[row] = humanoid.velocity(reference.velocity[0], reference.angular[0])
        states.append(np.repeat(qpos[row][None], lengths[row], axis=0))
        forces.append(np.zeros((lengths[row], force.shape[1])))
        controls.append(set_points(humanoid, reference, feed))
    controller.start(humanoids, references, feeds)
    view, stiffness = _View(batch, humanoids), humanoids[0].servo_gains[0][:, None]
    stage = mujoco.mjtStage.mjSTAGE_VEL.value
    batch.forward(stage=stage)
    done = 1
    while done < lengths.max():
        rows = np.flatnonzero(lengths > done)
        steps = int(min(_EVERY, (lengths[rows] - done).min()))
        extra = bounded(controller.torques(view.look(rows, done)) / stiffness)
        wanted = np.stack([controls[row][done] for row in rows])
        joints = multiply(wanted[:, :84].reshape(-1, 21, 4), from_rotation_vector(extra))
        ctrl[rows] = np.concatenate([joints.reshape(len(rows), 84), wanted[:, 84:]], axis=1)
        batch.step(ids=rows, nstep=steps, stage=stage)
        for row in rows:
            states[row][done : done + steps] = qpos[row]
            forces[row][done : done + steps] = force[row]
        done += steps
    diverged = batch.warning[..., 1].sum(axis=1) > 0
    return [
        tracked(humanoid, state, push, bool(gone))
        for humanoid, state, push, gone in zip(humanoids, states, forces, diverged, strict=True)
    ]
