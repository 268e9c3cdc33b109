r"""Bounds of the total variation distance between a loop's model and the data's distribution.

If the model class errs by $e(N) = C N^{-s}$ on N independent rows and generation i trains on shares $\beta_{ij}$ of the
output of earlier models j and the rest on real data, the triangle inequality and the convexity of TV give

$$ T_i \le e(N_i) + \sum_j \beta_{ij} T_j, \qquad T_0 = 0 . $$

| regime                   | rows of generation i            | bound                                                 |
|--------------------------|---------------------------------|-------------------------------------------------------|
| replace                  | n                               | $i\,e(n)$                                             |
| fixed_real, fresh_real   | n, of which a share a is real   | $\frac{e(n)}{a}\,(1-(1-a)^i)$                         |
| accumulate               | i n, of which n are real        | $e(in) + \sum_{j<i} e(jn)/(j+1)$                      |
| accumulate_subsample     | n of those                      | $e(n)\,(1 + \sum_{j<i} 1/(j+1)) = e(n) H_i$           |

A bound above 1 says nothing. It takes $e(N)$ to hold for N rows that are independent given the mixture they come from;
rows drawn from models that share training data are dependent, so with fitted constants the bound is a heuristic. The
structure is that of Fu et al.; the paper's own constants were not available, so C and s are arguments (`kde_constants`
estimates them from data).

Source:
    Fu et al., arXiv 2402.11778 (structure, phase transition). The recursions and closed forms are derived here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import Values, choice, numbers, plain, together, wholes

__all__ = ["REGIMES", "bound", "fitting_error", "kde_exponent", "recursion", "transition", "transition_peak"]

REGIMES = ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real")
_MAX_GENERATIONS = 10_000_000  # accumulating regimes sum over generations


def fitting_error(n: npt.ArrayLike, constant: npt.ArrayLike, exponent: npt.ArrayLike) -> Values:
    """e(n) = C n^-s.

    Args:
        n: rows, at least 1. constant: C >= 0. exponent: s >= 0, positive for an error that falls.
    """
    return plain(numbers("constant", constant) * numbers("n", n, 1.0) ** -numbers("exponent", exponent))


def kde_exponent(dimension: npt.ArrayLike) -> Values:
    """s = 2/(4 + d) of a kernel density estimate with the best bandwidth, twice differentiable densities.

    >>> kde_exponent(1)
    0.4
    """
    return plain(2.0 / (4.0 + wholes("dimension", dimension, 1)))


def bound(
    regime: str,
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    constant: npt.ArrayLike,
    exponent: npt.ArrayLike,
    real_share: npt.ArrayLike = 0.0,
) -> Values:
    """The bound of TV(model of generation i, data) in the module's table; a sufficient bound, not capped at 1.

    Args:
        regime: one of `REGIMES`.
        generation: i >= 0; 1 is the model of the real data, 0 the data's distribution (bound 0).
        n: rows a generation, at least 1.
        constant: C >= 0. exponent: s >= 0; the fitting error on N rows is C N^-s.
        real_share: a in [0, 1], of each generation's rows; used by fixed_real and fresh_real, 0 being replace.

    >>> round(bound("replace", 3, 100, 0.375, 0.4, 0.0), 4), round(bound("fresh_real", 1000, 100, 0.375, 0.4, 0.5), 4)
    (0.1783, 0.1189)
    """
    choice("regime", regime, REGIMES)
    i, rows = wholes("generation", generation), wholes("n", n, 1)
    c, s = numbers("constant", constant), numbers("exponent", exponent)
    share = numbers("real_share", real_share, 0.0, 1.0)
    i, rows, c, s, share = together(generation=i, n=rows, constant=c, exponent=s, real_share=share)
    if regime in ("accumulate", "accumulate_subsample"):
        sums = _accumulated(i, s if regime == "accumulate" else np.zeros_like(s))
        with np.errstate(over="ignore"):
            return plain(c * rows**-s * sums)
    if regime == "replace":
        share = np.zeros_like(share)
    error = c * rows**-s
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        steps = np.where(share > 0.0, -np.expm1(i * np.log1p(-share)) / share, i)
        return plain(np.where(i > 0.0, error * steps, 0.0))


def _accumulated(generation: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """i^-s + sum over 0 < j < i of j^-s/(j + 1), 0 for i = 0; every exponent's sum is made once."""
    last = int(generation.max(initial=0))
    if last > _MAX_GENERATIONS:
        raise SpecError(f"generation: accumulating regimes are summed up to {_MAX_GENERATIONS}, got {last}")
    j = np.arange(1.0, last + 1.0)
    found = np.zeros(generation.shape)
    for s in np.unique(exponent):
        terms = j**-s
        table = np.concatenate([[0.0], terms + np.concatenate([[0.0], np.cumsum(terms / (j + 1.0))])[: len(j)]])
        found = np.where(exponent == s, table[generation.astype(np.int64)], found)
    return found


def recursion(errors: npt.ArrayLike, shares: npt.ArrayLike) -> np.ndarray:
    r"""$T_i = e_i + \sum_{j<i} \beta_{ij} T_j$ for any mixture.

    Args:
        errors: $e_i$, the fitting error of generation i = 1..T, shape (T,).
        shares: $\beta_{ij}$, share of model j's output in generation i, shape (T, T), zero for j >= i; what is
            missing to 1 in a row is real.

    Returns:
        float64 (T,), the bound of generations 1..T.

    >>> recursion([0.1, 0.1], [[0.0, 0.0], [1.0, 0.0]]).tolist()
    [0.1, 0.2]
    """
    error, beta = numbers("errors", errors), numbers("shares", shares, 0.0, 1.0)
    if error.ndim != 1 or beta.shape != (len(error), len(error)):
        raise SpecError(f"shares: must have shape (T, T) for T = {error.size} errors, got {beta.shape}")
    if np.triu(beta).any() or (beta.sum(axis=1) > 1.0 + 1e-9).any():
        raise SpecError("shares: only earlier generations (j < i) may have a share, and a row sums to at most 1")
    found = np.zeros(len(error))
    for i in range(len(error)):
        found[i] = error[i] + beta[i, :i] @ found[:i]
    return found


def transition(n_synthetic: npt.ArrayLike, n_real: npt.ArrayLike, exponent: npt.ArrayLike) -> Values:
    r"""Bound with m synthetic rows beside n real ones over the bound without: $x^s + 1 - x$, $x = n/(n+m)$.

    The synthetic rows come from a model of n real rows. It rises from 1, then falls back to 1: a little synthetic
    data hurts more than much (Fu et al.'s phase transition).
    """
    real = numbers("n_real", n_real, above=True)
    x = real / (real + numbers("n_synthetic", n_synthetic))
    return plain(x ** numbers("exponent", exponent) + 1.0 - x)


@dataclass(frozen=True)
class Peak:
    """Where synthetic data hurt most.

    Attributes:
        synthetic_ratio: synthetic per real row at the peak.
        factor: of the bound there.
    """

    synthetic_ratio: float
    factor: float


def transition_peak(exponent: float) -> Peak:
    r"""The peak of `transition`, at $x = s^{1/(1-s)}$.

    Args:
        exponent: s in (0, 1).

    >>> round(transition_peak(0.4).synthetic_ratio, 2), round(transition_peak(0.4).factor, 3)
    (3.61, 1.326)
    """
    s = float(numbers("exponent", exponent, 0.0, 1.0, above=True, below=True))
    x = float(np.exp(np.log(s) / (1.0 - s)))
    return Peak(synthetic_ratio=(1.0 - x) / x, factor=x**s + 1.0 - x)
