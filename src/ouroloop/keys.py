"""Named random streams: every draw is a function of (seed, path), never of what was drawn before.

A `Key` is a seed and a path of names, for example ``(seed=3, ("generation", 7, "sample"))``. Its
stream is seeded with the SHA-256 of that pair, so streams of different names are independent, a new
part with a new name changes no other part's draws, and a resumed run needs no saved position.
The idea is JAX's splittable keys; the hash keeps it independent of the order of splitting.
"""

from __future__ import annotations

import contextlib
import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

__all__ = ["Key"]


class _Words(np.random.bit_generator.ISeedSequence):
    """Philox's 128-bit key, handed over as a seed: four times as fast as ``Philox(key=...)``, which asks the
    operating system for entropy first and then does not use it. The streams are the same."""

    def __init__(self, key: int) -> None:
        self._words = np.array([key & (2**64 - 1), key >> 64], np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """The key's two words, all that Philox asks for."""
        return self._words


@dataclass(frozen=True)
class Key:
    """A name for a stream of random numbers.

    Args:
        seed: the run's seed, any integer.
        path: names (str) and counters (int) that say what the stream is for.

    >>> Key(0).child("sample", 1).rng().random() == Key(0).child("sample", 1).rng().random()
    True
    >>> Key(0).child("sample", 1).integer() == Key(0).child("sample", 2).integer()
    False
    """

    seed: int
    path: tuple[str | int, ...] = ()

    def child(self, *names: str | int) -> Key:
        """The key of a stream one or more names below this one."""
        return Key(self.seed, (*self.path, *names))

    def digest(self) -> bytes:
        """32 bytes that stand for (seed, path). The encoding keeps 1 and "1" apart."""
        return hashlib.sha256(repr((int(self.seed), self.path)).encode()).digest()

    def integer(self, bits: int = 31) -> int:
        """A non-negative integer below 2**bits, for libraries that take a seed (scikit-learn: 31)."""
        return int.from_bytes(self.digest()[:16], "big") >> (128 - bits)

    def rng(self) -> np.random.Generator:
        """The NumPy generator at the start of this stream (Philox, counter based)."""
        words: Any = _Words(self.integer(128))  # the stubs know SeedSequence alone
        return np.random.Generator(np.random.Philox(words))

    def torch(self, device: str | torch.device = "cpu") -> torch.Generator:
        """The torch generator at the start of this stream."""
        import torch

        return torch.Generator(device=device).manual_seed(self.integer(63))

    @contextlib.contextmanager
    def seeded(self) -> Iterator[None]:
        """Seed the global generators of `random`, NumPy and torch for foreign code; restore them after."""
        import sys

        torch = sys.modules.get("torch")
        python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002
        torch_state = torch.get_rng_state() if torch is not None else None
        try:
            random.seed(self.integer(64))
            np.random.seed(self.integer(32))  # noqa: NPY002  foreign code may use the global stream
            if torch is not None:
                torch.manual_seed(self.integer(63))
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002
            if torch is not None and torch_state is not None:
                torch.set_rng_state(torch_state)
