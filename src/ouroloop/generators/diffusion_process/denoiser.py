r"""Denoisers: estimates of the clean data, :math:`\mathbb{E}[X \mid X_t = x_t]`, by a network.

Data are scaled to unit variance first. A network F has the signature ``F(x, noise, label)`` with x of shape (B, ...),
`noise` a number per row, shape (B,) or (1,), that says how noisy x is, and `label` class numbers (B,) or None.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from ouroloop.generators.diffusion_process.schedule import Exploding, Schedule, Straight

__all__ = ["Denoiser", "Objective", "Preconditioned", "Velocity", "make_denoiser"]

Objective = Literal["diffusion", "flow_matching"]


class Denoiser(nn.Module):
    """An estimate of the clean data at every noise level."""

    schedule: Schedule

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        r""":math:`\mathbb{E}[X \mid x_t]`.

        Args:
            x_t: noisy data, shape (B, ...).
            t: times, shape (B,) or (1,).
            label: class numbers, int64 (B,), or None for the unconditional estimate.
        """
        raise NotImplementedError

    def at(self, y: Tensor, rho: float, label: Tensor | None = None) -> Tensor:
        r"""The estimate from :math:`y = x_t / \alpha_t` at noise-to-signal ratio rho."""
        t = self.schedule.time(torch.tensor([rho], dtype=y.dtype, device=y.device))
        return self(y * _like(self.schedule.alpha(t), y), t, label)


class Preconditioned(Denoiser):
    r"""A network that predicts a mixture of signal and noise whose variance is 1 at every noise level.

    .. math:: D(x_t) = \frac{1}{1 + t^2} x_t + \frac{t}{\sqrt{1 + t^2}} F\big(\frac{x_t}{\sqrt{1 + t^2}}, \ln t\big)

    Trained on :math:`\ln t \sim \mathcal{N}(m, s^2)` with the weight that makes the loss that of F.

    Args:
        network: F.
        mean, spread: m and s. EDM's m = -1.2 for images of standard deviation 0.5 is -0.5 at standard deviation 1.

    Source: Karras et al., arXiv 2206.00364, table 1 (column "Ours") and sec. 5, with sigma_data = 1.
    """

    def __init__(self, network: nn.Module, *, mean: float, spread: float) -> None:
        super().__init__()
        self.network, self.mean, self.spread = network, mean, spread
        self.schedule = Exploding()

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The estimate of the clean data, shape (B, ...)."""
        scale = torch.rsqrt(1 + t * t)
        output = self.network(x_t * _like(scale, x_t), torch.log(t), label)
        return x_t * _like(scale * scale, x_t) + output * _like(t * scale, x_t)

    def loss(self, x: Tensor, label: Tensor | None) -> Tensor:
        """Mean squared error of F over one draw of time and noise a row, a scalar."""
        t = torch.exp(self.mean + self.spread * torch.randn(len(x), device=x.device))
        noise, scale, wide = torch.randn_like(x), torch.rsqrt(1 + t * t), _like(t, x)
        target = (wide * x - noise) * _like(scale, x)
        output = self.network((x + wide * noise) * _like(scale, x), torch.log(t), label)
        return (output - target).square().mean()


class Velocity(Denoiser):
    r"""A network that predicts the velocity :math:`v = \epsilon - X` of straight paths.

    .. math:: D(x_t) = x_t - t \, v(x_t, t), \qquad x_t = (1 - t) X + t \epsilon

    Trained on :math:`\ln \rho_t = \mathrm{logit}\, t \sim \mathcal{N}(m, s^2)`.

    Args:
        network: v.
        mean, spread: m and s.

    Source: Lipman et al., arXiv 2210.02747, eq. 22-23; Esser et al., arXiv 2403.03206, sec. 3.1 (logit-normal times).
    """

    def __init__(self, network: nn.Module, *, mean: float, spread: float) -> None:
        super().__init__()
        self.network, self.mean, self.spread = network, mean, spread
        self.schedule = Straight()

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The estimate of the clean data, shape (B, ...)."""
        return x_t - _like(t, x_t) * self.network(x_t, torch.logit(t), label)

    def loss(self, x: Tensor, label: Tensor | None) -> Tensor:
        """Mean squared error of the velocity over one draw of time and noise a row, a scalar."""
        logit = self.mean + self.spread * torch.randn(len(x), device=x.device)
        noise, t = torch.randn_like(x), _like(torch.sigmoid(logit), x)
        output = self.network((1 - t) * x + t * noise, logit, label)
        return (output - (noise - x)).square().mean()


def make_denoiser(
    objective: Objective, network: nn.Module, *, mean: float = -0.5, spread: float = 1.2
) -> Preconditioned | Velocity:
    """The denoiser that trains `network` for an objective, on noise levels with ln rho ~ N(mean, spread^2)."""
    kind = {"diffusion": Preconditioned, "flow_matching": Velocity}[objective]
    return kind(network, mean=mean, spread=spread)


def _like(values: Tensor, x: Tensor) -> Tensor:
    return values.reshape(-1, *([1] * (x.ndim - 1)))
