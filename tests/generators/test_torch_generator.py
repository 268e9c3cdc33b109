from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from ouroloop.errors import DataError, PartError, StoreError
from ouroloop.generators.summary import Summary
from ouroloop.generators.torch_generator import TorchGenerator
from ouroloop.generators.training import Batches, learning_rate_at, train, update_average
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.progress import listening
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

torch.set_num_threads(1)


class Affine(TorchGenerator):
    """What a user writes: fits mean and scale of noise by maximum likelihood."""

    def network(self, data: Summary) -> nn.Module:
        return nn.ParameterDict({"mean": torch.randn(*data.shape), "log_scale": torch.zeros(*data.shape)})

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        z = (batch["x"] - self.module["mean"]) * torch.exp(-self.module["log_scale"])
        return (z.square() / 2 + self.module["log_scale"]).mean()

    def sample(self, n: int) -> torch.Tensor:
        shape = (n, *self.module["mean"].shape)
        return self.module["mean"] + self.module["log_scale"].exp() * torch.randn(shape)


class ByClass(TorchGenerator):
    """A user's conditional generator, with dropout and batch norm, whose randomness is torch's global one."""

    def network(self, data: Summary) -> nn.Module:
        hidden = [nn.Linear(data.n_classes, 8), nn.BatchNorm1d(8), nn.Dropout(0.2), nn.Linear(8, data.size)]
        return nn.Sequential(*hidden)

    def _mean(self, label: torch.Tensor) -> torch.Tensor:
        return self.module(nn.functional.one_hot(label, self.trained.summary.n_classes).float())

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        return (self._mean(batch["label"]) - batch["x"]).square().mean()

    def sample(self, n: int, label: torch.Tensor) -> torch.Tensor:
        return self._mean(label) + 0.1 * torch.randn(n, 2)


class TestAffine(GeneratorSuite):
    def make(self) -> Affine:
        return Affine(steps=12, batch_size=40, learning_rate=0.05)


class TestAveraged(GeneratorSuite):
    def make(self) -> Affine:
        return Affine(steps=12, ema=0.9, optimiser="adamw", warm_up=3, optimiser_state="reset", sample_batch=5)


class TestByClass(GeneratorSuite):
    conditional = True

    def make(self) -> ByClass:
        return ByClass(steps=12, ema=0.5)


def _pool(n: int = 200, *, seed: int = 0, dtype: type = np.float64) -> Pool:
    x = Key(seed, ("data",)).rng().normal([2.0, -1.0], [0.5, 2.0], (n, 2))
    return Pool.of(Samples.of(x.astype(dtype)))


def test_a_users_class_learns_the_maximum_likelihood_estimate() -> None:
    pool = _pool()
    model = Affine(steps=400, batch_size=200, learning_rate=0.1).fit(pool, key=Key(0))
    np.testing.assert_allclose(model.module["mean"].detach(), pool.x.mean(axis=0), atol=0.02)
    np.testing.assert_allclose(model.module["log_scale"].detach().exp(), pool.x.std(axis=0), rtol=0.02)
    assert model.info.steps == 400
    assert model.info.samples_seen == 400 * 200


def test_network_may_be_an_attribute_that_is_copied() -> None:
    class Shift(TorchGenerator):
        network: Any = nn.Linear(2, 2)

        def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return (self.module.bias - batch["x"]).square().mean()

        def sample(self, n: int) -> torch.Tensor:
            return self.module.bias + torch.zeros(n, 2)

    before = Shift.network.bias.detach().clone()
    model = Shift(steps=300, learning_rate=0.05).fit(_pool(), key=Key(0))
    np.testing.assert_array_equal(Shift.network.bias.detach(), before)
    np.testing.assert_allclose(model.sample(1, key=Key(0)).x[0], _pool().x.mean(axis=0), atol=0.1)


