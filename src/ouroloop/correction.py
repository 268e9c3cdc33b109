"""Correction: what a corrector says about every synthetic row: a proposal, a verdict, a distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroloop.errors import PartError
from ouroloop.samples import Samples, Verdict, corrected_ids

__all__ = ["Correction", "distance_moved", "for_generation"]


def distance_moved(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Euclidean distance between flattened rows, float64 (n,); 0 for columns that are not numbers."""
    if before.dtype.kind not in "biuf":
        return np.where(before == after, 0.0, 1.0) if before.ndim == 1 else np.zeros(len(before))
    difference = (after.astype(np.float64) - before).reshape(
        len(before), int(np.prod(before.shape[1:], dtype=np.int64))
    )
    return np.sqrt(np.einsum("ij,ij->i", difference, difference))


@dataclass(frozen=True, eq=False)
class Correction:
    """A corrector's answer, row by row: row i of every field speaks of row i of `raw`.

    Args:
        raw: the synthetic rows as they were drawn, n rows.
        proposed: the same n rows as the corrector would have them; where the verdict is DROPPED or
            FAILED the content is ignored.
        verdict: int8 (n,), values of `Verdict`.
        distance: float64 (n,), how far each row moved, in the data's units.

    Raises:
        PartError: the number of rows changed.
    """

    raw: Samples
    proposed: Samples
    verdict: np.ndarray
    distance: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.raw)
        for name, value in (("proposed", self.proposed), ("verdict", self.verdict), ("distance", self.distance)):
            if len(value) != n:
                raise PartError(
                    f"the corrector was given {n} rows and returned {len(value)} ({name}); to remove a row give it "
                    "the verdict 'dropped' instead of leaving it out"
                )
        object.__setattr__(self, "verdict", np.asarray(self.verdict, np.int8))
        object.__setattr__(self, "distance", np.asarray(self.distance, np.float64))

    @classmethod
    def unchanged(cls, raw: Samples) -> Correction:
        """Every row kept as it is."""
        return cls(raw, raw, np.full(len(raw), Verdict.KEPT, np.int8), np.zeros(len(raw)))

    @classmethod
    def to(cls, raw: Samples, x: np.ndarray, **columns: np.ndarray) -> Correction:
        """Rows moved to new values of `x`, shape (n, ...) as before; those that did not move are kept."""
        x = np.asarray(x)
        if x.shape != raw.x.shape:
            raise PartError(
                f"the corrector was given x of shape {raw.x.shape} and returned {x.shape}; a corrector keeps the "
                "number of rows and their shape, and drops rows by verdict"
            )
        distance = distance_moved(raw.x, x)
        verdict = np.where(distance > 0, Verdict.CHANGED, Verdict.KEPT)
        return cls(raw, raw.replace(x=x, **columns), verdict, distance)

    def survivors(self, on_failure: str = "drop") -> Samples:
        """The rows to train on, with ids, parents and verdicts set.

        Args:
            on_failure: what becomes of rows that failed: "drop", or "keep_raw" (the raw row, marked failed).
        """
        verdict, raw = self.verdict, self.raw
        use_raw = (verdict == Verdict.KEPT) | (verdict == Verdict.FAILED)
        alive = (verdict == Verdict.KEPT) | (verdict == Verdict.CHANGED)
        if on_failure == "keep_raw":
            alive |= verdict == Verdict.FAILED
        columns = {}
        for name in raw.data_columns:
            before, after = raw[name], self.proposed[name]
            mask = use_raw.reshape(-1, *([1] * (before.ndim - 1)))
            columns[name] = np.where(mask, before, after)[alive] if use_raw.any() else after[alive]
        columns["id"] = np.where(use_raw, raw.id, corrected_ids(raw.id))[alive]
        columns["parent"] = np.where(use_raw, raw.parent, raw.id)[alive]
        columns["origin"] = raw.origin[alive]
        columns["verdict"] = verdict[alive]
        return Samples(columns)

    def counts(self) -> dict[str, int]:
        """Number of rows by verdict."""
        return {v.name.lower(): int(np.count_nonzero(self.verdict == v)) for v in Verdict}


def for_generation(corrector: Any) -> Any:
    """What corrects the shards of one generation, in order: the corrector, or what it gives for a generation.

    A corrector whose answer depends on earlier shards has a method ``for_generation()``. It returns another corrector,
    fitted and with the same `whole_shard`, that may remember what it was shown, and lives as long as the generation.

    Raises:
        PartError: what it returns is no such corrector.
    """
    own = getattr(corrector, "for_generation", None)
    if own is None:
        return corrector
    made = own()
    same = getattr(made, "whole_shard", False) == getattr(corrector, "whole_shard", False)
    if not (callable(getattr(made, "fit", None)) and callable(getattr(made, "correct", None)) and same):
        raise PartError(
            f"{type(corrector).__name__}.for_generation returned {type(made).__name__}; it must have fit (which may "
            "return itself) and correct, and the corrector's own whole_shard"
        )
    return made
