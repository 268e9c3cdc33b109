"""A 64-bit fingerprint of every row, the same for equal rows in every shard and process."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ouroloop.errors import DataError
from ouroloop.samples import Samples

__all__ = ["fingerprints"]

_CHUNK = 1 << 18  # words mixed at a time, in the cache
_STEP = np.uint64(0x9E3779B97F4A7C15)


def fingerprints(rows: Samples, columns: Sequence[str], decimals: int | None = None) -> np.ndarray:
    """Sums of well-mixed words over the values of a row, uint64 (n,).

    Numbers are compared as numbers (0.0 and -0.0 are equal), texts by their characters, whatever their array's width.

    Args:
        rows: n rows.
        columns: which columns count, in this order.
        decimals: places that floating columns are rounded to first; None: not at all.

    Raises:
        DataError: a column that is neither numbers nor text.
    """
    found = np.zeros(len(rows), np.uint64)
    for index, name in enumerate(columns):
        column = rows[name]
        size = max(_CHUNK * 8 // max(column[:1].nbytes, 1), 1)
        salt = _mixed(np.asarray(index + 1, np.uint64) * _STEP)
        for start in range(0, len(rows), size):
            words = _words(column[start : start + size], name, decimals)
            value = np.arange(1, words.shape[1] + 1, dtype=np.uint64) << np.uint64(32)  # which of a row's
            letter = np.arange(words.shape[2], dtype=np.uint64)
            mixed = _mixed(words ^ _mixed(salt + (value[:, None] + letter) * _STEP))
            found[start : start + size] += np.where(words != 0, mixed, np.uint64(0)).sum(axis=(1, 2), dtype=np.uint64)
    return found


def _words(column: np.ndarray, name: str, decimals: int | None) -> np.ndarray:
    """The values as 64-bit words, (n, values, words a value); zeros and the padding of texts are words 0."""
    flat = column.reshape(len(column), int(np.prod(column.shape[1:], dtype=np.int64)))
    flat = flat.astype(flat.dtype.newbyteorder("="), copy=False)
    kind = flat.dtype.kind
    if kind in "biuf":
        numbers = flat.astype(np.float64)
        if kind == "f" and decimals is not None:
            with np.errstate(over="ignore"):
                rounded = np.round(numbers, decimals)
            numbers = np.where(np.isfinite(rounded), rounded, numbers)  # numbers that large have no decimals
        words = (numbers + 0.0).view(np.uint64)[..., None]
        if kind in "iu" and flat.itemsize == 8:  # what a float leaves of an integer
            words = np.concatenate([words, _left_over(flat, numbers)[..., None]], axis=-1)
        return words
    if kind in "US":
        unit = np.dtype(np.uint32 if kind == "U" else np.uint8)
        letters = flat.dtype.itemsize // unit.itemsize
        return np.ascontiguousarray(flat).view(unit).reshape(*flat.shape, letters).astype(np.uint64)
    raise DataError(f"corrector 'deduplicate' compares numbers and text, and column '{name}' is {column.dtype}")


def _left_over(integers: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """By how much integers differ from the floats next to them, as words; 0 up to 2^53."""
    near = np.clip(numbers, -(2.0**63), 2.0**64 - 2048.0 if integers.dtype.kind == "u" else 2.0**63 - 1024.0)
    with np.errstate(over="ignore"):
        return (integers - near.astype(integers.dtype)).view(np.uint64)


def _mixed(words: np.ndarray) -> np.ndarray:
    """Every bit of a word spread over all of it (the finaliser of SplitMix64: Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return words ^ (words >> np.uint64(31))
