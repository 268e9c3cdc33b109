"""Repetitions are found over a whole generation, exactly those, and counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from ouroloop import Loop
from ouroloop.correction import for_generation
from ouroloop.correctors.chain import Chain
from ouroloop.correctors.deduplicate import Deduplicate
from ouroloop.correctors.fingerprints import fingerprints
from ouroloop.correctors.strength import Strength
from ouroloop.errors import DataError, PartError, SpecError
from ouroloop.keys import Key
from ouroloop.protocols import Corrector, Reference
from ouroloop.samples import Samples, Verdict
from ouroloop.testing import CorrectorSuite

KEY = Key(0)


def fitted(table=None, **options):
    rows = Samples.of(np.zeros((1, 2))) if table is None else table
    return Deduplicate(**options).fit(Reference(rows), key=KEY)


def kept(part, rows):
    return np.flatnonzero(part.correct(rows, key=KEY).verdict == Verdict.KEPT).tolist()


def first_of_each(rows):
    """Positions of the first of equal rows, by plain comparison."""
    seen, found = [], []
    for place, row in enumerate(rows):
        if not any(row == other for other in seen):
            seen.append(row)
            found.append(place)
    return found


class TestDeduplicate(CorrectorSuite):
    def make(self) -> Corrector:
        return Deduplicate(real=True)

    def drawn(self, n: int, key: Key) -> Samples:
        """Every row twice."""
        rows = super().drawn(n, key)
        return rows.take(np.arange(n) // 2) if n else rows


class TestDeduplicateRounded(CorrectorSuite):
    def make(self) -> Corrector:
        return Deduplicate(decimals=0, columns=("x",), action="fail")


@settings(deadline=None)
@given(
    x=arrays.arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.sampled_from([0.0, -0.0, 1, 2])),
    cut=st.integers(0, 30),
)
def test_the_first_of_equal_rows_stays_in_whatever_shard_it_is(x, cut):
    expected = first_of_each(x.tolist())
    whole = fitted()
    assert kept(whole, Samples.of(x)) == expected
    part = for_generation(whole)
    found = kept(part, Samples.of(x[:cut])) + [cut + i for i in kept(part, Samples.of(x[cut:]))]
    assert found == expected
    assert kept(for_generation(whole), Samples.of(x)) == expected  # the next generation starts afresh


@settings(deadline=None)
@given(
    words=st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=6), min_size=1, max_size=20)
)
def test_texts_are_compared_by_their_characters_whatever_the_width(words):
    rows = Samples.of(np.array(words))
    assert kept(fitted(rows), rows) == first_of_each(words)
    wide = Samples.of(np.array([*words, "x" * 40]))
    assert (fingerprints(wide, ["x"])[:-1] == fingerprints(rows, ["x"])).all()


def test_texts_of_either_byte_order_and_none_at_all():
    words = np.array(["a", "bc"])
    swapped = words.astype(words.dtype.newbyteorder())
    np.testing.assert_array_equal(*(fingerprints(Samples.of(w), ["x"]) for w in (words, swapped)))
    assert kept(fitted(Samples.of(words)), Samples.of(np.empty((3, 0), "<U4"))) == [0]  # rows of nothing are equal
    assert kept(fitted(Samples.of(words)), Samples.of(np.empty((3, 2, 0), np.float32))) == [0]


def test_a_corrector_of_a_generation_has_to_be_one():
    class Half(Deduplicate):
        def for_generation(self):
            made = super().for_generation()
            made.whole_shard = False
            return made

    class Less(Deduplicate):
        def for_generation(self):
            return object()

    for kind in (Half, Less):
        part = kind().fit(Reference(Samples.of(np.zeros((1, 2)))), key=KEY)
        with pytest.raises(PartError, match=f"{kind.__name__}.for_generation returned .* must have fit"):
            for_generation(part)


def test_values_do_not_trade_places():
    """Sums of words would not notice; fingerprints do."""
    x = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 0.0], [0.0, 3.0], [1.5, 1.5]])
    texts = np.array([["ab", "c"], ["a", "bc"], ["", "abc"], ["abc", ""], ["ba", "c"]])
    both = Samples.of(np.array([1.0, 2.0]), other=np.array([2.0, 1.0]))
    for rows in (Samples.of(x), Samples.of(x.astype(np.float32)), Samples.of(texts), both):
        assert len(set(fingerprints(rows, rows.data_columns).tolist())) == len(rows)


def test_no_two_of_a_million_rows_share_a_fingerprint():
    side = np.arange(1000.0)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    for rows in (grid, grid * 2.0**-40, grid.astype(np.int32), grid.astype(bool)[:2], grid * np.pi):
        marks = fingerprints(Samples.of(rows), ["x"])
        assert len(np.unique(marks)) == len(np.unique(rows, axis=0))


def test_integers_that_floats_cannot_tell_apart():
    big = np.array([2**60, 2**60 + 1, 2**60], np.int64)
    assert kept(fitted(Samples.of(big)), Samples.of(big)) == [0, 1]
    bits_of_one = np.array([1, np.float64(1.0).view(np.int64), -(2**63), 2**63 - 1], np.int64)
    assert len(kept(fitted(Samples.of(bits_of_one)), Samples.of(bits_of_one))) == 4
    unsigned = np.array([2**64 - 1, 2**64 - 2, 2**63, 0], np.uint64)
    assert len(kept(fitted(Samples.of(unsigned)), Samples.of(unsigned))) == 4
    powers = np.array([2**53, 2**60, 2**62], np.int64)
    as_floats = fingerprints(Samples.of(powers.astype(np.float64)), ["x"])
    for table in (powers, powers.astype(">i8"), powers.astype(np.uint64)):
        np.testing.assert_array_equal(fingerprints(Samples.of(table), ["x"]), as_floats)
    small = np.array([3, 4], np.int64)
    assert (fingerprints(Samples.of(small), ["x"]) == fingerprints(Samples.of(small.astype(np.float32)), ["x"])).all()


def test_copies_of_real_rows_and_of_some_columns():
    real = Samples.of(np.array([[1.0, 1.0], [5.0, 5.0]]), label=np.array([0, 1]))
    rows = Samples.of(np.array([[1.0, 1.0], [5.0, 5.0], [2.0, 2.0], [2.0, 2.0]]), label=np.array([0, 0, 0, 1]))
    assert kept(fitted(real), rows) == [0, 1, 2, 3]
    assert kept(fitted(real, real=True), rows) == [1, 2, 3]
    assert kept(fitted(real, real=True, columns=["x"]), rows) == [2]
    rounded = rows.replace(x=rows.x + np.array([0.001, 0.2, 0.001, -0.001])[:, None])
    assert kept(fitted(real, real=True, columns=["x"], decimals=2), rounded) == [1, 2]
    with pytest.raises(DataError, match="no column 'colour'; there are: x, label"):
        fitted(real, columns=["colour"])
    for columns in ((), "label"):
        with pytest.raises(SpecError, match=r"^columns: must be a list of at least one column"):
            Deduplicate(columns=columns)
    for decimals in (-1, 16, 10**30):
        with pytest.raises(SpecError, match=r"^decimals: must be from 0 to 15"):
            Deduplicate(decimals=decimals)


def test_numbers_too_large_to_be_rounded_stay_what_they_are():
    x = np.array([1e300, 2e300, 3e305, 1e300, 0.123456, 0.123457])
    assert kept(fitted(decimals=5), Samples.of(x)) == [0, 1, 2, 4]
    assert len(kept(fitted(decimals=15), Samples.of(x))) == 5


@pytest.mark.parametrize("wrap", ["alone", "chain", "strength"])
def test_a_loop_counts_what_it_drops_across_shards(wrap):
    """A generator of 7 values drawn in shards of 10: seven rows a generation stay."""
    part = Deduplicate(columns=("x",))
    if wrap == "chain":
        part = Chain(parts=(lambda x: x, part))
    if wrap == "strength":
        part = Strength(corrector=part, correction_strength=1e9)

    class Seven:
        def fit(self, X):
            return self

        def sample(self, n):
            return np.random.default_rng(n).integers(0, 7, (n, 1)).astype(float)

    loop = Loop(Seven(), np.arange(40.0)[:, None], regime="replace", corrector=part, generations=2, shard_rows=10)
    for generation in list(loop)[1:]:
        assert len(generation.synthetic) == len(np.unique(generation.synthetic.x)) <= 7
        assert generation.verdicts["dropped"] == 40 - len(generation.synthetic)
        assert generation.metrics["dropped_share"].value == pytest.approx(1.0 - len(generation.synthetic) / 40)
