r"""Is the loop certified to be stable, and how fast does it contract?

Retraining on real data plus `synthetic_ratio` $\lambda$ synthetic rows per real row, of which the ideal corrector
replaces a share $\gamma/(1+\gamma)$, is an iteration of the model's parameters whose Jacobian at the optimum is
$J = \frac{1}{1+\gamma}(A+\lambda B)^{-1}\lambda B$ with $A$ the Hessian of the expected log-likelihood of the real data
and $B$ that of the model's own samples. Two answers follow, and both should be shown:

* the **certificate** (Bertrand et al. for $\gamma = 0$; SCSC Theorem 4.3): with $\kappa = 1 + L\varepsilon/\alpha$ and
  $\rho = \lambda\kappa/(1-\lambda\kappa)$, stable if $\lambda\kappa < (1+\gamma)/(2+\gamma)$, that is
  $\rho/(1+\gamma) < 1$. It is sufficient, never necessary: it comes from a Neumann series.
* the **spectral radius** of $J$, which is exact in the population limit: $\lambda/((1+\lambda)(1+\gamma))$ for every
  well-specified exponential family, below 1 for every $\lambda$.

Source:
    Bertrand et al., arXiv 2310.00429; Gillman et al. (SCSC), arXiv 2402.07087, Theorem 4.3. The bound's form was
    re-derived; the spectral radius and the thresholds with a distorted sampler are derived and checked here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import number, share_of_model, whole

__all__ = [
    "Certificate",
    "certificate",
    "contraction_factor",
    "distorted_variance_limit",
    "distortion_is_stable",
    "error_bound",
    "rho",
    "spectral_radius",
    "spectral_radius_of",
    "threshold",
]


def rho(synthetic_ratio: float, misfit: float = 0.0) -> float:
    r"""The theorem's constant $\rho = \lambda\kappa/(1-\lambda\kappa)$, $\kappa = 1 + $ `misfit`.

    Args:
        synthetic_ratio: $\lambda \ge 0$, synthetic rows per real row.
        misfit: $L\varepsilon/\alpha \ge 0$; 0 for a model class that contains the data's distribution.

    Returns:
        $\rho$, or infinity where $\lambda\kappa \ge 1$ and the theorem says nothing.

    >>> rho(0.25), rho(0.5), rho(1.0)
    (0.3333333333333333, 1.0, inf)
    """
    gain = number("synthetic_ratio", synthetic_ratio, inf=True) * (1.0 + number("misfit", misfit))
    return gain / (1.0 - gain) if gain < 1.0 else float("inf")


def threshold(correction_strength: float = 0.0) -> float:
    r"""$(1+\gamma)/(2+\gamma)$: the certificate holds for $\lambda(1+L\varepsilon/\alpha)$ below it; from 1/2 to 1.

    >>> threshold(0.0), threshold(1.0), threshold(float("inf"))
    (0.5, 0.6666666666666666, 1.0)
    """
    return 1.0 / (1.0 + share_of_model(correction_strength))


def contraction_factor(synthetic_ratio: float, correction_strength: float = 0.0, misfit: float = 0.0) -> float:
    r"""The theorem's factor a generation, $\rho/(1+\gamma)$; infinity where $\rho$ is, whatever $\gamma$."""
    value = rho(synthetic_ratio, misfit)
    return value if np.isinf(value) else value * share_of_model(correction_strength)


def spectral_radius(synthetic_ratio: float, correction_strength: float = 0.0, sampler_variance: float = 1.0) -> float:
    r"""Exact factor a generation of an exponential family's moments: $\lambda s^2/((1+\lambda)(1+\gamma))$.

    Args:
        synthetic_ratio: $\lambda \ge 0$; infinity for a loop without real data.
        correction_strength: $\gamma \ge 0$; infinity for a perfect corrector.
        sampler_variance: $s^2 > 0$, by which the sampler inflates the model's variance; 1 is a faithful sampler. With
            another value this is the factor of the variance alone.
    """
    ratio = number("synthetic_ratio", synthetic_ratio, inf=True)
    share = 1.0 if np.isinf(ratio) else ratio / (1.0 + ratio)
    return share * number("sampler_variance", sampler_variance, above=True) * share_of_model(correction_strength)


