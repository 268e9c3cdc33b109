"""A verifier's rates from checked rows of a loop, with what they are the mean of.

Rates over all rows of a run are means over its generations and seeds. A loop that drifts has others at its end than at
its start, so that they come with a test of whether generations differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ouroloop.theory.estimate import Rate, VerifierRates, rate, verifier_rates

__all__ = ["CheckedRates", "Drift", "checked_rates"]

_TABLES = 1999  # drawn for a test
_CHANCE = 0.05  # of warning of a drift where there is none, over all rates


@dataclass(frozen=True)
class Drift:
    """A rate that differs between generations beyond chance.

    Attributes:
        name: of the rate.
        first, last: it in the first and the last generation that has rows for it.
        generations: these two.
        p: of a permutation test with Pearson's chi-square.
    """

    name: str
    first: Rate
    last: Rate
    generations: tuple[int, int]
    p: float

    def __str__(self) -> str:
        ends = (
            f"{end.value:.3f} ({end.low:.3f} to {end.high:.3f}) in generation {t}"
            for end, t in zip((self.first, self.last), self.generations, strict=True)
        )
        return f"{self.name} differs between generations (p = {self.p:.2g}): {', '.join(ends)}"


@dataclass(frozen=True, kw_only=True)
class CheckedRates:
    """A verifier's rates, over all generations and seeds that the checked rows are of.

    Attributes:
        rates: over all checked rows.
        of: rows of the table, of which these were checked.
        generations: first and last; None where the rows do not say.
        seeds: how many.
        drifts: rates that differ between generations, so that the mean describes none of them.
    """

    rates: VerifierRates
    of: int
    generations: tuple[int, int] | None = None
    seeds: int = 1
    drifts: tuple[Drift, ...] = ()

    @property
    def scope(self) -> str:
        """How many rows were checked, and of what the rates are the mean."""
        said = f"{self.rates.rows} of {self.of} rows checked"
        if self.generations is not None:
            first, last = self.generations
            said += f", generation {first}" if first == last else f", mean over generations {first} to {last}"
        return said + (f" and {self.seeds} seeds" if self.seeds > 1 else "")


def checked_rates(
    right: np.ndarray,
    kept: np.ndarray,
    generation: np.ndarray | None = None,
    seed: np.ndarray | None = None,
    *,
    of: int | None = None,
    confidence: float = 0.95,
) -> CheckedRates:
    """Rates over all rows, and which of them differ between generations.

    Args:
        right, kept: 0 or 1 for each checked row, (n,).
        generation, seed: of each, whole numbers (n,); None where it is not known.
        of: rows of the table; default: all were checked.
        confidence: of every interval.

    Raises:
        DataError: see `verifier_rates`.
    """
    rates = verifier_rates(right, kept, confidence)
    seeds = 1 if seed is None else len(np.unique(seed))
    total = rates.rows if of is None else of
    if generation is None:
        return CheckedRates(rates=rates, of=total, seeds=seeds)
    drifts = tuple(_drifts(right.astype(bool), kept.astype(bool), generation, confidence))
    ends = int(generation.min()), int(generation.max())
    return CheckedRates(rates=rates, of=total, generations=ends, seeds=seeds, drifts=drifts)


def _drifts(right: np.ndarray, kept: np.ndarray, t: np.ndarray, confidence: float) -> Iterator[Drift]:
    """Of the three rates that do not follow from each other, those of which generations differ."""
    every = np.ones(len(t), bool)
    for name, among, hits in (
        ("label_noise", every, ~right),
        ("keep_correct", right, kept),
        ("keep_wrong", ~right, kept),
    ):
        at, place = np.unique(t[among], return_inverse=True)
        rows, found = np.bincount(place), np.bincount(place, hits[among]).astype(int)
        p = _p_of_equal(rows, found)
        if p < _CHANCE / 3.0:
            first, last = (rate(int(found[i]), int(rows[i]), confidence) for i in (0, -1))
            yield Drift(name, first, last, (int(at[0]), int(at[-1])), p)


def _p_of_equal(rows: np.ndarray, hits: np.ndarray) -> float:
    """Chance of shares as different as hits / rows where they are equal: permutation test, valid for any counts."""
    share = hits.sum() / rows.sum()
    if len(rows) < 2 or share in (0.0, 1.0):
        return 1.0

    def distance(found: np.ndarray) -> np.ndarray:
        return ((found - rows * share) ** 2 / rows).sum(axis=-1)

    drawn = np.random.default_rng(0).multivariate_hypergeometric(
        rows, int(hits.sum()), size=_TABLES, method="marginals"
    )
    return (1.0 + int((distance(drawn) >= distance(hits) * (1.0 - 1e-12)).sum())) / (_TABLES + 1.0)
