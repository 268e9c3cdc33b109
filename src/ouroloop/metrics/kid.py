r"""Kernel distance between features (KID): unbiased squared MMD with the kernel $(a \cdot b / d + 1)^3$.

Unlike the Fréchet distance it has no bias at small n: on equal laws its mean is 0 at every n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval, resample_counts
from ouroloop.metrics.pairs import PairStatistic
from ouroloop.metrics.spaces import Rows

__all__ = ["Kid", "kernel_distance"]


def kernel_distance(*, real: np.ndarray, generated: np.ndarray) -> float:
    """Unbiased KID between feature rows (m, d) and (n, d), all of them at once; negative half of the time for
    equal laws.

    Source: Binkowski et al., arXiv 1801.01401, Eq. 4 and section 4.
    """
    statistic = PairStatistic(_cubic, real, np.ones((1, len(real))))
    return float(statistic(generated, np.ones((1, len(generated))))[0])


def _cubic(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    base = a @ b.T
    base /= a.shape[1]
    base += 1.0
    return base * base * base


class _State(NamedTuple):
    real_rows: int
    statistics: tuple[PairStatistic, ...]  # one for each subset of the real rows


@dataclass(frozen=True, kw_only=True)
class Kid(RowMetric):
    """Unbiased KID on features ('kid'): on all rows while they are few, else averaged over subsets."""

    subset_size: Annotated[int, Field(ge=2, description="most rows of each side in a subset")] = 1000
    subsets: Annotated[int, Field(ge=1, description="number of subsets averaged over where there are more rows")] = 10

    def _prepare(self, real: Real, key: Key) -> _State:
        m = len(real.rows)
        counts = np.concatenate([np.ones((1, m)), resample_counts(key.child("bootstrap"), m, self.resamples)])
        if m <= self.subset_size:
            return _State(m, (PairStatistic(_cubic, real.rows.x, counts),) * self.subsets)
        chosen = [_subset(m, self.subset_size, key.child("subset", i)) for i in range(self.subsets)]
        return _State(m, tuple(PairStatistic(_cubic, real.rows.x[rows], counts[:, rows]) for rows in chosen))

    def _estimate(self, state: _State, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        n = len(rows)
        counts = np.concatenate([np.ones((1, n)), resample_counts(key, n, self.resamples)])
        used = state.statistics if max(n, state.real_rows) > self.subset_size else state.statistics[:1]
        stream = Key(0, ("subsets",)) if key is None else key.child("subsets")
        total = np.zeros(len(counts))
        for i, statistic in enumerate(used):
            chosen = _subset(n, self.subset_size, stream.child(i))
            total += statistic(rows.x[chosen], counts[:, chosen])
        return {"kid": interval(total[0] / len(used), total[1:] / len(used))}


def _subset(n: int, size: int, key: Key) -> np.ndarray:
    """Positions of at most `size` of n rows, all of them in order where there are no more."""
    return np.arange(n) if n <= size else np.sort(key.rng().choice(n, size, replace=False))
