from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.theory import tv


@pytest.mark.parametrize("regime", tv.REGIMES)
@pytest.mark.parametrize("n", [10, 100, 3000])
@pytest.mark.parametrize(("constant", "exponent"), [(0.375, 0.4), (1.0, 0.25), (0.2, 0.0)])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_bounds_are_the_recursion_of_their_mixture(regime, n, constant, exponent, share):
    last = 15
    error = np.full(last, constant * n**-exponent)
    shares = np.zeros((last, last))
    for i in range(1, last):
        if regime == "replace":
            shares[i, i - 1] = 1.0
        elif regime in ("fixed_real", "fresh_real"):
            shares[i, i - 1] = 1.0 - share
        else:  # i + 1 batches, the first of them real
            shares[i, :i] = 1.0 / (i + 1)
            if regime == "accumulate":
                error[i] = constant * (n * (i + 1)) ** -exponent
    found = tv.bound(regime, np.arange(last + 1), n, constant, exponent, share)
    assert found[0] == 0.0
    np.testing.assert_allclose(found[1:], tv.recursion(error, shares), rtol=1e-12)


def test_the_bounds_of_the_reference_run():
    """n = 500, e = .375 N^-.368: bounds beside simulated loops in generation 30."""
    found = {r: tv.bound(r, 30, 500, 0.375, 0.368, 0.5) for r in ("replace", "fresh_real", "accumulate")}
    assert found["replace"] == pytest.approx(1.143, abs=2e-3)
    assert found["fresh_real"] == pytest.approx(0.076, abs=5e-4)
    assert found["accumulate"] == pytest.approx(0.078, abs=7e-4)


def test_a_kernel_estimates_loop_stays_below(agrees):
    """1-D, n = 200, four generations; the fitting error is measured on independent rows first."""
    rng, n = np.random.default_rng(0), 200
    grid = np.linspace(-7, 7, 701)
    truth = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)

    def distance(rows):
        h = 1.06 * len(rows) ** -0.2
        density = np.exp(-(((grid[:, None] - rows) / h) ** 2) / 2).mean(axis=1) / (h * math.sqrt(2 * math.pi))
        return 0.5 * np.abs(density - truth).sum() * (grid[1] - grid[0])

    error = np.mean([distance(rng.standard_normal(n)) for _ in range(40)])
    found = np.zeros(4)
    for _ in range(40):
        rows = rng.standard_normal(n)
        for i in range(4):
            found[i] += distance(rows) / 40
            rows = rng.choice(rows, n) + 1.06 * n**-0.2 * rng.standard_normal(n)
    assert (found[1:] < tv.bound("replace", np.arange(2, 5), n, error, 0.0)).all()
    assert found[-1] > found[0]


def categories_loop(regime, last, n, p, share, replicas=400):
    """TV distance of models 1..last of a categorical loop, (last, replicas): draws are kept one by one."""
    rng = np.random.default_rng([n, len(p), last])
    truth = np.broadcast_to(p, (replicas, len(p)))

    def draw(model, rows):
        return (rng.random((replicas, rows, 1)) > np.cumsum(model, axis=1)[:, None, :-1]).sum(axis=2)

    first = pool = training = draw(truth, n)
    real, found = round(share * n), []
    for t in range(1, last + 1):
        model = (training[:, :, None] == np.arange(len(p))).mean(axis=1)
        found.append(0.5 * np.abs(model - truth).sum(axis=1))
        if t < last:
            new = draw(model, n)
            pool = np.concatenate([pool, new], axis=1)
            order = np.argsort(rng.random(pool.shape), axis=1)[:, :n]
            training = {
                "replace": new,
                "accumulate": pool,
                "accumulate_subsample": np.take_along_axis(pool, order, axis=1),
                "fixed_real": np.concatenate([first[:, :real], new[:, real:]], axis=1),
                "fresh_real": np.concatenate([draw(truth, real), new[:, real:]], axis=1),
            }[regime]
    return np.array(found)


