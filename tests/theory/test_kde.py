from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import DataError, SpecError
from ouroloop.keys import Key
from ouroloop.theory import kde, tv
from ouroloop.theory.simulate import kde_loop


@pytest.mark.parametrize("regime", kde.REGIMES)
@pytest.mark.parametrize("last", [1, 3, 6, 12])
@pytest.mark.parametrize(("n", "h"), [(2, 0.5), (5, 0.1), (10, 0.3), (20, 1.0), (8, 0.0)])
def test_moments(agrees, regime, last, n, h):
    """The simulator draws rows and resamples them: it shares nothing with the laws."""

    def simulate(seed, which):
        return kde_loop(regime, last, n, h, Key(seed).child(f"{last} {n}"), replicas=2000)[which][-1]

    agrees(lambda seed: simulate(seed, 0), kde.second_moment(regime, last, h))
    if regime == "replace":
        agrees(lambda seed: simulate(seed, 1), kde.within_variance(last, n, h))


def test_limits():
    assert kde.within_variance(10**9, 50, 0.3) == pytest.approx(49 * 0.09)
    assert kde.within_variance(5, 1, 0.3) == 0.0
    assert kde.second_moment("replace", 60, 0.3) == pytest.approx(6.31)
    assert kde.second_moment("accumulate", [1, 60], 0.3).round(3).tolist() == [1.0, 1.331]


@given(regime=st.sampled_from(kde.REGIMES), t=st.integers(1, 10**9), h=st.floats(0, 1e6))
def test_any_argument_gives_a_number(regime, t, h):
    assert 1.0 - 1e-9 <= kde.second_moment(regime, t, h) < np.inf
    assert 0.0 <= kde.within_variance(t, 7, h) < np.inf


@pytest.mark.parametrize("d", [1, 2])
def test_constants_are_estimated_from_data(d):
    """The rate is about N^(-2/(4+d)), and the fitted curve is within 30 % of errors against the true density."""
    rows = np.random.default_rng(0).standard_normal((12_000, d)) @ np.diag([3.0, 0.1][:d])
    found = kde.estimate_constants(rows, Key(1), repeats=10)
    assert found.exponent == pytest.approx(tv.kde_exponent(d), abs=0.12)
    assert found == kde.estimate_constants(rows, Key(1), repeats=10)
    if d == 1:
        grid = np.linspace(-8, 8, 2001)
        truth = np.exp(-(grid**2) / 2) / np.sqrt(2 * np.pi)
        n, errors = 1000, []
        for part in rows[:10_000, 0].reshape(10, n) / 3.0:
            h = 1.06 * n**-0.2 * part.std()
            density = np.exp(-(((grid[:, None] - part) / h) ** 2) / 2).mean(axis=1) / (h * np.sqrt(2 * np.pi))
            errors.append(0.5 * np.abs(density - truth).sum() * (grid[1] - grid[0]))
        assert found.constant * n**-found.exponent == pytest.approx(np.mean(errors), rel=0.3)


@pytest.mark.parametrize(
    "rows", [np.zeros(100), np.zeros((300, 3)), np.full(300, np.nan), np.zeros(300), np.zeros((300, 1, 1))]
)
def test_rows_that_cannot_be_used(rows):
    with pytest.raises(DataError, match="rows"):
        kde.estimate_constants(rows, Key(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kde.second_moment("fixed_real", 3, 0.1), "regime"),
        (lambda: kde.second_moment("replace", 0, 0.1), "generation"),
        (lambda: kde.second_moment("replace", 3, -0.1), "bandwidth"),
        (lambda: kde_loop("fresh_real", 3, 5, 0.1, Key(0)), "regime"),
        (lambda: kde_loop("replace", 3, 5, np.inf, Key(0)), "bandwidth"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(SpecError, match=message):
        call()
