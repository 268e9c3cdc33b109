"""Gaussian loops: mean and covariance refitted on samples of the last model."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ouroloop.keys import Key
from ouroloop.theory.arguments import number, whole
from ouroloop.theory.simulate.draws import checked, subsets, take_rows, wishart_factor

__all__ = ["GaussianLoop", "gaussian_loop"]

_Rows = tuple[np.ndarray, np.ndarray, int]  # means (R, d), scatter matrices or factors of them, how many rows


@dataclass(frozen=True, eq=False)
class GaussianLoop:
    """Fitted models of every generation and replica; the data are N(0, I).

    Attributes:
        mean: float64 (T, R, d).
        covariance: float64 (T, R, d, d).
    """

    mean: np.ndarray
    covariance: np.ndarray

    @property
    def mean_square(self) -> np.ndarray:
        """Squared error of the mean per coordinate, float64 (T, R)."""
        return np.square(self.mean).mean(axis=-1)

    @property
    def variance(self) -> np.ndarray:
        """Trace of the covariance over d, float64 (T, R)."""
        return np.trace(self.covariance, axis1=-2, axis2=-1) / self.mean.shape[-1]


def gaussian_loop(
    regime: str,
    generations: int,
    n: int,
    dimension: int,
    key: Key,
    *,
    replicas: int = 100,
    synthetic_ratio: float = 1.0,
    sampler_distortion: float = 1.0,
    unbiased: bool = False,
) -> GaussianLoop:
    """Run a loop.

    Args:
        regime: replace, accumulate, accumulate_subsample, fixed_real or fresh_real.
        generations: T >= 1 fits, the first to real data.
        n: real rows, and synthetic ones a generation, at least 1 (2 if `unbiased`).
        dimension: d >= 1.
        key: of all draws.
        replicas: R independent loops.
        synthetic_ratio: synthetic per real row, for fixed_real and fresh_real.
        sampler_distortion: factor by which sampling inflates the variance.
        unbiased: covariance over the rows less 1.
    """
    k = checked(regime, generations, n, replicas, synthetic_ratio)
    d, ddof = whole("dimension", dimension, 1), int(unbiased)
    whole("n", n, 1 + ddof)
    stretch = math.sqrt(number("sampler_distortion", sampler_distortion, above=True))
    rng, shape = key.rng(), (generations, replicas, d)
    loop = GaussianLoop(np.empty(shape), np.empty((*shape, d)))
    if regime == "accumulate_subsample":
        return _subsampled(rng, loop, n, ddof, stretch)
    unit = np.broadcast_to(np.eye(d), (replicas, d, d))
    real = pool = _scatter(_batch(rng, np.zeros((replicas, d)), unit, n))
    for t in range(generations):
        loop.mean[t], scatter, rows = pool
        loop.covariance[t] = scatter / (rows - ddof)
        if t + 1 == generations:
            break
        new = _batch(rng, loop.mean[t], stretch * _root(loop.covariance[t]), k)
        if regime == "replace":
            pool = _scatter(new)
        elif regime == "accumulate":
            pool = _merge(pool, new)
        else:
            pool = _merge(_scatter(_batch(rng, 0.0 * new[0], unit, n)) if regime == "fresh_real" else real, new)
    return loop


def _batch(rng: np.random.Generator, mean: np.ndarray, root: np.ndarray, rows: int) -> _Rows:
    """Draws of N(mean, root root') in every replica: their mean, a factor of their scatter matrix, their number."""
    replicas, d = mean.shape
    if rows == 0:
        return mean, np.zeros((replicas, d, 0)), 0
    average = mean + (root @ rng.standard_normal((replicas, d, 1)))[..., 0] / math.sqrt(rows)
    return average, root @ wishart_factor(rng, (replicas,), rows - 1, d), rows


def _scatter(rows: _Rows) -> _Rows:
    """The same with the scatter matrix itself."""
    mean, factor, count = rows
    return mean, factor @ np.swapaxes(factor, -1, -2), count


def _merge(pool: _Rows, new: _Rows) -> _Rows:
    """Scatter matrices add up, with the distance of the means as one more column of the new factor."""
    (mean, scatter, rows), (other, factor, added) = pool, new
    total, apart = rows + added, other - mean
    wide = np.concatenate([factor, apart[..., None] * math.sqrt(rows * added / total)], axis=-1)
    return mean + apart * (added / total), scatter + wide @ np.swapaxes(wide, -1, -2), total


def _root(covariance: np.ndarray) -> np.ndarray:
    """A square root of every matrix: Cholesky's, or by eigenvalues where one is singular."""
    try:
        return np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        return vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]


def _subsampled(rng: np.random.Generator, loop: GaussianLoop, n: int, ddof: int, stretch: float) -> GaussianLoop:
    generations, replicas, d = loop.mean.shape
    pool = np.empty((replicas, generations * n, d))
    pool[:, :n] = rng.standard_normal((replicas, n, d))
    for t in range(generations):
        rows = take_rows(pool, subsets(rng, replicas, (t + 1) * n, n))
        loop.mean[t] = rows.mean(axis=1)
        rows = rows - loop.mean[t][:, None]
        loop.covariance[t] = np.swapaxes(rows, 1, 2) @ rows / (n - ddof)
        if t + 1 < generations:
            noise = rng.standard_normal((replicas, n, d)) @ np.swapaxes(stretch * _root(loop.covariance[t]), 1, 2)
            pool[:, (t + 1) * n : (t + 2) * n] = loop.mean[t][:, None] + noise
    return loop
