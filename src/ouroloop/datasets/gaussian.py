r"""A known Gaussian target $N(\mu_0, \Sigma_0)$ with an exact sampler: the data of SCSC's Gaussian study.

Draws are $x = \mu_0 + z F$ with $F = \Sigma_0^{1/2}$, symmetric, and z from ``key.rng().standard_normal((n, d))``, so
that the vectorised backend can draw the same numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from ouroloop.datasets.loaded import LoadedDataset
from ouroloop.datasets.split import generation_of
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["GaussianTarget"]


@dataclass(frozen=True, kw_only=True)
class GaussianTarget:
    """n points of a Gaussian; ``x`` is float64 (n, dim).

    Raises:
        DataError: mean or covariance of another size than `dim`, not finite, or not a covariance.

    >>> data = GaussianTarget(dim=3, n=5).load(key=Key(0))
    >>> data.real.x.shape, data.fresh(2, key=Key(1)).x.shape
    ((5, 3), (2, 3))
    """

    dim: Annotated[int, Field(ge=1, le=1000, description="number of coordinates")] = 2
    n: Annotated[int, Field(ge=1, description="real rows to train on")] = 50
    held_out: Annotated[int, Field(ge=0, description="further real rows, for metrics")] = 1000
    mean: Annotated[tuple[float, ...] | None, Field(description="mean of the target; None: 0")] = None
    covariance: Annotated[
        tuple[tuple[float, ...], ...] | None, Field(description="covariance of the target, row by row; None: identity")
    ] = None

    def __post_init__(self) -> None:
        if self.mean is not None:
            self._check("mean", np.asarray(self.mean, np.float64), (self.dim,))
        if self.covariance is not None:
            if len({len(row) for row in self.covariance}) > 1:
                raise DataError("gaussian.covariance: its rows have different lengths")
            matrix = np.asarray(self.covariance, np.float64)
            self._check("covariance", matrix, (self.dim, self.dim))
            scale = np.abs(matrix).max()
            if np.abs(matrix - matrix.T).max() > 1e-12 * scale or np.linalg.eigvalsh(matrix)[0] < -1e-12 * scale:
                raise DataError("gaussian.covariance: must be symmetric with no negative eigenvalue")

    def _check(self, name: str, value: np.ndarray, shape: tuple[int, ...]) -> None:
        if value.shape != shape:
            raise DataError(f"gaussian.{name}: expected shape {shape} for dim = {self.dim}, got {value.shape}")
        if not np.isfinite(value).all():
            raise DataError(f"gaussian.{name}: has NaN or infinite entries")

    @property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean (dim,) and covariance (dim, dim) of the target, float64."""
        mean = np.zeros(self.dim) if self.mean is None else np.asarray(self.mean, np.float64)
        covariance = np.eye(self.dim) if self.covariance is None else np.asarray(self.covariance, np.float64)
        return mean, covariance

    @property
    def root(self) -> np.ndarray:
        """The symmetric square root F of the covariance, float64 (dim, dim)."""
        if self.covariance is None:
            return np.eye(self.dim)
        values, vectors = np.linalg.eigh(self.moments[1])
        return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T

    def load(self, *, key: Key, cache: Path | None = None) -> LoadedDataset:
        """Training and held-out rows from streams of their own; `cache` is not used."""

        def fresh(n: int, key: Key) -> Samples:
            rows = self.sample(n, key=key)
            return rows.replace(id=rows.id + self.n + self.held_out + (generation_of(key)[0] - 1) * n)

        held_out = self.sample(self.held_out, key=key.child("held_out")) if self.held_out else None
        return LoadedDataset(
            name=f"gaussian-{self.dim}d",
            real=self.sample(self.n, key=key.child("real")),
            held_out=held_out and held_out.replace(id=held_out.id + self.n),
            fresh_fn=fresh,
        )

    def sample(self, n: int, *, key: Key) -> Samples:
        """n exact draws with ids 0..n-1."""
        return Samples.of(self.moments[0] + key.rng().standard_normal((n, self.dim)) @ self.root)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats for points x of shape (n, dim), float64 (n,); the covariance must be invertible.

        Raises:
            DataError: x is of another shape, or the covariance is singular.
        """
        x = np.asarray(x, np.float64)
        if x.ndim != 2 or x.shape[1] != self.dim:
            raise DataError(f"a {self.dim}-D target has a density for points of shape (n, {self.dim}), got {x.shape}")
        mean, covariance = self.moments
        try:
            root = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError as error:
            raise DataError("gaussian.covariance is singular: the target has no density") from error
        scaled = np.linalg.solve(root, (x - mean).T)
        constant = self.dim * math.log(2 * math.pi) / 2 + np.log(np.diag(root)).sum()
        return -0.5 * np.einsum("in,in->n", scaled, scaled) - constant
