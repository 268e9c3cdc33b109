import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.metrics.reward import Reward
from ouroloop.protocols import Reference
from ouroloop.rewards import Reward as RewardFunction
from ouroloop.samples import Samples
from ouroloop.testing import MetricSuite

KEY = Key(0, ("test",))
NEAR = RewardFunction(centre=(0.0,), radius=1.0, scale=2.0)


class TestReward(MetricSuite):
    def make(self):
        return Reward(reward=RewardFunction(centre=(2.0, 2.0), radius=0.5))


def test_values_of_a_known_distribution():
    """Uniform on [-2, 2]: half the rows are within 1, the others lose 2 (|x| - 1), in the mean 2 * 1/2 * 1/2."""
    rng, n = np.random.default_rng(0), 200_000
    metric = Reward(reward=NEAR).fit(Reference(Samples.of(rng.uniform(-2, 2, (500, 1)))), key=KEY)
    found = {m.metric: m for m in metric.measure(Samples.of(rng.uniform(-2, 2, (n, 1))), generator=None, key=KEY)}
    for name, law in (("liked_share", 0.5), ("reward", -0.5), ("reward_variance", 2 / 3 - 0.25)):
        half = 1.5 * (found[name].high - found[name].value)
        assert found[name].value == pytest.approx(law, abs=max(half, 1e-9)), name
    assert found["liked_share"].n == n


def test_a_share_of_none_or_all_is_not_known_exactly():
    metric = Reward(reward=NEAR).fit(Reference(Samples.of(np.zeros((10, 1)))), key=KEY)
    for place, share in ((0.0, 1.0), (5.0, 0.0)):
        rows = Samples.of(np.full((20, 1), place))
        (found,) = (m for m in metric.measure(rows, generator=None, key=KEY) if m.metric == "liked_share")
        assert found.value == share
        assert found.high - found.low > 0.1  # 20 alike: the true share may well be one in ten off
        assert found.low <= share <= found.high


def test_the_floor_is_the_held_out_rows():
    real, held_out = Samples.of(np.zeros((10, 1))), Samples.of(np.full((10, 1), 3.0))
    metric = Reward(reward=NEAR).fit(Reference(real, held_out), key=KEY)
    found = {m.metric: m for m in metric.measure(real, generator=None, key=KEY)}
    assert (found["reward"].value, found["reward"].floor) == (0.0, -4.0)


@pytest.mark.parametrize("rows", [np.zeros((1, 1)), np.array([[0.0], [np.nan]])])
def test_few_or_broken_rows(rows):
    metric = Reward(reward=NEAR).fit(Reference(Samples.of(np.zeros((3, 1)))), key=KEY)
    with pytest.raises(DataError):
        metric.measure(Samples.of(rows), generator=None, key=KEY)
