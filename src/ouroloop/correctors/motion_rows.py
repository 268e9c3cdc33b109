"""What the correctors of motions share: rows of HumanML3D features as joint positions, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ouroloop.correction import Correction, distance_moved
from ouroloop.correctors.rows import on_finite
from ouroloop.errors import DataError
from ouroloop.samples import Samples, Verdict

__all__ = ["Judge", "Judged", "by_positions"]

Judged = tuple[Sequence[np.ndarray], Sequence[Verdict]]
"""New joint positions, one array a motion, and a verdict each."""
Judge = Callable[[list[np.ndarray], float], Judged]


def by_positions(synthetic: Samples, judge: Judge) -> Correction:
    """What `judge` makes of the motions' joint positions, as rows of features.

    Args:
        synthetic: ``x`` (n, frames, 263), and ``length`` (n,), the frames of each motion (all, where there is no such
            column). Rows with NaN, and rows without frames, fail and are not shown.
        judge: is given positions (T, 22, 3) in m, y up, one array a motion, and the frame rate; answers as many of the
            same shapes, with a verdict each. Where the verdict is CHANGED the new positions are used.

    Raises:
        DataError: rows that are not HumanML3D features, or lengths beyond the frames.
    """
    return on_finite(synthetic, lambda shown: _judged(shown, judge))


def _judged(shown: Samples, judge: Judge) -> Correction:
    from ouroloop.motion.humanml3d import FEATURES, FPS, decode

    x = shown.x
    if x.ndim != 3 or x.shape[2] != FEATURES or x.dtype.kind != "f":
        raise DataError(
            f"a corrector of motions needs 'x' of shape (n, frames, {FEATURES}), HumanML3D features, got {x.shape} "
            f"({x.dtype})"
        )
    lengths = np.asarray(shown["length"], np.int64) if "length" in shown.data_columns else np.full(len(x), x.shape[1])
    if (lengths > x.shape[1]).any() or (lengths < 0).any():
        raise DataError(f"lengths of motions must lie in 0..{x.shape[1]}, got {lengths.min()} to {lengths.max()}")
    verdict, after = np.full(len(x), Verdict.FAILED, np.int8), x.copy()
    rows = np.flatnonzero(lengths > 0)
    moved, verdicts = judge([decode(x[row, : lengths[row]]) for row in rows], float(FPS))
    for row, positions, word in zip(rows, moved, verdicts, strict=True):
        verdict[row] = word
        if word == Verdict.CHANGED:
            after[row] = 0.0
            after[row, : lengths[row]] = _encoded(positions)
    distance = np.where(verdict == Verdict.CHANGED, distance_moved(x, after), 0.0)
    verdict = np.where((verdict == Verdict.CHANGED) & (distance == 0), Verdict.KEPT, verdict)
    return Correction(shown, shown.replace(x=after), verdict, distance)


def _encoded(positions: np.ndarray) -> np.ndarray:
    """Features (T, 263) of T frames; T + 1 are needed, so the last step is repeated."""
    from ouroloop.motion.humanml3d import encode

    step = positions[-1] - positions[-2] if len(positions) > 1 else np.zeros_like(positions[-1])
    return encode(np.concatenate([positions, (positions[-1] + step)[None]]))
