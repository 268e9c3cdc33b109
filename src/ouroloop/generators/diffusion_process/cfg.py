r"""Classifier-free guidance: away from the unconditional estimate, towards the conditional one.

.. math:: D_\omega(x_t, c) = D(x_t, c) + \omega (D(x_t, c) - D(x_t))

Source: Ho and Salimans, "Classifier-Free Diffusion Guidance", arXiv 2207.12598, eq. 6. Guiding at middle noise levels
only is Kynkäänniemi et al., arXiv 2404.07724: cheaper, and it keeps the diversity that guidance at high noise costs.
"""

from __future__ import annotations

import math

from torch import Tensor

from ouroloop.generators.diffusion_process.denoiser import Denoiser

__all__ = ["ClassifierFree"]


class ClassifierFree(Denoiser):
    """A denoiser guided by itself; outside the interval, or at strength 0, it is the conditional one.

    Args:
        denoiser: trained with and without labels.
        strength: omega >= 0.
        low, high: guide where low < rho <= high.
    """

    def __init__(self, denoiser: Denoiser, strength: float, *, low: float = 0.0, high: float = math.inf) -> None:
        super().__init__()
        self.denoiser, self.strength, self.low, self.high = denoiser, strength, low, high
        self.schedule = denoiser.schedule

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        """The guided estimate at times (1,) that all rows share."""
        conditional = self.denoiser(x_t, t, label)
        rho = float(self.schedule.sigma(t)[0] / self.schedule.alpha(t)[0])
        if label is None or self.strength == 0 or not self.low < rho <= self.high:
            return conditional
        return conditional + self.strength * (conditional - self.denoiser(x_t, t, None))
