"""Fetching published files: several mirrors, resumed where cut off, checked by SHA-256, moved into place whole."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroloop import __version__
from ouroloop.errors import DataError
from ouroloop.progress import report

__all__ = ["RemoteFile", "checksum", "fetch"]

_CHUNK = 1 << 16
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Args:
        name: file name, appended to a mirror's address.
        size: bytes.
        sha256: hex digest of the whole file.
    """

    name: str
    size: int
    sha256: str


class _MirrorError(Exception):
    """This mirror cannot serve the file; the next one may."""


class _CutOffError(Exception):
    """The transfer stopped half way; what arrived is kept, so that it can go on from there."""


def checksum(path: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fetch(
    file: RemoteFile,
    folder: Path,
    mirrors: Sequence[str],
    *,
    attempts: int = 3,
    timeout_s: float = 30.0,
    pause_s: float = 1.0,
) -> Path:
    """The path of a file in a folder, downloaded there unless it is there already and sound.

    Bytes arrive in ``NAME.part``, which a later call continues. The name itself only ever stands for the
    whole, checked file. Processes that want the same file wait for each other.

    Args:
        file: what to fetch.
        folder: where to; created if missing.
        mirrors: http(s) addresses of folders that hold the file, tried in order.
        attempts: transfers to try on each mirror.
        timeout_s: seconds without a byte after which a transfer counts as cut off.
        pause_s: seconds to wait before the second attempt; doubled before each further one.

    Raises:
        DataError: no mirror could serve the file (each is listed with its reason), or it cannot be written.
    """
    from filelock import FileLock

    target, reasons = folder / file.name, []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{file.name}.lock"):
            if target.exists() and checksum(target) == file.sha256:
                return target
            for mirror in mirrors:
                url = f"{mirror.rstrip('/')}/{file.name}"
                try:
                    _from_mirror(url, file, target, attempts, timeout_s, pause_s)
                    return target
                except _MirrorError as error:
                    reasons.append(f"  {url}: {error}")
    except OSError as error:
        raise DataError(f"cannot write {file.name} into {folder} ({error}); name another in OUROLOOP_CACHE") from error
    listed = "\n".join(reasons) or "  no mirror was given"
    raise DataError(f"could not download {file.name} ({file.size:,} bytes):\n{listed}")


def _from_mirror(url: str, file: RemoteFile, target: Path, attempts: int, timeout_s: float, pause_s: float) -> None:
    part, reason = target.with_name(target.name + ".part"), ""
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause_s * 2 ** (attempt - 1))
        try:
            _transfer(url, file, part, timeout_s)
        except _CutOffError as error:
            reason = str(error)
            continue
        if (got := checksum(part)) == file.sha256:
            os.replace(part, target)
            return
        part.unlink()  # of no use to any later attempt
        reason = f"wrong checksum: SHA-256 {got[:16]}..., expected {file.sha256[:16]}..."
    raise _MirrorError(f"{reason} ({attempts} attempts)")


def _transfer(url: str, file: RemoteFile, part: Path, timeout_s: float) -> None:
    """Bring `part` to the file's full size, going on from what it holds."""
    have = part.stat().st_size if part.exists() else 0
    if have > file.size:
        have = 0
    if have == file.size:
        return
    with _open(url, have, timeout_s) as response:
        have = _start(response, have)
        announced = response.headers.get("Content-Length")
        if announced is not None and announced != str(file.size - have):
            raise _MirrorError(f"announces {announced} bytes, expected {file.size - have}")
        began, first = time.monotonic(), have
        with part.open("r+b" if have else "wb") as out:
            out.seek(have)
            out.truncate()
            for chunk in _chunks(response):
                have += len(chunk)
                if have > file.size:
                    raise _MirrorError(f"sends more than the expected {file.size:,} bytes")
                out.write(chunk)
                report(f"download {file.name}", have, file.size)
                left = (time.monotonic() - began) / (have - first) * (file.size - have)
                _log.debug("%s: %.1f of %.1f MB, about %.0f s left", file.name, have / 1e6, file.size / 1e6, left)
            out.flush()
            os.fsync(out.fileno())
    if have < file.size:
        raise _CutOffError(f"cut off after {have:,} of {file.size:,} bytes")


def _open(url: str, have: int, timeout_s: float) -> Any:
    if not url.startswith(("http://", "https://")):
        raise _MirrorError("not an http(s) address")
    headers = {"User-Agent": f"ouroloop/{__version__}", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and have:  # this mirror has no such range: start again without one
            return _open(url, 0, timeout_s)
        if error.code >= 500 or error.code == 429:
            raise _CutOffError(f"HTTP {error.code} {error.reason}") from error
        raise _MirrorError(f"HTTP {error.code} {error.reason}") from error
    except (http.client.HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        kind = _MirrorError if isinstance(reason, socket.gaierror) else _CutOffError  # no such host: do not ask again
        raise kind(str(reason) or type(reason).__name__) from error


def _start(response: Any, have: int) -> int:
    """The offset at which the response's bytes belong: where we asked for, or 0 from a server without ranges."""
    if response.status == 206:
        if not str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-"):
            raise _MirrorError(f"answers with range {response.headers.get('Content-Range')!r}, asked for {have}-")
        return have
    return 0


def _chunks(response: Any) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read(_CHUNK)
        except (http.client.HTTPException, OSError) as error:
            raise _CutOffError(f"cut off ({error})") from error
        if not chunk:
            return
        yield chunk
