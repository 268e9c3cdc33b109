"""Writing files so that a crash at any instant leaves the old content or the new, never a mixture."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.errors import StoreError

__all__ = [
    "JSON_LIMIT",
    "append_line",
    "clear_temporary",
    "crash_point",
    "encode_json",
    "fsync_directory",
    "fsync_file",
    "plain",
    "read_json",
    "read_mapping",
    "read_text",
    "remove",
    "same",
    "storing",
    "temporary_name",
    "write_bytes",
    "write_json",
]

JSON_LIMIT = 64 << 20  # bytes: a larger JSON file is refused unread
_TEMPORARY = ".tmp-"
_NUMBERS = {float, int, bool, type(None)}
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def crash_point(name: str) -> None:
    """Mark an instant at which a crash must do no harm. Does nothing; fault-injection tests replace it."""


@contextlib.contextmanager
def storing(path: Path, doing: str = "write") -> Iterator[None]:
    """Turn an operating-system error inside the block into a StoreError that names the file."""
    try:
        yield
    except OSError as error:
        reason = (os.strerror(error.errno) if error.errno else str(error)).lower()
        hint = "; committed generations are intact: free some space and resume" if error.errno in _FULL else ""
        raise StoreError(f"{path}: cannot {doing}: {reason}{hint}") from error


def temporary_name(stem: str) -> str:
    """A fresh name for something unfinished; `clear_temporary` removes what a crash left under such names."""
    return f"{_TEMPORARY}{stem}-{secrets.token_hex(4)}"


def clear_temporary(directory: Path) -> None:
    """Remove what crashed writers left unfinished in a directory. Only the holder of the lock may."""
    with storing(directory, "clear"), os.scandir(directory) as entries:
        stale = [entry.path for entry in entries if entry.name.startswith(_TEMPORARY)]
    for path in map(Path, stale):
        remove(path)


def remove(path: Path) -> None:
    """Delete a file, or a folder and all that is in it; one that is already gone is no error."""
    with storing(path, "delete"), contextlib.suppress(FileNotFoundError):
        crash_point("delete")
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def fsync_file(path: Path) -> None:
    """Wait until a file's content is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fsync_directory(path: Path) -> None:
    """Wait until a folder's entries are on the disk (a no-op on systems that cannot)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    except PermissionError:  # Windows cannot open a folder
        return
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_bytes(path: Path, data: bytes, *, by: Path | None = None, durable: bool = True) -> None:
    """Replace a file's content at once: a temporary file, fsync, rename, fsync of the folder.

    Args:
        by: folder for the temporary file, on the same file system; default: that of the file.
        durable: whether to wait until it is on the disk; what can be made again need not be.

    Raises:
        StoreError: the disk is full or refuses; the old content is still there.
    """
    temporary = (by or path.parent) / temporary_name(path.name)
    try:
        with storing(path):
            with open(temporary, "wb") as file:
                crash_point(f"write {path.name}")
                file.write(data)
            if durable:
                crash_point(f"fsync {path.name}")
                fsync_file(temporary)
            crash_point(f"replace {path.name}")
            os.replace(temporary, path)
            if durable:
                fsync_directory(path.parent)
            crash_point(f"replaced {path.name}")
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def append_line(path: Path, line: bytes) -> None:
    """Add one line to a file; a line that a crash tore before is ended first, so that it spoils no other."""
    with storing(path), open(path, "a+b", buffering=0) as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                line = b"\n" + line
        crash_point(f"append {path.name}")
        file.write(line + b"\n")
        crash_point(f"appended {path.name}")


def plain(value: Any, where: str) -> Any:
    """The value in JSON's own types; numpy scalars become numbers, NaN and infinity stay.

    Args:
        where: what the value is, for messages ("state"); nested names are added with dots.

    Raises:
        StoreError: something that JSON cannot hold, with its place; or nested without end.
    """
    try:
        return _plain(value, where)
    except RecursionError as error:
        raise StoreError(f"{where[:100]}: nested too deeply, or in itself") from error


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, str):
        return _encodable(value, where)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise StoreError(f"{where}: the key {name!r} is a {type(name).__name__}; JSON keys are strings")
        return {
            _encodable(name, where): item if type(item) in _NUMBERS else _plain(item, f"{where}.{name}")
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [
            item if type(item) in _NUMBERS else _plain(item, f"{where}[{index}]") for index, item in enumerate(value)
        ]
    raise StoreError(
        f"{where}: a {type(value).__name__} cannot be stored as JSON; "
        "expected numbers, strings, booleans, None, lists or mappings of these (arrays: use .tolist())"
    )


def _encodable(text: str, where: str) -> str:
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise StoreError(f"{where}: the text {text!r} is not valid Unicode") from error
    return text


def encode_json(value: Any, where: str, *, indent: int | None = None) -> bytes:
    """JSON text of a value, strict about types (see `plain`). NaN and infinity are written as such.

    Raises:
        StoreError: something that JSON cannot hold, or more than `read_json` would read.
    """
    data = json.dumps(plain(value, where), indent=indent, ensure_ascii=False).encode() + b"\n"
    if len(data) > JSON_LIMIT:
        raise StoreError(f"{where}: {len(data)} bytes of JSON, at most {JSON_LIMIT}; put arrays into tables")
    return data


def write_json(path: Path, value: Any, *, by: Path | None = None) -> None:
    """Replace a JSON file at once; see `write_bytes`."""
    write_bytes(path, encode_json(value, path.name, indent=1), by=by)


def read_text(path: Path, limit: int = JSON_LIMIT) -> str:
    """The text of a file of bounded size.

    Raises:
        StoreError: missing, not a regular file, too large, or not UTF-8.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise StoreError(f"{path}: missing") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > limit:
        raise StoreError(f"{path}: larger than {limit} bytes, which no file of this kind is")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise StoreError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from error


def read_json(path: Path, limit: int = JSON_LIMIT) -> Any:
    """The value in a JSON file of bounded size and depth.

    Raises:
        StoreError: missing, too large, truncated or not JSON.
    """
    try:
        return json.loads(read_text(path, limit))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path}: not valid JSON ({error}); truncated or changed by hand?") from error


def read_mapping(path: Path) -> dict[str, Any]:
    """The object in a JSON file; see `read_json`."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise StoreError(f"{path}: expected a JSON object, got {type(value).__name__}; changed by hand?")
    return value


def same(left: Any, right: Any) -> bool:
    """Whether two plain values are equal, NaN being equal to itself."""
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right
