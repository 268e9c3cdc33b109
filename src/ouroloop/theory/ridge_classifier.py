r"""Ridge regression on two Gaussian classes, real and verified synthetic rows: deterministic equivalents.

n real rows $y\mu + N(0, I_p)$, m synthetic ones $y\mu_b + N(0, C)$ whose labels are wrong with probability $\epsilon$
and which a verifier keeps with probability $\varphi$ or $\psi$; N = n + m, $\pi = n/N$, $\alpha = \varphi(1-\epsilon) +
\psi\epsilon$, $\beta = \varphi(1-\epsilon) - \psi\epsilon$. With $(\delta, \delta_s)$ the fixed point of

$$ R = \Big[\tfrac{\pi}{1+\delta} I + \tfrac{\alpha(1-\pi)}{1+\delta_s} C + \gamma I\Big]^{-1}, \qquad
   \delta = \tfrac1N\mathrm{tr} R, \quad \delta_s = \tfrac{\alpha}{N}\mathrm{tr}\,CR, $$

the decision $w^\top x$ on a real row of class 1 has a mean and second moment in closed form, and accuracy is
$\Phi(\text{mean}/\sqrt{\text{second} - \text{mean}^2})$, with the sign of the mean kept. Asymptotic in p and N. Exact
without pruning ($\alpha = 1$); see `verification` for what is wrong with it otherwise and for the reduction to
$\alpha = 1$ that mends it, which is what is used here unless `published`; `accuracy` is then its mean over the numbers
of kept and of wrong rows (`kept_counts`).

Source:
    El Firdoussi et al., arXiv 2410.08942; formulas as in the authors' code (elfirdoussilab1/Synthetic-data,
    rmt_results.py), reduction derived here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import choice, number, numbers, whole
from ouroloop.theory.kept_counts import LEAST_ROWS, kept_counts

__all__ = ["FORMULAS", "accuracy", "isotropic"]

FORMULAS = ("corrected", "published")


class _Problem(NamedTuple):
    """Rows and rates after the reduction, float64 of one shape."""

    total: np.ndarray
    real: np.ndarray  # pi
    kept: np.ndarray  # alpha
    gain: np.ndarray  # beta: right less wrong
    ridge: np.ndarray


class _Forms(NamedTuple):
    r"""Quadratic forms of u = Q mu and v = Q mu_b; `cov` ones have C in the middle."""

    mu_u: np.ndarray
    mu_v: np.ndarray
    mub_v: np.ndarray
    uu: np.ndarray
    uv: np.ndarray
    vv: np.ndarray
    u_cov_u: np.ndarray
    u_cov_v: np.ndarray
    v_cov_v: np.ndarray


def _problem(
    n: np.ndarray, m: np.ndarray, kept: np.ndarray, wrong: np.ndarray, ridge: np.ndarray, published: bool
) -> _Problem:
    """`wrong` is the share of synthetic rows that are kept and wrong."""
    if published:
        return _Problem(n + m, n / (n + m), kept, kept - 2.0 * wrong, ridge)
    rows = n + kept * m
    noise = np.divide(wrong, kept, out=np.zeros(kept.shape), where=kept > 0.0)
    return _Problem(rows, n / rows, np.ones(kept.shape), 1.0 - 2.0 * noise, ridge * (n + m) / rows)


def isotropic(
    n: np.ndarray,
    m: np.ndarray,
    p: np.ndarray,
    signal: np.ndarray,
    kept: np.ndarray,
    wrong: np.ndarray,
    ridge: np.ndarray,
    *,
    published: bool,
) -> np.ndarray:
    r"""Accuracy for $\mu_b = \mu$, C = I; all arrays float64 of one shape, already checked.

    Args:
        n, m, p, signal, ridge: as in `verification.classifier_accuracy`.
        kept, wrong: share of synthetic rows kept, and kept with a wrong label.
        published: the published formula instead of the corrected one.
    """
    with np.errstate(under="ignore"):
        problem = _problem(n, m, kept, wrong, ridge, published)
        load = p / problem.total
        delta = _isotropic_delta(problem, load)
        delta_s = problem.kept * delta
        real, synthetic = problem.real / (1.0 + delta), problem.kept * (1.0 - problem.real) / (1.0 + delta_s)
        bulk = problem.ridge + real + synthetic
        square = signal**2
        inner = square / (bulk + (real + synthetic) * square)  # mu' Q mu
        forms = _Forms(*([inner] * 3), *([inner / (bulk + (real + synthetic) * square)] * 6))
        trace = load / bulk**2
        return _accuracy(problem, delta, delta_s, forms, trace, trace, trace, published)


def _isotropic_delta(problem: _Problem, load: np.ndarray) -> np.ndarray:
    r"""The root of $\delta\,(\gamma + \frac{\pi}{1+\delta} + \frac{\alpha(1-\pi)}{1+\alpha\delta}) = p/N$."""
    a, pi, gamma = problem.kept, problem.real, problem.ridge
    if (a == 1.0).all():  # a quadratic, in the form that does not cancel
        half = gamma + 1.0 - load
        root = np.sqrt(half**2 + 4.0 * gamma * load)
        positive = half > 0.0
        return np.where(
            positive,
            2.0 * load / np.where(positive, half + root, 1.0),
            (root - half) / np.where(positive, 1.0, 2.0 * np.maximum(gamma, 1e-300)),
        )
    low, high = np.zeros(load.shape), load / np.maximum(gamma, 1e-300)
    high = np.minimum(high, 1e300)
    for _ in range(1100):  # the left side increases; bisect, in the logarithm while far apart
        middle = np.where(high > 4.0 * low, np.sqrt(np.maximum(low, 1e-300) * high), 0.5 * (low + high))
        above = middle * (gamma + pi / (1.0 + middle) + a * (1.0 - pi) / (1.0 + a * middle)) > load
        low, high = np.where(above, low, middle), np.where(above, middle, high)
        if (high - low <= 1e-15 * high).all():
            break
    return 0.5 * (low + high)


def accuracy(
    n_real: int,
    n_synthetic: int,
    mean: npt.ArrayLike,
    synthetic_mean: npt.ArrayLike,
    synthetic_covariance: npt.ArrayLike,
    label_noise: float,
    keep_correct: float,
    keep_wrong: float,
    ridge: float,
    formula: str = "corrected",
) -> float:
    r"""Accuracy where the generator's mean and covariance differ from the real ones.

    Args:
        n_real, n_synthetic: rows n and m >= 0.
        mean, synthetic_mean: $\mu$ and $\mu_b = \beta\mu + \mu_\perp$, shape (p,).
        synthetic_covariance: C, shape (p, p), symmetric and positive semi-definite; may be singular.
        label_noise, keep_correct, keep_wrong: in [0, 1].
        ridge: $\gamma > 0$.
        formula: "corrected" or "published".

    Raises:
        SpecError: an argument out of range, no row kept, or the published formula without a value.
    """
    published = choice("formula", formula, FORMULAS) == "published"
    n, m = float(whole("n_real", n_real)), float(whole("n_synthetic", n_synthetic))
    noise, right, wrong = (
        numbers(name, value, 0.0, 1.0)
        for name, value in (("label_noise", label_noise), ("keep_correct", keep_correct), ("keep_wrong", keep_wrong))
    )
    kept = right * (1.0 - noise) + wrong * noise
    if n + kept * m == 0.0:
        raise SpecError("n_synthetic: no row is left to train on: no real rows, and none that the verifier keeps")
    penalty = number("ridge", ridge, above=True)
    mu, mub, values, turned = _directions(mean, synthetic_mean, synthetic_covariance)
    mu, mub = turned.T @ mu, turned.T @ mub
    one = np.asarray(1.0)
    if published:
        problem = _problem(n * one, m * one, kept, wrong * noise, penalty * one, published=True)
        return _general(problem, mu, mub, values, published=True)
    found = 0.0
    counts = kept_counts(m * one, kept, wrong * noise, fixed=np.asarray(False))
    for rows, share, weight in zip(*counts, strict=True):
        if n + rows <= LEAST_ROWS:
            found += 0.5 * float(weight)  # nothing kept: a coin
        elif weight > 0.0:
            problem = _problem(n * one, rows, one, share, penalty * (n + m) / (n + rows) * one, published=False)
            found += float(weight) * _general(problem, mu, mub, values, published=False)
    return min(found, 1.0)


def _general(problem: _Problem, mu: np.ndarray, mub: np.ndarray, values: np.ndarray, *, published: bool) -> float:
    """Accuracy with means in the eigenbasis of the covariance, whose eigenvalues are `values`."""
    delta, delta_s = _fixed_point(problem, values)
    bulk, traces = _bulk(problem, values, delta, delta_s)
    real, synthetic = problem.real / (1.0 + delta), problem.kept * (1.0 - problem.real) / (1.0 + delta_s)
    # Q by the Woodbury identity on diag(bulk) and the two means
    means = np.stack([np.sqrt(real) * mu, np.sqrt(synthetic) * mub], axis=1)
    small = np.linalg.inv(np.eye(2) + means.T @ (means / bulk[:, None]))
    u, v = (x / bulk - (means / bulk[:, None]) @ (small @ (means.T @ (x / bulk))) for x in (mu, mub))
    forms = _Forms(
        *(np.asarray(x) for x in (mu @ u, mu @ v, mub @ v, u @ u, u @ v, v @ v)),
        *(np.asarray(x) for x in (u @ (values * u), u @ (values * v), v @ (values * v))),
    )
    return float(_accuracy(problem, delta, delta_s, forms, *traces, published))


def _directions(
    mean: npt.ArrayLike, synthetic_mean: npt.ArrayLike, covariance: npt.ArrayLike
) -> tuple[np.ndarray, ...]:
    mu, mub, cov = (np.asarray(x, np.float64) for x in (mean, synthetic_mean, covariance))
    if mu.ndim != 1 or mu.shape != mub.shape or cov.shape != (len(mu), len(mu)):
        raise SpecError(
            f"synthetic_covariance: means must be (p,) and it (p, p), got {mu.shape}, {mub.shape} and {cov.shape}"
        )
    if not all(np.isfinite(x).all() for x in (mu, mub, cov)) or not np.allclose(cov, cov.T):
        raise SpecError("synthetic_covariance: it and the means must be finite, and it symmetric")
    values, turned = np.linalg.eigh(cov)
    if values[0] < -1e-9 * max(values[-1], 1.0):
        raise SpecError(f"synthetic_covariance: must be positive semi-definite, got an eigenvalue of {values[0]:g}")
    return mu, mub, np.maximum(values, 0.0), turned


def _bulk(
    problem: _Problem, values: np.ndarray, delta: np.ndarray, delta_s: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Inverse eigenvalues of R, and tr R R / N, tr C R R / N, tr C R C R / N."""
    bulk = problem.ridge + problem.real / (1.0 + delta)
    bulk = bulk + problem.kept * (1.0 - problem.real) * values / (1.0 + delta_s)
    none, one, two = (np.sum(values**k / bulk**2) / problem.total for k in (0, 1, 2))
    return bulk, (none, one, two)


