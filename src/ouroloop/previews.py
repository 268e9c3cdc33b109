"""A few rows of each generation, kept for people to look at."""

from __future__ import annotations

import numpy as np

from ouroloop.correction import Correction
from ouroloop.samples import Samples

__all__ = ["preview_of", "preview_of_correction"]

PREVIEW_ROWS = 100
CORRECTION_PREVIEW_ROWS = 64
PREVIEW_BYTES = 4 << 20  # of a preview's main column; long motions are fewer than a hundred


def _shown(rows: Samples, most: int) -> slice:
    return slice(0, max(min(most, PREVIEW_BYTES // max(rows.x[:1].nbytes, 1)), 8))


def preview_of(rows: Samples) -> dict[str, np.ndarray]:
    """The columns of the first 100 rows, or of fewer where rows are large."""
    shown = _shown(rows, PREVIEW_ROWS)
    return {name: rows[name][shown] for name in rows.data_columns}


def preview_of_correction(correction: Correction) -> dict[str, np.ndarray]:
    """before, x (= after), further columns, verdict and distance of the first 64 rows, or fewer large ones."""
    raw, rows = correction.raw, _shown(correction.raw, CORRECTION_PREVIEW_ROWS)
    preview = {"before": raw.x[rows], "x": correction.proposed.x[rows]}
    preview |= {name: raw[name][rows] for name in raw.data_columns if name != "x"}
    return preview | {"verdict": correction.verdict[rows], "distance": correction.distance[rows]}
