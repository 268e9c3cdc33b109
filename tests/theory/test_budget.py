"""Budgets in risk and rows against what they stand for: the laws searched row by row, and training sets counted."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.regimes import Accumulate, AccumulateSubsample, FixedReal, FreshReal, Replace
from ouroloop.samples import Samples
from ouroloop.theory import budget, planner
from ouroloop.theory.rows import drawn

PARTS = {
    "replace": Replace,
    "accumulate": Accumulate,
    "accumulate_subsample": AccumulateSubsample,
    "fixed_real": FixedReal,
    "fresh_real": FreshReal,
}

TEXT: Any = "a"  # no whole numbers
HALF: Any = 50.5


def test_the_risk_of_the_real_rows_is_that_of_a_simulated_fit():
    rng, n, p, noise, trials = np.random.default_rng(0), 30, 4, 2.0, 3000
    x = rng.normal(size=(trials, n, p))
    y = math.sqrt(noise) * rng.normal(size=(trials, n, 1))
    fits = np.linalg.solve(x.transpose(0, 2, 1) @ x, x.transpose(0, 2, 1) @ y)[..., 0]
    squares = (fits**2).sum(axis=1)
    law = budget.real_risk("least_squares", n, p, noise)
    assert abs(squares.mean() - law) < 3.5 * squares.std() / math.sqrt(trials)
    means = (math.sqrt(noise) * rng.normal(size=(trials, n, p))).mean(axis=1)
    squares = (means**2).sum(axis=1)
    law = budget.real_risk("gaussian", n, p, noise)
    assert abs(squares.mean() - law) < 3.5 * squares.std() / math.sqrt(trials)


@pytest.mark.parametrize("model", budget.MODELS)
@given(p=st.integers(1, 30), noise=st.floats(0.0, 3.0), risk=st.floats(0.01, 5.0))
@settings(max_examples=40, deadline=None)
def test_the_fewest_rows_are_found_by_counting(model, p, noise, risk):
    counted = next(n for n in range(1, 100_000) if budget.real_risk(model, n, p, noise) < risk)
    assert budget.rows_needed(model, risk, p, noise) == counted


@pytest.mark.parametrize("model", budget.MODELS)
def test_a_budget_below_the_real_rows_names_how_many_would_do(model):
    own = budget.real_risk(model, 100, 20, 1.0)
    assert budget.relative_budget(model, 1.7 * own, 100, 20, 1.0) == pytest.approx(1.7)
    for risk in (own, own / 2):
        needed = budget.rows_needed(model, risk, 20, 1.0)
        with pytest.raises(SpecError, match=rf"even 100 real rows alone have risk .* at least {needed} real rows"):
            budget.relative_budget(model, risk, 100, 20, 1.0)
        assert budget.relative_budget(model, risk, needed, 20, 1.0) > 1.0


def test_what_has_no_relative_budget_is_an_error():
    with pytest.raises(SpecError, match="even 10 real rows alone have risk inf"):
        budget.relative_budget("least_squares", 1.0, 10, 20, 1.0)
    with pytest.raises(SpecError, match="without noise"):
        budget.relative_budget("gaussian", 1.0, 10, 20, 0.0)
    with pytest.raises(SpecError, match=r"10\^15"):
        budget.rows_needed("gaussian", 1e-300, 20, 1.0)
    with pytest.raises(SpecError, match="model: must be one of"):
        budget.real_risk("forest", 10, 2, 1.0)


def trained(regime, generation, n, ratio):
    """Rows of a generation's training set, by training sets themselves."""
    part, real, history = PARTS[regime](synthetic_ratio=ratio), Pool.of(rows(n)), []
    for t in range(1, generation + 1):
        history.append(Pool.of(rows(part.draws(n, t))))
    return len(part.select(real, tuple(history), generation, key=Key(0)))


def rows(n):
    return Samples.of(np.zeros((n, 1)))


@pytest.mark.parametrize("regime", PARTS)
@pytest.mark.parametrize("ratio", [0.0, 0.2, 1.0, 2.3])
@pytest.mark.parametrize("limit", [20, 21, 29, 66, 150])
def test_the_limit_of_rows_is_exceeded_where_training_sets_are(regime, ratio, limit):
    n, counts = 20, [trained(regime, t, 20, ratio) for t in range(1, 9)]
    assert [budget.trained_rows(regime, t, n, ratio) for t in range(1, 9)] == counts
    over = [t for t, count in enumerate(counts, 1) if count > limit]
    found = budget.rows_exceeded_at(regime, n, ratio, limit)
    assert found == over[0] if over else found is None or found > 8
    most = budget.most_ratio(regime, 8, n, limit)
    assert (most >= ratio) == (not over)


