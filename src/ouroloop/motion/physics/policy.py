"""A trained policy in the loop: the contract, and how one is run.

A policy is a TorchScript file (``policy.pt``) or an ONNX file (``policy.onnx``, one input and one output) that maps an
observation float32 (1, 461) to an action float32 (1, 63). It is asked 120 times a second of simulated time, for one
body at a time, so that no clip's result depends on its neighbours.

Observation, everything in the heading frame of the body (x forward, y left, z up, turned about the vertical with the
pelvis):

====================  =======  =====================================================================
part                  numbers  meaning
====================  =======  =====================================================================
height                1        of the pelvis over the floor, m
positions             63       joints 1..21 from the pelvis, m
velocity              6        of the pelvis, m/s, and its angular velocity, rad/s
joint velocities      63       21 angular velocities, each in the child joint's frame, rad/s
next positions        66       where the 22 joints should be in 1/60 s, from the pelvis, m
later positions       66       the same, in 1/4 s
next rotations        126      21 local rotations of the reference in 1/60 s, first two matrix columns
next velocities       63       21 angular velocities of the reference in 1/60 s, rad/s
next root             7        pelvis velocity (3) and angular velocity (3) of the reference, and its height
====================  =======  =====================================================================

Action: 21 rotation vectors (rad) in the joints' own frames by which the servos' set points are turned away from the
reference (which already carries its feed-forward); zeros track the reference. They are cut to half a radian.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ouroloop.errors import DataError, MissingExtraError, PartError
from ouroloop.motion.physics.humanoid import Humanoid
from ouroloop.motion.physics.inverse_dynamics import FeedForward
from ouroloop.motion.physics.resampling import Reference
from ouroloop.motion.physics.stepped import Bodies
from ouroloop.motion.rotations import conjugate, rotate, to_6d

__all__ = ["ACTION", "OBSERVATION", "Policy", "load_policy"]

OBSERVATION, ACTION = 461, 63
_CONTRACT = f"A policy takes one observation float32 (1, {OBSERVATION}) and answers with one action (1, {ACTION})"
_LARGEST = 0.5  # rad
_NEXT, _LATER = 1.0 / 60.0, 0.25  # s

Network = Callable[[np.ndarray], np.ndarray]


def load_policy(path: str | Path) -> Network:
    """The network in a file, as a function of float32 (1, 461) with values (1, 63); read again only if it changed.

    Raises:
        DataError: no such file, another kind of file, or one that cannot be read.
        PartError: a network that does not take such an observation, or answers otherwise; later, when it is run, also
            NaN in an action.
        MissingExtraError: an ONNX file, and onnxruntime is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"policy: there is no file {path}; give the path of a TorchScript or ONNX file")
    about = path.stat()
    return _loaded(path.absolute(), about.st_mtime_ns, about.st_size)


@lru_cache(maxsize=2)  # fit, and every group of motions that is corrected, ask for the same one
def _loaded(path: Path, changed: int, size: int) -> Network:
    """The network of a file as it was when last changed (ns) with so many bytes."""
    if path.suffix == ".onnx":
        return _checked(path.name, _onnx(path))
    if path.suffix in (".pt", ".pth", ".ts", ".jit"):
        return _checked(path.name, _torchscript(path))
    raise DataError(f"policy: got {path.name}; expected TorchScript (.pt, .pth, .ts, .jit) or ONNX (.onnx)")


def _checked(name: str, network: Network) -> Network:
    """The network with its answers checked; it is tried once here, before anything is simulated."""

    def shaped(observation: np.ndarray) -> np.ndarray:
        try:
            action = np.asarray(network(observation))
        except Exception as error:  # the two runtimes' errors have no class in common
            raise PartError(f"policy: {name} could not be run: {_first_line(error)}. {_CONTRACT}") from error
        if action.shape != (1, ACTION):
            raise PartError(f"policy: {name} answered with an action of shape {action.shape}. {_CONTRACT}")
        return action

    def run(observation: np.ndarray) -> np.ndarray:
        action = shaped(observation)
        if not np.isfinite(action).all():
            raise PartError(
                f"policy: {name} answered with NaN or infinity. It may have been trained on observations of another "
                "order or scale: compare them with ouroloop.motion.physics.policy"
            )
        return action

    shaped(np.zeros((1, OBSERVATION), np.float32))
    return run


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # TorchScript prints a traceback, whose last line says what was wrong
    return (lines[-1] if lines and "Traceback" in str(error) else " ".join(lines[:2])).rstrip(".")


