from __future__ import annotations

import math

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from ouroloop.report.scale import Scale, linear_ticks, log_ticks

numbers = st.floats(-1e9, 1e9, allow_nan=False)
positive = st.floats(1e-12, 1e12, allow_nan=False)


@given(numbers, numbers)
def test_linear_ticks_lie_inside_and_are_evenly_spaced(a: float, b: float) -> None:
    low, high = min(a, b), max(a, b)
    assume(high - low > 1e-6 * max(abs(low), abs(high), 1e-6))
    ticks = linear_ticks(low, high)
    slack = 1e-6 * (high - low)
    assert 2 <= len(ticks) <= 7
    assert low - slack <= ticks[0]
    assert ticks[-1] <= high + slack
    np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0], rtol=1e-6)


@given(positive, st.floats(1.5, 1e9))
def test_log_ticks_lie_inside_and_are_one_two_or_five_times_a_power(low: float, factor: float) -> None:
    high = low * factor
    for tick in log_ticks(low, high):
        assert low <= tick <= high
        lead = tick / 10 ** math.floor(math.log10(tick) + 1e-9)
        assert min(abs(lead - m) for m in (1, 2, 5)) < 1e-6


@given(positive, st.floats(1.01, 1e6), st.booleans())
def test_the_ends_of_a_scale_map_to_its_pixels(low: float, factor: float, log: bool) -> None:
    scale = Scale(low, low * factor, 200, 10, log)
    np.testing.assert_array_equal(scale(np.array([low, low * factor])), [200, 10])


def test_a_scale_is_monotone_and_passes_nan_on() -> None:
    for log in (False, True):
        pixels = Scale(1, 100, 0, 500, log)(np.array([1, 5, 20, 100, np.nan]))
        assert (np.diff(pixels[:4]) > 0).all()
        assert np.isnan(pixels[4])
    assert np.isnan(Scale(1, 100, 0, 500, log=True)(np.array([0.0, -1.0]))).all()
