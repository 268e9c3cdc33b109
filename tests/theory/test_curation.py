"""The operator against draws, its limits and closed forms, and the bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.theory import curation

RNG = np.random.default_rng(7)
SETTINGS = [
    (RNG.dirichlet(np.ones(m)), RNG.normal(0.0, scale, m), choices)
    for m, scale in [(2, 1.0), (3, 3.0), (5, 0.5), (8, 2.0), (20, 1.0)]
    for choices in (1, 2, 4, 16)
]
P = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
R = np.array([0.0, 0.5, 1.0, 2.0, 2.0])


@pytest.mark.parametrize("index", range(len(SETTINGS)))
def test_a_step_is_what_choosing_does(agrees, index):
    """Every probability, by drawing K and keeping the best after Gumbel noise."""
    p, r, choices = SETTINGS[index]
    law = curation.step(p, r, choices)

    def winners(seed):
        rng = np.random.default_rng([seed, index])
        drawn = rng.choice(len(p), (30_000, choices), p=p)
        best = (r[drawn] + rng.gumbel(size=drawn.shape)).argmax(axis=1)
        return np.take_along_axis(drawn, best[:, None], axis=1)[:, 0]

    found = [winners(0), winners(1)]
    for place in np.argsort(-law)[:5]:
        agrees(lambda seed, place=place: found[seed] == place, law[place])


def test_a_step_by_enumeration():
    """All K-tuples of 4 points, K = 2, 3, 5, to 1e-9."""
    p, r = np.array([0.1, 0.2, 0.3, 0.4]), np.array([3.0, -1.0, 0.0, 0.7])
    for choices in (2, 3, 5):
        expected = np.zeros(4)
        for combination in np.ndindex(*(4,) * choices):
            which = np.array(combination)
            shares = np.exp(r[which]) / np.exp(r[which]).sum()
            np.add.at(expected, which, p[which].prod() * shares)
        np.testing.assert_allclose(curation.step(p, r, choices), expected, atol=1e-9)


@settings(max_examples=150, deadline=None)
@given(
    m=st.integers(1, 30),
    scale=st.sampled_from([0.0, 1.0, 50.0, 900.0, 4000.0]),
    choices=st.sampled_from([1, 2, 3, 10, 1000, 10**7, 10**12, math.inf]),
    sparse=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_mass_is_conserved_whatever_the_rewards(m, scale, choices, sparse, seed):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(m, 0.05 if sparse else 1.0))
    if sparse:
        p[p < 1e-3] = 0.0
    p /= p.sum()
    r = rng.uniform(0, scale, m)
    factor = curation.operator(p, r, choices)
    assert (p * factor).sum() == pytest.approx(1.0, abs=1e-8)
    assert (factor >= 0).all()
    assert (factor <= choices * (1 + 1e-8)).all()
    found = curation.step(p, r, choices)
    assert found.sum() == pytest.approx(1.0, abs=1e-12)
    assert not found[p == 0.0].any()
    order = np.argsort(r)
    assert (np.diff(factor[order][p[order] > 0]) >= -1e-8).all()  # better is chosen more often
    assert found @ r >= p @ r - 1e-7 * max(scale, 1.0)


def test_limits():
    np.testing.assert_array_equal(curation.step(P, R, 1), P)
    replicated = P * np.exp(R) / (P @ np.exp(R))
    np.testing.assert_allclose(curation.step(P, R, math.inf), replicated)
    np.testing.assert_allclose(curation.step(P, R, 10**8), replicated, atol=1e-7)
    np.testing.assert_allclose(curation.step(P, R + 1e4, 4), curation.step(P, R, 4), atol=1e-9)
    np.testing.assert_allclose(curation.step(P, np.zeros(5), 7), P, atol=1e-9)
    shifted = curation.step([0.5, 0.5, 0.0], [0.0, 1.0, 5000.0], math.inf)
    np.testing.assert_allclose(shifted, [1 / (1 + math.e), math.e / (1 + math.e), 0.0])


def test_rows_of_distributions():
    batch = np.stack([P, P[::-1], np.ones(5) / 5])
    for choices in (1, 3, math.inf):
        found = curation.step(batch, R, choices)
        for row, p in zip(found, batch, strict=True):
            np.testing.assert_allclose(row, curation.step(p, R, choices), atol=1e-12)


@pytest.mark.parametrize("difference", [-3.0, 0.0, 0.5, 2.0, 20.0])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 1.0])
def test_two_levels(share, difference):
    found = curation.step([1 - share, share], [0.0, difference], 2)[1]
    assert found == pytest.approx(curation.two_levels(share, difference), abs=1e-9)


@pytest.mark.parametrize("choices", [1, 2, 4, 50])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.117, 0.5, 1.0])
def test_hit_or_miss(share, choices):
    p = np.array([1 - share, share])
    for t in (0, 1, 2, 3):
        assert p[1] == pytest.approx(curation.hit_or_miss(share, choices, t), abs=1e-8)
        p = curation.step(p, [0.0, 500.0], choices)


@pytest.mark.parametrize("ratio", [0.01, 0.3, 1.0, 5.0, 100.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_fixed_point_is_where_the_loop_goes(ratio, seed):
    rng = np.random.default_rng(seed)
    p, r = rng.dirichlet(np.ones(6)), rng.normal(size=6)
    found = curation.fixed_point(p, r, ratio)
    np.testing.assert_allclose(curation.mixed_step(found, r, math.inf, p, ratio), found, atol=1e-12)
    elsewhere = rng.dirichlet(np.ones(6))
    for _ in range(20_000):
        elsewhere, last = curation.mixed_step(elsewhere, r, math.inf, p, ratio), elsewhere
        if np.abs(elsewhere - last).max() < 1e-15:
            break
    np.testing.assert_allclose(elsewhere, found, atol=1e-9)


def test_fixed_points_of_few_choices_and_at_extremes():
    np.testing.assert_array_equal(curation.fixed_point(P, R, 0.0), P)
    np.testing.assert_array_equal(curation.fixed_point(P, R, 3.0, choices=1), P)
    top = [0, 0, 0, 2 / 3, 1 / 3]
    np.testing.assert_allclose(curation.fixed_point(P, R, math.inf), top)
    np.testing.assert_allclose(curation.fixed_point(P, R, 1e6), top, atol=2e-6)
    np.testing.assert_allclose(curation.fixed_point(P, R, 1e300), top, atol=1e-9)
    np.testing.assert_allclose(
        curation.fixed_point(P, R, 0.3, choices=10**6), curation.fixed_point(P, R, 0.3), atol=1e-6
    )
    np.testing.assert_allclose(curation.fixed_point(P, R, 0.3, choices=256), curation.fixed_point(P, R, 0.3), atol=5e-4)
    np.testing.assert_allclose(curation.fixed_point(P, R, 0.3).round(4), [0.3327, 0.2634, 0.145, 0.1727, 0.0863])


@settings(max_examples=60, deadline=None)
@given(
    ratio=st.sampled_from([0.0, 1e-6, 0.05, 0.3, 1.0, 1e6]),
    choices=st.sampled_from([1, 2, 4, 16, math.inf]),
    seed=st.integers(0, 10**6),
)
def test_the_bounds_hold(ratio, choices, seed):
    rng = np.random.default_rng(seed)
    p, r = rng.dirichlet(np.ones(5)), rng.normal(0, 2, 5)
    w = np.exp(r - r.max())
    assert curation.step(p, r, choices) @ w >= curation.gain_bound(p, r, choices) - 1e-8
    floor, ceiling, now = curation.mixed_gain_bound(p, r, choices, ratio), curation.divergence_bound(ratio, choices), p
    for _ in range(20):
        now = curation.mixed_step(now, r, choices, p, ratio)
        assert now @ w >= floor - 1e-8
        assert now @ np.log(np.maximum(now, 1e-300) / p) <= ceiling + 1e-8


def test_the_divergence_bound():
    assert curation.divergence_bound([0.25, 0.5, 0.0], [4, 4, math.inf]).tolist() == pytest.approx(
        [-math.log(0.25), math.inf, 0.0]
    )
    assert curation.divergence_bound(1.0, 1) == 0.0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: curation.step([0.5, 0.6], [0, 1], 2), "probabilities: must be non-negative and sum to 1"),
        (lambda: curation.step([0.5, 0.5], [0, 1, 2], 2), "rewards: must have shape"),
        (lambda: curation.step([0.5, 0.5], [0, math.inf], 2), "rewards"),
        (lambda: curation.step([0.5, 0.5], [0, math.nan], 2), "rewards"),
        (lambda: curation.step([0.5, 0.5], [0, 1], 0), "choices"),
        (lambda: curation.step([0.5, 0.5], [0, 1], 2.5), "choices: must be whole"),
        (lambda: curation.step([0.5, 0.5], [0, 1e6], 2), "rewards: must span"),
        (lambda: curation.step([], [], 2), "probabilities"),
        (lambda: curation.mixed_step([0.5, 0.5], [0, 1], 2, [1.0], 1.0), "reference"),
        (lambda: curation.mixed_step([0.5, 0.5], [0, 1], 2, [0.5, 0.5], -1.0), "synthetic_ratio"),
        (lambda: curation.fixed_point([[0.5, 0.5]], [0, 1, 2], 1.0), "rewards: must have shape"),
        (lambda: curation.hit_or_miss(1.5, 2), "share"),
        (lambda: curation.divergence_bound(-1.0, 2), "synthetic_ratio"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(SpecError, match=message):
        call()
