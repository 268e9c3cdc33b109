from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ouroloop.errors import DataError
from ouroloop.generators.flow import Flow
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

torch.set_num_threads(1)

TINY: dict[str, Any] = {"width": 8, "depth": 1, "layers": 2, "bins": 4, "steps": 4, "batch_size": 16}


class TestSplineFlow(GeneratorSuite):
    conditional = True

    def make(self) -> Flow:
        return Flow(**TINY, ema=0.9)


class TestAffineFlow(GeneratorSuite):
    def make(self) -> Flow:
        return Flow(**TINY, transform="affine", coupling=True, use_labels=False)


class TestSmoothFlow(GeneratorSuite):
    def make(self) -> Flow:
        return Flow(**TINY, activation="tanh", use_labels=False)


@pytest.mark.parametrize("transform", ["spline", "affine"])
@pytest.mark.parametrize("activation", ["silu", "tanh"])
def test_smooth_activations_leave_no_kinks(transform: Any, activation: Any) -> None:
    flow = Flow(**TINY, transform=transform, activation=activation).fit(pool(100), key=Key(0))
    used = {type(module).__name__ for module in flow.trained.network.modules()}
    assert {"silu": "SiLU", "tanh": "Tanh"}[activation] in used
    assert "ReLU" not in used


def pool(n: int = 3000) -> Pool:
    label = np.arange(n) % 2
    x = Key(0).rng().standard_normal((n, 2)) * [5.0, 0.01] + np.where(label, 20.0, -20.0)[:, None] * [1.0, 0.0]
    return Pool.of(Samples.of(x, label=label))


@pytest.fixture(scope="module")
def fitted() -> Flow:
    options = {"width": 32, "layers": 2, "steps": 200, "learning_rate": 5e-3, "batch_size": 256}
    return Flow(**options).fit(pool(), key=Key(0))


def test_log_density_is_close_to_the_truth(fitted: Flow) -> None:
    data = pool(1000).materialise()
    centre = np.where(data.label, 20.0, -20.0)
    z = (data.x - np.stack([centre, np.zeros(1000)], axis=1)) / [5.0, 0.01]
    truth = -0.5 * (z**2).sum(axis=1) - np.log(2 * np.pi * 5.0 * 0.01)
    found = fitted.log_density(data.x, data.label)
    assert found.shape == (1000,)
    assert np.mean(truth - found) == pytest.approx(0.0, abs=0.1)  # the mean gap is the Kullback-Leibler divergence


def test_density_integrates_to_one(fitted: Flow) -> None:
    x, y = np.linspace(-70, 110, 600), np.linspace(-0.1, 0.1, 150)
    grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    mass = np.exp(fitted.log_density(grid, np.ones(len(grid), np.int64))).sum() * (x[1] - x[0]) * (y[1] - y[0])
    assert mass == pytest.approx(1.0, abs=0.02)


def test_samples_have_the_classes_moments(fitted: Flow) -> None:
    drawn = fitted.sample(4000, key=Key(1), condition={"label": np.arange(4000) % 2})
    for label, centre in [(0, -20.0), (1, 20.0)]:
        mine = drawn.x[drawn.label == label]
        np.testing.assert_array_less(np.abs(mine.mean(axis=0) - [centre, 0]), [2.0, 0.004])
        np.testing.assert_allclose(mine.std(axis=0), [5.0, 0.01], rtol=0.3)


def test_density_of_other_rows_or_without_labels_is_refused(fitted: Flow) -> None:
    with pytest.raises(DataError, match="rows of shape"):
        fitted.log_density(np.zeros((3, 5)), np.zeros(3))
    with pytest.raises(DataError, match="pass label="):
        fitted.log_density(np.zeros((3, 2)))
    assert fitted.log_density(np.zeros((0, 2)), np.zeros(0, np.int64)).shape == (0,)
