"""The folder that a corrected pile is written into: empty before, whole after, and known for unfinished in between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ouroloop.atomic import remove, storing
from ouroloop.errors import DataError

__all__ = ["check_free", "filling"]

_MARK = "UNFINISHED.txt"  # there while the folder is being written
_TEXT = "ouroloop correct was writing this folder and did not finish. The same command starts it afresh.\n"
_OURS = {_MARK, "motions", "run", "corrections.parquet", "report.html"}


def check_free(out: Path) -> None:
    """Refuse a folder that holds anything but what an earlier attempt left unfinished.

    Raises:
        DataError: a file, or a folder with something in it.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; choose a folder, nothing was written")
    if not out.is_dir():
        return
    entries = {entry.name for entry in out.iterdir()}
    if entries and not (_MARK in entries and all(_is_ours(name) for name in entries)):
        raise DataError(f"{out}: is not empty; choose another folder, nothing was written")


@contextlib.contextmanager
def filling(out: Path, *, keep: bool = False) -> Iterator[None]:
    """Write into a folder that `check_free` allows; an earlier attempt's leavings are cleared first.

    After an error the folder is empty again, or gone where it was not there before. After a kill, and with `keep` after
    an error too, it holds what was written and a file that says so, and the next attempt is not refused.

    Args:
        out: the folder.
        keep: whether what an interrupted attempt has made is worth keeping until the next one.
    """
    check_free(out)
    existed = out.exists()
    with storing(out):
        out.mkdir(parents=True, exist_ok=True)
        _clear(out)
        (out / _MARK).write_text(_TEXT, encoding="utf-8")
    try:
        yield
        remove(out / _MARK)
    except BaseException:
        if keep:
            raise
        _clear(out)
        if not existed:
            out.rmdir()
        raise


def _is_ours(name: str) -> bool:
    return name in _OURS or name.startswith("corrected.")


def _clear(out: Path) -> None:
    """Remove what is there; the mark goes last, so that a kill while clearing leaves it."""
    for entry in sorted(out.iterdir(), key=lambda entry: entry.name == _MARK):
        remove(entry)
