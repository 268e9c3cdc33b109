import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.correctors.curate import Curate
from ouroloop.errors import DataError, PartError, SpecError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.rewards import Reward
from ouroloop.samples import Samples, Verdict
from ouroloop.testing import CorrectorSuite

KEY = Key(0, ("test",))


def curate(real, reward, **options):
    return Curate(reward=reward, **options).fit(Reference(Samples.of(real)), key=KEY)


class TestCurate(CorrectorSuite):
    def make(self):
        return Curate(reward=Reward(centre=(0.0, 0.0), scale=3.0), choices=3)


@given(n=st.integers(1, 60), k=st.integers(1, 8), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_one_row_of_every_group_survives(n, k, seed):
    x = np.random.default_rng(seed).normal(size=(n, 2))
    part = curate(x, Reward(centre=(0.0, 0.0)), choices=k)
    answer = part.correct(Samples.of(x), key=Key(seed))
    assert answer.counts()["kept"] == n // k
    assert answer.counts()["dropped"] == n - n // k


@pytest.mark.parametrize("k", [2, 4, 16])
def test_the_share_of_the_preferred_follows_the_two_level_law(k):
    """Rewards 0 and R: a row of the upper level wins among K with the probability that counting gives."""
    high, n, share = 1.5, 160_000, 0.3
    x = (np.random.default_rng(1).random(n) < share).astype(float)[:, None]
    part = curate(x, lambda rows: high * rows.x[:, 0], choices=k)
    answer = part.correct(Samples.of(x), key=Key(3))
    winners = x[answer.verdict == Verdict.KEPT, 0]
    law = 0.0
    for upper in range(k + 1):
        weight = upper * np.exp(high) / (upper * np.exp(high) + k - upper)
        law += (
            float(np.prod([(k - i) / (i + 1) for i in range(upper)]))
            * share**upper
            * (1 - share) ** (k - upper)
            * weight
        )
    assert winners.mean() == pytest.approx(law, abs=4 * np.sqrt(law * (1 - law) / len(winners)))


def test_near_rewards_the_neighbourhood_and_all_of_it_equally():
    judge = Reward(centre=(1.0, 0.0), radius=0.5, scale=2.0).ready(Samples.of(np.zeros((3, 2))), key=KEY)
    np.testing.assert_allclose(judge(Samples.of(np.array([[1.0, 0.4], [1.0, 0.5], [1.0, 1.5]]))), [0.0, 0.0, -2.0])


def test_rewards_of_a_classifier():
    from sklearn.datasets import load_digits

    digits = load_digits()
    real = Samples.of(digits.images[:600] / 16.0, label=digits.target[:600])
    other = Samples.of(digits.images[600:800] / 16.0)
    probable = Reward(kind="class_probability", label=3).ready(real, key=KEY)(other)
    sure = Reward(kind="confidence").ready(real, key=KEY)(other)
    is_three = digits.target[600:800] == 3
    assert probable[is_three].mean() > 0.7 > 0.1 > probable[~is_three].mean()
    assert (sure >= probable - 1e-12).all()
    assert (sure >= 0.1).all()


@pytest.mark.parametrize("reward", [{}, {"kind": "class_probability"}])
def test_a_reward_says_what_it_needs(reward):
    with pytest.raises(SpecError, match="is required by the reward"):
        Reward(**reward)


def test_a_centre_is_finite():
    with pytest.raises(SpecError, match=r"reward\.centre: must be finite"):
        Reward(centre=(float("nan"), 0.0))


@pytest.mark.parametrize(
    ("reward", "match"),
    [(lambda rows: rows.x, "must be 4 finite numbers, got shape"), (lambda rows: rows.x[:, 0] + np.inf, "not finite")],
)
def test_a_reward_must_give_one_finite_number_a_row(reward, match):
    rows = np.zeros((4, 1))
    with pytest.raises(PartError, match=match):
        curate(rows, reward).correct(Samples.of(rows), key=KEY)


def test_a_centre_of_another_dimension_or_no_fit_is_an_error():
    with pytest.raises(DataError, match="has 1 numbers, but rows have 2"):
        curate(np.zeros((3, 2)), Reward(centre=(1.0,)))
    with pytest.raises(PartError, match="call fit"):
        Curate(reward=Reward(centre=(0.0,))).correct(Samples.of(np.zeros((4, 1))), key=KEY)
