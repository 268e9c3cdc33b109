r"""Risk of accumulating loops with ideal correction, in the limit of many rows, and the generation of its peak.

With $x = 1/\lambda$, $a = 1/(1+\gamma)$ and $c = 1 - a$, the mean of all rows up to generation t is
$m_t = (1-\frac{c}{t+x})\,m_{t-1} + \frac{1}{t+x}\,\varepsilon_t$ with noise of variance $x/n$, since a corrected row is
an independent draw of the data's distribution. In units of $1/n$

$$ E m_t^2 = P_t^2 + N_t, \quad P_t = \prod_{s\le t}\Big(1-\frac{c}{s+x}\Big), \quad
   N_t = \Big(1-\frac{c}{t+x}\Big)^2 N_{t-1} + \frac{x}{(t+x)^2}, \quad N_0 = 0. $$

A model trained on n rows drawn from these has besides the error $1 - \frac{1}{1+t\lambda}$ of that subset, which its
own rows pass on; both together are $1 + a(2+\lambda a) N_t$.

Each of these rises as long as it is below $x/(c(2t+2x-c))$, which falls with t: once it falls, it falls for ever.

Source:
    Derived here, checked by simulation (tests/theory/test_accumulated_risk.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ouroloop.theory.arguments import shares_corrected

__all__ = ["accumulate", "accumulate_subsample", "worst_generation"]

_FIRST = 100  # generations that are stepped; beyond them the series below are exact to 1e-9


def accumulate(t: np.ndarray, ratio: np.ndarray, strength: np.ndarray) -> np.ndarray:
    """$P_t^2 + N_t$ of arrays of one shape, already checked."""
    kept, noise = _parts(t, ratio, strength)
    return kept + noise


def accumulate_subsample(t: np.ndarray, ratio: np.ndarray, strength: np.ndarray) -> np.ndarray:
    r"""$1 + a(2+\lambda a) N_t$ of arrays of one shape, already checked."""
    share = 1.0 / (1.0 + strength)
    return 1.0 + share * (2.0 + ratio * share) * _parts(t, ratio, strength)[1]


def worst_generation(regime: str, last: int, ratios: np.ndarray, strength: float) -> np.ndarray:
    """The generation from 1 to the last with the largest risk, whole numbers in float64 (m,).

    Args:
        regime: accumulate or accumulate_subsample. last: at least 1.
        ratios: float64 (m,), of synthetic rows. strength: gamma, finite or infinite.
    """
    x, c = 1.0 / np.maximum(ratios, 1e-300), shares_corrected(np.full(ratios.shape, strength))
    first = [(np.ones(ratios.shape), np.zeros(ratios.shape)), *_steps(x, c, min(last, _FIRST))]
    table = np.array([noise if regime == "accumulate_subsample" else kept + noise for kept, noise in first])

    def rises(t: np.ndarray) -> np.ndarray:  # from generation t - 1 to t
        before = np.take_along_axis(table, np.minimum(t - 1.0, len(table) - 1.0).astype(np.int64)[None], axis=0)[0]
        decay, added = _later(np.maximum(t - 1.0, _FIRST), x, c)
        before = np.where(t - 1.0 > _FIRST, decay * before + added, before)
        return before * c * (2.0 * (t / x + 1.0) - c / x) < 1.0

    low, high = np.ones(ratios.shape), np.full(ratios.shape, float(last))
    low = np.where(rises(high), high, low)
    while (high - low > 1.0).any():
        middle = np.floor((low + high) / 2.0)
        up = rises(middle)
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    return low


def _parts(t: np.ndarray, ratio: np.ndarray, strength: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """$P_t^2$ and $N_t$."""
    with np.errstate(under="ignore"):
        if not strength.any():
            return np.ones(t.shape), _uncorrected(t, ratio)
        c, x = shares_corrected(strength), 1.0 / np.maximum(ratio, 1e-300)
        kept, noise = np.ones(t.shape), np.zeros(t.shape)
        for s, (left, gathered) in enumerate(_steps(x, c, int(min(t.max(initial=0.0), _FIRST))), 1):
            kept, noise = np.where(s <= t, left, kept), np.where(s <= t, gathered, noise)
        decay, added = _later(np.maximum(t, _FIRST), x, c)
        far = t > _FIRST
        kept, noise = np.where(far, decay, 1.0) * kept, np.where(far, decay * noise + added, noise)
        return kept, np.where(strength > 0.0, noise, _uncorrected(t, ratio))


def _steps(x: np.ndarray, c: np.ndarray, last: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """$P_s^2$ and $N_s$ for s = 1 to the last."""
    kept, noise = np.ones(x.shape), np.zeros(x.shape)
    for s in range(1, last + 1):
        factor = (1.0 - c / (s + x)) ** 2
        kept, noise = factor * kept, factor * noise + x / (s + x) / (s + x)
        yield kept, noise


def _uncorrected(t: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    r"""$\sum_{s\le t} x/(s+x)^2$, in closed form."""
    from scipy.special import zeta

    x = 1.0 / np.maximum(ratio, 1e-15)
    return np.where(ratio > 1e-15, x * (zeta(2.0, 1.0 + x) - zeta(2.0, t + 1.0 + x)), 0.0)


def _later(t: np.ndarray, x: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""$P_t^2/P_s^2$ and what is added to $N_t$ after $s = 100$.

    $P_t$ is a ratio of gamma functions, $w^{-c} e^{-\kappa/w^2}$ with $w = t + x + \frac{1-c}{2}$ up to $w^{-4}$, and
    the terms of $N_t/P_t^2$ sum to $w^p/p + A w^{p-2}$ with $p = 2c - 1$.
    """
    start = _FIRST + x + 0.5 - c / 2.0
    log, p = np.log1p((t - _FIRST) / start), 2.0 * c - 1.0
    end = start * np.exp(log)
    kappa, a = c * (1.0 - c * c) / 12.0, (1.0 - c) * (3.0 - c * c) / (12.0 * (3.0 - 2.0 * c))
    power = np.exp(-2.0 * c * log)
    integral = np.divide(np.expm1(p * log), p, out=np.array(log), where=p != 0.0)
    series = integral + a * np.expm1((p - 2.0) * log) / start / start
    bend = np.exp(-kappa / end / end)
    return power * bend * np.exp(kappa / start / start), power * bend * x / start * series
