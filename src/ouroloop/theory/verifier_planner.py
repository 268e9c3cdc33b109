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
from ouroloop.theory.arguments import number, whole
from ouroloop.theory.verification import classifier_accuracy

__all__ = ["VerifierNeed", "needed_verifier"]

_GRID = np.linspace(0.0, 1.0, 1001)
_NEAR = np.concatenate([-np.geomspace(1e-1, 1e-8, 60), np.geomspace(1e-8, 1e-1, 60)])
_HALVINGS = 50
_SLACK = 1e-12  # of the accuracy: rounding


@dataclass(frozen=True, kw_only=True)
class VerifierNeed:
    """Which verifiers are enough for a wanted accuracy.

    Attributes:
        accuracy: what is wanted of the classifier.
        alone: its accuracy on the real rows alone; NaN without real rows.
        keep_wrong: intervals of that rate which are enough; none where no verifier with this `keep_correct` is.
        best_keep_wrong: the rate at which the accuracy is highest, and `best_accuracy` the accuracy there.
    """

    accuracy: float
    alone: float
    keep_wrong: tuple[tuple[float, float], ...]
    best_keep_wrong: float
    best_accuracy: float


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
            `verification.classifier_accuracy`; n_synthetic at least 1 and before the verifier.
        accuracy: wanted, in (0, 1); None: no worse than with the real rows alone, which must be there then.

    Raises:
        SpecError: an argument out of range, no real rows to compare with, or no verifier that leaves enough rows.

    >>> need = needed_verifier(200, 400, 100, 1.0, 0.3, 1.0, 1.0)
    >>> [tuple(round(x, 3) for x in pair) for pair in need.keep_wrong], round(need.best_accuracy, 3)
    ([(0.0, 0.736)], 0.814)
    """
    n, m = whole("n_real", n_real), whole("n_synthetic", n_synthetic, 1)
    number("ridge", ridge)

    def found(keep_wrong: np.ndarray) -> np.ndarray:
        """The accuracy, and -1 where too few rows are kept for there to be one."""
        kept = n + m * (keep_correct * (1.0 - label_noise) + keep_wrong * label_noise)
        there = kept > (dimension if ridge == 0.0 else 0.0)
        values = np.full(keep_wrong.shape, -1.0)
        if there.any():
            values[there] = classifier_accuracy(
                n, m, dimension, signal, label_noise, keep_correct, keep_wrong[there], ridge
            )
        return values

    alone = np.nan
    if n and (ridge > 0.0 or n > dimension):
        alone = float(np.asarray(classifier_accuracy(n, 0, dimension, signal, 0.0, 1.0, 1.0, ridge)))
    if accuracy is None and np.isnan(alone):
        raise SpecError("accuracy: must be given, as the real rows alone do not train a classifier to compare with")
    wanted = alone if accuracy is None else number("accuracy", accuracy, above=True)
    if wanted >= 1.0:
        raise SpecError(f"accuracy: must be below 1, got {wanted:g}")
    grid = _grid(n, m, dimension, label_noise, keep_correct)
    values = found(grid)
    best = int(values.argmax())
    if values[best] < 0.0:
        raise SpecError("n_synthetic: no verifier with this keep_correct leaves enough rows to train on; see ridge")
    return VerifierNeed(
        accuracy=wanted,
        alone=alone,
        keep_wrong=_intervals(found, grid, values >= wanted - _SLACK, wanted - _SLACK),
        best_keep_wrong=float(grid[best]),
        best_accuracy=float(values[best]),
    )


def _grid(n: int, m: int, dimension: int, label_noise: float, keep_correct: float) -> np.ndarray:
    """Rates from 0 to 1, closer together around the one that keeps as many rows as there are dimensions."""
    wrong = m * label_noise
    if wrong == 0.0:
        return _GRID
    worst = (dimension - n - m * keep_correct * (1.0 - label_noise)) / wrong
    near = worst + _NEAR
    return np.unique(np.concatenate([_GRID, near[(near >= 0.0) & (near <= 1.0)]]))


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