@pytest.mark.parametrize("regime", tv.REGIMES)
@pytest.mark.parametrize("n", [10, 40])
@pytest.mark.parametrize(("p", "share"), [([0.5, 0.5], 0.5), ([0.7, 0.2, 0.1], 0.2)])
@pytest.mark.parametrize("last", [2, 6])
def test_loops_of_categories_stay_below(regime, n, p, share, last):
    """The fitting error of m categories is at most sqrt(m - 1)/2 n^(-1/2), whatever they are fitted to."""
    found = categories_loop(regime, last, n, np.array(p), share)
    law = tv.bound(regime, np.arange(1, last + 1), n, 0.5 * math.sqrt(len(p) - 1), 0.5, share)
    assert (found.mean(axis=1) < law + 3 * found.std(axis=1) / math.sqrt(found.shape[1])).all()


@pytest.mark.parametrize("exponent", [0.1, 0.25, 0.4, 0.9])
def test_a_little_synthetic_data_hurts_more_than_much(exponent):
    m = np.geomspace(1e-3, 1e9, 20_001)
    curve = tv.transition(m, 1.0, exponent)
    peak = tv.transition_peak(exponent)
    assert curve.max() == pytest.approx(peak.factor, rel=1e-6)
    assert m[curve.argmax()] == pytest.approx(peak.synthetic_ratio, rel=2e-3)
    assert tv.transition(0.0, 5.0, exponent) == 1.0
    assert tv.transition(1e300, 5.0, exponent) == pytest.approx(1.0, abs=1e-6)


@given(
    regime=st.sampled_from(tv.REGIMES),
    generation=st.integers(0, 2000),
    n=st.integers(1, 10**12),
    constant=st.floats(0, 1e9),
    exponent=st.floats(0, 3),
    share=st.sampled_from([0.0, 1e-12, 1e-3, 0.5, 1.0]) | st.floats(0, 1),
)
def test_a_bound_is_a_number_and_no_worse_than_replacement(regime, generation, n, constant, exponent, share):
    found = tv.bound(regime, generation, n, constant, exponent, share)
    assert 0 <= found < math.inf
    worst = tv.bound("replace", generation, n, constant, exponent)
    assert found <= worst * (1 + 1e-9) + 1e-300
    if "real" in regime and share == 0.0:
        assert found == worst


def test_arrays_broadcast():
    found = tv.bound("accumulate", np.arange(4)[:, None], [10, 20], 0.3, [0.4, 0.2])
    assert found.shape == (4, 2)
    assert found[3, 1] == tv.bound("accumulate", 3, 20, 0.3, 0.2)
    assert tv.kde_exponent([1, 2]).tolist() == [0.4, 1 / 3]
    assert tv.fitting_error(100, 0.3, 0.5) == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tv.bound("other", 1, 10, 0.3, 0.4), "regime"),
        (lambda: tv.bound("replace", 1, 0, 0.3, 0.4), "n: "),
        (lambda: tv.bound("replace", 1, 10, -0.3, 0.4), "constant"),
        (lambda: tv.bound("replace", 1, 10, 0.3, -0.4), "exponent"),
        (lambda: tv.bound("fixed_real", 1, 10, 0.3, 0.4, 1.1), "real_share"),
        (lambda: tv.bound("accumulate", 10**9, 10, 0.3, 0.4), "generation"),
        (lambda: tv.recursion([0.1, 0.1], [[0, 0]]), "shares"),
        (lambda: tv.recursion([0.1, 0.1], [[0, 0.5], [0, 0]]), "shares"),
        (lambda: tv.recursion([0.1, 0.1, 0.1], [[0, 0, 0], [0, 0, 0], [0.9, 0.9, 0]]), "shares"),
        (lambda: tv.transition_peak(1.0), "exponent"),
        (lambda: tv.transition(1.0, 0.0, 0.4), "n_real"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(SpecError, match=message):
        call()
