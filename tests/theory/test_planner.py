"""The plan against brute force over the recursions themselves, not the closed forms that it inverts."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.theory import budget, planner, stability
from ouroloop.theory.finite_risk import finite_risk


def risk_of_a_mean(regime, generations, ratio, strength=0.0):
    """E|error|^2 of a mean in units of one real sample's, by propagating weights of independent noise terms."""
    share = 1.0 / (1.0 + strength)
    model = np.zeros(2 * generations + 1)  # weight of every noise source: real sample, then two a generation
    model[0] = 1.0
    variance = np.zeros(2 * generations + 1)
    variance[0] = 1.0
    past = []
    for t in range(1, generations + 1):
        drawn = share * model  # the synthetic mean, the noise of its own rows added below
        noise = np.zeros_like(model)
        noise[t] = 1.0
        variance[t] = 1.0 / ratio
        drawn = drawn + noise
        real = np.eye(len(model))[0]
        if regime == "replace":
            model = drawn
        elif regime == "fixed_real":
            model = (real + ratio * drawn) / (1.0 + ratio)
        elif regime == "fresh_real":
            variance[generations + t] = 1.0
            model = (np.eye(len(model))[generations + t] + ratio * drawn) / (1.0 + ratio)
        elif regime == "accumulate":
            past.append(drawn)
            model = (real + ratio * sum(past)) / (1.0 + ratio * len(past))
        elif regime == "accumulate_subsample":  # the subset's own error is a source of variance 1 - 1/pool
            past.append(drawn)
            subset = np.eye(len(model))[generations + t]
            variance[generations + t] = 1.0 - 1.0 / (1.0 + ratio * len(past))
            model = (real + ratio * sum(past)) / (1.0 + ratio * len(past)) + subset
    return float((model**2 * variance).sum())


REGIMES = ["replace", "fixed_real", "accumulate", "accumulate_subsample", "fresh_real"]


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("budget", [1.2, 1.4, 3.0])
@pytest.mark.parametrize(("generations", "strength"), [(1, 0.0), (4, 0.0), (30, 0.0), (12, 0.05), (12, 1.0)])
def test_allowed_ratios_are_those_whose_risk_is_within_the_budget(regime, budget, generations, strength):
    intervals = planner.allowed_ratios(regime, budget, generations, strength)
    for ratio in np.geomspace(1e-3, 1e3, 37):
        inside = any(low <= ratio <= high for low, high in intervals)
        risk = max(risk_of_a_mean(regime, t, ratio, strength) for t in range(1, generations + 1))
        if abs(risk - budget) > 1e-6:
            assert inside == (risk < budget), (ratio, risk)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("strength", [0.0, 0.02, 0.5])
@pytest.mark.parametrize(("budget", "ratio"), [(1.1, 0.3), (1.45, 1.0), (1.6, 2.0), (2.5, 1.0)])
def test_the_breaking_generation(regime, budget, ratio, strength):
    found = planner.breaks_at(regime, budget, ratio, strength)
    over = [t for t in range(1, 61) if risk_of_a_mean(regime, t, ratio, strength) > budget]
    if over:
        assert found == over[0]
    else:
        assert found is None or found > 60


@pytest.mark.parametrize(
    ("budget", "ratio", "strength"), [(1.13, 20.0, 0.01), (1.17, 1.0, 0.1), (1.19, 5.0, 0.03), (1.28, 2.0, 0.03)]
)
def test_a_risk_that_rises_and_falls_again_breaks_on_its_way(budget, ratio, strength):
    """With correction the risk has a hump: at the limit it is within these budgets, before that it is not."""
    path = [risk_of_a_mean("fixed_real", t, ratio, strength) for t in range(1, 121)]
    over = [t for t, risk in enumerate(path, 1) if risk > budget]
    assert over
    assert path[-1] < budget
    assert planner.breaks_at("fixed_real", budget, ratio, strength) == over[0]
    assert planner.needed_strength(budget, 120, ratio) > strength
    assert not any(low <= ratio <= high for low, high in planner.allowed_ratios("fixed_real", budget, 120, strength))


def test_a_plan_is_sorted_and_names_what_is_unstable():
    answers = planner.plan(1.5, 20, 2.5, sampler_distortion=1.5)
    risks = [a.risk for a in answers if not math.isnan(a.risk)]
    assert risks == sorted(risks)
    fixed = next(a for a in answers if a.regime == "fixed_real")
    assert "unstable" in fixed.note
    assert fixed.strength is not None
    assert fixed.strength > 0.0


