r"""Risk of least squares that is retrained on its own labels, in every regime.

Generation 1 fits $y = Xw^* + \sigma\varepsilon$ on n real rows with inputs $x \sim N(0, I_d)$; generation t + 1 fits
labels $y = Xw_t + \sigma\varepsilon$. Risk is $E|w_t - w^*|^2$, the excess error on a new noiseless row. With
$c = \sigma^2 d/(n-d-1)$:

| regime               | risk of generation t                                                    | validity           |
|----------------------|-------------------------------------------------------------------------|--------------------|
| replace              | $c\,t$, same or fresh inputs                                            | exact              |
| accumulate           | $c\sum_{k\le t} 1/k^2$, the same inputs with new labels                 | exact              |
| " , fresh inputs     | $\sigma^2 d \sum_{k\le t} \frac{1}{k(kn-d-1)}$                          | exact              |
| accumulate_subsample | $c\,A_t$, $A_t = V_t + 1 - 1/t$, $V_k = V_{k-1} + (2-\frac1{k-1})/k^2$  | asymptotic, n >> d |
| fixed_real           | $c\,(1+\lambda(1-q^{2(t-1)})/(1+2\lambda))$, $q = \lambda/(1+\lambda)$  | exact, same inputs |
| fresh_real           | $c\,(1+\lambda+\lambda q^{2(t-1)})/(1+2\lambda)$                        | exact, same inputs |

fixed_real and fresh_real train on the n real rows (fresh: with new labels of the true model) and on $\lambda$ sets of
synthetic labels of the same inputs. The fresh-input law of accumulate follows from $w_k - w_{k-1} = S_k^{-1}X_k^\top
\varepsilon_k$ with $S_k = \sum_{i\le k} X_i^\top X_i$ and the exchangeability of its terms; it is never above the one
with the same inputs.

Source:
    Gerstgrasser et al., arXiv 2404.01413 (replace, accumulate); Dohmatob et al., Model Collapse Demystified, arXiv
    2402.07712, and Strong Model Collapse, arXiv 2410.04840 (isotropic least squares); the others are derived here. All
    were checked by simulation (tests/theory/test_regression.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import Values, choice, common_shape, numbers, plain, together, wholes
from ouroloop.theory.risk import multiplier

__all__ = ["INPUTS", "REGIMES", "mixed_risk", "one_fit_risk", "relabelled_ridge_risk", "relabelled_risk", "risk"]

REGIMES = ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real")
INPUTS = ("same", "fresh")
_MAX_GENERATIONS = 10_000_000  # of the law that is a sum over generations


def risk(
    regime: str,
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    dimension: npt.ArrayLike,
    noise_variance: npt.ArrayLike,
    *,
    synthetic_ratio: npt.ArrayLike = 1.0,
    inputs: str = "same",
) -> Values:
    r"""$E|w_t - w^*|^2$ of the t-th fit: the module's table.

    Args:
        regime: one of `REGIMES`. accumulate_subsample is the limit of many more rows than coefficients: 20 % too low
            for 11 of them and 40 rows, 44 % for 32 and 100 (by simulation).
        generation: t >= 0; 1 is the fit to the real data, 0 the true coefficients (risk 0).
        n: rows a generation, at least 1; no more than `dimension` + 1 of them have infinite risk.
        dimension: d >= 1, number of coefficients.
        noise_variance: $\sigma^2 \ge 0$ of the labels, in every generation.
        synthetic_ratio: $\lambda \ge 0$, sets of synthetic labels a generation; other than 1 for fixed_real and
            fresh_real.
        inputs: "same" in every generation, or "fresh" ones (replace and accumulate).

    Raises:
        SpecError: an argument out of range, or a law that is not known.

    >>> round(risk("replace", 5, 100, 10, 1.0), 4), round(risk("accumulate", 5, 100, 10, 1.0), 4)
    (0.5618, 0.1645)
    """
    choice("regime", regime, REGIMES)
    t = wholes("generation", generation)
    unit = one_fit_risk(n, dimension, noise_variance)
    ratio = numbers("synthetic_ratio", synthetic_ratio)
    sizes = {"n": np.shape(n), "dimension": np.shape(dimension), "noise_variance": np.shape(noise_variance)}
    common_shape("shape", generation=t.shape, **sizes, synthetic_ratio=ratio.shape)
    if regime not in ("fixed_real", "fresh_real") and (ratio != 1.0).any():
        raise SpecError(f"synthetic_ratio: the law of regime '{regime}' is known for 1 alone")
    if choice("inputs", inputs, INPUTS) == "fresh" and regime not in ("replace", "accumulate"):
        raise SpecError(f"inputs: no closed risk of regime '{regime}' with fresh inputs; use inputs='same'")
    if regime == "accumulate" and inputs == "fresh":
        known = (np.asarray(size, np.float64) for size in (n, dimension, noise_variance))  # checked with `unit`
        return plain(_accumulate_fresh(*np.broadcast_arrays(t, *known)))
    steps = np.where(t > 0.0, multiplier(regime, np.maximum(t, 1.0), ratio), 0.0)
    steps, unit = np.broadcast_arrays(steps, unit)
    with np.errstate(over="ignore"):
        return plain(np.multiply(steps, unit, out=np.zeros(steps.shape), where=steps > 0.0))


def one_fit_risk(n: npt.ArrayLike, dimension: npt.ArrayLike, noise_variance: npt.ArrayLike) -> Values:
    r"""$c = \sigma^2 d/(n-d-1)$, the risk of least squares on n rows; infinity for n <= d + 1.

    Without noise 0 for n >= d; fewer rows do not determine the coefficients, which is said as infinity too.
    """
    rows, d = wholes("n", n, 1), wholes("dimension", dimension, 1)
    rows, d, noise = together(n=rows, dimension=d, noise_variance=numbers("noise_variance", noise_variance))
    spare = rows - d - 1.0
    share = np.divide(d, spare, out=np.full(rows.shape, np.inf), where=spare > 0.0)
    with np.errstate(over="ignore"):
        found = np.multiply(noise, share, out=np.where(rows >= d, 0.0, np.inf), where=noise > 0.0)
    return plain(found)


def _accumulate_fresh(t: np.ndarray, n: np.ndarray, d: np.ndarray, noise: np.ndarray) -> np.ndarray:
    r"""$\sum_{k\le t} c_{kn}/k$ with $c_{kn}$ the risk of one fit to kn rows."""
    last = int(t.max(initial=0))
    if last > _MAX_GENERATIONS:
        raise SpecError(f"generation: this law is summed up to {_MAX_GENERATIONS}, got {last}")
    k = np.arange(1.0, last + 1.0)
    found = np.zeros(t.shape)
    for rows, dimension, variance in {*zip(n.flat, d.flat, noise.flat, strict=True)}:
        with np.errstate(over="ignore"):
            total = np.minimum(k * rows, np.finfo(np.float64).max)
            table = np.concatenate([[0.0], np.cumsum(np.asarray(one_fit_risk(total, dimension, variance)) / k)])
        here = (n == rows) & (d == dimension) & (noise == variance)
        found[here] = table[t[here].astype(np.int64)]
    return found


def relabelled_risk(
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    dimension: npt.ArrayLike,
    noise_variance: npt.ArrayLike,
    last_n: npt.ArrayLike,
    last_noise_variance: npt.ArrayLike,
) -> Values:
    r"""A fit to labels that are t fake generations old: $\sigma^2 d/(T-d-1) + t\,\sigma_0^2 d/(T_0-d-1)$, exact.

    Args:
        generation: t >= 0, number of fake generations before the last fit.
        n, noise_variance: $T_0$ and $\sigma_0^2$ of each of them. dimension: d.
        last_n, last_noise_variance: $T$ and $\sigma^2$ of the last fit.

    Source:
        Model Collapse Demystified, arXiv 2402.07712, isotropic least squares.
    """
    t, rows, d, noise, last, last_noise = _relabelled(
        generation, n, dimension, noise_variance, last_n, last_noise_variance
    )
    with np.errstate(over="ignore"):
        return plain(_past(t, rows, d, noise) + np.asarray(one_fit_risk(last, d, last_noise)))


def _relabelled(
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    dimension: npt.ArrayLike,
    noise_variance: npt.ArrayLike,
    last_n: npt.ArrayLike,
    last_noise_variance: npt.ArrayLike,
    **others: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """The arguments, checked, as arrays of one shape."""
    return together(
        generation=wholes("generation", generation),
        n=wholes("n", n, 1),
        dimension=wholes("dimension", dimension, 1),
        noise_variance=numbers("noise_variance", noise_variance),
        last_n=wholes("last_n", last_n, 1),
        last_noise_variance=numbers("last_noise_variance", last_noise_variance),
        **others,
    )


def _past(t: np.ndarray, n: np.ndarray, dimension: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """The error of t fake generations; 0 without any."""
    unit = np.asarray(one_fit_risk(n, dimension, noise))
    with np.errstate(over="ignore"):
        return np.multiply(t, unit, out=np.zeros(t.shape), where=t > 0.0)


def relabelled_ridge_risk(
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    dimension: npt.ArrayLike,
    noise_variance: npt.ArrayLike,
    last_n: npt.ArrayLike,
    last_noise_variance: npt.ArrayLike,
    ridge: npt.ArrayLike,
    signal: npt.ArrayLike = 1.0,
) -> Values:
    r"""The same where the last fit is a ridge regression, which t fake generations call for more of.

    $$ E = \frac{s^2 (|w|^2 + e_t) + \sigma^2 f}{1 - f} + (1 - 2s)\,e_t, \qquad e_t = t \sigma_0^2 d/(T_0-d-1), $$

    with $\phi = d/T$, $\kappa^2 + \kappa(1 - \rho - \phi) = \rho$, shrinkage $s = \kappa/(1+\kappa)$ and
    $f = \phi/(1+\kappa)^2$. Asymptotic in d and T; 1.5 % at d = 50 (tests/theory/test_regression.py).

    Args:
        generation, n, dimension, noise_variance, last_n, last_noise_variance: see `relabelled_risk`; last_n >= 1.
        ridge: $\rho \ge 0$, the penalty of $|y - Xw|^2/T + \rho |w|^2$; infinity leaves the estimate 0.
        signal: $|w|^2 \ge 0$ of the true coefficients.

    Returns:
        The risk; infinity for ridge 0 with as many rows as coefficients, and where a fake generation has none.

    Source:
        Model Collapse Demystified, arXiv 2402.07712, ridge regression; the isotropic form is derived here.
    """
    t, rows, d, before, last, noise, penalty, size = _relabelled(
        generation,
        n,
        dimension,
        noise_variance,
        last_n,
        last_noise_variance,
        ridge=numbers("ridge", ridge, inf=True),
        signal=numbers("signal", signal),
    )
    past, load = _past(t, rows, d, before), d / last
    finite = np.where(np.isinf(penalty), 0.0, penalty)
    half = finite / 2.0 + load / 2.0 - 0.5
    root = np.hypot(half, np.sqrt(finite))
    with np.errstate(over="ignore"):  # the largest number will do for infinity below
        # the positive root, without the difference of two nearly equal numbers
        kappa = np.where(half > 0.0, half + root, finite / np.where(root > half, root - half, 1.0))
    kappa = np.minimum(kappa, np.finfo(np.float64).max)
    shrinkage = np.where(np.isinf(penalty), 1.0, kappa / (1.0 + kappa))
    freedom = np.where(np.isinf(penalty), 0.0, load * (1.0 / (1.0 + kappa)) ** 2)
    left = np.maximum(1.0 - freedom, 0.0)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        spread = np.where(left > 0.0, (shrinkage**2 * size + noise * freedom) / left, np.inf)
        weight = np.where(left > 0.0, shrinkage**2 / left + 1.0 - 2.0 * shrinkage, np.inf)
    spread = np.where((size == 0.0) & (noise == 0.0), 0.0, spread)
    return plain(spread + np.multiply(weight, past, out=np.zeros(past.shape), where=(weight > 0.0) & (past > 0.0)))


def mixed_risk(
    n_real: npt.ArrayLike,
    n_synthetic: npt.ArrayLike,
    dimension: npt.ArrayLike,
    noise_variance: npt.ArrayLike,
    distance: npt.ArrayLike,
) -> Values:
    r"""Least squares on real and synthetic rows of another truth: $c_N + c_2(p_2^2 + p_1p_2\,\phi/(1-\phi))$.

    With N rows in all, shares $p_1$ real and $p_2$ synthetic, $\phi = d/N$ and $c_2 = |w_{syn}-w^*|^2$. Asymptotic in
    d and N. The floor $c_2p_2^2$ stays however many rows there are: strong model collapse.

    Args:
        n_real, n_synthetic: rows of either kind, not both 0. dimension: d. noise_variance: of all labels.
        distance: $c_2 \ge 0$, squared distance of the synthetic truth.

    Returns:
        The risk; infinity where N <= d + 1.

    Source:
        Strong Model Collapse, arXiv 2410.04840; the isotropic form is derived here.
    """
    real, synthetic, d, noise, gap = together(
        n_real=wholes("n_real", n_real),
        n_synthetic=wholes("n_synthetic", n_synthetic),
        dimension=wholes("dimension", dimension, 1),
        noise_variance=numbers("noise_variance", noise_variance),
        distance=numbers("distance", distance),
    )
    with np.errstate(over="ignore", under="ignore"):
        total = wholes("n_real + n_synthetic", real + synthetic, 1)
        share, load = synthetic / total, d / total
        spread = np.divide(load, 1.0 - load, out=np.zeros(load.shape), where=load < 1.0)
        return plain(np.asarray(one_fit_risk(total, d, noise)) + gap * (share**2 + share * (1.0 - share) * spread))
