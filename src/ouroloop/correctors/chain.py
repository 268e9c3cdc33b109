"""Correctors one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction, distance_moved, for_generation
from ouroloop.correctors.function import adapt
from ouroloop.correctors.rows import on_finite
from ouroloop.keys import Key
from ouroloop.protocols import Corrector, Reference
from ouroloop.samples import Samples, Verdict

__all__ = ["Chain"]


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Every corrector is shown what the one before it made of the rows.

    A row that one drops or fails is not shown to the next. Distances are from the rows as they were drawn to
    what comes out at the end. An empty chain corrects nothing.

    Args:
        parts: the correctors, in order; from Python also plain functions (see `correctors.function`).
    """

    nested_parts: ClassVar[dict[str, str]] = {"parts": "correctors"}
    parts: Annotated[tuple[Corrector, ...], Field(description="correctors, applied one after the other")] = ()

    def __post_init__(self) -> None:
        parts: tuple[Any, ...] = tuple(self.parts)
        object.__setattr__(self, "parts", tuple(adapt(part) for part in parts))

    @property
    def whole_shard(self) -> bool:
        """Whether some part's answer for a row depends on the other rows of the shard."""
        return any(getattr(part, "whole_shard", False) for part in self.parts)

    def fit(self, reference: Reference, *, key: Key) -> Chain:
        """Prepare every part on the real data."""
        fitted = [part.fit(reference, key=key.child("part", i)) for i, part in enumerate(self.parts)]
        return replace(self, parts=tuple(fitted))

    def for_generation(self) -> Chain:
        """The parts that correct one generation; itself where none remembers."""
        made = tuple(for_generation(part) for part in self.parts)
        return self if all(a is b for a, b in zip(made, self.parts, strict=True)) else replace(self, parts=made)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """All parts' answers, in order; rows with NaN fail before the first."""
        return on_finite(synthetic, lambda rows: self._correct(rows, key))

    def _correct(self, synthetic: Samples, key: Key) -> Correction:
        verdict = np.full(len(synthetic), Verdict.KEPT, np.int8)
        columns = {name: synthetic[name] for name in synthetic.data_columns}
        for index, part in enumerate(self.parts):
            rows = np.flatnonzero(verdict <= Verdict.CHANGED)
            shown = synthetic.replace(**columns).take(rows)
            answer = part.correct(shown, key=key.child("part", index))
            changed = answer.verdict == Verdict.CHANGED
            for name, column in columns.items():
                proposed = answer.proposed[name]
                columns[name] = column.astype(np.result_type(column, proposed))
                columns[name][rows[changed]] = proposed[changed]
            verdict[rows] = np.maximum(verdict[rows], answer.verdict)  # kept < changed < dropped < failed
        alive = verdict <= Verdict.CHANGED
        distance = np.zeros(len(synthetic))
        distance[alive] = distance_moved(synthetic.x[alive], columns["x"][alive])
        return Correction(synthetic, synthetic.replace(**columns), verdict, distance)
