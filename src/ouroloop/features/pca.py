"""Features that are the scores on the leading principal components of the real data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.features.identity import Identity
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["Pca"]

_CHUNK = 8192
_FLAT = 1e-6  # standard deviations below this share of the largest are rounding
_EXACT_DIM = 2048  # largest row for which the d x d covariance is decomposed exactly


@dataclass(frozen=True, kw_only=True)
class Pca:
    r"""$\phi(x) = V^T (x - \mu)$, V the leading eigenvectors of the real covariance.

    The fit depends on the data alone: not on the run's seed, so that all seeds and arms share one space.

    Args:
        components: number of components; fewer where the data have fewer rows or values.
        whiten: divide every score by its standard deviation on the real data.
    """

    components: Annotated[int, Field(ge=1, description="number of principal components")] = 32
    whiten: Annotated[bool, Field(description="scale every component to unit variance on the real data")] = False
    _mean: np.ndarray | None = field(init=False, default=None, repr=False, compare=False)
    _axes: np.ndarray | None = field(init=False, default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Short name, for tables and axis labels."""
        return f"pca-{self.components if self._axes is None else self.dim}"

    @property
    def dim(self) -> int:
        """Number of features of a fitted extractor."""
        if self._axes is None:
            raise PartError("PCA features: call fit before dim or transform")
        return self._axes.shape[0]

    def fit(self, samples: Samples, *, key: Key, cache: Path | None = None) -> Pca:
        """Fit to the rows of `samples`. `key` and `cache` are not used.

        Raises:
            DataError: fewer than two rows, rows that are all alike, NaN or infinity.
        """
        from sklearn.decomposition import PCA

        samples.check_finite("PCA features")
        flat = Identity().fit(samples, key=key).transform(samples.x)
        if len(flat) < 2:
            raise DataError(f"PCA features need at least 2 rows, got {len(flat)}")
        if not (flat != flat[0]).any():
            raise DataError(f"PCA features: all {len(flat)} rows are alike, so that no direction varies")
        count = min(self.components, *flat.shape)
        solver = "covariance_eigh" if flat.shape[1] <= _EXACT_DIM else "randomized"
        model = PCA(count, svd_solver=solver, random_state=0).fit(flat)
        spread = np.sqrt(model.explained_variance_)
        alive = spread > _FLAT * spread[0]
        axes = np.asarray(model.components_)[alive]
        fitted = replace(self)
        object.__setattr__(fitted, "_mean", np.asarray(model.mean_))
        object.__setattr__(fitted, "_axes", axes / spread[alive, None] if self.whiten else axes)
        return fitted

    def transform(self, x: np.ndarray) -> np.ndarray:
        """Scores of rows x, shape (n, ...), as float64 (n, dim)."""
        axes, mean = self._axes, self._mean
        if axes is None or mean is None:
            raise PartError("PCA features: call fit before dim or transform")
        if int(np.prod(x.shape[1:], dtype=np.int64)) != len(mean):
            raise DataError(f"PCA features were fitted to rows of {len(mean)} values, got x of shape {x.shape}")
        scores = np.empty((len(x), len(axes)))
        for start in range(0, len(x), _CHUNK):
            block = np.asarray(x[start : start + _CHUNK], np.float64)
            scores[start : start + _CHUNK] = (block.reshape(len(block), -1) - mean) @ axes.T
        return scores
