"""All our correctors pass the conformance suite, and correctors with one fault each do not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from ouroloop.correction import Correction
from ouroloop.correctors.chain import Chain
from ouroloop.correctors.cluster import Cluster
from ouroloop.correctors.function import adapt
from ouroloop.correctors.histogram import Histogram
from ouroloop.correctors.ideal import Ideal
from ouroloop.correctors.identity import Identity
from ouroloop.correctors.nearest_real import NearestReal
from ouroloop.correctors.transport import Transport
from ouroloop.keys import Key
from ouroloop.protocols import Corrector, Reference
from ouroloop.samples import Samples
from ouroloop.testing import CorrectorSuite


class TestIdentity(CorrectorSuite):
    row_by_row = True

    def make(self) -> Corrector:
        return Identity()


class TestIdeal(CorrectorSuite):
    def make(self) -> Corrector:
        return Ideal()


class TestClusterProject(CorrectorSuite):
    row_by_row = True

    def make(self) -> Corrector:
        return Cluster(clusters=3)


class TestClusterProjectSingle(TestClusterProject):
    """Images of single precision, and centres found in another space."""

    def make(self) -> Corrector:
        return Cluster(clusters=3, blend=0.5, space={"kind": "pca", "components": 2})

    def real(self, n: int, key: Key) -> Samples:
        label = np.arange(n) % 3
        x = key.rng().standard_normal((n, 4, 3)) + label[:, None, None]
        return Samples.of(x.astype(np.float32), label=label)


class TestClusterMoments(CorrectorSuite):
    def make(self) -> Corrector:
        return Cluster(clusters=3, mode="moments")


class TestTransportReal(CorrectorSuite):
    def make(self) -> Corrector:
        return Transport(max_assignment=9)


class TestTransportFresh(CorrectorSuite):
    def make(self) -> Corrector:
        return Transport(reference="fresh", blend=1.0)


class TestNearestReal(CorrectorSuite):
    row_by_row = True

    def make(self) -> Corrector:
        return NearestReal(quantile=0.8)


class TestNearestRealByLabel(TestNearestReal):
    def make(self) -> Corrector:
        return NearestReal(by_label=True, neighbours=2, space={"kind": "pca"}, action="fail")


class TestHistogram(CorrectorSuite):
    def make(self) -> Corrector:
        return Histogram(correction_strength=0.5)


class TestChain(CorrectorSuite):
    def make(self) -> Corrector:
        return Chain(parts=(NearestReal(), Cluster(blend=0.5), adapt(np.round), Transport()))


class TestChainOfNothing(TestIdentity):
    def make(self) -> Corrector:
        return Chain()


class TestFunction(CorrectorSuite):
    row_by_row = True

    def make(self) -> Corrector:
        return adapt(lambda x: np.clip(x, -1.0, 1.0, out=x))


class TestFunctionWithStream(CorrectorSuite):
    def make(self) -> Corrector:
        return adapt(lambda samples, rng: samples.replace(x=samples.x + rng.standard_normal(samples.x.shape)))


@dataclass
class _Faulty:
    """A corrector with one fault."""

    fault: str
    memory: list[Any] = field(default_factory=list)

    def fit(self, reference: Reference, *, key: Key) -> _Faulty:
        if self.fault == "fit changes self":
            self.memory.append(1)
        return _Faulty(self.fault)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        good = np.isfinite(synthetic.x).all(axis=1)
        x = np.where(good[:, None], synthetic.x * 0.5, synthetic.x)
        verdict, distance = np.where(good, 1, 3), np.where(good, np.linalg.norm(synthetic.x - x, axis=1), 0.0)
        match self.fault:
            case "loses a column":
                return Correction(synthetic, Samples.of(x), verdict, distance)
            case "keeps moved rows":
                return Correction(synthetic, synthetic.replace(x=x), np.where(good, 0, 3), distance)
            case "lets NaN through":
                verdict = np.ones(len(x))
            case "global stream":
                x = x + np.where(good[:, None], np.random.standard_normal(x.shape), 0.0)  # noqa: NPY002
            case "other type":
                x = x.astype(np.float32)
            case "negative distance":
                distance = -distance
            case "remembers":
                self.memory.append(len(x))
            case "reorders":
                synthetic = synthetic.take(np.arange(len(x))[::-1])
            case "needs two rows":
                assert len(x) > 1
        return Correction(synthetic, synthetic.replace(x=x), verdict, distance)


@pytest.mark.parametrize(
    ("fault", "caught_by"),
    [
        ("fit changes self", "test_fit_leaves_self_alone"),
        ("loses a column", "test_columns_and_types_are_kept"),
        ("keeps moved rows", "test_distances"),
        ("lets NaN through", "test_rows_that_are_not_finite_fail"),
        ("global stream", "test_global_random_state_is_neither_used_nor_changed"),
        ("global stream", "test_same_key_same_answer"),
        ("other type", "test_columns_and_types_are_kept"),
        ("negative distance", "test_distances"),
        ("remembers", "test_correct_changes_nothing"),
        ("reorders", "test_every_row_is_judged"),
        ("needs two rows", "test_few_rows"),
    ],
)
def test_the_suite_catches(fault, caught_by):
    class Suite(CorrectorSuite):
        def make(self) -> Corrector:
            return _Faulty(fault)

    arguments = {"test_rows_that_are_not_finite_fail": (np.nan,), "test_few_rows": (1,)}.get(caught_by, ())
    with pytest.raises((AssertionError, ValueError)):
        getattr(Suite(), caught_by)(*arguments)


def test_the_suite_passes_a_sound_corrector():
    class Suite(CorrectorSuite):
        row_by_row = True

        def make(self) -> Corrector:
            return _Faulty("none")

    suite = Suite()
    for name in (n for n in dir(suite) if n.startswith("test_")):
        arguments = {"test_rows_that_are_not_finite_fail": (np.nan,), "test_few_rows": (1,)}.get(name, ())
        getattr(suite, name)(*arguments)
