"""How varied generated text is: tokens in use, their entropy, and how many runs of tokens are different ones.

Source: Li et al., arXiv 1510.03055 (distinct-n).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, NamedTuple, Self

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.metrics.base import choose_rows
from ouroloop.protocols import Generator, Measurement, Reference
from ouroloop.samples import Samples

__all__ = ["TokenVariety", "distinct_share", "token_entropy"]


_NUMBERS = 1 << 62


class _Known(NamedTuple):
    real: np.ndarray
    key: Key
    floors: dict[int, dict[str, float]]  # by the number of rows, computed when it is first asked for


@dataclass(frozen=True, kw_only=True)
class TokenVariety:
    """'vocabulary_used', 'token_entropy' (nats), and 'distinct_k', the share of runs of k tokens that are different.

    All depend on the number of rows and are to be compared with the floor: as many real training rows (or all, where
    there are fewer), mean over `floor_repeats` draws.
    """

    runs: Annotated[tuple[int, ...], Field(description="lengths k of the runs for 'distinct_k'")] = (2, 4)
    floor_repeats: Annotated[int, Field(ge=1, description="draws of real rows that the floor averages")] = 3
    _known: _Known | None = field(init=False, default=None, repr=False, compare=False)

    def fit(self, reference: Reference, *, key: Key) -> Self:
        """Keep the real rows for the floor.

        Raises:
            DataError: rows that are no token ids, or shorter than the longest run.
        """
        rows = _ids(reference.real, "real rows")
        if self.runs and not 1 <= min(self.runs) <= max(self.runs) <= rows.shape[1]:
            raise DataError(f"token_variety.runs: {self.runs} for rows of {rows.shape[1]} tokens; runs fit into a row")
        fitted = replace(self)
        object.__setattr__(fitted, "_known", _Known(rows, key.child("floor"), {}))
        return fitted

    def measure(self, generated: Samples, *, generator: Generator, key: Key) -> Sequence[Measurement]:
        """One measurement for each number.

        Raises:
            PartError: not fitted. DataError: no rows, or rows of another length than the real ones.
        """
        if self._known is None:
            raise PartError("metric 'token_variety': call fit before measure")
        real = self._known.real
        rows = _ids(generated, "generated rows")
        if rows.shape[1] != real.shape[1]:
            raise DataError(f"token_variety: real rows have {real.shape[1]} tokens, generated ones {rows.shape[1]}")
        floors = self._floors(self._known, min(len(rows), len(real)))
        return [Measurement(name, v, floor=floors[name], n=len(rows)) for name, v in self._values(rows).items()]

    def _floors(self, known: _Known, n: int) -> dict[str, float]:
        """The same numbers of n real rows."""
        if n not in known.floors:
            total, stream = len(known.real), known.key.child(n)
            repeats = self.floor_repeats if n < total else 1
            chosen = [choose_rows(total, n, stream.child(i).rng()) for i in range(repeats)]
            values = [self._values(known.real[rows]) for rows in chosen]
            known.floors[n] = {name: float(np.mean([v[name] for v in values])) for name in values[0]}
        return known.floors[n]

    def _values(self, rows: np.ndarray) -> dict[str, float]:
        found = {"vocabulary_used": float(len(np.unique(rows))), "token_entropy": token_entropy(rows)}
        return found | {f"distinct_{k}": distinct_share(rows, k) for k in self.runs}


def token_entropy(rows: np.ndarray) -> float:
    """Entropy of the tokens' frequencies in nats; rows of ids (n, window).

    >>> round(token_entropy(np.array([[0, 1], [0, 1]])), 4)
    0.6931
    """
    _, times = np.unique(rows, return_counts=True)
    share = times / times.sum()
    return float(-(share * np.log(share)).sum())


def distinct_share(rows: np.ndarray, run: int) -> float:
    """Different runs of so many tokens over all of them; rows of ids (n, window >= run).

    >>> distinct_share(np.array([[0, 1, 0, 1]]), 2)
    0.6666666666666666
    """
    _, tokens = np.unique(rows, return_inverse=True)
    tokens = tokens.reshape(rows.shape)
    base, code = int(tokens.max()) + 1, np.zeros((len(rows), rows.shape[1] + 1), np.int64)
    numbers = 1
    for k in range(run):
        if numbers >= _NUMBERS // base:  # renumber, so that no number of tokens or length of run overflows
            _, flat = np.unique(code, return_inverse=True)
            code, numbers = flat.reshape(code.shape), int(flat.max()) + 1
        code = code[:, :-1] * base + tokens[:, k:]
        numbers *= base
    return len(np.unique(code)) / code.size


def _ids(table: Samples, what: str) -> np.ndarray:
    x = table.x
    if x.dtype.kind not in "iu" or x.ndim != 2 or not x.size:
        raise DataError(
            f"token_variety: {what} must be token ids, whole numbers of shape (n, window) with n >= 1, got {x.dtype} "
            f"of shape {x.shape}"
        )
    return x