@pytest.mark.parametrize(("s2", "strength"), [(1.5, 0.0), (2.5, 0.0), (2.5, 0.7)])
def test_nothing_is_promised_of_an_unstable_loop(s2, strength):
    for ratio in (0.3, 1.0, 3.0):
        answers = {
            a.regime: a for a in planner.plan(1.9, 5, ratio, correction_strength=strength, sampler_distortion=s2)
        }
        for regime in ("fixed_real", "fresh_real"):
            stable = stability.distortion_is_stable(s2, ratio, strength)
            assert math.isnan(answers[regime].risk) != stable
            assert ("unstable" in answers[regime].note) != stable
            for low, high in answers[regime].ratios:
                assert stability.distortion_is_stable(s2, (low + high) / 2, strength)
        assert math.isnan(answers["replace"].risk)
        assert answers["replace"].ratios == ()
        assert "grows as t^" in answers["accumulate"].note


@given(
    ratio=st.sampled_from([0.0, 1e-9, 1.0, 1e6]),
    generations=st.integers(1, 10**6),
    budget=st.floats(1.0001, 1e6),
    strength=st.sampled_from([0.0, 1e-6, 5.0, math.inf]),
)
@settings(max_examples=25, deadline=None)
def test_extreme_arguments_give_answers(ratio, generations, budget, strength):
    for answer in planner.plan(budget, generations, ratio, correction_strength=strength):
        assert not math.isnan(answer.risk)
        assert all(0.0 <= low <= high for low, high in answer.ratios)
        assert answer.strength is not None
        assert answer.strength >= 0.0


@pytest.mark.parametrize("budget", [1.0, 0.5, math.nan, math.inf])
def test_a_budget_is_more_than_the_risk_of_the_real_data(budget):
    with pytest.raises(SpecError, match="budget"):
        planner.plan(budget, 5)


def exactly(model, regime, t, n, p, k, **loop):
    return finite_risk(model, regime, t, n, p, 1.0, k / n, **loop) / budget.real_risk(model, n, p, 1.0)


@pytest.mark.parametrize(
    ("model", "n", "p", "loop"),
    [
        ("least_squares", 30, 20, {}),
        ("least_squares", 12, 3, {}),
        ("gaussian", 10, 4, {}),
        ("gaussian", 10, 4, {"correction_strength": 0.1}),
        ("gaussian", 14, 1, {"correction_strength": 0.2, "sampler_distortion": 1.1}),
        ("gaussian", 10, 4, {"sampler_distortion": 0.8}),
    ],
)
@pytest.mark.parametrize("allowed", [1.15, 1.5])
@pytest.mark.parametrize("generations", [3, 12])
def test_a_plan_for_given_rows_is_that_of_their_exact_law(model, n, p, loop, allowed, generations):
    """Every number of synthetic rows up to 60, every generation: by looking at all of them."""
    answers = {a.regime: a for a in planner.plan(allowed, generations, 1.0, n_real=n, model=model, dimension=p, **loop)}
    for regime, answer in answers.items():
        if not answer.law.startswith("exact") or regime == "accumulate_subsample":
            continue
        path = [exactly(model, regime, t, n, p, n, **loop) for t in range(1, 61)]
        over = [t for t, risk in enumerate(path, 1) if risk > allowed]
        assert answer.breaks_at == over[0] if over else answer.breaks_at is None or answer.breaks_at > 60
        assert answer.within == all(risk <= allowed for risk in path[:generations])
        assert answer.risk == pytest.approx(path[generations - 1])
        if model == "least_squares" and regime == "fixed_real":
            continue  # exact for whole ratios alone
        for k in range(1, 61):
            risk = max(exactly(model, regime, t, n, p, k, **loop) for t in range(1, generations + 1))
            inside = any(low - 1e-9 <= k / n <= high + 1e-9 for low, high in answer.ratios)
            if abs(risk - allowed) > 1e-9:
                assert inside == (risk < allowed and (answer.ratios != () or regime != "replace")), (regime, k, risk)


def test_a_plan_for_few_rows_does_not_contradict_itself():
    """The limit of many rows breaks 1.5 in generation 6; 30 rows for 20 parameters never do."""
    answers = {a.regime: a for a in planner.plan(1.5, 10, 1.0, n_real=30, model="least_squares", dimension=20)}
    found = answers["accumulate"]
    assert (found.breaks_at, found.within, found.law) == (None, True, "exact")
    assert found.ratios == ((0.0, 10000.0),)
    assert found.risk == pytest.approx(1.2268, abs=1e-4)
    assert answers["fresh_real"].law == "many rows"  # new rows have new inputs
    assert answers["fixed_real"].law == "exact, same inputs"


def test_rows_that_do_not_determine_a_model_are_promised_nothing():
    for answer in planner.plan(1.5, 10, 1.0, n_real=21, model="least_squares", dimension=20):
        assert math.isnan(answer.risk)
        assert answer.ratios == ()
        assert (answer.law, answer.breaks_at, answer.within, answer.strength) == ("", None, None, None)
