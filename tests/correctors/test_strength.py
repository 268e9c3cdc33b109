import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.correction import Correction
from ouroloop.correctors.function import adapt
from ouroloop.correctors.ideal import Ideal
from ouroloop.correctors.strength import Strength
from ouroloop.errors import DataError, PartError, SpecError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

KEY = Key(0, ("test",))


def fresh(n, *, key):
    return Samples.of(10.0 + key.rng().standard_normal((n, 2)))


REFERENCE = Reference(Samples.of(np.zeros((5, 2))), fresh=fresh)


def never(*args, **kwargs):
    raise AssertionError("called")


class Never:
    fit = never
    correct = never


def test_strength_0_neither_fits_nor_calls_the_corrector():
    rows = Samples.of(np.array([[1.0, np.nan], [2.0, 3.0]]))
    answer = Strength(corrector=Never(), correction_strength=0).fit(REFERENCE, key=KEY).correct(rows, key=KEY)
    assert answer.survivors().x is not None
    np.testing.assert_array_equal(answer.survivors().x, rows.x)
    assert answer.verdict.tolist() == [Verdict.KEPT] * 2


@pytest.mark.parametrize("bad", [-0.1, float("nan")])
def test_impossible_strengths_are_refused(bad):
    with pytest.raises(SpecError, match="correction_strength"):
        Strength(corrector=Never(), correction_strength=bad)


@pytest.mark.parametrize(("strength", "share"), [(0, 0), (0.25, 0.2), (1, 0.5), (3, 0.75), (float("inf"), 1)])
def test_share(strength, share):
    assert Strength(corrector=Never(), correction_strength=strength).share == share


@given(strength=st.floats(0, 100), seed=st.integers(0, 2**31), n=st.integers(0, 50))
def test_ideal_rows_are_a_mixture_whose_choice_and_draws_are_the_named_streams(strength, seed, n):
    key = Key(seed)
    rows = Samples.of(np.zeros((n, 2)))
    part = Strength(corrector=Ideal(), correction_strength=strength).fit(REFERENCE, key=KEY)
    chosen = key.child("strength").rng().random(n) < strength / (1 + strength)
    target = 10.0 + key.child("target").rng().standard_normal((n, 2))
    expected = np.where(chosen[:, None], target, 0.0)
    np.testing.assert_array_equal(part.correct(rows, key=key).survivors().x, expected)


def test_ideal_mixture_has_the_moments_of_pi_gamma():
    n, strength = 40_000, 0.5
    rows = Samples.of(np.random.default_rng(0).standard_normal((n, 2)))
    part = Strength(corrector=Ideal(), correction_strength=strength).fit(REFERENCE, key=KEY)
    x = part.correct(rows, key=KEY).survivors().x
    # (p + gamma p*) / (1 + gamma) of N(0, 1) and N(10, 1): mean 10/3, variance 1 + 100 (1/3)(2/3), per axis
    assert np.abs(x.mean(axis=0) - 10 / 3).max() < 5 * np.sqrt((1 + 200 / 9) / n)
    assert np.abs(x.var(axis=0) / (1 + 200 / 9) - 1).max() < 0.03


def test_only_chosen_rows_are_shown_to_a_corrector_that_judges_rows_alone():
    seen = []

    def remember(x):
        seen.append(x[:, 0].tolist())
        return x + 1.0

    rows = Samples.of(np.arange(20.0)[:, None])
    part = Strength(corrector=adapt(remember), correction_strength=1.0).fit(REFERENCE, key=KEY)
    answer = part.correct(rows, key=KEY)
    chosen = np.flatnonzero(KEY.child("strength").rng().random(20) < 0.5)
    assert seen == [chosen.astype(float).tolist()]
    assert answer.verdict.tolist() == [int(i in chosen) for i in range(20)]
    np.testing.assert_array_equal(answer.distance, np.isin(np.arange(20), chosen).astype(float))


def test_verdicts_of_the_corrector_are_kept():
    class Harsh:
        def fit(self, reference, *, key):
            return self

        def correct(self, synthetic, *, key):
            return Correction(synthetic, synthetic, np.full(len(synthetic), Verdict.DROPPED), np.zeros(len(synthetic)))

    rows = Samples.of(np.arange(50.0)[:, None])
    answer = Strength(corrector=Harsh(), correction_strength=1.0).fit(REFERENCE, key=KEY).correct(rows, key=KEY)
    chosen = KEY.child("strength").rng().random(50) < 0.5
    np.testing.assert_array_equal(answer.verdict == Verdict.DROPPED, chosen)
    assert len(answer.survivors()) == 50 - chosen.sum()


def test_ideal_without_fresh_rows_says_what_to_do():
    with pytest.raises(DataError, match=r"'table' is a fixed table .*cluster"):
        Ideal().fit(Reference(Samples.of(np.zeros((3, 2))), name="table"), key=KEY)


def test_ideal_replaces_labels_with_the_row_and_leaves_out_what_the_generator_lacks():
    def labelled(n, *, key):
        return Samples.of(np.full((n, 1), 7, np.float64), label=np.full(n, 3))

    part = Ideal().fit(Reference(labelled(2, key=KEY), fresh=labelled), key=KEY)
    with_label = part.correct(Samples.of(np.zeros((4, 1), np.float32), label=np.zeros(4, int)), key=KEY)
    assert with_label.survivors().label.tolist() == [3] * 4
    assert with_label.survivors().x.dtype == np.float32
    assert part.correct(Samples.of(np.zeros((4, 1))), key=KEY).survivors().data_columns == ("x",)


def test_ideal_refuses_rows_of_another_shape_and_an_unfitted_call():
    with pytest.raises(PartError, match="must agree"):
        Ideal().fit(REFERENCE, key=KEY).correct(Samples.of(np.zeros((4, 3))), key=KEY)
    with pytest.raises(PartError, match="call fit"):
        Ideal().correct(Samples.of(np.zeros((4, 2))), key=KEY)
