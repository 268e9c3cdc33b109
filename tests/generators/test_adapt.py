from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture as SklearnMixture
from sklearn.neighbors import KernelDensity

from ouroloop.errors import DataError, PartError
from ouroloop.generators.adapt import Adapter, SaveableAdapter, adapt, describe
from ouroloop.generators.gaussian import Gaussian
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Generator, Saveable
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite
from ouroloop.testing.digest import state_digest

X = Key(4).rng().standard_normal((80, 2)) * [1, 3] + 5


def pool(x: np.ndarray = X, **columns: np.ndarray) -> Pool:
    return Pool.of(Samples.of(x, **columns))


def fit(obj: Any, data: Pool | None = None, previous: Any = None, key: Key = Key(0)) -> Adapter:
    return adapt(obj).fit(data or pool(), key=key, previous=previous)  # type: ignore[return-value]


class Plain:
    """Draws from NumPy's global generator, as much foreign code does."""

    def fit(self, X):
        self.mean, self.spread = X.mean(axis=0), X.std(axis=0)

    def sample(self, n):
        return self.mean + self.spread * np.random.standard_normal((n, *self.mean.shape))  # noqa: NPY002


class Conditional:
    """A mean per class; draws from an rng of its own."""

    def __init__(self, rng=None):
        self.rng = rng or np.random.default_rng()

    def fit(self, X, labels):
        self.means = {label: X[labels == label].mean(axis=0) for label in np.unique(labels)}

    def sample(self, n, labels):
        assert len(labels) == n
        means = np.array([self.means[label] for label in labels]).reshape(n, -1)
        return means + 0.1 * self.rng.standard_normal(means.shape)


class Network:
    """Keeps tensors; draws from torch's global generator."""

    def fit(self, X):
        self.weights = torch.tensor(X.mean(axis=0))
        return self

    def sample(self, n):
        return self.weights + torch.randn(n, len(self.weights))

    def state_dict(self):
        return {"weights": self.weights, "steps": np.int64(3)}

    def load_state_dict(self, state):
        self.weights = state["weights"]
        assert isinstance(self.weights, torch.Tensor)
        assert state["steps"] == 3


class Folder(Plain):
    """Saves itself, as text."""

    def save(self, directory):
        (directory / "fit.json").write_text(json.dumps([self.mean.tolist(), self.spread.tolist()]))

    def load(self, directory):
        self.mean, self.spread = (np.array(v) for v in json.loads((directory / "fit.json").read_text()))


class TestMixtureSuite(GeneratorSuite):
    def make(self) -> Generator:
        return adapt(SklearnMixture(2))


class TestKernelDensitySuite(GeneratorSuite):
    def make(self) -> Generator:
        return adapt(KernelDensity(bandwidth=0.3))


class TestImagesSuite(GeneratorSuite):
    def make(self) -> Generator:
        return adapt(SklearnMixture(1, covariance_type="diag"))

    def data(self) -> Samples:
        return Samples.of(Key(1).rng().standard_normal((40, 3, 4)))


class TestPlainSuite(GeneratorSuite):
    def make(self) -> Generator:
        return adapt(Plain())


class TestConditionalSuite(GeneratorSuite):
    conditional = True

    def make(self) -> Generator:
        return adapt(Conditional())


class TestNetworkSuite(GeneratorSuite):
    def make(self) -> Generator:
        return adapt(Network())


class TestFolderSuite(GeneratorSuite):
    def make(self) -> Generator:
        return adapt(Folder())


def test_a_generator_is_returned_as_it_is() -> None:
    part = Gaussian()
    assert adapt(part) is part


@pytest.mark.parametrize("obj", [SklearnMixture(2), KernelDensity(), Plain(), Conditional(), Network()])
def test_the_users_object_is_never_changed(obj: Any) -> None:
    before = state_digest(obj) if not isinstance(obj, Conditional) else obj.rng.bit_generator.state
    label = np.arange(80) % 2
    fit(obj, pool(label=label)).sample(3, key=Key(1), condition={"label": label[:3]})
    assert (state_digest(obj) if not isinstance(obj, Conditional) else obj.rng.bit_generator.state) == before


