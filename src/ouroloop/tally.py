"""What the corrector did to a generation, summed over its shards."""

from __future__ import annotations

import numpy as np

from ouroloop.correction import Correction
from ouroloop.previews import preview_of_correction
from ouroloop.protocols import Measurement

__all__ = ["Tally"]


class Tally:
    """Sums up the corrections of a generation's shards.

    Attributes:
        verdicts: number of raw rows by verdict.
        preview: see `preview_of_correction`; of the first shard.
    """

    def __init__(self) -> None:
        self.verdicts: dict[str, int] = {}
        self.preview: dict[str, np.ndarray] = {}
        self._distance = 0.0

    def add(self, correction: Correction) -> None:
        """Count a shard in."""
        for name, count in correction.counts().items():
            self.verdicts[name] = self.verdicts.get(name, 0) + count
        self._distance += float(np.nansum(correction.distance))
        if not self.preview:
            self.preview = preview_of_correction(correction)

    def measurements(self) -> dict[str, Measurement]:
        """Shares of rows corrected, dropped and failed, and the mean distance moved; nothing of no rows."""
        n = sum(self.verdicts.values())
        if not n:
            return {}
        shares = {"corrected": "changed", "dropped": "dropped", "failed": "failed"}
        values = {f"{name}_share": self.verdicts[verdict] / n for name, verdict in shares.items()}
        values["distance_moved"] = self._distance / n
        return {name: Measurement(name, value, n=n) for name, value in values.items()}
