"""What committed generations hand on, read back from a store: to the next one, or to a run that starts alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.options import build
from ouroloop.pool import Pool
from ouroloop.protocols import Generator, Measurement, Saveable
from ouroloop.spec import starting_point
from ouroloop.state import State
from ouroloop.step import Step
from ouroloop.store import RunStore

__all__ = ["first_model", "restored"]


def restored(store: Any, step: Step, spec: Mapping[str, Any], generation: int) -> State:
    """The state at the end of a generation, exactly as it was: the model is loaded, or fitted again as it had been.

    Args:
        store: a `RunStore` or `MemoryStore` in which the generation is committed.
        step: the run's step.
        spec: the run's resolved specification.
        generation: which one.

    Raises:
        StoreError: a file that is needed was pruned, or is damaged.
    """
    first = 1 if step.regime.keeps_history else max(generation, 1)
    history = tuple(_synthetic(store, t) for t in range(first, generation + 1))
    measured: dict[int, dict[str, Measurement]] = {}
    for row in store.metric_rows():
        if row["generation"] <= generation:
            fields = {name: row[name] for name in ("metric", "value", "low", "high", "floor", "n")}
            measured.setdefault(row["generation"], {})[row["metric"]] = Measurement(**fields)
    measurements = tuple(measured[t] for t in sorted(measured))
    return State(generation, _model(store, step, spec, generation, history), history, measurements)


def first_model(
    base: RunStore, step: Step, spec: Mapping[str, Any], fingerprint: Mapping[str, Any]
) -> Generator | None:
    """The model of generation 0 of another run that starts in the same way; None if it cannot be loaded.

    Args:
        base: the other run.
        step, spec, fingerprint: of the run that is to take its model.

    Raises:
        SpecError: the runs do not start alike; the differing fields are named. StoreError: a file is damaged.
    """
    if not isinstance(step.generator, Saveable):
        return None
    ours, theirs = starting_point(spec), starting_point(base.spec)
    differing = [field for field in ours if ours[field] != theirs[field]]
    if fingerprint["data_sha256"] != base.fingerprint.get("data_sha256"):
        differing.append("the data's content")
    if differing:
        raise SpecError(f"{base.path}: cannot share its generation 0, these differ: {', '.join(differing)}")
    directory = base.model_dir(0)
    return None if directory is None else step.generator.load(directory)


def _synthetic(store: Any, generation: int) -> Pool:
    drawn = sum(store.state(generation)["verdicts"].values())
    return store.synthetic(generation) if drawn else Pool(())


def _model(store: Any, step: Step, spec: Mapping[str, Any], generation: int, history: tuple[Pool, ...]) -> Generator:
    directory, made_by = store.model_dir(generation), _step_at(store, step, spec, generation)
    if isinstance(made_by.generator, Saveable) and directory is not None:
        return made_by.generator.load(directory)
    previous: Any = None
    if made_by.fine_tune and generation > 0:
        previous = restored(store, step, spec, generation - 1).model
    return made_by.refit(State(generation, previous, history), Key(spec["seed"]))


def _step_at(store: Any, step: Step, spec: Mapping[str, Any], generation: int) -> Step:
    """The step that made a generation: a fork may go on with a generator of another kind."""
    made = store.generator_at(generation) if isinstance(store, RunStore) else None
    if made is None or made["kind"] in ("object", spec["generator"]["kind"]):
        return step
    return replace(step, generator=build("generators", made))
