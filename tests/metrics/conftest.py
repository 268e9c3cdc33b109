"""Small real data for the metrics' tests."""

from __future__ import annotations

import numpy as np
import pytest

from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def cloud(n: int, stream: str | int, dim: int = 2, shift: float = 0.0, scale: float = 1.0) -> Samples:
    """n rows of a Gaussian."""
    return Samples.of(Key(0, ("cloud", stream)).rng().standard_normal((n, dim)) * scale + shift)


@pytest.fixture(scope="session")
def make_cloud():
    return cloud


@pytest.fixture(scope="session")
def flat():
    """Gaussian rows in the plane, without labels."""
    return Reference(cloud(300, "train"), cloud(200, "held out"))


@pytest.fixture(scope="session")
def classifier():
    """Classifier features that are trained quickly, and once for all tests."""
    return {"kind": "classifier", "steps": 200}


@pytest.fixture(scope="session")
def digits():
    """scikit-learn's digits, 1,200 to train on and 300 held out, with labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x, label = (data.images / 16).astype(np.float32), data.target
    order = Key(0, ("digits",)).rng().permutation(len(x))
    train, held = order[:1200], order[1200:1500]
    return Reference(Samples.of(x[train], label=label[train]), Samples.of(x[held], label=label[held]))
