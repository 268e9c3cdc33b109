r"""How many categories survive when a discrete model is refitted on its own samples, generation after generation.

Regime replace: generation 1 counts n real draws, every later one n draws of the one before. A category of probability
p is seen in generation k with probability about

$$ 1 - e^{-n p\, g_k}, \qquad g_1 = 1, \quad g_{k+1} = 1 - e^{-g_k}, \qquad g_k \sim 2/k. $$

Exact where counts are Poisson with mean np; a lower bound for n draws of a category (Bernoulli counts).

Source:
    Suresh et al., Rate of model collapse in recursive training (code berserank/rate-of-model-collapse); the formulas
    were read in its notebook and checked by simulation (tests/theory/test_survival.py).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ouroloop.theory.arguments import Values, common_shape, distributions, numbers, plain, together, wholes

__all__ = [
    "MAX_GENERATIONS",
    "bernoulli_bounds",
    "expected_support",
    "gaussian_survival_bound",
    "poisson_survival",
    "support_gap",
    "survival_factor",
]

MAX_GENERATIONS = 1_000_000  # the factor is iterated
_CHUNK = 1 << 20  # numbers held at a time


def survival_factor(generation: npt.ArrayLike) -> Values:
    """g_k, from g_1 = 1 towards 2/k; infinity for generation 0, in which nothing is lost.

    >>> [round(survival_factor(k), 4) for k in (1, 2, 3)]
    [1.0, 0.6321, 0.4685]
    """
    k = wholes("generation", generation, 0, MAX_GENERATIONS).astype(np.int64)
    factors = np.empty(int(k.max(initial=0)) + 2)
    factors[:2] = np.inf, 1.0
    value = 1.0
    for index in range(2, len(factors)):
        value = -np.expm1(-value)
        factors[index] = value
    return plain(factors[k])


def poisson_survival(mean: npt.ArrayLike, generation: npt.ArrayLike) -> Values:
    """Probability that a category with a Poisson count of this mean is still seen in generation k: exact.

    Args:
        mean: n p >= 0, expected count among the real data.
        generation: k >= 0; in generation 0 everything of positive probability is there.
    """
    return plain(_seen(numbers("mean", mean), np.asarray(survival_factor(generation))))


def bernoulli_bounds(probability: npt.ArrayLike, n: npt.ArrayLike, generation: npt.ArrayLike) -> tuple[Values, Values]:
    """Lower and upper bound of the probability that a category is seen in generation k, n draws in each.

    Args:
        probability: p in [0, 1]. n: draws a generation, at least 1. generation: k >= 1.

    Returns:
        $1 - e^{-npg_k}$ and $1 - (1 - 3np^2 - 3kp)e^{-npg_k}$, at most 1.
    """
    p, draws = numbers("probability", probability, 0.0, 1.0), wholes("n", n, 1)
    k = wholes("generation", generation, 1, MAX_GENERATIONS)
    gone = np.exp(-draws * p * survival_factor(k))
    return plain(1.0 - gone), plain(np.minimum(1.0 - (1.0 - 3.0 * draws * p**2 - 3.0 * k * p) * gone, 1.0))


def expected_support(probabilities: npt.ArrayLike, n: npt.ArrayLike, generation: npt.ArrayLike) -> Values:
    r"""Expected number of distinct categories among the n samples that generation k is fitted on.

    $\max\big(1, \sum_i (1 - e^{-n p_i g_k})\big)$, a lower bound that is close as soon as no category dominates: n
    draws have one category at least. The sum is exact for Poisson counts, which may be all 0 (`poisson_survival`); by
    how much it can be too low, `support_gap` says.

    Args:
        probabilities: of the data, shape (..., m), each row a distribution.
        n: draws a generation, at least 1; broadcasts with the leading shape and `generation`.
        generation: k >= 1 (1: the real data); 0 counts the categories of positive probability.

    >>> round(expected_support([0.5, 0.25, 0.25], 4, 1), 3)
    2.129
    """
    p, draws, factor = (
        distributions("probabilities", probabilities),
        wholes("n", n, 1),
        np.asarray(survival_factor(generation)),
    )
    shape = common_shape("leading shape", probabilities=p.shape[:-1], n=draws.shape, generation=factor.shape)
    found, size = np.zeros(shape), max(1, _CHUNK // max(1, int(np.prod(shape))))
    for begin in range(0, p.shape[-1], size):
        found = found + _seen(p[..., begin : begin + size] * draws[..., None], factor[..., None]).sum(axis=-1)
    return plain(np.maximum(found, 1.0))


def support_gap(probabilities: npt.ArrayLike, n: int, generation: npt.ArrayLike) -> Values:
    r"""By how much the number of categories may exceed `expected_support` for exactly n draws: that of the bounds.

    $\sum_i \min(3np_i^2 + 3kp_i,\, 1)\, e^{-np_ig_k}$, see `bernoulli_bounds`.

    Args:
        probabilities: of the data, shape (m,). n: draws a generation. generation: k >= 1, any shape.
    """
    p, k = distributions("probabilities", probabilities), wholes("generation", generation, 1, MAX_GENERATIONS)
    factor, gap = np.asarray(survival_factor(k)), np.zeros(k.shape)
    size = max(1, _CHUNK // max(1, k.size))
    for begin in range(0, p.shape[-1], size):
        part = p[begin : begin + size]
        excess = np.minimum(3.0 * n * part**2 + 3.0 * k[..., None] * part, 1.0)
        gap = gap + (excess * np.exp(-n * part * factor[..., None])).sum(axis=-1)
    return plain(gap)


def gaussian_survival_bound(
    generation: npt.ArrayLike, n: npt.ArrayLike, threshold: npt.ArrayLike, deviation: npt.ArrayLike = 1.0
) -> Values:
    r"""Upper bound $(\sigma_0/\epsilon)\,e^{-k/(4n-1)}$ (at most 1, loose) of the probability of $\sigma_k > \epsilon$.

    Args:
        generation: k >= 0. n: rows a generation, at least 1. threshold: epsilon > 0. deviation: sigma_0 > 0.
    """
    k, rows = wholes("generation", generation), wholes("n", n, 1)
    ratio = numbers("deviation", deviation, above=True) / numbers("threshold", threshold, above=True)
    return plain(np.minimum(ratio * np.exp(-k / (4.0 * rows - 1.0)), 1.0))


def _seen(mean: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """1 - exp(-mean factor), 0 for a mean of 0 whatever the factor."""
    mean, factor = together(mean=mean, generation=factor)
    return -np.expm1(-np.multiply(mean, factor, out=np.zeros(mean.shape), where=mean > 0.0))
