"""What every regime must do, as tests: subclass `RegimeSuite` and override `make`."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Regime
from ouroloop.samples import PROVENANCE, Samples, synthetic_ids
from ouroloop.testing.digest import state_digest

__all__ = ["RegimeSuite"]


class RegimeSuite:
    """Conformance tests for a `Regime`.

    Override `make`, and `with_ratio` where the regime is not a data class with a field `synthetic_ratio`.

    Attributes:
        repeats: whether one row may stand in the selection several times (drawing with replacement); say so in
            the regime's documentation.
        fixed_ratio: whether `synthetic_ratio` cannot be chosen (a control that trains on real data alone).
        n_real: number of real rows in the tests.
    """

    repeats: bool = False
    fixed_ratio: bool = False
    n_real: int = 10

    def make(self) -> Regime:
        """A regime as its defaults make it."""
        raise NotImplementedError("override make() to return a regime")

    def with_ratio(self, synthetic_ratio: float) -> Regime:
        """The same regime with another ratio of synthetic rows per real row."""
        return dataclasses.replace(self.make(), synthetic_ratio=synthetic_ratio)  # type: ignore[type-var]

    def real(self) -> Pool:
        """Real rows in one table."""
        return Pool.of(_read_only(np.arange(self.n_real, dtype=np.int64), 0))

    def history(self, regime: Regime, generation: int) -> list[Pool]:
        """The rows of generations 1..generation, or the last only where the regime keeps no history, in shards."""
        first = 1 if regime.keeps_history else generation
        pools = []
        for t in range(first, generation + 1):
            ids = synthetic_ids(t, 0, regime.draws(self.n_real, t))
            cut = len(ids) // 3
            pools.append(Pool.of(_read_only(ids[:cut], t), _read_only(ids[cut:], t)))
        return pools

    def select(self, regime: Regime, generation: int, *, seed: int = 0) -> Pool:
        """The training rows of a generation."""
        key = Key(seed, ("generation", generation, "select"))
        return regime.select(self.real(), self.history(regime, generation), generation, key=key)

    def test_is_a_regime(self) -> None:
        regime = self.make()
        assert isinstance(regime, Regime), "a regime has draws, select, synthetic_ratio, fresh_real and keeps_history"
        assert isinstance(regime.fresh_real, bool)
        assert isinstance(regime.keeps_history, bool)
        assert np.isfinite(regime.synthetic_ratio)
        assert regime.synthetic_ratio >= 0

    @pytest.mark.parametrize("generation", [1, 2, 5])
    @pytest.mark.parametrize("n_real", [0, 1, 7, 1000])
    def test_draws_a_whole_number_of_rows(self, n_real: int, generation: int) -> None:
        n = self.make().draws(n_real, generation)
        assert isinstance(n, int)
        assert n >= 0

    @pytest.mark.parametrize("generation", [1, 2, 5])
    def test_selected_rows_are_real_or_from_history_and_unchanged(self, generation: int) -> None:
        regime = self.make()
        chosen = self.select(regime, generation).materialise()
        known = Pool.of(self.real(), *self.history(regime, generation)).materialise()
        where = {int(i): row for row, i in enumerate(known.id)}
        unknown = [int(i) for i in chosen.id if int(i) not in where]
        assert not unknown, f"rows {unknown[:5]} are neither real nor in the history"
        expected = known.take(np.array([where[int(i)] for i in chosen.id], dtype=np.int64))
        for name in (*known.data_columns, *PROVENANCE):
            np.testing.assert_array_equal(chosen[name], expected[name])

    @pytest.mark.parametrize("generation", [1, 5])
    def test_no_row_is_chosen_twice(self, generation: int) -> None:
        if self.repeats:
            pytest.skip("this regime draws with replacement")
        ids = self.select(self.make(), generation).column("id")
        assert len(np.unique(ids)) == len(ids)

    @pytest.mark.parametrize("generation", [1, 5])
    def test_same_key_same_rows(self, generation: int) -> None:
        first, again = (self.select(self.make(), generation).column("id") for _ in range(2))
        np.testing.assert_array_equal(first, again)

    def test_order_of_calls_is_irrelevant(self) -> None:
        regime = self.make()
        late = self.select(regime, 5).column("id")
        self.select(regime, 1)
        np.testing.assert_array_equal(self.select(regime, 5).column("id"), late)

    def test_selecting_changes_nothing(self) -> None:
        regime = self.make()
        real, history = self.real(), self.history(regime, 4)
        before = state_digest([regime, real, history])
        regime.select(real, history, 4, key=Key(0))
        assert state_digest([regime, real, history]) == before, "select changed the regime or the rows it was given"

    def test_shards_do_not_matter(self) -> None:
        regime, key = self.make(), Key(3)
        history = self.history(regime, 4)
        whole = [Pool.of(pool.materialise()) for pool in history]
        rows = [regime.select(self.real(), h, 4, key=key).column("id") for h in (history, whole)]
        np.testing.assert_array_equal(rows[0], rows[1])

    def test_old_rows_are_not_needed_unless_it_says_so(self) -> None:
        regime = self.make()
        if regime.keeps_history:
            pytest.skip("this regime keeps its history")
        last = self.history(regime, 3)
        older = [Pool.of(_read_only(synthetic_ids(t, 0, 4), t)) for t in (1, 2)]
        rows = [regime.select(self.real(), h, 3, key=Key(0)).column("id") for h in (last, [*older, *last])]
        np.testing.assert_array_equal(rows[0], rows[1])

    def test_a_generation_whose_rows_were_all_dropped(self) -> None:
        regime = self.make()
        history = self.history(regime, 3)
        history[-1] = history[-1].slice(0, 0)
        chosen = regime.select(self.real(), history, 3, key=Key(0))
        assert not any((part.origin == 3).any() for part in chosen.parts)

    def test_ratio_zero(self) -> None:
        regime = self.make() if self.fixed_ratio else self.with_ratio(0)
        if regime.synthetic_ratio != 0:
            pytest.skip("the ratio of this regime is fixed and not zero")
        assert regime.draws(self.n_real, 1) == 0
        chosen = self.select(regime, 2)
        assert len(chosen) == chosen.n_real, "synthetic rows appeared out of none"

    def test_a_large_ratio(self) -> None:
        if self.fixed_ratio:
            pytest.skip("the ratio of this regime is fixed")
        regime = self.with_ratio(1e3)
        n = regime.draws(self.n_real, 2)
        assert n > 0
        available = self.n_real + sum(map(len, self.history(regime, 2)))
        chosen = self.select(regime, 2)
        assert len(chosen) > 0
        assert self.repeats or len(chosen) <= available

    @pytest.mark.parametrize("bad", [-1.0, -1e-9, float("nan"), float("inf")])
    def test_a_ratio_that_makes_no_sense_is_refused(self, bad: float) -> None:
        with pytest.raises(ValueError):
            self.with_ratio(bad)


def _read_only(ids: np.ndarray, generation: int) -> Samples:
    """Rows that can be told apart, and cannot be written to."""
    n = len(ids)
    columns: dict[str, Any] = {
        "x": np.stack([ids % 1009, ids >> 40], axis=1).astype(np.float64),
        "label": ids % 3,
        "id": ids,
        "parent": np.full(n, -1),
        "origin": np.full(n, generation, np.int32),
        "verdict": np.zeros(n, np.int8),
    }
    for column in columns.values():
        column.flags.writeable = False
    return Samples(columns)
