"""The folder that a corrected pile is written into: nothing of it is there before all of it is."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from ouroloop.atomic import remove, storing
from ouroloop.errors import DataError

__all__ = ["check_free", "filling"]

_UNFINISHED = "unfinished-"  # folders in which attempts are made; one that was killed leaves its own behind


def check_free(out: Path) -> None:
    """Refuse a folder that holds anything but what interrupted attempts left.

    Raises:
        DataError: a file, or a folder with something in it.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; choose a folder, nothing was written")
    if out.is_dir() and any(not entry.name.startswith(_UNFINISHED) for entry in out.iterdir()):
        raise DataError(f"{out}: is not empty; choose another folder, nothing was written")


@contextlib.contextmanager
def filling(out: Path, *, keep: bool = False) -> Iterator[Path]:
    """A new folder inside `out` to write into; when the block ends well, what it holds is moved up into `out`.

    Nothing that was there before is touched, whatever happens, and two attempts at once do not meet before the end.

    Args:
        out: a folder that `check_free` allows; it is made where it is not there.
        keep: leave what an attempt that failed has made, and say where it is.

    Raises:
        DataError: `out` is not free, or no longer.
    """
    check_free(out)
    existed = out.exists()
    work = out / f"{_UNFINISHED}{secrets.token_hex(4)}"
    with storing(work, "make"):
        work.mkdir(parents=True)
    try:
        yield work
        _publish(work, out)
    except BaseException as error:
        if keep:
            error.add_note(f"what was finished is in {work}")
            raise
        remove(work)
        if not existed:
            with contextlib.suppress(OSError):  # another attempt is in it
                out.rmdir()
        raise


def _publish(work: Path, out: Path) -> None:
    check_free(out)
    with storing(out):
        for entry in list(work.iterdir()):
            os.rename(entry, out / entry.name)
        work.rmdir()
