"""Features that are the data themselves, flattened."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["Identity"]


@dataclass(frozen=True, kw_only=True)
class Identity:
    """phi(x) = x, flattened to (n, d)."""

    _dim: int | None = field(init=False, default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Short name, for tables and axis labels."""
        return "identity"

    @property
    def dim(self) -> int:
        """Number of features d of a fitted extractor."""
        if self._dim is None:
            raise PartError("identity features: call fit before dim or transform")
        return self._dim

    def fit(self, samples: Samples, *, key: Key, cache: Path | None = None) -> Identity:
        """Learn the number of features. `key` and `cache` are not used."""
        x = samples.x
        if x.dtype.kind not in "biuf":
            raise DataError(f"identity features need numbers, got a column 'x' of type {x.dtype}")
        fitted = replace(self)
        object.__setattr__(fitted, "_dim", int(np.prod(x.shape[1:], dtype=np.int64)))
        return fitted

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Features of rows x, shape (n, ...), as float64 (n, d)."""
        if x.ndim == 0 or int(np.prod(x.shape[1:], dtype=np.int64)) != self.dim:
            raise DataError(f"identity features were fitted to rows of {self.dim} values, got x of shape {x.shape}")
        return np.asarray(x, np.float64).reshape(len(x), self.dim)
