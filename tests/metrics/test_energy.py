from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance as scipy_energy

from ouroloop.keys import Key
from ouroloop.metrics.energy import energy_distance


def test_equals_loops():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((7, 3)), rng.standard_normal((9, 3)) + 1
    expected = 2 * cdist(a, b).mean() - cdist(a, a).sum() / (7 * 6) - cdist(b, b).sum() / (9 * 8)
    assert energy_distance(real=a, generated=b) == pytest.approx(expected)


def test_is_the_square_of_scipys_apart_from_the_diagonal():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal(60), rng.standard_normal(80) + 1
    within_a, within_b = cdist(a[:, None], a[:, None]), cdist(b[:, None], b[:, None])
    bias = within_a.mean() / 59 + within_b.mean() / 79  # what leaving the zeros of the diagonal out adds
    found = energy_distance(real=a[:, None], generated=b[:, None])
    assert found == pytest.approx(scipy_energy(a, b) ** 2 - bias)


def test_unbiased_on_equal_laws():
    rng = Key(1).rng()
    values = [
        energy_distance(real=rng.standard_normal((20, 2)), generated=rng.standard_normal((20, 2))) for _ in range(300)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(300)
    assert min(values) < 0


def test_translation_invariant_and_scales():
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((12, 2)), rng.standard_normal((15, 2)) + 1
    base = energy_distance(real=a, generated=b)
    assert energy_distance(real=a + 100, generated=b + 100) == pytest.approx(base)
    assert energy_distance(real=3 * a, generated=3 * b) == pytest.approx(3 * base)
