"""The control: every row is kept as it is."""

from __future__ import annotations

from dataclasses import dataclass

from ouroloop.correction import Correction
from ouroloop.correctors.rows import on_finite
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

__all__ = ["Identity"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """No correction: the uncorrected loop, against which every corrector is compared."""

    def fit(self, reference: Reference, *, key: Key) -> Identity:
        """Nothing to prepare."""
        return self

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Every row kept, at distance 0; rows with NaN fail."""
        return on_finite(synthetic, Correction.unchanged)
