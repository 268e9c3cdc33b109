from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ouroloop.errors import DataError, OuroloopError, PartError, SpecError
from ouroloop.generators import motion_diffusion
from ouroloop.generators.diffusion_process import motion_transformer
from ouroloop.generators.diffusion_process.motion_memory import MotionMemory
from ouroloop.generators.diffusion_process.motion_transformer import CleanMotion, MotionTransformer
from ouroloop.generators.diffusion_process.text import HashedWords, text_encoder
from ouroloop.generators.gaussian import Gaussian
from ouroloop.generators.motion_diffusion import SIZES, MotionDiffusion, Size
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

torch.set_num_threads(1)

FRAMES, FEATURES = 30, 5


def waves(n: int) -> Samples:
    """Motions of 5 features: a slow wave for "goes slowly", a fast one for "goes fast", of different lengths."""
    rng, fast = Key(3).rng(), np.arange(n) % 2
    length = (12 + rng.integers(FRAMES - 11, size=n)).astype(np.int32)
    phase = rng.uniform(0, 2 * np.pi, (n, 1, 1)) + np.arange(FEATURES) / 2
    time = np.arange(FRAMES)[None, :, None]
    x = 3 + 2 * np.sin(np.where(fast, 0.9, 0.2)[:, None, None] * time + phase)
    x = np.where(time < length[:, None, None], x, 0.0).astype(np.float32)
    return Samples.of(x, length=length, caption=np.where(fast, "it goes fast", "it goes slowly"))