@pytest.mark.parametrize("optimiser_state", ["carry", "reset"])
@pytest.mark.parametrize("kind", [Affine, ByClass])
def test_a_loaded_model_continues_bit_for_bit(tmp_path: Path, kind: type, optimiser_state: str) -> None:
    pool = Pool.of(_pool().materialise().replace(label=np.arange(200) % 3))
    template = kind(steps=15, ema=0.9, optimiser_state=optimiser_state, learning_rate=0.01)
    first = template.fit(pool, key=Key(0))
    first.save(tmp_path)
    loaded = template.load(tmp_path)
    assert loaded.info == first.info
    files = []
    for name, model in (("kept", first), ("loaded", loaded)):
        (tmp_path / name).mkdir()
        template.fit(pool, key=Key(1), previous=model).save(tmp_path / name)
        files.append((tmp_path / name / "model.safetensors").read_bytes())
    assert files[0] == files[1]


def test_carrying_the_optimiser_state_differs_from_resetting_it() -> None:
    fitted = Affine(steps=15).fit(_pool(), key=Key(0))
    carried, reset = (
        Affine(steps=5, optimiser_state=state).fit(_pool(), key=Key(1), previous=fitted) for state in ("carry", "reset")
    )
    assert carried.trained.optimiser[0]["step"] == 20
    assert reset.trained.optimiser[0]["step"] == 5
    assert carried.info.total_steps == reset.info.total_steps == 20


def test_fine_tuning_starts_from_the_previous_weights() -> None:
    fitted = Affine(steps=300, learning_rate=0.1).fit(_pool(), key=Key(0))
    tuned = Affine(steps=1, learning_rate=1e-6).fit(_pool(), key=Key(1), previous=fitted)
    np.testing.assert_allclose(tuned.module["mean"].detach(), fitted.module["mean"].detach(), atol=1e-5)
    assert tuned.trained.summary is fitted.trained.summary


def test_first_options_apply_from_scratch_only() -> None:
    template = Affine(steps=3, first_steps=7)
    first = template.fit(_pool(), key=Key(0))
    assert first.info.steps == 7
    assert template.fit(_pool(), key=Key(0), previous=first).info.steps == 3


def test_average_follows_the_weights() -> None:
    network, average = nn.Linear(1, 1), nn.Linear(1, 1)
    before, target = average.weight.item(), network.weight.item()
    for _ in range(3):
        update_average(average, network, 0.75)
    assert average.weight.item() == pytest.approx(0.75**3 * before + (1 - 0.75**3) * target, abs=1e-6)


def test_samples_come_from_the_average() -> None:
    model = Affine(steps=30, ema=0.9, learning_rate=0.1).fit(_pool(), key=Key(0))
    assert model.module is model.trained.average
    assert not torch.equal(model.module["mean"], model.trained.network["mean"])


def test_batches_visit_every_row_equally_often_whatever_their_size() -> None:
    data = Pool.of(Samples.of(np.arange(7.0)[:, None]), Samples.of(np.arange(7.0, 10)[:, None]))
    for size in (1, 4, 10, 23):
        batches = Batches(data, Summary.of(data), size, key=Key(0), device=torch.device("cpu"))
        seen = torch.cat([batches(step)["x"] for step in range(10)]).ravel()
        assert np.bincount(seen.long().numpy(), minlength=10).tolist() == [size] * 10


def test_batches_read_in_pieces_equal_those_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    data = Pool.of(Samples.of(np.arange(20.0).reshape(10, 2), label=np.arange(10) % 3))
    in_memory = Batches(data, Summary.of(data), 4, key=Key(0), device=torch.device("cpu"))
    monkeypatch.setattr("ouroloop.generators.training._IN_MEMORY", 0)
    streamed = Batches(data, Summary.of(data), 4, key=Key(0), device=torch.device("cpu"))
    for step in (3, 0, 2):
        a, b = in_memory(step), streamed(step)
        assert a.keys() == b.keys() == {"x", "label"}
        assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("decay", "end"), [("none", 1.0), ("linear", 0.1), ("cosine", 0.0245)])
def test_learning_rate(decay: Any, end: float) -> None:
    rates = [learning_rate_at(s, steps=10, peak=2.0, decay=decay, warm_up=0) for s in range(10)]
    assert rates[0] == 2.0
    assert rates[-1] == pytest.approx(2.0 * end, rel=0.01)
    assert rates == sorted(rates, reverse=True)
    warm = [learning_rate_at(s, steps=10, peak=2.0, decay="none", warm_up=3) for s in range(5)]
    assert warm == [0.5, 1.0, 1.5, 2.0, 2.0]


