r"""Exact laws of Gaussian loops with finitely many rows: sample mean and covariance, refitted in every generation.

Units: the data are $N(\mu_0, \Sigma_0)$ and everything is affine equivariant, so $m_t - \mu_0$ is measured in
$\Sigma_0^{1/2}$ and every coordinate obeys the one-dimensional law. With $a = 1/(1+\gamma)$, ideal correction, sampling
variance $s^2 v$ and the weights of `rows`:

$$ E[y^2] = a\,(s^2 E v_{i-1} + E m_{i-1}^2) + 1 - a, \qquad
   E m_t^2 = \frac{g_t^2}{n} + f_t + \sum_{i \le t} K_{ti}\,\big(E[y_i^2] - a^2 E m_{i-1}^2\big), $$

and $E v_t$ is the mean of the rows' second moments minus $E m_t^2$. For a faithful sampler ($s^2 = 1$, covariance over
n rows) the raw second moment never drifts, so $E v_t = 1 - E m_t^2$ in every regime: what the variance loses, the mean
gains.

Source:
    Replace and accumulate: Kazdan et al., arXiv 2410.16713 (the limit $\sin(\pi/\sqrt n)/(\pi/\sqrt n)$), Bertrand et
    al., arXiv 2310.00429 (the factor of the standard deviation). The general law, the other limits and all finite-n
    values are derived here and checked by simulation (docs/theory.md).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import (
    Values,
    choice,
    flags,
    number,
    numbers,
    plain,
    share_of_model,
    together,
    whole,
    wholes,
)
from ouroloop.theory.gaussian_steps import Track, run
from ouroloop.theory.rows import Plan, Responses, responses

__all__ = [
    "LAWS",
    "Moments",
    "limit",
    "mean_squared_error",
    "median_variance",
    "moments",
    "replace_log_variance",
    "replace_standard_deviation",
    "variance",
]

_EXACT = 2.0**52  # up to it floating point has fractions
LAWS = ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real")


def variance(
    regime: str,
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    unbiased: npt.ArrayLike = False,
    *,
    synthetic_ratio: npt.ArrayLike = 1.0,
    sampler_distortion: npt.ArrayLike = 1.0,
) -> Values:
    r"""$E v_t$ of the t-th fit over the data's variance, per coordinate; exact for any number of rows.

    | regime               | maximum likelihood: over the rows       | unbiased: over the rows less 1            |
    |----------------------|-----------------------------------------|-------------------------------------------|
    | replace              | $(1-1/n)^t$                             | $1$                                       |
    | accumulate           | $\prod_{k\le t}(1-\frac1{nk^2})$        | $\prod_{2\le k\le t}(1-\frac1{k(kn-1)})$  |
    | accumulate_subsample | product of the factors below            | the same with f = 1                       |
    | fixed_real           | $1 - E m_t^2$, see `mean_squared_error` | linear recursion of $E m^2$ and $E v$     |
    | fresh_real           | $1 - E m_t^2$                           | the same                                  |

    accumulate_subsample fits n rows drawn without replacement from the kn so far. Their variance (over kn - 1) is
    multiplied by $[kn-1+(n-1)f+\frac{k}{k+1}(f+1-\frac1k)]/(kn+n-1)$ with $f = 1-\frac1n$, and the fit is f times it.
    Unbiased, it grows about as $t^{1/n}$, since the batches' means drift apart.

    Args:
        regime: one of `LAWS`.
        generation: t >= 0; 1 is the fit to the real data, 0 the data's distribution (variance 1).
        n: real rows, and synthetic ones a generation, at least 1; at least 2 if `unbiased`.
        unbiased: whether to divide the covariance by the rows less 1. Then the *mean* of the variance stays (replace),
            while a typical run's goes to 0: see `median_variance`.
        synthetic_ratio: synthetic per real row; other than 1 for fixed_real and fresh_real, where it may be 0 and
            must otherwise make at least one row; rounded up to whole rows, as a run does.
        sampler_distortion: $s^2 > 0$, by which the sampler inflates the variance; MAD's sampling bias is below 1. Other
            than 1 for replace, fixed_real and fresh_real. Infinite values are unstable loops beyond floating point.

    >>> round(variance("replace", 2, 10), 4), variance("replace", 2, 10, unbiased=True)
    (0.81, 1.0)
    >>> round(variance("accumulate", 100, 10), 5)  # towards sin(x)/x, x = pi/sqrt(n)
    0.84428
    """
    return plain(_track(regime, generation, n, unbiased, synthetic_ratio, sampler_distortion).variance)


def mean_squared_error(
    regime: str,
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    unbiased: npt.ArrayLike = False,
    *,
    synthetic_ratio: npt.ArrayLike = 1.0,
    sampler_distortion: npt.ArrayLike = 1.0,
) -> Values:
    r"""$E m_t^2$, squared error of the t-th fitted mean over the data's variance, per coordinate; exact.

    With the maximum-likelihood covariance $1 - E v_t$ in every regime but accumulate_subsample, and in closed form
    $1-(1-\frac1n)^t$ for replace, $\frac1n + D(1-\rho^t)$ for fixed_real with $r = \frac\lambda{1+\lambda}$,
    $\rho = r^2(1-\frac1{\lambda n})$, $D = \frac{r^2}{\lambda n}\frac{1-1/n}{1-\rho}$; $t/n$ for replace if unbiased.

    Args:
        See `variance`.

    >>> round(mean_squared_error("replace", 20, 100, unbiased=True), 4), mean_squared_error("replace", 0, 5)
    (0.2, 0.0)
    """
    return plain(_track(regime, generation, n, unbiased, synthetic_ratio, sampler_distortion).mean_square)


def _track(
    regime: str,
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    unbiased: npt.ArrayLike,
    synthetic_ratio: npt.ArrayLike,
    sampler_distortion: npt.ArrayLike,
) -> Track:
    choice("regime", regime, LAWS)
    t, rows, unbiased = _fits(generation, n, unbiased)
    ratio = numbers("synthetic_ratio", synthetic_ratio)
    stretch = numbers("sampler_distortion", sampler_distortion, above=True)
    if regime not in ("fixed_real", "fresh_real") and (ratio != 1.0).any():
        raise SpecError(f"synthetic_ratio: the law of regime '{regime}' is known for 1 alone; see `moments` for others")
    if regime in ("accumulate", "accumulate_subsample") and (stretch != 1.0).any():
        raise SpecError(f"sampler_distortion: the law of regime '{regime}' is known for 1 alone; see `moments`")
    t, rows, unbiased, ratio, stretch = together(
        generation=t, n=rows, unbiased=unbiased, synthetic_ratio=ratio, sampler_distortion=stretch
    )
    with np.errstate(over="ignore"):
        made = ratio * rows
    if ((made < 1.0) & (ratio > 0.0)).any():
        raise SpecError("synthetic_ratio: must be 0 or make at least one synthetic row of n real ones")
    whole_rows = np.isfinite(made) & (made < _EXACT)
    ratio = np.where(whole_rows, np.ceil(np.where(whole_rows, made, 0.0) - 1e-9) / rows, ratio)  # as the regimes round
    found = Track(np.empty(t.shape), np.empty(t.shape))
    for ddof, here in enumerate((~unbiased, unbiased)):
        found.mean_square[here], found.variance[here] = run(
            regime, t[here], rows[here], ratio[here], stretch[here], ddof
        )
    return found


def _fits(
    generation: npt.ArrayLike, n: npt.ArrayLike, unbiased: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arguments as arrays of one shape, where n rows have the covariance that is asked for."""
    t, rows, unbiased = together(
        generation=wholes("generation", generation), n=wholes("n", n, 1), unbiased=flags("unbiased", unbiased)
    )
    if (unbiased & (rows < 2.0)).any():
        raise SpecError("n: must be >= 2 where `unbiased`, since one row less 1 leaves none to divide by; got 1")
    return t, rows, unbiased


