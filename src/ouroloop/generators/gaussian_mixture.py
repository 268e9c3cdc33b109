"""A mixture of normal distributions, fitted by scikit-learn's expectation maximisation."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.generators.classical import Classical, Rows
from ouroloop.generators.gaussian import SamplingBias, factor
from ouroloop.keys import Key

if TYPE_CHECKING:
    import sklearn.mixture

__all__ = ["GaussianMixture", "Mixture"]


class Mixture(NamedTuple):
    """A fitted mixture, in scikit-learn's arrays; the shape of the last two depends on the covariance type.

    Attributes:
        weights: (k,). means: (k, d).
        covariances: full (k, d, d), tied (d, d), diag (k, d) or spherical (k,).
        precisions_cholesky: Cholesky factors of the inverse covariances, same shape.
        converged: whether expectation maximisation met its tolerance, bool ().
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    precisions_cholesky: np.ndarray
    converged: np.ndarray


@dataclass(frozen=True, kw_only=True)
class GaussianMixture(Classical[Mixture]):
    """A Gaussian mixture; rows of any shape are flattened. All rows are held in memory during a fit.

    Fine-tuning starts expectation maximisation at the weights, means and precisions of `previous`, if it has
    the same number of components and covariance type; otherwise, and from scratch, at `initialisation`.
    A fit that stops at `max_iterations` is used as it is; see `converged`. The sampling bias scales the components'
    variances, not the distances between them.
    """

    components: Annotated[int, Field(ge=1, description="number of normal distributions")] = 8
    covariance_type: Annotated[
        Literal["full", "tied", "diag", "spherical"], Field(description="shape of the components' covariances")
    ] = "full"
    regularisation: Annotated[float, Field(ge=0, allow_inf_nan=False, description="added to every variance")] = 1e-6
    tolerance: Annotated[float, Field(ge=0, description="stop when the mean log likelihood gains less, nats")] = 1e-3
    max_iterations: Annotated[int, Field(ge=1, description="iterations of expectation maximisation")] = 100
    restarts: Annotated[int, Field(ge=1, description="initialisations tried when fitting from scratch")] = 1
    initialisation: Annotated[
        Literal["kmeans", "k-means++", "random", "random_from_data"], Field(description="where the first guess is from")
    ] = "kmeans"
    sampling_bias: SamplingBias = 1.0

    @property
    def converged(self) -> bool:
        """Whether every fitted model met the tolerance."""
        return all(bool(model.converged) for model in self._need().models)

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """Log density of rows (n, ...) in nats, float64 (n,)."""
        return self._estimator(self._only_model()).score_samples(np.asarray(x, np.float64).reshape(len(x), -1))

    def _fit_model(self, rows: Rows, *, key: Key, previous: Mixture | None) -> Mixture:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture as Estimator

        x = np.concatenate([np.asarray(block, np.float64) for block in rows()])
        if len(x) < max(self.components, 2):
            raise DataError(
                f"{len(x)} rows are too few for a mixture of {self.components}; use at least as many rows as "
                "components, and two"
            )
        start = self._warm_start(previous)
        estimator = Estimator(
            self.components,
            covariance_type=self.covariance_type,
            tol=self.tolerance,
            reg_covar=self.regularisation,
            max_iter=self.max_iterations,
            n_init=1 if start else self.restarts,
            init_params=self.initialisation,
            random_state=key.integer(),
            **start,
        )
        try:
            with warnings.catch_warnings():
                # Stopping early and fewer distinct rows than components are no errors: `converged` tells.
                warnings.simplefilter("ignore", ConvergenceWarning)
                estimator.fit(x)
        except ValueError as error:
            raise PartError(
                f"expectation maximisation failed ({error}); try a larger regularisation (it is {self.regularisation}) "
                "or fewer components"
            ) from error
        return Mixture(
            np.asarray(estimator.weights_),
            np.asarray(estimator.means_),
            np.asarray(estimator.covariances_),
            np.asarray(estimator.precisions_cholesky_),
            np.asarray(estimator.converged_),
        )

    def _warm_start(self, previous: Mixture | None) -> dict[str, Any]:
        if previous is None or len(previous.weights) != self.components:
            return {}
        root, dim = previous.precisions_cholesky, previous.means.shape[1]
        shapes = {"full": (self.components, dim, dim), "tied": (dim, dim), "diag": (self.components, dim)}
        if root.shape != shapes.get(self.covariance_type, (self.components,)):
            return {}
        is_matrix = self.covariance_type in ("full", "tied")
        precisions = root @ root.swapaxes(-1, -2) if is_matrix else root**2
        # Weights saved and read back must sum to one to the last bit that scikit-learn looks at.
        return {
            "weights_init": previous.weights / previous.weights.sum(),
            "means_init": previous.means,
            "precisions_init": precisions,
        }

    def _estimator(self, model: Mixture) -> sklearn.mixture.GaussianMixture:
        from sklearn.mixture import GaussianMixture as Estimator

        estimator = Estimator(len(model.weights), covariance_type=self.covariance_type)
        estimator.weights_, estimator.means_ = model.weights, model.means
        estimator.covariances_, estimator.precisions_cholesky_ = model.covariances, model.precisions_cholesky
        return estimator

    def _draw(self, model: Mixture, n: int, rng: np.random.Generator) -> np.ndarray:
        weights = model.weights / model.weights.sum()
        component = rng.choice(len(weights), size=n, p=weights)
        z = math.sqrt(self.sampling_bias) * rng.standard_normal((n, model.means.shape[1]))
        if self.covariance_type in ("diag", "spherical"):
            scale = np.sqrt(model.covariances)[component]
            return model.means[component] + z * (scale if scale.ndim == 2 else scale[:, None])
        if self.covariance_type == "tied":
            return model.means[component] + z @ factor(model.covariances)
        flat, factors = np.empty_like(z), factor(model.covariances)
        for index, root in enumerate(factors):
            rows = np.flatnonzero(component == index)
            flat[rows] = model.means[index] + z[rows] @ root
        return flat

    def _pack(self, model: Mixture) -> dict[str, np.ndarray]:
        return {**model._asdict(), "converged": np.asarray(model.converged, np.uint8)}

    def _unpack(self, arrays: dict[str, np.ndarray]) -> Mixture:
        return Mixture(**{**arrays, "converged": arrays["converged"].astype(bool)})
