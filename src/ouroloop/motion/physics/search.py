r"""Search: bodies that fall when their servos only follow the reference are kept up by offsets found by sampling.

A tenth of a second at a time, sixty-four copies of the body go on from the best states so far, each with its own small
random turns of the legs' and the trunk's set points. Those that will soon be near the reference are kept, and the last
one standing nearest tells the whole path. Further passes sample more narrowly around the best path so far.

The same servos, torque limits and residual bounds hold as without search. It costs about sixty-four times a simulation
a pass, and needs no training.

Source: Liu et al., Sampling-based contact-rich motion control (2010), for windows, sampling and selection; Liu et al.,
Improving sampling-based motion control (2015), for passes around the path found before. The cost is our own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroloop.keys import Key
from ouroloop.motion.physics.engine import load_mujoco
from ouroloop.motion.physics.humanoid import Humanoid
from ouroloop.motion.physics.inverse_dynamics import FeedForward
from ouroloop.motion.physics.resampling import Reference
from ouroloop.motion.physics.tracking import Tracked, set_points, tracked
from ouroloop.motion.rotations import from_rotation_vector, multiply, rotate

__all__ = ["search"]

_BODIES, _KEPT = 64, 12
_WINDOW = 0.1  # s
_SPREAD = {1: 0.15, 2: 0.15, 3: 0.15, 4: 0.1, 5: 0.1, 6: 0.1, 7: 0.15, 8: 0.15, 9: 0.1}  # rad; hips to ankles, trunk
_JOINTS = np.array(list(_SPREAD))
_NARROWER = 0.5  # the spread of a pass, relative to the one before
_AHEAD = 0.2  # s: errors are those to be expected that much later
_FALLING = 0.3  # s: a standing body falls over in about this time, so its centre is judged that much later
_CENTRE = 2.0  # weight of the centre of mass against the mean joint
_PAST = 0.7  # weight of a body's past cost, a window
_EFFORT = 1e-4  # m^2 / rad^2
_LOST = 1e9  # m^2


@dataclass(frozen=True, eq=False)
class _Path:
    """A stretch of simulation and, by `before`, all that led to it; forgotten branches are freed."""

    states: np.ndarray
    forces: np.ndarray
    offsets: np.ndarray
    before: _Path | None

    def unrolled(self) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """States (T, 91), actuator forces (T, 69) and the offsets (9, 3) of each window."""
        states, forces, offsets = [], [], []
        path: _Path | None = self
        while path is not None:
            states.append(path.states)
            forces.append(path.forces)
            offsets.append(path.offsets)
            path = path.before
        return np.concatenate(states[::-1]), np.concatenate(forces[::-1]), offsets[-2::-1]


@dataclass(frozen=True, eq=False)
class _Kept:
    """Bodies to go on from, best first.

    Args:
        cost: (k,) m^2. position: (k, 91). velocity: (k, 69). warm: (k, 69), the solver's. paths: how they came here.
    """

    cost: np.ndarray
    position: np.ndarray
    velocity: np.ndarray
    warm: np.ndarray
    paths: list[_Path]


def search(humanoid: Humanoid, reference: Reference, feed: FeedForward, passes: int) -> Tracked:
    """Simulate one clip with set points found by sampling; the same clip gives the same result.

    Args:
        humanoid, reference, feed: as for `tracking.track`. passes: how often the whole clip is searched.
    """
    seeker = _Seeker(humanoid, reference, feed)
    least, best = np.inf, None
    for number in range(passes):
        around = best[2] if best is not None else None
        found = seeker.run(Key(0).child("search").child(str(number)), _NARROWER**number, around)
        error = seeker.error(found[0])
        if best is None or error < least:
            least, best = error, found
    assert best is not None
    return tracked(humanoid, best[0], best[1], diverged=not np.isfinite(least))


class _Seeker:
    """What all passes over a clip share."""

    def __init__(self, humanoid: Humanoid, reference: Reference, feed: FeedForward) -> None:
        self.humanoid, self.reference = humanoid, reference
        self.controls = set_points(humanoid, reference, feed)
        self.masses = humanoid.model.body_mass[humanoid.body_ids]
        self.middles = humanoid.model.body_ipos[humanoid.body_ids]
        self.joints, self.centre = self._look(humanoid.state(reference.root, reference.rotations))
        mujoco = load_mujoco()
        self.batch: Any = mujoco.batch.Batch(humanoid.model, _BODIES, 1)
        self.control = mujoco.mjtState.mjSTATE_CTRL.value
        self.nothing = mujoco.mjtStage.mjSTAGE_NONE.value

    def error(self, states: np.ndarray) -> float:
        """Mean joint distance in m; infinite where the simulation gave up."""
        with np.errstate(all="ignore"):
            error = float(np.linalg.norm(self._look(states)[0] - self.joints, axis=-1).mean())
        return error if np.isfinite(error) else np.inf

    def run(
        self, key: Key, spread: float, around: list[np.ndarray] | None
    ) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """One pass: states (T, 91), actuator forces (T, 69) and offsets (9, 3) a window.

        Args:
            spread: of the offsets, relative to `_SPREAD`. around: the offsets to sample around.
        """
        rng = key.rng()
        self.batch.reset(stage=self.nothing)
        kept, done, window = self._start(), 1, 0
        steps = max(1, round(_WINDOW * self.reference.rate))
        while done < len(self.reference):
            count = min(steps, len(self.reference) - done)
            parents = np.arange(_BODIES) % len(kept.cost)
            offsets = rng.standard_normal((_BODIES, len(_JOINTS), 3))
            offsets *= spread * np.array(list(_SPREAD.values()))[:, None]
            if around is None:
                self._carry_on(offsets, kept, parents, rng)
                offsets[: len(kept.cost)] = 0.0
            else:
                offsets += around[window]
                offsets[: len(kept.cost)] = around[window]
                offsets[len(kept.cost) : 2 * len(kept.cost)] = 0.0
            kept = self._advance(kept, parents, offsets, done, count)
            done, window = done + count, window + 1
        return kept.paths[0].unrolled()

    def _start(self) -> _Kept:
        humanoid, reference = self.humanoid, self.reference
        position = humanoid.state(reference.root[:1], reference.rotations[:1])
        velocity = humanoid.velocity(reference.velocity[:1], reference.angular[:1])
        still = np.zeros((len(_JOINTS), 3))
        forces = np.zeros((1, self.batch.bind("actuator_force").shape[1]))
        return _Kept(np.zeros(1), position, velocity, np.zeros_like(velocity), [_Path(position, forces, still, None)])

    @staticmethod
    def _carry_on(offsets: np.ndarray, kept: _Kept, parents: np.ndarray, rng: np.random.Generator) -> None:
        """Half of the bodies vary what their parents did last, rather than the reference."""
        last = np.stack([path.offsets for path in kept.paths])[parents]
        varied = rng.random(len(offsets)) < 0.5
        offsets[varied] = 0.7 * last[varied] + 0.6 * offsets[varied]

    def _advance(self, kept: _Kept, parents: np.ndarray, offsets: np.ndarray, done: int, count: int) -> _Kept:
        """All bodies through one window, and the best of them."""
        position, velocity, warm = (self.batch.bind(name) for name in ("qpos", "qvel", "qacc_warmstart"))
        position[:], velocity[:], warm[:] = kept.position[parents], kept.velocity[parents], kept.warm[parents]
        self.batch.warning[:] = 0
        record = self.batch.rollout(
            count,
            self._turned(done, count, offsets),
            control_spec=self.control,
            record=("qpos", "actuator_force"),
            ids=np.arange(_BODIES),
        )
        states, forces = record["qpos"], record["actuator_force"]
        states[self.batch.warning[..., 1].any(axis=1)] = np.nan  # the engine put them back to where the model begins
        cost = self._cost(states, done) + _EFFORT * (offsets**2).sum(axis=(1, 2))
        total = _PAST * kept.cost[parents] + np.where(np.isfinite(cost), cost, _LOST)
        best = np.argsort(total, kind="stable")[:_KEPT]
        paths = [_Path(states[i].copy(), forces[i].copy(), offsets[i], kept.paths[parents[i]]) for i in best]
        return _Kept(total[best], position[best], velocity[best], warm[best], paths)

    def _turned(self, done: int, count: int, offsets: np.ndarray) -> np.ndarray:
        """Controls (bodies, count, 91) with the offsets turned in."""
        controls = np.repeat(self.controls[None, done : done + count], _BODIES, axis=0)
        joints = controls[..., : 4 * 21].reshape(_BODIES, count, 21, 4)
        turns = np.repeat(from_rotation_vector(offsets)[:, None], count, axis=1)
        joints[:, :, _JOINTS - 1] = multiply(joints[:, :, _JOINTS - 1], turns)
        controls[..., : 4 * 21] = joints.reshape(_BODIES, count, -1)
        return controls

    def _cost(self, states: np.ndarray, done: int) -> np.ndarray:
        """Squared errors (bodies,) in m^2, of joints and of the centre of mass, as they will be a little later."""
        count = states.shape[1]
        back = min(4, count - 1)
        looked = np.array([count - 1 - back, count - 1])
        with np.errstate(all="ignore"):
            joints, centre = self._look(states[:, looked])
            far = joints - self.joints[done + looked]
            off = centre - self.centre[done + looked]
            per_second = self.reference.rate / back if back else 0.0
            coming = far[:, 1] + _AHEAD * per_second * (far[:, 1] - far[:, 0])
            falling = off[:, 1] + _FALLING * per_second * (off[:, 1] - off[:, 0])
            return (coming**2).sum(axis=-1).mean(axis=-1) + _CENTRE * (falling**2).sum(axis=-1)

    def _look(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Joint positions (..., 22, 3) and centres of mass (..., 3) of qpos (..., 91)."""
        positions, orientations = self.humanoid.body.pose(*self.humanoid.pose(states))
        centres = positions + rotate(orientations, self.middles)
        return positions, np.einsum("j,...jk->...k", self.masses, centres) / self.masses.sum()