def median_variance(generation: npt.ArrayLike, n: npt.ArrayLike, unbiased: npt.ArrayLike = False) -> Values:
    r"""Typical variance of regime replace after t fits: $\exp E\log v_t = e^{t(\psi(\frac{n-1}2)+\log\frac2{n-c})}$.

    The median's limit as t grows ($\log v_t$ is a sum of t independent terms), about $e^{-2t/n}$ for maximum
    likelihood and $e^{-t/n}$ unbiased. Asymptotic as a median, exact as the exponential of the mean logarithm.

    Args:
        generation: t >= 0. n: rows a generation, at least 1 (2 if `unbiased`); 0 from the first fit to one row on.
        unbiased: c = 1 rather than 0.

    >>> round(median_variance(100, 100), 3), round(median_variance(100, 100, unbiased=True), 3)
    (0.133, 0.363)
    """
    t, rows, unbiased = _fits(generation, n, unbiased)
    factor = np.empty(rows.shape)
    for ddof, here in enumerate((~unbiased, unbiased)):
        for k in np.unique(rows[here]):
            factor[here & (rows == k)] = _log_factor(k, 1, ddof)
    with np.errstate(over="ignore"):
        return plain(np.exp(np.multiply(t, factor, out=np.zeros(rows.shape), where=t > 0.0)))


