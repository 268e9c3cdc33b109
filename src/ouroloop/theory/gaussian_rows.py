r"""Squared error of the mean of a Gaussian loop for many numbers of synthetic rows at once.

The same law as `gaussian.moments`, which solves for one loop with all its generations and any plan of rows. Here
the state is $(1, E m\bar x, E m^2, E v)$, $\bar x$ the mean of fixed real rows; with $r$ the share of synthetic rows
among those trained on, $a = 1/(1+\gamma)$ and a drawn row's second moment $q = a(s^2 E v + E m^2) + 1 - a$, a regime
without history maps it linearly:

$$ E m'\bar x = \tfrac{1-r}{n} + r a\,E m\bar x, \qquad E v' = 1 - r + r q - E m'^2, $$
$$ E m'^2 = \tfrac{(1-r)^2}{n} + 2 r (1-r) a\,E m\bar x + r^2 a^2 E m^2 + \tfrac{r^2}{k}(q - a^2 E m^2), $$

with the terms of $\bar x$ for fixed_real alone. accumulate is stepped; without correction and with a faithful sampler
it is the product $1 - E m_t^2 = (1-\frac1n)\prod_{i\le t}(1-k/N_i^2)$. accumulate_subsample is stepped, too, by the
mean C of the products of two of the N rows so far and the mean M of their squares: $E m^2 = M/n + (1-1/n)C$ of a model
of n of them, $E v = M - E m^2$, a new row's product with an old one is $a(M/N + (1-1/N)C)$ on average and with another
new one $a^2 E m^2$.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from ouroloop.theory import gaussian, rows
from ouroloop.theory.arguments import share_of_model
from ouroloop.theory.series import sum_of

__all__ = ["MAX_SUBSAMPLED", "mean_squares", "subsample_moments"]

MAX_SUBSAMPLED = 100_000  # generations of accumulate_subsample, which is stepped


def mean_squares(
    regime: str, generations: Sequence[int], n: int, drawn: np.ndarray, strength: float, stretch: float
) -> np.ndarray:
    """$E m_t^2$ over the data's variance, float64 (len(generations), len(drawn)); NaN where it is not known.

    Args:
        regime: of `finite_risk.REGIMES`.
        generations: of a run, ascending; accumulating ones with correction or a distorted sampler,
            accumulate_subsample but for as many synthetic as real rows, and linear_accumulate, up to
            `rows.MAX_GENERATIONS`.
        n: real rows. drawn: float64 (m,), whole numbers of synthetic rows, at least 1.
        strength, stretch: gamma of the ideal corrector, and s^2 of the sampler.
    """
    a, plain = share_of_model(strength), strength == 0.0 and stretch == 1.0
    found = np.full((len(generations), len(drawn)), np.nan)
    if regime == "real_only":
        found[:] = 1.0 / n
    elif n == 1 and a == 1.0 and regime in ("replace", "fixed_real", "accumulate", "linear_accumulate"):
        found[:] = 1.0  # copies of the one row, whose spread of 0 rounding must not let grow
    elif regime in ("replace", "fixed_real", "fresh_real"):
        found = _memoryless(regime, generations, n, drawn, a, stretch)
    elif regime == "accumulate_subsample":
        known = [t for t in generations if t <= rows.MAX_GENERATIONS]
        squares = (square for square, _ in _subsampled(n, drawn, a, stretch))
        found[: len(known)] = _picked(squares, known, len(drawn))
        for row, t in enumerate(generations):
            if plain and t <= MAX_SUBSAMPLED:
                found[row, drawn == n] = gaussian.mean_squared_error(regime, t + 1, n)
    elif regime == "accumulate" and plain:
        for row, t in enumerate(generations):
            found[row] = _product(t, n, drawn)
    elif regime == "accumulate":
        known = [t for t in generations if t <= rows.MAX_GENERATIONS]
        found[: len(known)] = _picked(_accumulated(n, drawn, a, stretch), known, len(drawn))
    else:
        known = [t for t in generations if t <= rows.MAX_GENERATIONS]
        for column, k in enumerate(drawn):
            path = gaussian.moments(
                rows.plan(regime, max(known, default=0), n, int(k)), strength, sampler_distortion=stretch
            )
            found[: len(known), column] = path.mean_square[known]
    return found


def subsample_moments(last: int, n: int, drawn: int, strength: float, stretch: float) -> gaussian.Moments:
    """Moments of accumulate_subsample's models of n rows, by maximum likelihood, in generations 0..last.

    Args:
        n: real rows, and rows trained on. drawn: synthetic rows a generation.
        strength, stretch: see `mean_squares`.
    """
    steps = _subsampled(n, np.array([float(drawn)]), share_of_model(strength), stretch)
    with np.errstate(over="ignore", invalid="ignore"):
        path = np.array([(square[0], second[0] - square[0]) for square, second in islice(steps, last + 1)])
    path = np.where(np.isfinite(path), np.maximum(path, 0.0), np.inf)  # an unstable loop beyond floating point
    return gaussian.Moments(mean_square=path[:, 0], variance=path[:, 1])


def _memoryless(regime: str, generations: Sequence[int], n: int, k: np.ndarray, a: float, stretch: float) -> np.ndarray:
    step = _step(regime, n, k, a, stretch)
    state = np.broadcast_to(np.array([1.0, 1.0 / n, 1.0 / n, 1.0 - 1.0 / n])[:, None], (len(k), 4, 1))
    found, before = np.empty((len(generations), len(k))), 0
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        for row, t in enumerate(generations):
            state, before = np.linalg.matrix_power(step, t - before) @ state, t
            found[row] = state[:, 2, 0]
    return np.where(np.isfinite(found), found, np.inf)  # an unstable loop beyond floating point


def _step(regime: str, n: int, k: np.ndarray, a: float, stretch: float) -> np.ndarray:
    """The map of the module, (len(k), 4, 4)."""
    r = np.ones(len(k)) if regime == "replace" else k / (n + k)
    fixed = float(regime == "fixed_real")
    row = np.zeros((len(k), 4))
    row[:, [0, 2, 3]] = 1.0 - a, a, a * stretch
    noise = row - [0.0, 0.0, a * a, 0.0]
    step = np.zeros((len(k), 4, 4))
    step[:, 0, 0] = 1.0
    step[:, 1, 0], step[:, 1, 1] = fixed * (1.0 - r) / n, fixed * r * a
    step[:, 2, 0], step[:, 2, 1], step[:, 2, 2] = (1.0 - r) ** 2 / n, fixed * 2.0 * r * (1.0 - r) * a, (r * a) ** 2
    step[:, 2] += (r * r / k)[:, None] * noise
    step[:, 3] = r[:, None] * row - step[:, 2]
    step[:, 3, 0] += 1.0 - r
    return step


def _product(t: int, n: int, k: np.ndarray) -> np.ndarray:
    r"""1 less the product, by the sum of the logarithms of $1 - \beta^2/(i + n/k)^2$, $\beta^2 = 1/k$."""
    x, root = n / k, 1.0 / np.sqrt(k)
    logarithm = sum_of(
        lambda i: np.log1p(-((root / (i + x)) ** 2)),
        lambda i: (i + x) * np.log1p(-((root / (i + x)) ** 2)) + 2.0 * root * np.arctanh(root / (i + x)),
        lambda i: 2.0 * root**2 / (i + x) / ((i + x) ** 2 - root**2),
        t,
        len(k),
    )
    return np.exp(logarithm) / n - np.expm1(logarithm)


def _accumulated(n: int, k: np.ndarray, a: float, stretch: float) -> Iterator[np.ndarray]:
    """Stepped: all rows so far with their second moment, and those of this generation."""
    total, second, square = np.full(len(k), float(n)), np.ones(len(k)), np.full(len(k), 1.0 / n)
    while True:
        yield square
        row = a * (stretch * np.maximum(second - square, 0.0) + square) + 1.0 - a
        kept, share = (total + k * a) / (total + k), k / (total + k)
        square = kept**2 * square + share**2 / k * (row - a * a * square)
        second = second + share * (row - second)
        total = total + k


def _subsampled(n: int, k: np.ndarray, a: float, stretch: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Stepped: all rows so far, their mean square and mean product, and those that the next generation adds.

    Yields $E m^2$ and the mean square M.
    """
    total, second, product = np.full(len(k), float(n)), np.ones(len(k)), np.zeros(len(k))
    square = np.full(len(k), 1.0 / n)
    while True:
        yield square, second
        row = a * (stretch * np.maximum(second - square, 0.0) + square) + 1.0 - a
        cross = a * (second / total + (1.0 - 1.0 / total) * product)
        size, share = total + k, k / (total + k)
        old = (total / size) * ((total - 1.0) / (size - 1.0))
        both, new = 2.0 * share * (total / (size - 1.0)), share * ((k - 1.0) / (size - 1.0))
        product = old * product + both * cross + new * a * a * square
        second = second + share * (row - second)
        square, total = second / n + (1.0 - 1.0 / n) * product, size


def _picked(squares: Iterator[np.ndarray], generations: Sequence[int], count: int) -> np.ndarray:
    """Of steps without end those of some generations, float64 (len(generations), count)."""
    wanted, found = {t: row for row, t in enumerate(generations)}, np.empty((len(generations), count))
    with np.errstate(over="ignore", invalid="ignore"):
        for t in range(max(generations, default=-1) + 1):
            square = next(squares)
            if t in wanted:
                found[wanted[t]] = square
    return np.where(np.isfinite(found), found, np.inf)
