"""Categories resampled from their own counts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.theory.arguments import distributions
from ouroloop.theory.simulate.draws import checked

__all__ = ["DiscreteLoop", "discrete_loop"]


@dataclass(frozen=True, eq=False)
class DiscreteLoop:
    """Fitted distributions of every generation and replica, summarised.

    Attributes:
        heterozygosity: $1-\\sum p_i^2$, float64 (T, R).
        support: categories of positive probability, int64 (T, R).
        probabilities: of the last generation, float64 (R, m).
    """

    heterozygosity: np.ndarray
    support: np.ndarray
    probabilities: np.ndarray


def discrete_loop(
    regime: str,
    generations: int,
    n: int,
    probabilities: npt.ArrayLike,
    key: Key,
    *,
    replicas: int = 100,
    synthetic_ratio: float = 1.0,
) -> DiscreteLoop:
    """Run a loop.

    Args:
        regime: replace, accumulate, accumulate_subsample, fixed_real or fresh_real.
        generations: T >= 1 fits, the first to n real draws.
        n: draws a generation, at least 1.
        probabilities: of the data, shape (m,).
        key: of all draws.
        replicas: R independent loops.
        synthetic_ratio: synthetic per real draw, for fixed_real and fresh_real.
    """
    k = checked(regime, generations, n, replicas, synthetic_ratio)
    truth = distributions("probabilities", probabilities)
    if truth.ndim != 1:
        raise SpecError(f"probabilities: must have shape (m,), got {truth.shape}")
    rng = key.rng()
    real = pool = rng.multinomial(n, truth, size=replicas)
    fitted = pool / n
    heterozygosity, support = np.empty((generations, replicas)), np.empty((generations, replicas), np.int64)
    for t in range(generations):
        if t:
            new = rng.multinomial(k, fitted)
            if regime == "replace":
                pool = new
            elif regime in ("fixed_real", "fresh_real"):
                pool = new + (rng.multinomial(n, truth, size=replicas) if regime == "fresh_real" else real)
            else:
                pool = pool + new
            taken = pool
            if regime == "accumulate_subsample":
                taken = np.stack([rng.multivariate_hypergeometric(row, n, method="marginals") for row in pool])
            fitted = taken / taken.sum(axis=1, keepdims=True)
        heterozygosity[t] = 1.0 - np.square(fitted).sum(axis=1)
        support[t] = (fitted > 0.0).sum(axis=1)
    return DiscreteLoop(heterozygosity, support, fitted)
