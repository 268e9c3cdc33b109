r"""Do motions show what their captions say? Matching score and R-precision in the space of the motion evaluator.

$$ \text{matching score} = \frac1n \sum_i |m_i - c_i| $$

R-precision k is the share of captions that find their motion among the k nearest of a batch of 32. The blind guess
stands beside it, because captions repeat: a motion of another row with the same caption counts as found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field

from ouroloop.errors import SpecError
from ouroloop.features.motion_text import meanings
from ouroloop.features.retrieval import batches_of, retrieval_hits
from ouroloop.keys import Key
from ouroloop.metrics.base import choose_rows
from ouroloop.metrics.bootstrap import Estimate, interval, resample_counts, share
from ouroloop.metrics.captioned import CaptionedMetric
from ouroloop.metrics.spaces import Rows
from ouroloop.protocols import Reference

__all__ = ["Matching"]


@dataclass(frozen=True, kw_only=True)
class Matching(CaptionedMetric):
    """How well motions match their captions.

    'matching_score' (distance of motions to their captions), 'r_precision_1', '_2', '_3', and 'r_precision_blind'
    (R-precision 1 of a random order).

    Rows are put into batches anew in every replication, and a row's hits are averaged over them; intervals are a
    bootstrap of the rows. The floor is the same of held-out real motions: what can be reached, not the least.

    Source: Guo et al. (CVPR 2022), section 5.1; differences: equal captions count as found, no row is left out for
    good because it fills no batch, and the interval is that of the rows and not of the batching alone.
    """

    batch: Annotated[int, Field(ge=4, description="motions that a caption is searched among")] = 32
    replications: Annotated[int, Field(ge=3, description="times that the rows are put into batches")] = 20

    few: ClassVar[int] = 100

    def fit(self, reference: Reference, *, key: Key) -> Self:
        """As `RowMetric.fit`.

        Raises:
            SpecError: features that have no captions in their space.
        """
        fitted = super().fit(reference, key=key)
        if not hasattr(fitted._ready.space.extractor, "embed_captions"):
            raise SpecError(f"Matching: features '{fitted.space_name}' cannot place captions; take 'motion'")
        return fitted

    def _estimate(self, state: None, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        captions = np.asarray(rows.caption, str)
        text = self._ready.space.extractor.embed_captions(captions)  # type: ignore[attr-defined]
        counts = resample_counts(key, len(rows), self.resamples)
        distance = np.linalg.norm(rows.x - text, axis=1)
        found = {"matching_score": interval(distance.mean(), counts @ distance / len(rows), 0.0)}
        stream = (Key(0) if key is None else key).child("batches")
        size = min(self.batch, len(rows))
        if size < self.batch:
            self._ready.notes.add(f"R-precision is among {size} motions, not {self.batch}: too few rows")
        batches = batches_of(len(rows), size, self.replications, stream.rng())
        hits, blind = retrieval_hits(text=text, motion=rows.x, meaning=meanings(captions), batches=batches)
        drawn = np.bincount(batches.ravel(), minlength=len(rows)).astype(np.float64)
        for k in range(3):
            own = np.bincount(batches.ravel(), weights=hits[..., k].ravel(), minlength=len(rows))
            resampled = counts @ own / np.maximum(counts @ drawn, 1.0)
            found[f"r_precision_{k + 1}"] = share(own.sum() / drawn.sum(), resampled, len(rows))
        return {**found, "r_precision_blind": Estimate(float(blind[..., 0].mean()))}

    def _floor_draw(self, n: int, by_label: bool, key: Key) -> tuple[dict[str, float], int]:
        """Held-out rows against their own captions: the evaluator knows the training rows by heart."""
        known = self._ready
        table = known.train if known.test is None else known.test
        rows = known.space.rows(table)
        if n < len(rows):
            rows = rows.take(choose_rows(len(rows), n, key.child("rows").rng()))
        if len(rows) < n:
            known.notes.add(f"the floor at n = {n} is that of {len(rows)} real rows, as many as there are")
        estimates = self._estimate(None, rows, key.child("estimate"))
        return {name: e.value for name, e in estimates.items()}, len(rows)