def test_rows_fewer_than_the_real_ones_are_an_error():
    with pytest.raises(SpecError, match="fewer than the 100 real rows"):
        planner.plan(1.5, 5, 1.0, n_real=100, rows=99)
    with pytest.raises(SpecError, match="needs n_real"):
        planner.plan(1.5, 5, 1.0, rows=99)


def test_a_plan_says_what_breaks_first():
    answers = {a.regime: a for a in planner.plan(1.55, 20, 1.0, n_real=100, rows=500)}
    assert (answers["accumulate"].breaks_at, answers["accumulate"].breaks_by) == (5, "rows")
    assert (answers["replace"].breaks_at, answers["replace"].breaks_by) == (1, "risk")
    assert (answers["fixed_real"].breaks_at, answers["fixed_real"].breaks_by) == (None, "")
    assert answers["fixed_real"].ratios == ((0.0, 4.0),)
    assert all(high <= 0.2 for _, high in answers["accumulate"].ratios)
    both = {a.regime: a for a in planner.plan(1.2, 20, 5.0, n_real=100, rows=200)}
    assert both["accumulate"].breaks_by == "rows"
    assert both["replace"].breaks_by == "rows"
    assert {a.regime: a for a in planner.plan(1.2, 20, 1.0, n_real=100, rows=199)}["accumulate"].breaks_by == (
        "risk and rows"
    )


def test_without_synthetic_rows_the_risk_is_that_of_the_real_ones():
    for answer in planner.plan(1.5, 5, 0.0):
        assert answer.risk == (math.inf if answer.regime == "replace" else 1.0)
        assert answer.breaks_at == (1 if answer.regime == "replace" else None)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: budget.most_ratio("accumulate", 0, 100, 600), "generations"),
        (lambda: budget.most_ratio("accumulate", 10, 0, 600), "n_real"),
        (lambda: budget.most_ratio("replace", 10, 10, TEXT), "rows"),
        (lambda: budget.most_ratio("nonsense", 10, 10, 20), "regime"),
        (lambda: budget.trained_rows("replace", 3, 100, math.nan), "synthetic_ratio"),
        (lambda: budget.trained_rows("replace", 3, 100, math.inf), "synthetic_ratio"),
        (lambda: budget.trained_rows("replace", 3, 100, -1.0), "synthetic_ratio"),
        (lambda: budget.trained_rows("replace", 0, 100, 1.0), "generation"),
        (lambda: budget.trained_rows("nonsense", 3, 100, 1.0), "regime"),
        (lambda: budget.trained_rows("linear_accumulate", 3, 100, 1.0), "regime"),
        (lambda: budget.rows_exceeded_at("replace", 100, 1e308, 200), "synthetic_ratio"),
        (lambda: budget.rows_exceeded_at("replace", 100, 1.0, HALF), "rows"),
        (lambda: planner.plan(1.5, 5, 1.0, n_real=0, rows=5), "n_real"),
        (lambda: planner.plan(1.5, 5, 1.0, n_real=TEXT), "n_real"),
        (lambda: planner.plan(1.5, 5, 1e308, n_real=10, rows=20), "synthetic_ratio"),
        (lambda: planner.plan(1.5, 5, 1.0, n_real=10, rows=HALF), "rows"),
        (lambda: planner.plan(1.5, 5, 1.0, model="gaussian", dimension=1), "model"),
        (lambda: planner.plan(1.5, 5, 1.0, n_real=10, model="forest", dimension=1), "model"),
        (lambda: planner.plan(1.5, 5, 1.0, n_real=10, model="gaussian"), "dimension"),
        (lambda: planner.plan(1.5, 5, 1.0, correction_strength=-1.0), "correction_strength"),
        (lambda: planner.plan(1.5, 5, 1.0, sampler_distortion=0.0), "sampler_distortion"),
    ],
)
def test_bad_arguments_are_named(call, argument):
    with pytest.raises(SpecError, match=f"^{argument}: "):
        call()


def test_real_rows_alone_are_all_that_real_only_trains_on():
    assert budget.trained_rows("real_only", 9, 100, 3.0) == 100
    assert budget.most_ratio("real_only", 9, 100, 100) == math.inf
    assert budget.rows_exceeded_at("real_only", 100, 3.0, 100) is None
    assert budget.trained_rows("accumulate", 10**30, 1, 1.0) == 10**30 + 1


@given(ratio=st.floats(0.0, 50.0), n=st.integers(1, 10**6))
@settings(max_examples=100, deadline=None)
def test_rows_drawn_are_those_that_a_regime_draws(ratio, n):
    assert drawn(ratio, n) == FixedReal(synthetic_ratio=ratio).draws(n, 1)
