"""Real and synthetic rows side by side: the share holds in every batch, rows of a kind are seen equally often."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from ouroloop.generators.batch_order import Epochs, batch_order
from ouroloop.generators.diffusion_process.motion_memory import without_captions
from ouroloop.generators.torch_generator import TorchGenerator
from ouroloop.keys import Key
from ouroloop.loop import Loop
from ouroloop.pool import Pool
from ouroloop.samples import Samples

torch.set_num_threads(1)


def pool(n_real, n_synthetic):
    real = Samples.of(np.zeros((n_real, 1)))
    return Pool.of(real, Samples.of(np.ones((n_synthetic, 1)), origin=np.ones(n_synthetic)))


@settings(deadline=None)
@given(
    n_real=st.integers(1, 30),
    n_synthetic=st.integers(1, 30),
    share=st.sampled_from([0.0, 0.1, 0.25, 0.29, 1 / 3, 0.5, 0.9, 1.0]),
    size=st.integers(1, 40),
)
def test_every_batch_has_the_share_and_every_row_its_turn(n_real, n_synthetic, share, size):
    order = batch_order(pool(n_real, n_synthetic), share, Key(0))
    batches = np.stack([order.rows(step, size) for step in range(200)])
    assert batches.shape == (200, size)
    real = np.count_nonzero(batches < n_real, axis=1)
    assert set(real.tolist()) <= {int(np.floor(size * share + 1e-9)), int(np.ceil(size * share - 1e-9))}
    assert real.sum() == pytest.approx(200 * size * share, abs=1)
    seen = np.bincount(batches.ravel(), minlength=n_real + n_synthetic)
    for kind in (seen[:n_real], seen[n_real:]):
        assert kind.max() - kind.min() <= 1
    np.testing.assert_array_equal(order.rows(7, size), batches[7])  # no memory of what was asked before


@pytest.mark.parametrize("share", [None, 0.0, 0.5])
def test_one_kind_of_rows_is_not_mixed(share):
    for n_real, n_synthetic in ((6, 0), (0, 6)):
        order = batch_order(pool(n_real, n_synthetic), share, Key(0))
        expected = Epochs(np.arange(6), Key(0))
        for step in range(5):
            np.testing.assert_array_equal(order.rows(step, 4), expected.rows(step, 4))


class Mean(TorchGenerator):
    """Its rows are the mean of what it was shown."""

    def network(self, data):
        return nn.ParameterDict({"mean": torch.zeros(1)})

    def loss(self, batch):
        return (batch["x"] - self.module["mean"]).square().mean()

    def sample(self, n):
        return self.module["mean"].expand(n, 1)


@pytest.mark.parametrize(("share", "expected"), [(None, 0.75), (0.5, 0.5), (0.9, 0.1), (1.0, 0.0), (0.0, 1.0)])
def test_what_is_learnt_follows_the_batches_not_the_rows(share, expected):
    model = Mean(batch_real_share=share, steps=600, batch_size=20, learning_rate=0.02).fit(pool(25, 75), key=Key(0))
    assert float(model.sample(1, key=Key(0)).x[0, 0]) == pytest.approx(expected, abs=0.02)


def test_rows_keep_their_origin_where_captions_are_taken_off():
    rows = Samples.of(np.zeros((2, 3)), length=np.ones(2), caption=np.array(["a", "b"]), origin=np.array([0, 4]))
    assert without_captions(rows, np.zeros((2, 1))).origin.tolist() == [0, 4]


def test_in_a_loop_generation_0_is_that_of_the_unmixed_loop():
    def models(share):
        made = Mean(batch_real_share=share, steps=30)
        rows = np.random.default_rng(0).standard_normal((50, 1))
        loop = Loop(made, rows, regime={"kind": "fixed_real", "synthetic_ratio": 1.0}, generations=1)
        return [float(info.model.trained.network["mean"].detach()) for info in loop]

    plain, mixed = models(None), models(0.25)
    assert plain[0] == mixed[0]
    assert plain[1] != mixed[1]
