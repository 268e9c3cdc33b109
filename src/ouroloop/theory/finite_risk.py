r"""The risk of a loop with finitely many rows, where a law is exact for them: beside the planner's limit of many rows.

With n real rows, k synthetic rows a generation, p parameters, noise variance $\sigma^2$ and $c_N = \sigma^2 p/(N-p-1)$:

* least squares, new inputs in every generation: replace $c_n + t\,c_k$; accumulate
  $c_n + \sum_{i\le t}\frac{k}{N_i}\,c_{N_i}$ with $N_i = n + ik$ rows in generation i. The step of the coefficients is
  $S_i^{-1}X_i^\top\varepsilon_i$ with $S_i$ the Gram matrix of all $N_i$ rows, and by their exchangeability
  $E\,\mathrm{tr}\,S_i^{-2}X_i^\top X_i = \frac{k}{N_i}E\,\mathrm{tr}\,S_i^{-1}$ (k = n: `regression.risk`).
* least squares, the same inputs with new labels: fixed_real and fresh_real with a whole `synthetic_ratio`. Synthetic
  rows are the real rows' inputs, labelled again; fresh real rows are these inputs with new labels of the truth. Rows
  with inputs of their own have another risk, which for many rows is the same.
* least squares with perfect correction, $\gamma = \infty$: one fit to rows of the truth, all of which have inputs of
  their own: replace $c_k$, accumulate $c_{n+tk}$, accumulate_subsample $c_n$.
* a Gaussian whose mean and covariance are fitted: every regime, with ideal correction and a distorted sampler too
  (`gaussian_rows`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ouroloop.theory import gaussian_rows, risk, rows
from ouroloop.theory.arguments import choice, number, whole
from ouroloop.theory.budget import MODELS, real_risk
from ouroloop.theory.regression import one_fit_risk
from ouroloop.theory.series import sum_of

__all__ = ["REGIMES", "finite_risk", "unit_risks"]

REGIMES = (*rows.REGIMES, "accumulate_subsample")


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
        regime: of `REGIMES`; least squares needs the inputs that the module names.
        generation: t >= 0; 0 is the model of the real data.
        n_real, dimension, noise_variance: see `budget.real_risk`.
        synthetic_ratio: synthetic rows per real row, rounded up to whole rows.
        correction_strength, sampler_distortion: other than 0 (or infinity) and 1 for the Gaussian alone.

    Raises:
        SpecError: an argument out of its range.

    >>> round(finite_risk("least_squares", "accumulate", 4, 100, 10, 1.0), 4)
    0.1609
    >>> round(finite_risk("gaussian", "replace", 19, 100, 1, 1.0), 4)  # 1 - (1 - 1/n)^20
    0.1821
    """
    choice("regime", regime, REGIMES)
    t, drawn = whole("generation", generation), rows.drawn(synthetic_ratio, n_real)
    loop = {"correction_strength": correction_strength, "sampler_distortion": sampler_distortion}
    start = real_risk(model, n_real, dimension, noise_variance)
    unit = float(unit_risks(model, regime, [t], n_real, dimension, np.array([drawn], np.float64), **loop)[0, 0])
    if noise_variance > 0.0 or math.isnan(unit):
        return unit * float(noise_variance)
    # nothing to lose, but for a generation without enough rows to fit
    short = regime == "replace" and t > 0 and drawn < (dimension if model == "least_squares" else 1)
    return math.inf if short else start


def unit_risks(
    model: str,
    regime: str,
    generations: Sequence[int],
    n_real: int,
    dimension: int,
    drawn: np.ndarray,
    *,
    correction_strength: float = 0.0,
    sampler_distortion: float = 1.0,
) -> np.ndarray:
    """The same for noise variance 1 at several generations and numbers of synthetic rows.

    Args:
        model, regime, n_real, dimension, correction_strength, sampler_distortion: see `finite_risk`.
        generations: of a run, ascending.
        drawn: float64 (m,), whole numbers of synthetic rows a generation.

    Returns:
        float64 (len(generations), m).
    """
    choice("model", model, MODELS)
    choice("regime", regime, REGIMES)
    strength = number("correction_strength", correction_strength, inf=True)
    stretch = number("sampler_distortion", sampler_distortion, above=True)
    n, p = whole("n_real", n_real, 1), whole("dimension", dimension, 1)
    own = real_risk(model, n, p, 1.0)
    found = np.full((len(generations), len(drawn)), np.nan)
    some = drawn > 0.0
    found[:, ~some] = math.inf if regime == "replace" else own  # replace: no row to train on
    if model == "gaussian":
        found[:, some] = p * gaussian_rows.mean_squares(regime, generations, n, drawn[some], strength, stretch)
    elif regime == "real_only" or (strength == 0.0 and stretch == 1.0):
        for row, t in ((row, t) for row, t in enumerate(generations) if t):
            found[row, some] = _least_squares(regime, t, n, p, drawn[some])
    elif math.isinf(strength):
        for row, t in ((row, t) for row, t in enumerate(generations) if t):
            found[row, some] = _corrected_least_squares(regime, t, n, p, drawn[some])
    found[np.asarray(generations) == 0] = own
    return found


def _least_squares(regime: str, t: int, n: int, p: int, k: np.ndarray) -> np.ndarray:
    own = real_risk("least_squares", n, p, 1.0)
    if regime == "real_only":
        return np.full(k.shape, own)
    if regime == "replace":
        return own + t * np.asarray(one_fit_risk(k, p, 1.0))
    if regime == "accumulate":
        return own + _steps(t, n, p, k) if math.isfinite(own) else np.full(k.shape, own)
    if regime in ("fixed_real", "fresh_real"):
        return np.where(k % n == 0, own * np.asarray(risk.multiplier(regime, t + 1, k / n)), np.nan)
    return np.full(k.shape, np.nan)


def _corrected_least_squares(regime: str, t: int, n: int, p: int, k: np.ndarray) -> np.ndarray:
    rows_of_truth = {"replace": k, "accumulate": n + t * k, "accumulate_subsample": np.full(k.shape, float(n))}
    if regime not in rows_of_truth:
        return np.full(k.shape, np.nan)
    return np.asarray(one_fit_risk(rows_of_truth[regime], p, 1.0))


def _steps(t: int, n: int, p: int, k: np.ndarray) -> np.ndarray:
    r"""$\sum_{i\le t}\frac{k}{N_i}c_{N_i}$, whose terms are $\frac{p}{k\,(i+a)(i+b)}$, $a = (n-p-1)/k$, $b = n/k$."""
    a, b = (n - p - 1.0) / k, n / k

    def term(i: np.ndarray) -> np.ndarray:
        return p / k / (i + a) / (i + b)

    return sum_of(
        term,
        lambda i: p / (p + 1.0) * np.log1p(-(p + 1.0) / k / (i + b)),
        lambda i: -term(i) * (1.0 / (i + a) + 1.0 / (i + b)),
        t,
        len(k),
    )
