r"""Which data generation t trains on: the regimes of the model-collapse literature, by their usual names.

With n real rows, D_t the (corrected) synthetic rows that entered in generation t, and |D_t| = synthetic_ratio * n:

| regime                 | training set of generation t                                     | source              |
|------------------------|------------------------------------------------------------------|---------------------|
| `Replace`              | D_t                                                              | arXiv 2305.17493    |
| `Accumulate`           | real + D_1 + ... + D_t                                           | arXiv 2404.01413    |
| `AccumulateSubsample`  | as many rows as there are real ones, drawn from that pool        | arXiv 2410.16713    |
| `FixedReal`            | real + D_t                                                       | arXiv 2310.00429    |
| `FreshReal`            | n fresh real rows + D_t                                          | arXiv 2307.01850    |
| `LinearAccumulate`     | real + the first floor(i k / t) rows of every D_i, i = 1..t      | SCSC's Gaussian toy |
| `RealOnly`             | real (the control)                                               |                     |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.pool import Pool

__all__ = [
    "Accumulate",
    "AccumulateSubsample",
    "FixedReal",
    "FreshReal",
    "LinearAccumulate",
    "RealOnly",
    "Replace",
]

Ratio = Annotated[float, Field(ge=0, allow_inf_nan=False, description="synthetic rows drawn per real row, each time")]
Window = Annotated[int | None, Field(ge=1, description="use only the newest generations; None: all of them")]
_ROUNDING = 1e-9  # 0.2 * 12000 is 2400.0000000000005 in floating point and must give 2400 rows, not 2401


@dataclass(frozen=True, kw_only=True)
class Replace:
    """Train on this generation's synthetic rows alone."""

    synthetic_ratio: Ratio = 1.0
    fresh_real = False
    keeps_history = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.synthetic_ratio) and self.synthetic_ratio >= 0):
            raise SpecError(f"synthetic_ratio: must be a finite number >= 0, got {self.synthetic_ratio}")

    def draws(self, n_real: int, generation: int) -> int:
        """ceil(synthetic_ratio * n_real), as in SCSC's MNIST protocol."""
        return int(np.ceil(self.synthetic_ratio * n_real - _ROUNDING)) if self.synthetic_ratio else 0

    def select(self, real: Pool, history: Sequence[Pool], generation: int, *, key: Key) -> Pool:
        """The rows to train generation t on; see the table at the top of this module."""
        return Pool.of(history[-1])


@dataclass(frozen=True, kw_only=True)
class FixedReal(Replace):
    """Train on the same real rows in every generation and on this generation's synthetic rows."""

    def select(self, real: Pool, history: Sequence[Pool], generation: int, *, key: Key) -> Pool:
        """Real rows, then this generation's synthetic rows."""
        return Pool.of(real, history[-1])


@dataclass(frozen=True, kw_only=True)
class FreshReal(FixedReal):
    """Train on fresh real rows, as many as before, and on this generation's synthetic rows."""

    fresh_real = True


@dataclass(frozen=True, kw_only=True)
class RealOnly(Replace):
    """Train on the real rows alone: the control that every experiment needs. Draws nothing."""

    synthetic_ratio: Ratio = 0.0

    def __post_init__(self) -> None:
        if self.synthetic_ratio != 0:
            raise SpecError(f"synthetic_ratio: must be 0 in regime 'real_only', got {self.synthetic_ratio}")

    def select(self, real: Pool, history: Sequence[Pool], generation: int, *, key: Key) -> Pool:
        """The real rows."""
        return Pool.of(real)


@dataclass(frozen=True, kw_only=True)
class Accumulate(Replace):
    """Train on the real rows and on everything synthetic so far."""

    window: Window = None
    keeps_history = True

    def select(self, real: Pool, history: Sequence[Pool], generation: int, *, key: Key) -> Pool:
        """Real rows, then the synthetic rows of all (or the newest `window`) generations."""
        return Pool.of(real, *_newest(history, self.window))


@dataclass(frozen=True, kw_only=True)
class AccumulateSubsample(Accumulate):
    """Train on a fixed number of rows drawn without replacement from everything so far."""

    size: Annotated[int | None, Field(ge=1, description="rows to train on; None: as many as there are real ones")] = (
        None
    )

    def select(self, real: Pool, history: Sequence[Pool], generation: int, *, key: Key) -> Pool:
        """A uniform subset of the accumulated pool, in the pool's order."""
        pool = super().select(real, history, generation, key=key)
        size = min(self.size or len(real), len(pool))
        rows = key.rng().choice(len(pool), size=size, replace=False, shuffle=False)
        return Pool.of(pool.take(np.sort(rows)))


@dataclass(frozen=True, kw_only=True)
class LinearAccumulate(Accumulate):
    """Accumulate with weights that favour recent generations linearly.

    Source: SCSC's published Gaussian experiment: generation t takes the first int((i / t) * |D_i|) rows of
    generation i's. The effective synthetic_ratio grows without bound (120 after 500 generations of 25 on 50).
    """

    def select(self, real: Pool, history: Sequence[Pool], generation: int, *, key: Key) -> Pool:
        """Real rows, then a growing share of every past generation's rows."""
        first = 0 if self.window is None else max(len(history) - self.window, 0)
        parts = [
            rows.slice(0, int((index + 1) / len(history) * len(rows)))
            for index, rows in enumerate(history)
            if index >= first
        ]
        return Pool.of(real, *parts)


def _newest(history: Sequence[Pool], window: int | None) -> Sequence[Pool]:
    return history if window is None else history[-window:]
