r"""Kernel density estimates refitted on their own samples: moments, and the constants of their fitting error.

A generation's training set is n rows (or all rows so far); the next rows are drawn from it with Gaussian noise of
standard deviation h, the bandwidth, fixed over the generations. In units of the data's variance, per coordinate:

| regime                            | second moment of the training set of generation t | validity |
|-----------------------------------|---------------------------------------------------|----------|
| replace                           | $1+(t-1)h^2$                                      | exact    |
| accumulate, accumulate_subsample  | $1+h^2(H_t-1)$, $H_t = \sum_{k\le t} 1/k$         | exact    |

and the variance about the training set's own mean, regime replace, $V_{t+1} = (1-\frac1n)(V_t+h^2)$, exact. So
replacement widens without bound, while accumulation widens with the logarithm of t.

Source:
    Setting: Kazdan et al., arXiv 2410.16713; laws derived here. The published code's `blobs` experiment draws new
    random cluster centres for its test set, so that its losses there measure the distance of unrelated clusters; it is
    not reproduced.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroloop.errors import DataError, SpecError
from ouroloop.keys import Key
from ouroloop.theory.arguments import Values, choice, numbers, plain, whole, wholes

__all__ = ["REGIMES", "Constants", "estimate_constants", "rule_factor", "second_moment", "within_variance"]

REGIMES = ("replace", "accumulate", "accumulate_subsample")
_REACH = 6.0  # standard deviations of the kernel


def second_moment(regime: str, generation: npt.ArrayLike, bandwidth: npt.ArrayLike) -> Values:
    """Expected second moment of generation t's training set, per coordinate, over the data's (mean 0).

    Args:
        regime: one of `REGIMES`.
        generation: t >= 1; 1 is the real data.
        bandwidth: h >= 0 over the data's standard deviation.

    >>> round(second_moment("replace", 60, 0.3), 3), round(second_moment("accumulate", 60, 0.3), 3)
    (6.31, 1.331)
    """
    from scipy.special import psi

    choice("regime", regime, REGIMES)
    t, square = wholes("generation", generation, 1), numbers("bandwidth", bandwidth) ** 2
    steps = t - 1.0 if regime == "replace" else psi(t + 1.0) - psi(2.0)
    return plain(1.0 + steps * square)


def within_variance(generation: npt.ArrayLike, n: npt.ArrayLike, bandwidth: npt.ArrayLike) -> Values:
    r"""Expected variance of generation t's n rows about their mean (over n), regime replace; limit $(n-1)h^2$.

    Args:
        generation: t >= 1. n: rows, at least 1. bandwidth: h >= 0 over the data's standard deviation.
    """
    t, rows = wholes("generation", generation, 1), wholes("n", n, 1)
    limit = (rows - 1.0) * numbers("bandwidth", bandwidth) ** 2
    power = (1.0 - 1.0 / rows) ** (t - 1.0)
    return plain(limit + power * (1.0 - 1.0 / rows - limit))


def rule_factor(rule: str, n: int, dimension: int) -> float:
    """Bandwidth over the data's standard deviation by Scott's or Silverman's rule of thumb for normal data.

    Args:
        rule: "scott" or "silverman". n: rows, at least 1. dimension: d, at least 1.

    Source: Scott, Multivariate Density Estimation (1992), section 6.3; Silverman, Density Estimation (1986), 4.3.
    """
    choice("rule", rule, ("scott", "silverman"))
    return (n if rule == "scott" else n * (dimension + 2.0) / 4.0) ** (-1.0 / (dimension + 4.0))


@dataclass(frozen=True)
class Constants:
    """Fitting error e(N) = constant N^-exponent in total variation, fitted to measured errors.

    Attributes:
        constant, exponent: for `tv.bound`.
        sizes: numbers of rows tried.
        errors: mean measured error at each.
    """

    constant: float
    exponent: float
    sizes: tuple[int, ...]
    errors: tuple[float, ...]


def estimate_constants(rows: npt.ArrayLike, key: Key, *, repeats: int = 20) -> Constants:
    """How the error of a kernel density estimate falls with the rows, estimated from data in 1 or 2 dimensions.

    Estimates of N rows (Silverman's bandwidth, Gaussian kernel) are compared on a grid with one of the half of the data
    that they never use; N runs from 1/64 to 1/8 of the rows. Heuristic: the reference errs as well, which adds to the
    measured errors about as much as a model of half of the rows would.

    Args:
        rows: shape (n,) or (n, d), d = 1 or 2, at least 256 finite rows that vary in every coordinate.
        key: of the random subsets.
        repeats: subsets of every size.

    Raises:
        DataError: rows of another kind.
    """
    x = np.asarray(rows, np.float64)
    x = x[:, None] if x.ndim == 1 else x
    if x.ndim != 2 or x.shape[1] not in (1, 2) or len(x) < 256 or not np.isfinite(x).all():
        raise DataError(f"rows: must be at least 256 finite rows of 1 or 2 numbers, got shape {np.shape(rows)}")
    if (np.ptp(x, axis=0) == 0.0).any():
        raise DataError("rows: must vary in every coordinate")
    if whole("repeats", repeats, 1) and not isinstance(key, Key):
        raise SpecError(f"key: must be a Key, got {type(key).__name__}")
    rng = key.rng()
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    x = x[rng.permutation(len(x))]
    reference, rest = x[: len(x) // 2], x[len(x) // 2 :]
    axis = _axis(x)
    truth = _density(reference, axis)
    sizes = np.unique(np.geomspace(len(x) / 64, len(x) / 8, 6).astype(np.int64))
    errors = []
    for size in sizes:
        drawn = (rest[rng.permutation(len(rest))[:size]] for _ in range(repeats))
        errors.append(float(np.mean([0.5 * np.abs(_density(part, axis) - truth).sum() for part in drawn])))
    slope, offset = np.polyfit(np.log(sizes), np.log(errors), 1)
    return Constants(float(np.exp(offset)), float(-slope), tuple(int(s) for s in sizes), tuple(errors))


def _axis(x: np.ndarray) -> list[np.ndarray]:
    """Cell edges of the grid in every coordinate: 2,000 cells in one dimension, 200 by 200 in two."""
    cells = 2_000 if x.shape[1] == 1 else 200
    return [np.linspace(column.min() - 2.0, column.max() + 2.0, cells + 1) for column in x.T]


def _density(x: np.ndarray, axis: list[np.ndarray]) -> np.ndarray:
    """Probability of every cell under the estimate of these rows."""
    from scipy.ndimage import gaussian_filter

    n, d = x.shape
    counts, _ = np.histogramdd(x, bins=axis)
    bandwidth = rule_factor("silverman", n, d) * x.std(axis=0)
    widths = [h / (edges[1] - edges[0]) for h, edges in zip(bandwidth, axis, strict=True)]
    return gaussian_filter(counts / n, widths, mode="constant", truncate=_REACH)