def test_progress_is_reported() -> None:
    heard: list[tuple[str, int, int]] = []
    with listening(lambda *said: heard.append(said)):
        Affine(steps=12, sample_batch=4).fit(_pool(), key=Key(0)).sample(10, key=Key(0))
    assert ("fit", 12, 12) in heard
    assert [said for said in heard if said[0] == "sample"] == [("sample", 4, 10), ("sample", 8, 10), ("sample", 10, 10)]


def test_unsigned_integers_are_trained_on_and_come_out_floating() -> None:
    pool = Pool.of(Samples.of(np.full((20, 2, 3), 200, np.uint8)))
    model = Affine(steps=400, learning_rate=1.0).fit(pool, key=Key(0))
    drawn = model.sample(50, key=Key(0)).x
    assert drawn.dtype == np.float32
    assert drawn.mean() == pytest.approx(200, abs=20)


def test_unconditional_labels_are_as_frequent_as_in_training() -> None:
    label = np.repeat(["a", "b"], [180, 20])
    pool = Pool.of(_pool().materialise().replace(label=label))
    drawn = ByClass(steps=2).fit(pool, key=Key(0)).sample(2000, key=Key(0))
    share = np.mean(drawn.label == "b")
    assert abs(share - 0.1) < 4 * np.sqrt(0.1 * 0.9 / 2000)


def test_loss_that_is_not_finite_names_the_step_and_a_remedy() -> None:
    class Bad(Affine):
        def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            return super().loss(batch) / (0.0 if self.module["mean"].grad is not None else 1.0)

    with pytest.raises(PartError, match=r"(nan|inf) at step 2 of 5; lower learning_rate"):
        Bad(steps=5).fit(_pool(), key=Key(0))


def test_errors_say_what_is_missing() -> None:
    class Nothing(TorchGenerator):
        pass

    with pytest.raises(PartError, match="needs a method network"):
        Nothing().fit(_pool(), key=Key(0))
    with pytest.raises(PartError, match="not been fitted"):
        Affine().module  # noqa: B018
    with pytest.raises(PartError, match="cannot fine-tune a str"):
        Affine().fit(_pool(), key=Key(0), previous="model")  # type: ignore[arg-type]
    with pytest.raises(PartError, match="scalar tensor"):
        train(nn.Linear(1, 1), lambda b: torch.zeros(3), lambda s: {}, torch.optim.Adam([torch.zeros(1)]), _plan())


def test_a_sample_of_another_shape_is_refused() -> None:
    class Wrong(Affine):
        def sample(self, n: int) -> torch.Tensor:
            return torch.zeros(n, 5)

    model = Wrong(steps=1).fit(_pool(), key=Key(0))
    with pytest.raises(PartError, match=r"shape \(3, 2\), got \(3, 5\)"):
        model.sample(3, key=Key(0))


def test_fine_tuning_on_rows_of_another_shape_is_refused() -> None:
    fitted = Affine(steps=1).fit(_pool(), key=Key(0))
    with pytest.raises(DataError, match="cannot continue"):
        Affine(steps=1).fit(Pool.of(Samples.of(np.zeros((5, 3)))), key=Key(0), previous=fitted)
    labelled = Pool.of(_pool().materialise().replace(label=np.arange(200) % 3))
    fitted = ByClass(steps=1).fit(labelled, key=Key(0))
    with pytest.raises(DataError, match="label 7"):
        ByClass(steps=1).fit(Pool.of(_pool(2).materialise().replace(label=[1, 7])), key=Key(0), previous=fitted)
    with pytest.raises(DataError, match="no 'label' column"):
        ByClass(steps=1).fit(_pool(), key=Key(0), previous=fitted)


def test_text_is_refused() -> None:
    with pytest.raises(DataError, match="real numbers"):
        Affine().fit(Pool.of(Samples.of(np.array(["a", "b"]))), key=Key(0))


