r"""Long-run risk of every regime, as a multiple of the risk of training on the real data once.

For estimators whose error is the average of their rows' errors (a Gaussian mean; least squares with T >> d), in the
limit of many rows, generation t = 0 being the model of the real data alone (risk 1). $\lambda$ is `synthetic_ratio`.

| regime               | risk of generation t                                     | limit                         |
|----------------------|----------------------------------------------------------|-------------------------------|
| real_only            | $1$                                                      | $1$                           |
| replace              | $1 + t/\lambda$                                          | grows without bound           |
| accumulate           | $1 + A_t$, $A_t = \sum_{s\le t}\lambda/(1+s\lambda)^2$     | $\pi^2/6$ for $\lambda = 1$   |
| accumulate_subsample | $1 + (2+\lambda)A_t$                                     | $\pi^2/2 - 2$, $\lambda = 1$  |
| fixed_real           | $1 + \lambda(1-q^{2t})/(1+2\lambda)$                     | $1+\lambda/(1+2\lambda)$      |
| fresh_real           | $(1+\lambda+\lambda q^{2t})/(1+2\lambda)$                | $(1+\lambda)/(1+2\lambda)$    |

with $q = \lambda/(1+\lambda)$. With an ideal corrector of strength $\gamma$ every synthetic row is, with probability
$\gamma/(1+\gamma)$, an independent draw of the data's distribution, so that a batch's mean is $a = 1/(1+\gamma)$ times
the model's, and noise: the risk of generation t is then

| regime               | risk with correction, $f = aq$                                                              |
|----------------------|---------------------------------------------------------------------------------------------|
| replace              | $a^{2t} + (1-a^{2t})/(\lambda(1-a^2))$                                                      |
| accumulate           | $P_t^2 + N_t$ of `accumulated_risk`                                                         |
| accumulate_subsample | $1 + a(2+\lambda a)N_t$                                                                     |
| fixed_real           | see `fixed_real`                                                                            |
| fresh_real           | $f^{2t} + (1-f^{2t})/((1+\lambda-\lambda a)(1+f))$                                          |

All of them fall with $\gamma$: errors are sums of noise with weights that are polynomials in a with coefficients >= 0.

Source:
    replace and accumulate for $\lambda = 1$: Gerstgrasser et al., arXiv 2404.01413; weighted fresh data: arXiv
    2502.18049. accumulate_subsample, fixed_real, the general $\lambda$ and correction are derived here; all were
    checked by simulation (docs/theory.md).
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory import accumulated_risk
from ouroloop.theory.arguments import (
    Values,
    choice,
    number,
    numbers,
    plain,
    shares_corrected,
    shares_of_model,
    together,
    whole,
    wholes,
)

__all__ = [
    "REGIMES",
    "accumulate",
    "accumulate_subsample",
    "fixed_real",
    "fixed_real_peak",
    "fresh_real",
    "fresh_real_weighted",
    "golden_weight",
    "multiplier",
    "replace",
    "risk",
]

REGIMES = ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real", "real_only")
_SMALL = 1e-300  # corrected share below which there is no correction


def multiplier(
    regime: str, generation: npt.ArrayLike, synthetic_ratio: npt.ArrayLike = 1.0, correction_strength: npt.ArrayLike = 0
) -> Values:
    """The table's risk with every argument an array that broadcasts; generation 1 is the model of the real data.

    Args:
        regime: one of `REGIMES`.
        generation: t >= 1, the t-th fit (t - 1 in the table and in a run).
        synthetic_ratio: synthetic rows per real row and generation; above 0 for replace.
        correction_strength: of the ideal corrector.

    Raises:
        SpecError: an argument out of its range.

    >>> multiplier("replace", [1, 2, 10]).tolist(), round(multiplier("accumulate", 10**6), 3)
    ([1.0, 2.0, 10.0], 1.645)
    >>> multiplier("replace", [2, 10**9], 1.0, correction_strength=1.0).round(3).tolist()
    [1.25, 1.333]
    """
    choice("regime", regime, REGIMES)
    t = wholes("generation", generation, 1) - 1.0
    ratio, strength = (
        numbers("synthetic_ratio", synthetic_ratio),
        numbers("correction_strength", correction_strength, inf=True),
    )
    if regime == "replace":
        ratio = numbers("synthetic_ratio", ratio, above=True)
    t, ratio, strength = together(generation=t, synthetic_ratio=ratio, correction_strength=strength)
    laws = {
        "replace": lambda: _replace(t, ratio, strength),
        "accumulate": lambda: accumulated_risk.accumulate(t, ratio, strength),
        "accumulate_subsample": lambda: accumulated_risk.accumulate_subsample(t, ratio, strength),
        "fixed_real": lambda: _fixed_real(t, ratio, strength),
        "fresh_real": lambda: _fresh_real(t, ratio, strength),
        "real_only": lambda: np.ones(t.shape),
    }
    with np.errstate(divide="ignore", over="ignore", under="ignore"):  # logarithms of 0, risks beyond float64
        return plain(laws[regime]())


def _replace(t: np.ndarray, ratio: np.ndarray, strength: np.ndarray) -> np.ndarray:
    share, left = shares_of_model(strength), shares_corrected(strength)
    power = -2.0 * np.multiply(t, np.log1p(strength), out=np.zeros(t.shape), where=t > 0.0)
    noise = np.divide(-np.expm1(power), left * (1.0 + share), out=t.copy(), where=left > _SMALL)
    return np.exp(power) + noise / ratio


def _fixed_real(t: np.ndarray, ratio: np.ndarray, strength: np.ndarray) -> np.ndarray:
    share, q = shares_of_model(strength), ratio / (1.0 + ratio)
    power = _log_power(t, ratio, share)
    kept = 1.0 / (1.0 + ratio * (1.0 - share))
    # L/(1+L)^2 (1 - factor^(2t))/(1 - factor^2), factor = q share, in a form that holds for any ratio
    noise = q * kept / (1.0 + q * share) * -np.expm1(2.0 * power)
    return (kept + (1.0 - kept) * np.exp(power)) ** 2 + noise


def _fresh_real(t: np.ndarray, ratio: np.ndarray, strength: np.ndarray) -> np.ndarray:
    share, power = shares_of_model(strength), 2.0 * _log_power(t, ratio, shares_of_model(strength))
    factor = share * ratio / (1.0 + ratio)
    return np.exp(power) - np.expm1(power) / (1.0 + ratio * shares_corrected(strength)) / (1.0 + factor)


def _log_power(t: np.ndarray, ratio: np.ndarray, share: np.ndarray) -> np.ndarray:
    r"""$t \log\frac{a\lambda}{1+\lambda}$, 0 for t = 0, whatever the rest."""
    log = np.log(share) - np.log1p(1.0 / ratio)
    return np.multiply(t, log, out=np.zeros(t.shape), where=t > 0.0)


def replace(generations: int, synthetic_ratio: float = 1.0, correction_strength: float = 0.0) -> np.ndarray:
    r"""$1 + t/\lambda$, or with correction $a^{2t} + (1-a^{2t})/(\lambda(1-a^2))$, float64 (generations + 1,).

    >>> replace(3).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return risk("replace", generations, synthetic_ratio, correction_strength)


