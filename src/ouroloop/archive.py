"""Runs as one .tar.gz file, to be sent to somebody; unpacked by a reader that trusts nothing in it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

from ouroloop.atomic import crash_point, fsync_file, remove, storing, temporary_name
from ouroloop.directories import committed_folders, folder_name
from ouroloop.errors import StoreError
from ouroloop.manifest import files_in
from ouroloop.names import safe_name
from ouroloop.run_files import RUN, TOP
from ouroloop.store import RunStore

__all__ = ["export_run", "import_run"]

_LIMIT_BYTES = 64 << 30
_LIMIT_FILES = 1_000_000
_OTHERS = ("metrics.parquet", "events.jsonl", "forecasts.json")


def export_run(run: Path | str, archive: Path | str) -> None:
    """Pack a run into an archive. The run is verified first; the archive appears only when it is whole.

    Args:
        run: a run directory.
        archive: a new file, .tar.gz.

    Raises:
        StoreError: the run is damaged, the file exists, or the disk is full.
    """
    store, archive = RunStore.open(run), Path(archive)
    if not archive.name.endswith(".tar.gz"):
        raise StoreError(f"{archive}: the name of an archive ends with .tar.gz")
    if archive.exists():
        raise StoreError(f"{archive}: exists already")
    with store.lock():
        store.check()
        temporary = archive.with_name(temporary_name(archive.name))
        try:
            with storing(archive):
                with tarfile.open(temporary, "w:gz", format=tarfile.PAX_FORMAT) as tar:
                    for name in _names(store.path):
                        crash_point("pack")
                        tar.add(store.path / name, f"{store.path.resolve().name}/{name}", False, filter=_nameless)
                fsync_file(temporary)
                os.replace(temporary, archive)
        finally:
            remove(temporary)


def _names(path: Path) -> Iterator[str]:
    """Names of the files that make a run, run.json last; what a user has put beside them stays at home."""
    for name in (*TOP, *_OTHERS):
        if (path / name).is_file():
            yield name
    for t in sorted(committed_folders(path)):
        for name in files_in(path / "generations" / folder_name(t)):
            yield f"generations/{folder_name(t)}/{name}"
    yield RUN


def _nameless(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def import_run(archive: Path | str, into: Path | str, *, limit_bytes: int = _LIMIT_BYTES) -> RunStore:
    """Unpack an archive of one run into a folder and verify it. Nothing stays if anything is wrong with it.

    Args:
        archive: what `export_run` made, from wherever it comes.
        into: the folder in which the run's directory appears under its own name.
        limit_bytes: most bytes that are unpacked.

    Raises:
        StoreError: not such an archive, larger than the limit, with a member that is no plain file below one
            directory, of a run that is damaged, or of one whose name is taken.
    """
    archive, into = Path(archive), Path(into)
    temporary = into / temporary_name("import")
    with _folder(into):
        try:
            with storing(temporary):
                temporary.mkdir()
            name = _unpack(archive, temporary, limit_bytes)
            if (into / name).exists():
                raise StoreError(f"{into / name}: exists already; move it away, or import into another folder")
            with storing(temporary):
                (temporary / name / "generations").mkdir(exist_ok=True)
            RunStore.open(temporary / name).check()
            with storing(into / name):
                os.rename(temporary / name, into / name)
        finally:
            remove(temporary)
    return RunStore.open(into / name)


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[None]:
    """Make a folder. What was made for it and holds nothing at the end is removed."""
    with storing(path, "create"):
        made = [folder for folder in (path, *path.parents) if not folder.exists()]
    try:
        with storing(path, "create"):
            path.mkdir(parents=True, exist_ok=True)
        yield
    finally:
        for folder in made:
            with contextlib.suppress(OSError):  # never made, or it holds the run
                folder.rmdir()


def _unpack(archive: Path, folder: Path, limit: int) -> str:
    """Unpack members one by one, each checked before it is written; the name of their common directory."""
    left, name = limit, ""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for count, member in enumerate(tar):
                top = _checked(archive, member)
                name = name or safe_name(top)
                left -= max(member.size, 0)
                if top != name:
                    raise StoreError(f"{archive}: holds more than one directory ({name}, {top})")
                if left < 0 or count >= _LIMIT_FILES:
                    raise StoreError(f"{archive}: larger than {limit} bytes or {_LIMIT_FILES} files when unpacked")
                _write(tar, member, folder / member.name)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        if isinstance(error, StoreError):
            raise
        raise StoreError(f"{archive}: cannot be unpacked ({error})") from error
    if not name:
        raise StoreError(f"{archive}: empty")
    return name


def _write(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    """One plain file, with this process's own owner and mode; the first of a name, never over another."""
    source = tar.extractfile(member)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "xb") as target:
        if source is not None:
            shutil.copyfileobj(source, target)


def _checked(archive: Path, member: tarfile.TarInfo) -> str:
    """The first part of a member's path, if the member is a plain file with a plain path."""
    parts = member.name.split("/")
    if not member.isreg():
        raise StoreError(f"{archive}: {member.name!r} is a link, a device or a folder; only files are unpacked")
    if len(parts) < 2 or "\\" in member.name or "\0" in member.name or {"", ".", ".."} & set(parts):
        raise StoreError(f"{archive}: {member.name!r} is no path below one directory")
    if any(part.startswith(".") for part in parts):
        raise StoreError(f"{archive}: {member.name!r} is hidden, which no file of a run is")
    return parts[0]
