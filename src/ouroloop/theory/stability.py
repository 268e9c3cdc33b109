r"""Is the loop stable: what a theorem certifies, and what is exact.

Retraining on real data plus `synthetic_ratio` $\lambda$ synthetic rows per real row, of which the ideal corrector
replaces a share $\gamma/(1+\gamma)$, is an iteration of the model's parameters whose Jacobian at the optimum is
$J = \frac{1}{1+\gamma}(A+\lambda B)^{-1}\lambda B$ with $A$ the Hessian of the expected log-likelihood of the real data
and $B$ that of the model's own samples. Two answers follow, and both should be shown:

* the **certificate** (Bertrand et al. for $\gamma = 0$; SCSC Theorem 4.3): with $\kappa = 1 + L\varepsilon/\alpha$ and
  $\rho = \lambda\kappa/(1-\lambda\kappa)$, stable if $\lambda\kappa < (1+\gamma)/(2+\gamma)$, that is
  $\rho/(1+\gamma) < 1$. It is sufficient, never necessary: it comes from a Neumann series.
* the **spectral radius** of $J$, which is exact in the population limit: $\lambda/((1+\lambda)(1+\gamma))$ for every
  well-specified exponential family, below 1 for every $\lambda$. What does break a loop is a sampler that distorts: if
  it inflates variances by $s^2$ (`sampler_distortion`), the loop is stable iff $\lambda(s^2-1-\gamma) < 1+\gamma$.

All functions of numbers take arrays as well and broadcast.

Source:
    Bertrand et al., arXiv 2310.00429; Gillman et al. (SCSC), arXiv 2402.07087, Theorem 4.3. The bound's form was
    re-derived; the spectral radius and the thresholds with a distorted sampler are derived and checked here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import Values, number, numbers, plain, shares_of_model, together, whole

__all__ = [
    "Certificate",
    "certificate",
    "distorted_variance_limit",
    "distortion_is_stable",
    "error_bound",
    "spectral_radius",
    "spectral_radius_of",
    "threshold",
]


@dataclass(frozen=True, eq=False)
class Certificate:
    r"""What the theorem says at one synthetic ratio and correction strength, or at an array of them.

    Attributes:
        satisfied: whether it certifies local stability: bool, or an array of them.
        margin: $\frac{1+\gamma}{2+\gamma} - \lambda(1+L\varepsilon/\alpha)$, positive where certified.
        rate: the factor $\rho/(1+\gamma)$ by which the distance to the optimum shrinks in a generation; infinity
            where $\lambda\kappa \ge 1$ and the theorem says nothing.
        rho: the theorem's constant.
        threshold: $(1+\gamma)/(2+\gamma)$.
    """

    satisfied: bool | np.ndarray
    margin: Values
    rate: Values
    rho: Values
    threshold: Values

    def __bool__(self) -> bool:
        """Whether stability is certified everywhere."""
        return bool(np.all(self.satisfied))


def certificate(
    synthetic_ratio: npt.ArrayLike,
    correction_strength: npt.ArrayLike = 0.0,
    alpha: npt.ArrayLike = 1.0,
    lipschitz: npt.ArrayLike = 0.0,
    epsilon: npt.ArrayLike = 0.0,
) -> Certificate:
    r"""The sufficient condition of Bertrand et al. (`correction_strength` 0) and SCSC.

    Args:
        synthetic_ratio: $\lambda \ge 0$, synthetic rows per real row; infinity for a loop without real data.
        correction_strength: $\gamma \ge 0$; infinity for a perfect corrector.
        alpha: $\alpha > 0$, curvature: the Hessian of the real data's expected log-likelihood is at most $-\alpha I$.
        lipschitz: $L \ge 0$, Lipschitz constant in x of the Hessian of the log-density.
        epsilon: $\varepsilon \ge 0$, Wasserstein-1 distance between data and the best model; 0 if well specified.

    >>> found = certificate(0.25, correction_strength=1.0)
    >>> found.satisfied, round(found.margin, 4), round(found.rate, 4)
    (True, 0.4167, 0.1667)
    >>> bool(certificate(1.0, correction_strength=1.0))  # although the loop contracts by 1/4: see spectral_radius
    False
    """
    ratio, share, curvature, constant, distance = together(
        synthetic_ratio=numbers("synthetic_ratio", synthetic_ratio, inf=True),
        correction_strength=shares_of_model(correction_strength),
        alpha=numbers("alpha", alpha, above=True),
        lipschitz=numbers("lipschitz", lipschitz),
        epsilon=numbers("epsilon", epsilon),
    )
    with np.errstate(over="ignore"):  # a gain beyond floating point is one of which the theorem says nothing
        misfit = np.minimum(constant * distance / curvature, np.finfo(np.float64).max)  # so that 0 * misfit is 0
        gain = ratio * (1.0 + misfit)
    says = gain < 1.0
    rho = np.full(gain.shape, np.inf)
    np.divide(gain, 1.0 - gain, out=rho, where=says)
    rate = np.where(says, np.where(says, rho, 0.0) * share, np.inf)
    limit = 1.0 / (1.0 + share)
    satisfied = rate < 1.0
    return Certificate(
        satisfied=bool(satisfied) if satisfied.ndim == 0 else satisfied,
        margin=plain(limit - gain),
        rate=plain(rate),
        rho=plain(rho),
        threshold=plain(limit),
    )


def threshold(correction_strength: npt.ArrayLike = 0.0) -> Values:
    r"""$(1+\gamma)/(2+\gamma)$: the certificate holds for $\lambda(1+L\varepsilon/\alpha)$ below it; from 1/2 to 1.

    >>> threshold(0.0), round(threshold(1.0), 4), threshold(float("inf"))
    (0.5, 0.6667, 1.0)
    """
    return plain(1.0 / (1.0 + shares_of_model(correction_strength)))


def spectral_radius(
    synthetic_ratio: npt.ArrayLike,
    correction_strength: npt.ArrayLike = 0.0,
    sampler_distortion: npt.ArrayLike = 1.0,
) -> Values:
    r"""Exact factor a generation of an exponential family's moments: $\lambda s^2/((1+\lambda)(1+\gamma))$.

    Args:
        synthetic_ratio: $\lambda \ge 0$; infinity for a loop without real data.
        correction_strength: $\gamma \ge 0$; infinity for a perfect corrector.
        sampler_distortion: $s^2 > 0$, the factor by which the sampler inflates the model's variance (not its standard
            deviation); 1 is a faithful sampler. With another value this is the factor of the variance; the mean's is
            the one without it.

    >>> spectral_radius(1.0), spectral_radius(2.0, 0.0, 1.5), spectral_radius(1.0, float("inf"))
    (0.5, 1.0, 0.0)
    """
    ratio, left, distortion = together(
        synthetic_ratio=numbers("synthetic_ratio", synthetic_ratio, inf=True),
        correction_strength=shares_of_model(correction_strength),
        sampler_distortion=numbers("sampler_distortion", sampler_distortion, above=True),
    )
    with np.errstate(divide="ignore", over="ignore"):
        share = 1.0 / (1.0 + 1.0 / ratio)  # 0 and infinity come out right
    return plain(share * distortion * left)


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
    return float(np.max(ratio * values / (1.0 + ratio * values)) * shares_of_model(correction_strength))


def error_bound(factor: float, generations: int, start: float = 1.0, noise: float = 0.0) -> np.ndarray:
    r"""The theorem's bound $\tau\sum_{i\le t} q^i + q^t\|\theta_0-\theta^*\|$ for t = 0..generations, float64.

    Args:
        factor: $q \ge 0$, `certificate(...).rate` or `spectral_radius`.
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