def accumulate(generations: int, synthetic_ratio: float = 1.0, correction_strength: float = 0.0) -> np.ndarray:
    r"""$1 + \sum_{s=1}^t \lambda/(1+s\lambda)^2$, with correction see `accumulated_risk`; float64 (generations + 1,).

    >>> accumulate(2).round(4).tolist()
    [1.0, 1.25, 1.3611]
    """
    return risk("accumulate", generations, synthetic_ratio, correction_strength)


def accumulate_subsample(
    generations: int, synthetic_ratio: float = 1.0, correction_strength: float = 0.0
) -> np.ndarray:
    r"""As many rows as there are real ones, drawn without replacement from all rows so far.

    The risk is the pool's own error and that of the subset, which its own rows pass on: $3\sum_{j\le t+1} 1/j^2 - 2$
    for $\lambda = 1$ without correction. Too high for few rows, whose pool varies less (t = 1: by $\frac1{8n-4}$, 5 %
    at n = 2, for $\lambda = 1$).

    >>> accumulate_subsample(1).round(6).tolist()
    [1.0, 1.75]
    """
    return risk("accumulate_subsample", generations, synthetic_ratio, correction_strength)


def fixed_real(generations: int, synthetic_ratio: float, correction_strength: float = 0.0) -> np.ndarray:
    r"""The same real data and $\lambda$ fresh synthetic rows per real row, with or without ideal correction.

    $g_t^2 + \tfrac{\lambda}{(1+\lambda)^2}\tfrac{1-q^{2t}}{1-q^2}$ with $q = \tfrac{\lambda}{(1+\lambda)(1+\gamma)}$
    and $g_t = g + (1-g)q^t$, $g = 1/(1+\lambda\gamma/(1+\gamma))$, the factor left of the real sample's error.

    Args:
        generations: last generation. synthetic_ratio: $\lambda \ge 0$. correction_strength: $\gamma \ge 0$.
    """
    return risk("fixed_real", generations, synthetic_ratio, correction_strength)


