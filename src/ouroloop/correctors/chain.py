"""Correctors one after the other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction, distance_moved
from ouroloop.correctors.function import adapt
from ouroloop.correctors.rows import scatter
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

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """All parts' answers, in order."""
        whole = Correction.unchanged(synthetic)
        for index, part in enumerate(self.parts):
            rows = np.flatnonzero(whole.verdict <= Verdict.CHANGED)
            shown = whole.proposed if len(rows) == len(synthetic) else whole.proposed.take(rows)
            answer = part.correct(shown, key=key.child("part", index))
            whole = _compose(synthetic, whole, rows, shown, answer)
        alive = whole.verdict <= Verdict.CHANGED
        distance = np.zeros(len(synthetic))
        distance[alive] = distance_moved(synthetic.x[alive], whole.proposed.x[alive])
        return Correction(synthetic, whole.proposed, whole.verdict, distance)


def _compose(raw: Samples, before: Correction, rows: np.ndarray, shown: Samples, answer: Correction) -> Correction:
    """The state after one more part has judged some rows: what it kept is as it was shown."""
    changed = answer.verdict == Verdict.CHANGED
    columns = {}
    for name in shown.data_columns:
        mask = changed.reshape(-1, *([1] * (shown[name].ndim - 1)))
        columns[name] = np.where(mask, answer.proposed[name], shown[name])
    verdict = np.maximum(answer.verdict, before.verdict[rows])  # kept < changed < dropped < failed
    judged = Correction(shown, shown.replace(**columns), verdict, answer.distance)
    base = before.proposed.replace(id=raw.id, parent=raw.parent, verdict=raw.verdict)
    whole = scatter(base, rows, judged)
    merged = before.verdict.copy()
    merged[rows] = verdict
    return Correction(raw, whole.proposed, merged, whole.distance)
