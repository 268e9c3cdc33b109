"""The columns of a table of motions: x (n, frames, channels), zero after each row's `length`, and `caption`."""

from __future__ import annotations

import numpy as np

from ouroloop.errors import DataError
from ouroloop.samples import Samples

__all__ = ["captions_of", "inferred_lengths", "motion_lengths"]


def inferred_lengths(x: np.ndarray) -> np.ndarray:
    """Frames of each row up to its last one that is not all zero, at least 1, int64 (n,).

    No frame of a motion is all zero (a body has a height), so that this is what the column `length` says.

    Args:
        x: rows padded with zeros, shape (n, frames, channels).

    >>> inferred_lengths(np.array([[[1.0], [0.0], [2.0], [0.0]]])).tolist()
    [3]
    """
    if x.ndim != 3 or 0 in x.shape[1:]:
        raise DataError(f"motions need rows of shape (frames, numbers a frame), got x of shape {x.shape}")
    filled = (x != 0).any(axis=2)
    last = x.shape[1] - np.argmax(filled[:, ::-1], axis=1)
    return np.where(filled.any(axis=1), last, 1).astype(np.int64)


def motion_lengths(samples: Samples, what: str) -> np.ndarray:
    """The checked column `length` of a table of motions, or where there is none the inferred one, int64 (n,).

    Args:
        what: what the table is, for messages.

    Raises:
        DataError: x is no table of sequences, lengths out of range, or rows that go on after their length.
    """
    if samples.x.dtype.kind not in "biuf":
        raise DataError(f"{what}: column 'x' is of type {samples.x.dtype}; expected numbers")
    inferred = inferred_lengths(samples.x)
    if "length" not in samples.data_columns:
        return inferred
    length, frames = samples["length"], samples.x.shape[1]
    if length.dtype.kind not in "iu" or length.ndim != 1:
        raise DataError(f"{what}: column 'length' needs one integer a row, got {length.dtype} of shape {length.shape}")
    wrong = (length < 1) | (length > frames)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(f"{what}: row {row} has length {length[row]}; expected 1 to {frames}, the frames of x")
    longer = inferred > length
    if longer.any():
        row = int(np.argmax(longer))
        raise DataError(
            f"{what}: row {row} has length {length[row]} but goes on to frame {inferred[row]}; "
            "set x to zero after the length"
        )
    return length.astype(np.int64)


def captions_of(samples: Samples, what: str) -> np.ndarray:
    """The checked column `caption`, str (n,).

    Raises:
        DataError: there is none, it is no text, or a caption is empty.
    """
    if "caption" not in samples.data_columns:
        raise DataError(f"{what}: no column 'caption'; there are: {', '.join(samples.data_columns)}")
    caption = samples["caption"]
    if caption.dtype.kind not in "UT" or caption.ndim != 1:
        raise DataError(f"{what}: column 'caption' needs one text a row, got {caption.dtype} of shape {caption.shape}")
    empty = np.char.str_len(np.char.strip(caption.astype(str))) == 0
    if empty.any():
        raise DataError(f"{what}: row {int(np.argmax(empty))} has an empty caption; caption it or leave it out")
    return caption.astype(str)
