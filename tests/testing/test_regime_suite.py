"""Our regimes pass the suite, and regimes with one fault each do not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from ouroloop import regimes
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Regime
from ouroloop.testing import RegimeSuite


class TestReplace(RegimeSuite):
    def make(self) -> Regime:
        return regimes.Replace()


class TestFixedReal(RegimeSuite):
    def make(self) -> Regime:
        return regimes.FixedReal(synthetic_ratio=0.5)


class TestFreshReal(RegimeSuite):
    def make(self) -> Regime:
        return regimes.FreshReal()


class TestAccumulate(RegimeSuite):
    def make(self) -> Regime:
        return regimes.Accumulate()


class TestAccumulateWindow(RegimeSuite):
    def make(self) -> Regime:
        return regimes.Accumulate(window=2)


class TestAccumulateSubsample(RegimeSuite):
    def make(self) -> Regime:
        return regimes.AccumulateSubsample()


class TestLinearAccumulate(RegimeSuite):
    def make(self) -> Regime:
        return regimes.LinearAccumulate(synthetic_ratio=2.0)


class TestRealOnly(RegimeSuite):
    fixed_ratio = True

    def make(self) -> Regime:
        return regimes.RealOnly()


@dataclass(frozen=True, kw_only=True)
class Faulty(regimes.Accumulate):
    def select(self, real: Pool, history: Sequence[Pool], generation: int, *, key: Key) -> Pool:
        return Pool.of(self.spoil(super().select(real, history, generation, key=key).materialise(), key))

    def spoil(self, rows, key):
        return rows


class Invents(Faulty):
    def spoil(self, rows, key):
        return rows.replace(id=rows.id + 1)


class Repeats(Faulty):
    def spoil(self, rows, key):
        return rows.take(np.zeros(3, int))


class Forgets(Faulty):
    def spoil(self, rows, key):
        return rows.replace(origin=np.zeros(len(rows)))


class Moves(Faulty):
    def spoil(self, rows, key):
        return rows.replace(x=rows.x + 1)


class Unseeded(Faulty):
    def spoil(self, rows, key):
        return rows.take(np.random.default_rng().permutation(len(rows)))


class Remembers(Faulty):
    def spoil(self, rows, key):
        object.__setattr__(self, "calls", getattr(self, "calls", 0) + 1)
        return rows.take(slice(0, 5 + self.calls))


class Fractional(Faulty):
    def draws(self, n_real, generation):
        return self.synthetic_ratio * n_real


class NeedsHistory(Faulty):
    keeps_history = False


class OneDraw(Faulty):
    def draws(self, n_real, generation):
        return max(1, super().draws(n_real, generation))


@dataclass(frozen=True)
class AnyRatio(Faulty):
    def __post_init__(self):
        pass


class ByShard(regimes.Accumulate):
    def select(self, real, history, generation, *, key):
        return Pool.of(real, *(Pool(pool.parts[:1]) for pool in history))


@pytest.mark.parametrize(
    ("fault", "test", "arguments"),
    [
        (Invents, "test_selected_rows_are_real_or_from_history_and_unchanged", (2,)),
        (Forgets, "test_selected_rows_are_real_or_from_history_and_unchanged", (2,)),
        (Moves, "test_selected_rows_are_real_or_from_history_and_unchanged", (2,)),
        (Repeats, "test_no_row_is_chosen_twice", (1,)),
        (Unseeded, "test_same_key_same_rows", (5,)),
        (Remembers, "test_order_of_calls_is_irrelevant", ()),
        (Remembers, "test_selecting_changes_nothing", ()),
        (Fractional, "test_draws_a_whole_number_of_rows", (7, 1)),
        (NeedsHistory, "test_old_rows_are_not_needed_unless_it_says_so", ()),
        (OneDraw, "test_ratio_zero", ()),
        (AnyRatio, "test_a_ratio_that_makes_no_sense_is_refused", (-1.0,)),
        (ByShard, "test_shards_do_not_matter", ()),
    ],
)
def test_a_fault_is_found(fault: type, test: str, arguments: tuple) -> None:
    class Suite(RegimeSuite):
        def make(self) -> Regime:
            return fault()

    with pytest.raises((AssertionError, pytest.fail.Exception)):
        getattr(Suite(), test)(*arguments)
