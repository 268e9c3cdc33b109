"""Checks of arguments that several forecasts share: a bad one is named, never turned into NaN."""

from __future__ import annotations

import math

import numpy as np

from ouroloop.errors import SpecError

__all__ = ["number", "share_of_model", "whole"]


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
