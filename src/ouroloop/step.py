"""One generation of a self-consuming loop, as a pure function: ``step(state, key) -> (state, info)``.

Every random stream is named by (seed, generation, purpose), and nothing else is remembered between steps,
so the driver, the store, the backends and the tests can all run, stop and continue the same step.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroloop.correction import for_generation
from ouroloop.errors import DataError, GuardError, PartError
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.previews import preview_of
from ouroloop.progress import report
from ouroloop.protocols import Condition, Corrector, Generator, Measurement, Metric, Reference, Regime
from ouroloop.samples import REAL, Samples, synthetic_ids
from ouroloop.sinks import MemorySink, Sink
from ouroloop.state import Info, State
from ouroloop.tally import Tally

__all__ = ["Step"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """The parts of a loop, prepared on the real data, and the step over them.

    Args:
        reference: the real data; `fresh` is needed by regimes with fresh real rows.
        generator: an unfitted template; its `fit` returns fitted copies.
        regime, corrector, metrics: prepared parts. metrics have seen the held-out rows, the corrector has not.
        alarm: judges the history of measurements, or None.
        fine_tune: continue from the previous generation's model instead of starting from scratch.
        condition: "balanced", "empirical" or "none"; matters where the real rows have a label, or the columns that
            the generator names in its `condition_columns`.
        evaluation_rows, evaluate_every, last_generation: when and on how many rows metrics are computed.
        min_real_share, subsample: the guard, and whether it trains on fewer synthetic rows or stops.
        shard_rows: rows drawn and corrected at a time.
        on_failure: what becomes of rows that the corrector failed on, "drop" or "keep_raw".
    """

    reference: Reference
    generator: Generator
    regime: Regime
    corrector: Corrector
    metrics: Sequence[Metric] = ()
    alarm: Any = None
    fine_tune: bool = False
    condition: str = "balanced"
    evaluation_rows: int = 1000
    evaluate_every: int = 1
    last_generation: int = 0
    min_real_share: float = 0.0
    subsample: bool = False
    shard_rows: int = 65_536
    on_failure: str = "drop"

    def start(self, key: Key, model: Generator | None = None) -> tuple[State, Info]:
        """Generation 0: the generator fitted on the real data alone.

        Args:
            key: the run's key, ``Key(seed)``.
            model: the fitted model, where another run with the same data, generator and seed has it already.
        """
        clock = _Clock()
        key = key.child("generation", 0)
        training = Pool.of(self.reference.real)
        if model is None:
            model = self.generator.fit(training, key=key.child("fit"), previous=None)
        clock.mark("fit")
        metrics, preview = self._measure(0, model, training, {}, (), key.child("evaluate"))
        clock.mark("measure")
        state = State(0, model, (), (metrics,) if metrics else ())
        told = hasattr(self.generator, "condition_columns") and self.reference.held_out is not None
        real = preview_of(self.reference.held_out) if told and self.reference.held_out is not None else {}
        info = Info(0, model, training, metrics=metrics, preview=preview, reference_preview=real, timings=clock.timings)
        return state, info

    def __call__(self, state: State, key: Key, sink: Sink | None = None) -> tuple[State, Info]:
        """Generation t = state.generation + 1.

        Args:
            state: the previous generation's.
            key: the run's key, ``Key(seed)``; streams are named by the generation.
            sink: where the drawn rows go; memory by default.

        Raises:
            PartError: a part failed or broke its contract. GuardError: too few real rows to train on.
        """
        generation = state.generation + 1
        key = key.child("generation", generation)
        clock = _Clock()
        real = self._real_rows(key)
        synthetic, tally = self._draw(state.model, len(real), generation, key, sink or MemorySink())
        clock.mark("draw")
        history = (*state.history, synthetic) if self.regime.keeps_history else (synthetic,)
        training = self._training_rows(real, history, generation, key)
        clock.mark("select")
        model = self._refit(training, state.model, key)
        clock.mark("fit")
        metrics, preview = self._measure(
            generation, model, training, tally.measurements(), state.measurements, key.child("evaluate")
        )
        clock.mark("measure")
        measurements = (*state.measurements, metrics) if metrics else state.measurements
        info = Info(
            generation,
            model,
            training,
            synthetic,
            metrics,
            tally.verdicts,
            preview,
            tally.preview,
            timings=clock.timings,
        )
        return State(generation, model, history, measurements), info

    def refit(self, state: State, key: Key) -> Generator:
        """The model of state.generation again, for generators that cannot be saved: same rows, same stream.

        Args:
            state: its `history` ends with this generation's rows; its `model` is the previous generation's, or
                is ignored when training from scratch.
            key: the run's key.
        """
        key = key.child("generation", state.generation)
        if state.generation == 0:
            return self.generator.fit(Pool.of(self.reference.real), key=key.child("fit"), previous=None)
        training = self._training_rows(self._real_rows(key), state.history, state.generation, key)
        return self._refit(training, state.model, key)

    def _refit(self, training: Pool, previous: Generator, key: Key) -> Generator:
        return self.generator.fit(training, key=key.child("fit"), previous=previous if self.fine_tune else None)

    def _real_rows(self, key: Key) -> Samples:
        real = self.reference.real
        if not self.regime.fresh_real:
            return real
        if self.reference.fresh is None:
            raise DataError(
                f"this regime needs fresh real rows in every generation, and data '{self.reference.name}' has none to "
                "give; use a regime with fixed real data, or a data set with a reserve"
            )
        return self.reference.fresh(len(real), key=key.child("fresh"))

    def _draw(self, model: Generator, n_real: int, generation: int, key: Key, sink: Sink) -> tuple[Pool, Tally]:
        n = self.regime.draws(n_real, generation)
        conditions = self._conditions(n, self.reference.real, key.child("condition"))
        tally, corrector = Tally(), for_generation(self.corrector)
        forgets = corrector is self.corrector  # else its answers need it to have seen all earlier shards
        for shard, start in enumerate(range(0, n, self.shard_rows)):
            count = min(self.shard_rows, n - start)
            correction = sink.kept(shard) if forgets else None
            if correction is None or len(correction.raw) != count:
                raw = self._sample(model, count, key.child("sample", shard), _part(conditions, start, count))
                raw = raw.replace(
                    id=synthetic_ids(generation, start, count),
                    origin=np.full(count, generation),
                    parent=np.full(count, -1),
                    verdict=np.zeros(count),
                )
                correction = corrector.correct(raw, key=key.child("correct", shard))
                if forgets:
                    sink.keep(shard, correction)
            rows = correction.survivors(self.on_failure)
            rows.check_finite(f"corrected rows of generation {generation}")
            tally.add(correction)
            sink.corrections(correction)
            sink.synthetic(rows)
            report("draw", start + count, n)
        return sink.close(), tally

    def _sample(self, model: Generator, n: int, key: Key, condition: Condition | None) -> Samples:
        raw = model.sample(n, key=key, condition=condition)
        if len(raw) != n:
            raise PartError(f"the generator was asked for {n} rows and returned {len(raw)}")
        raw.check_finite("rows drawn from the generator")
        return raw

    def _conditions(self, n: int, rows: Samples, key: Key) -> Condition | None:
        """What to draw for: labels, or whole conditions (a caption with its length) of real rows."""
        columns = getattr(self.generator, "condition_columns", ("label",))
        if self.condition == "none" or n == 0 or not set(columns) <= set(rows.data_columns):
            return None
        if self.condition == "empirical":
            chosen = key.rng().integers(len(rows), size=n)
        elif columns == ("label",):
            classes = np.unique(rows.label)
            return {"label": classes[np.arange(n) % len(classes)]}
        else:  # every real row's condition equally often, in an order of this generation's own
            chosen = key.rng().permutation(len(rows))[np.arange(n) % len(rows)]
        return {name: rows[name][chosen] for name in columns}

    def _training_rows(self, real: Samples, history: tuple[Pool, ...], generation: int, key: Key) -> Pool:
        columns = history[-1].data_columns
        if columns and set(columns) < set(real.data_columns):
            real = real.only(columns)  # an unconditional generator draws no labels: train it without
        training = self.regime.select(Pool.of(real), history, generation, key=key.child("select"))
        if len(training) == 0:
            raise PartError(
                f"generation {generation}: no rows to train on; the corrector dropped all synthetic rows, or "
                "synthetic_ratio is 0 in a regime without real data"
            )
        return self._guard(training, generation, key.child("guard"))

    def _guard(self, training: Pool, generation: int, key: Key) -> Pool:
        real, total = training.n_real, len(training)
        if real >= self.min_real_share * total:
            return training
        allowed = int(real / self.min_real_share) - real
        if not self.subsample or real == 0:
            raise GuardError(
                f"generation {generation} would train on {real} real of {total} rows, a share of {real / total:.3f} "
                f"below guards.min_real_share = {self.min_real_share}; lower regime.synthetic_ratio, choose a regime "
                "that keeps real data, or set guards.on_violation to 'subsample'"
            )
        is_real = np.concatenate([part.origin == REAL for part in training.parts])
        chosen = key.rng().choice(np.flatnonzero(~is_real), size=allowed, replace=False, shuffle=False)
        return Pool.of(training.take(np.sort(np.concatenate([np.flatnonzero(is_real), chosen]))))

    def _measure(
        self,
        generation: int,
        model: Generator,
        training: Pool,
        from_draw: Mapping[str, Measurement],
        past: Sequence[Mapping[str, Measurement]],
        key: Key,
    ) -> tuple[dict[str, Measurement], dict[str, np.ndarray]]:
        own = {
            "synthetic_ratio": Measurement("synthetic_ratio", training.synthetic_ratio),
            "training_rows": Measurement("training_rows", float(len(training))),
            **from_draw,
        }
        due = generation % self.evaluate_every == 0 or generation == self.last_generation
        if not due:
            return own, {}
        found, preview = dict(own), {}
        if self.metrics:
            generated = self._evaluation_rows(model, key)
            preview = preview_of(generated)
            for index, metric in enumerate(self.metrics):
                stream = key.child("metric", type(metric).__name__, index)
                for m in metric.measure(generated, generator=model, key=stream):
                    found[m.metric] = m
                report("measure", index + 1, len(self.metrics))
        if self.alarm is not None:
            found["alarm"] = Measurement("alarm", float(self.alarm.judge([*past, found]).level))
        return found, preview

    def _evaluation_rows(self, model: Generator, key: Key) -> Samples:
        n = self.evaluation_rows
        own = getattr(self.generator, "condition_columns", None)
        asked = self.reference.held_out if own else None  # captions that the model was not trained on
        rows = self.reference.real if asked is None else asked
        if own and self.condition == "balanced" and set(own) <= set(rows.data_columns):
            # in order: every generation and arm is asked for the same, and its first rows can be compared by eye
            conditions = {name: rows[name][np.arange(n) % len(rows)] for name in own}
        else:
            conditions = self._conditions(n, rows, key.child("condition"))
        shards: list[Samples] = []
        for start in range(0, n, self.shard_rows):
            count = min(self.shard_rows, n - start)
            stream = key.child("sample", len(shards))
            shards.append(self._sample(model, count, stream, _part(conditions, start, count)))
        return Samples.concat(shards) if shards else self.reference.real.take(slice(0, 0))


def _part(conditions: Condition | None, start: int, count: int) -> Condition | None:
    return None if conditions is None else {name: c[start : start + count] for name, c in conditions.items()}


class _Clock:
    """Wall seconds between marks."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        now = time.perf_counter()
        self.timings[stage] = now - self._last
        self._last = now
