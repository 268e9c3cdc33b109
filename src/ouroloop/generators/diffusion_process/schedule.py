r"""Noise schedules: how much signal and noise there is at time t.

.. math:: p(X_t \mid X) = \mathcal{N}(X_t \mid \alpha_t X, \sigma_t^2 I)

The noise-to-signal ratio :math:`\rho_t = \sigma_t / \alpha_t` rises strictly with t. Two schedules with the same
:math:`\rho` differ by a factor on :math:`X_t` only, so samplers work on :math:`y = X_t / \alpha_t` and :math:`\rho`
and serve every schedule.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

__all__ = ["Exploding", "Schedule", "Straight", "noise_levels"]


class Schedule(Protocol):
    """alpha, sigma and the inverse of their ratio, all elementwise."""

    def alpha(self, t: Tensor) -> Tensor:
        r""":math:`\alpha_t`, the factor on the signal."""
        ...

    def sigma(self, t: Tensor) -> Tensor:
        r""":math:`\sigma_t`, the standard deviation of the noise."""
        ...

    def time(self, rho: Tensor) -> Tensor:
        r"""The t at which :math:`\sigma_t / \alpha_t = \rho`."""
        ...


class Exploding:
    r"""Variance exploding: :math:`\alpha_t = 1, \sigma_t = t`, t in (0, inf).

    Source: Karras et al., "Elucidating the Design Space of Diffusion-Based Generative Models", arXiv 2206.00364, sec.
    3.
    """

    def alpha(self, t: Tensor) -> Tensor:
        """1."""
        return t.new_ones(t.shape)

    def sigma(self, t: Tensor) -> Tensor:
        """t."""
        return t

    def time(self, rho: Tensor) -> Tensor:
        """rho."""
        return rho


class Straight:
    r"""Straight lines from data to noise: :math:`\alpha_t = 1 - t, \sigma_t = t`, t in (0, 1).

    Source: Lipman et al., "Flow Matching for Generative Modeling", arXiv 2210.02747, sec. 4.1 (conditional optimal
    transport path, with time running from data to noise).
    """

    def alpha(self, t: Tensor) -> Tensor:
        """1 - t."""
        return 1 - t

    def sigma(self, t: Tensor) -> Tensor:
        """t."""
        return t

    def time(self, rho: Tensor) -> Tensor:
        """rho / (1 + rho)."""
        return rho / (1 + rho)


def noise_levels(steps: int, *, low: float, high: float, curve: float = 7.0) -> list[float]:
    r"""The grid of a sampler: `steps` values of :math:`\rho` from high to low, then 0.

    .. math:: \rho_i = (\rho_{high}^{1/c} + \tfrac{i}{steps - 1} (\rho_{low}^{1/c} - \rho_{high}^{1/c}))^c

    Source: arXiv 2206.00364, eq. 5 (there sigma and rho = 7 for our rho and curve = 7).

    >>> noise_levels(3, low=1.0, high=4.0, curve=1.0)
    [4.0, 2.5, 1.0, 0.0]
    """
    start, end = high ** (1 / curve), low ** (1 / curve)
    inner = [(start + i / max(steps - 1, 1) * (end - start)) ** curve for i in range(steps)]
    return [*inner, 0.0]
