"""Mean and covariance of generated rows beside those of real rows: the coarsest signs of drift and collapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.keys import Key
from ouroloop.metrics import frechet
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval, ratio
from ouroloop.metrics.frechet import resampled_moments
from ouroloop.metrics.spaces import FEATURES, Rows

__all__ = ["Moments", "logdet_ratio", "mean_error", "trace_ratio"]

_RELATIVE_RANK = 1e-3  # directions with less than this share of the largest real variance are left out: a few
# pixels that are nearly always empty would otherwise decide the determinant
_VANISHED = 1e-15  # a generated variance is counted as at least this share of the real one, so that logs stay finite


def mean_error(*, real_mean: np.ndarray, generated_mean: np.ndarray) -> np.ndarray:
    """|mu_g - mu_r|, in the units of the data; shapes (..., d)."""
    return np.sqrt(np.square(np.asarray(generated_mean) - real_mean).sum(axis=-1))


def trace_ratio(*, real_covariance: np.ndarray, generated_covariance: np.ndarray) -> np.ndarray:
    """tr C_g / tr C_r: 1 as varied as real data, 0 collapsed to a point, NaN if these are one; shapes (..., d, d)."""
    own, real = (np.trace(c, axis1=-2, axis2=-1) for c in (generated_covariance, real_covariance))
    return ratio(own, real)


def logdet_ratio(*, real_covariance: np.ndarray, generated_covariance: np.ndarray) -> np.ndarray:
    """log det C_g - log det C_r in nats, over the directions in which the real data vary.

    It falls by a steady amount a generation when a loop collapses exponentially. Finite also where C_g is
    singular: then it is very negative.

    Args:
        real_covariance: shape (d, d).
        generated_covariance: shape (..., d, d).

    >>> float(round(logdet_ratio(real_covariance=np.eye(2), generated_covariance=np.eye(2) / np.e), 6))
    -2.0
    """
    whiten = _whitening(real_covariance)
    values = np.linalg.eigvalsh(whiten.T @ generated_covariance @ whiten)
    return np.log(np.maximum(values, _VANISHED)).sum(axis=-1)


def _whitening(covariance: np.ndarray) -> np.ndarray:
    """W (d, k) with W^T C W = 1 in the k directions that vary."""
    values, vectors = np.linalg.eigh(covariance)
    alive = values > _RELATIVE_RANK * max(values[-1], np.finfo(float).tiny)
    return vectors[:, alive] / np.sqrt(values[alive])


class _State(NamedTuple):
    real: frechet.Moments
    resampled: frechet.Moments


@dataclass(frozen=True, kw_only=True)
class Moments(RowMetric):
    """'mean_error' (units of the data), 'trace_ratio' (1 is as varied as real data), 'logdet_ratio' (nats).

    The log-determinant ratio is left out when there are no more rows than varying directions.
    """

    features: Annotated[str | dict[str, Any], Field(description=FEATURES)] = "identity"
    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        100_000
    )

    few: ClassVar[int] = 30

    def _prepare(self, real: Real, key: Key) -> _State:
        resampled, _ = resampled_moments(real.rows.x, key.child("bootstrap"), self.resamples)
        return _State(frechet.moments(real.rows.x), resampled)

    def _estimate(self, state: _State, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        real, own = state.real, frechet.moments(rows.x)
        (means, covariances), count = resampled_moments(rows.x, key, self.resamples)
        b = min(len(means), len(state.resampled.mean))
        means, covariances = means[:b], covariances[:b]
        real_means, real_covariances = state.resampled.mean[:b], state.resampled.covariance[:b]
        error = mean_error(real_mean=real.mean, generated_mean=own.mean)
        errors = mean_error(real_mean=real_means, generated_mean=means)
        trace = trace_ratio(real_covariance=real.covariance, generated_covariance=own.covariance)
        traces = trace_ratio(real_covariance=real_covariances, generated_covariance=covariances)
        found = {
            "mean_error": interval(error, errors, 0.0, blocks=count),
            "trace_ratio": interval(trace, traces, 0.0, blocks=count),
        }
        whiten = _whitening(real.covariance)
        if len(rows) > whiten.shape[1]:
            value = logdet_ratio(real_covariance=real.covariance, generated_covariance=own.covariance)
            logs = _logdet(whiten, covariances) - _logdet(whiten, real_covariances)
            found["logdet_ratio"] = interval(value, logs, blocks=count)
        return found


def _logdet(whiten: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """log det W^T C W of a batch, by LU, which is quicker than eigenvalues and precise enough for a spread."""
    _, values = np.linalg.slogdet(whiten.T @ covariances @ whiten)
    return np.maximum(values, whiten.shape[1] * np.log(_VANISHED))
