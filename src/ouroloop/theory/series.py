"""Sums over very many generations: the first terms one by one, the others as an integral."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["sum_of"]

_FIRST = 200  # terms beyond which the rule below is exact to 1e-13 of the sum, for terms that fall as 1/i^2

Terms = Callable[[np.ndarray], np.ndarray]


def sum_of(term: Terms, integral: Terms, slope: Terms, last: int, size: int) -> np.ndarray:
    r"""$\sum_{i=1}^{T} f(i)$ of several series at once.

    From $s = 200$ on by the midpoint rule of Euler and Maclaurin,
    $\sum_{i=s+1}^T f(i) = \int_{s+1/2}^{T+1/2} f - \frac{1}{24}[f'(T+\tfrac12) - f'(s+\tfrac12)] + \dots$

    Args:
        term, integral, slope: f, an antiderivative and the derivative, of a column of i: (k, 1) to (k, size).
        last: T >= 0. size: how many series.

    Returns:
        float64 (size,).

    >>> sum_of(lambda i: 1 / i**2, lambda i: -1 / i, lambda i: -2 / i**3, 10**9, 1).round(9).tolist()
    [1.644934066]
    """
    first = np.arange(1.0, min(last, _FIRST) + 1.0)[:, None]
    total = term(first).sum(axis=0) if last else np.zeros(size)
    if last <= _FIRST:
        return total
    ends = np.array([[_FIRST + 0.5], [last + 0.5]])
    tail = np.diff(integral(ends), axis=0) - np.diff(slope(ends), axis=0) / 24.0
    return total + tail[0]
