r"""Which rows each generation trains on, and how a linear-Gaussian loop answers to the noise in each of them.

The fitted mean of a Gaussian loop is linear in its rows. With $R_t$ training rows in generation t, of which $c_{ti}$
are the first rows of those drawn in generation i, and rows drawn with conditional mean $a\,m_{i-1}$
($a = 1/(1+\gamma)$ for the ideal corrector, in units where the data have mean 0),

$$ R_t m_t = \sum_{\text{real}} x + \sum_{i \le t} \Big( c_{ti}\, a\, m_{i-1} + \sum_{r < c_{ti}} e_{ir} \Big), $$

so $m = G\,(\text{inputs})$ with the lower triangular $G = (\mathrm{diag}(R) - a\,C)^{-1}$. A row that stays in the
training set from generation i to L answers with $\sum_{s=i}^{\min(t, L)} G_{ts}$; its square is its weight in the
variance of $m_t$. The same weights hold for the raw second moments, which obey the same linear law. Derived here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import number, whole

__all__ = ["MAX_GENERATIONS", "REGIMES", "Plan", "Responses", "drawn", "plan", "responses"]

REGIMES = ("accumulate", "fixed_real", "fresh_real", "linear_accumulate", "real_only", "replace")
MAX_GENERATIONS = 1000  # the laws below hold about ten (T, T) arrays; 1,000 generations need 80 MB
_MOST = 10**15  # rows of a generation: sums over `MAX_GENERATIONS` of them are whole numbers in 64 bits
_ROUNDING = 1e-9  # 0.2 * 12000 is 2400.0000000000005 in floating point and makes 2400 rows, not 2401


def drawn(synthetic_ratio: float, n_real: int) -> int:
    """Synthetic rows that a generation draws: so many per real row, rounded up to whole rows.

    Raises:
        SpecError: no finite ratio >= 0, no whole number of real rows, or more than 10^15 rows.

    >>> drawn(0.2, 12000), drawn(0.21, 10), drawn(0.0, 10)
    (2400, 3, 0)
    """
    ratio, n = number("synthetic_ratio", synthetic_ratio), whole("n_real", n_real, 1)
    if n > _MOST:
        raise SpecError(f"n_real: must be at most 10^15, got {n}")
    if ratio * n > _MOST:
        raise SpecError(f"synthetic_ratio: {ratio:g} for each of {n} real rows makes more than 10^15 rows; use less")
    return max(0, math.ceil(ratio * n - _ROUNDING))


@dataclass(frozen=True, eq=False)
class Plan:
    """How many rows of which origin each generation trains on.

    Attributes:
        counts: int64 (T + 1, T + 1); entry (t, i): the first so many of generation i's rows. Row and column 0 are 0.
        real: int64 (T + 1,), rows of the one fixed real sample; all of it or none.
        fresh: int64 (T + 1,), real rows drawn anew in that generation.
    """

    counts: np.ndarray
    real: np.ndarray
    fresh: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """Training rows of each generation, int64 (T + 1,)."""
        return self.real + self.fresh + self.counts.sum(axis=1)

    @property
    def synthetic_ratio(self) -> np.ndarray:
        """Synthetic per real training row, float64 (T + 1,); infinity where no row is real."""
        real = self.real + self.fresh
        synthetic = self.counts.sum(axis=1)
        return np.divide(synthetic, real, out=np.full(len(real), np.inf), where=real > 0)


def plan(regime: str, generations: int, n_real: int, draws: int, window: int | None = None) -> Plan:
    """The rows that a regime trains on when nothing is dropped.

    Args:
        regime: one of `REGIMES`.
        generations: last generation T, at most `MAX_GENERATIONS`.
        n_real: real rows, at least 1.
        draws: synthetic rows a generation, at least 0.
        window: for the accumulating regimes: only the newest so many generations.

    Raises:
        SpecError: an unknown regime, a bad number, or a generation without any training row.

    >>> plan("linear_accumulate", 3, 50, 25).counts[3].tolist()
    [0, 8, 16, 25]
    """
    if regime not in REGIMES:
        raise SpecError(f"regime: no closed form for '{regime}'; there is one for: {', '.join(REGIMES)}")
    last = whole("generations", generations)
    if last > MAX_GENERATIONS:
        raise SpecError(f"generations: these laws are computed for at most {MAX_GENERATIONS}, got {last}")
    n, k = whole("n_real", n_real, 1), whole("draws", draws)
    if k == 0 and last and regime == "replace":
        raise SpecError("draws: regime 'replace' trains on synthetic rows alone and needs at least 1, got 0")
    t = np.arange(last + 1)[:, None]
    i = np.arange(last + 1)[None, :]
    present = (i >= 1) & (i <= t)
    counts = np.full((last + 1, last + 1), k)
    if regime == "linear_accumulate":
        counts = (i / np.maximum(t, 1) * k).astype(np.int64)  # int((i / t) * k), rounded exactly as the loop does
    elif regime == "real_only":
        counts = np.zeros_like(counts)
    elif regime != "accumulate":
        present &= i == t
    if window is not None:
        present &= i > t - whole("window", window, 1)
    started = t[:, 0] > 0
    fixed = np.where(started & (regime in ("replace", "fresh_real")), 0, n)
    return Plan(np.where(present, counts, 0), fixed, np.where(started & (regime == "fresh_real"), n, 0))


@dataclass(frozen=True, eq=False)
class Responses:
    """Weights of the noise sources in the fitted mean, for every generation.

    Attributes:
        real: float64 (T + 1,), the factor of the fixed real sample's mean.
        fresh: float64 (T + 1,), sum of squared weights of all fresh real rows.
        synthetic: float64 (T + 1, T + 1), entry (t, i): sum of squared weights of generation i's rows.
    """

    real: np.ndarray
    fresh: np.ndarray
    synthetic: np.ndarray


def responses(rows: Plan, share_of_model: float) -> Responses:
    """Solve the linear law for every noise source at once.

    Args:
        rows: the plan; each generation's count may only fall with time.
        share_of_model: a = 1 / (1 + correction_strength), in [0, 1].
    """
    from scipy.linalg import solve_triangular

    counts, size = rows.counts.astype(np.float64), len(rows.real)
    system = np.diag(rows.rows.astype(np.float64))
    system[:, :-1] -= share_of_model * counts[:, 1:]
    green = solve_triangular(system, np.eye(size), lower=True)
    return Responses(
        real=green @ rows.real,
        fresh=green**2 @ rows.fresh,
        synthetic=_squared_windows(green, counts),
    )


def _squared_windows(green: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sum over a generation's rows of (sum of `green` over the generations that train on the row) squared."""
    upto = np.cumsum(green, axis=1)  # (t, s): response at t to an input that lasts from 0 to s
    before = np.pad(upto[:, :-1], ((0, 0), (1, 0)))
    left = np.pad(counts[:-1] - counts[1:], ((0, 1), (0, 0))).T  # (i, L): rows of i that L is the last to train on
    left = np.triu(left)
    past = np.tril(upto, -1)  # the generations L < t
    gone = np.tril(np.ones_like(upto), -1) @ left.T
    leavers = past**2 @ left.T - 2 * before * (past @ left.T) + before**2 * gone
    stayers = counts * (np.diag(upto)[:, None] - before) ** 2
    return np.maximum(leavers, 0.0) + stayers
