from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ouroloop.errors import DataError
from ouroloop.generators.diffusion_process.unet import UNet
from ouroloop.generators.image_diffusion import ImageDiffusion
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

torch.set_num_threads(1)

TINY: dict[str, Any] = {"patch": 2, "widths": (4,), "blocks": (1,), "sampling_steps": 2, "batch_size": 8}


def stripes(n: int, *, dtype: Any = np.float32, high: float = 1.0) -> Samples:
    """Images of 8x8 with one bright row (label 0) or column (label 1), at a random place."""
    rng, label = Key(5).rng(), np.arange(n) % 2
    x = np.zeros((n, 8, 8))
    x[np.arange(n), rng.integers(8, size=n)] = high
    x = np.where(label[:, None, None] == 1, x.transpose(0, 2, 1), x)
    return Samples.of(x.astype(dtype), label=label)


class TestSmallImages(GeneratorSuite):
    conditional = True

    def make(self) -> ImageDiffusion:
        return ImageDiffusion(steps=4, guidance_strength=0.5, ema=0.9, dropout=0.1, **TINY)

    def data(self) -> Samples:
        return stripes(24)


class TestBytes(GeneratorSuite):
    conditional = True

    def make(self) -> ImageDiffusion:
        options = {**TINY, "widths": (4, 6), "blocks": (1, 1), "objective": "flow_matching"}
        return ImageDiffusion(steps=3, **options)

    def data(self) -> Samples:
        x = Key(0).rng().integers(0, 256, (16, 3, 18, 17), dtype=np.uint8)  # colours, sides that patches do not divide
        return Samples.of(x, label=np.arange(16) % 3)


@pytest.fixture(scope="module")
def fitted() -> ImageDiffusion:
    template = ImageDiffusion(
        patch=2,
        widths=(16,),
        blocks=(2,),
        steps=300,
        batch_size=32,
        learning_rate=4e-3,
        ema=0.98,
        guidance_strength=0.5,
    )
    return template.fit(Pool.of(stripes(512, dtype=np.uint8, high=200)), key=Key(0))


def test_images_are_in_the_datas_range_and_of_their_class(fitted: ImageDiffusion) -> None:
    drawn = fitted.sample(400, key=Key(1), condition={"label": np.arange(400) % 2})
    assert drawn.x.dtype == np.float32
    assert drawn.x.min() == 0
    assert drawn.x.max() == 200
    assert drawn.x.mean() == pytest.approx(200 / 8, rel=0.3)
    rows, columns = drawn.x.mean(axis=2).max(axis=1), drawn.x.mean(axis=1).max(axis=1)
    assert np.mean((columns > rows) == (drawn.label == 1)) > 0.9  # one bright row has mean 200, a column crossing it 25


def test_every_place_is_drawn(fitted: ImageDiffusion) -> None:
    drawn = fitted.sample(400, key=Key(2), condition={"label": np.zeros(400, np.int64)})
    places = np.bincount(drawn.x.mean(axis=2).argmax(axis=1), minlength=8)
    assert places.min() > 400 / 8 / 3


def test_without_clipping_values_leave_the_range(fitted: ImageDiffusion) -> None:
    options = {"patch": 2, "widths": (16,), "blocks": (2,), "steps": 1, "learning_rate": 1e-9}
    model = ImageDiffusion(clip=False, **options).fit(Pool.of(stripes(64)), key=Key(0), previous=fitted)
    assert model.sample(50, key=Key(0)).x.min() < 0


def test_the_network_starts_by_saying_nothing_and_keeps_shapes() -> None:
    for shape, patch, widths in [((28, 28), 4, (8,)), ((3, 9, 10), 2, (4, 8)), ((8, 8), 1, (4, 4, 4))]:
        network = UNet(shape, patch=patch, widths=widths, blocks=(1,) * len(widths), n_classes=3)
        x = torch.ones(2, *shape)
        assert torch.equal(network(x, torch.zeros(1), torch.tensor([0, 2])), torch.zeros_like(x))


def test_rows_that_are_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="use generator 'diffusion'"):
        ImageDiffusion().fit(Pool.of(Samples.of(np.zeros((4, 3)))), key=Key(0))
    with pytest.raises(DataError, match="one entry a resolution"):
        ImageDiffusion(widths=(4, 8), blocks=(1,)).fit(Pool.of(stripes(4)), key=Key(0))
