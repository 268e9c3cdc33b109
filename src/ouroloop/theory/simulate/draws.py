"""Random objects that several simulators share."""

from __future__ import annotations

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import choice, number, whole

__all__ = ["REGIMES", "checked", "subsets", "take_rows", "wishart_factor"]

REGIMES = ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real")


def checked(regime: str, generations: int, n: int, replicas: int, synthetic_ratio: float) -> int:
    """Synthetic rows of a generation, after refusing arguments that make no loop."""
    choice("regime", regime, REGIMES)
    for name, value in (("generations", generations), ("n", n), ("replicas", replicas)):
        whole(name, value, 1)
    rows = number("synthetic_ratio", synthetic_ratio) * n
    if abs(rows - round(rows)) > 1e-9 * max(rows, 1.0):
        raise SpecError(f"synthetic_ratio: must make a whole number of synthetic rows of n = {n}, got {rows:g}")
    if regime not in ("fixed_real", "fresh_real") and round(rows) != n:
        raise SpecError(f"synthetic_ratio: regime '{regime}' is simulated with 1 alone, got {synthetic_ratio}")
    return round(rows)


def wishart_factor(rng: np.random.Generator, shape: tuple[int, ...], freedom: int, dimension: int) -> np.ndarray:
    """B with B B' Wishart of the identity, float64 (*shape, d, c); c = d (lower triangular), or the freedom if less."""
    if freedom < dimension:
        return rng.standard_normal((*shape, dimension, max(freedom, 0)))
    factor = np.zeros((*shape, dimension, dimension))
    row, column = np.tril_indices(dimension, -1)
    factor[..., row, column] = rng.standard_normal((*shape, len(row)))
    diagonal = np.arange(dimension)
    factor[..., diagonal, diagonal] = np.sqrt(rng.chisquare(freedom - diagonal, (*shape, dimension)))
    return factor


def subsets(rng: np.random.Generator, replicas: int, total: int, n: int) -> np.ndarray:
    """n of `total` places without replacement for every replica, int64 (replicas, n)."""
    if total == n:
        return np.broadcast_to(np.arange(n), (replicas, n))
    chosen = np.sort(rng.integers(0, total, (replicas, n)), axis=1)
    while (again := chosen[:, 1:] == chosen[:, :-1]).any():  # draw one by one, again if already chosen
        chosen[:, 1:][again] = rng.integers(0, total, int(again.sum()))
        chosen.sort(axis=1)
    return chosen


def take_rows(rows: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The chosen rows of every replica: (R, N, d) and (R, n) to (R, n, d)."""
    replicas, total, d = rows.shape
    return rows.reshape(-1, d)[np.arange(replicas)[:, None] * total + chosen]
