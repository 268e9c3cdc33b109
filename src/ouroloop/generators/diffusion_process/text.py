"""Captions as numbers for a network: hashed words whose vectors are learnt with it, or a sentence encoder's vectors."""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ouroloop.errors import PartError

__all__ = ["HashedWords", "NoText", "SentenceVectors", "TextEncoder", "text_encoder"]

_WORD = re.compile(r"\w+")


class TextEncoder(Protocol):
    """Captions to numbers, and the module that makes one vector a caption out of them.

    Attributes:
        size: numbers a caption.
    """

    size: int

    def encode(self, captions: Sequence[str]) -> np.ndarray:
        """Numbers of shape (n, size), int64 or float32."""
        ...

    def module(self, width: int) -> nn.Module:
        """From such numbers (B, size) to vectors (B, width)."""
        ...


class HashedWords:
    """Words and pairs of neighbouring words, each hashed to one of `buckets` learnt vectors; their mean is the caption.

    There is no vocabulary to keep: a word that training never saw gets a vector too, an untrained one, and the words
    around it still count. Pairs tell "left to right" from "right to left".

    Args:
        buckets: learnt vectors.
        size: words and pairs a caption at most; further ones are left out.

    Source: Joulin et al., "Bag of Tricks for Efficient Text Classification", arXiv 1607.01759, sec. 2.2 (hashed
    n-grams).
    """

    def __init__(self, buckets: int = 2048, size: int = 64) -> None:
        self.buckets, self.size = buckets, size

    def encode(self, captions: Sequence[str]) -> np.ndarray:
        """Numbers of vectors, from 1 on, then zeros; int64 (n, size).

        >>> a, b = HashedWords().encode(["A person walks.", "a person WALKS"])
        >>> (a == b).all(), (a > 0).sum()
        (np.True_, np.int64(5))
        """
        numbers = np.zeros((len(captions), self.size), np.int64)
        for row, caption in enumerate(captions):
            words = _WORD.findall(str(caption).lower())
            pieces = [*words, *(f"{a} {b}" for a, b in itertools.pairwise(words))][: self.size]
            numbers[row, : len(pieces)] = [1 + zlib.crc32(piece.encode()) % self.buckets for piece in pieces]
        return numbers

    def module(self, width: int) -> nn.Module:
        """The mean of the vectors, through a layer."""
        return nn.Sequential(
            nn.EmbeddingBag(self.buckets + 1, width, mode="mean", padding_idx=0), nn.Linear(width, width)
        )


class SentenceVectors:
    """The vectors of a sentence-transformers model, which stays as it is; a layer on top is learnt.

    Args:
        name: a folder with such a model, or a name that the library can find.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.size = int(_sentence_model(name).get_sentence_embedding_dimension())

    def encode(self, captions: Sequence[str]) -> np.ndarray:
        """Vectors, float32 (n, size); equal captions are encoded once."""
        distinct, place = np.unique(np.asarray(captions, dtype=str), return_inverse=True)
        if not len(distinct):
            return np.zeros((0, self.size), np.float32)
        with torch.random.fork_rng(devices=[]):
            vectors = _sentence_model(self.name).encode(distinct.tolist(), show_progress_bar=False)
        return np.asarray(vectors, np.float32)[place]

    def module(self, width: int) -> nn.Module:
        """A layer."""
        return nn.Linear(self.size, width)


def text_encoder(name: str | None) -> TextEncoder:
    """Hashed words where `name` is None, else the sentence-transformers model of that name."""
    return HashedWords() if name is None else SentenceVectors(name)


@cache
def _sentence_model(name: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise PartError(
            f"text_encoder '{name}' needs the package sentence-transformers: pip install sentence-transformers, or "
            "leave text_encoder out"
        ) from error
    try:
        return SentenceTransformer(name, device="cpu").eval()
    except Exception as error:  # the library raises what its download layers happen to raise
        raise PartError(
            f"text_encoder '{name}': sentence-transformers cannot load it ({error}); give a folder with the model, or "
            "leave text_encoder out, and words are learnt with the network"
        ) from error


class NoText(nn.Module):
    """A learnt vector in place of a caption's, for rows whose caption is dropped.

    Args:
        inner: from numbers (B, size) to vectors (B, width).
        width: length of a vector.
    """

    def __init__(self, inner: nn.Module, width: int) -> None:
        super().__init__()
        self.inner = inner
        self.none = nn.Parameter(torch.zeros(width))

    def forward(self, text: Tensor, given: Tensor) -> Tensor:
        """The vectors, shape (B, width).

        Args:
            text: an encoder's numbers, shape (B, size).
            given: 1 where the caption counts, 0 where it is dropped, float32 (B,).
        """
        return torch.lerp(self.none, self.inner(text), given.unsqueeze(1))
