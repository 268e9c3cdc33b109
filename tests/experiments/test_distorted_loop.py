"""The distorted loop: moments against rows, factor and boundary against what must come out."""

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.experiments.distorted_loop import DistortedLoop, _crossing, _factor, _moments
from ouroloop.keys import Key


def test_moments_are_those_of_rows():
    mean, square = _moments(Key(0).rng(), np.full(40_000, 7))
    rows = np.random.default_rng(1).standard_normal((40_000, 7))
    for ours, theirs in ((mean, rows.mean(axis=1)), (square, np.square(rows).mean(axis=1))):
        assert ours.mean() == pytest.approx(theirs.mean(), abs=0.02)
        assert ours.std() == pytest.approx(theirs.std(), abs=0.02)
    assert [v.tolist() for v in _moments(Key(0).rng(), np.zeros(3, int))] == [[0.0] * 3] * 2


def test_the_factor_is_that_of_a_known_decay():
    track = np.stack([[[2.0], [2.0 + 0.5**t]] for t in range(40)])
    assert _factor(track) == pytest.approx(0.5, rel=1e-9)


def test_the_boundary_is_interpolated_where_the_factor_is_linear():
    ratio = np.array([0.5, 1.0, 4.0])
    share = ratio / (1 + ratio)
    assert _crossing(ratio, 1.5 * share) == pytest.approx(2.0)
    assert np.isnan(_crossing(ratio, 0.5 * share))
    assert np.isnan(_crossing(ratio, 10 * share))


@pytest.mark.parametrize("strength", [0.0, 0.4, 2.0])
def test_measured_factor_is_the_spectral_radius(strength):
    loop = DistortedLoop(correction_strength=strength, values=(0.5, 2.0, 8.0))
    measured = loop.run([Key(seed) for seed in range(4)])["factor"].mean(axis=0)
    np.testing.assert_allclose(measured, loop.forecasts()[0].values, rtol=0.03)


def test_a_perfect_corrector_forgets_at_once():
    loop = DistortedLoop(correction_strength=1e12, values=(1.0, 2.0))
    assert (loop.run([Key(0)])["factor"] < 1e-3).all()


def test_too_few_synthetic_rows_are_refused():
    with pytest.raises(SpecError, match=r"synthetic_ratio 0\.1 makes fewer than 2 rows of 10"):
        _ = DistortedLoop(n=10).axis