def test_changing_the_users_object_later_changes_nothing() -> None:
    obj = SklearnMixture(2)
    generator = adapt(obj)
    obj.set_params(n_components=60)
    assert describe(generator)["parameters"]["n_components"] == 2


def test_the_real_data_are_safe_from_fits_that_write_into_them() -> None:
    class Centring(Plain):
        def fit(self, X):
            X -= X.mean(axis=0)
            super().fit(X)

    x = X.copy()
    fit(Centring(), pool(x))
    np.testing.assert_array_equal(x, X)


def test_scikit_learns_mixture_is_itself() -> None:
    key = Key(9)
    expected = SklearnMixture(3, random_state=key.integer()).fit(X)
    np.testing.assert_array_equal(fit(SklearnMixture(3), key=key).model.means_, expected.means_)
    drawn = fit(SklearnMixture(3), key=key).sample(20, key=Key(1))
    expected.random_state = Key(1).integer()
    np.testing.assert_array_equal(drawn.x, expected.sample(20)[0])
    assert drawn.data_columns == ("x",)  # the component that it drew from is no label


def test_kernel_density_draws_around_its_rows() -> None:
    drawn = fit(KernelDensity(bandwidth=1e-9)).sample(40, key=Key(1)).x
    assert np.abs(drawn[:, None] - X[None]).max(axis=-1).min(axis=1).max() < 1e-6


def test_python_numpy_and_torch_draws_are_reproducible() -> None:
    class Careless(Plain):
        def sample(self, n):
            noise = [random.random() + np.random.random() + float(torch.rand(1)) for _ in range(n)]  # noqa: NPY002
            return np.column_stack([noise, noise])

    model = fit(Careless())
    np.testing.assert_array_equal(model.sample(5, key=Key(1)).x, model.sample(5, key=Key(1)).x)
    assert not np.array_equal(model.sample(5, key=Key(1)).x, model.sample(5, key=Key(2)).x)


@pytest.mark.parametrize("name", ["random_state", "seed", "rng"])
@pytest.mark.parametrize("where", ["keyword", "attribute"])
def test_seeds_are_set_where_they_are_taken(name: str, where: str) -> None:
    got: list[Any] = []

    class Attribute(Plain):
        def __init__(self):
            setattr(self, name, None)

        def sample(self, n):
            got.append(getattr(self, name))
            return super().sample(n)

    class Keyword(Plain):
        sample = {
            "random_state": lambda self, n, random_state=None: got.append(random_state) or Plain.sample(self, n),
            "seed": lambda self, n, seed=None: got.append(seed) or Plain.sample(self, n),
            "rng": lambda self, n, rng=None: got.append(rng) or Plain.sample(self, n),
        }[name]

    fit(Attribute() if where == "attribute" else Keyword()).sample(2, key=Key(6))
    if name == "rng":
        assert got[0].random() == Key(6).rng().random()
    else:
        assert got == [Key(6).integer()]


def test_a_torch_generator_is_replaced_by_one() -> None:
    class Torch(Plain):
        def __init__(self):
            self.rng = torch.Generator()

        def sample(self, n):
            return torch.randn(n, 2, generator=self.rng)

    np.testing.assert_array_equal(
        fit(Torch()).sample(3, key=Key(6)).x, torch.randn(3, 2, generator=Key(6).torch()).numpy()
    )


class TestShapes:
    images = Key(2).rng().random((30, 2, 3, 3))

    def test_an_object_that_wants_flat_rows_gets_them(self) -> None:
        model = fit(KernelDensity(), pool(self.images))
        assert model.model.n_features_in_ == 18
        assert model.sample(4, key=Key(0)).x.shape == (4, 2, 3, 3)

    def test_an_object_that_takes_images_gets_images(self) -> None:
        model = fit(Plain(), pool(self.images))
        assert model.model.mean.shape == (2, 3, 3)
        assert model.sample(4, key=Key(0)).x.shape == (4, 2, 3, 3)

    def test_an_object_that_flattens_by_itself(self) -> None:
        class Flattening(Plain):
            def fit(self, X):
                super().fit(X.reshape(len(X), -1))

        assert fit(Flattening(), pool(self.images)).sample(4, key=Key(0)).x.shape == (4, 2, 3, 3)

    def test_single_numbers(self) -> None:
        assert fit(SklearnMixture(2), pool(X[:, 0])).sample(4, key=Key(0)).x.shape == (4,)

    def test_texts(self) -> None:
        class Parrot:
            def fit(self, X):
                self.texts = X

            def sample(self, n):
                return [random.choice(self.texts) for _ in range(n)]

        drawn = fit(Parrot(), pool(np.array(["a", "bc"]))).sample(5, key=Key(0)).x
        assert set(drawn) <= {"a", "bc"}


