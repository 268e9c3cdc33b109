"""nll, cross_entropy and token_variety."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.metrics.cross_entropy import CrossEntropy
from ouroloop.metrics.nll import Nll
from ouroloop.metrics.token_variety import TokenVariety, distinct_share, token_entropy
from ouroloop.protocols import Reference
from ouroloop.samples import Samples
from ouroloop.testing.metric_suite import MetricSuite


def text(n: int, stream: str, size: int = 9) -> Samples:
    x = Key(0, ("text", stream)).rng().integers(0, size, (n, 6))
    x.flags.writeable = False
    return Samples.of(x)


class TestNll(MetricSuite):
    reads_rows = False

    def make(self):
        return Nll(max_rows=50)

    def generator(self):
        return SimpleNamespace(log_density=lambda x: -0.5 * np.square(x).sum(axis=1))


class TestCrossEntropy(MetricSuite):
    reads_rows = False

    def make(self):
        return CrossEntropy()

    def reference(self):
        return Reference(text(40, "real"), text(30, "held out"))

    def generated(self, n: int = 20):
        return text(n, "generated")

    def generator(self):
        return SimpleNamespace(log_likelihood=lambda x: -x.sum(axis=1))


class TestTokenVariety(MetricSuite):
    def make(self):
        return TokenVariety()

    def reference(self):
        return Reference(text(40, "real"), text(30, "held out"))

    def generated(self, n: int = 20):
        return text(n, "generated")


def measure(metric: Any, reference: Reference, generator: Any = None, rows: Samples | None = None) -> dict:
    fitted = metric.fit(reference, key=Key(0))
    return {m.metric: m for m in fitted.measure(rows or reference.real, generator=generator, key=Key(1))}


def test_nll_is_the_mean_over_held_out_rows_with_its_standard_error() -> None:
    x = Key(4).rng().standard_normal((400, 3))
    found = measure(
        Nll(),
        Reference(Samples.of(x[:10]), Samples.of(x)),
        SimpleNamespace(log_density=lambda rows: -rows.sum(axis=1)),
    )
    value = x.sum(axis=1)
    assert found["nll"].value == pytest.approx(value.mean())
    assert found["nll"].high - found["nll"].low == pytest.approx(2 * 1.96 * value.std(ddof=1) / 20, rel=1e-3)


def test_cross_entropy_of_a_uniform_model_is_the_logarithm_of_the_vocabulary() -> None:
    generator = SimpleNamespace(log_likelihood=lambda x: np.full(len(x), -x.shape[1] * np.log(9)))
    found = measure(CrossEntropy(), Reference(text(20, "a"), text(30, "b")), generator)
    assert found["cross_entropy"].value == pytest.approx(np.log(9))


@pytest.mark.parametrize(
    ("generator", "message"),
    [
        (object(), "log_density"),
        (SimpleNamespace(log_density=lambda x: np.full(len(x), -np.inf)), "infinite loss"),
        (SimpleNamespace(log_density=lambda x: np.zeros((len(x), 2))), "gave shape"),
    ],
)
def test_models_without_a_finite_density_are_refused(generator: Any, message: str) -> None:
    with pytest.raises(PartError, match=message):
        measure(Nll(), Reference(Samples.of(np.zeros((4, 2)))), generator)


def test_cross_entropy_and_variety_want_token_ids() -> None:
    for metric in (CrossEntropy(), TokenVariety()):
        with pytest.raises(DataError, match="token ids"):
            measure(metric, Reference(Samples.of(np.zeros((4, 6)))))
    with pytest.raises(DataError, match="fit into a row"):
        measure(TokenVariety(runs=(7,)), Reference(text(5, "a")))


def test_variety_of_known_rows() -> None:
    rows = Samples.of(np.array([[0, 1, 0, 1], [5, 5, 5, 5]]))
    found = measure(TokenVariety(runs=(1, 2, 4)), Reference(rows))
    assert found["vocabulary_used"].value == 3
    assert found["token_entropy"].value == pytest.approx(-(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25)))
    assert found["distinct_1"].value == 3 / 8
    assert found["distinct_2"].value == 3 / 6  # 01, 10, 55
    assert found["distinct_4"].value == 1.0
    assert found["distinct_2"].floor == found["distinct_2"].value, "all real rows against themselves"


def test_runs_too_many_to_number_are_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x = text(20, "runs").x
    expected = [distinct_share(x, run) for run in range(1, 7)]
    monkeypatch.setattr("ouroloop.metrics.token_variety._NUMBERS", 50)
    assert [distinct_share(x, run) for run in range(1, 7)] == expected


@given(st.integers(1, 5), st.integers(1, 8), st.integers(1, 3), st.integers(0, 10**9))
def test_distinct_runs_are_those_that_sets_count(n: int, length: int, size: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, size, (n, length)) * 10**12  # ids may be large
    for run in range(1, length + 1):
        runs = [tuple(r[i : i + run]) for r in x.tolist() for i in range(length - run + 1)]
        assert distinct_share(x, run) == len(set(runs)) / len(runs)
    assert 0.0 <= token_entropy(x) <= np.log(size) + 1e-9
