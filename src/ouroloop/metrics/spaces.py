"""The space in which rows are compared, computed once for a table and shared by all metrics that ask for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from weakref import WeakKeyDictionary

import numpy as np

from ouroloop.features import FeatureExtractor, build
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

__all__ = ["FEATURES", "Rows", "Space", "shared", "space"]

FEATURES = (
    "space to measure in: 'auto' (classifier for labelled images, else identity), 'classifier', 'pca', 'identity', "
    "or a mapping with 'kind' and the extractor's options"
)
"""Description of the option `features`, the same in every metric that has it."""

_MIN_ROWS_A_CLASS = 10
_SHARED_VALUES = 1 << 24  # numbers in the largest table whose features are kept (128 MiB as float64)
_shared: WeakKeyDictionary[Samples, dict[Any, Any]] = WeakKeyDictionary()


def shared(owner: Samples, name: Any, compute: Callable[[], Any]) -> Any:
    """`compute()` the first time that `name` is asked for this table, afterwards the same object.

    What is kept is dropped together with the table; `compute` must not return anything that holds the table.
    """
    kept = _shared.setdefault(owner, {})
    if name not in kept:
        kept[name] = compute()
    return kept[name]


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as a metric sees them.

    Args:
        x: features, float64 (n, d).
        label: the class that a row belongs to, (n,): what the classifier of the space says, or where there is none
            the column 'label', or None.
        given: the column 'label', (n,), or None: for synthetic rows the class that was asked for.
        caption: the column 'caption', (n,), or None: for synthetic rows what was asked for.
    """

    x: np.ndarray
    label: np.ndarray | None = None
    given: np.ndarray | None = None
    caption: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.x)

    def take(self, rows: np.ndarray) -> Rows:
        """The rows at these positions."""
        return Rows(
            self.x[rows],
            None if self.label is None else self.label[rows],
            None if self.given is None else self.given[rows],
            None if self.caption is None else self.caption[rows],
        )


@dataclass(frozen=True, eq=False)
class Space:
    """A fitted feature extractor.

    Args:
        extractor: maps x to features.
        name: its name, for tables and notes.
    """

    extractor: FeatureExtractor
    name: str

    @property
    def accuracy(self) -> tuple[float, int] | None:
        """Accuracy of the extractor's classifier and the rows that it was measured on, or None."""
        value = getattr(self.extractor, "accuracy", None)
        return None if value is None else (float(value), int(getattr(self.extractor, "n_held_out", 0)))

    def rows(self, samples: Samples) -> Rows:
        """A table's rows in this space; computed once while the table lives, unless it is very large."""
        if samples.x.size > _SHARED_VALUES:
            return self._rows(samples)
        return shared(samples, self, lambda: self._rows(samples))

    def take(self, samples: Samples, rows: np.ndarray) -> Rows:
        """Some of a table's rows in this space; of a large table no others are computed."""
        if samples.x.size > _SHARED_VALUES:
            return self._rows(samples.take(rows))
        return self.rows(samples).take(rows)

    def _rows(self, samples: Samples) -> Rows:
        given = samples.label if "label" in samples.data_columns else None
        predict = getattr(self.extractor, "predict", None)
        label = given if predict is None else np.asarray(predict(samples.x))
        caption = samples["caption"] if "caption" in samples.data_columns else None
        return Rows(np.asarray(self.extractor.transform(samples.x), np.float64), label, given, caption)


def space(features: str | Mapping[str, Any] | FeatureExtractor, reference: Reference) -> Space:
    """The space of these features fitted to the real training rows, shared by all metrics on the same rows.

    Where the data set has more real rows than the loop trains on, it is fitted to all of them.

    Raises:
        DataError: the extractor cannot be fitted, for example a classifier without labels.
        SpecError: no such extractor or option.
    """
    chosen = _automatic(reference.real) if features == "auto" else features
    key = Key(0, ("features",))  # not the run's key: every seed and arm measures in one space
    plain = isinstance(chosen, str | Mapping)
    name = ("space", json.dumps(chosen, sort_keys=True, default=str) if plain else id(chosen))

    def fit() -> Space:
        built = build(cast(Any, chosen))
        rows = reference.real if reference.background is None else reference.background()
        fitted = built.fit(rows, key=key, cache=reference.cache)
        return Space(fitted, fitted.name)

    return shared(reference.real, name, fit)


def _automatic(real: Samples) -> str:
    if real.x.ndim < 3 or "label" not in real.data_columns:
        return "identity"
    classes = len(np.unique(real.label))
    return "classifier" if classes > 1 and len(real) >= _MIN_ROWS_A_CLASS * classes else "identity"