def spectral_radius_of(
    real_hessian: np.ndarray, model_hessian: np.ndarray, synthetic_ratio: float, correction_strength: float = 0.0
) -> float:
    r"""Spectral radius of $J = \frac{1}{1+\gamma}(A+\lambda B)^{-1}\lambda B$ for any model at its optimum.

    Args:
        real_hessian: $A$, shape (p, p), symmetric negative definite.
        model_hessian: $B$, shape (p, p), symmetric negative semi-definite (minus the Fisher information).
        synthetic_ratio: $\lambda \ge 0$, finite.
        correction_strength: $\gamma \ge 0$.

    Raises:
        SpecError: a matrix of another shape or sign, or not finite.
    """
    real, model = (np.asarray(h, np.float64) for h in (real_hessian, model_hessian))
    for name, matrix in (("real_hessian", real), ("model_hessian", model)):
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.shape != real.shape:
            raise SpecError(f"{name}: must be square and both of one shape, got {real.shape} and {model.shape}")
        if not np.isfinite(matrix).all() or not np.allclose(matrix, matrix.T):
            raise SpecError(f"{name}: must be symmetric and finite")
    size = max(float(np.abs(model).max()), float(np.abs(real).max()))
    if np.linalg.eigvalsh(real)[-1] >= 0 or np.linalg.eigvalsh(model)[-1] > 1e-9 * size:
        raise SpecError("real_hessian must be negative definite and model_hessian negative semi-definite at an optimum")
    ratio = number("synthetic_ratio", synthetic_ratio)
    half = np.linalg.inv(np.linalg.cholesky(-real))
    values = np.clip(np.linalg.eigvalsh(half @ -model @ half.T), 0.0, None)  # of A^-1 B
    return float(np.max(ratio * values / (1.0 + ratio * values))) * share_of_model(correction_strength)


@dataclass(frozen=True)
class Certificate:
    """What can be said of stability at one synthetic ratio and correction strength.

    Attributes:
        rho, threshold, contraction_factor: the theorem's (see the functions of those names).
        holds: whether the theorem certifies local stability.
        spectral_radius: the exact factor for a well-specified exponential family.
    """

    rho: float
    threshold: float
    contraction_factor: float
    holds: bool
    spectral_radius: float


def certificate(synthetic_ratio: float, correction_strength: float = 0.0, misfit: float = 0.0) -> Certificate:
    """The theorem's certificate and, beside it, the exact spectral radius.

    >>> c = certificate(1.0, correction_strength=1.0)
    >>> c.holds, c.contraction_factor, c.spectral_radius
    (False, inf, 0.25)
    """
    factor = contraction_factor(synthetic_ratio, correction_strength, misfit)
    return Certificate(
        rho=rho(synthetic_ratio, misfit),
        threshold=threshold(correction_strength),
        contraction_factor=factor,
        holds=factor < 1.0,
        spectral_radius=spectral_radius(synthetic_ratio, correction_strength),
    )


def error_bound(factor: float, generations: int, start: float = 1.0, noise: float = 0.0) -> np.ndarray:
    r"""The theorem's bound $\tau\sum_{i\le t} q^i + q^t\|\theta_0-\theta^*\|$ for t = 0..generations, float64.

    Args:
        factor: $q \ge 0$, `contraction_factor` or `spectral_radius`.
        generations: last generation.
        start: $\|\theta_0-\theta^*\|$.
        noise: $\tau(n)$, the statistical and optimisation error of one generation.

    Returns:
        Shape (generations + 1,); infinite where the bound grows beyond floating point or q is infinite (t >= 1).
    """
    factor = number("factor", factor, inf=True)
    start, noise = number("start", start), number("noise", noise)
    t = np.arange(whole("generations", generations) + 1, dtype=np.float64)
    with np.errstate(over="ignore"):
        power = np.power(factor, t)  # inf**0 is 1
        return (noise * np.cumsum(power) if noise else 0.0) + (start * power if start else 0.0 * t)


def distortion_is_stable(sampler_variance: float, synthetic_ratio: float, correction_strength: float = 0.0) -> bool:
    r"""Whether a Gaussian loop whose sampler inflates the variance by $s^2$ has a finite limit.

    Exact: $\lambda(s^2 - 1 - \gamma) < 1 + \gamma$; without correction $\lambda(s^2-1) < 1$.
    """
    return spectral_radius(synthetic_ratio, correction_strength, sampler_variance) < 1.0


def distorted_variance_limit(
    sampler_variance: float, synthetic_ratio: float, correction_strength: float = 0.0
) -> float:
    r"""Limit of the model's variance over the data's, infinite data, real data kept, distorted sampler.

    $v^* = (1+\gamma+\lambda\gamma)/((1+\lambda)(1+\gamma)-\lambda s^2)$, or infinity where the loop is unstable. The
    infinite-n map is $v \mapsto (1+\lambda(s^2 v+\gamma)/(1+\gamma))/(1+\lambda)$.

    Args:
        sampler_variance: $s^2 > 0$. synthetic_ratio: $\lambda \ge 0$, finite. correction_strength: $\gamma \ge 0$.
    """
    ratio = number("synthetic_ratio", synthetic_ratio)
    share = share_of_model(correction_strength)
    factor = spectral_radius(ratio, correction_strength, sampler_variance)
    fresh = (1.0 + ratio * (1.0 - share)) / (1.0 + ratio)
    return fresh / (1.0 - factor) if factor < 1.0 else float("inf")
