"""Counts of runs of tokens, sorted so that all rows are looked up or drawn at once.

A run of k tokens over V ids is numbered as the digits of a whole number in base V, the oldest token first. Sorted runs
with the same context (all tokens but the last) are therefore neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

__all__ = ["Counts", "Table", "count", "make_table"]


class Counts(NamedTuple):
    """How often runs of one length occurred: numbers of the runs, sorted, and `times`, both int64 (g,)."""

    runs: np.ndarray
    times: np.ndarray


class Table(NamedTuple):
    """The direct probabilities and escapes of one order.

    Attributes:
        runs: sorted numbers of the runs, int64 (g,).
        direct: direct probability of a run's last token after the others, float64 (g,).
        until: running sums of `direct`, float64 (g + 1,).
        contexts: sorted numbers of the contexts, int64 (c,).
        start: where a context's runs begin, int64 (c + 1,).
        escape: probability of a context to leave the choice to a shorter one, float64 (c,).
        vocabulary: V.
    """

    runs: np.ndarray
    direct: np.ndarray
    until: np.ndarray
    contexts: np.ndarray
    start: np.ndarray
    escape: np.ndarray
    vocabulary: int

    def find(self, contexts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Places of contexts (0 where they never occurred) and whether they occurred, same shape."""
        return _find(self.contexts, contexts)

    def look_up(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Direct probability and escape for runs of any shape; 0 and 1 where the context never occurred."""
        place, seen = self.find(runs // self.vocabulary)
        at, there = _find(self.runs, runs)
        return np.where(there, self.direct[at], 0.0), np.where(seen, self.escape[place], 1.0)

    def draw(self, place: np.ndarray, part: np.ndarray) -> np.ndarray:
        """Tokens after the contexts at these places, for numbers uniform in 0 .. 1 - escape."""
        first, after = self.start[place], self.start[place + 1]
        at = np.searchsorted(self.until, self.until[first] + part, side="right") - 1
        return self.runs[np.clip(at, first, after - 1)] % self.vocabulary

    def add_direct(self, p: np.ndarray, rows: np.ndarray, place: np.ndarray) -> None:
        """Add the direct probabilities after the contexts at these places to these rows of p (m, V)."""
        first, sizes = self.start[place], self.start[place + 1] - self.start[place]
        offset = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        at = np.repeat(first, sizes) + offset
        p[np.repeat(rows, sizes), self.runs[at] % self.vocabulary] += self.direct[at]


def count(blocks: Iterable[np.ndarray], order: int, vocabulary: int) -> tuple[Counts, ...]:
    """Counts of the runs of 1 .. order tokens in rows of ids (m, length); one block is held at a time."""
    found: list[list[Counts]] = [[] for _ in range(order)]
    for block in blocks:
        rows = np.asarray(block, np.int64)
        runs = np.zeros((len(rows), rows.shape[1] + 1), np.int64)
        for k in range(order):
            runs = runs[:, :-1] * vocabulary + rows[:, k:]
            found[k] = [_merged([*found[k], Counts(*np.unique(runs, return_counts=True))])]
    return tuple(counts[0] for counts in found)


def make_table(counts: Counts, vocabulary: int, *, discount: float | None = None, escape: float | None = None) -> Table:
    """The table of one order.

    Args:
        counts: of its runs.
        vocabulary: V.
        discount: D of absolute discounting; None: Witten-Bell.
        escape: the same fixed escape for every context, instead of either.
    """
    contexts, start, types = np.unique(counts.runs // vocabulary, return_index=True, return_counts=True)
    total = np.add.reduceat(counts.times, start).astype(np.float64)
    times = counts.times.astype(np.float64)
    if escape is not None:
        escapes = np.full(len(contexts), escape)
        direct = times * np.repeat((1.0 - escape) / total, types)
    elif discount is not None:
        escapes = discount * types / total
        direct = (times - discount) / np.repeat(total, types)
    else:
        escapes = types / (total + types)
        direct = times / np.repeat(total + types, types)
    until = np.concatenate([[0.0], np.cumsum(direct)])
    return Table(counts.runs, direct, until, contexts, np.append(start, len(times)), escapes, vocabulary)


def _merged(parts: list[Counts]) -> Counts:
    if len(parts) == 1:
        return parts[0]
    runs, which = np.unique(np.concatenate([part.runs for part in parts]), return_inverse=True)
    times = np.bincount(which, np.concatenate([part.times for part in parts]), len(runs))
    return Counts(runs, times.astype(np.int64))


def _find(known: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    place = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    seen = known[place] == wanted
    return np.where(seen, place, 0), seen