class TestLabels:
    label = np.where(X[:, 0] > 5, "high", "low")

    def test_a_conditional_object_draws_what_is_asked_for(self) -> None:
        model = fit(Conditional(), pool(label=self.label))
        asked = np.array(["low", "high", "high"])
        drawn = model.sample(3, key=Key(0), condition={"label": asked, "note": np.arange(3)})
        assert ((drawn.x[:, 0] > 5) == (asked == "high")).all()
        assert drawn["note"].tolist() == [0, 1, 2]

    def test_without_a_condition_labels_are_as_frequent_as_in_training(self) -> None:
        drawn = fit(Conditional(), pool(label=self.label)).sample(4000, key=Key(0))
        share = (self.label == "high").mean()
        assert abs((drawn.label == "high").mean() - share) < 5 * np.sqrt(share * (1 - share) / 4000)

    def test_required_labels_that_are_not_there(self) -> None:
        with pytest.raises(DataError, match="no column 'label'"):
            fit(Conditional())

    def test_a_pair_from_an_object_that_was_given_labels(self) -> None:
        class Joint(Plain):
            def fit(self, X, y):
                super().fit(X)
                self.y = y

            def sample(self, n):
                return super().sample(n), self.y[:n]

        drawn = fit(Joint(), pool(label=self.label)).sample(4, key=Key(0))
        assert drawn.label.tolist() == self.label[:4].tolist()

    def test_an_estimator_that_ignores_y_is_not_given_any(self) -> None:
        drawn = fit(SklearnMixture(2), pool(label=self.label)).sample(4, key=Key(0))
        assert drawn.data_columns == ("x",)


class TestFineTuning:
    def test_previous_is_passed_to_a_fit_that_takes_it(self) -> None:
        class Continuing(Plain):
            steps = 0

            def fit(self, X, previous=None):
                super().fit(X)
                self.steps = 1 + (previous.steps if previous else 0)

        first = fit(Continuing())
        assert (first.model.steps, fit(Continuing(), previous=first).model.steps) == (1, 2)

    def test_an_estimator_with_a_warm_start_goes_on(self) -> None:
        template = SklearnMixture(2, warm_start=True, max_iter=500, tol=1e-9)
        first = fit(template)
        assert first.model.n_iter_ > 2
        assert fit(template, previous=first).model.n_iter_ <= 2
        assert fit(template).model.n_iter_ == first.model.n_iter_

    def test_others_start_from_scratch(self) -> None:
        first = fit(SklearnMixture(2))
        np.testing.assert_array_equal(fit(SklearnMixture(2), previous=first).model.means_, first.model.means_)


class TestSaving:
    def test_only_objects_that_keep_their_state_are_saveable(self) -> None:
        assert isinstance(adapt(Network()), Saveable)
        assert isinstance(adapt(Folder()), Saveable)
        assert not isinstance(adapt(SklearnMixture(2)), Saveable)
        assert not isinstance(adapt(Plain()), Saveable)

    def test_a_state_without_numbers_is_refused(self, tmp_path: Path) -> None:
        class Chatty(Network):
            def state_dict(self):
                return {"weights": self.weights, "history": ["a", "b"]}

        with pytest.raises(PartError, match="history"):
            fit(Chatty()).save(tmp_path)  # type: ignore[attr-defined]

    def test_half_precision_survives(self, tmp_path: Path) -> None:
        class Half(Network):
            def fit(self, X):
                self.weights = torch.tensor(X.mean(axis=0)).to(torch.bfloat16)

            def sample(self, n):
                return self.weights.expand(n, 2) + torch.randn(n, 2, dtype=torch.bfloat16)

            def load_state_dict(self, state):
                self.weights = state["weights"].to(torch.bfloat16)

        model = fit(Half())
        assert isinstance(model, SaveableAdapter)
        model.save(tmp_path)
        loaded = adapt(Half()).load(tmp_path)  # type: ignore[attr-defined]
        np.testing.assert_array_equal(loaded.sample(3, key=Key(0)).x, model.sample(3, key=Key(0)).x)


