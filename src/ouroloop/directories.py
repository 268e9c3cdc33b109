"""Directories of runs: making a new one, finding those that there are, sharing a generation's files."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ouroloop.atomic import clear_temporary, crash_point, fsync_directory, remove, storing
from ouroloop.errors import StoreError
from ouroloop.locking import RunLock
from ouroloop.manifest import files_in
from ouroloop.run_files import RUN, TOP

__all__ = ["committed_folders", "find_runs", "folder_name", "link_tree", "new_directory"]


def find_runs(path: Path | str) -> list[Path]:
    """The run directories at or below a path (a run, a study, a folder of runs), sorted.

    Raises:
        StoreError: there is none.
    """
    path = Path(path)
    if (path / RUN).is_file():
        return [path]
    found = []
    for root, folders, names in os.walk(path):
        if RUN in names:
            found.append(Path(root))
            folders.clear()
    if not found:
        raise StoreError(f"{path}: {'no run directory in it' if path.exists() else 'no such directory'}")
    return sorted(found)


def folder_name(generation: int) -> str:
    """Name of a generation's directory.

    >>> folder_name(7)
    '0007'
    """
    return f"{generation:04d}"


def committed_folders(path: Path) -> set[int]:
    """Numbers of the generation directories that are there, with or without gaps."""
    with storing(path, "read"), os.scandir(path / "generations") as entries:
        names = [entry.name for entry in entries if entry.name.isdecimal() and entry.name.isascii()]
    return {int(name) for name in names if folder_name(int(name)) == name}


@contextlib.contextmanager
def new_directory(path: Path) -> Iterator[bool]:
    """Prepare a directory for a new run and lock it; says whether it is new once the lock is there."""
    with storing(path, "create"):
        path.mkdir(parents=True, exist_ok=True)
    lock = RunLock(path)
    lock.acquire()
    try:
        is_new = not (path / RUN).exists()
        if is_new:
            ours = {"generations", *TOP}
            foreign = sorted(n for n in os.listdir(path) if n not in ours and not n.startswith((".tmp-", ".lock")))
            if foreign:
                raise StoreError(f"{path}: holds other files ({', '.join(foreign[:5])}); choose an empty directory")
            clear_temporary(path)
            remove(path / "generations")  # of a creation or fork that crashed
            with storing(path, "create"):
                (path / "generations").mkdir()
        yield is_new
    finally:
        lock.release()


def link_tree(source: Path, target: Path) -> None:
    """The same files in another folder: hard links, or copies where the file system has none."""
    with storing(target):
        target.mkdir()
        for name in files_in(source):
            there = target / name
            there.parent.mkdir(parents=True, exist_ok=True)
            crash_point(f"link {name}")
            try:
                os.link(source / name, there)
            except OSError:
                shutil.copyfile(source / name, there)
                with open(there, "rb") as file:
                    os.fsync(file.fileno())
        fsync_directory(target)
