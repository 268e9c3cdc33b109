from __future__ import annotations

import numpy as np
import pytest
import torch

from ouroloop.errors import SpecError
from ouroloop.generators.diffusion import Diffusion
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

torch.set_num_threads(1)


class TestDiffusion(GeneratorSuite):
    conditional = True

    def make(self) -> Diffusion:
        return Diffusion(steps=6, batch_size=32, width=8, depth=1, sampling_steps=3, ema=0.9, guidance_strength=1.0)


class TestFlowMatching(GeneratorSuite):
    def make(self) -> Diffusion:
        options = {"objective": "flow_matching", "solver": "heun", "use_labels": False, "dropout": 0.1}
        return Diffusion(steps=6, batch_size=32, width=8, depth=1, sampling_steps=3, **options)


class TestImages(GeneratorSuite):
    conditional = True

    def make(self) -> Diffusion:
        return Diffusion(steps=4, batch_size=32, width=8, depth=1, sampling_steps=3, scale_by="data")

    def data(self) -> Samples:
        x = Key(0).rng().integers(0, 17, (40, 4, 4)).astype(np.float32)
        x[:, 0, 0] = 0  # a pixel that never varies
        return Samples.of(x, label=np.arange(40) % 3)


def test_a_model_that_ignores_labels_goes_on_without_them() -> None:
    x = Key(0).rng().standard_normal((40, 2))
    model = Diffusion(steps=2, width=4, depth=1, use_labels=False)
    fitted = model.fit(Pool.of(Samples.of(x, label=np.arange(40) % 3)), key=Key(0))
    tuned = model.fit(Pool.of(fitted.sample(40, key=Key(1))), key=Key(2), previous=fitted)
    assert tuned.sample(3, key=Key(3)).data_columns == ("x",)


@pytest.mark.parametrize("by", ["feature", "data", "image"])
def test_scales_bring_rows_to_unit_variance(by: str) -> None:
    x = Key(0).rng().standard_normal((500, 3)) * [1.0, 10.0, 0.0] + [5.0, 0.0, -7.0]
    options = {"steps": 1, "width": 4, "depth": 1, "scale_by": by}
    model = Diffusion(**options).fit(Pool.of(Samples.of(x)), key=Key(0))
    z = model.standardise(torch.tensor(x)).double()
    np.testing.assert_allclose(model.restore(z), x, atol=1e-5)
    centred = {"feature": [0, 0, 0], "data": [0, 0, 0], "image": (x.mean(axis=0) - x.mean()) / x.std()}[by]
    np.testing.assert_allclose(z.mean(dim=0), centred, atol=1e-5)
    if by == "feature":
        np.testing.assert_allclose(z.std(dim=0, correction=0), [1, 1, 0], atol=1e-5)
    else:
        assert float((z - z.mean() * (by == "image")).square().mean()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("objective", ["diffusion", "flow_matching"])
def test_learns_two_classes(objective: str) -> None:
    label = np.arange(2000) % 2
    means, stds = np.array([[-300.0, 0.02], [200.0, -0.04]]), np.array([40.0, 0.01])
    x = Key(0).rng().standard_normal((2000, 2)) * stds + means[label]
    template = Diffusion(
        objective=objective, steps=350, learning_rate=3e-3, width=64, depth=2, batch_size=256, sampling_steps=12
    )
    drawn = template.fit(Pool.of(Samples.of(x, label=label)), key=Key(0)).sample(2000, key=Key(1))
    for k in range(2):
        mine = drawn.x[drawn.label == k]
        np.testing.assert_array_less(np.abs(mine.mean(axis=0) - means[k]), 0.2 * stds)
        np.testing.assert_allclose(mine.std(axis=0), stds, rtol=0.2)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"noise_low": 5.0, "noise_high": 1.0}, "noise_low: must be less than noise_high"),
        ({"guidance_low": 3.0, "guidance_high": 3.0}, "guidance_low: must be less than guidance_high"),
        ({"guidance_strength": 1.0, "condition_dropout": 0.0}, "condition_dropout: guidance needs"),
    ],
)
def test_options_that_could_only_mislead_are_refused(options: dict[str, float], match: str) -> None:
    with pytest.raises(SpecError, match=match):
        Diffusion(**options)