class TestErrors:
    def test_a_class_is_not_an_object(self) -> None:
        with pytest.raises(PartError, match="is a class"):
            adapt(SklearnMixture)

    def test_missing_methods_are_named(self) -> None:
        with pytest.raises(PartError, match=r"no method sample.*fit\(X\) and sample\(n\)"):
            adapt(type("Fits", (), {"fit": lambda self, X: None})())

    def test_an_error_names_object_stage_and_cause(self) -> None:
        class Broken(Plain):
            def fit(self, X):
                raise KeyError("no such layer")

        with pytest.raises(PartError, match=r"Broken: fit failed: KeyError: 'no such layer'") as caught:
            fit(Broken())
        assert isinstance(caught.value.__cause__, KeyError)

    @pytest.mark.parametrize(
        ("drawn", "message"),
        [
            (lambda n: np.zeros((n - 1, 2)), r"sample\(5\) returned shape \(4, 2\); expected \(5, 2\)"),
            (lambda n: np.zeros((n, 3)), r"returned shape \(5, 3\)"),
            (lambda n: np.full((n, 2), np.nan), "NaN in column 'x', row 0"),
            (lambda n: np.full((n, 2), -np.inf), "infinity"),
            (lambda n: [[0.0]] * (n - 1) + [[0.0, 1.0]], "sample failed: ValueError"),
            (lambda n: None, "returned shape"),
            (lambda n: 1 / 0, "sample failed: ZeroDivisionError"),
        ],
    )
    def test_bad_samples_are_refused(self, drawn: Any, message: str) -> None:
        obj = Plain()
        obj.sample = drawn
        with pytest.raises(PartError, match=message):
            fit(obj).sample(5, key=Key(0))

    def test_an_object_that_cannot_be_copied(self) -> None:
        class Locked(Plain):
            def __deepcopy__(self, memo):
                raise TypeError("cannot copy a lock")

        with pytest.raises(PartError, match=r"__deepcopy__.*cannot copy a lock"):
            adapt(Locked())

    def test_an_estimator_that_breaks_scikit_learns_rules(self) -> None:
        class Unclonable(BaseEstimator):
            def __init__(self, size=1):
                self.size = [size]

            def fit(self, X):
                return self

            def sample(self, n):
                return np.zeros((n, 2))

        with pytest.raises(PartError, match="Unclonable: copying"):
            adapt(Unclonable())


class TestDescribe:
    def test_an_estimator(self) -> None:
        described = describe(SklearnMixture(3, means_init=np.zeros((3, 2))))
        assert described["object"] == "sklearn.mixture._gaussian_mixture.GaussianMixture"
        assert described["parameters"]["n_components"] == 3
        assert described["parameters"]["means_init"]["shape"] == [3, 2]
        json.dumps(described)

    def test_an_adapter_describes_its_object(self) -> None:
        assert describe(fit(SklearnMixture(3))) == describe(SklearnMixture(3))

    def test_a_changed_array_or_weight_shows(self) -> None:
        a, b = torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)
        b.load_state_dict(a.state_dict())
        assert describe(a) == describe(b)
        with torch.no_grad():
            b.weight[0, 0] += 1
        assert describe(a) != describe(b)
        json.dumps(describe(a))

    def test_plain_objects_and_data_classes(self) -> None:
        @dataclass
        class Options:
            size: int = 3
            inner: Any = None

        obj = Plain()
        obj.options, obj.scale, obj._private = Options(inner={"f": np.mean}), np.float32(2), 5
        described = describe(obj)
        assert described["parameters"]["scale"] == 2.0
        assert described["parameters"]["options"]["parameters"]["inner"] == {"f": {"object": "numpy.mean"}}
        assert "_private" not in described["parameters"]
        json.dumps(described)

    def test_an_object_inside_itself_comes_to_an_end(self) -> None:
        obj = Plain()
        obj.me = obj
        json.dumps(describe(obj))

    def test_a_function(self) -> None:
        assert describe(json.dumps) == {"object": "json.dumps"}
