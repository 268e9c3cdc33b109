"""TorchGenerator: any torch network as a generator; a subclass says what it is, how it is trained and sampled."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from ouroloop.errors import DataError, PartError
from ouroloop.generators.summary import Summary
from ouroloop.generators.torch_state import OptimiserState, Trained, TrainingInfo, load_trained, save_trained
from ouroloop.generators.training import (
    Batch,
    Batches,
    Decay,
    TrainingPlan,
    check_rows,
    choose_device,
    isolated,
    train,
)
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.progress import report
from ouroloop.protocols import Condition
from ouroloop.samples import Samples

__all__ = ["TorchGenerator"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TorchGenerator:
    """A generator made of a torch network. A subclass needs three things and no more:

    * ``network(data)``: a new, untrained module; ``data`` is a `Summary` of the first training rows (shape,
      mean, std, classes). An attribute ``network`` that is a module is copied instead.
    * ``loss(batch)``: a scalar tensor; ``batch["x"]`` is float32 (batch, ...), ``batch["label"]`` the class
      numbers. The module that is being trained is ``self.module``.
    * ``sample(n)``: a tensor of n rows, drawn from ``self.module``. With a second argument ``label`` (class numbers,
      int64 (n,)) the generator is conditional.

    The training loop, seeds, devices, averaging, fine-tuning and files are taken care of. Inside these methods
    torch's global generator is seeded, so ``torch.randn`` is reproducible; it is restored afterwards.

    >>> class Blob(TorchGenerator):
    ...     def network(self, data):
    ...         return nn.Linear(2, 2)
    ...
    ...     def loss(self, batch):
    ...         return (batch["x"] - self.module.bias).square().mean()
    ...
    ...     def sample(self, n):
    ...         return self.module.bias + torch.randn(n, 2)
    >>> pool = Pool.of(Samples.of(np.full((50, 2), 3.0)))
    >>> blob = Blob(steps=200, learning_rate=0.1).fit(pool, key=Key(0))
    >>> blob.sample(1000, key=Key(1)).x.mean(axis=0).round().tolist()
    [3.0, 3.0]

    A fit with `previous` fine-tunes a copy of its weights; one without starts from scratch. On one machine and
    with one number of threads, the same key gives the same bits, also after `save` and `load`.
    """

    later_options: ClassVar[tuple[str, ...]] = ("learning_rate_decay", "optimiser_state", "batch_real_share")
    """Options that a fit from scratch does not depend on, so that loops that differ in them may share it; `steps` and
    `learning_rate` are others where `first_steps` and `first_learning_rate` are given."""

    steps: Annotated[int, Field(ge=1, description="gradient steps of a fit")] = 500
    first_steps: Annotated[int | None, Field(ge=1, description="gradient steps from scratch; None: steps")] = None
    batch_size: Annotated[int, Field(ge=1, description="rows a gradient step")] = 128
    batch_real_share: Annotated[
        float | None, Field(ge=0, le=1, description="share of real rows in every batch; None: as in the training rows")
    ] = None
    learning_rate: Annotated[float, Field(gt=0, description="peak learning rate of a fit")] = 1e-3
    first_learning_rate: Annotated[
        float | None, Field(gt=0, description="peak learning rate from scratch; None: learning_rate")
    ] = None
    learning_rate_decay: Annotated[Decay, Field(description="how the learning rate falls over a fine-tuning fit")] = (
        "none"
    )
    first_learning_rate_decay: Annotated[
        Decay, Field(description="how the learning rate falls over a fit from scratch")
    ] = "cosine"
    warm_up: Annotated[
        int, Field(ge=0, description="steps over which the learning rate rises, where the optimiser starts afresh")
    ] = 0
    optimiser: Annotated[Literal["adam", "adamw"], Field(description="optimiser")] = "adam"
    optimiser_state: Annotated[
        Literal["carry", "reset"], Field(description="whether fine-tuning keeps the optimiser's moments")
    ] = "carry"
    weight_decay: Annotated[float, Field(ge=0, description="weight decay (adamw) or L2 penalty (adam)")] = 0.0
    gradient_clip: Annotated[float, Field(ge=0, description="greatest norm of the gradient; 0: unlimited")] = 1.0
    ema: Annotated[
        float, Field(ge=0, lt=1, description="decay of the running average of the weights that is sampled; 0: none")
    ] = 0.0
    precision: Annotated[
        Literal["fp32", "bf16"], Field(description="bf16: mixed precision, fast where the hardware has it")
    ] = "fp32"
    compile: Annotated[bool, Field(description="torch.compile the network (needs a C++ compiler)")] = False
    device: Annotated[Literal["cpu", "cuda", "auto"], Field(description="where the network runs")] = "cpu"
    sample_batch: Annotated[int, Field(ge=1, description="rows drawn at a time")] = 1000

    _trained: Trained | None = field(init=False, default=None, repr=False, compare=False)
    _active: nn.Module | None = field(init=False, default=None, repr=False, compare=False)

    def __init_subclass__(cls, **options: Any) -> None:
        """A subclass's plain ``sample(n)`` or ``sample(n, label)`` becomes `draw`, called by our `sample`."""
        super().__init_subclass__(**options)
        own = cls.__dict__.get("sample")
        if own is not None and "key" not in inspect.signature(own).parameters:
            cls.draw = own
            del cls.sample

    # What a subclass says

    def network(self, data: Summary) -> nn.Module:
        """A new, untrained module for rows like these."""
        raise PartError(f"{type(self).__name__} needs a method network(data) that returns a torch module")

    def loss(self, batch: Batch) -> Tensor:
        """The training loss of a batch, a scalar."""
        raise PartError(f"{type(self).__name__} needs a method loss(batch) that returns a scalar tensor")

    def draw(self, n: int) -> Tensor:
        """n rows; a conditional generator's takes class numbers (n,) as second argument `label`."""
        raise PartError(f"{type(self).__name__} needs a method sample(n) that returns n rows as a tensor")

    # What it may use

    @property
    def module(self) -> Any:
        """The network: the one in training inside `loss`, else the one that samples are drawn with."""
        if self._active is None:
            raise PartError(f"{type(self).__name__} has not been fitted; call fit first")
        return self._active

    @property
    def trained(self) -> Trained:
        """The fitted state: summary of the first training rows, networks, optimiser, info."""
        if self._trained is None:
            raise PartError(f"{type(self).__name__} has not been fitted; call fit first")
        return self._trained

    @property
    def info(self) -> TrainingInfo:
        """What the last fit did: loss, steps, samples seen."""
        return self.trained.info

    def compiled_part(self, network: nn.Module) -> nn.Module:
        """What `compile` compiles: the module whose forward method loss and sample spend their time in."""
        return network

    @property
    def conditional(self) -> bool:
        """Whether rows are drawn for class labels."""
        return "label" in inspect.signature(self.draw).parameters

    # What the loop calls

    def fit(self, training: Pool, *, key: Key, previous: Self | None = None) -> Self:
        """Train from scratch, or fine-tune a copy of `previous`.

        Raises:
            DataError: rows that cannot be trained on, or that differ in shape from those of `previous`.
            PartError: `previous` is of another class or unfitted, or the loss became NaN or infinite.
        """
        device = choose_device(self.device)
        start = self._from_scratch(training, key, device) if previous is None else self._from(previous, training)
        average = start.average
        if self.ema and average is None:
            average = copy.deepcopy(start.network).eval().requires_grad_(False)
        network = start.network.to(device).train()
        model = self._with(replace(start, average=average if self.ema else None), self._compiled(network))
        optimiser = self._optimiser(network, start.optimiser)
        plan = self._plan(previous is None, start)
        stream = key.child("data")
        batches = Batches(
            training, start.summary, self.batch_size, key=stream, device=device, real_share=self.batch_real_share
        )
        with isolated(key.child("noise"), device), self._running(device):
            loss = train(network, model.loss, batches, optimiser, plan, average=model.trained.average)
        info = TrainingInfo(loss, plan.steps, plan.steps * self.batch_size, plan.steps_before + plan.steps)
        moments: OptimiserState = optimiser.state_dict()["state"]
        return self._with(Trained(start.summary, network.eval(), model.trained.average, moments, info))

    def sample(self, n: int, *, key: Key, condition: Condition | None = None) -> Samples:
        """n rows, drawn in chunks of `sample_batch`.

        A conditional generator copies the condition's columns; without a condition it draws labels as frequent
        as in its first training rows. One that is not conditional ignores the condition.

        Raises:
            DataError: n < 0, a condition of another length, or a label that training never saw.
        """
        trained, columns = self.trained, {}
        check_rows(n)
        if self.conditional:
            columns = self._condition(n, key.child("label"), condition)
        numbers = torch.from_numpy(trained.summary.encode(columns["label"])) if "label" in columns else None
        device = choose_device(self.device)
        x = np.empty((n, *trained.summary.shape), trained.summary.sample_dtype)
        with isolated(key.child("noise"), device), self._running(device), torch.inference_mode():
            for start in range(0, n, self.sample_batch):
                stop = min(start + self.sample_batch, n)
                given = {} if numbers is None else {"label": numbers[start:stop].to(device)}
                x[start:stop] = self._rows(stop - start, given)
                report("sample", stop, n)
        return Samples.of(x, **columns)

    def save(self, directory: Path) -> None:
        """Write weights, averaged weights and optimiser state into an existing directory."""
        save_trained(Path(directory), self.trained)

    def load(self, directory: Path) -> Self:
        """A fitted copy with the state in `directory`."""
        with isolated(Key(0), torch.device("cpu")):  # initial weights are drawn, then overwritten
            return self._with(load_trained(Path(directory), self._build, choose_device(self.device)))

    def _from_scratch(self, training: Pool, key: Key, device: torch.device) -> Trained:
        summary = Summary.of(training)
        summary.check_precision()
        with isolated(key.child("initialise"), device):
            network = self._build(summary).to(device)
        return Trained(summary, network, None, {}, TrainingInfo(float("nan"), 0, 0, 0))

    def _from(self, previous: Self, training: Pool) -> Trained:
        if not isinstance(previous, TorchGenerator):
            raise PartError(f"cannot fine-tune a {type(previous).__name__} as {type(self).__name__}")
        before = previous.trained
        before.summary.check(training, labels=previous.conditional)
        carry = self.optimiser_state == "carry"
        moments = {i: {k: v.clone() for k, v in m.items()} for i, m in before.optimiser.items()} if carry else {}
        return replace(
            before, network=copy.deepcopy(before.network), average=copy.deepcopy(before.average), optimiser=moments
        )

    def _build(self, summary: Summary) -> nn.Module:
        source: Any = self.network
        network = copy.deepcopy(source) if isinstance(source, nn.Module) else source(summary)
        if not isinstance(network, nn.Module) or not any(p.requires_grad for p in network.parameters()):
            raise PartError(f"{type(self).__name__}.network must give a torch module with parameters, got {network!r}")
        return network

    def _with(self, trained: Trained, active: nn.Module | None = None) -> Self:
        model = replace(self)
        object.__setattr__(model, "_trained", trained)
        object.__setattr__(model, "_active", self._compiled(trained.sampler) if active is None else active)
        return model

    def _compiled(self, network: nn.Module) -> nn.Module:
        if self.compile:
            self.compiled_part(network).compile()
        return network

    def _optimiser(self, network: nn.Module, moments: OptimiserState) -> torch.optim.Optimizer:
        kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[self.optimiser]
        optimiser = kind(network.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True)
        if moments:
            optimiser.load_state_dict({**optimiser.state_dict(), "state": moments})
        return optimiser

    def _plan(self, scratch: bool, start: Trained) -> TrainingPlan:
        return TrainingPlan(
            steps=(self.first_steps or self.steps) if scratch else self.steps,
            peak=(self.first_learning_rate or self.learning_rate) if scratch else self.learning_rate,
            decay=self.first_learning_rate_decay if scratch else self.learning_rate_decay,
            warm_up=0 if start.optimiser else self.warm_up,
            gradient_clip=self.gradient_clip,
            ema=self.ema,
            steps_before=start.info.total_steps,
        )

    def _condition(self, n: int, key: Key, condition: Condition | None) -> dict[str, np.ndarray]:
        summary = self.trained.summary
        if condition is None:
            if summary.classes is None:
                raise DataError(f"{type(self).__name__} needs training rows with a 'label' column")
            return {"label": key.rng().choice(summary.classes, size=n, p=summary.frequencies)}
        columns = {name: np.asarray(value) for name, value in condition.items()}
        for name, value in columns.items():
            if len(value) != n:
                raise DataError(f"asked for {n} rows with a condition '{name}' of {len(value)}; they must be as many")
        if "label" not in columns:
            raise DataError(f"a condition of {type(self).__name__} is a column 'label', got: {', '.join(columns)}")
        return columns

    def _rows(self, n: int, given: dict[str, Tensor]) -> np.ndarray:
        rows = self.draw(n, **given)
        expected = (n, *self.trained.summary.shape)
        if not isinstance(rows, Tensor) or tuple(rows.shape) != expected:
            got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
            raise PartError(f"sample({n}) must return a tensor of shape {expected}, got {got}")
        return rows.float().cpu().numpy()

    @contextlib.contextmanager
    def _running(self, device: torch.device) -> Iterator[None]:
        """Factory functions make tensors on the device, and matrix products run in the wanted precision.

        Raises:
            PartError: torch.compile failed.
        """
        with contextlib.ExitStack() as stack:
            if device.type != "cpu":  # on the CPU, where it changes nothing, it would cost a little on every call
                stack.enter_context(device)
            if self.precision == "bf16":
                stack.enter_context(torch.autocast(device.type, torch.bfloat16))
            try:
                yield
            except Exception as error:
                if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                    raise
                raise PartError(
                    f"torch.compile failed: {error}; install a C++ compiler or set compile: false"
                ) from error
