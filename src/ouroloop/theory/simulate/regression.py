"""Least squares refitted on its own labels."""

from __future__ import annotations

import math

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.theory.arguments import choice, number, whole
from ouroloop.theory.simulate.draws import checked, subsets, take_rows, wishart_factor

__all__ = ["regression_loop"]


def regression_loop(
    regime: str,
    generations: int,
    n: int,
    dimension: int,
    noise_variance: float,
    key: Key,
    *,
    replicas: int = 100,
    synthetic_ratio: float = 1.0,
    inputs: str = "same",
) -> np.ndarray:
    """Squared error of the coefficients |w_t - w*|^2, inputs N(0, I), float64 (T, R).

    Args:
        regime: replace, accumulate, accumulate_subsample, fixed_real or fresh_real.
        generations: T >= 1 fits, the first to real data.
        n: rows a generation, at least `dimension`.
        dimension: d >= 1.
        noise_variance: of the labels.
        key: of all draws.
        replicas: R independent loops, each with its own inputs.
        synthetic_ratio: sets of synthetic labels a generation, whole; for fixed_real and fresh_real.
        inputs: "same" in all generations, or "fresh" ones (replace, accumulate and accumulate_subsample).
    """
    checked(regime, generations, n, replicas, synthetic_ratio)
    d = whole("dimension", dimension, 1)
    if n < d:
        raise SpecError(f"n: least squares of {d} coefficients needs at least as many rows, got {n}")
    fresh = choice("inputs", inputs, ("same", "fresh")) == "fresh"
    if fresh and regime in ("fixed_real", "fresh_real"):
        raise SpecError(f"inputs: regime '{regime}' is simulated with inputs='same'")
    rng, deviation = key.rng(), math.sqrt(number("noise_variance", noise_variance))
    if regime == "accumulate_subsample":
        errors = _subsampled(rng, generations, replicas, n, d, fresh)
    elif fresh:
        errors = _fresh(rng, regime, generations, replicas, n, d)
    else:
        errors = _same(rng, regime, generations, replicas, n, d, synthetic_ratio)
    return np.square(deviation * errors).sum(axis=-1)


def _same(
    rng: np.random.Generator, regime: str, generations: int, replicas: int, n: int, d: int, ratio: float
) -> np.ndarray:
    """With X'X = A A', A' (w - w*) is a mean with noise N(0, I): that is followed, and A' undone at the end."""
    root = wishart_factor(rng, (replicas,), n, d)
    noise = rng.standard_normal((generations, replicas, d))
    track = np.empty_like(noise)
    track[0] = noise[0]
    for t in range(1, generations):
        if regime == "replace":
            track[t] = track[t - 1] + noise[t]
        elif regime == "accumulate":
            track[t] = track[t - 1] + noise[t] / (t + 1)
        else:
            real = rng.standard_normal((replicas, d)) if regime == "fresh_real" else noise[0]
            synthetic = ratio * track[t - 1] + math.sqrt(ratio) * noise[t]
            track[t] = (real + synthetic) / (1.0 + ratio)
    solved = np.linalg.solve(np.swapaxes(root, -1, -2), np.moveaxis(track, 0, -1))
    return np.moveaxis(solved, -1, 0)


def _fresh(rng: np.random.Generator, regime: str, generations: int, replicas: int, n: int, d: int) -> np.ndarray:
    """A batch of labels of the last w moves it by S^-1 X'e, S the second moments of all inputs that are trained on."""
    error, moments = np.zeros((replicas, d)), np.zeros((replicas, d, d))
    found = np.empty((generations, replicas, d))
    for t in range(generations):
        root = wishart_factor(rng, (replicas,), n, d)
        own = root @ np.swapaxes(root, -1, -2)
        if regime == "replace":
            moments = own
        else:
            moments += own
        pushed = root @ rng.standard_normal((replicas, d, 1))
        error = error + np.linalg.solve(moments, pushed)[..., 0]
        found[t] = error
    return found


def _subsampled(rng: np.random.Generator, generations: int, replicas: int, n: int, d: int, fresh: bool) -> np.ndarray:
    """Rows are kept; n of them are drawn without replacement and fitted."""
    batches = generations if fresh else 1
    x = rng.standard_normal((replicas, batches * n, d))
    y = np.empty((replicas, generations * n))
    found = np.empty((generations, replicas, d))
    error = np.zeros((replicas, d))
    for t in range(generations):
        rows = slice(t * n, (t + 1) * n)
        here = x[:, rows] if fresh else x
        y[:, rows] = (here @ error[..., None])[..., 0] + rng.standard_normal((replicas, n))
        chosen = subsets(rng, replicas, (t + 1) * n, n)
        taken = take_rows(x, chosen if fresh else chosen % n)
        turned = np.swapaxes(taken, 1, 2)
        labels = np.take_along_axis(y, chosen, axis=1)[..., None]
        error = np.linalg.solve(turned @ taken, turned @ labels)[..., 0]
        found[t] = error
    return found
