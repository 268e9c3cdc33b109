r"""Samplers: from noise to data along a grid of noise levels.

All work on :math:`y = x_t / \alpha_t` and :math:`\rho = \sigma_t / \alpha_t`, in which every schedule's probability
flow is the same ordinary differential equation, with :math:`\hat x` the denoiser's estimate:

.. math:: \frac{dy}{d\rho} = \frac{y - \hat x(y, \rho)}{\rho}
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from torch import Tensor

__all__ = ["SAMPLERS", "Denoise", "Solver", "ancestral", "dpm2m", "euler", "evaluations", "heun"]

Denoise = Callable[[Tensor, float], Tensor]
"""(y of shape (B, ...), rho) -> the estimate of the clean data, shape (B, ...)."""

Solver = Literal["dpm2m", "heun", "euler", "ancestral"]


def euler(denoise: Denoise, y: Tensor, levels: Sequence[float]) -> Tensor:
    r"""First order; with this parametrisation it is DDIM.

    .. math:: y_{i+1} = \hat x + \frac{\rho_{i+1}}{\rho_i} (y_i - \hat x)

    Source: Song et al., "Denoising Diffusion Implicit Models", arXiv 2010.02502, eq. 13.

    Args:
        denoise: the denoiser.
        y: noise of standard deviation levels[0], shape (B, ...).
        levels: falling noise levels.
    """
    for rho, following in itertools.pairwise(levels):
        y = torch.lerp(denoise(y, rho), y, following / rho)
    return y


def heun(denoise: Denoise, y: Tensor, levels: Sequence[float]) -> Tensor:
    """Second order with two evaluations a step; a last step to level 0 is an Euler step.

    Source: Karras et al., arXiv 2206.00364, algorithm 1. Arguments as for `euler`.
    """
    for rho, following in itertools.pairwise(levels):
        slope = (y - denoise(y, rho)) / rho
        predicted = y + (following - rho) * slope
        if following > 0:
            slope = (slope + (predicted - denoise(predicted, following)) / following) / 2
            predicted = y + (following - rho) * slope
        y = predicted
    return y


def dpm2m(denoise: Denoise, y: Tensor, levels: Sequence[float]) -> Tensor:
    r"""DPM-Solver++(2M): second order with one evaluation a step, by extrapolating the estimate in :math:`-\ln \rho`.

    The first step, and a last step to level 0, are Euler steps.

    Source: Lu et al., "DPM-Solver++", arXiv 2211.01095, algorithm 2. Arguments as for `euler`.
    """
    before, width_before = None, 0.0
    for rho, following in itertools.pairwise(levels):
        estimate = direction = denoise(y, rho)
        width = math.log(rho / following) if following > 0 else math.inf
        if before is not None and following > 0:
            direction = torch.lerp(before, estimate, 1 + width / (2 * width_before))
        y = torch.lerp(direction, y, following / rho)
        before, width_before = estimate, width
    return y


def ancestral(denoise: Denoise, y: Tensor, levels: Sequence[float]) -> Tensor:
    r"""DDPM: draws from :math:`p(y_{i+1} \mid y_i, \hat x)`, fresh noise at every step.

    Source: Ho et al., "Denoising Diffusion Probabilistic Models", arXiv 2006.11239, eq. 7. Arguments as for `euler`.
    """
    for rho, following in itertools.pairwise(levels):
        ratio = (following / rho) ** 2
        y = torch.lerp(denoise(y, rho), y, ratio)
        if following > 0:
            y = y + following * math.sqrt(1 - ratio) * torch.randn_like(y)
    return y


SAMPLERS: dict[str, Callable[[Denoise, Tensor, Sequence[float]], Tensor]] = {
    "dpm2m": dpm2m,
    "heun": heun,
    "euler": euler,
    "ancestral": ancestral,
}


def evaluations(solver: Solver, steps: int) -> int:
    """How often `steps` steps, the last one to level 0, call the denoiser."""
    return 2 * steps - 1 if solver == "heun" else steps