def fixed_real_peak(synthetic_ratio: float, correction_strength: float = 0.0) -> float:
    r"""The generation t >= 1 of a run with the largest risk under `fixed_real`; infinity where the limit has it.

    With correction the risk rises, while synthetic noise gathers, and falls again, as the real sample's own error is
    corrected away: in $p = q^t$ it is the quadratic $(g+(1-g)p)^2 + N(1-p^2)$, largest at $p = g(1-g)/(N-(1-g)^2)$.
    Where the risk falls from the start, it is at most 1 and the limit is as good an answer.

    >>> fixed_real_peak(1.0), fixed_real_peak(5.0, 0.03)
    (inf, 6.0)
    """
    ratio = number("synthetic_ratio", synthetic_ratio)
    share = 1.0 / (1.0 + number("correction_strength", correction_strength, inf=True))
    factor = share * ratio / (1.0 + ratio)
    lost = 1.0 - 1.0 / (1.0 + ratio * (1.0 - share))
    curvature = ratio / (1.0 + ratio) ** 2 / (1.0 - factor**2) - lost**2
    at = lost * (1.0 - lost) / curvature if curvature > 0.0 else math.inf
    if factor == 0.0 or not 0.0 < at < 1.0:
        return math.inf
    before = max(1.0, math.floor(math.log(at) / math.log(factor)))
    return min((before, before + 1.0), key=lambda t: abs(factor**t - at))  # a quadratic is symmetric about its peak


def fresh_real(generations: int, synthetic_ratio: float, correction_strength: float = 0.0) -> np.ndarray:
    r"""New real rows in every generation, pooled with $\lambda$ synthetic rows per real row."""
    return risk("fresh_real", generations, synthetic_ratio, correction_strength)


def fresh_real_weighted(generations: int, real_weight: float, synthetic_ratio: float = 1.0) -> np.ndarray:
    r"""New real rows with weight w and synthetic ones with 1 - w: $V_{t+1} = w^2 + (1-w)^2 (V_t + 1/\lambda)$.

    Args:
        generations: last generation.
        real_weight: w in [0, 1]; 1/(1 + synthetic_ratio) weighs all rows alike.
        synthetic_ratio: $\lambda > 0$.
    """
    w = number("real_weight", real_weight)
    if w > 1.0:
        raise SpecError(f"real_weight: must be at most 1, got {w}")
    other = (1.0 - w) ** 2
    step = w * w + other / number("synthetic_ratio", synthetic_ratio, above=True)
    t = np.arange(whole("generations", generations) + 1, dtype=np.float64)
    power = other**t
    total = (1.0 - power) / (1.0 - other) if other < 1.0 else t
    return power + step * total


def golden_weight(synthetic_ratio: float = 1.0) -> float:
    r"""The weight of fresh real rows that minimises the long-run risk, $(\sqrt{k^2+4k}-k)/2$ with $k = 1/\lambda$.

    >>> round(golden_weight(1.0), 4)
    0.618
    """
    k = 1.0 / number("synthetic_ratio", synthetic_ratio, above=True)
    return 2.0 / (1.0 + math.sqrt(1.0 + 4.0 / k))


def risk(regime: str, generations: int, synthetic_ratio: float, correction_strength: float = 0.0) -> np.ndarray:
    """The multiplier of a regime by name for generations 0..generations of a run, float64 (generations + 1,).

    Raises:
        SpecError: see `multiplier`.
    """
    fits = np.arange(whole("generations", generations) + 1) + 1
    return np.asarray(multiplier(regime, fits, synthetic_ratio, correction_strength))
