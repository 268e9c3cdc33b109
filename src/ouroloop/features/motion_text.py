"""Captions as numbers: words that the real captions use, and hashed pieces for words that they do not.

A caption becomes a bag of rows of one table: its known words, its pairs of neighbouring words, and the letter
triples of every word. A word that was never seen ("tiptoes") still shares triples with words that were.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

__all__ = ["Vocabulary", "meaning", "meanings", "tokens"]

_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_SUBJECTS = frozenset(
    _WORD.findall("a an the is are he she they person someone somebody human figure individual subject character")
)


def tokens(caption: str) -> list[str]:
    """The words of a caption in small letters, without punctuation.

    >>> tokens("A person walks, then turns.")
    ['a', 'person', 'walks', 'then', 'turns']
    """
    return _WORD.findall(caption.lower())


def meaning(caption: str) -> str:
    """The caption without its subject and articles: captions that differ in nothing else say the same.

    >>> meaning("Someone walks like an elderly person"), meaning("a person walks like an elderly person")
    ('walks like elderly', 'walks like elderly')
    """
    words = tokens(caption)
    return " ".join(word for word in words if word not in _SUBJECTS) or " ".join(words)


def meanings(captions: np.ndarray) -> np.ndarray:
    """The same number for captions that say the same (see `meaning`), int64 (n,)."""
    different, rows = np.unique(np.asarray(captions, str), return_inverse=True)
    _, numbers = np.unique([meaning(caption) for caption in different.tolist()], return_inverse=True)
    return numbers[rows].astype(np.int64) if len(rows) else np.empty(0, np.int64)


@dataclass(frozen=True)
class Vocabulary:
    """Which row of a table of `size` rows every piece of a caption's meaning is.

    Args:
        words: known words, sorted; word i is row i.
        buckets: further rows, which hashed pieces share.
    """

    words: tuple[str, ...]
    buckets: int

    @classmethod
    def of(cls, captions: Iterable[str], buckets: int) -> Vocabulary:
        """The vocabulary of these captions."""
        return cls(tuple(sorted({word for caption in captions for word in meaning(caption).split()})), buckets)

    @property
    def size(self) -> int:
        """Number of rows of the table."""
        return len(self.words) + self.buckets

    def encode(self, captions: Iterable[str]) -> tuple[np.ndarray, np.ndarray]:
        """Rows of all captions behind one another, int64 (m,), and where each begins, int64 (n,).

        >>> Vocabulary.of(["walk"], 8).encode(["walk"])[1].tolist()
        [0]
        """
        index = {word: row for row, word in enumerate(self.words)}
        rows: list[int] = []
        starts: list[int] = []
        for caption in captions:
            starts.append(len(rows))
            words = meaning(caption).split()
            rows.extend(index[word] for word in words if word in index)
            rows.extend(self._bucket(piece) for piece in _pieces(words))
        return np.array(rows, np.int64), np.array(starts, np.int64)

    def _bucket(self, piece: str) -> int:
        return len(self.words) + zlib.crc32(piece.encode()) % self.buckets


def _pieces(words: list[str]) -> Iterator[str]:
    """Pairs of neighbours and letter triples; a caption without words has one empty piece."""
    yield from (f"{a} {b}" for a, b in itertools.pairwise(words)) if words else [""]
    for word in words:
        marked = f"<{word}>"
        yield from (marked[i : i + 3] for i in range(len(marked) - 2))
