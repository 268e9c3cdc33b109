"""The fitted state of a torch generator, and its one safetensors file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ouroloop.arrays import load_arrays, save_arrays
from ouroloop.errors import StoreError
from ouroloop.generators.summary import Summary

__all__ = ["OptimiserState", "Trained", "TrainingInfo", "load_trained", "save_trained"]

OptimiserState = dict[int, dict[str, Tensor]]
"""Tensors by parameter number, as in torch's ``optimiser.state_dict()["state"]``."""

_FILE = "model.safetensors"


@dataclass(frozen=True)
class TrainingInfo:
    """What the last fit did.

    Attributes:
        loss: mean loss of its last tenth of steps.
        steps: its gradient steps.
        samples_seen: rows that went into them, repeats included.
        total_steps: gradient steps of all fits since the last one from scratch.
    """

    loss: float
    steps: int
    samples_seen: int
    total_steps: int


@dataclass(frozen=True, eq=False)
class Trained:
    """Everything that a fit produces.

    Attributes:
        summary: statistics of the first training rows.
        network: the weights that training continues with.
        average: their running average, which samples are drawn with, or None.
        optimiser: its moments.
        info: what the last fit did.
    """

    summary: Summary
    network: nn.Module
    average: nn.Module | None
    optimiser: OptimiserState
    info: TrainingInfo

    @property
    def sampler(self) -> nn.Module:
        """The network that samples are drawn with."""
        return self.network if self.average is None else self.average


def save_trained(directory: Path, trained: Trained) -> None:
    """Write a fitted state into an existing directory."""
    statistics, summary = trained.summary.to_arrays()
    arrays = {f"summary.{name}": value for name, value in statistics.items()}
    arrays |= _to_numpy("network", trained.network.state_dict())
    if trained.average is not None:
        arrays |= _to_numpy("average", trained.average.state_dict())
    for number, moments in trained.optimiser.items():
        arrays |= _to_numpy(f"optimiser.{number}", moments)
    meta = {"summary": summary, "info": asdict(trained.info), "averaged": trained.average is not None}
    save_arrays(directory / _FILE, arrays, meta)


def load_trained(directory: Path, build: Callable[[Summary], nn.Module], device: torch.device) -> Trained:
    """Read what `save_trained` wrote.

    Args:
        directory: where it was saved.
        build: summary -> a network of the same architecture, whose weights are overwritten.
        device: where the network is wanted.

    Raises:
        StoreError: the file cannot be read, or is of a model with other options.
    """
    path = directory / _FILE
    arrays, meta = load_arrays(path)
    try:
        summary = Summary.from_arrays(_below("summary", arrays), meta["summary"])
        info = TrainingInfo(**meta["info"])
        networks = [_load_weights(build(summary), _below("network", arrays), device)]
        if meta["averaged"]:
            networks.append(_load_weights(build(summary), _below("average", arrays), device))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise StoreError(f"{path}: not a model of these options ({error})") from error
    average = networks[1].requires_grad_(False) if len(networks) > 1 else None
    return Trained(summary, networks[0], average, _load_moments(networks[0], _below("optimiser", arrays)), info)


def _to_numpy(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {f"{prefix}.{name}": tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name[len(prefix) + 1 :]: value for name, value in arrays.items() if name.startswith(f"{prefix}.")}


def _load_weights(network: nn.Module, weights: Mapping[str, np.ndarray], device: torch.device) -> nn.Module:
    like = network.state_dict()
    missing = sorted(like.keys() ^ weights.keys())
    if missing:
        raise ValueError(f"tensor '{missing[0]}' is in only one of the file and the network")
    # a file keeps scalars (a counter of batches) as arrays of one entry
    tensors = {name: torch.tensor(value).reshape(like[name].shape) for name, value in weights.items()}
    network.load_state_dict(tensors)
    return network.to(device).eval()


def _load_moments(network: nn.Module, arrays: Mapping[str, np.ndarray]) -> OptimiserState:
    parameters, moments = list(network.parameters()), {}
    for name, value in arrays.items():
        number, _, moment = name.partition(".")
        parameter = parameters[int(number)]
        # the fused optimiser walks through memory, so a moment must be laid out as its parameter is
        like = parameter.new_empty(()) if moment == "step" else torch.empty_like(parameter)
        moments.setdefault(int(number), {})[moment] = like.detach().copy_(torch.tensor(value).reshape(like.shape))
    return dict(sorted(moments.items()))
