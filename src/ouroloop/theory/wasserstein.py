r"""Expected distance $W_2$ between a Gaussian loop's model and $N(0, I_d)$, the quantity of SCSC's Gaussian study.

$W_2^2 = |m|^2 + \mathrm{tr}\,C + d - 2\,\mathrm{tr}\,C^{1/2}$. The first two moments of the model are exact
(`gaussian`). What remains is the spread of the covariance, from the fourth moments of the rows:

* the raw second moment $R_t = C_t + m_t m_t^\top$ obeys the linear law of `rows`, so $E\,\mathrm{tr} R_t^2$ and
  $E(\mathrm{tr} R_t)^2$ follow from $E|y|^4 = a\,[E(\mathrm{tr}R)^2 + 2E\,\mathrm{tr}R^2 - 2E|m|^4] + (1-a)\,d(d+2)$;
* closed with $E|m|^4 \approx d(d+2)(E m^2)^2$ and $E\,m^\top C m \approx d\,E m^2\,E v$ (both exact in generation 0);
* the eigenvalues of C are taken as log-normal with these two moments: $E\sqrt\ell = (Ev)^{3/4}\,(E\ell^2)^{-1/8}$,
  which agrees with the delta method to second order and stays positive;
* $W_2^2$ is taken as a sum of d squares of the mean and d(d+1)/2 of the covariance, whose root has a closed mean when
  matched to a chi-squared variable of the same two moments.

Asymptotic: every step becomes exact as the number of real rows grows. Derived here; measured agreement in
docs/theory.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ouroloop.theory.arguments import number, share_of_model, whole
from ouroloop.theory.gaussian import Moments, moments
from ouroloop.theory.rows import Plan, Responses, responses

__all__ = ["Wasserstein", "wasserstein"]


@dataclass(frozen=True, eq=False)
class Wasserstein:
    """Forecast of W2 for t = 0..T, in units of the data's standard deviation.

    Attributes:
        distance: float64 (T + 1,), E W2.
        mean_part, covariance_part: float64 (T + 1,), the two parts of E W2^2.
    """

    distance: np.ndarray
    mean_part: np.ndarray
    covariance_part: np.ndarray


def wasserstein(rows: Plan, correction_strength: float = 0.0, dim: int = 2, *, ridge: float = 0.0) -> Wasserstein:
    r"""E W2 between the fitted Gaussian and the data's distribution N(0, I), for ideal correction.

    Args:
        rows: which rows each generation trains on.
        correction_strength: $\gamma \ge 0$.
        dim: d, number of coordinates.
        ridge: added to the fitted variances, in units of the data's.
    """
    d = whole("dim", dim, 1)
    a = share_of_model(correction_strength)
    law = moments(rows, correction_strength, ridge=number("ridge", ridge))
    square = _second_moment(rows, responses(rows, a), law, a, d)
    mean_part = d * law.mean_square
    root = np.zeros_like(square)
    alive = square > 0
    root[alive] = law.variance[alive] ** 0.75 * square[alive] ** -0.125
    covariance_part = np.maximum(d * (law.variance + 1.0 - 2.0 * root), 0.0)
    return Wasserstein(_mean_root(mean_part, covariance_part, d), mean_part, covariance_part)


def _second_moment(rows: Plan, weights: Responses, law: Moments, a: float, d: int) -> np.ndarray:
    """E of the squared eigenvalues of C, float64 (T + 1,)."""
    m2, size = law.mean_square, len(law.mean_square)
    m4 = d * (d + 2) * m2**2
    own = weights.real**2 / rows.real[0] + weights.fresh
    traced, squared = np.zeros(size), np.zeros(size)  # E (tr R)^2 - d^2 and E tr R^2 - d
    traced_noise, squared_noise = np.zeros(size), np.zeros(size)
    for t in range(size):
        past = weights.synthetic[t, : t + 1]
        traced[t] = own[t] * 2 * d + past @ traced_noise[: t + 1]
        squared[t] = own[t] * d * (d + 1) + past @ squared_noise[: t + 1]
        if t + 1 < size:
            fourth = d * (d + 2) + a * (traced[t] + 2 * squared[t] - 2 * m4[t])
            traced_noise[t + 1] = fourth - d * d - a * a * traced[t]
            squared_noise[t + 1] = fourth - d - a * a * squared[t]
    spread = (squared + d - m4) / d - 2 * m2 * law.variance
    return np.maximum(spread, law.variance**2)


def _mean_root(mean_part: np.ndarray, covariance_part: np.ndarray, d: int) -> np.ndarray:
    """E of the root of a chi-squared variable with the mean and variance of the two parts' sum."""
    from scipy.special import gammaln

    total = mean_part + covariance_part
    half_variance = mean_part**2 / d + covariance_part**2 / (d * (d + 1) / 2)
    result = np.zeros_like(total)
    alive = half_variance > 0
    freedom = total[alive] ** 2 / half_variance[alive]
    factor = np.sqrt(2.0 / freedom) * np.exp(gammaln((freedom + 1) / 2) - gammaln(freedom / 2))
    result[alive] = np.sqrt(total[alive]) * factor
    return result
