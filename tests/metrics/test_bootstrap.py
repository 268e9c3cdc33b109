"""Intervals cover what they promise, within Monte-Carlo error, for every metric whose expectation is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ouroloop.keys import Key
from ouroloop.metrics.bootstrap import interval, resample_counts, share, wilson
from ouroloop.metrics.diversity import Diversity
from ouroloop.metrics.energy import Energy
from ouroloop.metrics.gaussian_w2 import GaussianW2
from ouroloop.metrics.mmd import Mmd
from ouroloop.metrics.moments import Moments
from ouroloop.metrics.nearest_real import NearestReal
from ouroloop.metrics.sliced_w2 import SlicedW2
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def test_counts_sum_to_n_and_have_multinomial_moments():
    counts = resample_counts(Key(0), 40, 5000)
    assert (counts.sum(axis=1) == 40).all()
    np.testing.assert_allclose(counts.mean(), 1.0)
    # Var = 1 - 1/n; the standard error of the mean over 200,000 entries is about 0.004.
    np.testing.assert_allclose(counts.var(), 1 - 1 / 40, atol=0.02)


def test_no_key_gives_no_resamples_and_no_interval():
    counts = resample_counts(None, 7, 50)
    assert counts.shape == (0, 7)
    assert np.isnan(interval(1.0, counts[:, 0]).low)
    assert np.isnan(share(0.5, counts[:, 0], 7).high)


@pytest.mark.parametrize("metric", [Diversity(), Moments(), NearestReal()])
@pytest.mark.parametrize("different", [0, 1])
def test_relative_to_real_rows_that_are_alike_nothing_is_infinite(metric, different):
    """With one row that differs many resamples of the real rows have no spread at all."""
    x = np.zeros((40, 2))
    x[:different] = 1.0
    real, rows = Samples.of(x), Samples.of(np.random.default_rng(0).normal(size=(50, 2)))
    for found in metric.fit(Reference(real, real), key=Key(0)).measure(rows, generator=None, key=Key(1)):
        numbers = np.array([found.value, found.low, found.high])
        assert not np.isinf(numbers).any(), found.metric
        assert np.isnan(numbers).all() or np.abs(numbers).max() < 1e6, found.metric


@settings(deadline=None)
@given(st.floats(-5, 5), st.lists(st.floats(-5, 5), min_size=2, max_size=9))
def test_the_value_lies_in_its_interval_and_the_interval_in_the_range(value, resampled):
    found = interval(value, np.array(resampled), -1.0, 1.0)
    assert found.low <= value <= found.high
    assert found.low >= min(value, -1.0)
    assert found.high <= max(value, 1.0)


@settings(deadline=None)
@given(st.integers(1, 500), st.floats(0, 1))
def test_wilson_equals_scipy(n, p):
    k = round(p * n)
    expected = stats.binomtest(k, n).proportion_ci(method="wilson")
    np.testing.assert_allclose(wilson(k / n, n), (expected.low, expected.high), atol=1e-9)


def test_few_blocks_are_corrected():
    draws = np.array([0.0, 1.0, 2.0])
    half = interval(0.0, draws).high
    np.testing.assert_allclose(interval(0.0, draws, blocks=2).high, half * np.sqrt(2))


def test_a_share_of_all_rows_has_an_interval():
    found = share(1.0, np.ones(20), 50)
    assert found.high == 1.0
    assert 0.9 < found.low < 0.95


SHIFT = np.array([1.0, 0.0])
REPETITIONS = 120
PARTS = {
    "gaussian_w2": GaussianW2(features="identity", floor_repeats=0),
    "sliced_w2": SlicedW2(features="identity", floor_repeats=0, directions=16),
    "mmd": Mmd(features="identity", floor_repeats=0, bandwidth=1.0),
    "energy": Energy(features="identity", floor_repeats=0),
    "mean_error": Moments(features="identity", floor_repeats=0),
    "nearest_real": NearestReal(features="identity", floor_repeats=0),
    "diversity": Diversity(features="identity", floor_repeats=0),
}


@pytest.mark.parametrize("name", PARTS)
def test_intervals_cover_the_expectation(name):
    """Two Gaussian clouds at distance 1, drawn afresh 120 times.

    The spread over the repetitions is known to 6.5 % and the coverage to 2 %; the bounds leave three of these,
    and the bootstrap itself some room (50 resamples know a spread to 10 %, which averages out here).
    """
    values, lows, highs = [], [], []
    train = Samples.of(Key(0).rng().standard_normal((100, 2)))
    for repetition in range(REPETITIONS):
        rng = Key(repetition, ("coverage",)).rng()
        metric = PARTS[name].fit(Reference(train, Samples.of(rng.standard_normal((100, 2)))), key=Key(7))
        rows = Samples.of(rng.standard_normal((100, 2)) + SHIFT)
        found = {m.metric: m for m in metric.measure(rows, generator=None, key=Key(repetition))}[name]
        values.append(found.value)
        lows.append(found.low)
        highs.append(found.high)
    expectation = np.mean(values)
    covered = np.mean((np.array(lows) <= expectation) & (expectation <= np.array(highs)))
    assert covered >= 0.89, f"{name}: the interval covers {covered:.3f}"
    width = np.mean(np.array(highs) - np.array(lows)) / (2 * 1.96)
    assert 0.8 <= width / np.std(values) <= 1.3, f"{name}: {width:.4f} against {np.std(values):.4f}"
