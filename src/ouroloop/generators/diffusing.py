"""What the diffusion generators share: objective, class labels, guidance and the sampler."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ouroloop.errors import SpecError
from ouroloop.generators.diffusion_process.cfg import ClassifierFree
from ouroloop.generators.diffusion_process.denoiser import Denoiser, Objective, make_denoiser
from ouroloop.generators.diffusion_process.samplers import SAMPLERS, Solver
from ouroloop.generators.diffusion_process.schedule import noise_levels
from ouroloop.generators.standardised import StandardisedGenerator
from ouroloop.generators.summary import Summary
from ouroloop.generators.training import Batch

__all__ = ["Diffusing"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Diffusing(StandardisedGenerator):
    """A torch generator whose network is a denoiser. Members say what the network is.

    Raises:
        SpecError: a sampler's grid or a guidance interval that is empty, or guidance by a network that never learns to
            do without labels.
    """

    objective: Annotated[
        Objective, Field(description="diffusion (EDM preconditioning) or flow_matching (straight paths)")
    ] = "diffusion"
    noise_mean: Annotated[
        float, Field(description="training: mean of the logarithm of the noise-to-signal ratio, for data of scale 1")
    ] = -0.5
    noise_spread: Annotated[float, Field(gt=0, description="training: standard deviation of that logarithm")] = 1.2
    condition_dropout: Annotated[
        float, Field(ge=0, lt=1, description="share of training rows without their label; guidance needs some")
    ] = 0.1
    guidance_strength: Annotated[float, Field(ge=0, description="classifier-free guidance; 0: none")] = 0.0
    guidance_low: Annotated[float, Field(ge=0, description="guide above this noise-to-signal ratio only")] = 0.0
    guidance_high: Annotated[float, Field(gt=0, description="guide up to this noise-to-signal ratio only")] = 1e9
    solver: Annotated[
        Solver, Field(description="dpm2m and heun: second order; euler: DDIM; ancestral: DDPM, with fresh noise")
    ] = "dpm2m"
    sampling_steps: Annotated[int, Field(ge=1, description="steps from noise to data (heun evaluates twice)")] = 16
    noise_low: Annotated[float, Field(gt=0, description="least noise-to-signal ratio of the sampler's grid")] = 0.01
    noise_high: Annotated[float, Field(gt=0, description="noise-to-signal ratio that sampling starts from")] = 80.0
    grid_curve: Annotated[
        float, Field(gt=0, description="how the sampler's grid crowds towards low noise (EDM's rho)")
    ] = 7.0

    def __post_init__(self) -> None:
        for low, high in (("noise_low", "noise_high"), ("guidance_low", "guidance_high")):
            if not getattr(self, low) < getattr(self, high):
                raise SpecError(f"{low}: must be less than {high}, got {getattr(self, low)} and {getattr(self, high)}")
        if self.guidance_strength and not self.condition_dropout:
            raise SpecError("condition_dropout: guidance needs rows that are trained on without their label; set 0.1")

    def backbone(self, data: Summary) -> nn.Module:
        """The network inside the denoiser, F(x, noise, label)."""
        raise NotImplementedError

    def network(self, data: Summary) -> nn.Module:
        """The denoiser."""
        return make_denoiser(self.objective, self.backbone(data), mean=self.noise_mean, spread=self.noise_spread)

    def compiled_part(self, network: nn.Module) -> nn.Module:
        """The network inside the denoiser."""
        assert isinstance(network.network, nn.Module)
        return network.network

    def loss(self, batch: Batch) -> Tensor:
        """The denoiser's loss; some labels are replaced by the number that stands for "no label"."""
        label = None
        if self.conditional:
            label = batch["label"]
            dropped = torch.rand(len(label), device=label.device) < self.condition_dropout
            label = torch.where(dropped, self.n_classes(self.trained.summary), label)
        return self.module.loss(self.standardise(batch["x"]), label)

    def draw(self, n: int, label: Tensor | None = None) -> Tensor:
        """n rows by the sampler."""
        denoiser: Denoiser = self.module
        if self.guidance_strength and label is not None:
            denoiser = ClassifierFree(denoiser, self.guidance_strength, low=self.guidance_low, high=self.guidance_high)
        levels = self.noise_levels()
        noise = torch.randn(n, *self.trained.summary.shape) * levels[0]
        y = SAMPLERS[self.solver](lambda y, rho: denoiser.at(y, rho, label), noise, levels)
        return self.restore(y)

    def noise_levels(self) -> list[float]:
        """The sampler's grid of noise-to-signal ratios, falling to 0."""
        return noise_levels(self.sampling_steps, low=self.noise_low, high=self.noise_high, curve=self.grid_curve)
