"""One generation being written: a hidden directory that becomes `generations/0007` in one rename, or vanishes."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np

from ouroloop.atomic import crash_point, encode_json, fsync_directory, remove, storing
from ouroloop.errors import StoreError
from ouroloop.ipc import ParquetRowsWriter, TableWriter, write_columns
from ouroloop.manifest import MANIFEST, build_manifest
from ouroloop.names import safe_name
from ouroloop.rollup import check_rows

__all__ = ["CORRECTIONS", "GenerationWriter"]

CORRECTIONS: dict[str, np.dtype] = {
    "id": np.dtype(np.int64),
    "parent": np.dtype(np.int64),
    "verdict": np.dtype(np.int8),
    "distance": np.dtype(np.float64),
}
Publish = Callable[["GenerationWriter", str, list[dict[str, Any]]], None]


class GenerationWriter:
    """Where a generation's files go until `commit`. Made by `RunStore.begin`.

    As a context manager it aborts what was not committed. A commit that fails aborts too, which gives the disk
    space back; the generations before are never touched.

    Args:
        path: the new, hidden directory.
        generation: its number.
        previous: digest of the manifest before it.
        owner: arm and seed of the run, for the check of the metrics' rows.
        publish: moves the finished directory into place.
        release: gives the run's lock back.
    """

    def __init__(
        self,
        path: Path,
        generation: int,
        *,
        previous: str,
        owner: Mapping[str, Any],
        publish: Publish,
        release: Callable[[], None],
    ) -> None:
        self.path = path
        self.generation = generation
        self.model_dir = path / "model"
        self._previous, self._owner, self._publish, self._release = previous, owner, publish, release
        self._open: dict[str, TableWriter | ParquetRowsWriter] = {}
        self._done = False
        with storing(path):
            path.mkdir()
            crash_point("begin")
            self.model_dir.mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self.abort()
        except StoreError:
            if kind is None:
                raise

    def table(self, name: str = "synthetic") -> TableWriter:
        """A new Arrow file `<name>.arrow`, written batch by batch; its `close()` maps it."""
        writer = TableWriter(self._new(name, ".arrow"))
        self._open[writer.path.name] = writer
        return writer

    def corrections(self) -> ParquetRowsWriter:
        """corrections.parquet, to be given (id, parent, verdict, distance) of every raw row, batch by batch."""
        writer = ParquetRowsWriter(self._new("corrections", ".parquet"), CORRECTIONS)
        self._open[writer.path.name] = writer
        return writer

    def preview(self, name: str, columns: Mapping[str, np.ndarray]) -> None:
        """A small Arrow file `<name>.arrow` of columns (n, ...)."""
        write_columns(self._new(name, ".arrow"), columns)

    def commit(self, *, state: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> None:
        """Make the generation a part of the run, all of it at once.

        Args:
            state: what resuming needs beside the model; JSON types only. "generation" is added.
            metrics: rows with "metric" and any of value, low, high, floor, forecast (floats), n (count).

        Raises:
            StoreError: something cannot be stored, or the disk is full; the generation is then aborted.
        """
        self._check_unfinished()
        try:
            if state.get("generation", self.generation) != self.generation:
                raise StoreError(f"state.generation is {state['generation']!r}, but this is {self.generation}")
            rows = check_rows(metrics, generation=self.generation, **self._owner)
            contents = {
                "state.json": encode_json({"generation": self.generation, **state}, "state", indent=1),
                "metrics.json": json.dumps(rows, ensure_ascii=False).encode() + b"\n",
            }
            for writer in self._open.values():
                writer.close()
            digest = self._seal(contents)
            self._publish(self, digest, rows)
        except BaseException:
            with contextlib.suppress(StoreError):  # the first error says more
                self.abort()
            raise
        self._done = True
        self._release()

    def abort(self) -> None:
        """Forget the generation and delete its files. After a commit, or twice, this does nothing."""
        if self._done:
            return
        self._done = True
        try:
            for writer in self._open.values():
                writer.abort()
            remove(self.path)
        finally:
            self._release()

    def _new(self, name: str, suffix: str) -> Path:
        self._check_unfinished()
        path = self.path / (safe_name(name).removesuffix(suffix) + suffix)
        if path.exists():
            raise StoreError(f"{path.name}: generation {self.generation} already has a file of that name")
        return path

    def _check_unfinished(self) -> None:
        if self._done:
            raise StoreError(f"generation {self.generation} is already committed or aborted; begin a new one")

    def _seal(self, contents: Mapping[str, bytes]) -> str:
        """Write the last files and the manifest, and wait until all is on the disk."""
        for name, data in contents.items():
            self._put(name, data)
        folders = [Path(root) for root, _, _ in os.walk(self.path, topdown=False)]
        for folder in folders:
            if not any(folder.iterdir()):  # a generator that saves nothing leaves an empty model/
                folder.rmdir()
        manifest, digest = build_manifest(self.path, self.generation, self._previous)
        self._put(MANIFEST, manifest, wait=True)
        for folder in filter(Path.exists, folders):
            with storing(folder):
                fsync_directory(folder)
        return digest

    def _put(self, name: str, data: bytes, wait: bool = False) -> None:
        path = self.path / name
        with storing(path), open(path, "wb") as file:
            crash_point(f"write {name}")
            file.write(data)
            if wait:
                file.flush()
                os.fsync(file.fileno())
