"""Every metric of ours passes the suite that third-party metrics subclass, and the suite catches broken ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ouroloop.errors import PartError
from ouroloop.metrics.classes import Classes
from ouroloop.metrics.diversity import Diversity
from ouroloop.metrics.energy import Energy
from ouroloop.metrics.fid import Fid
from ouroloop.metrics.gaussian_w2 import GaussianW2
from ouroloop.metrics.kid import Kid
from ouroloop.metrics.mmd import Mmd
from ouroloop.metrics.moments import Moments
from ouroloop.metrics.nearest_real import NearestReal
from ouroloop.metrics.prdc import Prdc
from ouroloop.metrics.sliced_w2 import SlicedW2
from ouroloop.protocols import Measurement
from ouroloop.testing.metric_suite import MetricSuite


class TestClasses(MetricSuite):
    def make(self):
        return Classes()


class TestDiversity(MetricSuite):
    def make(self):
        return Diversity()


class TestEnergy(MetricSuite):
    def make(self):
        return Energy()


class TestFid(MetricSuite):
    def make(self):
        return Fid(also_n=(20, 5000), features={"kind": "pca", "components": 2})


class TestGaussianW2(MetricSuite):
    def make(self):
        return GaussianW2()


class TestGaussianW2OfTheModel(MetricSuite):
    reads_rows = False

    def make(self):
        return GaussianW2(of="model", mean=[0.0, 1.0], covariance=[[1.0, 0.2], [0.2, 1.0]])

    def generator(self):
        return SimpleNamespace(mean=np.zeros(2), covariance=np.eye(2))


class TestKid(MetricSuite):
    def make(self):
        return Kid(subset_size=60, subsets=3)


class TestMmd(MetricSuite):
    def make(self):
        return Mmd(max_rows=80)


class TestMoments(MetricSuite):
    def make(self):
        return Moments()


class TestNearestReal(MetricSuite):
    def make(self):
        return NearestReal()


class TestPrdc(MetricSuite):
    def make(self):
        return Prdc(k=3)


class TestSlicedW2(MetricSuite):
    def make(self):
        return SlicedW2(directions=16)


@dataclass(frozen=True)
class Mean:
    """A small correct metric, and ways to break it."""

    broken: str = ""
    fitted: bool = False
    seen: list = field(default_factory=list)

    def fit(self, reference, *, key):
        if self.broken == "mutating fit":
            object.__setattr__(self, "fitted", True)
            return self
        reference.real.check_finite("real")
        return replace(self, fitted=True, seen=[])

    def measure(self, generated, *, generator: Any, key):
        if not self.fitted:
            raise PartError("fit first")
        if self.broken != "blind":
            generated.check_finite("generated")
            if len(generated) == 0 or generated.x.shape[1:] != (2,):
                raise PartError("bad rows")
        self.seen.append(1)
        value = float(np.nanmean(generated.x)) if len(generated) else 0.0
        if self.broken == "history":
            value += len(self.seen)
        if self.broken == "global":
            value += np.random.rand()  # noqa: NPY002
        low = value + 1 if self.broken == "interval" else value
        floor = key.rng().random() if self.broken == "floor" else 0.0
        name = "mean"
        found = [Measurement(name, value, low, max(low, value), floor, len(generated))]
        return found * 2 if self.broken == "names" else found


def suite(broken: str) -> MetricSuite:
    class Broken(MetricSuite):
        def make(self):
            return Mean(broken)

    return Broken()


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        ("mutating fit", "test_fit_returns_a_new_object_and_leaves_the_rest_alone"),
        ("history", "test_order_of_calls_is_irrelevant"),
        ("interval", "test_measurements_are_well_formed"),
        ("names", "test_measurements_are_well_formed"),
        ("floor", "test_the_floor_is_that_of_the_fit_alone"),
        ("global", "test_global_random_state_is_neither_used_nor_changed"),
        ("blind", "test_no_rows_are_refused"),
        ("blind", "test_rows_of_another_shape_are_refused"),
    ],
)
def test_the_suite_catches_a_broken_metric(broken, test):
    getattr(suite(""), test)()
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(suite(broken), test)()
