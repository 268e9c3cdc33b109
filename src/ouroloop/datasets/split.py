"""Splitting a table into training, held-out and reserve rows, and handing out reserve rows as fresh ones."""

from __future__ import annotations

import numpy as np

from ouroloop.errors import DataError
from ouroloop.keys import Key

__all__ = ["generation_of", "reserve_rows", "stratified_order"]


def stratified_order(label: np.ndarray, *, key: Key) -> np.ndarray:
    """A shuffled order of the rows whose every prefix has the class shares of the whole, to about a row a class.

    Rows are shuffled within their class; the i-th of a class of c rows is placed at (i + u) / c, with one u
    in [0, 1) a class, and all are sorted by place.

    Args:
        label: class of each row, shape (n,), any sortable type.
        key: the stream of the shuffle.

    Returns:
        Row positions, int64 (n,).

    >>> order = stratified_order(np.repeat([0, 1], [6, 2]), key=Key(0))
    >>> sorted(order.tolist()) == list(range(8)), int((order[:4] >= 6).sum())
    (True, 1)
    """
    rng = key.rng()
    shuffled = rng.permutation(len(label))
    classes, member = np.unique(label[shuffled], return_inverse=True)
    counts = np.bincount(member, minlength=len(classes))
    grouped = np.argsort(member, kind="stable")
    rank = np.empty(len(label), np.int64)
    rank[grouped] = np.arange(len(label)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = (rank + rng.random(len(classes))[member]) / counts[member]
    return shuffled[np.argsort(place, kind="stable")]


def generation_of(key: Key) -> tuple[int, tuple[str | int, ...]]:
    """The generation t >= 1 that a key's path names (1 where it names none), and the path without it.

    >>> generation_of(Key(0, ("generation", 7, "fresh")))
    (7, ('fresh',))
    """
    for place, (entry, after) in enumerate(zip(key.path, key.path[1:], strict=False)):
        if entry == "generation" and isinstance(after, int) and after >= 1:
            return after, (*key.path[:place], *key.path[place + 2 :])
    return 1, key.path


def reserve_rows(size: int, n: int, *, key: Key, name: str) -> np.ndarray:
    """Positions of n rows of a reserve, none twice, as a function of the key alone.

    Where the key's path holds ``"generation", t`` with t >= 1, the rows are block t of a shuffle that all
    generations share: as long as each asks for the same n, no row is handed out in two of them, and a
    resumed run needs no record of what was used. Other keys get n rows of a shuffle of their own.

    Args:
        size: rows in the reserve.
        n: rows asked for.
        key: the stream; keys that differ in more than the generation may share rows.
        name: the data set's name, for messages.

    Returns:
        Row positions, int64 (n,).

    Raises:
        DataError: the reserve is exhausted.
    """
    block, purpose = generation_of(key)
    if block * n > size:
        raise DataError(
            f"data set '{name}' keeps {size:,} real rows in reserve; generation {block} of {n:,} fresh rows each would "
            f"need {block * n:,}: run fewer generations, draw fewer rows, or train on a smaller part of the data"
        )
    return Key(key.seed, ("reserve", *purpose)).rng().permutation(size)[(block - 1) * n : block * n]
