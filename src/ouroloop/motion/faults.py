"""Reading many motions when one of them is broken: stop there, or tell of it and go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ouroloop.errors import DataError

__all__ = ["OnError", "telling"]

OnError = Callable[[Path, str, DataError], None] | None
"""Told of a file, of the motion in it by name, and of what is wrong; must not raise a DataError itself. None raises."""


@contextlib.contextmanager
def telling(path: Path, name: str, on_error: OnError) -> Iterator[None]:
    """Hand a DataError of the block to `on_error`, where there is one."""
    try:
        yield
    except DataError as error:
        if on_error is None:
            raise
        on_error(path, name, error)
