r"""The risk of a loop with finitely many rows, where a law is exact for them: beside the planner's limit of many rows.

With n real rows, k synthetic rows a generation, p parameters, noise variance $\sigma^2$ and $c_N = \sigma^2 p/(N-p-1)$:

* least squares, new inputs in every generation: replace $c_n + t\,c_k$; accumulate
  $c_n + \sum_{i\le t}\frac{k}{N_i}\,c_{N_i}$ with $N_i = n + ik$ rows in generation i. The step of the coefficients is
  $S_i^{-1}X_i^\top\varepsilon_i$ with $S_i$ the Gram matrix of all $N_i$ rows, and by their exchangeability
  $E\,\mathrm{tr}\,S_i^{-2}X_i^\top X_i = \frac{k}{N_i}E\,\mathrm{tr}\,S_i^{-1}$ (k = n: `regression.risk`).
* least squares, the same inputs with new labels: fixed_real and fresh_real with a whole `synthetic_ratio`.
* a Gaussian whose mean and covariance are fitted: `gaussian.moments` in every regime, with ideal correction and a
  distorted sampler too; accumulate_subsample with as many synthetic as real rows.
"""

from __future__ import annotations

import math

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory import gaussian, regression, rows
from ouroloop.theory.arguments import choice, number, whole
from ouroloop.theory.budget import MODELS, real_risk

__all__ = ["finite_risk"]

_MOST_STEPS = 10_000_000  # generations that are summed over


def finite_risk(
    model: str,
    regime: str,
    generation: int,
    n_real: int,
    dimension: int,
    noise_variance: float,
    synthetic_ratio: float = 1.0,
    *,
    correction_strength: float = 0.0,
    sampler_distortion: float = 1.0,
) -> float:
    """Exact risk of generation t of a run, NaN where no exact law is known.

    Args:
        model: "least_squares" or "gaussian", see `budget`.
        regime: its name.
        generation: t >= 0; 0 is the model of the real data.
        n_real, dimension, noise_variance: see `budget.real_risk`.
        synthetic_ratio: synthetic rows per real row, rounded up to whole rows.
        correction_strength, sampler_distortion: other than 0 and 1 for the Gaussian alone.

    >>> round(finite_risk("least_squares", "accumulate", 4, 100, 10, 1.0), 4)
    0.1609
    >>> round(finite_risk("gaussian", "replace", 19, 100, 1, 1.0), 4)  # 1 - (1 - 1/n)^20
    0.1821
    """
    choice("model", model, MODELS)
    t, n = whole("generation", generation), whole("n_real", n_real, 1)
    ratio = number("synthetic_ratio", synthetic_ratio)
    if not math.isfinite(ratio * n):
        raise SpecError(f"synthetic_ratio: must make a finite number of rows, got {ratio:g}")
    drawn = math.ceil(ratio * n - 1e-9)
    start = real_risk(model, n, dimension, noise_variance)
    if t == 0 or (drawn == 0 and regime != "replace"):
        return start
    if drawn == 0:
        return math.inf  # no row to train on
    if model == "gaussian":
        unit = _gaussian(regime, t, n, ratio, drawn, correction_strength, sampler_distortion)
        return unit * noise_variance * dimension
    if sampler_distortion != 1.0 or correction_strength:
        return math.nan
    return _least_squares(regime, t, n, drawn, dimension, noise_variance, ratio)


def _gaussian(regime: str, t: int, n: int, ratio: float, drawn: int, strength: float, stretch: float) -> float:
    """Squared error of the mean, in units of the data's variance."""
    if regime == "accumulate_subsample":
        if ratio != 1.0 or strength or stretch != 1.0:
            return math.nan
        return float(gaussian.mean_squared_error(regime, t + 1, n))
    if t > rows.MAX_GENERATIONS:
        return math.nan
    law = gaussian.moments(rows.plan(regime, t, n, drawn), strength, sampler_distortion=stretch)
    return float(law.mean_square[-1])


def _least_squares(regime: str, t: int, n: int, drawn: int, dimension: int, noise: float, ratio: float) -> float:
    if regime == "replace":
        return float(regression.relabelled_risk(t, drawn, dimension, noise, n, noise))
    if regime == "accumulate" and t <= _MOST_STEPS:
        total = n + drawn * np.arange(1.0, t + 1.0)
        steps = drawn / total * np.asarray(regression.one_fit_risk(total, dimension, noise))
        return real_risk("least_squares", n, dimension, noise) + float(steps.sum())
    if regime in ("fixed_real", "fresh_real") and ratio == int(ratio):
        return float(regression.risk(regime, t + 1, n, dimension, noise, synthetic_ratio=ratio))
    return math.nan
