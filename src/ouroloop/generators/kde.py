r"""Kernel density estimate: the training rows themselves, blurred by a kernel of width h.

.. math:: \hat p(x) = \frac1n \sum_i h^{-d} K\!\left(\frac{x - x_i}{h}\right)

In a loop that replaces its data, every generation adds the kernel's variance (:math:`h^2` a coordinate for the
Gaussian kernel) to the data's: it spreads where maximum-likelihood models shrink.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError
from ouroloop.generators.classical import Classical, Rows
from ouroloop.keys import Key

__all__ = ["Blur", "Kde", "rule_bandwidth"]

_RULES: dict[str, Callable[[int, int], float]] = {
    "scott": lambda n, d: n ** (-1 / (d + 4)),
    "silverman": lambda n, d: (n * (d + 2) / 4) ** (-1 / (d + 4)),
}


class Blur(NamedTuple):
    """A fitted estimate: the training rows (n, d) in the data's dtype and the bandwidth, float64 ()."""

    rows: np.ndarray
    bandwidth: np.ndarray


def rule_bandwidth(rule: str, rows: np.ndarray) -> float:
    """Bandwidth by a rule of thumb for normal data, times the root mean variance of the coordinates.

    scikit-learn's rules of the same names leave the second factor out, which suits standardised data only.

    Args:
        rule: "scott" (n^(-1/(d+4))) or "silverman" ((n (d+2) / 4)^(-1/(d+4))).
        rows: (n, d), at least two different ones.

    Source: Scott, Multivariate Density Estimation (1992), section 6.3; Silverman, Density Estimation (1986), 4.3.
    """
    n, d = rows.shape
    spread = float(np.sqrt(np.var(np.asarray(rows, np.float64), axis=0, ddof=1).mean())) if n > 1 else 0.0
    if not spread > 0:
        raise DataError(
            f"bandwidth '{rule}' needs rows that differ; give the bandwidth as a number in the data's units"
        )
    return _RULES[rule](n, d) * spread


@dataclass(frozen=True, kw_only=True)
class Kde(Classical[Blur]):
    """A kernel density estimate; rows of any shape are flattened. It keeps all training rows.

    There is nothing to fine-tune: `previous` is not used.
    """

    bandwidth: Annotated[
        Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["scott", "silverman"],
        Field(description="width of the kernel in the data's units, or a rule that finds it"),
    ] = "scott"
    kernel: Annotated[
        Literal["gaussian", "tophat"],
        Field(description="normal with standard deviation h, or uniform in the ball of radius h"),
    ] = "gaussian"

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Log density of rows (n, ...) in nats, float64 (n,); minus infinity where no kernel reaches."""
        from sklearn.neighbors import KernelDensity

        model = self._only_model()
        estimator = KernelDensity(kernel=self.kernel, bandwidth=float(model.bandwidth)).fit(
            np.asarray(model.rows, np.float64)
        )
        return estimator.score_samples(np.asarray(x, np.float64).reshape(len(x), -1))

    def _fit_model(self, rows: Rows, *, key: Key, previous: Blur | None) -> Blur:
        kept = np.concatenate(list(rows()))
        bandwidth = self.bandwidth if not isinstance(self.bandwidth, str) else rule_bandwidth(self.bandwidth, kept)
        return Blur(kept, np.asarray(bandwidth, np.float64))

    def _draw(self, model: Blur, n: int, rng: np.random.Generator) -> np.ndarray:
        centre = model.rows[rng.integers(len(model.rows), size=n)].astype(np.float64)
        step = rng.standard_normal(centre.shape)
        if self.kernel == "tophat":
            radius = rng.random((n, 1)) ** (1 / centre.shape[1])
            step *= radius / np.linalg.norm(step, axis=1, keepdims=True)
        return centre + model.bandwidth * step

    def _pack(self, model: Blur) -> dict[str, np.ndarray]:
        return model._asdict()

    def _unpack(self, arrays: dict[str, np.ndarray]) -> Blur:
        return Blur(arrays["rows"], arrays["bandwidth"])