@dataclass(frozen=True, eq=False)
class Moments:
    """Second moments of a Gaussian loop in units of the data's variance, per coordinate, for t = 0..T.

    Attributes:
        mean_square: float64 (T + 1,), $E m_t^2$, squared error of the fitted mean.
        variance: float64 (T + 1,), $E v_t$, the fitted variance.
    """

    mean_square: np.ndarray
    variance: np.ndarray


def moments(
    rows: Plan,
    correction_strength: float = 0.0,
    *,
    sampler_distortion: float = 1.0,
    ridge: float = 0.0,
    ddof: int = 0,
) -> Moments:
    r"""$E m_t^2$ and $E v_t$, exact for any number of rows.

    Args:
        rows: which rows each generation trains on.
        correction_strength: $\gamma \ge 0$ of the ideal corrector; infinity replaces every row by a fresh real one.
        sampler_distortion: $s^2 > 0$, by which sampling inflates the variance; 1 is faithful.
        ridge: added to the fitted variance, in units of the data's (SCSC's code adds 1e-6).
        ddof: 0 for the maximum-likelihood covariance (over n), 1 for the unbiased one (over n - 1).

    Returns:
        The moments; infinite from the generation on where an unstable loop leaves floating point.

    >>> from ouroloop.theory.rows import plan
    >>> law = moments(plan("accumulate", 2, n_real=10, draws=10))
    >>> law.variance.round(5).tolist()
    [0.9, 0.8775, 0.86775]
    """
    a = share_of_model(correction_strength)
    stretch = number("sampler_distortion", sampler_distortion, above=True)
    ridge = number("ridge", ridge)
    n = rows.rows
    if whole("ddof", ddof) > 1 or (n <= ddof).any():
        raise SpecError(f"ddof: must be 0, or 1 where every generation trains on 2 rows or more; got {ddof}")
    with np.errstate(over="ignore", invalid="ignore"):
        return _moments(rows, responses(rows, a), a, stretch, ridge, ddof)


def _moments(rows: Plan, weights: Responses, a: float, stretch: float, ridge: float, ddof: int) -> Moments:
    n = rows.rows.astype(np.float64)
    size = len(n)
    mean_square, variance = np.full(size, np.inf), np.full(size, np.inf)
    row = np.zeros(size)  # second moment of a row drawn in generation i
    noise = np.zeros(size)  # the part of it that generation i - 1 did not determine
    own = weights.real**2 / rows.real[0] + weights.fresh
    for t in range(size):
        if t:
            row[t] = a * (stretch * variance[t - 1] + mean_square[t - 1]) + 1.0 - a
            noise[t] = row[t] - a * a * mean_square[t - 1]
        raw = (rows.real[t] + rows.fresh[t] + rows.counts[t, 1 : t + 1] @ row[1 : t + 1]) / n[t]
        square = own[t] + weights.synthetic[t, 1 : t + 1] @ noise[1 : t + 1]
        if not (np.isfinite(raw) and np.isfinite(square)):
            break  # an unstable loop beyond floating point: infinity from here on
        mean_square[t] = square
        variance[t] = max(raw - square, 0.0) * n[t] / (n[t] - ddof) + ridge
    return Moments(mean_square, variance)


def limit(regime: str, n_real: int, draws: int, correction_strength: float = 0.0) -> tuple[float, float]:
    r"""Limits of ($E m_t^2$, $E v_t$) as t grows; faithful sampler, covariance over n rows.

    * fixed_real: $M = (B + K)/(1 + K a^2)$ with $\lambda = k/n$, $B = \frac1n (1+\lambda(1-a))^{-2}$,
      $K = \frac{k}{(n+k)^2}\big/\big(1-(\tfrac{a\lambda}{1+\lambda})^2\big)$.
    * fresh_real: the same $K$ with $B = \frac{n}{(n+k)^2}\big/\big(1-(\tfrac{a\lambda}{1+\lambda})^2\big)$.
    * replace: $M = 1/(k(1-a^2)+a^2)$: 1 without correction.
    * accumulate: 0 with correction; without, $1 - M = (1-\tfrac1n)\,\Gamma(1+x)^2/(\Gamma(1+x-b)\Gamma(1+x+b))$ with
      $x = n/k$, $b = 1/\sqrt k$, which is $\sin(\pi/\sqrt n)/(\pi/\sqrt n)$ for k = n.

    Raises:
        SpecError: a regime without a closed limit (linear_accumulate without correction), or a bad number.
    """
    n, k = whole("n_real", n_real, 1), whole("draws", draws)
    a = share_of_model(correction_strength)
    square = _limit(regime, n, k, a)
    return square, 1.0 - square


