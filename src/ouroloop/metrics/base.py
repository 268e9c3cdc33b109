"""What the metrics share: checks, subsampling, floors, notes. A metric says only what it computes from rows.

Order of a measurement: the table is checked, brought into the metric's space (computed once for all metrics),
cut to `max_rows`, estimated with its bootstrap interval, and set beside the floor at the same n.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.metrics.bootstrap import Estimate
from ouroloop.metrics.spaces import FEATURES, Rows, Space, space
from ouroloop.protocols import Generator, Measurement, Reference
from ouroloop.samples import Samples

__all__ = ["Floor", "Notes", "Real", "RowMetric", "choose_rows"]

_log = logging.getLogger("ouroloop.metrics")


class Floor(NamedTuple):
    """A metric on real rows in the place of generated ones.

    Attributes:
        value: mean over the draws.
        spread: standard deviation over the draws (NaN with fewer than two).
        n: real rows in each draw.
    """

    value: float
    spread: float
    n: int


class Notes:
    """What a reader of the numbers should know; each is logged once and kept."""

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.texts: list[str] = []

    def add(self, text: str) -> None:
        """Keep a note, and log it the first time."""
        if text not in self.texts:
            self.texts.append(text)
            _log.warning("%s: %s", self.owner, text)


def choose_rows(n_rows: int, n: int, rng: np.random.Generator, label: np.ndarray | None = None) -> np.ndarray:
    """Positions of n of n_rows rows without replacement, sorted; with labels each class keeps its share.

    >>> label = np.repeat([0, 1], [60, 40])
    >>> np.bincount(label[choose_rows(100, 10, np.random.default_rng(0), label)]).tolist()
    [6, 4]
    """
    order = rng.permutation(n_rows)
    if label is not None:
        order = order[np.argsort(label[order], kind="stable")]
        order = order[np.floor((np.arange(n) + rng.random()) * (n_rows / n)).astype(np.int64)]
    return np.sort(order[:n])


@dataclass(frozen=True, eq=False)
class Real:
    """The real rows as a metric's preparation sees them.

    Args:
        rows: those that are compared with.
        train: the training rows, computed when they are asked for.
        held_out: whether `rows` are none of the training rows.
    """

    rows: Rows
    train: Callable[[], Rows]
    held_out: bool


@dataclass(frozen=True, eq=False)
class _Fitted:
    space: Space
    train: Samples
    test: Samples | None  # None: there are no held-out rows
    state: Any
    key: Key
    notes: Notes
    floors: dict[tuple[int, bool], dict[str, Floor]]


@dataclass(frozen=True, kw_only=True)
class RowMetric:
    """Base of the metrics that compare rows with real rows.

    A subclass gives `_prepare` (what is computed once from the real rows) and `_estimate`.

    Attributes:
        minimum: fewest rows on either side for which the metric is defined.
        few: below this many rows a note says that the value is mostly noise.
    """

    features: Annotated[str | dict[str, Any], Field(description=FEATURES)] = "auto"
    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        10_000
    )
    resamples: Annotated[int, Field(ge=0, description="bootstrap resamples of the interval; 0 gives none")] = 50
    floor_repeats: Annotated[
        int, Field(ge=0, description="draws of real rows that the floor averages; 0 gives none")
    ] = 5
    _fitted: _Fitted | None = field(init=False, default=None, repr=False, compare=False)

    minimum: ClassVar[int] = 2
    few: ClassVar[int] = 100

    def _prepare(self, real: Real, key: Key) -> Any:
        """What is computed once from the real rows."""
        raise NotImplementedError

    def _estimate(self, state: Any, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        """Metric name -> estimate; without a key no intervals are needed."""
        raise NotImplementedError

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know, in the order in which it came up."""
        return tuple(self._ready.notes.texts)

    @property
    def space_name(self) -> str:
        """Name of the space that a fitted metric measures in."""
        return self._ready.space.name

    @property
    def _target_known(self) -> bool:
        """Whether the metric compares with something else than real rows."""
        return False

    @property
    def _ready(self) -> _Fitted:
        if self._fitted is None:
            raise PartError(f"{type(self).__name__}: call fit(reference, key=...) before measure")
        return self._fitted

    def fit(self, reference: Reference, *, key: Key) -> Self:
        """Prepare on the held-out rows, or on the training rows (with a note) where there are none.

        Raises:
            DataError: too few, empty, non-numeric or non-finite real rows, or no labels for a classifier.
        """
        notes = Notes(type(self).__name__)
        for table, what in ((reference.real, "real rows"), (reference.held_out, "held-out rows")):
            if table is not None:
                self._check(table, what, reference.real)
        if reference.held_out is None and not self._target_known:
            notes.add("no held-out rows: it compares with the training rows, so a model that copies them looks good")
        where = space(self.features, reference)
        compared = reference.real if reference.held_out is None else reference.held_out
        rows = self._cut(where, compared, key.child("prepare", "rows"))
        real = Real(rows, lambda: where.rows(reference.real), reference.held_out is not None)
        state = self._prepare(real, key.child("prepare"))
        fitted = replace(self)
        known = _Fitted(where, reference.real, reference.held_out, state, key, notes, {})
        object.__setattr__(fitted, "_fitted", known)
        return fitted

    def measure(self, generated: Samples, *, generator: Generator, key: Key) -> list[Measurement]:
        """Measure generated rows.

        Raises:
            DataError: too few rows, NaN or infinity, or rows of another shape than the real ones.
        """
        return self._measure_rows(self._generated_rows(generated, key), key)

    def floors(self, n: int, *, by_label: bool = False) -> dict[str, Floor]:
        """The metric on real training rows against the held-out ones, n rows a draw (or as many as there are).

        Without held-out rows the real rows are halved at random for every draw.

        Args:
            n: rows a draw, of which at most `max_rows` are used.
            by_label: draw so that every class keeps its share, as a generator does that is told the classes.
        """
        known, n = self._ready, min(n, self.max_rows)
        if (n, by_label) not in known.floors and self.floor_repeats:
            key = known.key.child("floor", n, by_label)
            draws = [self._floor_draw(n, by_label, key.child(i)) for i in range(self.floor_repeats)]
            known.floors[n, by_label] = {
                name: Floor(
                    float(np.mean([values[name] for values, _ in draws])),
                    float(np.std([values[name] for values, _ in draws], ddof=1)) if len(draws) > 1 else float("nan"),
                    draws[0][1],
                )
                for name in draws[0][0]
            }
        return known.floors.get((n, by_label), {})

    def _check(self, table: Samples, what: str, like: Samples) -> None:
        name = type(self).__name__
        if "x" not in table.data_columns:
            raise DataError(f"{name}: {what} have no column 'x'; there are: {', '.join(table.data_columns)}")
        if table.x.dtype.kind not in "biuf":
            raise DataError(f"{name}: {what} need numbers in column 'x', got {table.x.dtype}")
        if table.x.shape[1:] != like.x.shape[1:]:
            raise DataError(
                f"{name}: {what} have shape {table.x.shape[1:]} a row, but the real rows have {like.x.shape[1:]}"
            )
        if len(table) < self.minimum:
            raise DataError(
                f"{name}: needs at least {self.minimum} {what}, got {len(table)}; raise evaluation.n, "
                "hold out more real rows, or leave this metric out"
            )
        table.check_finite(f"{name}: {what}")

    def _generated_rows(self, generated: Samples, key: Key) -> Rows:
        """The checked rows in the metric's space, at most `max_rows` of them."""
        known = self._ready
        self._check(generated, "generated rows", known.train)
        if len(generated) < self.few:
            known.notes.add(f"measured on {len(generated)} rows: below {self.few} the value is mostly noise and bias")
        return self._cut(known.space, generated, key.child("rows"))

    def _measure_rows(self, rows: Rows, key: Key) -> list[Measurement]:
        known = self._ready
        estimates = self._estimate(known.state, rows, key.child("bootstrap"))
        floors = self.floors(len(rows), by_label=rows.given is not None)
        missing = Floor(float("nan"), float("nan"), 0)
        return [
            Measurement(name, e.value, e.low, e.high, floors.get(name, missing).value, len(rows))
            for name, e in estimates.items()
        ]

    def _cut(self, where: Space, table: Samples, key: Key) -> Rows:
        """At most `max_rows` rows of a table."""
        if len(table) <= self.max_rows:
            return where.rows(table)
        label = table.label if "label" in table.data_columns else None
        return where.take(table, choose_rows(len(table), self.max_rows, key.rng(), label))

    def _floor_draw(self, n: int, by_label: bool, key: Key) -> tuple[dict[str, float], int]:
        """The metric on one draw of real rows, and how many rows it had."""
        known = self._ready
        pool, state = np.arange(len(known.train)), known.state
        if known.test is None:
            order = key.child("halves").rng().permutation(len(pool))
            pool, half = order[len(order) // 2 :], order[: len(order) // 2]
            if len(half) < self.minimum:
                return {}, 0
            compared = known.space.take(known.train, half[: self.max_rows])
            real = Real(compared, lambda: known.space.take(known.train, pool), True)
            state = self._prepare(real, key.child("half"))
        size = min(n, len(pool))
        if size < n:
            known.notes.add(f"the floor at n = {n} is that of {size} real rows, as many as there are, and so too high")
        if size < self.minimum:
            return {}, size
        label = known.train.label[pool] if by_label and "label" in known.train.data_columns else None
        drawn = pool[choose_rows(len(pool), size, key.child("rows").rng(), label)]
        estimates = self._estimate(state, known.space.take(known.train, drawn), None)
        return {name: e.value for name, e in estimates.items()}, size
