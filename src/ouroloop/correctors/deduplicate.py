"""One of several equal rows stays, over a whole generation, however many shards it is drawn in."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.fingerprints import fingerprints
from ouroloop.correctors.rows import on_finite
from ouroloop.errors import DataError, PartError, SpecError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

__all__ = ["Deduplicate"]

_NOTHING = np.empty(0, np.uint64)
_MOST_DECIMALS = 15


@dataclass(frozen=True, kw_only=True)
class Deduplicate:
    """Rows that repeat an earlier row of the generation are dropped; the first one is kept as it is.

    Rows are equal where all compared columns are; with `decimals`, where they are after rounding (two numbers closer
    than the last decimal may still round apart). Every generation starts with a clean slate. Compared are 64-bit
    fingerprints: among N different rows one is taken for a copy with a chance of about N^2 / 4e19, 3e-6 for ten
    million. Of a generation 8 bytes a row are remembered.

    It changes frequencies on purpose: what a model draws often counts as much as what it draws once. Where
    repetitions are honest (categories, small tables), it flattens the distribution.

    Args:
        columns: which columns are compared; None: all that the generator draws.
        decimals: places to round to before comparing, 0 to 15; None: exactly.
        real: whether copies of real training rows are dropped too.
        action: what becomes of repetitions: "drop", or "fail" to leave it to the loop's `on_failure`.
    """

    whole_shard: ClassVar[bool] = True

    columns: Annotated[
        tuple[str, ...] | None, Field(description="columns that are compared; None: all that the generator draws")
    ] = None
    decimals: Annotated[
        int | None, Field(ge=0, le=15, description="places to round to before comparing; None: exactly")
    ] = None
    real: Annotated[bool, Field(description="drop copies of real training rows too")] = False
    action: Annotated[Literal["drop", "fail"], Field(description="verdict of repetitions")] = "drop"
    _real: Samples | None = field(init=False, default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if isinstance(self.columns, str) or (self.columns is not None and not self.columns):
            raise SpecError("columns: must be a list of at least one column, or be left out to compare all")
        if self.decimals is not None and not 0 <= self.decimals <= _MOST_DECIMALS:
            raise SpecError(f"decimals: must be from 0 to {_MOST_DECIMALS}, got {self.decimals}")

    def fit(self, reference: Reference, *, key: Key) -> Deduplicate:
        """Remember the real rows.

        Raises:
            DataError: they have no column of a name in `columns`.
        """
        for name in self.columns or ():
            if name not in (there := reference.real.data_columns):
                raise DataError(
                    f"corrector 'deduplicate', columns: the rows have no column '{name}'; there are: {', '.join(there)}"
                )
        fitted = replace(self)
        object.__setattr__(fitted, "_real", reference.real)
        return fitted

    def for_generation(self) -> _Generation:
        """The corrector of one generation, to be shown its shards in order."""
        if self._real is None:
            raise PartError("corrector 'deduplicate': call fit before correct")
        return _Generation(self, self._real)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """The answer for a generation of one shard; rows with NaN fail."""
        return self.for_generation().correct(synthetic, key=key)


class _Generation:
    """Remembers the fingerprints of the rows that it was shown."""

    whole_shard = True

    def __init__(self, rules: Deduplicate, real: Samples) -> None:
        self._rules, self._real = rules, real
        self._seen: np.ndarray | None = None

    def fit(self, reference: Reference, *, key: Key) -> _Generation:
        """Itself: it is fitted."""
        return self

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Rows kept or dropped; `key` is not needed."""
        return on_finite(synthetic, self._judge)

    def _judge(self, rows: Samples) -> Correction:
        names = self._rules.columns or rows.data_columns
        if self._seen is None:
            copies = self._real.only(names) if self._rules.real else None
            self._seen = _NOTHING if copies is None else np.unique(fingerprints(copies, names, self._rules.decimals))
        marks = fingerprints(rows, names, self._rules.decimals)
        new, first = np.unique(marks, return_index=True)
        place = np.searchsorted(self._seen, new)
        known = np.zeros(len(new), bool)
        inside = place < len(self._seen)
        known[inside] = self._seen[place[inside]] == new[inside]
        self._seen = np.insert(self._seen, place[~known], new[~known])
        verdict = np.full(len(rows), Verdict.DROPPED if self._rules.action == "drop" else Verdict.FAILED, np.int8)
        verdict[first[~known]] = Verdict.KEPT
        return Correction(rows, rows, verdict, np.zeros(len(rows)))
