"""What may be hooked into a loop: progress, early stopping, and the user's own functions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.state import Info

if TYPE_CHECKING:
    from ouroloop.loop import Loop

__all__ = ["LEVELS", "Callback", "EarlyStop", "LogProgress", "as_callback"]

LEVELS = ("healthy", "drifting", "collapsing")


@runtime_checkable
class Callback(Protocol):
    """Called by the loop in its own process; an exception ends the run after the generation was committed."""

    def on_start(self, loop: Loop) -> None:
        """Before the first generation that is still to do."""
        ...

    def on_generation(self, info: Info) -> bool | None:
        """After a generation was committed. Return True to end the run here."""
        ...

    def on_end(self, loop: Loop) -> None:
        """After the last generation, an early stop or an error."""
        ...


class _Function:
    def __init__(self, function: Callable[[Info], Any]) -> None:
        self._function = function

    def on_start(self, loop: Loop) -> None:
        """Nothing to do."""

    def on_generation(self, info: Info) -> bool:
        """Call the function; only True (also numpy's) stops, so that a function may return anything else."""
        answer = self._function(info)
        return isinstance(answer, bool | np.bool_) and bool(answer)

    def on_end(self, loop: Loop) -> None:
        """Nothing to do."""


def as_callback(value: Any) -> Callback:
    """A `Callback` as it is; a function as one that is called with each `Info`."""
    if isinstance(value, Callback):
        return value
    if callable(value):
        return _Function(value)
    raise SpecError(f"a callback is a function of an Info, or has on_start, on_generation and on_end; got {value!r}")


class EarlyStop(_Function):
    """End the run when the collapse alarm reaches a level.

    Args:
        level: "drifting" or "collapsing".
        patience: stop only after so many measured generations in a row at that level or above.
    """

    def __init__(self, level: str = "collapsing", patience: int = 1) -> None:
        if level not in LEVELS[1:]:
            raise SpecError(f"stop_on: must be one of {', '.join(LEVELS[1:])}, got '{level}'")
        self._level, self._patience, self._count = LEVELS.index(level), patience, 0
        super().__init__(self._judge)

    def _judge(self, info: Info) -> bool:
        if info.alarm is not None:
            self._count = self._count + 1 if info.alarm >= self._level else 0
        return self._count >= self._patience


class LogProgress(_Function):
    """Print one line a generation: which, of how many, the alarm, time taken and time left."""

    def __init__(self, write: Callable[[str], Any] = print) -> None:
        self._write, self._last, self._began, self._first = write, 0, 0.0, None
        super().__init__(self._line)

    def on_start(self, loop: Loop) -> None:
        """Start the clock."""
        self._last, self._began, self._first = loop.generations, time.monotonic(), None

    def _line(self, info: Info) -> None:
        self._first = info.generation if self._first is None else self._first
        spent = time.monotonic() - self._began
        left = spent / (info.generation - self._first + 1) * (self._last - info.generation)
        status = f", {LEVELS[info.alarm]}" if info.alarm is not None else ""
        self._write(f"generation {info.generation}/{self._last}{status}, {spent:.1f} s, {left:.1f} s left")
