from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.mixture import GaussianMixture as SklearnMixture

from ouroloop.errors import DataError, PartError, StoreError
from ouroloop.generators.gaussian import Gaussian, factor
from ouroloop.generators.gaussian_mixture import GaussianMixture
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite

X = Key(5).rng().standard_normal((200, 3)) @ np.array([[1.0, 0.5, 0], [0, 2, 0], [0, 0, 0.1]]) + [3, -1, 50]


def fit(x: np.ndarray = X, **options: object) -> Gaussian:
    return Gaussian(**options).fit(Pool.of(Samples.of(x)), key=Key(0))  # type: ignore[arg-type]


class TestSuite(GeneratorSuite):
    def make(self) -> Gaussian:
        return Gaussian()


class TestSuitePerClass(GeneratorSuite):
    conditional = True

    def make(self) -> Gaussian:
        return Gaussian(per_class=True, regularisation=1e-6)


class TestSuiteImages(GeneratorSuite):
    parts_tolerance = 1e-4  # float32 samples

    def make(self) -> Gaussian:
        return Gaussian(estimator="unbiased")

    def data(self) -> Samples:
        return Samples.of(Key(1).rng().standard_normal((50, 3, 4)).astype(np.float32))


class TestSuiteCounts(GeneratorSuite):
    def make(self) -> Gaussian:
        return Gaussian()

    def data(self) -> Samples:
        return Samples.of(Key(1).rng().integers(0, 255, (50, 2), dtype=np.uint8))


