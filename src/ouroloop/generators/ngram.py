r"""An interpolated n-gram model: the smallest language model, fitted by counting.

With c(h w) occurrences of token w after the context h of k - 1 tokens, c(h) of h before any token and T(h) different
tokens after it,

.. math:: p_k(w \mid h) = \delta_k(w, h) + \epsilon_k(h) \, p_{k-1}(w \mid h'), \qquad p_0 = 1/V

where h' is h without its first token and V the size of the vocabulary:

| smoothing   | direct part :math:`\delta_k`  | escape :math:`\epsilon_k`  |
|-------------|-------------------------------|----------------------------|
| witten_bell | c(h w) / (c(h) + T(h))        | T(h) / (c(h) + T(h))       |
| absolute    | max(c(h w) - D, 0) / c(h)     | D T(h) / c(h)              |

A context that never occurred escapes with certainty. Single tokens (k = 1) escape to the uniform distribution with
probability `uniform_share` instead. Rows are windows of a running text, so the first tokens of a row have a shorter
context, not a marked beginning.

Source: Witten & Bell, IEEE Trans. Inf. Theory 37 (1991) 1085 (method C); Ney, Essen & Kneser, Comput. Speech Lang. 8
(1994) 1 (absolute discounting, here with the counts themselves at the lower orders).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

from ouroloop.arrays import load_arrays, save_arrays
from ouroloop.errors import DataError, PartError
from ouroloop.generators.ngram_counts import Counts, Table, count, make_table
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Condition
from ouroloop.samples import Samples

__all__ = ["Ngram"]

_FILE = "model.safetensors"
_DENSE = 1 << 21  # probabilities held at a time where the temperature is not 1


class _Fitted(NamedTuple):
    counts: tuple[Counts, ...]  # of runs of 1, 2, ..., order tokens
    tables: tuple[Table, ...]
    vocabulary: int
    length: int
    dtype: np.dtype


@dataclass(frozen=True, kw_only=True)
class Ngram:
    """A language model of rows of token ids (n, window): counts of runs of up to `order` tokens, interpolated.

    Ids are whole numbers from 0 to `vocabulary` - 1. Without that option it is the greatest id of the training rows
    and one more, or that of the previous model (``start: previous``), so that tokens which a loop has lost keep a
    probability. Nothing else is taken over from the previous model.
    """

    order: Annotated[int, Field(ge=1, description="longest run of tokens counted; 1: single tokens")] = 5
    smoothing: Annotated[Literal["witten_bell", "absolute"], Field(description="how much goes to shorter contexts")] = (
        "witten_bell"
    )
    discount: Annotated[float, Field(gt=0, lt=1, description="D of absolute discounting")] = 0.75
    uniform_share: Annotated[
        float, Field(gt=0, lt=1, description="share of the single-token distribution that is uniform")
    ] = 1e-5
    temperature: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="tokens are drawn in proportion to p^(1/temperature)")
    ] = 1.0
    vocabulary: Annotated[int | None, Field(ge=2, description="number of tokens; None: from the rows")] = None
    fitted: _Fitted | None = field(init=False, default=None, repr=False, compare=False)

    def fit(self, training: Pool, *, key: Key, previous: Self | None = None) -> Self:
        """A fitted copy; the key is not used.

        Raises:
            DataError: no rows, rows that are not whole numbers of one length, negative or too large ids, or a
                vocabulary and order for which runs cannot be numbered.
        """
        length, dtype, highest = _check(training)
        known = 0 if previous is None or previous.fitted is None else previous.fitted.vocabulary
        vocabulary = self.vocabulary or max(known, highest + 1, 2)
        if highest >= vocabulary:
            raise DataError(f"ngram.vocabulary: is {vocabulary}, but the rows have the token id {highest}")
        order = min(self.order, length)
        if vocabulary**order >= 1 << 62:
            raise DataError(f"ngram.order: runs of {order} of {vocabulary} tokens are too many to number; lower it")
        counts = count((batch.x for batch in training.batches()), order, vocabulary)
        return self._with(counts, vocabulary, length, dtype)

    def sample(self, n: int, *, key: Key, condition: Condition | None = None) -> Samples:
        """n rows as long as the training rows, drawn token by token for all rows at once.

        Raises:
            PartError: not fitted yet. DataError: n < 0.
        """
        model = self._need()
        if n < 0:
            raise DataError(f"cannot draw {n} rows")
        rng, rows = key.rng(), np.zeros((n, model.length), np.int64)
        for place in range(model.length if n else 0):
            contexts = [c for _, c in zip(model.tables, _contexts(rows, place, model.vocabulary), strict=False)]
            u = rng.random(n)
            if self.temperature == 1.0:
                rows[:, place] = _draw(model, contexts, u)
            else:
                rows[:, place] = self._draw_tempered(model, contexts, u)
        return Samples.of(rows.astype(model.dtype))

    def log_likelihood(self, x: np.ndarray) -> np.ndarray:
        """Log probability of rows (n, length) in nats, float64 (n,), at temperature 1 whatever the option says.

        Raises:
            PartError: not fitted yet. DataError: ids outside the model's vocabulary.
        """
        model, x = self._need(), np.asarray(x)
        if x.ndim != 2 or x.dtype.kind not in "iu":
            raise DataError(f"ngram: expected rows of token ids (n, length), got {x.dtype} of shape {x.shape}")
        if x.size and not 0 <= int(x.min()) <= int(x.max()) < model.vocabulary:
            raise DataError(
                f"ngram: ids from {x.min()} to {x.max()}, but the model knows those below {model.vocabulary}; give "
                "generator.vocabulary, or set start: previous"
            )
        rows = x.astype(np.int64)
        probability = np.full(rows.shape, 1.0 / model.vocabulary)
        runs = np.zeros((len(rows), rows.shape[1] + 1), np.int64)
        for k, table in enumerate(model.tables[: rows.shape[1]]):
            runs = runs[:, :-1] * model.vocabulary + rows[:, k:]
            direct, escape = table.look_up(runs)
            probability[:, k:] = direct + escape * probability[:, k:]
        return np.log(probability).sum(axis=1)

    def save(self, directory: Path) -> None:
        """Write the counts to one safetensors file in `directory`."""
        model = self._need()
        arrays = {f"{k}.{name}": a for k, c in enumerate(model.counts, 1) for name, a in c._asdict().items()}
        meta = {"kind": "ngram", "order": len(model.counts), "vocabulary": model.vocabulary}
        save_arrays(Path(directory) / _FILE, arrays, {**meta, "length": model.length, "dtype": model.dtype.str})

    def load(self, directory: Path) -> Self:
        """A fitted copy with the counts in `directory`.

        Raises:
            StoreError: the file is missing or unreadable. DataError: it holds another kind of model.
        """
        path = Path(directory) / _FILE
        arrays, meta = load_arrays(path)
        if meta.get("kind") != "ngram":
            raise DataError(f"{path}: holds no n-gram model")
        counts = tuple(Counts(arrays[f"{k}.runs"], arrays[f"{k}.times"]) for k in range(1, meta["order"] + 1))
        return self._with(counts, meta["vocabulary"], meta["length"], np.dtype(meta["dtype"]))

    def _with(self, counts: tuple[Counts, ...], vocabulary: int, length: int, dtype: np.dtype) -> Self:
        tables = tuple(self._table(k, c, vocabulary) for k, c in enumerate(counts))
        copy = replace(self)
        object.__setattr__(copy, "fitted", _Fitted(counts, tables, vocabulary, length, dtype))
        return copy

    def _table(self, k: int, counts: Counts, vocabulary: int) -> Table:
        if k == 0:
            return make_table(counts, vocabulary, escape=self.uniform_share)
        return make_table(counts, vocabulary, discount=self.discount if self.smoothing == "absolute" else None)

    def _need(self) -> _Fitted:
        if self.fitted is None:
            raise PartError("Ngram is not fitted yet: use what fit(...) returns")
        return self.fitted

    def _draw_tempered(self, model: _Fitted, contexts: list[np.ndarray], u: np.ndarray) -> np.ndarray:
        """The next tokens at a temperature other than 1: whole distributions, once for every different context."""
        _, first, which = np.unique(contexts[-1], return_index=True, return_inverse=True)
        order, size = np.argsort(which, kind="stable"), max(1, _DENSE // model.vocabulary)
        bounds = np.searchsorted(which[order], np.arange(0, len(first) + size, size))
        drawn = np.empty(len(u), np.int64)
        for block, rows in enumerate(np.split(order, bounds[1:-1])):
            chosen = first[block * size : (block + 1) * size]
            p = _distributions(model, [c[chosen] for c in contexts])
            p = (p / p.max(axis=1, keepdims=True)) ** (1.0 / self.temperature)
            cumulative = p.cumsum(axis=1)
            cumulative /= cumulative[:, -1:]
            local = which[rows] - block * size
            flat = (cumulative + np.arange(len(p))[:, None]).ravel()
            place = np.searchsorted(flat, local + u[rows], side="right") - local * model.vocabulary
            drawn[rows] = np.clip(place, 0, model.vocabulary - 1)
        return drawn


def _check(training: Pool) -> tuple[int, np.dtype, int]:
    """Length of the rows, their dtype, and the greatest id."""
    if len(training) == 0:
        raise DataError("ngram: no rows to fit on")
    shapes = {part.x.shape[1:] for part in training.parts}
    dtype = np.result_type(*(part.x.dtype for part in training.parts))
    if dtype.kind not in "iu" or len(shapes) > 1 or len(shape := shapes.pop()) != 1 or not shape[0]:
        raise DataError(
            f"ngram: needs rows of token ids, whole numbers of shape (n, length), got {dtype} "
            f"{[part.x.shape for part in training.parts][:3]}; the data set 'text' makes such rows"
        )
    low, high = min(int(part.x.min()) for part in training.parts), max(int(part.x.max()) for part in training.parts)
    if low < 0:
        raise DataError(f"ngram: token ids must be 0 or more, got {low}")
    return shape[0], dtype, high


def _contexts(rows: np.ndarray, place: int, vocabulary: int) -> Iterator[np.ndarray]:
    """Numbers of the last 0, 1, 2, ... tokens before a place, each int64 (n,)."""
    context, digit = np.zeros(len(rows), np.int64), 1
    yield context
    for before in range(place - 1, -1, -1):
        context = context + rows[:, before] * digit
        digit *= vocabulary
        yield context


def _draw(model: _Fitted, contexts: list[np.ndarray], u: np.ndarray) -> np.ndarray:
    """The next token of every row from one uniform number each: the longest context first, then what escapes."""
    drawn, todo, u = np.empty(len(u), np.int64), np.arange(len(u)), u.copy()
    for table, context in zip(model.tables[len(contexts) - 1 :: -1], contexts[::-1], strict=True):
        place, seen = table.find(context[todo])
        escape = np.where(seen, table.escape[place], 1.0)
        stays = u[todo] >= escape
        rows = todo[stays]
        drawn[rows] = table.draw(place[stays], u[rows] - escape[stays])
        todo, escape = todo[~stays], escape[~stays]
        u[todo] /= escape
    drawn[todo] = np.minimum(u[todo] * model.vocabulary, model.vocabulary - 1).astype(np.int64)
    return drawn


def _distributions(model: _Fitted, contexts: list[np.ndarray]) -> np.ndarray:
    """Probabilities of all tokens after every context, float64 (m, vocabulary)."""
    p = np.full((len(contexts[0]), model.vocabulary), 1.0 / model.vocabulary)
    for table, context in zip(model.tables, contexts, strict=False):
        place, seen = table.find(context)
        p[seen] *= table.escape[place[seen], None]
        table.add_direct(p, np.flatnonzero(seen), place[seen])
    return p
