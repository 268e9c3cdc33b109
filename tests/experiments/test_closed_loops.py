"""Loops on sufficient statistics as experiments: means near their laws, generation 0 is the first fit."""

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.experiments.closed_loops import DiscreteLoop, GaussianLoop, RegressionLoop
from ouroloop.keys import Key

KEYS = [Key(seed) for seed in range(8)]


@pytest.mark.parametrize("regime", ["replace", "accumulate", "fixed_real", "fresh_real"])
@pytest.mark.parametrize("kind", [RegressionLoop, GaussianLoop, DiscreteLoop])
def test_means_over_seeds_are_near_the_law(kind, regime):
    loop = kind(regime=regime, generations=8, n=30, replicas=200, **({} if kind is DiscreteLoop else {"dimension": 3}))
    measured = loop.run(KEYS)
    laws = [law for law in loop.forecasts() if law.validity == "exact"]
    assert laws
    for law in laws:
        values = measured[law.metric]
        assert values.shape == (8, 9)
        error = values.std(axis=0, ddof=1) / np.sqrt(8)
        assert (np.abs(values.mean(axis=0) - law.values) < 6 * error).all()


def test_generation_zero_is_the_fit_to_real_data():
    law = RegressionLoop(n=100, dimension=10).forecasts()[0]
    assert law.values[0] == pytest.approx(10 / 89)
    assert law.values[1] == pytest.approx(20 / 89)


def test_fixation_is_counted_in_fits():
    loop = DiscreteLoop(categories=2, n=1, generations=3, replicas=5)
    assert loop.run(KEYS[:1])["fixation_generation"].tolist() == [[1.0] * 4]
    slow = DiscreteLoop(categories=50, n=1000, generations=3, replicas=5)
    assert np.isnan(slow.run(KEYS[:1])["fixation_generation"]).all()


def test_what_has_no_law_has_no_forecast():
    assert RegressionLoop(regime="accumulate_subsample", inputs="fresh").forecasts() == []


def test_a_seed_does_not_depend_on_the_others():
    loop = GaussianLoop(generations=3, n=20, dimension=2, replicas=5)
    alone, among = loop.run([KEYS[3]]), loop.run(KEYS)
    for name, values in alone.items():
        assert (values[0] == among[name][3]).all()


def test_what_the_simulator_refuses_is_refused():
    with pytest.raises(SpecError, match="n: "):
        RegressionLoop(n=5, dimension=10).run(KEYS[:1])
