"""Loop: drive the step over the generations, commit each one, resume, extend and fork.

for generation in loop:            # an `Info` per generation, from where the run stands
    print(generation.metrics)
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from ouroloop.assemble import Assembly, assemble, describe_part, with_strength
from ouroloop.callbacks import LEVELS, Callback, as_callback
from ouroloop.environment import environment, set_threads
from ouroloop.errors import OuroloopError, SpecError, StoreError
from ouroloop.keys import Key
from ouroloop.loop_fields import (
    OBJECTS,
    PARTS,
    checked_fields,
    data_objects,
    metric_parts,
    refuse_other_parts,
    with_changes,
)
from ouroloop.partial import Partial
from ouroloop.protocols import Generator, Saveable
from ouroloop.records import metric_records, state_record
from ouroloop.restoring import first_model, restored
from ouroloop.sinks import StoreSink
from ouroloop.spec import Spec
from ouroloop.state import Info, State
from ouroloop.store import MemoryStore, RunStore

__all__ = ["Loop"]


class Loop:
    """A self-consuming training loop.

    Args:
        generator: anything with ``fit(X)`` and ``sample(n)``, a part of Ouroloop, or a name or mapping as in YAML.
        real: the real rows: an array (n, ...), `Samples`, or a data set.
        held_out: real rows for the metrics alone; without them, metrics compare with the training rows.
        label: class labels of `real` when it is an array, shape (n,).
        regime: which data each generation trains on; default `Replace()`.
        corrector: a function ``f(x) -> x``, a part, a name or mapping; default: none.
        correction_strength: SCSC's gamma; a row is corrected with probability gamma / (1 + gamma).
        metrics: parts, names or mappings.
        generations: the last generation.
        seed: seed of every random stream.
        out: the run directory, or None to keep everything in memory.
        callbacks: functions called with each `Info` (return True to stop), or `Callback` objects.
        fields: any other field of `Spec`: start, condition, evaluation, guards, keep, shard_rows, stop_on, ...

    Raises:
        SpecError: a field is wrong. StoreError: `out` holds a different run.

    >>> import numpy as np
    >>> loop = Loop("gaussian", np.random.default_rng(0).normal(size=(100, 2)), generations=3, metrics=["moments"])
    >>> [info.generation for info in loop]
    [0, 1, 2, 3]
    """

    def __init__(
        self,
        generator: Any,
        real: Any,
        held_out: Any = None,
        *,
        label: Any = None,
        regime: Any = "replace",
        corrector: Any = "identity",
        correction_strength: float = math.inf,
        metrics: Sequence[Any] = (),
        generations: int = 10,
        seed: int = 0,
        out: Path | str | None = None,
        cache: Path | str | None = None,
        callbacks: Sequence[Callback | Callable[[Info], Any]] = (),
        **fields: Any,
    ) -> None:
        from ouroloop.datasets.files import from_arrays

        key = Key(seed).child("data")
        objects: dict[str, Any] = {"data": from_arrays(real, label=label, held_out=held_out, key=key)}
        parts = {"generator": generator, "regime": regime, "corrector": with_strength(corrector, correction_strength)}
        mapping: dict[str, Any] = {"data": {"kind": "object", "object": objects["data"].name}}
        for field, value in parts.items():
            mapping[field], objects[field] = describe_part(PARTS[field], value, field)
        mapping["corrector"].setdefault("correction_strength", correction_strength)
        mapping["metrics"], objects["metrics"] = metric_parts(metrics)
        spec = checked_fields({"generations": generations, "seed": seed, **fields}, mapping)
        self._set_up(spec, objects, out, cache, callbacks)

    @classmethod
    def from_spec(
        cls,
        spec: Spec | Mapping[str, Any],
        out: Path | str | None = None,
        *,
        cache: Path | str | None = None,
        callbacks: Sequence[Callback | Callable[[Info], Any]] = (),
        base: Path | str | None = None,
        **objects: Any,
    ) -> Self:
        """A loop from a specification; if `out` already holds this very run, it goes on from there.

        Args:
            spec: a `Spec`, or its resolved mapping.
            out: the run directory, or None for memory.
            cache: folder for feature extractors and downloads.
            callbacks: as for `Loop`.
            base: a run with the same data, generator and seed, whose generation 0 is taken instead of fitted again.
            objects: parts given as Python objects.
        """
        unknown = set(objects) - OBJECTS
        if unknown:
            raise SpecError(
                f"unknown argument(s) {', '.join(sorted(unknown))}; objects are {', '.join(sorted(OBJECTS))}"
            )
        loop = cls.__new__(cls)
        mapping = spec.resolved() if isinstance(spec, Spec) else dict(spec)
        loop._set_up(mapping, objects, out, cache, callbacks)
        loop._base = None if base is None else RunStore.open(Path(base))
        return loop

    @classmethod
    def resume(
        cls, path: Path | str, *, generations: int | None = None, callbacks: Sequence[Any] = (), **objects: Any
    ) -> Self:
        """Go on with a run, to its own last generation or to another one.

        Args:
            path: a run directory.
            generations: a new last generation, to extend the run.
            callbacks: as for `Loop`.
            objects: parts that were given as Python objects: ``generator=...``, ``real=...``, ...
        """
        store = RunStore.open(Path(path))
        spec = dict(store.spec)
        if generations is not None:
            done = store.generations()
            if done and generations < done[-1]:
                raise SpecError(f"{path}: has {done[-1]} generations already; fork it to continue from an earlier one")
            spec["generations"] = generations
        refuse_other_parts(path, spec, objects)
        return cls.from_spec(spec, path, callbacks=callbacks, **data_objects(objects, spec))

    @classmethod
    def fork(
        cls,
        path: Path | str,
        *,
        at: int,
        out: Path | str,
        cache: Path | str | None = None,
        callbacks: Sequence[Any] = (),
        **changes: Any,
    ) -> Self:
        """A new run that shares generations 0..`at` with another one and goes on with something changed.

        Args:
            path: the run to start from.
            at: the last generation to share.
            out: the new run directory.
            cache: folder for feature extractors and downloads.
            callbacks: as for `Loop`.
            changes: fields of the specification (``corrector={"kind": "cluster"}``), or Python objects for parts.
        """
        source = RunStore.open(Path(path))
        spec, objects = with_changes(source.spec, changes)
        before = source.generator_at(at) or {}
        if spec["start"] == "previous" and before.get("kind") != spec["generator"]["kind"]:
            raise SpecError(
                f"{path}: generation {at} is of generator '{before.get('kind')}', from which a "
                f"'{spec['generator']['kind']}' cannot be fine-tuned; fork with start: scratch"
            )
        assembly = assemble(spec, data_objects(objects, spec), cache=None if cache is None else Path(cache))
        source.fork(
            Path(out),
            at=at,
            spec=assembly.spec,
            fingerprint=assembly.fingerprint,
            environment=environment(),
            arm=spec["arm"],
            seed=spec["seed"],
        )
        loop = cls.__new__(cls)
        loop._attach(assembly, RunStore.open(Path(out)), callbacks)
        return loop

    def _set_up(
        self,
        spec: dict[str, Any],
        objects: Mapping[str, Any],
        out: Path | str | None,
        cache: Path | str | None,
        callbacks: Sequence[Any],
    ) -> None:
        set_threads(spec["threads"])
        assembly = assemble(spec, objects, cache=Path(cache) if cache is not None else None)
        arguments = {
            "spec": assembly.spec,
            "fingerprint": assembly.fingerprint,
            "environment": environment(),
            "arm": spec["arm"],
            "seed": spec["seed"],
        }
        store: Any = MemoryStore(**arguments)
        if out is not None:
            store = RunStore.create(Path(out), exist_ok=True, **arguments)
            if store.spec["generations"] < spec["generations"]:
                store.write_spec(assembly.spec)  # the run is extended
        self._attach(assembly, store, callbacks)

    def _attach(self, assembly: Assembly, store: Any, callbacks: Sequence[Any]) -> None:
        self.assembly, self.store = assembly, store
        self.spec, self.step = assembly.spec, assembly.step
        self.key = Key(self.spec["seed"])
        self.callbacks = [as_callback(c) for c in callbacks]
        if self.spec["stop_on"] != "never":
            from ouroloop.callbacks import EarlyStop

            self.callbacks.append(EarlyStop(level=self.spec["stop_on"]))
        self.model: Generator | None = None
        self._base: RunStore | None = None
        self._state: State | None = None

    @property
    def generations(self) -> int:
        """The last generation of this run."""
        return int(self.spec["generations"])

    def run(self) -> Self:
        """Run to the end and return self; `metric_rows` and `model` then hold the results."""
        for _ in self:
            pass
        return self

    def metric_rows(self) -> list[dict[str, Any]]:
        """All measurements so far, one dict a row: arm, seed, generation, metric, value, low, high, floor, ..."""
        return self.store.metric_rows()

    def __iter__(self) -> Iterator[Info]:
        """Yield an `Info` for every generation that is still to do, committing each before it is yielded."""
        with self.store.lock():
            done = self.store.generations()
            self.store.write_forecasts(self.assembly.forecasts)
            self.store.append_event("start", generations_done=len(done), last=self.generations)
            for callback in self.callbacks:
                callback.on_start(self)
            try:
                yield from self._remaining(done)
            except OuroloopError as error:
                with contextlib.suppress(StoreError):  # a full disk: the first error says more
                    self.store.append_event("error", kind=type(error).__name__, message=str(error))
                raise
            finally:
                for callback in self.callbacks:
                    callback.on_end(self)

    def _remaining(self, done: Sequence[int]) -> Iterator[Info]:
        state = self._state
        if done and (state is None or state.generation != done[-1]):
            self._prune()  # the process before may have been killed between its last commit and this
            state = self.restore(done[-1])
        self.model = None if state is None else state.model
        if state is not None and self._stopped_before(state):
            return
        while state is None or state.generation < self.generations:
            state, info = self._advance(state)
            self._state, self.model = state, state.model
            stop = [callback.on_generation(info) for callback in self.callbacks]
            yield info
            if any(stop):
                self.store.append_event("stopped early", generation=state.generation)
                return
        self.store.append_event("done", generation=self.generations)

    def _stopped_before(self, state: State) -> bool:
        """Whether the alarm had ended this run already, from what was measured and not from memory."""
        if self.spec["stop_on"] == "never":
            return False
        levels = [m["alarm"].value for m in state.measurements if "alarm" in m]
        return bool(levels) and levels[-1] >= LEVELS.index(self.spec["stop_on"])

    def _advance(self, state: State | None) -> tuple[State, Info]:
        generation = 0 if state is None else state.generation + 1
        writer = self.store.begin(generation)
        partial = None
        try:
            if isinstance(self.store, RunStore):
                partial = Partial(self.store.path, generation)
            if state is None:
                state, info = self.step.start(self.key, self._first_model())
            else:
                state, info = self.step(state, self.key, StoreSink(writer, partial))
            if isinstance(info.model, Saveable) and writer.model_dir is not None:
                info.model.save(writer.model_dir)
            for name in ("preview", "corrections_preview", "reference_preview"):
                if columns := getattr(info, name):
                    writer.preview(name, columns)
            writer.commit(state=state_record(info), metrics=metric_records(info, self.spec, self.assembly.forecasts))
        except BaseException:
            writer.abort()
            raise
        if partial is not None:
            partial.clear()
        self._prune()
        return state, info

    def _first_model(self) -> Generator | None:
        if self._base is None:
            return None
        return first_model(self._base, self.step, self.spec, self.assembly.fingerprint)

    def _prune(self) -> None:
        keep = self.spec["keep"]
        if keep["last"] is not None or keep["every"] is not None:
            refitted = self.step.fine_tune and not isinstance(self.step.generator, Saveable)
            needed = self.step.regime.keeps_history or refitted  # rows that a resumed run would have to read again
            self.store.prune(keep_last=keep["last"], keep_every=keep["every"], keep_synthetic=needed)

    def restore(self, generation: int) -> State:
        """The state at the end of a committed generation, exactly as it was."""
        return restored(self.store, self.step, self.spec, generation)
