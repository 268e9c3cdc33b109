"""What correctors share: which rows can be judged at all, rows as vectors, and putting answers together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ouroloop.correction import Correction, distance_moved
from ouroloop.errors import DataError
from ouroloop.samples import Samples, Verdict

__all__ = ["finite_rows", "flat", "like", "moved", "on_finite", "scatter"]


def finite_rows(samples: Samples) -> np.ndarray:
    """True for rows without NaN or infinity in any column, bool (n,)."""
    good = np.ones(len(samples), bool)
    for name in samples.data_columns:
        column = samples[name]
        if column.dtype.kind in "fc":
            good &= np.isfinite(column).all(axis=tuple(range(1, column.ndim)))
    return good


def flat(x: np.ndarray, who: str) -> np.ndarray:
    """Rows as vectors, float64 (n, d).

    Raises:
        DataError: the rows are not numbers; the message names `who` needs them.
    """
    if x.dtype.kind not in "biuf":
        raise DataError(f"{who} needs numbers in the column 'x', got {x.dtype}")
    return np.asarray(x, np.float64).reshape(len(x), int(np.prod(x.shape[1:], dtype=np.int64)))


def like(x: np.ndarray, example: np.ndarray) -> np.ndarray:
    """Vectors (n, d) in the row shape and type of `example`; integers are rounded and kept in their range."""
    x = x.reshape(len(x), *example.shape[1:])
    if example.dtype.kind in "iu" and x.dtype.kind == "f":
        info = np.iinfo(example.dtype)
        x = np.clip(np.rint(x), info.min, info.max)
    return x.astype(example.dtype, copy=False)


def moved(raw: Samples, x: np.ndarray, *, failed: np.ndarray | None = None, **columns: np.ndarray) -> Correction:
    """Rows moved to x, shape (n, ...); those in the mask `failed` (n,) get that verdict and did not move."""
    if failed is None or not failed.any():
        return Correction.to(raw, x, **columns)
    keep, alive = failed.reshape(-1, *([1] * (raw.x.ndim - 1))), ~failed
    distance = np.zeros(len(raw))
    distance[alive] = distance_moved(raw.x[alive], x[alive])
    verdict = np.where(failed, Verdict.FAILED, np.where(distance > 0, Verdict.CHANGED, Verdict.KEPT))
    return Correction(raw, raw.replace(x=np.where(keep, raw.x, x), **columns), verdict, distance)


def on_finite(raw: Samples, judge: Callable[[Samples], Correction]) -> Correction:
    """What `judge` says of the rows without NaN or infinity; the others have failed and are not shown to it."""
    rows = np.flatnonzero(finite_rows(raw))
    if len(rows) == 0:
        return moved(raw, raw.x, failed=np.ones(len(raw), bool))
    shown = raw if len(rows) == len(raw) else raw.take(rows)
    return scatter(raw, rows, judge(shown), others=Verdict.FAILED)


def scatter(raw: Samples, rows: np.ndarray, answer: Correction, *, others: Verdict = Verdict.KEPT) -> Correction:
    """The answer for some rows as an answer for all.

    Args:
        raw: all rows, n of them.
        rows: positions (int) of the rows that `answer` speaks of, in its order.
        answer: m = len(rows) judgements.
        others: the verdict of the other rows.
    """
    if len(rows) == len(raw):
        return Correction(raw, answer.proposed, answer.verdict, answer.distance)
    columns = {}
    for name in raw.data_columns:
        proposed = answer.proposed[name]
        whole = raw[name].astype(np.result_type(raw[name], proposed))
        whole[rows] = proposed
        columns[name] = whole
    verdict, distance = np.full(len(raw), others, np.int8), np.zeros(len(raw))
    verdict[rows], distance[rows] = answer.verdict, answer.distance
    return Correction(raw, raw.replace(**columns), verdict, distance)
