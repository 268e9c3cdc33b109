r"""Long-run risk of every regime, as a multiple of the risk of training on the real data once.

For estimators whose error is the average of their rows' errors (a Gaussian mean; least squares with T >> d), in the
limit of many rows, generation t = 0 being the model of the real data alone (risk 1). $\lambda$ is `synthetic_ratio`.

| regime               | risk of generation t                                     | limit                         |
|----------------------|----------------------------------------------------------|-------------------------------|
| real_only            | $1$                                                      | $1$                           |
| replace              | $1 + t/\lambda$                                          | grows without bound           |
| accumulate           | $1 + \sum_{s\le t}\lambda/(1+s\lambda)^2$                | $\pi^2/6$ for $\lambda = 1$   |
| accumulate_subsample | see `accumulate_subsample`; $\lambda = 1$                | $\pi^2/2 - 2$                 |
| fixed_real           | $1 + \lambda(1-q^{2t})/(1+2\lambda)$                     | $1+\lambda/(1+2\lambda)$      |
| fresh_real           | $(1+\lambda+\lambda q^{2t})/(1+2\lambda)$                | $(1+\lambda)/(1+2\lambda)$    |

with $q = \lambda/(1+\lambda)$.

Source:
    replace and accumulate for $\lambda = 1$: Gerstgrasser et al., arXiv 2404.01413; weighted fresh data: arXiv
    2502.18049. accumulate_subsample, fixed_real and the general $\lambda$ are derived here; all were checked by
    simulation (docs/theory.md).
"""

from __future__ import annotations

import math

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import number, share_of_model, whole

__all__ = [
    "accumulate",
    "accumulate_subsample",
    "fixed_real",
    "fresh_real",
    "fresh_real_weighted",
    "golden_weight",
    "replace",
    "risk",
]


def replace(generations: int, synthetic_ratio: float = 1.0) -> np.ndarray:
    r"""$1 + t/\lambda$, float64 (generations + 1,).

    >>> replace(3).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    return 1.0 + _generations(generations) / number("synthetic_ratio", synthetic_ratio, above=True)


def accumulate(generations: int, synthetic_ratio: float = 1.0) -> np.ndarray:
    r"""$1 + \sum_{s=1}^t \lambda/(1+s\lambda)^2$, float64 (generations + 1,).

    >>> accumulate(2).round(4).tolist()
    [1.0, 1.25, 1.3611]
    """
    ratio = number("synthetic_ratio", synthetic_ratio)
    t = _generations(generations)
    return 1.0 + np.cumsum(np.where(t > 0, ratio / (1.0 + t * ratio) ** 2, 0.0))


def accumulate_subsample(generations: int) -> np.ndarray:
    r"""Equal numbers of real and synthetic rows a generation, as many rows drawn from the pool as there are real ones.

    With k = t + 1 batches in the pool, $V_1 = 1$, $V_k = V_{k-1} + (2 - \tfrac1{k-1})/k^2$ and the risk
    $V_k + 1 - 1/k$: the pool's own error, and that of the subset drawn from it without replacement. Exact for a mean.

    >>> accumulate_subsample(1).tolist()
    [1.0, 1.75]
    """
    k = _generations(generations) + 1.0
    steps = np.where(k > 1, (2.0 - 1.0 / np.maximum(k - 1.0, 1.0)) / k**2, 1.0)
    return np.cumsum(steps) + 1.0 - 1.0 / k


def fixed_real(generations: int, synthetic_ratio: float, correction_strength: float = 0.0) -> np.ndarray:
    r"""The same real data and $\lambda$ fresh synthetic rows per real row, with or without ideal correction.

    $g_t^2 + \tfrac{\lambda}{(1+\lambda)^2}\tfrac{1-q^{2t}}{1-q^2}$ with $q = \tfrac{\lambda}{(1+\lambda)(1+\gamma)}$
    and $g_t = g + (1-g)q^t$, $g = 1/(1+\lambda\gamma/(1+\gamma))$, the factor left of the real sample's error.

    Args:
        generations: last generation. synthetic_ratio: $\lambda \ge 0$. correction_strength: $\gamma \ge 0$.
    """
    ratio, a = number("synthetic_ratio", synthetic_ratio), share_of_model(correction_strength)
    factor = a * ratio / (1.0 + ratio)
    power = factor ** _generations(generations)
    kept = 1.0 / (1.0 + ratio * (1.0 - a))
    noise = ratio / (1.0 + ratio) ** 2 * (1.0 - power**2) / (1.0 - factor**2)
    return (kept + (1.0 - kept) * power) ** 2 + noise


def fresh_real(generations: int, synthetic_ratio: float) -> np.ndarray:
    r"""New real rows in every generation, pooled with $\lambda$ synthetic rows per real row."""
    ratio = number("synthetic_ratio", synthetic_ratio)
    if ratio == 0.0:
        return np.ones(whole("generations", generations) + 1)
    return fresh_real_weighted(generations, 1.0 / (1.0 + ratio), ratio)


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
    t = _generations(generations)
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
    """The multiplier of a regime by name, float64 (generations + 1,).

    Raises:
        SpecError: no closed form is known for this regime with this ratio and correction strength.
    """
    if regime == "real_only":
        return np.ones(whole("generations", generations) + 1)
    if regime == "fixed_real":
        return fixed_real(generations, synthetic_ratio, correction_strength)
    if correction_strength == 0.0 and regime == "accumulate_subsample" and synthetic_ratio == 1.0:
        return accumulate_subsample(generations)
    laws = {"replace": replace, "accumulate": accumulate, "fresh_real": fresh_real}
    if correction_strength == 0.0 and regime in laws:
        return laws[regime](generations, synthetic_ratio)
    raise SpecError(
        f"regime: no closed risk for '{regime}' with synthetic_ratio {synthetic_ratio} and correction_strength "
        f"{correction_strength}"
    )


def _generations(generations: int) -> np.ndarray:
    return np.arange(whole("generations", generations) + 1, dtype=np.float64)
