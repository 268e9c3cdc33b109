r"""2-Wasserstein distance between Gaussians: SCSC's measure of its Gaussian experiment.

$$ W_2 = \sqrt{|\mu_1 - \mu_2|^2 + \mathrm{tr}\,(C_1 + C_2 - 2 (C_2^{1/2} C_1 C_2^{1/2})^{1/2})} $$
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError, SpecError
from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval
from ouroloop.metrics.frechet import FrechetTo, Moments, frechet_squared, moments, psd_root, resampled_moments
from ouroloop.metrics.spaces import FEATURES, Rows
from ouroloop.protocols import Generator, Measurement
from ouroloop.samples import Samples

__all__ = ["GaussianW2", "gaussian_w2"]


def gaussian_w2(
    *,
    real_mean: np.ndarray,
    real_covariance: np.ndarray,
    generated_mean: np.ndarray,
    generated_covariance: np.ndarray,
) -> np.ndarray:
    """2-Wasserstein distance between Gaussians, in the units of the data; leading dimensions are a batch.

    Args:
        real_mean, generated_mean: shape (..., d).
        real_covariance, generated_covariance: symmetric positive semi-definite, possibly singular, (..., d, d).

    >>> zero, one = np.zeros(1), np.eye(1)
    >>> w = gaussian_w2(real_mean=zero, real_covariance=one, generated_mean=zero, generated_covariance=4 * one)
    >>> round(float(w), 6)
    1.0
    """
    return np.sqrt(
        frechet_squared(
            real_mean=real_mean,
            real_covariance=real_covariance,
            generated_mean=generated_mean,
            generated_covariance=generated_covariance,
        )
    )


@dataclass(frozen=True, kw_only=True)
class GaussianW2(RowMetric):
    """W2 between the Gaussian fitted to the generated side and that of the real side ('gaussian_w2').

    Source: SCSC (arXiv 2402.07087), Gaussian experiment, which reads the moments of the fitted model
    (``of: model``) and knows those of the target (``mean``, ``covariance``).
    """

    features: Annotated[str | dict[str, Any], Field(description=FEATURES)] = "identity"
    of: Annotated[
        Literal["samples", "model"],
        Field(description="moments of generated rows, or the generator's own `mean` and `covariance`"),
    ] = "samples"
    mean: Annotated[list[float] | None, Field(description="known mean of the target, instead of held-out rows")] = None
    covariance: Annotated[
        list[list[float]] | None, Field(description="known covariance of the target; goes with `mean`")
    ] = None

    few: ClassVar[int] = 30

    def _prepare(self, real: Real, key: Key) -> FrechetTo:
        known = self._known(real.rows.x.shape[1])
        if known is not None:
            return FrechetTo(known.mean, known.covariance)
        resampled, _ = resampled_moments(real.rows.x, key.child("bootstrap"), self.resamples)
        return FrechetTo(*moments(real.rows.x), resampled)

    def _estimate(self, state: FrechetTo, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        value = np.sqrt(state.squared(moments(rows.x)))
        resampled, count = resampled_moments(rows.x, key, self.resamples)
        return {"gaussian_w2": interval(value, np.sqrt(state.squared_resampled(resampled)), 0.0, blocks=count)}

    def measure(self, generated: Samples, *, generator: Generator, key: Key) -> list[Measurement]:
        """Measure generated rows, or (``of: model``) the generator's own moments; then n is 0.

        The floor of a model is that of a Gaussian fitted to as many real rows as there are to train on.

        Raises:
            PartError: ``of: model`` and the generator has no finite `mean` (d,) and `covariance` (d, d).
            DataError: see `RowMetric.measure`.
        """
        if self.of == "samples":
            return super().measure(generated, generator=generator, key=key)
        state: FrechetTo = self._ready.state
        own = self._model_moments(generator, len(state.mean))
        value = np.sqrt(state.squared(own))
        known = 0 if state.resampled is None else len(state.resampled.mean)
        d = len(own.mean)
        repeated = Moments(np.broadcast_to(own.mean, (known, d)), np.broadcast_to(own.covariance, (known, d, d)))
        estimate = interval(value, np.sqrt(state.squared_resampled(repeated)), 0.0) if known else Estimate(float(value))
        floor = self.floors(len(self._ready.train)).get("gaussian_w2")
        return [Measurement("gaussian_w2", *estimate, floor.value if floor is not None else float("nan"), 0)]

    @property
    def _target_known(self) -> bool:
        return self.mean is not None

    def _floor_draw(self, n: int, by_label: bool, key: Key) -> tuple[dict[str, float], int]:
        """With a known target the floor is that of n draws from it, not of the few real rows there may be."""
        if not self._target_known:
            return super()._floor_draw(n, by_label, key)
        state: FrechetTo = self._ready.state
        drawn = key.rng().standard_normal((n, len(state.mean))) @ psd_root(state.covariance).T + state.mean
        return {"gaussian_w2": float(np.sqrt(state.squared(moments(drawn))))}, n

    def _known(self, dim: int) -> Moments | None:
        if self.mean is None and self.covariance is None:
            return None
        if self.mean is None or self.covariance is None:
            raise SpecError("gaussian_w2: give both `mean` and `covariance` of the target, or neither")
        mean = np.asarray(self.mean, np.float64)
        try:
            covariance = np.asarray(self.covariance, np.float64)
        except ValueError as error:
            raise SpecError("gaussian_w2.covariance: the lines have different lengths") from error
        if mean.shape != (dim,) or covariance.shape != (dim, dim):
            raise DataError(
                f"gaussian_w2: rows have {dim} values, so mean needs shape ({dim},) and covariance ({dim}, {dim}); "
                f"got {mean.shape} and {covariance.shape}"
            )
        scale = np.abs(covariance).max()
        if not np.allclose(covariance, covariance.T, rtol=0, atol=1e-9 * scale):
            raise DataError("gaussian_w2.covariance: must be symmetric")
        if np.linalg.eigvalsh(covariance).min() < -1e-9 * scale:
            raise DataError("gaussian_w2.covariance: must have no negative eigenvalue")
        return Moments(mean, covariance)

    def _model_moments(self, generator: Generator, dim: int) -> Moments:
        kind = type(generator).__name__
        if not (hasattr(generator, "mean") and hasattr(generator, "covariance")):
            raise PartError(
                f"gaussian_w2 with of: model reads `mean` and `covariance`, which {kind} does not have; "
                "use of: samples, or a Gaussian generator"
            )
        mean = np.asarray(getattr(generator, "mean"), np.float64).ravel()  # noqa: B009  not in the protocol
        covariance = np.asarray(getattr(generator, "covariance"), np.float64)  # noqa: B009
        if mean.shape != (dim,) or covariance.shape != (dim, dim):
            raise PartError(
                f"gaussian_w2: {kind} has a mean of {mean.shape} and a covariance of {covariance.shape}; "
                f"expected ({dim},) and ({dim}, {dim})"
            )
        if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
            raise PartError(f"gaussian_w2: the moments of {kind} are not finite; its fit has diverged")
        return Moments(mean, covariance)
