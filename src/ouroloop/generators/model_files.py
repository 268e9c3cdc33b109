"""The model that a command wrote: a file or folder that belongs to one fitted object and goes with it."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from ouroloop.errors import PartError

__all__ = ["ModelFiles", "check_model"]

_Entry = tuple[str, int, int]


class ModelFiles:
    """A temporary folder for one model, deleted when this object is.

    Args:
        name: name of the model's file, or of its folder with a '/' behind it, which is made.

    Attributes:
        path: where the model is, or is to be written.
    """

    def __init__(self, name: str) -> None:
        self._folder = tempfile.mkdtemp(prefix="ouroloop-model-")
        self._finalizer = weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        self.path = Path(self._folder, name.rstrip("/"))
        if name.endswith("/"):
            self.path.mkdir()

    @classmethod
    def copied(cls, name: str, source: Path) -> ModelFiles:
        """A copy of a model that was saved at `source`."""
        check_model(source, "the saved model")
        result = cls(name)
        _copy(source, result.path)
        return result

    def copy_to(self, target: Path) -> None:
        """Write a copy of the model to `target`, which is not there yet (or an empty folder)."""
        check_model(self.path, "the model")
        _copy(self.path, target)

    def signature(self) -> tuple[_Entry, ...]:
        """Names, sizes and times of change of all files, to tell whether a command touched them."""
        return tuple(
            (str(path.relative_to(self._folder)), info.st_size, info.st_mtime_ns)
            for path, info in _walk(self.path)
            if not stat.S_ISDIR(info.st_mode)
        )


def check_model(path: Path, what: str) -> None:
    """Refuse a model that is missing, empty, or holds anything but regular files and folders.

    Raises:
        PartError: naming the file. Links are refused because they may lead out of the model.
    """
    if not os.path.lexists(path):
        raise PartError(f"{what} is missing: nothing was written to {path.name} ({{model}})")
    files = 0
    for entry, info in _walk(path):
        if stat.S_ISREG(info.st_mode):
            files += 1
        elif not stat.S_ISDIR(info.st_mode):
            kind = "a link" if stat.S_ISLNK(info.st_mode) else "not a regular file"
            raise PartError(
                f"{what}: {entry.relative_to(path.parent)} is {kind}; a model consists of regular files and folders"
            )
    if not files:
        raise PartError(f"{what} is an empty folder: nothing was written to {path.name} ({{model}})")


def _walk(path: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """A path and all below it in a fixed order; links are not followed."""
    info = path.lstat()
    yield path, info
    if stat.S_ISDIR(info.st_mode):
        for name in sorted(os.listdir(path)):
            yield from _walk(path / name)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, target, follow_symlinks=False)
