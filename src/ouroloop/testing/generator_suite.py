"""What every generator must do, as tests: subclass `GeneratorSuite` and override `make`."""

from __future__ import annotations

import itertools
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ouroloop.errors import OuroloopError
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Generator, Saveable
from ouroloop.samples import Samples
from ouroloop.testing.digest import state_digest

__all__ = ["GeneratorSuite"]


class GeneratorSuite:
    """Conformance tests for a `Generator`.

    Override `make`, and `data` where 96 real points in the plane are not what the generator is for.

    Attributes:
        conditional: whether the generator must copy a condition's columns into its samples. One that is not
            conditional may ignore a condition, but must then leave all its columns out.
        parts_tolerance: how far samples may differ (absolute, in the data's units) between a fit on one table
            and a fit on the same rows split over several; infinity if only the shape must agree.
    """

    conditional: bool = False
    parts_tolerance: float = 1e-6

    def make(self) -> Generator:
        """An unfitted generator, quick to fit."""
        raise NotImplementedError("override make() to return an unfitted generator")

    def data(self) -> Samples:
        """Training rows; here two clouds in the plane, x float64 (96, 2) and label int64 (96,) of 0 and 1."""
        label = np.arange(96) % 2
        x = Key(0, ("suite",)).rng().standard_normal((96, 2)) * [0.5, 0.25] + np.where(label, 2.0, -1.0)[:, None]
        return Samples.of(x, label=label)

    def condition(self, n: int) -> dict[str, np.ndarray]:
        """A condition for n rows: the data's labels in turn (or zeros where it has none)."""
        data = self.data()
        labels = data.label if "label" in data.data_columns else np.zeros(len(data), np.int64)
        return {"label": labels[np.arange(n) % len(data)]}

    def fit(self, data: Samples | Pool | None = None, **options: Any) -> Generator:
        """A fitted generator; the training columns cannot be written to, as in a memory-mapped file."""
        pool = Pool.of(_read_only(self.data()) if data is None else data)
        return self.make().fit(pool, **{"key": Key(1, ("fit",)), **options})

    @property
    def fitted(self) -> Generator:
        """One fitted generator shared by the class's tests; no test changes it."""
        if "_fitted" not in type(self).__dict__:
            type(self)._fitted = self.fit()  # type: ignore[attr-defined]
        return type(self)._fitted  # type: ignore[attr-defined]

    def draw(self, generator: Generator, n: int = 12, *, stream: str | int = "sample") -> Samples:
        """n rows; a conditional generator is given a condition."""
        condition = self.condition(n) if self.conditional else None
        return generator.sample(n, key=Key(1, (stream,)), condition=condition)

    def test_is_a_generator(self) -> None:
        assert isinstance(self.make(), Generator), "a generator has fit(training, *, key, previous) and sample(n, ...)"

    def test_unfitted_refuses_to_sample(self) -> None:
        with pytest.raises(OuroloopError):
            self.draw(self.make())

    def test_fit_returns_a_new_object_and_leaves_self_alone(self) -> None:
        generator = self.make()
        before = state_digest(generator)
        fitted = generator.fit(Pool.of(self.data()), key=Key(1, ("fit",)))
        assert fitted is not generator
        assert state_digest(generator) == before, "fit changed the generator that it was called on"

    def test_fine_tuning_leaves_previous_alone(self) -> None:
        before, drawn = state_digest(self.fitted), self.draw(self.fitted)
        tuned = self.fit(previous=self.fitted)
        assert tuned is not self.fitted
        assert state_digest(self.fitted) == before, "fit changed `previous`"
        _assert_identical(self.draw(self.fitted), drawn)

    def test_refits_from_a_fitted_generator(self) -> None:
        half = self.data().take(slice(0, len(self.data()) // 2))
        before = state_digest(self.fitted)
        again = self.fitted.fit(Pool.of(half), key=Key(1, ("fit",)))
        assert state_digest(self.fitted) == before, "fit changed the generator that it was called on"
        _assert_identical(self.draw(again), self.draw(self.fit(half)))

    def test_same_key_same_samples(self) -> None:
        _assert_identical(self.draw(self.fit()), self.draw(self.fitted))

    def test_other_key_other_samples(self) -> None:
        a, b = self.draw(self.fitted, stream="a"), self.draw(self.fitted, stream="b")
        assert not np.array_equal(a.x, b.x)

    def test_order_of_calls_is_irrelevant(self) -> None:
        first = {n: self.draw(self.fitted, n, stream=n) for n in (3, 8)}
        for n in (8, 3, 8):
            _assert_identical(self.draw(self.fitted, n, stream=n), first[n])

    def test_sampling_changes_nothing(self) -> None:
        drawn, before = self.draw(self.fitted), state_digest(self.fitted)
        _assert_identical(self.draw(self.fitted), drawn)
        assert state_digest(self.fitted) == before, "sample changed the generator"

    @pytest.mark.parametrize("n", [0, 1, 5])
    def test_count_shape_and_dtype(self, n: int) -> None:
        x = self.draw(self.fitted, n).x
        assert x.shape == (n, *self.data().x.shape[1:])
        assert x.dtype == self.draw(self.fitted, 7).x.dtype, "the dtype depends on n"
        assert self.data().x.dtype.kind != "f" or x.dtype.kind == "f", "floating data gave samples of another kind"

    def test_samples_are_finite(self) -> None:
        self.draw(self.fitted, 64).check_finite("samples")

    def test_negative_count_is_refused(self) -> None:
        with pytest.raises((OuroloopError, ValueError)):
            self.fitted.sample(-1, key=Key(0))

    def test_condition_is_copied_or_left_out(self) -> None:
        condition = self.condition(9)
        drawn = self.fitted.sample(9, key=Key(2), condition=condition)
        present = [name for name in condition if name in drawn.data_columns]
        assert present == list(condition) or (not self.conditional and not present)
        for name in present:
            np.testing.assert_array_equal(drawn[name], condition[name])

    def test_condition_of_another_length_is_refused(self) -> None:
        if not self.conditional:
            pytest.skip("not a conditional generator")
        with pytest.raises(OuroloopError):
            self.fitted.sample(9, key=Key(2), condition=self.condition(4))

    def test_saved_and_loaded(self, tmp_path: Path) -> None:
        template = self.make()
        if not isinstance(template, Saveable):
            pytest.skip("not saveable: it is fitted again when a run is resumed")
        assert isinstance(self.fitted, Saveable)
        self.fitted.save(tmp_path)
        _assert_no_pickle(tmp_path)
        before = state_digest(template)
        loaded = template.load(tmp_path)
        assert loaded is not template
        assert state_digest(template) == before, "load changed the generator that it was called on"
        _assert_identical(self.draw(loaded), self.draw(self.fitted))
        options: dict[str, Any] = {"key": Key(3, ("next",))}
        tuned = [self.make().fit(Pool.of(self.data()), previous=m, **options) for m in (self.fitted, loaded)]
        _assert_identical(self.draw(tuned[1]), self.draw(tuned[0]))

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_data_that_is_not_finite_is_refused(self, bad: float) -> None:
        data = self.data()
        if data.x.dtype.kind != "f":
            pytest.skip("the data are not floating")
        x = data.x.copy()
        x[len(x) // 2] = bad
        with pytest.raises(OuroloopError):
            self.fit(data.replace(x=x))

    def test_empty_data_is_refused(self) -> None:
        for empty in (Pool(()), Pool.of(self.data().take(slice(0, 0)))):
            with pytest.raises(OuroloopError):
                self.fit(empty)

    def test_one_row_is_fitted_or_refused(self) -> None:
        try:
            fitted = self.fit(self.data().take(slice(0, 1)))
        except OuroloopError:
            return
        condition = {name: column[:1] for name, column in self.condition(1).items()} if self.conditional else None
        fitted.sample(1, key=Key(1), condition=condition).check_finite("samples of a fit on one row")

    def test_several_tables_equal_one(self) -> None:
        data, cuts = self.data(), [0, 7, len(self.data()) // 2, len(self.data())]
        parts = [data.take(slice(a, b)) for a, b in itertools.pairwise(cuts)]
        drawn, expected = self.draw(self.fit(Pool.of(*parts))), self.draw(self.fitted)
        assert drawn.x.shape == expected.x.shape
        if np.isfinite(self.parts_tolerance):
            np.testing.assert_allclose(drawn.x, expected.x, rtol=0, atol=self.parts_tolerance)

    def test_provenance_is_irrelevant(self) -> None:
        data = self.data()
        n = len(data)
        other = data.replace(id=np.arange(n)[::-1] + 10**6, parent=np.arange(n), origin=np.full(n, 3))
        _assert_identical(self.draw(self.fit(other)), self.draw(self.fitted))

    def test_global_random_state_is_neither_used_nor_changed(self) -> None:
        kept = _global_random_state()
        try:
            random.seed(123)
            np.random.seed(123)  # noqa: NPY002  the point is that nothing depends on it
            if "torch" in sys.modules:
                sys.modules["torch"].manual_seed(123)
            before = _global_random_state()
            drawn = self.draw(self.fit())
            assert state_digest(_global_random_state()) == state_digest(before), "a global random state was changed"
        finally:
            _restore_global_random_state(kept)
        _assert_identical(drawn, self.draw(self.fitted))


def _assert_identical(a: Samples, b: Samples) -> None:
    assert a.data_columns == b.data_columns
    for name in a.data_columns:
        assert a[name].dtype == b[name].dtype
        np.testing.assert_array_equal(a[name], b[name], strict=True)


def _read_only(data: Samples) -> Samples:
    columns = {name: column.copy() for name, column in data.columns.items()}
    for column in columns.values():
        column.flags.writeable = False
    return Samples(columns)


def _assert_no_pickle(directory: Path) -> None:
    files = [path for path in directory.rglob("*") if path.is_file()]
    assert files, "save wrote nothing"
    for path in files:
        start = path.read_bytes()[:9]  # a safetensors file begins with the length of its header, 8 bytes, and "{"
        is_pickle = start[:1] == b"\x80" and len(start) > 1 and start[1] <= 5 and start[8:] != b"{"
        assert not is_pickle, f"{path.name} is a pickle"
        assert start[:2] != b"PK", f"{path.name} is a zip archive (torch.save writes pickles in one)"


def _global_random_state() -> list[Any]:
    torch = sys.modules.get("torch")
    state = [random.getstate(), np.random.get_state()]  # noqa: NPY002
    return [*state, torch.get_rng_state()] if torch is not None else state


def _restore_global_random_state(state: list[Any]) -> None:
    random.setstate(state[0])
    np.random.set_state(state[1])  # noqa: NPY002
    if len(state) > 2:
        sys.modules["torch"].set_rng_state(state[2])