def _torchscript(path: Path) -> Network:
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # newer releases prefer torch.export, whose files differ
        try:
            module = torch.jit.load(str(path), map_location="cpu").eval()
        except RuntimeError as error:
            raise DataError(
                f"policy: {path.name} is not a TorchScript file: {_first_line(error)}; write it with "
                "torch.jit.trace(network, observation).save(path)"
            ) from error

    def run(observation: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(observation)).numpy()

    return run


def _onnx(path: Path) -> Network:
    try:
        import onnxruntime  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("a policy in an ONNX file", "onnxruntime", "policy") from error
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no class in common
        raise DataError(
            f"policy: {path.name} is not an ONNX file that onnxruntime {onnxruntime.__version__} can read: "
            f"{_first_line(error)}; export the network again, with torch.onnx.export for instance"
        ) from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise DataError(
            f"policy: {path.name} has {len(inputs)} inputs and {len(outputs)} outputs; export the observation and the "
            "action alone, one of each"
        )
    name = inputs[0].name

    def run(observation: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {name: observation})[0])

    return run


@dataclass(eq=False)
class Policy:
    """A network as the controller of `stepped.track_stepped`.

    Args:
        network: see `load_policy`.
    """

    network: Network
    _references: list[_Seen] = field(default_factory=list, init=False, repr=False)
    _stiffness: np.ndarray = field(default_factory=lambda: np.zeros((21, 1)), init=False, repr=False)

    def start(
        self, humanoids: Sequence[Humanoid], references: Sequence[Reference], feeds: Sequence[FeedForward]
    ) -> None:
        """Prepare for these clips."""
        self._references = [_Seen(*pair) for pair in zip(humanoids, references, strict=True)]
        self._stiffness = humanoids[0].servo_gains[0][:, None]

    def torques(self, bodies: Bodies) -> np.ndarray:
        """The actions as torques of the servos."""
        actions = np.empty((len(bodies.rows), 21, 3))
        for place, row in enumerate(bodies.rows):
            actions[place] = self.network(self._references[row].observation(bodies, place)).reshape(21, 3)
        length = np.linalg.norm(actions, axis=-1, keepdims=True)
        return self._stiffness * actions * np.minimum(1.0, _LARGEST / np.maximum(length, 1e-9))


class _Seen:
    """What a policy sees of one clip."""

    def __init__(self, humanoid: Humanoid, reference: Reference) -> None:
        self.reference = reference
        self.positions, self.orientations = humanoid.body.pose(reference.root, reference.rotations)
        self.velocities = humanoid.joint_velocities

    def observation(self, bodies: Bodies, place: int) -> np.ndarray:
        """float32 (1, 461); see the module."""
        reference, last = self.reference, len(self.reference) - 1
        soon = min(bodies.frame + round(_NEXT * reference.rate), last)
        later = min(bodies.frame + round(_LATER * reference.rate), last)
        pelvis, facing = bodies.positions[place, 0], bodies.orientations[place, 0]
        forward = rotate(facing, np.array([1.0, 0.0, 0.0]))
        half = 0.5 * np.arctan2(forward[1], forward[0])
        home = conjugate(np.array([np.cos(half), 0.0, 0.0, np.sin(half)]))
        speed = bodies.velocity[place]
        parts = [
            pelvis[2:],
            rotate(home, bodies.positions[place, 1:] - pelvis),
            rotate(home, speed[:3]),
            rotate(home, rotate(facing, speed[3:6])),
            speed[self.velocities],
            rotate(home, self.positions[soon] - pelvis),
            rotate(home, self.positions[later] - pelvis),
            to_6d(reference.rotations[soon, 1:]),
            reference.angular[soon, 1:],
            rotate(home, reference.velocity[soon]),
            rotate(home, rotate(reference.rotations[soon, 0], reference.angular[soon, 0])),
            self.positions[soon, 0, 2:],
        ]
        return np.concatenate([part.ravel() for part in parts]).astype(np.float32)[None]
