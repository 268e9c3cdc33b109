"""Curation on a finite set: the sampler against probabilities by enumeration, and metrics by hand."""

import itertools
import math

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.experiments.finite_curation import FiniteCuration
from ouroloop.keys import Key

P, R = (0.2, 0.3, 0.5), (1.0, 0.0, 0.4)


def enumerated(choices: int) -> np.ndarray:
    """Probability of every point to be chosen, over all tuples of draws."""
    found = np.zeros(3)
    for drawn in itertools.product(range(3), repeat=choices):
        weights = np.exp([R[i] for i in drawn])
        for i, w in zip(drawn, weights / weights.sum(), strict=True):
            found[i] += w * math.prod(P[j] for j in drawn)
    return found


@pytest.mark.parametrize("choices", [1, 2, 4, math.inf])
def test_choices_are_drawn_as_they_are_defined(choices):
    e = FiniteCuration(reference=P, rewards=R, choices=choices, n=100_000, generations=1)
    tilted = np.array(P) * np.exp(R)
    expected = tilted / tilted.sum() if math.isinf(choices) else enumerated(int(choices))
    chosen = e._chosen(np.array(P), Key(0).rng())
    np.testing.assert_allclose(chosen, expected, atol=5 * 0.5 / math.sqrt(100_000))


def test_metrics_are_what_they_say():
    e = FiniteCuration(reference=(0.5, 0.5), rewards=(0.0, math.log(2.0)), generations=1)
    found = {name: float(value) for name, value in e.summaries(np.array([0.0, 1.0])).items()}
    expected = {"expected_reward": 1, "top_share": 1, "reward_variance": 0, "divergence": math.log(2), "support": 1}
    assert found == pytest.approx(expected)
    half = {name: float(value) for name, value in e.summaries(np.array([0.5, 0.5])).items()}
    assert (half["expected_reward"], half["reward_variance"], half["divergence"]) == (0.75, 0.0625, 0.0)


def test_without_choice_there_is_neither_fixed_point_nor_bound():
    labels = {law.label for law in FiniteCuration(choices=1.0).forecasts()}
    assert labels == {"exact operator"}


@pytest.mark.parametrize("options", [{"choices": 2.5}, {"rewards": (1.0, 2.0)}, {"reference": (0.5,) * 8}])
def test_what_makes_no_loop_is_refused(options):
    with pytest.raises(SpecError):
        _ = FiniteCuration(**options).axis
