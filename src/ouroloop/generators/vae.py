"""A variational autoencoder for vectors and small images."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from ouroloop.errors import DataError
from ouroloop.generators.standardised import StandardisedGenerator
from ouroloop.generators.summary import Summary
from ouroloop.generators.training import Batch

__all__ = ["Vae"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Vae(StandardisedGenerator):
    r"""A Gaussian variational autoencoder, trained on the evidence lower bound.

    .. math::
        \mathbb{E}_{q(z|x)} [\log \mathcal{N}(x \mid g(z), s^2 I)] - \beta \, \mathrm{KL}(q(z|x) \| \mathcal{N}(0, I))

    There is one learnt noise level s. A draw is g(z) plus noise of that level, as the model says; without the noise
    images look cleaner, and vectors lose variance.

    Source: Kingma and Welling, "Auto-Encoding Variational Bayes", arXiv 1312.6114; Rybkin et al., "Simple and
    Effective VAE Training with Calibrated Decoders", arXiv 2006.13202 (the learnt noise level).
    """

    latent: Annotated[int, Field(ge=1, description="number of latent variables")] = 8
    width: Annotated[int, Field(ge=1, description="hidden units, or channels of the first convolution")] = 128
    depth: Annotated[int, Field(ge=1, description="hidden layers (mlp)")] = 2
    layers: Annotated[
        Literal["mlp", "convolution"], Field(description="convolution: for rows (height, width) or (channels, ...)")
    ] = "mlp"
    kl_weight: Annotated[float, Field(ge=0, description="beta, the weight of the KL term")] = 1.0
    noise: Annotated[bool, Field(description="add the decoder's noise to samples")] = True

    def network(self, data: Summary) -> nn.Module:
        """Encoder, decoder and noise level."""
        classes = self.n_classes(data)
        if self.layers == "mlp":
            encoder = _mlp(data.size + classes, self.width, self.depth, 2 * self.latent)
            return _Autoencoder(encoder, _mlp(self.latent + classes, self.width, self.depth, data.size))
        if len(data.shape) not in (2, 3):
            raise DataError(f"vae: convolutions need rows that are images, got shape {data.shape}; use layers: mlp")
        shape = data.shape if len(data.shape) == 3 else (1, *data.shape)
        return _Autoencoder(
            _ConvolutionalEncoder(shape, classes, self.width, 2 * self.latent),
            _ConvolutionalDecoder(shape, self.latent + classes, self.width),
        )

    def loss(self, batch: Batch) -> Tensor:
        """The negative bound of the standardised rows, in nats a feature."""
        x, context = self.standardise(batch["x"]).flatten(1), self.one_hot(batch.get("label"))
        mean, log_variance = self.module.encoder(_join(x, context)).chunk(2, dim=1)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        error = (x - self.module.decoder(_join(z, context))).square()
        log_noise = self.module.log_noise
        nats = (0.5 * error * torch.exp(-2 * log_noise) + log_noise).sum(dim=1)
        divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(dim=1)
        return (nats + self.kl_weight * divergence).mean() / x.shape[1]

    def draw(self, n: int, label: Tensor | None = None) -> Tensor:
        """n rows: latent variables from their prior, decoded."""
        x = self.module.decoder(_join(torch.randn(n, self.latent), self.one_hot(label)))
        if self.noise:
            x = x + self.module.log_noise.exp() * torch.randn_like(x)
        return self.restore(x.reshape(n, *self.trained.summary.shape))


class _Autoencoder(nn.Module):
    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.log_noise = nn.Parameter(torch.tensor(0.0))


class _ConvolutionalEncoder(nn.Module):
    """Two halvings, then a linear layer; classes enter there."""

    def __init__(self, shape: tuple[int, ...], classes: int, width: int, outputs: int) -> None:
        super().__init__()
        self.shape, self.size = shape, shape[0] * shape[1] * shape[2]
        self.body = nn.Sequential(
            nn.Conv2d(shape[0], width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
        )
        self.leave = nn.Linear(2 * width * _quarter(shape[1]) * _quarter(shape[2]) + classes, outputs)

    def forward(self, x: Tensor) -> Tensor:
        images, context = x[:, : self.size].reshape(-1, *self.shape), x[:, self.size :]
        return self.leave(torch.cat([self.body(images), context], dim=1))


class _ConvolutionalDecoder(nn.Module):
    """A linear layer, then two doublings; what exceeds the image's sides is cut off."""

    def __init__(self, shape: tuple[int, ...], inputs: int, width: int) -> None:
        super().__init__()
        self.shape, self.start = shape, (2 * width, _quarter(shape[1]), _quarter(shape[2]))
        self.enter = nn.Linear(inputs, self.start[0] * self.start[1] * self.start[2])
        self.first = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1)
        self.second = nn.ConvTranspose2d(width, shape[0], 4, stride=2, padding=1)

    def forward(self, z: Tensor) -> Tensor:
        hidden = F.silu(self.enter(z)).reshape(-1, *self.start)
        images = self.second(F.silu(self.first(hidden)))
        return images[..., : self.shape[1], : self.shape[2]].flatten(1)


def _mlp(inputs: int, width: int, depth: int, outputs: int) -> nn.Sequential:
    sizes = [inputs] + [width] * depth
    hidden = [layer for a, b in itertools.pairwise(sizes) for layer in (nn.Linear(a, b), nn.SiLU())]
    return nn.Sequential(*hidden, nn.Linear(width, outputs))


def _join(x: Tensor, context: Tensor | None) -> Tensor:
    return x if context is None else torch.cat([x, context], dim=1)


def _quarter(side: int) -> int:
    return -(-side // 4)
