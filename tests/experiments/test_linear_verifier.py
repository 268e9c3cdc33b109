"""Linear verifiers: measured rates and what is learnt, against independent computations."""

import math

import numpy as np
import pytest

from ouroloop.experiments.linear_verifier import LinearVerifier
from ouroloop.keys import Key


@pytest.mark.parametrize("overlap", [-0.8, 0.0, 0.6])
@pytest.mark.parametrize("angles", [(40.0, 70.0), (110.0, 20.0)])
def test_cosines_are_those_of_directions(overlap, angles):
    e = LinearVerifier(generator_angle=angles[0], verifier_angle=angles[1], overlap=overlap)
    x = np.random.default_rng(0).standard_normal((200_000, 3))
    a, b, c = e.cosines
    noise = 1 - np.mean(_directions(x, a, b, c)[0] == np.sign(x[:, 0]))
    assert noise == pytest.approx(angles[0] / 180, abs=0.005)
    made, judged = _directions(x, a, b, c)
    assert np.mean(made == judged) == pytest.approx(1 - math.acos(c) / math.pi, abs=0.005)
    found = e.run([Key(0)])
    assert found["kept_share"].shape == (1, 5)


def _directions(x: np.ndarray, a: float, b: float, c: float) -> tuple[np.ndarray, np.ndarray]:
    """Labels by two directions with cosines a, b to the first axis and c to one another."""
    first = np.array([a, math.sqrt(1 - a * a), 0.0])
    along = (c - a * b) / math.sqrt(1 - a * a)
    second = np.array([b, along, math.sqrt(max(1 - b * b - along**2, 0.0))])
    return np.sign(x @ first), np.sign(x @ second)


@pytest.mark.parametrize("selection", ["verified", "all", "random", "right"])
@pytest.mark.parametrize("errors", ["angles", "independent"])
def test_many_rows_reach_the_limit(selection, errors):
    e = LinearVerifier(values=(20.0, 100.0), n=200_000, dimension=3, selection=selection, errors=errors, overlap=0.3)
    measured, law = e.run([Key(2)])["accuracy"][0], e.forecasts()[0].values
    np.testing.assert_allclose(measured, law, atol=0.012)


def test_an_empty_selection_is_not_a_number():
    e = LinearVerifier(values=(10.0, 20.0), n=2, dimension=3)
    assert np.isnan(e.run([Key(0)])["accuracy"]).all()
