"""How far a long piece of work has come, said by whoever does it and shown by whoever wants to.

Parts call `report("fit", done, total)`; nothing happens unless a listener was set with `listening`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar

__all__ = ["Listener", "listening", "report"]

Listener = Callable[[str, int, int], None]
_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report(stage: str, done: int, total: int) -> None:
    """Say that `done` of `total` steps of a stage ("fit", "sample", "correct", ...) are finished."""
    listener = _listener.get()
    if listener is not None:
        listener(stage, done, total)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send reports made inside the block to `listener(stage, done, total)`."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