@pytest.fixture(autouse=True, scope="module")
def tiny() -> Any:
    """A tiny preset in place of the compact one: one layer, and few tokens a motion."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(motion_diffusion.SIZES, "compact", Size(5, 1, 64, 64, 2, 0.1, "dpm2m", 4, False))
        yield


class TestMotions(GeneratorSuite):
    conditional = True

    def make(self) -> MotionDiffusion:
        return MotionDiffusion(steps=3, first_steps=4, batch_size=8, guidance_strength=0.5, sample_batch=7)

    def data(self) -> Samples:
        return waves(24)

    def condition(self, n: int) -> dict[str, np.ndarray]:
        data, rows = self.data(), np.arange(n) % 24
        return {"caption": data["caption"][rows], "length": data["length"][rows]}


@pytest.fixture(scope="module")
def fitted() -> MotionDiffusion:
    options: dict[str, Any] = {
        "first_steps": 600,
        "first_learning_rate": 8e-3,
        "steps": 2,
        "batch_size": 15,  # one group of like length a step
        "ema": 0.98,
    }
    return MotionDiffusion(sampling_steps=8, **options).fit(Pool.of(waves(64)), key=Key(0))


@pytest.mark.parametrize("guidance", [0.0, 1.0])
def test_groups_of_like_length_change_nothing(
    fitted: MotionDiffusion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, guidance: float
) -> None:
    data, network = waves(37), fitted.trained.network.eval()
    x, length = torch.from_numpy(data.x), torch.from_numpy(data["length"].astype(np.int64))
    text = torch.from_numpy(text_encoder(None).encode(data["caption"].tolist()))
    fitted.save(tmp_path)
    model = MotionDiffusion(guidance_strength=guidance, solver="heun", sampling_steps=4).load(tmp_path)
    assert isinstance(network, CleanMotion)
    losses, motions = [], []
    for groups in (1, 4):
        monkeypatch.setattr(motion_transformer, "_GROUPS", groups)
        assert len(motion_transformer.by_length(length, 2)) == groups
        torch.manual_seed(0)
        loss = network.loss(x, text, length, dropout=0.3)
        losses.append((loss.item(), torch.cat([g.ravel() for g in torch.autograd.grad(loss, network.parameters())])))
        condition = {"caption": data["caption"], "length": data["length"]}
        motions.append(model.sample(37, key=Key(4), condition=condition).x)
    assert losses[0][0] == pytest.approx(losses[1][0], rel=1e-5)
    torch.testing.assert_close(losses[0][1], losses[1][1], rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(motions[0], motions[1], atol=1e-3)


def test_groups_cover_every_row_once() -> None:
    length = torch.tensor([5, 9, 1, 7, 30, 2, 2, 8, 9, 4, 6, 12, 30, 29, 3, 11])
    groups = motion_transformer.by_length(length, 4)
    assert sorted(torch.cat([rows for rows, _ in groups]).tolist()) == list(range(16))
    assert [(len(rows), frames) for rows, frames in groups] == [(8, 8), (8, 32)]
    assert [frames for _, frames in motion_transformer.by_length(torch.tensor([3]), 2)] == [4]


def crossings(motions: Samples) -> np.ndarray:
    """How often the first feature passes its mean, per frame."""
    frames = np.arange(FRAMES - 1) < motions["length"][:, None] - 1
    above = motions.x[:, :, 0] > 3
    return ((above[:, 1:] != above[:, :-1]) & frames).sum(axis=1) / frames.sum(axis=1)


def test_motions_follow_their_caption(fitted: MotionDiffusion) -> None:
    condition = {
        "caption": np.repeat(["it goes fast", "it goes slowly"], 40),
        "length": np.full(80, FRAMES, np.int32),
    }
    often = crossings(fitted.sample(80, key=Key(1), condition=condition)).reshape(2, 40).mean(axis=1)
    assert often[1] == pytest.approx(0.2 / np.pi, abs=0.04)
    assert often[0] > 2 * often[1]  # a short training; the real waves cross 4.5 times as often


def test_scale_is_that_of_the_data(fitted: MotionDiffusion) -> None:
    drawn, real = fitted.sample(128, key=Key(1)), waves(64)
    inside = np.arange(FRAMES) < drawn["length"][:, None]
    here = np.arange(FRAMES) < real["length"][:, None]
    assert drawn.x[inside].mean() == pytest.approx(real.x[here].mean(), abs=0.3)
    assert drawn.x[inside].std() == pytest.approx(real.x[here].std(), rel=0.2)


def test_frames_after_the_length_are_zero(fitted: MotionDiffusion) -> None:
    drawn = fitted.sample(50, key=Key(2))
    padding = np.arange(FRAMES) >= drawn["length"][:, None]
    assert padding.any()
    assert not drawn.x[padding].any()


def test_captions_and_lengths_are_drawn_together(fitted: MotionDiffusion) -> None:
    drawn, real = fitted.sample(200, key=Key(4)), waves(64)
    pairs = set(zip(real["caption"].tolist(), real["length"].tolist(), strict=True))
    found = set(zip(drawn["caption"].tolist(), drawn["length"].tolist(), strict=True))
    assert found <= pairs
    assert len(found) > len(pairs) / 2


def test_a_motion_does_not_depend_on_what_its_padding_held() -> None:
    network = MotionTransformer(
        FEATURES, patch=4, text=HashedWords().module(16), width=16, layers=2, heads=2, feed_forward=16
    ).eval()
    torch.nn.init.normal_(network.leave.layer.weight)
    x, length = torch.randn(3, 14, FEATURES), torch.tensor([14, 8, 4])
    other = torch.where(torch.arange(14)[None, :, None] < length[:, None, None], x, torch.randn_like(x))
    text = torch.from_numpy(HashedWords().encode(["a", "b c", "d"]))
    with torch.inference_mode():
        a, b = (network(v, torch.zeros(1), text, torch.ones(3), length) for v in (x, other))
    torch.testing.assert_close(a[0], b[0])
    torch.testing.assert_close(a[1, :8], b[1, :8])
    torch.testing.assert_close(a[2, :4], b[2, :4])
    assert not torch.allclose(a[0], a[1])


def test_frames_blend_from_token_to_token() -> None:
    network = MotionTransformer(
        1, patch=4, text=HashedWords().module(16), width=16, layers=1, heads=2, feed_forward=16
    ).eval()
    with torch.inference_mode():
        network.leave.layer.bias.fill_(2.0)
        hidden, seen = torch.zeros(1, 3, 16), torch.tensor([[True, True, False]])
        torch.testing.assert_close(network.leave(hidden, seen)[0, :8, 0], torch.full((8,), 2.0))
        network.leave.layer.bias.zero_()
        network.leave.layer.weight.fill_(1 / 16)
        hidden[0, 1] = 1.0
        frames = network.leave(hidden, seen)[0, :, 0]
    assert (frames.diff() >= 0)[:7].all()
    torch.testing.assert_close(frames[2:6] + frames[2:6].flip(0), torch.ones(4))  # half way at the border
    torch.testing.assert_close(frames[6:8], torch.ones(2))  # the third token has no say


def test_the_first_rows_scale_is_kept(fitted: MotionDiffusion) -> None:
    data = waves(64)
    shifted = data.replace(x=np.where(data.x != 0, data.x * 3 + 10, 0).astype(np.float32))
    tuned = fitted.fit(Pool.of(shifted), key=Key(1), previous=fitted)
    np.testing.assert_array_equal(tuned.memory.centre, fitted.memory.centre)
    np.testing.assert_array_equal(tuned.memory.caption, fitted.memory.caption)


def test_scale_counts_real_frames_alone_and_is_shared_within_parts() -> None:
    rng, length = np.random.default_rng(0), np.array([5, 9], np.int32)
    x = rng.normal(2.0, 1.0, (2, 12, 263)).astype(np.float32)
    x[:, :, 259:] = 1.0  # contacts that never change
    x[np.arange(12) >= length[:, None]] = 0.0
    memory = MotionMemory.of(Pool.of(Samples.of(x, length=length, caption=["a", "b"])))
    frames = np.concatenate([x[0, :5], x[1, :9]])
    np.testing.assert_allclose(memory.centre, frames.mean(axis=0), rtol=1e-5)
    assert memory.scale[4:67] == pytest.approx(frames[:, 4:67].std(axis=0).mean(), rel=1e-5)
    assert memory.scale[259:].tolist() == [1.0] * 4


def test_presets() -> None:
    assert SIZES["paper"][1:5] == (8, 512, 1024, 4)
    levels = MotionDiffusion(size="paper").noise_levels()
    assert len(levels) == 1001
    assert levels == sorted(levels, reverse=True)
    assert levels[500] == pytest.approx(1.0)
    assert MotionDiffusion(size="paper", sampling_steps=50).noise_levels()[25] == pytest.approx(1.0)


def test_hashed_words_tell_order_and_ignore_case() -> None:
    rows = HashedWords().encode(["from left to right", "from right to left", "From LEFT, to right!", ""])
    assert set(rows[0][:4]) == set(rows[1][:4])
    assert set(rows[0]) != set(rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])
    assert not rows[3].any()
    assert torch.isfinite(HashedWords().module(8)(torch.from_numpy(rows))).all()


def test_a_missing_sentence_encoder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sentence_transformers", None)
    with pytest.raises(PartError, match="sentence-transformers"):
        text_encoder("some/model")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"caption": ["a"] * 3}, "'length' is missing"),
        ({"caption": ["a"] * 3, "length": np.array([5, 6, FRAMES + 1])}, f"1 to {FRAMES} frames, got {FRAMES + 1}"),
        ({"caption": ["a"] * 3, "length": np.array([5, 6, 0])}, "got 0"),
        ({"caption": ["a"] * 3, "length": np.array([5.0, 6.0, 7.0])}, "whole numbers"),
    ],
)
def test_bad_conditions_are_refused(fitted: MotionDiffusion, change: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        fitted.sample(3, key=Key(0), condition=change)


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (Samples.of(np.zeros((4, 3)), length=[1] * 4, caption=["a"] * 4), r"\(frames, features\)"),
        (Samples.of(np.zeros((4, 3, 2)), length=[1] * 4), "'caption' is missing"),
        (Samples.of(np.zeros((4, 3, 2)), length=[4] * 4, caption=["a"] * 4), "1 to 3 frames, got 4"),
    ],
)
def test_bad_rows_are_refused(rows: Samples, says: str) -> None:
    with pytest.raises(DataError, match=says):
        MotionDiffusion().fit(Pool.of(rows), key=Key(0))


def test_another_generators_model_is_refused() -> None:
    other: Any = Gaussian().fit(Pool.of(Samples.of(np.random.default_rng(0).normal(size=(20, 2)))), key=Key(0))
    with pytest.raises(PartError, match="Gaussian"):
        MotionDiffusion().fit(Pool.of(waves(8)), key=Key(0), previous=other)


def test_a_damaged_memory_is_named(fitted: MotionDiffusion, tmp_path: Path) -> None:
    fitted.save(tmp_path)
    (tmp_path / "motions.safetensors").write_bytes(b"x")
    with pytest.raises(OuroloopError, match=r"motions\.safetensors"):
        MotionDiffusion().load(tmp_path)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"noise_low": 5.0, "noise_high": 1.0}, "noise_low: must be less than noise_high, got 5.0 and 1.0"),
        ({"noise_low": 1.0, "noise_high": 1.0}, "noise_low: must be less than noise_high"),
        ({"guidance_strength": 1.5, "condition_dropout": 0.0}, "condition_dropout: guidance needs.*set 0.1"),
    ],
)
def test_options_that_contradict_one_another(options, match):
    with pytest.raises(SpecError, match=match):
        MotionDiffusion(**options)


def test_no_guidance_needs_no_dropped_captions():
    assert MotionDiffusion(condition_dropout=0.0).guidance_strength == 0


def test_a_straight_grid_has_equal_steps():
    sampler = MotionDiffusion(sampling_steps=3, noise_low=1.0, noise_high=4.0, grid_curve=1.0)
    assert sampler.noise_levels() == pytest.approx([4.0, 2.5, 1.0, 0.0])