def distortion_is_stable(
    sampler_distortion: npt.ArrayLike, synthetic_ratio: npt.ArrayLike, correction_strength: npt.ArrayLike = 0.0
) -> bool | np.ndarray:
    r"""Whether a Gaussian loop whose sampler inflates the variance by $s^2$ has a finite limit.

    Exact: $\lambda(s^2 - 1 - \gamma) < 1 + \gamma$; without correction $\lambda(s^2-1) < 1$.
    """
    stable = np.asarray(spectral_radius(synthetic_ratio, correction_strength, sampler_distortion)) < 1.0
    return bool(stable) if stable.ndim == 0 else stable


def distorted_variance_limit(
    sampler_distortion: npt.ArrayLike, synthetic_ratio: npt.ArrayLike, correction_strength: npt.ArrayLike = 0.0
) -> Values:
    r"""Limit of the model's variance over the data's, infinite data, real data kept, distorted sampler.

    $v^* = (1+\gamma+\lambda\gamma)/((1+\lambda)(1+\gamma)-\lambda s^2)$, or infinity where the loop is unstable;
    without correction $1/(1-\lambda(s^2-1))$. The infinite-n map is
    $v \mapsto (1+\lambda(s^2 v+\gamma)/(1+\gamma))/(1+\lambda)$.

    Args:
        sampler_distortion: $s^2 > 0$; MAD's sampling bias is $s^2 < 1$.
        synthetic_ratio: $\lambda \ge 0$, finite.
        correction_strength: $\gamma \ge 0$.
    """
    ratio = numbers("synthetic_ratio", synthetic_ratio)
    share = shares_of_model(correction_strength)
    factor = np.asarray(spectral_radius(ratio, correction_strength, sampler_distortion))
    fresh = (1.0 + ratio * (1.0 - share)) / (1.0 + ratio)
    return plain(np.divide(fresh, 1.0 - factor, out=np.full(factor.shape, np.inf), where=factor < 1.0))
