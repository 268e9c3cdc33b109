"""What every metric must do, as tests: subclass `MetricSuite` and override `make`."""

from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from ouroloop.errors import OuroloopError
from ouroloop.keys import Key
from ouroloop.protocols import Measurement, Metric, Reference
from ouroloop.samples import Samples
from ouroloop.testing.digest import state_digest

__all__ = ["MetricSuite"]


class MetricSuite:
    """Conformance tests for a `Metric`.

    Override `make`, and `reference` and `generated` where labelled points in the plane are not what it measures.

    Attributes:
        reads_rows: whether it measures the generated rows; a metric of the model itself reads the generator.
    """

    reads_rows: bool = True

    def make(self) -> Metric:
        """A metric that is not fitted yet."""
        raise NotImplementedError("override make() to return a metric")

    def reference(self) -> Reference:
        """Real data; here two clouds in the plane with labels, 160 training and 120 held-out rows."""
        return Reference(self.cloud(160, "train"), self.cloud(120, "held out"))

    def generated(self, n: int = 100) -> Samples:
        """n generated rows; here as good as real."""
        return self.cloud(n, "generated")

    def generator(self) -> Any:
        """The generator that is handed to `measure`."""
        return None

    def cloud(self, n: int, stream: str) -> Samples:
        """n rows of the two clouds: x float64 (n, 2), label int64 (n,) of 0 and 1, not writeable."""
        label = np.arange(n) % 2
        x = Key(0, ("suite", stream)).rng().standard_normal((n, 2)) * [0.5, 0.25] + np.where(label, 2.0, -1.0)[:, None]
        x.flags.writeable = label.flags.writeable = False
        return Samples.of(x, label=label)

    def fit(self, reference: Reference | None = None, key: Key | None = None) -> Metric:
        """A fitted metric."""
        return self.make().fit(reference or self.reference(), key=key or Key(1, ("fit",)))

    @property
    def fitted(self) -> Metric:
        """One fitted metric shared by the class's tests; no test changes it."""
        if "_fitted" not in type(self).__dict__:
            type(self)._fitted = self.fit()  # type: ignore[attr-defined]
        return type(self)._fitted  # type: ignore[attr-defined]

    def measure(
        self, metric: Metric | None = None, rows: Samples | None = None, stream: str | int = "measure"
    ) -> Sequence[Measurement]:
        """What a metric says of rows (by default of `generated()`)."""
        rows = self.generated() if rows is None else rows
        return (metric or self.fitted).measure(rows, generator=self.generator(), key=Key(1, (stream,)))

    def test_is_a_metric(self) -> None:
        assert isinstance(self.make(), Metric), "a metric has fit(reference, *, key) and measure(generated, ...)"

    def test_unfitted_refuses_to_measure(self) -> None:
        with pytest.raises(OuroloopError):
            self.measure(self.make())

    def test_fit_returns_a_new_object_and_leaves_the_rest_alone(self) -> None:
        metric, reference = self.make(), self.reference()
        before = state_digest([metric, reference])
        fitted = metric.fit(reference, key=Key(1, ("fit",)))
        assert fitted is not metric
        assert state_digest([metric, reference]) == before, "fit changed the metric or the reference"

    def test_measurements_are_well_formed(self) -> None:
        found = self.measure()
        assert found, "nothing was measured"
        names = [m.metric for m in found]
        assert len(set(names)) == len(names), f"a name is measured twice: {names}"
        for m in found:
            assert isinstance(m, Measurement)
            assert isinstance(m.metric, str)
            assert m.metric, "a measurement without a name"
            numbers = (m.value, m.low, m.high, m.floor)
            assert all(isinstance(v, float) for v in numbers), f"{m.metric}: {numbers} are not all floats"
            assert math.isfinite(m.value), f"{m.metric} is {m.value}"
            assert math.isnan(m.low) == math.isnan(m.high), f"{m.metric} has half an interval"
            assert math.isnan(m.low) or m.low <= m.value <= m.high, f"{m} lies outside its own interval"
            assert isinstance(m.n, int)
            assert m.n >= 0

    def test_same_keys_same_measurements(self) -> None:
        _assert_same(self.measure(self.fit()), self.measure())

    def test_order_of_calls_is_irrelevant(self) -> None:
        metric = self.fit()
        first, other = self.measure(metric, stream=1), self.generated(60)
        self.measure(metric, other, stream=2)
        _assert_same(self.measure(metric, stream=1), first)
        fresh = self.fit()
        self.measure(fresh, other, stream=2)
        _assert_same(self.measure(fresh, stream=1), first)

    def test_the_floor_is_that_of_the_fit_alone(self) -> None:
        for a, b in zip(self.measure(stream="a"), self.measure(stream="b"), strict=True):
            np.testing.assert_array_equal(a.floor, b.floor, err_msg=f"the floor of {a.metric} depends on the key")

    def test_measuring_changes_nothing(self) -> None:
        rows, generator = self.generated(), self.generator()
        before = state_digest([rows, generator])
        self.fitted.measure(rows, generator=generator, key=Key(1, ("measure",)))
        assert state_digest([rows, generator]) == before, "measure changed the rows or the generator"

    def test_provenance_is_irrelevant(self) -> None:
        rows = self.generated()
        n = len(rows)
        other = rows.replace(id=np.arange(n)[::-1] + 10**6, parent=np.arange(n), origin=np.full(n, 3))
        _assert_same(self.measure(rows=other), self.measure(rows=rows))

    def test_works_or_says_why_not_without_held_out_rows(self) -> None:
        reference = dataclasses.replace(self.reference(), held_out=None)
        try:
            found = self.measure(self.fit(reference))
        except OuroloopError:
            return
        assert all(math.isfinite(m.value) for m in found)

    @pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
    def test_few_rows_are_measured_or_refused(self, n: int) -> None:
        if not self.reads_rows:
            pytest.skip("measures the model, not its rows")
        try:
            found = self.measure(rows=self.generated(n))
        except OuroloopError:
            return
        assert all(math.isfinite(m.value) for m in found), f"{n} rows gave a value that is not finite"

    def test_no_rows_are_refused(self) -> None:
        if not self.reads_rows:
            pytest.skip("measures the model, not its rows")
        with pytest.raises(OuroloopError):
            self.measure(rows=self.generated(4).take(slice(0, 0)))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_rows_that_are_not_finite_are_refused(self, bad: float) -> None:
        if not self.reads_rows:
            pytest.skip("measures the model, not its rows")
        rows = self.generated()
        if rows.x.dtype.kind != "f":
            pytest.skip("the data are not floating")
        x = rows.x.copy()
        x[len(x) // 2] = bad
        with pytest.raises(OuroloopError):
            self.measure(rows=rows.replace(x=x))

    def test_rows_of_another_shape_are_refused(self) -> None:
        if not self.reads_rows:
            pytest.skip("measures the model, not its rows")
        rows = self.generated()
        wider = np.concatenate([rows.x, rows.x], axis=-1)
        with pytest.raises(OuroloopError):
            self.measure(rows=rows.replace(x=wider))

    def test_reference_that_is_not_finite_is_refused(self) -> None:
        reference = self.reference()
        if reference.real.x.dtype.kind != "f":
            pytest.skip("the data are not floating")
        x = reference.real.x.copy()
        x[0] = np.nan
        with pytest.raises(OuroloopError):
            self.fit(dataclasses.replace(reference, real=reference.real.replace(x=x), held_out=None))

    def test_global_random_state_is_neither_used_nor_changed(self) -> None:
        kept = random.getstate(), np.random.get_state()  # noqa: NPY002  the point is that nothing depends on it
        try:
            random.seed(123)
            np.random.seed(123)  # noqa: NPY002
            before = state_digest([random.getstate(), np.random.get_state()])  # noqa: NPY002
            found = self.measure(self.fit())
            after = state_digest([random.getstate(), np.random.get_state()])  # noqa: NPY002
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])  # noqa: NPY002
        assert after == before, "a global random state was changed"
        _assert_same(found, self.measure())


def _assert_same(a: Sequence[Measurement], b: Sequence[Measurement]) -> None:
    """Equal to the last bit; NaN equals NaN."""
    assert [m.metric for m in a] == [m.metric for m in b]
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(
            np.array([x.value, x.low, x.high, x.floor, x.n]), np.array([y.value, y.low, y.high, y.floor, y.n]), str(x)
        )
