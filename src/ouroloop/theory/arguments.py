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
    "common_shape",
    "distributions",
    "flags",
    "number",
    "numbers",
    "plain",
    "share_of_model",
    "shares_corrected",
    "shares_of_model",
    "together",
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
        SpecError: it is no number, NaN, too small, or infinite where that has no meaning.
    """
    array = _float64(name, value)
    if array.ndim:
        raise SpecError(f"{name}: must be one number, got an array of shape {array.shape}; call once for each")
    value = float(array)
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


def shares_corrected(correction_strength: npt.ArrayLike) -> np.ndarray:
    r"""$\gamma/(1+\gamma)$, of small $\gamma$ with all its digits; 1 for gamma = inf."""
    strength = numbers("correction_strength", correction_strength, inf=True)
    with np.errstate(divide="ignore", over="ignore"):
        return 1.0 / (1.0 + 1.0 / strength)


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
    array = _float64(name, values)
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


def _float64(name: str, values: npt.ArrayLike) -> np.ndarray:
    """`values` as float64, whatever their sizes. Text, dates, None and complex numbers are no numbers here."""
    try:
        array = np.asarray(values)
        if array.dtype.kind in "biuf":
            return array.astype(np.float64, copy=False)
        if array.dtype.kind == "O" and all(hasattr(value, "__float__") for value in array.flat):
            return array.astype(np.float64)  # long whole numbers, fractions
    except (TypeError, ValueError, OverflowError) as error:  # ragged, or beyond float64
        raise SpecError(f"{name}: must be a number or an array of numbers, got {values!r}") from error
    raise SpecError(f"{name}: must be a number or an array of numbers, got {values!r}")


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


def flags(name: str, values: npt.ArrayLike) -> np.ndarray:
    """`values` as booleans of any shape, if each is True, False, 1 or 0.

    Raises:
        SpecError: one is not.
    """
    array = _float64(name, values)
    if not ((array == 0.0) | (array == 1.0)).all():
        raise SpecError(f"{name}: must be True or False, or an array of them, got {values!r}")
    return array == 1.0


def choice(name: str, value: str, allowed: Iterable[str]) -> str:
    """`value`, if it is one of `allowed`.

    Raises:
        SpecError: it is not; the message lists what is.
    """
    allowed = tuple(allowed)
    if not isinstance(value, str) or value not in allowed:
        several = "; call once for each" if isinstance(value, list | tuple | np.ndarray) else ""
        raise SpecError(f"{name}: must be one of {', '.join(allowed)}; got {value!r}{several}")
    return value


def common_shape(kind: str, /, **shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape to which all of these broadcast.

    Args:
        kind: what they are the shapes of, for the message.
        shapes: by argument.

    Raises:
        SpecError: they do not broadcast; the message names the first that does not fit those before it.
    """
    found: tuple[int, ...] = ()
    for name, shape in shapes.items():
        try:
            found = np.broadcast_shapes(found, shape)
        except ValueError as error:
            others = ", ".join(f"{other} {known}" for other, known in shapes.items() if known and other != name)
            raise SpecError(
                f"{name}: {kind} {shape} does not broadcast with {others}; give single numbers, or as many of each, "
                "or one of them an axis of length 1 more"
            ) from error
    return found


def together(**arrays: npt.ArrayLike) -> tuple[np.ndarray, ...]:
    """The arrays, by argument, broadcast to one shape (read-only).

    Raises:
        SpecError: their shapes do not broadcast.
    """
    shape = common_shape("shape", **{name: np.shape(array) for name, array in arrays.items()})
    return tuple(np.broadcast_to(array, shape) for array in arrays.values())


def vectors(name: str, values: npt.ArrayLike) -> np.ndarray:
    """Finite float64 (..., m) with m >= 1.

    Raises:
        SpecError: a scalar, an empty last axis, or values that are not finite numbers.
    """
    array = numbers(name, values, -math.inf)
    if array.ndim < 1 or array.shape[-1] == 0:
        raise SpecError(f"{name}: must have shape (..., m) with m >= 1, got {array.shape}")
    return array


def distributions(name: str, values: npt.ArrayLike) -> np.ndarray:
    """float64 (..., m), every row non-negative with a sum of 1 to within 1e-6, made exact.

    Raises:
        SpecError: a row is no probability distribution.
    """
    array = values if type(values) is np.ndarray and values.dtype == np.float64 else vectors(name, values)
    if array.ndim < 1 or array.size == 0:
        return vectors(name, array)  # raises, unless there are no rows
    with np.errstate(over="ignore", invalid="ignore"):
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
