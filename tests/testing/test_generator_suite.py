"""Generators with one fault each do not pass the suite; that ours pass is tested with them."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import ouroloop.testing
from ouroloop.errors import DataError
from ouroloop.generators.gaussian import Gaussian
from ouroloop.keys import Key
from ouroloop.samples import Samples
from ouroloop.testing import GeneratorSuite
from ouroloop.testing.digest import state_digest


@dataclass(frozen=True, kw_only=True)
class Good(Gaussian):
    """Everything below differs from this in one thing."""


class FitsItself(Good):
    def fit(self, training, *, key, previous=None):
        object.__setattr__(self, "fitted", super().fit(training, key=key).fitted)
        return self


class SpoilsPrevious(Good):
    def fit(self, training, *, key, previous=None):
        if previous is not None:
            previous.mean[:] += 1
        return super().fit(training, key=key)


class SamplesUnfitted(Good):
    def sample(self, n, *, key, condition=None):
        return super().sample(n, key=key) if self.fitted else Samples.of(np.zeros((n, 2)))


class Unseeded(Good):
    def sample(self, n, *, key, condition=None):
        self._need()
        return Samples.of(np.random.default_rng().standard_normal((n, 2)))


class OneStream(Good):
    def sample(self, n, *, key, condition=None):
        return super().sample(n, key=Key(0))


class Global(Good):
    def sample(self, n, *, key, condition=None):
        np.random.seed(key.integer(32))  # noqa: NPY002
        return super().sample(n, key=key)


class OneMore(Good):
    def sample(self, n, *, key, condition=None):
        return super().sample(max(n, 1), key=key)


class EmptyIsFloat32(Good):
    def sample(self, n, *, key, condition=None):
        drawn = super().sample(n, key=key)
        return drawn if n else drawn.replace(x=drawn.x.astype(np.float32))


class NotANumber(Good):
    def sample(self, n, *, key, condition=None):
        drawn = super().sample(n, key=key)
        return drawn.replace(x=np.where(drawn.x > 3, np.nan, drawn.x))


class Counts(Good):
    def sample(self, n, *, key, condition=None):
        object.__setattr__(self, "calls", getattr(self, "calls", 0) + 1)
        return super().sample(n, key=key.child(self.calls))


class OtherLabels(Good):
    def sample(self, n, *, key, condition=None):
        return super().sample(n, key=key).replace(label=np.zeros(n, int) - 1)


class Pickles(Good):
    def save(self, directory):
        (directory / "model").write_bytes(pickle.dumps(self.fitted))

    def load(self, directory):
        return self._with(pickle.loads((directory / "model").read_bytes()))


class LosesDigits(Good):
    def save(self, directory):
        fitted = self.fitted
        assert fitted is not None
        model = fitted.models[0]
        Gaussian.save(self._with(replace(fitted, models=(model._replace(mean=model.mean.round(3)),))), directory)


class TakesAnything(Good):
    def fit(self, training, *, key, previous=None):
        try:
            return super().fit(training, key=key)
        except DataError:
            return self._with(Gaussian().fit(_unit_square(), key=key).fitted)


class FirstTable(Good):
    def fit(self, training, *, key, previous=None):
        return super().fit(type(training)(training.parts[:1]), key=key)


class ByIdentity(Good):
    def fit(self, training, *, key, previous=None):
        return super().fit(type(training).of(training.take(np.flatnonzero(training.column("id") < 50))), key=key)


class WritesIntoTheData(Good):
    def fit(self, training, *, key, previous=None):
        training.parts[0].x[0] = 0
        return super().fit(training, key=key)


def _unit_square():
    from ouroloop.pool import Pool

    return Pool.of(Samples.of(np.array([[0.0, 0.0], [1.0, 1.0]])))


FAULTS: list[tuple[type, str, dict[str, Any]]] = [
    (FitsItself, "test_fit_returns_a_new_object_and_leaves_self_alone", {}),
    (FitsItself, "test_refits_from_a_fitted_generator", {}),
    (SpoilsPrevious, "test_fine_tuning_leaves_previous_alone", {}),
    (SamplesUnfitted, "test_unfitted_refuses_to_sample", {}),
    (Unseeded, "test_same_key_same_samples", {}),
    (OneStream, "test_other_key_other_samples", {}),
    (Global, "test_global_random_state_is_neither_used_nor_changed", {}),
    (OneMore, "test_count_shape_and_dtype", {"n": 0}),
    (EmptyIsFloat32, "test_count_shape_and_dtype", {"n": 0}),
    (NotANumber, "test_samples_are_finite", {}),
    (Counts, "test_order_of_calls_is_irrelevant", {}),
    (Counts, "test_sampling_changes_nothing", {}),
    (OtherLabels, "test_condition_is_copied_or_left_out", {}),
    (Pickles, "test_saved_and_loaded", {"tmp_path"}),
    (LosesDigits, "test_saved_and_loaded", {"tmp_path"}),
    (TakesAnything, "test_data_that_is_not_finite_is_refused", {"bad": np.nan}),
    (TakesAnything, "test_empty_data_is_refused", {}),
    (FirstTable, "test_several_tables_equal_one", {}),
    (ByIdentity, "test_provenance_is_irrelevant", {}),
    (WritesIntoTheData, "test_same_key_same_samples", {}),
]


@pytest.mark.parametrize(("fault", "test", "arguments"), FAULTS)
def test_a_fault_is_found(fault: type, test: str, arguments: Any, tmp_path: Path) -> None:
    class Suite(GeneratorSuite):
        def make(self) -> Any:
            return fault()

    given = {"tmp_path": tmp_path} if "tmp_path" in arguments else arguments
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError)):
        getattr(Suite(), test)(**given)


@pytest.mark.parametrize(("test", "arguments"), {(t, str(a)): (t, a) for _, t, a in FAULTS}.values())
def test_without_the_fault_there_is_nothing_to_find(test: str, arguments: Any, tmp_path: Path) -> None:
    class Suite(GeneratorSuite):
        def make(self) -> Any:
            return Good()

    getattr(Suite(), test)(**({"tmp_path": tmp_path} if "tmp_path" in arguments else arguments))


def test_a_condition_must_not_vanish_from_a_conditional_generator() -> None:
    class Suite(GeneratorSuite):
        conditional = True

        def make(self) -> Any:
            return Good()

    with pytest.raises(AssertionError):
        Suite().test_condition_is_copied_or_left_out()


class TestDigest:
    def test_equal_contents_are_equal(self) -> None:
        a = {"x": np.arange(3.0), "y": [1, "a", None], "z": {3, 1, 2}}
        assert state_digest(a) == state_digest({"x": np.arange(3.0), "y": [1, "a", None], "z": {2, 3, 1}})

    @pytest.mark.parametrize(
        "other", [np.arange(4.0), np.arange(3), np.arange(3.0)[::-1], np.arange(3.0)[:, None], [0.0, 1.0, 2.0]]
    )
    def test_a_difference_shows(self, other: Any) -> None:
        assert state_digest(np.arange(3.0)) != state_digest(other)

    def test_networks_by_their_weights(self) -> None:
        import torch

        layer = torch.nn.Linear(2, 2)
        before = state_digest(layer)
        layer(torch.zeros(1, 2))
        assert state_digest(layer) == before
        with torch.no_grad():
            layer.bias += 1
        assert state_digest(layer) != before

    def test_cycles_come_to_an_end(self) -> None:
        loop: list[Any] = [1]
        loop.append(loop)
        assert state_digest(loop) != state_digest([1])


def test_the_suites_are_listed() -> None:
    assert ouroloop.testing.GeneratorSuite is GeneratorSuite
    assert dir(ouroloop.testing) == sorted(ouroloop.testing.__all__)
    with pytest.raises(AttributeError, match="it has: "):
        _ = ouroloop.testing.Nothing  # type: ignore[attr-defined]
