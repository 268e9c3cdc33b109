"""The run directory: committed one generation at a time, resumed, forked, pruned and verified.

A generation is written under a hidden name, fsynced and renamed, so that a crash at any instant loses at most
that generation. Progress is what lies in `generations/`; nothing else says how far a run has come. Nothing is
ever unpickled, and what is read back is compared with the manifest first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ouroloop import manifest as manifests
from ouroloop import run_files
from ouroloop.atomic import (
    clear_temporary,
    crash_point,
    fsync_directory,
    read_json,
    read_mapping,
    storing,
    temporary_name,
    write_json,
)
from ouroloop.directories import committed_folders, find_runs, folder_name, link_tree, new_directory
from ouroloop.errors import StoreError
from ouroloop.events import append_event, read_events
from ouroloop.generation_writer import GenerationWriter
from ouroloop.ipc import open_arrow
from ouroloop.locking import RunLock
from ouroloop.manifest import Problem
from ouroloop.memory_store import MemoryStore
from ouroloop.names import safe_name
from ouroloop.pool import Pool
from ouroloop.pruning import prunable, prune_generation
from ouroloop.rollup import MetricsTable, as_metrics, check_rows, encode_table, read_table, stored_generations
from ouroloop.verification import verify_metrics, verify_run

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["GenerationWriter", "MemoryStore", "Problem", "RunStore", "find_runs", "safe_name"]

METRICS = "metrics.parquet"
EVENTS = "events.jsonl"
FORECASTS = "forecasts.json"


class RunStore:
    """A run directory. Use `create` or `open`; the constructor takes what they have read.

    Attributes:
        path: the directory.
        arm, seed: what the run's metrics are marked with.
        spec, fingerprint, environment: as they were given.
    """

    def __init__(self, path: Path, run: Mapping[str, Any]) -> None:
        self.path = path
        self.arm: str = run["arm"]
        self.seed: int = run["seed"]
        # Whether metrics.parquet was given, and is not gathered from generations.
        self._summary = METRICS in run["files"] and (path / METRICS).exists()
        self.forked_from: dict[str, Any] | None = run.get("forked_from")
        self.spec: dict[str, Any] = run_files.read_spec(path)
        self.fingerprint: dict[str, Any] = read_mapping(path / "fingerprint.json")
        self.environment: dict[str, Any] = read_mapping(path / "environment.json")
        self._run = dict(run)
        self._anchor: str = run["anchor"]
        self._lock = RunLock(path)
        self._metrics = MetricsTable(self.arm, self.seed)
        self._manifests: dict[int, dict[str, Any]] = {}
        self._tip = (-1, self._anchor)  # the last generation that this object has written, and its manifest's digest
        self._sound: set[Path] = set()
        self._listed: set[int] | None = None  # generations on disk, while the lock is held
        self._pruned: dict[int, bool] = {}

    # --- make, open, fork -------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        path: Path | str,
        *,
        spec: Mapping[str, Any],
        fingerprint: Mapping[str, Any],
        environment: Mapping[str, Any],
        arm: str = "",
        seed: int = 0,
        exist_ok: bool = False,
    ) -> Self:
        """A new run directory; or, with `exist_ok`, the one that is there if its fingerprint is the same.

        Raises:
            StoreError: a run exists (the differing fields are named), or something else is in the way.
        """
        path = Path(path)
        if not (path / run_files.RUN).exists():
            run = {"arm": arm, "seed": seed, "anchor": run_files.anchor_of(fingerprint), "forked_from": None}
            with new_directory(path) as is_new:
                if is_new:
                    run_files.write_run_files(
                        path, spec=spec, fingerprint=fingerprint, environment=environment, run=run
                    )
            if is_new:
                return cls.open(path)
        store = cls.open(path)
        store.check_fingerprint(fingerprint)
        if not exist_ok:
            raise StoreError(f"{path}: this run exists already; resume it, or choose another name")
        return store

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """The run in a directory. metrics.parquet is brought up to date where that is needed and possible.

        Raises:
            StoreError: it is no run directory, or its files are damaged.
        """
        path = Path(path)
        store = cls(path, run_files.read_run(path))
        committed = len(store.generations())
        if committed and stored_generations(path / METRICS) != committed:
            with contextlib.suppress(StoreError):  # another writer will do it, or the disk is read-only
                store._acquire(patience_s=0)
                store._release()
        return store

    def fork(
        self,
        out: Path | str,
        *,
        at: int,
        spec: Mapping[str, Any],
        fingerprint: Mapping[str, Any],
        environment: Mapping[str, Any],
        arm: str | None = None,
        seed: int | None = None,
    ) -> Self:
        """A new run that shares generations 0..at with this one (hard links where possible) and goes its own way.

        Args:
            arm, seed: those of the new run; as here where None.

        Raises:
            StoreError: there is no generation `at`, its model was pruned, or `out` is in use.
        """
        if at not in self.generations():
            raise StoreError(f"{self.path}: cannot fork at generation {at}: {self._committed()}")
        if any(name.startswith("model/") for name in manifests.read_pruned(self.generation_dir(at))):
            raise StoreError(f"{self.path}: cannot fork at generation {at}: its model was pruned")
        self.check(range(at + 1))
        out = Path(out)
        forked: dict[str, Any] = {"run": self.path.name, "at": at, "manifest": self._manifest(at)["digest"]}
        earlier = [entry for entry in self._earlier_generators() if entry["until"] < at]
        if earlier or self.generator_at(at) != spec.get("generator"):
            forked["generators"] = [*earlier, {"until": at, "generator": self.generator_at(at)}]
        run = {
            "arm": self.arm if arm is None else arm,
            "seed": self.seed if seed is None else seed,
            "anchor": self._anchor,
            "forked_from": forked,
        }
        with new_directory(out) as is_new:
            if not is_new:
                raise StoreError(f"{out}: this run exists already; choose another name for the fork")
            for t in range(at + 1):
                link_tree(self.generation_dir(t), out / "generations" / folder_name(t))
            fsync_directory(out / "generations")
            run_files.write_run_files(out, spec=spec, fingerprint=fingerprint, environment=environment, run=run)
        return type(self).open(out)

    def generator_at(self, t: int) -> Mapping[str, Any] | None:
        """The specification's `generator` when generation t was made: before a fork it may have been another one."""
        earlier = (entry["generator"] for entry in self._earlier_generators() if t <= entry["until"])
        return next(earlier, self.spec.get("generator"))

    def _earlier_generators(self) -> list[dict[str, Any]]:
        return (self.forked_from or {}).get("generators", [])

    def check_fingerprint(self, fingerprint: Mapping[str, Any]) -> None:
        """Raise StoreError naming the fields in which a fingerprint differs from that of this run."""
        fields = run_files.differing_fields(fingerprint, self.fingerprint)
        if fields:
            listed = "\n  ".join(fields)
            way = "or fork it" if self.generations() else "or delete the folder, which holds no generation yet"
            raise StoreError(
                f"{self.path}: this run was made with other settings; give it another name, {way}. "
                f"They differ in:\n  {listed}"
            )

    def write_spec(self, spec: Mapping[str, Any]) -> None:
        """Replace spec.yaml, for example when a run is extended with more generations."""
        with self.lock():
            run_files.write_spec(self.path, spec)
        self.spec = run_files.read_spec(self.path)

    # --- one writer -------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Be the only writer while the block runs. Holds may be nested; the last one brings metrics.parquet up to date.

        Raises:
            StoreError: another process is writing this run.
        """
        self._acquire()
        try:
            yield
        except BaseException:
            with contextlib.suppress(StoreError):  # the first error says more
                self._release()
            raise
        self._release()

    def _acquire(self, **patience: float) -> None:
        self._lock.acquire(**patience)
        if self._lock.depth == 1:
            try:
                for problem in run_files.verify_identity(self.spec, self._run):
                    raise StoreError(f"{self.path / problem.file}: {problem.what}; nothing was written")
                clear_temporary(self.path)
                clear_temporary(self.path / "generations")
            except BaseException:
                self._lock.release()
                raise

    def _release(self) -> None:
        try:
            self._flush()
        finally:
            self._lock.release()
            self._listed = self._listed if self._lock.held else None

    def _flush(self) -> None:
        if self._lock.depth == 1 and self._folders():
            self._sync_metrics()
            self._metrics.write(self.path / METRICS)

    # --- generations ------------------------------------------------------------------------------------------

    def generations(self) -> list[int]:
        """Numbers of the committed generations, 0, 1, 2, ... up to the first that is missing."""
        there = self._folders()
        last = next(t for t in range(len(there) + 1) if t not in there)
        return list(range(last))

    def _folders(self) -> set[int]:
        if self._listed is None:
            there = committed_folders(self.path)
            if not self._lock.held:
                return there
            self._listed = there  # nobody else adds any while the lock is held
        return self._listed

    def generation_dir(self, t: int) -> Path:
        """Where a generation lies, whether or not it is committed."""
        return self.path / "generations" / folder_name(t)

    def begin(self, generation: int) -> GenerationWriter:
        """Start writing the next generation. The run is locked until it is committed or aborted.

        Raises:
            StoreError: it is not the next one, or another process is writing.
        """
        if self._summary:
            raise StoreError(f"{self.path}: holds a summary of a run without its generations; it cannot be continued")
        self._acquire()
        try:
            there = self._folders()
            if generation != len(there) or (there and max(there) != generation - 1):
                raise StoreError(f"{self.path}: generation {generation} cannot be written: {self._committed()}")
            return GenerationWriter(
                self.path / "generations" / temporary_name(folder_name(generation)),
                generation,
                previous=self._digest(generation - 1),
                owner={"arm": self.arm, "seed": self.seed},
                publish=self._publish,
                release=self._release,
            )
        except BaseException:
            self._lock.release()
            raise

    def _publish(self, writer: GenerationWriter, digest: str, rows: list[dict[str, Any]]) -> None:
        target = self.generation_dir(writer.generation)
        self._sync_metrics()
        with storing(target):
            crash_point("publish")
            os.rename(writer.path, target)
            crash_point("published")
            fsync_directory(target.parent)
        self._folders().add(writer.generation)
        self._tip = (writer.generation, digest)
        if self._metrics.generations == writer.generation:
            self._metrics.append(rows)
        if self._metrics.due():
            self._metrics.write(self.path / METRICS)

    def _committed(self) -> str:
        generations = self.generations()
        gap = sorted(self._folders() - set(generations))
        text = f"generations 0 to {generations[-1]} are committed" if generations else "no generation is committed"
        return text + (f", {len(generations)} is missing, and {gap[0]} is there: verify the run" if gap else "")

    # --- what was committed -----------------------------------------------------------------------------------

    def state(self, t: int) -> dict[str, Any]:
        """The state that was committed with a generation."""
        return read_mapping(self._file(t, "state.json"))

    def synthetic(self, t: int) -> Pool:
        """The rows that entered the loop in a generation, mapped from disk.

        Raises:
            StoreError: none were written (generation 0), they were pruned, or the file is damaged.
        """
        return open_arrow(self._file(t, "synthetic.arrow"))

    def model_dir(self, t: int) -> Path | None:
        """The directory with the model of a generation, every file of it checked; None if none was saved.

        Raises:
            StoreError: the model was pruned, or a file is damaged.
        """
        names = [name for name in self._manifest(t)["files"] if name.startswith("model/")]
        for name in names:
            self._file(t, name)
        return self.generation_dir(t) / "model" if names else None

    def _manifest(self, t: int) -> dict[str, Any]:
        """The manifest of a committed generation, whose link to the one before was looked at."""
        if t not in self._manifests:
            if not self.generation_dir(t).is_dir():
                raise StoreError(f"{self.generation_dir(t)}: no such generation: {self._committed()}")
            manifest = manifests.read_manifest(self.generation_dir(t), t)
            if manifest.get("previous") != self._digest(t - 1):
                raise StoreError(f"{self.generation_dir(t) / manifests.MANIFEST}: {manifests.BROKEN}")
            self._manifests[t] = manifest
        return self._manifests[t]

    def _digest(self, t: int) -> str:
        """Digest of the manifest of a generation; of -1, the run's anchor."""
        if t < 0:
            return self._anchor
        return self._tip[1] if self._tip[0] == t else manifests.digest_of(self.generation_dir(t) / manifests.MANIFEST)

    def _file(self, t: int, name: str) -> Path:
        """A file of a generation, after a look at the manifest (once an object)."""
        path = self.generation_dir(t) / name
        if path not in self._sound:
            entry = self._manifest(t)["files"].get(name)
            if entry is None:
                raise StoreError(f"{path}: generation {t} was committed without it")
            wrong = manifests.check_file(path, entry)
            if wrong == "missing" and name in manifests.read_pruned(self.generation_dir(t)):
                raise StoreError(f"{path}: was pruned to save space")
            if wrong:
                raise StoreError(f"{path}: {wrong}")
            self._sound.add(path)
        return path

    # --- metrics, events, forecasts ---------------------------------------------------------------------------

    def metrics(self) -> pa.Table:
        """All metrics of all committed generations: the content of metrics.parquet, or newer."""
        if self._summary:
            return read_table(self.path / METRICS)
        self._sync_metrics()
        return self._metrics.table()

    def write_summary(self, metrics: pa.Table) -> None:
        """Give the metrics of a run whose generations are not kept, all at once; it cannot be continued.

        Args:
            metrics: the columns of metrics.parquet.

        Raises:
            StoreError: other columns or types, or the run has generations.
        """
        table = as_metrics(metrics)
        with self.lock():
            if self._folders():
                raise StoreError(f"{self.path}: has generations, from which its metrics are gathered")
            run_files.write_listed(self.path, METRICS, encode_table(table))
        self._summary = True

    def metric_rows(self) -> list[dict[str, Any]]:
        """`metrics` as one dictionary a row."""
        return self.metrics().to_pylist()

    def _sync_metrics(self) -> None:
        for t in self.generations()[self._metrics.generations :]:
            rows = read_json(self._file(t, "metrics.json"))
            self._metrics.append(check_rows(rows, arm=self.arm, seed=self.seed, generation=t))

    def append_event(self, event: str, **fields: Any) -> None:
        """Add a line to events.jsonl: the time (UTC), the event's name and its fields."""
        append_event(self.path / EVENTS, event, **fields)

    def events(self) -> list[dict[str, Any]]:
        """All events, oldest first; lines that a crash tore are left out."""
        return read_events(self.path / EVENTS)

    def write_forecasts(self, forecasts: Sequence[Mapping[str, Any]]) -> None:
        """Replace forecasts.json."""
        with self.lock():
            write_json(self.path / FORECASTS, list(forecasts))

    def forecasts(self) -> list[dict[str, Any]]:
        """What `write_forecasts` wrote; nothing where there are none."""
        path = self.path / FORECASTS
        return read_json(path) if path.exists() else []

    # --- disk space and trust ---------------------------------------------------------------------------------

    def prune(
        self, *, keep_last: int | None = None, keep_every: int | None = None, keep_synthetic: bool = True
    ) -> None:
        """Delete models of old generations, and their synthetic rows and corrections unless `keep_synthetic`.

        Kept are generation 0, the last one, the last `keep_last`, the multiples of `keep_every`; and of every
        generation its metrics, state and previews. With neither number nothing is deleted.
        """
        if keep_last is None and keep_every is None:
            return
        with self.lock():
            for t in prunable(len(self.generations()), keep_last=keep_last, keep_every=keep_every):
                if self._pruned.get(t) not in (True, not keep_synthetic):
                    folder = self.generation_dir(t)
                    gone = prune_generation(folder, self._manifest(t)["files"], keep_synthetic=keep_synthetic)
                    self._sound -= {folder / name for name in gone}
                    self._pruned[t] = not keep_synthetic

    def verify(self, generations: Iterable[int] | None = None) -> list[Problem]:
        """Everything that is wrong with the run's files: missing, truncated, changed, swapped, stray.

        Args:
            generations: only the files of these; every manifest is read in any case. None: all.
        """
        problems = verify_run(self.path, None if generations is None else set(generations))
        if problems or self._summary:
            return problems
        return verify_metrics(self.path / METRICS, self.metrics())

    def check(self, generations: Iterable[int] | None = None) -> None:
        """Raise StoreError listing what `verify` finds."""
        problems = self.verify(generations)
        if problems:
            listed = "\n  ".join(map(str, problems[:20]))
            more = f"\n  and {len(problems) - 20} more" if len(problems) > 20 else ""
            raise StoreError(f"{self.path}: damaged; nothing was changed. Found:\n  {listed}{more}")
