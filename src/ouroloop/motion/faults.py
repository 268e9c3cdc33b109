"""Reading many motions when one of them is broken: stop there, or tell of it and go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from ouroloop.errors import DataError

__all__ = ["OnError", "telling"]

OnError = Callable[[Path, DataError], None] | None  # told of a file and what is wrong with it; None: it is raised


@contextlib.contextmanager
def telling(path: Path, on_error: OnError) -> Iterator[None]:
    """Hand a DataError of the block to `on_error`, where there is one."""
    try:
        yield
    except DataError as error:
        if on_error is None:
            raise
        on_error(path, error)
