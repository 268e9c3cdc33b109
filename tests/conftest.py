"""Data that tests of more than one folder need."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from ouroloop.keys import Key
from ouroloop.samples import Samples

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
