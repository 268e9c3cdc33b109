r"""How different motions of one caption are: the mean distance between two of them, averaged over captions.

$$ \frac{1}{C} \sum_c \frac{1}{k (k - 1)} \sum_{i \ne j} |m_{c,i} - m_{c,j}| $$

A generator that has one motion for each caption has multimodality 0, whatever its diversity is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.features.motion_text import meanings
from ouroloop.keys import Key
from ouroloop.metrics.base import Floor
from ouroloop.metrics.bootstrap import Estimate, interval, resample_counts
from ouroloop.metrics.captioned import CaptionedMetric
from ouroloop.metrics.diversity import pairwise_distance
from ouroloop.metrics.spaces import Rows
from ouroloop.protocols import Condition, Generator, Measurement
from ouroloop.samples import Samples

__all__ = ["Multimodality"]


@dataclass(frozen=True, kw_only=True)
class Multimodality(CaptionedMetric):
    """'multimodality': mean distance of two motions of one caption (units of the features; near the floor is right).

    'of: model' draws `repeats` motions for each of `captions` real captions (the same ones in every generation);
    'of: rows' compares the measured rows that share a caption. The floor is that of the real motions that share a
    caption, or missing where there are none. The interval is a bootstrap of the captions.

    Source: Guo et al. (CVPR 2022), section 5.1; all pairs instead of 10 random ones, the same in expectation.
    """

    of: Annotated[
        Literal["model", "rows"], Field(description="draw motions of one caption from the model, or take the rows'")
    ] = "model"
    captions: Annotated[int, Field(ge=2, description="captions that 'of: model' draws for")] = 16
    repeats: Annotated[int, Field(ge=2, description="motions that 'of: model' draws for each caption")] = 6

    few: ClassVar[int] = 30

    def measure(self, generated: Samples, *, generator: Generator, key: Key) -> list[Measurement]:
        """Measure the model, or generated rows.

        Raises:
            DataError: no caption has two rows ('of: rows'), or rows that are not finite or of another shape.
            PartError: a generator that takes no captions ('of: model').
        """
        if self.of == "model":
            columns = getattr(generator, "condition_columns", ())
            if "caption" not in columns:
                raise PartError("Multimodality: the generator takes no captions; set of: rows, or leave it out")
            condition = self._condition(columns)
            generated = generator.sample(len(condition["caption"]), key=key.child("draw"), condition=condition)
        return super().measure(generated, generator=generator, key=key)

    def floors(self, n: int, *, by_label: bool = False) -> dict[str, Floor]:
        """The metric on all real training rows that share a caption; it has no bias at small n, so n is irrelevant."""
        known = self._ready
        if (0, False) not in known.floors:
            found = _distances(known.space.rows(known.train))
            spread = float(np.std(found, ddof=1) / np.sqrt(len(found))) if len(found) > 1 else float("nan")
            floor = {"multimodality": Floor(float(found.mean()), spread, len(known.train))} if len(found) else {}
            known.floors[0, False] = floor
        return known.floors[0, False]

    def _estimate(self, state: None, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        found = _distances(rows)
        if not len(found):
            raise DataError(
                f"Multimodality: none of {len(rows)} rows shares its caption with another one; set of: model, or raise "
                "evaluation.n"
            )
        resampled = resample_counts(key, len(found), self.resamples) @ found / len(found)
        return {"multimodality": interval(found.mean(), resampled if len(found) > 1 else resampled[:0], 0.0)}

    def _condition(self, columns: Sequence[str]) -> Condition:
        """These columns of real rows with different captions, each `repeats` times."""
        known = self._ready
        table = known.train if known.test is None else known.test
        order = known.key.child("captions").rng().permutation(len(table))
        _, first = np.unique(meanings(table["caption"][order]), return_index=True)
        rows = np.repeat(order[np.sort(first)[: self.captions]], self.repeats)
        return {name: table[name][rows] for name in columns}


def _distances(rows: Rows) -> np.ndarray:
    """The mean distance of two rows of one caption, for each caption that has two, float64 (c,)."""
    return np.array([pairwise_distance(group) for group in _groups(rows)])


def _groups(rows: Rows) -> Iterator[np.ndarray]:
    meaning = meanings(np.asarray(rows.caption, str))
    order = np.argsort(meaning, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(meaning[order])) + 1):
        if len(group) > 1:
            yield rows.x[group]
