"""One writer at a time: an advisory lock on a run directory that the operating system drops with the process."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
from pathlib import Path

from ouroloop.errors import StoreError

__all__ = ["RunLock"]

_PATIENCE_S = 0.5  # whoever opens a run may hold its lock for a moment, to write metrics.parquet


class RunLock:
    """The lock of a run directory. Re-entrant within one object; any other holder is refused at once.

    Args:
        directory: an existing directory. The lock lies in `.lock`, what is known of its holder in `.lock.json`.
    """

    def __init__(self, directory: Path) -> None:
        from filelock import FileLock

        self._directory = directory
        self._file = FileLock(str(directory / ".lock"), thread_local=False)
        self._depth = 0

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._depth > 0

    @property
    def depth(self) -> int:
        """How many times `acquire` was called more often than `release`."""
        return self._depth

    def acquire(self, *, patience_s: float = _PATIENCE_S) -> None:
        """Take the lock, or one more hold on it.

        Args:
            patience_s: how long to try, seconds.

        Raises:
            StoreError: another process (or another object in this one) holds it; its process and host are named.
        """
        from filelock import Timeout

        try:
            self._file.acquire(timeout=patience_s, poll_interval=0.02)
        except Timeout as error:
            raise StoreError(
                f"{self._directory}: another process is writing this run{self._holder()}; "
                "wait for it to end, or give this run another name"
            ) from error
        except OSError as error:
            raise StoreError(f"{self._directory}: cannot be locked for writing ({error.strerror or error})") from error
        self._depth += 1
        if self._depth == 1:
            now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
            holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now}
            with contextlib.suppress(OSError):  # only a courtesy to whoever is refused
                (self._directory / ".lock.json").write_text(json.dumps(holder))

    def release(self) -> None:
        """Give one hold back; the last one opens the lock."""
        if self._depth == 1:
            with contextlib.suppress(OSError):
                (self._directory / ".lock.json").unlink()
        self._depth -= 1
        self._file.release()

    def _holder(self) -> str:
        try:
            holder = json.loads((self._directory / ".lock.json").read_text()[:1000])
            return f" (process {int(holder['pid'])} on {str(holder['host'])[:100]} since {str(holder['since'])[:40]})"
        except (OSError, ValueError, KeyError, TypeError):
            return ""