def _limit(regime: str, n: int, k: int, a: float) -> float:
    if regime == "real_only" or (k == 0 and regime in ("fixed_real", "fresh_real", "accumulate", "linear_accumulate")):
        return 1.0 / n
    if regime in ("fixed_real", "fresh_real"):
        kept = 1.0 - (a * k / (n + k)) ** 2
        gain = k / (n + k) ** 2 / kept
        own = 1.0 / n / (1.0 + k / n * (1.0 - a)) ** 2 if regime == "fixed_real" else n / (n + k) ** 2 / kept
        return (own + gain) / (1.0 + gain * a * a)
    if regime == "replace" and k:
        return 1.0 / (k * (1.0 - a * a) + a * a)
    if regime in ("accumulate", "linear_accumulate") and a < 1.0:
        return 0.0
    if regime == "accumulate":
        x, b = n / k, 1.0 / math.sqrt(k)
        if 1.0 + x - b <= 0.0:
            return 1.0
        product = 2 * math.lgamma(1 + x) - math.lgamma(1 + x - b) - math.lgamma(1 + x + b)
        return 1.0 - (1.0 - 1.0 / n) * math.exp(product)
    raise SpecError(f"regime: no closed limit for '{regime}' with draws = {k} and this correction_strength")


def replace_log_variance(n_real: int, draws: int, generations: int, dim: int = 1, ddof: int = 0) -> np.ndarray:
    r"""$E \log\det\Sigma_t - \log\det\Sigma_0$ of regime replace without correction: the typical path.

    Each fit multiplies the determinant by that of a Wishart matrix:
    $\sum_{j=1}^d \psi\big(\tfrac{n-j}{2}\big) + d\log\tfrac{2}{n-\mathrm{ddof}}$. The mean of the variance can stay 1
    while the typical path goes to 0: report this, or medians, beside means.

    Args:
        n_real, draws: rows of generation 0 and of every later one.
        generations: last generation. dim: d, number of coordinates. ddof: 0 or 1.

    Returns:
        float64 (generations + 1,); -infinity from the first generation with no more than `dim` rows, whose
        covariance is singular.
    """
    n, k = whole("n_real", n_real, 1), whole("draws", draws, 1)
    steps = [_log_factor(n, dim, ddof)] + [_log_factor(k, dim, ddof)] * whole("generations", generations)
    return np.cumsum(steps)


def _log_factor(n: float, dim: int, ddof: int) -> float:
    from scipy.special import psi

    if n <= whole("dim", dim, 1):
        return -math.inf
    j = np.arange(1.0, dim + 1.0)
    left = n - j
    if left[-1] < 1e4:
        return float((psi(left / 2) + math.log(2 / (n - ddof))).sum())
    # psi(x) = log x - 1/(2x) - 1/(12 x^2), so that the logarithms do not cancel
    return float((np.log1p((ddof - j) / (n - ddof)) - 1.0 / left - 1.0 / left / left / 3.0).sum())


def replace_standard_deviation(n_real: int, draws: int, generations: int, ddof: int = 0) -> np.ndarray:
    r"""$E\sqrt{v_t}$ of regime replace in one dimension, float64 (generations + 1,).

    Each fit multiplies by $\sqrt{2/(n-\mathrm{ddof})}\;\Gamma(n/2)/\Gamma((n-1)/2)$; 0 after a fit to a single row.
    """
    n, k = whole("n_real", n_real, 1), whole("draws", draws, 1)
    steps = [_root_factor(n, ddof)] + [_root_factor(k, ddof)] * whole("generations", generations)
    return np.cumprod(steps)


def _root_factor(n: int, ddof: int) -> float:
    if n < 2:
        return 0.0
    return math.sqrt(2 / (n - ddof)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))
