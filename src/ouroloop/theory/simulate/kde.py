"""Kernel density estimates of fixed bandwidth resampled from themselves, one coordinate."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ouroloop.keys import Key
from ouroloop.theory.arguments import choice, number
from ouroloop.theory.kde import REGIMES
from ouroloop.theory.simulate.draws import checked, subsets

__all__ = ["KdeLoop", "kde_loop"]


class KdeLoop(NamedTuple):
    """Moments of the training sets of every generation and replica, float64 (T, R); the data are N(0, 1)."""

    second_moment: np.ndarray
    within_variance: np.ndarray


def kde_loop(regime: str, generations: int, n: int, bandwidth: float, key: Key, *, replicas: int = 100) -> KdeLoop:
    """Run a loop.

    Args:
        regime: replace, accumulate or accumulate_subsample.
        generations: T >= 1 fits, the first to real data.
        n: rows a generation, at least 1.
        bandwidth: of the Gaussian kernel, over the data's standard deviation.
        key: of all draws.
        replicas: R independent loops.
    """
    choice("regime", regime, REGIMES)
    checked(regime, generations, n, replicas, 1.0)
    rng, h = key.rng(), number("bandwidth", bandwidth)
    keeps = regime != "replace"
    pool = np.empty((replicas, (generations if keeps else 1) * n))
    pool[:, :n] = rng.standard_normal((replicas, n))
    sums = np.zeros((2, replicas))  # of the pool and of its squares
    found = KdeLoop(np.empty((generations, replicas)), np.empty((generations, replicas)))
    for t in range(generations):
        newest = pool[:, t * n : (t + 1) * n] if keeps else pool
        if regime == "accumulate":
            sums += newest.sum(axis=1), np.square(newest).sum(axis=1)
            rows, mean, square = (t + 1) * n, sums[0] / ((t + 1) * n), sums[1] / ((t + 1) * n)
            training = pool[:, :rows]
        else:
            chosen = subsets(rng, replicas, (t + 1) * n if keeps else n, n)
            training = np.take_along_axis(pool, chosen, axis=1)
            mean, square = training.mean(axis=1), np.square(training).mean(axis=1)
        found.second_moment[t], found.within_variance[t] = square, square - mean**2
        if t + 1 < generations:
            drawn = np.take_along_axis(training, rng.integers(0, training.shape[1], (replicas, n)), axis=1)
            drawn = drawn + h * rng.standard_normal((replicas, n))
            pool[:, slice((t + 1) * n, (t + 2) * n) if keeps else slice(None)] = drawn
    return found