def _fixed_point(problem: _Problem, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The iteration from 0 increases towards the smallest (the only positive) solution."""
    delta = delta_s = np.asarray(0.0)
    for _ in range(100_000):
        bulk, _ = _bulk(problem, values, delta, delta_s)
        new, new_s = np.sum(1.0 / bulk) / problem.total, problem.kept * np.sum(values / bulk) / problem.total
        moved = abs(new - delta) / new + abs(new_s - delta_s) / max(new_s, 1e-300)
        delta, delta_s = np.asarray(new), np.asarray(new_s)
        if moved < 1e-12:
            return delta, delta_s
    raise SpecError("ridge: the fixed point was not found in 100,000 steps; use a larger one")


def _accuracy(
    problem: _Problem,
    delta: np.ndarray,
    delta_s: np.ndarray,
    q: _Forms,
    trace: np.ndarray,
    trace_cov: np.ndarray,
    trace_cov_cov: np.ndarray,
    published: bool,
) -> np.ndarray:
    """Mean and second moment of the decision, and the accuracy that follows."""
    from scipy.special import ndtr

    pi, a, gain = problem.real, problem.kept, problem.gain
    a1, a2 = pi * trace / (1.0 + delta) ** 2, pi * trace_cov / (1.0 + delta) ** 2
    b1_share = (1.0 - pi) * trace_cov / (1.0 + delta_s) ** 2  # b1 / a, which is a number also where a h is not
    b1 = a * b1_share
    b2 = a * (1.0 - pi) * trace_cov_cov / (1.0 + delta_s) ** 2
    h = (1.0 - b2) * (1.0 - a1) - a2 * b1
    c1, c2 = pi / (1.0 + delta), gain * (1.0 - pi) / (1.0 + delta_s)
    mean = c1 * q.mu_u + c2 * q.mu_v

    def middle(real: np.ndarray, synthetic: np.ndarray) -> np.ndarray:
        """x' E y, E = [(1 - b2) Q (mu mu' + I) Q + b1 Q (mu_b mu_b' + C) Q] / h, from its two parts."""
        return ((1.0 - b2) * real + b1 * synthetic) / h

    second = c1**2 * middle(q.mu_u**2 + q.uu, q.mu_v**2 + q.u_cov_u)
    second = second + c2**2 * middle(q.mu_v**2 + q.vv, q.mub_v**2 + q.v_cov_v)
    second = second + 2.0 * c1 * c2 * middle(q.mu_u * q.mu_v + q.uv, q.mu_v * q.mub_v + q.u_cov_v)
    second = second + (a1 * (1.0 - b2) + a2 * b1) / h * (1.0 - 2.0 * c1 * q.mu_u - 2.0 * c2 * q.mu_v)
    noise = np.divide(b1_share, h, out=np.zeros(np.shape(b1)), where=(a > 0.0) & (h != 0.0))
    second = second + noise * (a - 2.0 * gain * c2 * q.mub_v - 2.0 * gain * c1 * q.mu_v)
    spread = second - mean**2
    if not (np.isfinite(mean) & (h > 0.0) & (spread > 0.0)).all():  # NaN is none of these
        if published:
            raise SpecError("formula: the published one has no value here (a negative variance); use 'corrected'")
        raise SpecError("ridge: too small for these rows and dimensions to be told from 0 in floating point")
    return ndtr(mean / np.sqrt(spread))
