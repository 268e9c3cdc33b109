"""Data that tests of more than one folder need."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from hypothesis import settings

from ouroloop.keys import Key
from ouroloop.motion.humanml3d import encode
from ouroloop.motion.rotations import from_rotation_vector
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton
from ouroloop.samples import Samples

# A test run fails or passes for what was changed, not for what was drawn. OUROLOOP_EXPLORE=1 draws new examples.
settings.register_profile("same", derandomize=True)
settings.load_profile("default" if os.environ.get("OUROLOOP_EXPLORE") else "same")

_DEEDS = [
    f"{verb} the {side} {limb} {how}"
    for (verb, limb), side, how in itertools.product(
        [("waves", "hand"), ("lifts", "foot"), ("bends", "knee")], ["left", "right"], ["slowly", "quickly", "calmly"]
    )
]


def waves(n: int, stream: str | int, frames: int = 24) -> Samples:
    """n captioned sequences of 7 numbers a frame: which one swings, how fast and how far is what the caption says."""
    rng = Key(0, ("waves", stream)).rng()
    deed = rng.permutation(np.arange(n) % len(_DEEDS))
    length = rng.integers(frames // 2, frames + 1, n)
    limb, how = deed // 3, deed % 3
    time = np.arange(frames) + rng.uniform(0, 20, n)[:, None]
    swing = np.array([0.3, 1.2, 0.3])[how, None] * time
    x = 0.05 * rng.standard_normal((n, frames, 7))
    x[..., 6] += 1.0
    x[np.arange(n), :, limb] += np.array([1.0, 1.0, 0.4])[how, None] * np.sin(swing)
    x *= (np.arange(frames) < length[:, None])[:, :, None]
    subject = np.array(["a person ", "someone "])[rng.integers(2, size=n)]
    caption = np.char.add(subject, np.array(_DEEDS)[deed])
    return Samples.of(x.astype(np.float32), length=length.astype(np.int32), caption=caption)


@pytest.fixture(scope="session")
def make_waves():
    return waves


_BODY = np.zeros((22, 3))
for _joint, _offset in {
    1: (0.09, -0.08, 0), 2: (-0.09, -0.08, 0), 3: (0, 0.12, 0), 4: (0, -0.4, 0), 5: (0, -0.4, 0), 6: (0, 0.13, 0),
    7: (0, -0.41, 0), 8: (0, -0.41, 0), 9: (0, 0.06, 0), 10: (0, -0.06, 0.13), 11: (0, -0.06, 0.13),
    12: (0, 0.21, 0), 13: (0.07, 0.11, 0), 14: (-0.07, 0.11, 0), 15: (0, 0.12, 0.03), 16: (0.11, 0, 0),
    17: (-0.11, 0, 0), 18: (0.26, 0, 0), 19: (-0.26, 0, 0), 20: (0.25, 0, 0), 21: (-0.25, 0, 0),
}.items():  # fmt: skip
    _BODY[_joint] = _offset
_PELVIS = 0.08 + 0.4 + 0.41 + 0.06  # its height over the foot joints


def bodies(n: int, stream: str | int, frames: int = 30, height: float = 0.0, glide: float = 0.0) -> Samples:
    """n captioned bodies of 22 joints that swing one arm, as HumanML3D features.

    Args:
        height: m, of the foot joints above the floor. glide: m/s, along z, with feet that do not step.
    """
    rng = Key(0, ("bodies", stream)).rng()
    skeleton = Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, _BODY)
    side, length = rng.integers(2, size=n), rng.integers(frames // 2, frames + 1, n)
    seconds = np.arange(frames + 1) / 20
    root = np.zeros((n, frames + 1, 3))
    root[..., 1] = _PELVIS + height
    root[..., 2] = glide * seconds
    angles = np.zeros((n, frames + 1, 22, 3))
    swing = rng.uniform(0.2, 0.6, (n, 1)) * np.sin(rng.uniform(2, 5, (n, 1)) * seconds)
    angles[np.arange(n), :, 16 + side, 2] = swing
    positions = skeleton.forward(root, from_rotation_vector(angles))
    x = encode(positions, length + 1)
    caption = np.array(["a person swings the left arm", "a person swings the right arm"])[side]
    return Samples.of(x, length=length.astype(np.int32), caption=caption)


@pytest.fixture(scope="session")
def make_bodies():
    return bodies
