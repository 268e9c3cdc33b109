"""Feature extractors: maps from samples to vectors in which metrics and correctors measure distances.

Members: `identity` (the flattened data), `pca` (principal components), `classifier` (the 84 numbers before
the last layer of a small network that the software trains on the real labels).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol, Self, cast, get_type_hints

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.registry import resolve
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
    options: dict[str, Any] = dict(features) if isinstance(features, Mapping) else {"kind": features}
    kind = options.pop("kind", None)
    if not isinstance(kind, str):
        raise SpecError(f"features: expected a name or a mapping with the key 'kind', got {features!r}")
    part = resolve("features", kind)
    return part(**{name: _checked(part, kind, name, value) for name, value in options.items()})


def _checked(part: type, kind: str, name: str, value: Any) -> Any:
    from pydantic import TypeAdapter, ValidationError

    known = [f.name for f in fields(part) if f.init]
    if name not in known:
        raise SpecError(f"features.{name}: '{kind}' has no such option; there are: {', '.join(known) or 'none'}")
    try:
        return TypeAdapter(get_type_hints(part, include_extras=True)[name]).validate_python(value)
    except ValidationError as error:
        raise SpecError(f"features.{name}: {error.errors()[0]['msg']}, got {value!r}") from error