@pytest.mark.parametrize(("estimator", "ddof"), [("mle", 0), ("unbiased", 1)])
def test_moments_equal_numpys(estimator: str, ddof: int) -> None:
    model = fit(estimator=estimator)
    np.testing.assert_allclose(model.mean, X.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(model.covariance, np.cov(X.T, ddof=ddof), rtol=1e-10)


def test_equals_scikit_learns_one_component_mixture() -> None:
    reference = SklearnMixture(1, reg_covar=1e-6).fit(X)
    model = fit(regularisation=1e-6)
    np.testing.assert_allclose(model.mean, reference.means_[0], rtol=1e-12)
    np.testing.assert_allclose(model.covariance, reference.covariances_[0], rtol=1e-9)
    np.testing.assert_allclose(model.log_density(X), reference.score_samples(X), rtol=1e-9)


def test_samples_are_the_documented_formula() -> None:
    model = fit()
    z = Key(7).rng().standard_normal((11, 3))
    expected = model.mean + z @ factor(model.covariance)
    np.testing.assert_array_equal(model.sample(11, key=Key(7)).x, expected)


def test_a_sampling_bias_draws_the_same_rows_nearer_to_the_mean() -> None:
    faithful, biased = (fit(sampling_bias=bias).sample(11, key=Key(7)).x for bias in (1.0, 0.25))
    mean = fit().mean
    np.testing.assert_allclose(biased - mean, (faithful - mean) / 2, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(fit(sampling_bias=0.25).covariance, fit().covariance)


def test_samples_have_the_fitted_moments() -> None:
    n, model = 200_000, fit()
    x = model.sample(n, key=Key(3)).x
    error = np.sqrt(np.diag(model.covariance) / n)
    assert (np.abs(x.mean(axis=0) - model.mean) < 5 * error).all()
    scale = np.sqrt(np.outer(np.diag(model.covariance), np.diag(model.covariance)))
    assert (np.abs(np.cov(x.T) - model.covariance) < 5 * np.sqrt(2 / n) * scale).all()


def test_a_mean_far_from_the_origin_costs_no_precision() -> None:
    np.testing.assert_allclose(fit(X + 1e8).covariance, fit(X).covariance, rtol=1e-5)


def test_statistics_add_up_and_determine_the_fit() -> None:
    parts = [Samples.of(X[:70]), Samples.of(X[70:])]
    model = Gaussian(estimator="unbiased", regularisation=0.1)
    n, total, outer = (a + b for a, b in zip(*(model.statistics(Pool.of(p)) for p in parts), strict=True))
    found = model.from_statistics(n, total, outer)
    expected = model.fit(Pool.of(*parts), key=Key(0))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.covariance, expected.covariance, atol=1e-10)
    assert found.sample(2, key=Key(0)).x.shape == (2, 3)


def test_no_more_than_a_batch_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    pool, seen = Pool.of(Samples.of(np.ones((200_000, 2)))), []
    monkeypatch.setattr(Pool, "materialise", None)
    monkeypatch.setattr(Pool, "column", None)
    original = Pool.batches
    monkeypatch.setattr(Pool, "batches", lambda self: (seen.append(len(b)) or b for b in original(self)))
    Gaussian().fit(pool, key=Key(0))
    assert max(seen) == 65_536


@given(arrays(np.float64, (4, 4), elements=st.floats(-1e3, 1e3)))
def test_the_factor_squares_to_the_covariance(a: np.ndarray) -> None:
    covariance = a @ a.T
    root = factor(covariance)
    np.testing.assert_allclose(root, root.T, atol=1e-9)
    np.testing.assert_allclose(root @ root, covariance, atol=1e-9 * (1 + np.abs(covariance).max()))


def test_a_stack_is_factored_one_by_one() -> None:
    a = Key(0).rng().standard_normal((5, 3, 3))
    stack = a @ a.swapaxes(1, 2)
    np.testing.assert_array_equal(factor(stack), np.stack([factor(c) for c in stack]))


@pytest.mark.parametrize("bad", [[[1.0, 2.0], [2.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]]])
def test_what_is_no_covariance_is_refused(bad: list[list[float]]) -> None:
    with pytest.raises(DataError):
        factor(np.array(bad))


def test_singular_data_are_fitted() -> None:
    x = np.outer(np.arange(5.0), [1.0, 2.0])
    drawn = fit(x).sample(50, key=Key(0)).x
    np.testing.assert_allclose(drawn[:, 1], 2 * drawn[:, 0], atol=1e-6)


def test_identical_rows_give_those_rows() -> None:
    drawn = fit(np.full((6, 2), 4.0)).sample(3, key=Key(0)).x
    np.testing.assert_array_equal(drawn, np.full((3, 2), 4.0))


def test_one_row_is_too_few_for_the_unbiased_estimate() -> None:
    with pytest.raises(DataError, match="at least 2"):
        fit(X[:1], estimator="unbiased")


def test_text_is_refused() -> None:
    with pytest.raises(DataError, match="not numbers"):
        fit(np.array(["a", "b"]))


def test_tables_of_different_rows_are_refused() -> None:
    pool = Pool.of(Samples.of(np.zeros((2, 2))), Samples.of(np.zeros((2, 3))))
    with pytest.raises(DataError, match="different shapes"):
        Gaussian().fit(pool, key=Key(0))


class TestPerClass:
    data = Samples.of(np.concatenate([X, X[:50] + 100]), label=np.repeat(["cat", "dog"], [200, 50]))

    def fit(self) -> Gaussian:
        return Gaussian(per_class=True).fit(Pool.of(self.data), key=Key(0))

    def test_a_class_is_fitted_on_its_rows(self) -> None:
        drawn = self.fit().sample(100, key=Key(1), condition={"label": np.repeat(["dog", "cat"], 50)})
        assert drawn.x[:50, 0].min() > 90
        assert drawn.x[50:, 0].max() < 20

    def test_labels_are_as_frequent_as_in_training(self) -> None:
        label = self.fit().sample(10_000, key=Key(1)).label
        assert abs((label == "dog").mean() - 0.2) < 5 * np.sqrt(0.2 * 0.8 / 10_000)

    def test_unknown_labels_are_named(self) -> None:
        with pytest.raises(DataError, match="cow"):
            self.fit().sample(1, key=Key(1), condition={"label": np.array(["cow"])})

    def test_needs_labels(self) -> None:
        with pytest.raises(DataError, match="label"):
            Gaussian(per_class=True).fit(Pool.of(Samples.of(X)), key=Key(0))

    def test_has_no_single_mean(self) -> None:
        with pytest.raises(PartError, match=r"one model per class .* set per_class: false or leave out metrics"):
            _ = self.fit().mean


def test_another_kind_of_model_is_not_loaded(tmp_path) -> None:
    fit().save(tmp_path)
    with pytest.raises(DataError, match="Gaussian, not a GaussianMixture"):
        GaussianMixture().load(tmp_path)


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(StoreError, match=r"model\.safetensors"):
        Gaussian().load(tmp_path)
