from __future__ import annotations

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as SklearnMixture

from ouroloop.errors import DataError
from ouroloop.generators.gaussian_mixture import GaussianMixture
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

TYPES = ["full", "tied", "diag", "spherical"]
CENTRES = np.array([[-5.0, 0.0], [5.0, 0.0], [0.0, 8.0]])


def data(n: int = 900) -> np.ndarray:
    rng = Key(2).rng()
    return CENTRES[np.arange(n) % 3] + rng.standard_normal((n, 2)) * [1.0, 0.3]


def fit(x: np.ndarray, previous: GaussianMixture | None = None, **options) -> GaussianMixture:
    return GaussianMixture(**options).fit(Pool.of(Samples.of(x)), key=Key(0), previous=previous)


class TestSuite(GeneratorSuite):
    def make(self) -> GaussianMixture:
        return GaussianMixture(components=2)


class TestSuitePerClass(GeneratorSuite):
    conditional = True

    def make(self) -> GaussianMixture:
        return GaussianMixture(components=2, per_class=True, covariance_type="diag")


@pytest.mark.parametrize("kind", TYPES)
def test_fit_equals_scikit_learns(kind: str) -> None:
    x = data()
    reference = SklearnMixture(3, covariance_type=kind, random_state=Key(0).integer()).fit(x)
    np.testing.assert_allclose(fit(x, components=3, covariance_type=kind).log_density(x), reference.score_samples(x))


@pytest.mark.parametrize("kind", TYPES)
def test_a_sampling_bias_shrinks_the_components_and_leaves_their_places(kind: str) -> None:
    faithful, biased = (
        fit(data(), components=3, covariance_type=kind, sampling_bias=bias).sample(3000, key=Key(4)).x
        for bias in (1.0, 0.25)
    )
    nearest = np.argmin(np.linalg.norm(faithful[:, None] - CENTRES, axis=-1), axis=1)
    for component in range(3):
        a, b = faithful[nearest == component], biased[nearest == component]
        np.testing.assert_allclose(b.mean(axis=0), CENTRES[component], atol=0.15)
        np.testing.assert_allclose(b.std(axis=0), a.std(axis=0) / 2, rtol=1e-6)


@pytest.mark.parametrize("kind", TYPES)
def test_samples_have_the_models_moments(kind: str) -> None:
    model = fit(data(), components=3, covariance_type=kind)
    assert model.fitted is not None
    weights, means, covariances, *_ = model.fitted.models[0]
    full = {
        "full": lambda: covariances,
        "tied": lambda: np.stack([covariances] * 3),
        "diag": lambda: np.stack([np.diag(c) for c in covariances]),
        "spherical": lambda: np.stack([c * np.eye(2) for c in covariances]),
    }[kind]()
    mean = weights @ means
    covariance = np.einsum("k,kij->ij", weights, full + np.einsum("ki,kj->kij", means, means)) - np.outer(mean, mean)
    n = 100_000
    x = model.sample(n, key=Key(4)).x
    deviation = np.sqrt(np.diag(covariance))
    assert (np.abs(x.mean(axis=0) - mean) < 5 * deviation / np.sqrt(n)).all()
    # The fourth moments of a mixture stay below three times those of a normal with its variance here.
    tolerance = 5 * np.sqrt(3 / n) * np.outer(deviation, deviation)
    assert (np.abs(np.cov(x.T) - covariance) < tolerance).all()


@pytest.mark.parametrize("kind", TYPES)
def test_fine_tuning_starts_from_the_previous_model(kind: str) -> None:
    x = data()
    start = fit(x, components=3, covariance_type=kind, max_iterations=200, tolerance=1e-10)
    cold = fit(x, components=3, covariance_type=kind, initialisation="random", max_iterations=1)
    warm = fit(x, start, components=3, covariance_type=kind, initialisation="random", max_iterations=1)
    assert warm.log_density(x).mean() > cold.log_density(x).mean() + 0.1
    assert warm.log_density(x).mean() == pytest.approx(start.log_density(x).mean(), abs=1e-6)


@pytest.mark.parametrize("change", [{"components": 2}, {"covariance_type": "diag"}])
def test_a_previous_model_of_another_form_is_not_used(change: dict) -> None:
    options = {"components": 3, "covariance_type": "full", **change}
    start = fit(data(), components=3)
    cold, warm = fit(data(), **options), fit(data(), start, **options)
    np.testing.assert_array_equal(warm.log_density(data()), cold.log_density(data()))


def test_an_unfinished_fit_says_so() -> None:
    assert not fit(data(), components=3, initialisation="random", max_iterations=1).converged
    assert fit(data(), components=3).converged


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="too few"):
        fit(data()[:2], components=3)


def test_log_density_integrates_to_one() -> None:
    model = fit(data(), components=3)
    axes = np.linspace(-15, 15, 301), np.linspace(-8, 16, 301)
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
    cell = (axes[0][1] - axes[0][0]) * (axes[1][1] - axes[1][0])
    assert np.exp(model.log_density(grid)).sum() * cell == pytest.approx(1, abs=1e-3)
