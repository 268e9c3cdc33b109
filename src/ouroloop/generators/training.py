"""Gradient training as a pure function of (network, data, key): batches, learning rate, averaging, the loop."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from ouroloop.errors import DataError, PartError
from ouroloop.generators.batch_order import batch_order
from ouroloop.generators.summary import Summary
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.progress import report

__all__ = ["Batch", "Batches", "Decay", "TrainingPlan", "isolated", "learning_rate_at", "train", "update_average"]

Batch = dict[str, Tensor]
Decay = Literal["none", "linear", "cosine"]
_IN_MEMORY = 1 << 30  # bytes of training rows that are copied to the device at once
_REPORT_EVERY = 10


class Batches:
    """Mini-batches whose order is a pure function of (key, step): nothing about position needs saving.

    All batches are full. Without `real_share` all rows are seen equally often.

    Args:
        data: the training rows, n >= 1.
        summary: how labels are numbered.
        size: rows a batch.
        key: the stream of the order.
        device: where the batches are wanted.
        real_share: share of real rows in every batch; None: as in the data.
    """

    def __init__(
        self,
        data: Pool,
        summary: Summary,
        size: int,
        *,
        key: Key,
        device: torch.device,
        real_share: float | None = None,
    ) -> None:
        self._data, self._summary, self._size, self._device = data, summary, size, device
        self._order = batch_order(data, real_share, key)
        sample = data.parts[0]
        self._names = [name for name in sample.data_columns if sample[name].dtype.kind in "biuf" or name == "label"]
        row_bytes = sum(sample[name][:1].nbytes for name in self._names)
        self._tensors = self._encode(data.column) if row_bytes * len(data) <= _IN_MEMORY else None

    def __call__(self, step: int) -> Batch:
        """The batch of a step: ``x`` float32 (size, ...), ``label`` int64 class numbers (size,), other columns."""
        rows = self._order.rows(step, self._size)
        if self._tensors is None:
            batch = self._encode(self._data.take(rows).__getitem__)
        else:
            index = torch.from_numpy(rows).to(self._device)
            batch = {name: column[index] for name, column in self._tensors.items()}
        return {**batch, "x": batch["x"].float()}

    def _encode(self, column: Callable[[str], np.ndarray]) -> Batch:
        tensors = {}
        for name in self._names:
            values = column(name)
            if name == "label" and self._summary.classes is not None:
                values = self._summary.encode(values)
            elif values.dtype == np.float64:
                values = values.astype(np.float32)
            # torch.tensor copies: a memory-mapped column is read-only, and a network may write into its batch
            tensors[name] = torch.tensor(values).to(self._device)
        return tensors


def learning_rate_at(step: int, *, steps: int, peak: float, decay: Decay, warm_up: int) -> float:
    """The learning rate of a step: a linear rise over `warm_up` steps, then a decay towards 0 at `steps`.

    >>> [learning_rate_at(s, steps=4, peak=1.0, decay="linear", warm_up=0) for s in range(4)]
    [1.0, 0.75, 0.5, 0.25]
    """
    rise = min(1.0, (step + 1) / (warm_up + 1))
    progress = step / steps
    fall = {"none": 1.0, "linear": 1.0 - progress, "cosine": 0.5 * (1.0 + np.cos(np.pi * progress))}[decay]
    return float(peak * rise * fall)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float) -> None:
    r"""Move the averaged weights: \bar\theta <- decay \bar\theta + (1 - decay) \theta; copy the buffers."""
    get_ema_multi_avg_fn(decay)(list(average.parameters()), list(network.parameters()), 0)
    for mine, theirs in zip(average.buffers(), network.buffers(), strict=True):
        mine.copy_(theirs)


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """The numbers of one fit.

    Args:
        steps: gradient steps.
        peak, decay, warm_up: see `learning_rate_at`.
        gradient_clip: greatest norm of the gradient, 0 for none.
        ema: decay of the averaged weights.
        steps_before: gradient steps of earlier fits; the average follows faster in a model's first steps.
    """

    steps: int
    peak: float
    decay: Decay
    warm_up: int
    gradient_clip: float
    ema: float
    steps_before: int


def train(
    network: nn.Module,
    loss: Callable[[Batch], Tensor],
    batches: Callable[[int], Batch],
    optimiser: torch.optim.Optimizer,
    plan: TrainingPlan,
    *,
    average: nn.Module | None = None,
) -> float:
    """Train `network` in place.

    Args:
        network: what is trained.
        loss: batch -> scalar.
        batches: step -> batch.
        optimiser: over the network's parameters.
        plan: the numbers.
        average: a second network of the same shape that follows the first, or None.

    Returns:
        The mean loss of the last tenth of the steps.

    Raises:
        PartError: the loss became NaN or infinite.
    """
    recent, tail = [], max(plan.steps // 10, 1)
    for step in range(plan.steps):
        rate = learning_rate_at(step, steps=plan.steps, peak=plan.peak, decay=plan.decay, warm_up=plan.warm_up)
        for group in optimiser.param_groups:
            group["lr"] = rate
        value = loss(batches(step))
        optimiser.zero_grad(set_to_none=True)
        _check_loss(value, step, plan.steps)
        value.backward()
        if plan.gradient_clip:
            nn.utils.clip_grad_norm_(network.parameters(), plan.gradient_clip)
        optimiser.step()
        if average is not None:
            done = plan.steps_before + step + 1
            update_average(average, network, min(plan.ema, (1 + done) / (10 + done)))
        if step >= plan.steps - tail:
            recent.append(float(value.detach()))
        if (step + 1) % _REPORT_EVERY == 0 or step + 1 == plan.steps:
            report("fit", step + 1, plan.steps)
    return float(np.mean(recent))


def _check_loss(value: Tensor, step: int, steps: int) -> None:
    if not isinstance(value, Tensor) or value.numel() != 1 or not value.requires_grad:
        raise PartError("loss(batch) must return a scalar tensor that depends on the network's parameters")
    number = float(value.detach())
    if not np.isfinite(number):
        raise PartError(
            f"the loss became {number} at step {step + 1} of {steps}; lower learning_rate, set gradient_clip, or look "
            "for extreme values in the training rows"
        )


@contextlib.contextmanager
def isolated(key: Key, device: torch.device) -> Iterator[None]:
    """Seed the global generators (torch draws dropout and initial weights from its own); restore them after."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []), key.seeded():
        yield


def choose_device(name: str) -> torch.device:
    """The device of an option "cpu", "cuda" or "auto".

    Raises:
        PartError: "cuda" where there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise PartError("device 'cuda' was asked for and torch finds none; use device: auto or cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def check_rows(n: int) -> int:
    """n, refused where it is negative."""
    if n < 0:
        raise DataError(f"cannot draw {n} rows; n must be >= 0")
    return n
