r"""How good a verifier must be: the accuracy of a classifier on real and verified rows, inverted for `keep_wrong`.

Most often a verifier that keeps fewer wrong labels is better, and one bound is the answer. It is not always so: where
kept rows and dimensions are about as many and the ridge is small, the classifier is at its worst (double descent), and
more rows help even with wrong labels. So nothing is taken for monotone: what is enough is a set of intervals, found on
a grid that is finest around that point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import number, numbers, whole
from ouroloop.theory.verification import classifier_accuracy

__all__ = ["VerifierNeed", "needed_verifier"]

_GRID = np.linspace(0.0, 1.0, 1001)
_NEAR = np.concatenate([-np.geomspace(1e-1, 1e-8, 60), np.geomspace(1e-8, 1e-1, 60)])
_HALVINGS = 50
_ZOOMS, _FINER = 4, 21  # to a ten-thousandth of the grid's steps
_SLACK = 1e-12  # of the accuracy: rounding


@dataclass(frozen=True, kw_only=True)
class VerifierNeed:
    """Which verifiers are enough for a wanted accuracy.

    Attributes:
        accuracy: what is wanted of the classifier.
        alone: its accuracy on the real rows alone; NaN without real rows.
        keep_wrong: intervals of that rate which are enough; none where no verifier with this `keep_correct` is.
        best_keep_wrong: the rate at which the accuracy is highest, to 1e-6, and `best_accuracy` the accuracy there.
    """

    accuracy: float
    alone: float
    keep_wrong: tuple[tuple[float, float], ...]
    best_keep_wrong: float
    best_accuracy: float


@dataclass(frozen=True)
class _Setting:
    """Everything but the rate that is asked for."""

    n: int
    m: int
    dimension: int
    signal: float
    label_noise: float
    keep_correct: float
    ridge: float

    def accuracy(self, keep_wrong: np.ndarray) -> np.ndarray:
        """The accuracy, and -1 where too few rows are kept for there to be one."""
        kept = self.n + self.m * (self.keep_correct * (1.0 - self.label_noise) + keep_wrong * self.label_noise)
        there = kept > (self.dimension if self.ridge == 0.0 else 0.0)
        values = np.full(keep_wrong.shape, -1.0)
        if there.any():
            rates = (self.label_noise, self.keep_correct, keep_wrong[there])
            values[there] = classifier_accuracy(self.n, self.m, self.dimension, self.signal, *rates, self.ridge)
        return values

    def alone(self) -> float:
        """The accuracy on the real rows alone; NaN where they train no classifier."""
        if not self.n or (self.ridge == 0.0 and self.n <= self.dimension):
            return np.nan
        return float(np.asarray(classifier_accuracy(self.n, 0, self.dimension, self.signal, 0.0, 1.0, 1.0, self.ridge)))

    def grid(self) -> np.ndarray:
        """Rates from 0 to 1, closer together around the one that keeps as many rows as there are dimensions."""
        wrong = self.m * self.label_noise
        if wrong == 0.0:
            return _GRID
        worst = (self.dimension - self.n - self.m * self.keep_correct * (1.0 - self.label_noise)) / wrong
        near = worst + _NEAR
        return np.unique(np.concatenate([_GRID, near[(near >= 0.0) & (near <= 1.0)]]))


def needed_verifier(
    n_real: int,
    n_synthetic: int,
    dimension: int,
    signal: float,
    label_noise: float,
    keep_correct: float,
    ridge: float,
    accuracy: float | None = None,
) -> VerifierNeed:
    """Every `keep_wrong` with which training on real and verified rows reaches an accuracy.

    Args:
        n_real, n_synthetic, dimension, signal, label_noise, keep_correct, ridge: see
            `verification.classifier_accuracy`, numbers here; n_synthetic at least 1 and before the verifier.
        accuracy: wanted, in (0, 1); None: no worse than with the real rows alone, which must be there then.

    Raises:
        SpecError: an argument out of range, no real rows to compare with, or no verifier that leaves enough rows.

    >>> need = needed_verifier(200, 400, 100, 1.0, 0.3, 1.0, 1.0)
    >>> [tuple(round(x, 3) for x in pair) for pair in need.keep_wrong], round(need.best_accuracy, 3)
    ([(0.0, 0.736)], 0.814)
    """
    setting = _Setting(
        whole("n_real", n_real),
        whole("n_synthetic", n_synthetic, 1),
        whole("dimension", dimension, 1),
        number("signal", signal),
        _share("label_noise", label_noise),
        _share("keep_correct", keep_correct),
        number("ridge", ridge),
    )
    alone = setting.alone()
    if accuracy is None and np.isnan(alone):
        raise SpecError("accuracy: must be given, as the real rows alone do not train a classifier to compare with")
    wanted = alone if accuracy is None else number("accuracy", accuracy, above=True)
    if wanted >= 1.0:
        raise SpecError(f"accuracy: must be below 1, got {wanted:g}")
    grid = setting.grid()
    values = setting.accuracy(grid)
    if values.max() < 0.0:
        raise SpecError("n_synthetic: no verifier with this keep_correct leaves enough rows to train on; see ridge")
    best, highest = _best(setting, grid, values)
    return VerifierNeed(
        accuracy=wanted,
        alone=alone,
        keep_wrong=_intervals(setting.accuracy, grid, values >= wanted - _SLACK, wanted - _SLACK),
        best_keep_wrong=best,
        best_accuracy=highest,
    )


def _share(name: str, value: float) -> float:
    return float(numbers(name, number(name, value), 0.0, 1.0))


def _best(setting: _Setting, grid: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """The rate with the highest accuracy, refined between the neighbours of the grid's best."""
    for _ in range(_ZOOMS):
        best = int(values.argmax())
        low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
        if low == high:
            break
        finer = np.union1d(np.linspace(low, high, _FINER), grid[best])
        grid, values = finer, setting.accuracy(finer)
    best = int(values.argmax())
    return float(grid[best]), float(values[best])


def _intervals(
    found: Callable[[np.ndarray], np.ndarray], grid: np.ndarray, enough: np.ndarray, wanted: float
) -> tuple[tuple[float, float], ...]:
    """Runs of the grid that are enough, their ends refined by bisection of all of them at once."""
    edges = np.flatnonzero(enough[1:] != enough[:-1])
    inside = np.where(enough[edges], grid[edges], grid[edges + 1])
    outside = np.where(enough[edges], grid[edges + 1], grid[edges])
    for _ in range(_HALVINGS if len(edges) else 0):
        middle = (inside + outside) / 2.0
        fits = found(middle) >= wanted
        inside, outside = np.where(fits, middle, inside), np.where(fits, outside, middle)
    ends = [*([0.0] if enough[0] else []), *inside.tolist(), *([1.0] if enough[-1] else [])]
    return tuple(zip(ends[::2], ends[1::2], strict=True))
