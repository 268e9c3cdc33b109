"""What the metrics of captioned motions share: the space that they are measured in, and what their rows must have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from ouroloop.features.motion_columns import captions_of, motion_lengths
from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.samples import Samples

__all__ = ["CaptionedMetric"]


@dataclass(frozen=True, kw_only=True)
class CaptionedMetric(RowMetric):
    """Base of `Matching` and `Multimodality`, which need captions and motions in one space."""

    features: Annotated[
        str | dict[str, Any], Field(description="'motion', or a mapping with it as 'kind' and its options")
    ] = "motion"

    def _check(self, table: Samples, what: str, like: Samples) -> None:
        super()._check(table, what, like)
        name = f"{type(self).__name__}: {what}"
        captions_of(table, name)
        motion_lengths(table, name)

    def _prepare(self, real: Real, key: Key) -> None:
        return None
