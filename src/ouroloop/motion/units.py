"""Units of length and the direction of up: what files leave unsaid, asked for, guessed aloud, and checked."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.rotations import multiply, rotate

__all__ = ["METRES", "UnitsWarning", "UpAxis", "check_size", "metres_per_unit", "y_up"]

METRES = {"m": 1.0, "cm": 0.01, "mm": 0.001, "in": 0.0254, "ft": 0.3048, "in/0.45": 0.0254 / 0.45}
"""Metres of one unit. "in/0.45" is the CMU motion capture library's: inches, divided by 0.45."""
UpAxis = Literal["y", "z"]

_HUMAN_M = 2.1  # foot to hand along the bones: 1.7 m to 2.5 m for most adults
_SMALLEST_M, _LARGEST_M = 0.5, 5.0
_Z_TO_Y = np.array([np.sqrt(0.5), -np.sqrt(0.5), 0.0, 0.0])  # -90 degrees about x


class UnitsWarning(UserWarning):
    """Units were guessed from the size of the body; give them to be sure."""


def check_size(longest_path: float, where: str) -> None:
    """Refuse bodies that no human has.

    Args:
        longest_path: metres along the bones between the two joints farthest apart (`Skeleton.longest_path`).
        where: what the message begins with.

    Raises:
        DataError: shorter than 0.5 m or longer than 5 m; the message says which unit would fit.
    """
    if not _SMALLEST_M <= longest_path <= _LARGEST_M:
        fitting = _best_unit(longest_path)
        hint = f"its numbers look like {fitting!r}, not metres: give units" if fitting else "no known unit makes it one"
        raise DataError(
            f"{where}: the longest way along the bones, from foot to hand, is {longest_path:.3g} m; a human has about "
            f"{_HUMAN_M} m ({hint})"
        )


def metres_per_unit(units: str | None, longest_path: float, where: str) -> float:
    """The factor that turns a file's lengths into metres.

    Args:
        units: a key of `METRES`, or None to guess from the size of the body, with a `UnitsWarning`.
        longest_path: along the bones, in the file's units.
        where: what messages begin with.

    Raises:
        DataError: an unknown unit, all bones of length zero, or a body of no human size.
    """
    if longest_path <= 0:
        raise DataError(f"{where}: all bones have length zero; there is no body to move")
    if units is None:
        guess = _best_unit(longest_path)
        if guess is None:
            raise DataError(
                f"{where}: foot to hand is {longest_path:.3g} units along the bones; a human has about {_HUMAN_M} m, "
                f"and none of the units {', '.join(METRES)} makes it that; is this a human skeleton?"
            )
        if guess != "m":
            warnings.warn(
                f"{where}: no units given; foot to hand is {longest_path:.3g}, so they are taken for {guess!r}. "
                f"Give units={guess!r} to be sure and to be rid of this message",
                UnitsWarning,
                stacklevel=3,
            )
        return METRES[guess]
    if units not in METRES:
        raise DataError(f"{where}: unknown units {units!r}; known are {', '.join(METRES)}")
    factor = METRES[units]
    if not _SMALLEST_M <= longest_path * factor <= _LARGEST_M:
        fitting = _best_unit(longest_path)
        raise DataError(
            f"{where}: in units of {units!r} this body measures {longest_path * factor:.3g} m from foot to hand along "
            f"the bones; a human has about {_HUMAN_M} m"
            + (f" (units={fitting!r} would fit)" if fitting else "; no known unit makes it one")
        )
    return factor


def _best_unit(longest_path: float) -> str | None:
    """The unit that brings a length nearest to a human's, if it comes within a factor of 1.8."""
    if longest_path <= 0:
        return None
    misfit = {unit: abs(np.log(longest_path * factor / _HUMAN_M)) for unit, factor in METRES.items()}
    best = min(misfit, key=lambda unit: misfit[unit])
    return best if misfit[best] < np.log(1.8) else None


def y_up(root: np.ndarray, root_rotation: np.ndarray, up: UpAxis) -> tuple[np.ndarray, np.ndarray]:
    """Root track (T, 3) and root rotations (T, 4) of a world whose up is `up`, in a world whose up is y.

    From z up, (x, y, z) becomes (x, z, -y).
    """
    if up == "y":
        return root, root_rotation
    if up != "z":
        raise DataError(f"up axis {up!r}; known are 'y' and 'z'")
    return rotate(_Z_TO_Y, root), multiply(_Z_TO_Y, root_rotation)
