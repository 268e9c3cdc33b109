"""Checks of arguments that several forecasts share: a bad one is named, never turned into NaN."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError

__all__ = [
    "Values",
    "choice",
    "distributions",
    "number",
    "numbers",
    "plain",
    "share_of_model",
    "shares_of_model",
    "vectors",
    "whole",
    "wholes",
]

Values = float | np.ndarray  # a float for scalar arguments, otherwise an array of their broadcast shape


def number(name: str, value: float, low: float = 0.0, *, inf: bool = False, above: bool = False) -> float:
    """`value` as a float, if it is at least `low` (or above it).

    Args:
        name: the argument's name, for the message.
        inf: whether infinity is allowed.
        above: whether `low` itself is excluded.

    Raises:
        SpecError: it is NaN, too small, or infinite where that has no meaning.
    """
    value = float(value)
    fits = value > low if above else value >= low
    if math.isnan(value) or not fits or (math.isinf(value) and not inf):
        raise SpecError(
            f"{name}: must be a {'' if inf else 'finite '}number {'>' if above else '>='} {low:g}, got {value}"
        )
    return value


def whole(name: str, value: int, low: int = 0) -> int:
    """`value` as an int, if it is a whole number of at least `low`.

    Raises:
        SpecError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < low:
        raise SpecError(f"{name}: must be a whole number >= {low}, got {value!r}")
    return int(value)


def share_of_model(correction_strength: float) -> float:
    r"""$1/(1+\gamma)$, the share of rows that the ideal corrector leaves to the model; 0 for gamma = inf."""
    return 1.0 / (1.0 + number("correction_strength", correction_strength, inf=True))


def shares_of_model(correction_strength: npt.ArrayLike) -> np.ndarray:
    """`share_of_model` of an array."""
    return 1.0 / (1.0 + numbers("correction_strength", correction_strength, inf=True))


def numbers(
    name: str,
    values: npt.ArrayLike,
    low: float = 0.0,
    high: float = math.inf,
    *,
    inf: bool = False,
    above: bool = False,
    below: bool = False,
) -> np.ndarray:
    """`values` as float64 of any shape, if all lie between `low` and `high`.

    Args:
        name: the argument's name, for the message.
        inf: whether infinity is allowed.
        above, below: whether `low` itself, or `high` itself, is excluded.

    Raises:
        SpecError: one is no number, NaN, out of range, or infinite where that has no meaning.
    """
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise SpecError(f"{name}: must be a number or an array of numbers, got {values!r}") from error
    if array.size == 0:
        return array
    smallest, largest = float(array.min()), float(array.max())  # NaN if one is, and then no comparison holds
    fits = smallest >= low and largest <= high and not (above and smallest == low) and not (below and largest == high)
    if not fits or (not inf and (math.isinf(smallest) or math.isinf(largest))):
        wrong = ~((array > low if above else array >= low) & (array < high if below else array <= high))
        wrong |= ~(np.isfinite(array) | inf)
        upper = "" if math.isinf(high) else f" and {'<' if below else '<='} {high:g}"
        raise SpecError(
            f"{name}: must be {'' if inf else 'finite and '}{'>' if above else '>='} {low:g}{upper}, "
            f"got {array[wrong].flat[0]:g}"
        )
    return array


def wholes(name: str, values: npt.ArrayLike, low: int = 0, high: float = math.inf, *, inf: bool = False) -> np.ndarray:
    """`values` as float64 of any shape, if all are whole numbers between `low` and `high`.

    Raises:
        SpecError: one is not.
    """
    array = numbers(name, values, low, high, inf=inf)
    finite = np.where(np.isinf(array), 0.0, array)
    if (finite != np.floor(finite)).any():
        raise SpecError(f"{name}: must be whole, got {finite[finite != np.floor(finite)].flat[0]:g}")
    return array


def choice(name: str, value: str, allowed: Iterable[str]) -> str:
    """`value`, if it is one of `allowed`.

    Raises:
        SpecError: it is not; the message lists what is.
    """
    allowed = tuple(allowed)
    if value not in allowed:
        raise SpecError(f"{name}: must be one of {', '.join(allowed)}; got {value!r}")
    return value


def vectors(name: str, values: npt.ArrayLike) -> np.ndarray:
    """Finite float64 (..., m) with m >= 1.

    Raises:
        SpecError: a scalar, an empty axis, or values that are not finite numbers.
    """
    array = numbers(name, values, -math.inf)
    if array.ndim < 1 or array.size == 0:
        raise SpecError(f"{name}: must have shape (..., m) with m >= 1, got {array.shape}")
    return array


def distributions(name: str, values: npt.ArrayLike) -> np.ndarray:
    """float64 (..., m), every row non-negative with a sum of 1 to within 1e-6, made exact.

    Raises:
        SpecError: a row is no probability distribution.
    """
    array = np.asarray(values, np.float64) if isinstance(values, np.ndarray) else vectors(name, values)
    if array.ndim < 1 or array.size == 0:
        return vectors(name, array)  # raises
    total = array.sum(axis=-1, keepdims=True)
    # the fewest passes: NaN and infinity fail these comparisons as well
    if not (array.min() >= 0.0 and np.abs(total - 1.0).max() <= 1e-6):
        vectors(name, array)
        raise SpecError(
            f"{name}: must be non-negative and sum to 1 along the last axis, got a smallest value of "
            f"{array.min():g} and sums from {total.min():g} to {total.max():g}"
        )
    return array / total


def plain(values: np.ndarray) -> Values:
    """A float where every argument was a number, an array otherwise."""
    return float(values) if np.ndim(values) == 0 else values
