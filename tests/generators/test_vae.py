from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ouroloop.errors import DataError
from ouroloop.generators.vae import Vae
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

torch.set_num_threads(1)

TINY: dict[str, Any] = {"width": 8, "depth": 1, "latent": 2, "steps": 4, "batch_size": 16}


class TestVae(GeneratorSuite):
    conditional = True

    def make(self) -> Vae:
        return Vae(**TINY, ema=0.9)


class TestConvolutionalVae(GeneratorSuite):
    conditional = True

    def make(self) -> Vae:
        return Vae(**TINY, layers="convolution", noise=False)

    def data(self) -> Samples:
        return Samples.of(Key(0).rng().random((20, 2, 7, 10), np.float32), label=np.arange(20) % 3)


class TestVaeWithoutLabels(GeneratorSuite):
    def make(self) -> Vae:
        return Vae(**TINY, use_labels=False, scale_by="data")


def test_learns_a_correlated_gaussian() -> None:
    covariance = np.array([[9.0, 5.0], [5.0, 4.0]])
    x = Key(0).rng().multivariate_normal([10.0, -3.0], covariance, 4000)
    options = {"steps": 500, "batch_size": 256, "learning_rate": 5e-3, "width": 32, "latent": 2}
    drawn = Vae(**options).fit(Pool.of(Samples.of(x)), key=Key(0)).sample(4000, key=Key(1)).x
    np.testing.assert_allclose(drawn.mean(axis=0), [10.0, -3.0], atol=0.3)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, rtol=0.2)


def test_the_noise_level_is_learnt_and_can_be_left_out() -> None:
    """Rows with no structure are all noise: the best bound ignores the latent variables."""
    x = Key(0).rng().normal(0.0, 7.0, (2000, 3))
    options: dict[str, Any] = {"latent": 1, "width": 8, "depth": 1, "batch_size": 256}
    model = Vae(steps=300, learning_rate=1e-2, kl_weight=4.0, **options).fit(Pool.of(Samples.of(x)), key=Key(0))
    assert model.sample(2000, key=Key(0)).x.std() == pytest.approx(7.0, rel=0.1)
    silent = Vae(steps=1, learning_rate=1e-9, noise=False, **options)
    quiet = silent.fit(Pool.of(Samples.of(x)), key=Key(0), previous=model)
    assert quiet.sample(2000, key=Key(0)).x.std() < 1.0


def test_convolutions_need_images() -> None:
    with pytest.raises(DataError, match="use layers: mlp"):
        Vae(layers="convolution").fit(Pool.of(Samples.of(np.zeros((4, 3)))), key=Key(0))
