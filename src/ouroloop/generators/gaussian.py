r"""One multivariate normal distribution, fitted in closed form from running sums.

.. math:: \hat\mu = \frac1n \sum_i x_i, \qquad
          \hat\Sigma = \frac1{n - c} \sum_i (x_i - \hat\mu)(x_i - \hat\mu)^\top + \epsilon I,
          \qquad c = 0 \text{ (mle)}, \; 1 \text{ (unbiased)}

Samples are :math:`x = \hat\mu + \sqrt{b}\,z F` with :math:`z` from ``key.rng().standard_normal((n, d))``,
:math:`F = \hat\Sigma^{1/2}` (see `factor`) and the sampling bias b. The vectorised backend draws the same numbers.

Source:
    Alemohammad et al., Self-Consuming Generative Models Go MAD, arXiv 2307.01850 (sampling bias).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError
from ouroloop.generators.classical import Classical, Fitted, Rows, check_training, flat_rows
from ouroloop.keys import Key
from ouroloop.pool import Pool

__all__ = ["Gaussian", "Moments", "SamplingBias", "Statistics", "factor", "moments", "statistics"]

SamplingBias = Annotated[
    float,
    Field(
        gt=0,
        allow_inf_nan=False,
        description="factor of the variance of what is drawn: below 1 trades variety for quality (MAD); the fitted "
        "moments and densities stay as they are",
    ),
]


class Statistics(NamedTuple):
    """Sufficient statistics of rows x (n, d), additive over disjoint sets of rows.

    Attributes:
        n: number of rows.
        sum: sum of x - origin, float64 (d,).
        outer: sum of (x - origin)(x - origin)^T, float64 (d, d).
    """

    n: int
    sum: np.ndarray
    outer: np.ndarray


class Moments(NamedTuple):
    """A fitted normal distribution: mean float64 (d,), covariance float64 (d, d) and its `factor`."""

    mean: np.ndarray
    covariance: np.ndarray
    factor: np.ndarray


def factor(covariance: np.ndarray) -> np.ndarray:
    r"""The symmetric square root :math:`F = F^\top`, :math:`F F = \Sigma`, by eigendecomposition.

    Unlike a Cholesky factor it exists for singular covariances and depends continuously on them, so that
    rounding in the last digit of a covariance cannot turn the samples around.

    Args:
        covariance: symmetric positive semidefinite, float64 (..., d, d); a stack is factored one by one.

    Returns:
        float64 (..., d, d).

    Raises:
        DataError: NaN, infinity, or an eigenvalue that is negative beyond rounding.

    >>> factor(np.array([[4.0, 0.0], [0.0, 0.0]])).tolist()
    [[2.0, 0.0], [0.0, 0.0]]
    """
    covariance = np.asarray(covariance, np.float64)
    if not np.isfinite(covariance).all():
        raise DataError("the covariance has NaN or infinite entries; the data are too large or not finite")
    values, vectors = np.linalg.eigh(covariance)
    if (values < -1e-8 * np.abs(values).max(axis=-1, keepdims=True, initial=0.0)).any():
        raise DataError(f"not a covariance matrix: it has the negative eigenvalue {values.min():.3g}")
    roots = np.sqrt(np.maximum(values, 0.0))
    return (vectors * roots[..., None, :]) @ vectors.swapaxes(-1, -2)


def statistics(blocks: Iterable[np.ndarray], origin: np.ndarray | float = 0.0) -> Statistics:
    """Sufficient statistics of blocks of rows, in one pass.

    Args:
        blocks: arrays (m, d), at least one.
        origin: subtracted from every row first. A point near the data avoids cancellation where the mean is
            large against the spread.
    """
    n, total, outer = 0, np.zeros(0), np.zeros((0, 0))
    for block in blocks:
        rows = np.asarray(block, np.float64) - origin
        total = total + rows.sum(axis=0) if n else rows.sum(axis=0)
        outer = outer + rows.T @ rows if n else rows.T @ rows
        n += len(rows)
    return Statistics(n, total, outer)


def moments(
    given: Statistics, *, divisor: int, regularisation: float = 0.0, origin: np.ndarray | float = 0.0
) -> Moments:
    """Mean, covariance and factor from sufficient statistics.

    Args:
        given: see `Statistics`.
        divisor: n or n - 1.
        regularisation: added to every variance.
        origin: what the statistics are relative to.
    """
    centre = given.sum / given.n
    covariance = (given.outer - given.n * np.outer(centre, centre)) / divisor
    covariance = (covariance + covariance.T) / 2
    covariance[np.diag_indices_from(covariance)] = np.maximum(covariance.diagonal(), 0.0) + regularisation
    return Moments(origin + centre, covariance, factor(covariance))


@dataclass(frozen=True, kw_only=True)
class Gaussian(Classical[Moments]):
    """A multivariate normal distribution; rows of any shape are flattened to d numbers and restored.

    The training rows are read once, batch by batch. There is nothing to fine-tune: `previous` is not used.

    >>> from ouroloop.samples import Samples
    >>> model = Gaussian().fit(Pool.of(Samples.of(np.array([[0.0], [2.0]]))), key=Key(0))
    >>> model.mean.tolist(), model.covariance.tolist()
    ([1.0], [[1.0]])
    """

    estimator: Annotated[
        Literal["mle", "unbiased"],
        Field(description="divide the sum of squares by n (maximum likelihood) or by n - 1 (unbiased)"),
    ] = "mle"
    regularisation: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="added to every variance, in squared units of the data")
    ] = 0.0
    sampling_bias: SamplingBias = 1.0

    @property
    def mean(self) -> np.ndarray:
        """The fitted mean, float64 (d,)."""
        return self._only_model().mean

    @property
    def covariance(self) -> np.ndarray:
        """The fitted covariance with its regularisation, float64 (d, d)."""
        return self._only_model().covariance

    def statistics(self, training: Pool) -> Statistics:
        """Sufficient statistics (n, sum, outer) of all rows, relative to the origin of coordinates."""
        check_training(training)
        return statistics(flat_rows(training))

    def from_statistics(
        self,
        n: int,
        total: np.ndarray,
        outer: np.ndarray,
        *,
        shape: tuple[int, ...] | None = None,
        dtype: np.dtype | type = np.float64,
    ) -> Self:
        """The fitted model that these statistics determine, without reading any row.

        Args:
            n, total, outer: see `Statistics`, relative to the origin of coordinates.
            shape: shape of a row, (d,) by default.
            dtype: of the rows.
        """
        found = moments(Statistics(n, total, outer), divisor=self._divisor(n), regularisation=self.regularisation)
        return self._with(Fitted((found,), shape or (len(total),), np.dtype(dtype), None, (n,)))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Log density of rows (n, ...) in nats, float64 (n,); minus infinity off the support of a singular model."""
        from scipy.stats import multivariate_normal

        model = self._only_model()
        rows = np.asarray(x, np.float64).reshape(len(x), -1)
        density = multivariate_normal.logpdf(rows, mean=model.mean, cov=model.covariance, allow_singular=True)  # type: ignore[arg-type]
        return np.atleast_1d(density)

    def _divisor(self, n: int) -> int:
        divisor = n - (self.estimator == "unbiased")
        if divisor < 1:
            raise DataError(f"{n} row is too few for the unbiased covariance; use at least 2, or estimator 'mle'")
        return divisor

    def _fit_model(self, rows: Rows, *, key: Key, previous: Moments | None) -> Moments:
        origin = np.asarray(next(rows())[0], np.float64)
        found = statistics(rows(), origin)
        return moments(found, divisor=self._divisor(found.n), regularisation=self.regularisation, origin=origin)

    def _draw(self, model: Moments, n: int, rng: np.random.Generator) -> np.ndarray:
        return model.mean + rng.standard_normal((n, len(model.mean))) @ (math.sqrt(self.sampling_bias) * model.factor)

    def _pack(self, model: Moments) -> dict[str, np.ndarray]:
        return {"mean": model.mean, "covariance": model.covariance, "factor": model.factor}

    def _unpack(self, arrays: dict[str, np.ndarray]) -> Moments:
        return Moments(arrays["mean"], arrays["covariance"], arrays["factor"])