def test_rows_that_float32_cannot_tell_apart_are_refused() -> None:
    """They were trained on as constants, which in a loop looks like collapse."""
    noise = np.random.default_rng(0).normal(size=(60, 2))
    fine, lost = 1e6 + 10.0 * noise, 1e6 + np.array([10.0, 0.01]) * noise
    for rows in (fine, np.full((60, 2), 0.1), lost.astype(np.float32)):
        Affine(steps=1).fit(Pool.of(Samples.of(rows)), key=Key(0))
    with pytest.raises(DataError, match=r"1 of the 2 values of a row vary too little .* around 1e\+06"):
        Affine(steps=1).fit(Pool.of(Samples.of(lost)), key=Key(0))


def test_a_file_of_another_model_is_refused(tmp_path: Path) -> None:
    class Wider(Affine):
        def network(self, data: Summary) -> nn.Module:
            return nn.Linear(3, 3)

    Affine(steps=1).fit(_pool(), key=Key(0)).save(tmp_path)
    with pytest.raises(StoreError, match="not a model of these options"):
        Wider().load(tmp_path)
    with pytest.raises(StoreError, match="missing"):
        Affine().load(tmp_path / "nowhere")


def test_no_gpu_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PartError, match="device: auto or cpu"):
        Affine(device="cuda").fit(_pool(), key=Key(0))
    assert Affine(device="auto", steps=1).fit(_pool(), key=Key(0)).info.steps == 1


def test_a_compiler_that_fails_is_said_clearly(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **options: Any) -> Any:
        def call(*inputs: Any) -> Any:
            raise torch._dynamo.exc.TorchDynamoException("no compiler")

        return call

    monkeypatch.setattr(torch, "compile", fail)
    pool = Pool.of(_pool().materialise().replace(label=np.arange(200) % 3))
    with pytest.raises(PartError, match="no compiler; install a C\\+\\+ compiler or set compile: false"):
        ByClass(compile=True, steps=1).fit(pool, key=Key(0))


def test_a_compiled_network_computes_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Traced by torch.compile, but run by its backend "eager", which needs no compiler and changes no bit."""
    compiled, whole = [], nn.Module.compile

    def compile_eagerly(module: nn.Module) -> None:
        compiled.append(module)
        whole(module, backend="eager")

    monkeypatch.setattr(nn.Module, "compile", compile_eagerly)
    pool = Pool.of(_pool().materialise().replace(label=np.arange(200) % 3))
    plain, fast = (ByClass(compile=value, steps=5).fit(pool, key=Key(0)) for value in (False, True))
    assert compiled
    assert all(module._compiled_call_impl is not None for module in compiled)
    (tmp_path / "model").mkdir()
    fast.save(tmp_path / "model")
    pairs = [(plain, fast), (plain, ByClass(compile=True).load(tmp_path / "model"))]
    pairs.append((plain.fit(pool, key=Key(1), previous=plain), fast.fit(pool, key=Key(1), previous=fast)))
    for slow, quick in pairs:
        np.testing.assert_array_equal(slow.sample(30, key=Key(2)).x, quick.sample(30, key=Key(2)).x)


def test_bf16_trains() -> None:
    model = Affine(steps=300, learning_rate=0.1, precision="bf16").fit(_pool(), key=Key(0))
    np.testing.assert_allclose(model.module["mean"].detach(), _pool().x.mean(axis=0), atol=0.3)


def test_summary_is_that_of_numpy_and_survives_a_round_trip() -> None:
    rng = Key(0).rng()
    x, label = rng.normal(3, 2, (40_000, 2, 3)), rng.choice(["x", "yy"], 40_000)
    summary = Summary.of(Pool.of(Samples.of(x[:10], label=label[:10]), Samples.of(x[10:], label=label[10:])))
    again = Summary.from_arrays(*summary.to_arrays())
    for s in (summary, again):
        np.testing.assert_allclose(s.mean, x.mean(axis=0))
        np.testing.assert_allclose(s.std, x.std(axis=0))
        assert (s.low, s.high, s.rows, s.shape, s.dtype) == (x.min(), x.max(), 40_000, (2, 3), x.dtype)
        assert s.classes is not None
        assert s.classes.tolist() == ["x", "yy"]
        np.testing.assert_array_equal(s.encode(np.array(["yy", "x"])), [1, 0])


def _plan() -> Any:
    from ouroloop.generators.training import TrainingPlan

    return TrainingPlan(steps=1, peak=1, decay="none", warm_up=0, gradient_clip=0, ema=0, steps_before=0)
