r"""Class balance: do the generated rows still contain every class, as often as real rows do?

$$ TV = \tfrac12 \sum_c |p_g(c) - p_r(c)|, \qquad H = -\sum_c p_g(c) \log p_g(c) $$
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval, resample_counts, share
from ouroloop.metrics.spaces import Rows

__all__ = ["Classes", "entropy", "total_variation"]


def total_variation(*, real: np.ndarray, generated: np.ndarray) -> np.ndarray:
    """Half the absolute difference of class shares (..., k), between 0 and 1.

    >>> float(total_variation(real=np.array([0.5, 0.5]), generated=np.array([1.0, 0.0])))
    0.5
    """
    return 0.5 * np.abs(np.asarray(real) - generated).sum(axis=-1)


def entropy(shares: np.ndarray) -> np.ndarray:
    """Entropy in nats of class shares (..., k).

    >>> round(float(entropy(np.full(10, 0.1))), 4)
    2.3026
    """
    shares = np.asarray(shares, np.float64)
    return -np.sum(shares * np.log(np.where(shares > 0, shares, 1.0)), axis=-1)


class _State(NamedTuple):
    classes: np.ndarray  # sorted labels of the real rows
    shares: np.ndarray  # of the real rows, and 0 for a class that they do not have, (k + 1,)
    resampled: np.ndarray  # (b, k + 1)


@dataclass(frozen=True, kw_only=True)
class Classes(RowMetric):
    """Class shares by the space's classifier, or where it has none by the column 'label', against real rows.

    'class_tv' (total variation, 0 to 1), 'class_entropy' (nats), 'class_entropy_normalised' (1 is all classes
    equally often), and where the classes were asked for: 'class_agreement', the share of rows in which the
    classifier sees the class that was asked for. Real rows are judged by the same classifier, so that its
    errors do not count as imbalance.
    """

    few: ClassVar[int] = 50

    def _prepare(self, real: Real, key: Key) -> _State:
        label = self._labels(real.rows, "real rows")
        classes = np.unique(label)
        one_hot = _one_hot(label, classes)
        counts = resample_counts(key.child("bootstrap"), len(label), self.resamples)
        return _State(classes, one_hot.mean(axis=0), counts @ one_hot / len(label))

    def _estimate(self, state: _State, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        label = self._labels(rows, "generated rows")
        n = len(label)
        counts = resample_counts(key, n, self.resamples)
        one_hot = _one_hot(label, state.classes)
        own, resampled = one_hot.mean(axis=0), counts @ one_hot / n
        b = min(len(resampled), len(state.resampled))
        distance = total_variation(real=state.shares, generated=own)
        distances = total_variation(real=state.resampled[:b], generated=resampled[:b])
        nats, scale = entropy(own), np.log(max(2, len(state.classes)))
        found = {
            "class_tv": interval(distance, distances, 0.0, 1.0),
            "class_entropy": interval(nats, entropy(resampled), 0.0, scale),
            "class_entropy_normalised": interval(nats / scale, entropy(resampled) / scale, 0.0, 1.0),
        }
        if rows.given is not None and rows.given is not rows.label:
            right = (label == rows.given).astype(np.float64)
            found["class_agreement"] = share(right.mean(), counts @ right / n, n)
        return found

    def _labels(self, rows: Rows, what: str) -> np.ndarray:
        if rows.label is None:
            raise DataError(
                f"classes: {what} have no column 'label' and the features no classifier; set features: classifier "
                "(it needs labelled real rows), or leave this metric out"
            )
        return rows.label


def _one_hot(label: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Float64 (n, k + 1); the last column is for labels that are none of the classes."""
    known = label[:, None] == classes
    return np.concatenate([known, ~known.any(axis=1, keepdims=True)], axis=1).astype(np.float64)
