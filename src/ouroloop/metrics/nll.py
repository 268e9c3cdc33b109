r"""Negative log-likelihood: how surprised a fitted model is by real rows that it was not trained on.

.. math:: \mathrm{nll} = -\frac1m \sum_{i=1}^m \log \hat p(x_i)
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.metrics.base import choose_rows
from ouroloop.metrics.bootstrap import Z95
from ouroloop.protocols import Generator, Measurement, Reference
from ouroloop.samples import Samples

__all__ = ["Nll", "log_probabilities", "rows_to_score", "surprise"]

_log = logging.getLogger("ouroloop.metrics")


@dataclass(frozen=True, kw_only=True)
class Nll:
    """'nll': mean negative log density of held-out rows under the fitted model, in nats a row (lower is better).

    It reads the model, not its samples: the generator needs ``log_density(x)``, as `gaussian`, `gaussian_mixture`,
    `kde` and `flow` have. The interval is a normal one over rows. Unlike distances it has no floor: the least value is
    the entropy of the real data, which may be negative.
    """

    max_rows: Annotated[int, Field(ge=2, description="most held-out rows scored; larger tables are subsampled")] = (
        10_000
    )
    _rows: np.ndarray | None = field(init=False, default=None, repr=False, compare=False)

    def fit(self, reference: Reference, *, key: Key) -> Self:
        """Choose the rows to score: held-out ones, or training rows (with a warning) where there are none.

        Raises:
            DataError: fewer than 2 rows, or rows that are not finite numbers.
        """
        rows = rows_to_score(reference, self.max_rows, key, "nll").x
        fitted = replace(self)
        object.__setattr__(fitted, "_rows", rows)
        return fitted

    def measure(self, generated: Samples, *, generator: Generator, key: Key) -> Sequence[Measurement]:
        """One measurement; `generated` is not read.

        Raises:
            PartError: not fitted, a generator without a density, or one that excludes a held-out row.
        """
        if self._rows is None:
            raise PartError("metric 'nll': call fit before measure")
        return [surprise("nll", log_probabilities(generator, "log_density", self._rows, "nll"))]


def rows_to_score(reference: Reference, most: int, key: Key, metric: str) -> Samples:
    """At most so many held-out rows, the same for all measurements."""
    if reference.held_out is None:
        _log.warning("%s: no held-out rows: it scores training rows, which a model that copies them knows", metric)
    rows = reference.real if reference.held_out is None else reference.held_out
    for table in (reference.real, rows):
        table.check_finite(f"metric '{metric}'")
    if len(rows) < 2 or rows.x.dtype.kind not in "biuf":
        raise DataError(f"metric '{metric}' needs at least 2 rows of numbers, got {len(rows)} of {rows.x.dtype}")
    return rows if len(rows) <= most else rows.take(choose_rows(len(rows), most, key.child("rows").rng()))


def log_probabilities(generator: Generator, method: str, rows: np.ndarray, metric: str) -> np.ndarray:
    """What a generator's method says of rows, float64 (n,), checked.

    Raises:
        PartError: no such method, or something else than one finite number a row.
    """
    kind, score = type(generator).__name__, getattr(generator, method, None)
    if score is None:
        raise PartError(
            f"metric '{metric}' reads {method}(x), which {kind} does not have; choose a generator that knows its "
            "probabilities, or leave this metric out"
        )
    found = np.asarray(score(rows), np.float64)
    if found.shape != (len(rows),):
        raise PartError(f"metric '{metric}': {kind}.{method} of {len(rows)} rows gave shape {found.shape}")
    if not np.isfinite(found).all():
        bad = int(np.count_nonzero(~np.isfinite(found)))
        raise PartError(
            f"metric '{metric}': {kind} gives {bad} of {len(rows)} held-out rows no finite log probability (a model "
            "that excludes them has an infinite loss); use a model that is positive everywhere"
        )
    return found


def surprise(metric: str, log_probability: np.ndarray, tokens: int = 1) -> Measurement:
    """The mean of -log p over rows, for each of their `tokens`, with a 95 % interval over rows."""
    values = -log_probability / tokens
    value, half = float(values.mean()), Z95 * float(values.std(ddof=1)) / np.sqrt(len(values))
    return Measurement(metric, value, value - half, value + half)
