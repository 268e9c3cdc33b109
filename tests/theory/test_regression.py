"""Laws of least squares against loops that keep every row, and against the simulator on sufficient statistics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.theory import regression
from ouroloop.theory.simulate import regression_loop

SIZES = [(12, 1), (15, 2), (20, 3), (30, 6), (26, 8)]


def rows_loop(regime, last, n, d, variance, ratio, inputs, seed, replicas=1500):
    """|w - w*|^2 of the last fit, (replicas,): labels are drawn row by row, all rows are kept and refitted."""
    rng = np.random.default_rng([seed, last, n, d, int(10 * ratio)])
    truth = rng.standard_normal((replicas, d, 1))

    def labelled(x, w):
        return x @ w + math.sqrt(variance) * rng.standard_normal((*x.shape[:2], 1))

    first = rng.standard_normal((replicas, n, d))
    real = (first, labelled(first, truth))
    pool = [real]
    for t in range(1, last + 1):
        x, y = (np.concatenate(part, axis=1) for part in zip(*pool, strict=True))
        if regime == "accumulate_subsample":
            order = np.argsort(rng.random(y.shape[:2]), axis=1)[:, :n, None]
            x, y = np.take_along_axis(x, order, axis=1), np.take_along_axis(y, order, axis=1)
        turned = np.swapaxes(x, 1, 2)
        w = np.linalg.solve(turned @ x, turned @ y)
        if t == last:
            return np.square(w - truth).sum(axis=(1, 2))
        inputs_now = rng.standard_normal(first.shape) if inputs == "fresh" else first
        new = [(inputs_now, labelled(inputs_now, w)) for _ in range(int(ratio))]
        fresh = [(first, labelled(first, truth))]
        pool = {
            "replace": new,
            "accumulate": pool + new,
            "accumulate_subsample": pool + new,
            "fixed_real": [real, *new],
            "fresh_real": fresh + new,
        }[regime]
    raise AssertionError


@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("last", [1, 2, 4, 7])
@pytest.mark.parametrize(
    ("regime", "inputs", "ratio"),
    [
        ("replace", "same", 1),
        ("replace", "fresh", 1),
        ("accumulate", "same", 1),
        ("accumulate", "fresh", 1),
        ("fixed_real", "same", 2),
        ("fresh_real", "same", 1),
    ],
)
def test_exact_laws(agrees, regime, inputs, ratio, last, n, d):
    variance = 0.1 * last
    law = regression.risk(regime, last, n, d, variance, synthetic_ratio=ratio, inputs=inputs)
    agrees(lambda seed: rows_loop(regime, last, n, d, variance, ratio, inputs, seed), law)


@pytest.mark.parametrize("last", [1, 2, 3, 5])
def test_subsampling_becomes_exact_with_many_rows_a_coefficient(last):
    """The law of a mean: n = 150, d = 1 is within 2 % of it, and the simulation within 3 standard errors of 3 %."""
    found = rows_loop("accumulate_subsample", last, 150, 1, 1.0, 1, "same", 0, replicas=3000)
    law = regression.risk("accumulate_subsample", last, 150, 1, 1.0)
    assert abs(found.mean() - law) < 3 * found.std() / math.sqrt(len(found)) + 0.03 * law


@pytest.mark.parametrize(
    ("regime", "inputs", "ratio"),
    [
        ("replace", "same", 1),
        ("replace", "fresh", 1),
        ("accumulate", "same", 1),
        ("accumulate", "fresh", 1),
        ("fixed_real", "same", 3),
        ("fresh_real", "same", 2),
    ],
)
@pytest.mark.parametrize(("n", "d"), SIZES)
def test_the_simulator_on_sufficient_statistics_follows_the_laws(agrees, regime, inputs, ratio, n, d):
    law = regression.risk(regime, 6, n, d, 0.7, synthetic_ratio=ratio, inputs=inputs)

    def simulate(seed):
        options = {"replicas": 3000, "synthetic_ratio": ratio, "inputs": inputs}
        return regression_loop(regime, 6, n, d, 0.7, Key(seed), **options)[-1]

    agrees(simulate, law)


@pytest.mark.parametrize("inputs", ["same", "fresh"])
def test_the_simulator_of_subsampling_does_what_rows_do(inputs):
    ours = regression_loop("accumulate_subsample", 4, 25, 3, 1.0, Key(3), replicas=3000, inputs=inputs)[-1]
    rows = rows_loop("accumulate_subsample", 4, 25, 3, 1.0, 1, inputs, 5, replicas=3000)
    error = math.hypot(ours.std(), rows.std()) / math.sqrt(3000)
    assert abs(ours.mean() - rows.mean()) < 3 * error


@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("fakes", [0, 1, 2, 4])
def test_labels_of_many_fake_generations(agrees, fakes, n, d):
    """Model Collapse Demystified: the last fit has rows and noise of its own."""

    def simulate(seed):
        rng = np.random.default_rng([seed, fakes, n])
        w = np.zeros((1500, d, 1))
        for rows, deviation in [(n, 0.5)] * fakes + [(n + 10, 1.2)]:
            x = rng.standard_normal((1500, rows, d))
            y = x @ w + deviation * rng.standard_normal((1500, rows, 1))
            w = np.linalg.solve(np.swapaxes(x, 1, 2) @ x, np.swapaxes(x, 1, 2) @ y)
        return np.square(w).sum(axis=(1, 2))

    agrees(simulate, regression.relabelled_risk(fakes, n, d, 0.25, n + 10, 1.44))


@pytest.mark.parametrize("ridge", [0.01, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("rows", [25, 50, 100, 400])
@pytest.mark.parametrize("fakes", [0, 1, 5])
def test_ridge_on_labels_of_many_fake_generations(fakes, rows, ridge):
    """Model Collapse Demystified with 50 coefficients: within 3 standard errors of 1.5 %."""
    d, before, replicas = 50, 150, 300
    rng = np.random.default_rng([fakes, rows, int(100 * ridge)])
    truth = rng.standard_normal((replicas, d, 1))
    truth *= 1.5 / np.linalg.norm(truth, axis=1, keepdims=True)
    w = truth
    for _ in range(fakes):
        x = rng.standard_normal((replicas, before, d))
        turned = np.swapaxes(x, 1, 2)
        w = w + np.linalg.solve(turned @ x, turned @ (0.5 * rng.standard_normal((replicas, before, 1))))
    x = rng.standard_normal((replicas, rows, d))
    turned = np.swapaxes(x, 1, 2)
    y = x @ w + 0.3 * rng.standard_normal((replicas, rows, 1))
    w = np.linalg.solve(turned @ x + rows * ridge * np.eye(d), turned @ y)
    found = np.square(w - truth).sum(axis=(1, 2))
    law = regression.relabelled_ridge_risk(fakes, before, d, 0.25, rows, 0.09, ridge, signal=2.25)
    assert abs(found.mean() - law) < 3 * found.std() / math.sqrt(replicas) + 0.015 * law


def test_ridge_has_the_right_limits():
    arguments = (3, 100, 20, 1.0, 10**7, 0.5)
    past = 3 * 20 / 79
    assert regression.relabelled_ridge_risk(*arguments, 0.0) == pytest.approx(past, rel=1e-4)
    assert regression.relabelled_risk(*arguments) == pytest.approx(past, rel=1e-4)
    assert regression.relabelled_ridge_risk(*arguments, math.inf, signal=7.0) == 7.0  # the estimate is 0
    assert regression.relabelled_ridge_risk(*arguments, 1e12, signal=7.0) == pytest.approx(7.0, rel=1e-9)
    assert math.isinf(regression.relabelled_ridge_risk(0, 100, 20, 1.0, 20, 0.5, 0.0))
    assert math.isinf(regression.relabelled_ridge_risk(1, 20, 20, 1.0, 50, 0.5, 0.1))
    assert regression.relabelled_ridge_risk(0, 20, 20, 1.0, 20, 0.0, 0.0, signal=0.0) == 0.0
    with pytest.raises(SpecError, match="ridge: "):
        regression.relabelled_ridge_risk(*arguments, -1.0)


def test_more_fake_generations_call_for_more_ridge():
    penalties = np.geomspace(1e-3, 1e2, 400)
    best = [penalties[regression.relabelled_ridge_risk(t, 80, 50, 1.0, 100, 0.1, penalties).argmin()] for t in range(6)]
    assert np.all(np.diff(best) > 0)


@settings(max_examples=100, deadline=None)
@given(
    t=st.integers(0, 10**6),
    n=st.integers(1, 100) | st.just(10**9),
    d=st.integers(1, 60),
    rows=st.integers(1, 100) | st.just(10**9),
    ridge=st.sampled_from([0.0, math.inf]) | st.floats(1e-200, 1e200),
    noise=st.just(0.0) | st.floats(1e-9, 1e6),
    signal=st.just(0.0) | st.floats(1e-9, 1e6),
)
def test_ridge_is_never_nan(t, n, d, rows, ridge, noise, signal):
    assert regression.relabelled_ridge_risk(t, n, d, noise, rows, noise, ridge, signal) >= 0


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_synthetic_rows_of_another_truth_leave_a_floor(share):
    """Strong Model Collapse: within 3 standard errors of 3 % at 200 rows and 20 coefficients."""
    total, d, rng = 200, 20, np.random.default_rng(2)
    synthetic = int(share * total)
    x = rng.standard_normal((600, total, d))
    gap = rng.standard_normal((600, d, 1))
    gap /= np.linalg.norm(gap, axis=1, keepdims=True)
    y = 0.3 * rng.standard_normal((600, total, 1))
    y[:, total - synthetic :] += x[:, total - synthetic :] @ gap
    w = np.linalg.solve(np.swapaxes(x, 1, 2) @ x, np.swapaxes(x, 1, 2) @ y)
    found = np.square(w).sum(axis=(1, 2))
    law = regression.mixed_risk(total - synthetic, synthetic, d, 0.09, 1.0)
    assert abs(found.mean() - law) < 3 * found.std() / math.sqrt(600) + 0.03 * law
    assert regression.mixed_risk(10**12, 10**12, d, 0.09, 1.0) == pytest.approx(0.25)


def test_published_figures():
    c = 10 / 49
    assert regression.risk("accumulate", 20, 60, 10, 1.0) / c == pytest.approx(1.596, abs=5e-4)
    assert regression.risk("replace", 100, 100, 10, 1.0) == pytest.approx(11.236, abs=1e-3)
    assert regression.risk("accumulate_subsample", 10**7, 100, 10, 1.0) == pytest.approx(10 / 89 * 2.9348, rel=1e-4)
    assert regression.risk("accumulate", 10**7, 100, 10, 1.0) == pytest.approx(10 / 89 * math.pi**2 / 6, rel=1e-6)


@settings(max_examples=100, deadline=None)
@given(
    regime=st.sampled_from(regression.REGIMES),
    t=st.integers(0, 50),
    n=st.integers(1, 60) | st.just(10**9),
    d=st.integers(1, 50),
    noise=st.just(0.0) | st.floats(1e-200, 1e6),  # below, subnormal numbers lose digits
    ratio=st.sampled_from([0.0, 1.0, 1e6]),
)
def test_never_nan_and_ordered(regime, t, n, d, noise, ratio):
    other = {"synthetic_ratio": ratio} if regime in ("fixed_real", "fresh_real") else {}
    risk = regression.risk(regime, t, n, d, noise, **other)
    assert risk >= 0
    assert risk == 0 if t == 0 else math.isinf(risk) == (n < d if noise == 0 else n <= d + 1)
    assert risk <= regression.risk("replace", t, n, d, noise) * (1 + 1e-12)
    fresh, same = (regression.risk("accumulate", t, n, d, noise, inputs=kind) for kind in ("fresh", "same"))
    assert fresh <= same * (1 + 1e-12)


def test_arrays_broadcast():
    t, n = np.arange(5)[:, None], np.array([20, 50])
    for inputs in regression.INPUTS:
        found = regression.risk("accumulate", t, n, 3, 1.0, inputs=inputs)
        assert found.shape == (5, 2)
        assert found[4, 1] == regression.risk("accumulate", 4, 50, 3, 1.0, inputs=inputs)
    assert isinstance(regression.risk("replace", 1, 20, 3, 1.0), float)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regression.risk("forget", 1, 20, 3, 1.0), "regime: must be one of replace, accumulate"),
        (lambda: regression.risk("replace", -1, 20, 3, 1.0), "generation"),
        (lambda: regression.risk("replace", 1.5, 20, 3, 1.0), "generation: must be whole"),
        (lambda: regression.risk("replace", 1, 0, 3, 1.0), "n: "),
        (lambda: regression.risk("replace", 1, 20, 0, 1.0), "dimension"),
        (lambda: regression.risk("replace", 1, 20, 3, math.nan), "noise_variance"),
        (lambda: regression.risk("replace", 1, 20, 3, 1.0, synthetic_ratio=2.0), "synthetic_ratio"),
        (lambda: regression.risk("fixed_real", 1, 20, 3, 1.0, inputs="fresh"), "inputs"),
        (lambda: regression.risk("replace", 1, 20, 3, 1.0, inputs="new"), "inputs: must be one of same, fresh"),
        (lambda: regression.risk("accumulate", 10**9, 20, 3, 1.0, inputs="fresh"), "summed up to"),
        (lambda: regression.mixed_risk(0, 0, 3, 1.0, 1.0), "n_real"),
        (lambda: regression_loop("replace", 3, 2, 3, 1.0, Key(0)), "at least as many rows"),
        (lambda: regression_loop("replace", 3, 9, 3, 1.0, Key(0), synthetic_ratio=2), "synthetic_ratio"),
        (lambda: regression_loop("fixed_real", 3, 9, 3, 1.0, Key(0), inputs="fresh"), "inputs"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(SpecError, match=message):
        call()
