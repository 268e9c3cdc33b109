"""What a generation hands to the next one, and what it tells of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from ouroloop.pool import Pool
from ouroloop.protocols import Generator, Measurement

__all__ = ["Info", "State"]


class State(NamedTuple):
    """What one generation hands to the next.

    Attributes:
        generation: the last one completed; 0 has been trained on real data only.
        model: its fitted generator.
        history: synthetic rows by generation of entry; only the last one where the regime keeps no history.
        measurements: name -> Measurement, one mapping per measured generation, oldest first.
    """

    generation: int
    model: Generator
    history: tuple[Pool, ...] = ()
    measurements: tuple[Mapping[str, Measurement], ...] = ()


@dataclass(frozen=True, eq=False)
class Info:
    """What happened in one generation.

    Attributes:
        generation: which one.
        model: its fitted generator.
        training: the rows that it was fitted on.
        synthetic: the corrected synthetic rows that entered, or None in generation 0.
        metrics: name -> Measurement; only the counts of rows in generations that are not measured.
        verdicts: number of raw rows by verdict.
        preview: up to 100 rows of the evaluated model's samples.
        reference_preview: in generation 0, as many held-out real rows, where the generator is conditioned on columns.
        corrections_preview: before, x (= after), verdict, distance of up to 64 raw rows.
        timings: seconds of wall time by stage.
    """

    generation: int
    model: Generator
    training: Pool
    synthetic: Pool | None = None
    metrics: Mapping[str, Measurement] = field(default_factory=dict)
    verdicts: Mapping[str, int] = field(default_factory=dict)
    preview: Mapping[str, np.ndarray] = field(default_factory=dict)
    corrections_preview: Mapping[str, np.ndarray] = field(default_factory=dict)
    reference_preview: Mapping[str, np.ndarray] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)

    @property
    def alarm(self) -> int | None:
        """0 healthy, 1 drifting, 2 collapsing; None where nothing was measured."""
        return int(self.metrics["alarm"].value) if "alarm" in self.metrics else None
