"""Shards of the generation that is being drawn, kept so that an interrupted process need not draw them again.

They lie in ``<run>/partial/0007`` until generation 7 is committed. They are no part of the run: what is not there,
damaged or not worth its time on the disk is drawn again, with the same result.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from pathlib import Path

import numpy as np

from ouroloop.atomic import remove, storing, temporary_name
from ouroloop.columns import columns_of
from ouroloop.correction import Correction
from ouroloop.directories import folder_name
from ouroloop.errors import DataError, PartError, StoreError
from ouroloop.ipc import write_columns
from ouroloop.samples import Samples

__all__ = ["PARTIAL", "Partial"]

PARTIAL = "partial"
WORTH = 10.0  # s: rows that a generation has drawn within this are drawn again rather than kept
_DIGITS = 32  # of the SHA-256 in a file's name


class Partial:
    """The kept shards of one generation.

    Args:
        run: the run directory; its lock is held.
        generation: which one is being drawn. What was kept of others is removed.
    """

    def __init__(self, run: Path, generation: int) -> None:
        self._root, self._folder = run / PARTIAL, run / PARTIAL / folder_name(generation)
        self._since, self._off = time.monotonic(), False
        if self._root.is_symlink():
            self._off = True  # it may lead anywhere
        elif self._root.is_dir():
            for entry in list(self._root.iterdir()):
                if entry != self._folder and entry.name.isdecimal():  # nothing but what such an object has made
                    with contextlib.suppress(StoreError):
                        remove(entry)

    def read(self, shard: int) -> Correction | None:
        """What was kept of a shard; None where nothing was, or it is damaged or of another version's making."""
        for path in [] if self._off else sorted(self._folder.glob(f"{shard:06d}-*.arrow")):
            with contextlib.suppress(OSError, ValueError, KeyError, PartError):  # Arrow's errors are among these
                if _name(shard, path) == path.name:
                    return _correction(path)
        return None

    def write(self, shard: int, correction: Correction) -> None:
        """Keep a shard, if the generation has taken long enough; a disk that refuses is left alone from then on."""
        if self._off or time.monotonic() - self._since < WORTH:
            return
        temporary = self._folder / temporary_name("shard")
        try:
            with storing(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
            write_columns(temporary, _columns(correction))
            with storing(temporary):
                os.replace(temporary, self._folder / _name(shard, temporary))
        except (StoreError, DataError):
            self._off = True
            with contextlib.suppress(StoreError):
                remove(temporary)

    def clear(self) -> None:
        """Forget the generation: it is committed."""
        if not self._root.is_symlink():
            with contextlib.suppress(StoreError):
                remove(self._folder)
            with contextlib.suppress(OSError):  # gone already, or there is something else in it
                self._root.rmdir()


def _name(shard: int, path: Path) -> str:
    """What a file of a shard with this content is called."""
    with open(path, "rb") as file:
        return f"{shard:06d}-{hashlib.file_digest(file, 'sha256').hexdigest()[:_DIGITS]}.arrow"


def _columns(correction: Correction) -> dict[str, np.ndarray]:
    tables = {"raw": correction.raw, "proposed": correction.proposed}
    columns = {f"{table}.{name}": column for table, rows in tables.items() for name, column in rows.columns.items()}
    return {**columns, "verdict": correction.verdict, "distance": correction.distance}


def _correction(path: Path) -> Correction:
    import pyarrow as pa

    columns = columns_of(pa.ipc.open_file(pa.memory_map(str(path), "r")).get_batch(0))
    raw, proposed = (
        Samples({name.removeprefix(f"{table}."): c for name, c in columns.items() if name.startswith(f"{table}.")})
        for table in ("raw", "proposed")
    )
    return Correction(raw, proposed, columns["verdict"], columns["distance"])
