"""What every corrector must do, as tests: subclass `CorrectorSuite` and override `make`."""

from __future__ import annotations

import random
import sys
from typing import Any

import numpy as np
import pytest

from ouroloop.correction import Correction, distance_moved
from ouroloop.correctors.strength import Strength
from ouroloop.keys import Key
from ouroloop.protocols import Corrector, Reference
from ouroloop.samples import Samples, Verdict, corrected_ids, synthetic_ids
from ouroloop.testing.digest import state_digest

__all__ = ["CorrectorSuite"]

_GENERATION = 3


class CorrectorSuite:
    """Conformance tests for a `Corrector`.

    Override `make`, and `real` and `drawn` where rows in the plane with two classes are not what it is for.

    Attributes:
        row_by_row: whether the answer for a row depends on that row alone, not on the others of the shard, its place
            among them, or the key; then the order of the rows does not matter.
    """

    row_by_row: bool = False

    def make(self) -> Corrector:
        """An unfitted corrector, quick to fit."""
        raise NotImplementedError("override make() to return an unfitted corrector")

    def real(self, n: int, key: Key) -> Samples:
        """n real rows; here two clouds in the plane, x float64 (n, 2) and label int64 (n,) of 0 and 1."""
        label = np.arange(n) % 2
        return Samples.of(key.rng().standard_normal((n, 2)) + np.where(label, 2.0, -2.0)[:, None], label=label)

    def drawn(self, n: int, key: Key) -> Samples:
        """n rows as a bad generator draws them; here the real ones shifted and too wide."""
        rows = self.real(n, key)
        return rows.replace(x=1.5 * rows.x + 0.5)

    def reference(self) -> Reference:
        """What the corrector is fitted on: 60 real rows that cannot be written to, and fresh ones."""

        def fresh(n: int, *, key: Key) -> Samples:
            return self.real(n, key)

        return Reference(_read_only(self.real(60, Key(0, ("real",)))), None, fresh, None, "suite")

    def synthetic(self, n: int = 40) -> Samples:
        """n drawn rows of generation 3, with the ids of such rows; they cannot be written to."""
        rows = self.drawn(n, Key(0, ("drawn",)))
        return _read_only(rows.replace(id=synthetic_ids(_GENERATION, 0, n), origin=np.full(n, _GENERATION)))

    def correct(self, rows: Samples | None = None, *, stream: str = "correct") -> Correction:
        """The answer of a newly fitted corrector."""
        return self.fitted().correct(self.synthetic() if rows is None else rows, key=Key(1, (stream,)))

    def fitted(self) -> Corrector:
        """A fitted corrector."""
        return self.make().fit(self.reference(), key=Key(1, ("fit",)))

    def with_strength(self, strength: float) -> Strength:
        """The fitted corrector at a strength; skips the test where it has a strength of its own."""
        if getattr(self.make(), "own_strength", False):
            pytest.skip("has a strength of its own")
        return Strength(corrector=self.make(), correction_strength=strength).fit(self.reference(), key=Key(1, ("fit",)))

    def test_is_a_corrector(self) -> None:
        assert isinstance(self.make(), Corrector), "a corrector has fit(reference, *, key) and correct(synthetic, ...)"

    def test_fit_leaves_self_alone(self) -> None:
        part = self.make()
        before = state_digest(part)
        part.fit(self.reference(), key=Key(1, ("fit",)))
        assert state_digest(part) == before, "fit changed the corrector that it was called on"

    def test_correct_changes_nothing(self) -> None:
        part = self.fitted()
        before = state_digest(part)
        first = part.correct(self.synthetic(), key=Key(1))
        assert state_digest(part) == before, "correct changed the corrector"
        _assert_identical(part.correct(self.synthetic(), key=Key(1)), first)

    def test_every_row_is_judged(self) -> None:
        rows = self.synthetic()
        answer = self.correct(rows)
        assert len(answer.proposed) == len(answer.verdict) == len(answer.distance) == len(rows)
        assert set(answer.verdict.tolist()) <= {int(v) for v in Verdict}
        np.testing.assert_array_equal(answer.raw.id, rows.id)

    def test_columns_and_types_are_kept(self) -> None:
        rows, proposed = self.synthetic(), self.correct().proposed
        assert proposed.data_columns == rows.data_columns
        for name in rows.data_columns:
            assert proposed[name].dtype == rows[name].dtype, f"column '{name}' changed its type"
            assert proposed[name].shape == rows[name].shape, f"column '{name}' changed its shape"

    def test_distances(self) -> None:
        answer = self.correct()
        assert np.isfinite(answer.distance).all()
        assert (answer.distance >= 0).all()
        kept, changed = answer.verdict == Verdict.KEPT, answer.verdict == Verdict.CHANGED
        assert (answer.distance[kept] == 0).all(), "a row that was kept did not move"
        moved = distance_moved(answer.raw.x, answer.proposed.x)
        np.testing.assert_allclose(answer.distance[changed], moved[changed], rtol=1e-6, atol=1e-12)

    def test_provenance_of_what_is_trained_on(self) -> None:
        rows, answer = self.synthetic(), self.correct()
        survivors = answer.survivors()
        survivors.check_finite("what is trained on")
        alive = np.isin(answer.verdict, (Verdict.KEPT, Verdict.CHANGED))
        changed = answer.verdict[alive] == Verdict.CHANGED
        ids = rows.id[alive]
        assert len(survivors) == alive.sum()
        np.testing.assert_array_equal(survivors.id, np.where(changed, corrected_ids(ids), ids))
        np.testing.assert_array_equal(survivors.parent, np.where(changed, ids, -1))
        np.testing.assert_array_equal(survivors.origin, np.full(len(ids), _GENERATION))
        np.testing.assert_array_equal(survivors.x[~changed], rows.x[alive][~changed])

    def test_same_key_same_answer(self) -> None:
        _assert_identical(self.correct(), self.correct())

    @pytest.mark.parametrize("n", [0, 1, 2])
    def test_few_rows(self, n: int) -> None:
        answer = self.correct(self.synthetic(n))
        assert len(answer.verdict) == n
        answer.survivors().check_finite("what is trained on")

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_rows_that_are_not_finite_fail(self, bad: float) -> None:
        rows = self.synthetic()
        if rows.x.dtype.kind != "f":
            pytest.skip("the data are not floating")
        x = rows.x.copy()
        x[[3, 17]] = bad
        answer = self.correct(rows.replace(x=x))
        assert (answer.verdict[[3, 17]] == Verdict.FAILED).all()
        assert np.isfinite(answer.distance).all()
        answer.survivors().check_finite("what is trained on")
        assert (self.correct(rows.replace(x=np.full_like(x, bad))).verdict == Verdict.FAILED).all()

    def test_strength_0_is_the_uncorrected_loop(self) -> None:
        rows = self.synthetic()
        answer = self.with_strength(0.0).correct(rows, key=Key(1))
        assert (answer.verdict == Verdict.KEPT).all()
        for name, column in answer.survivors().columns.items():
            np.testing.assert_array_equal(column, rows.columns[name], strict=True)

    def test_infinite_strength_corrects_every_row(self) -> None:
        answer = self.with_strength(float("inf")).correct(self.synthetic(), key=Key(1, ("correct",)))
        _assert_identical(answer, self.correct())

    def test_a_larger_strength_corrects_a_superset(self) -> None:
        before = np.zeros(len(self.synthetic()), bool)
        for strength in (0.1, 0.5, 2.0, 50.0):
            part = self.with_strength(strength)
            answer = part.correct(self.synthetic(), key=Key(1, ("correct",)))
            chosen = Key(1, ("correct", "strength")).rng().random(len(before)) < strength / (1 + strength)
            assert (answer.verdict[~chosen] == Verdict.KEPT).all(), "a row that was not chosen was touched"
            assert (chosen >= before).all()
            before = chosen
            if part.whole_shard:
                every = self.correct()
                np.testing.assert_array_equal(answer.verdict[chosen], every.verdict[chosen])
                np.testing.assert_array_equal(answer.proposed.x[chosen], every.proposed.x[chosen])

    def test_order_of_rows_is_irrelevant(self) -> None:
        if not self.row_by_row:
            pytest.skip("rows are not judged one by one")
        rows = self.synthetic()
        order = np.arange(len(rows))[::-1]
        answer, turned = self.correct(rows), self.correct(rows.take(order), stream="other")
        np.testing.assert_array_equal(turned.verdict, answer.verdict[order])
        np.testing.assert_allclose(turned.proposed.x, answer.proposed.x[order], rtol=1e-9, atol=1e-12)

    def test_global_random_state_is_neither_used_nor_changed(self) -> None:
        expected = self.correct()
        kept = _global_random_state()
        try:
            random.seed(123)
            np.random.seed(123)  # noqa: NPY002  the point is that nothing depends on it
            if "torch" in sys.modules:
                sys.modules["torch"].manual_seed(123)
            before = state_digest(_global_random_state())
            answer = self.correct()
            assert state_digest(_global_random_state()) == before, "a global random state was changed"
        finally:
            random.setstate(kept[0])
            np.random.set_state(kept[1])  # noqa: NPY002
            if len(kept) > 2:
                sys.modules["torch"].set_rng_state(kept[2])
        _assert_identical(answer, expected)


def _read_only(rows: Samples) -> Samples:
    columns = {name: column.copy() for name, column in rows.columns.items()}
    for column in columns.values():
        column.flags.writeable = False
    return Samples(columns)


def _assert_identical(a: Correction, b: Correction) -> None:
    np.testing.assert_array_equal(a.verdict, b.verdict)
    np.testing.assert_array_equal(a.distance, b.distance)
    alive = a.verdict <= Verdict.CHANGED
    for name in a.proposed.data_columns:
        np.testing.assert_array_equal(a.proposed[name][alive], b.proposed[name][alive], strict=True)


def _global_random_state() -> list[Any]:
    torch = sys.modules.get("torch")
    state = [random.getstate(), np.random.get_state()]  # noqa: NPY002
    return [*state, torch.get_rng_state()] if torch is not None else state
