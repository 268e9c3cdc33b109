"""Feature extractors: maps from samples to vectors in which metrics and correctors measure distances.

Members: `identity` (the flattened data), `pca` (principal components), `classifier` (the 84 numbers before
the last layer of a small network that the software trains on the real labels), `motion` (a motion and text
evaluator that it trains on captioned motions), `motion_physics` (how physical each motion is).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, Self, cast

import numpy as np

from ouroloop import options
from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["FeatureExtractor", "build"]


class FeatureExtractor(Protocol):
    """A map from rows to feature vectors, fitted on real data.

    A fit is a function of the data and the options alone, never of the run's seed: all seeds and arms of a
    study measure in one space.
    """

    @property
    def name(self) -> str:
        """Short name, for tables and axis labels."""
        ...

    @property
    def dim(self) -> int:
        """Number of features d of a fitted extractor."""
        ...

    def fit(self, samples: Samples, *, key: Key, cache: Path | None = None) -> Self:
        """A fitted copy; `cache` is a folder for results worth keeping, or None."""
        ...

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Features of rows x, shape (n, ...), as float64 (n, d). A row with NaN has NaN features."""
        ...


def build(features: str | Mapping[str, Any] | FeatureExtractor) -> FeatureExtractor:
    """An unfitted extractor from its name, or from a mapping ``{"kind": name, option: value, ...}``.

    Raises:
        SpecError: no such extractor, no such option, or a value that the option does not take.

    >>> build({"kind": "pca", "components": 8}).name
    'pca-8'
    """
    if callable(getattr(features, "fit", None)) and callable(getattr(features, "transform", None)):
        return cast(FeatureExtractor, features)
    if not isinstance(features, str | Mapping):
        raise SpecError(f"features: expected a name or a mapping with the key 'kind', got {features!r}")
    resolved, problems = options.resolve_options("features", features, ("features",))
    if problems:
        raise SpecError("\n".join(f"{'.'.join(map(str, path))}: {text}" for path, text in problems))
    return options.build("features", resolved)
