"""The strength that is needed against brute force: risks propagated source by source, and exact laws row by row."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import SpecError
from ouroloop.theory import budget, planner, stability
from ouroloop.theory.finite_risk import finite_risk
from ouroloop.theory.needed_strength import REGIMES, needed_strength
from ouroloop.theory.risk_laws import FewRows


def variances(regime, generations, ratio, strength):
    """E|mean's error|^2 over one real sample's in generations 1, 2, ..., from covariances of the rows' means."""
    share = 0.0 if math.isinf(strength) else 1.0 / (1.0 + strength)
    size = generations + 1  # real batch, then one a generation
    covariance, weights = np.zeros((size, size)), np.zeros(size)  # of the batches' means; the model's in them
    covariance[0, 0], weights[0], own, found = 1.0, 1.0, 0.0, []
    for t in range(1, size):
        square = weights @ covariance @ weights + own
        covariance[t] = covariance[:, t] = share * covariance @ weights
        covariance[t, t] = share**2 * square + 1.0 / ratio
        weights, own = np.zeros(size), 0.0
        if regime == "replace":
            weights[t] = 1.0
        elif regime == "fixed_real":
            weights[[0, t]] = np.array([1.0, ratio]) / (1.0 + ratio)
        elif regime == "fresh_real":
            weights[t], own = ratio / (1.0 + ratio), 1.0 / (1.0 + ratio) ** 2
        else:
            weights[: t + 1] = np.array([1.0] + t * [ratio]) / (1.0 + t * ratio)
            own = 1.0 - 1.0 / (1.0 + t * ratio) if regime == "accumulate_subsample" else 0.0
        found.append(weights @ covariance @ weights + own)
    return np.array(found)


@given(
    regime=st.sampled_from(REGIMES),
    allowed=st.floats(1.01, 3.0),
    ratio=st.floats(0.05, 20.0),
    generations=st.integers(1, 25),
    s2=st.floats(0.5, 3.0),
)
@settings(max_examples=80, deadline=None)
def test_it_is_the_least_that_does(regime, allowed, ratio, generations, s2):
    strength = needed_strength(allowed, generations, ratio, s2, regime=regime)
    assert strength is not None
    assert strength >= 0.0
    if math.isinf(strength):
        assert variances(regime, generations, ratio, 1e6).max() > allowed - 1e-9
        return
    assert variances(regime, generations, ratio, strength).max() <= allowed + 1e-9
    assert stable(regime, s2, ratio, strength)
    less = 0.98 * strength - 1e-6
    if less > 0.0:
        enough = variances(regime, generations, ratio, less).max() <= allowed - 1e-12
        assert not (enough and stable(regime, s2, ratio, less))


def stable(regime, s2, ratio, strength):
    if regime in ("fixed_real", "fresh_real"):
        return stability.distortion_is_stable(s2, ratio, strength)
    return regime != "replace" or s2 == 1.0 or s2 / (1.0 + strength) < 1.0


def exactly(model, regime, t, n, p, k, **options):
    return finite_risk(model, regime, t, n, p, 1.0, k / n, **options) / budget.real_risk(model, n, p, 1.0)


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize(("n", "k", "generations"), [(10, 20, 8), (100, 100, 10), (7, 5, 3)])
@pytest.mark.parametrize("s2", [1.0, 1.3, 0.8])
@pytest.mark.parametrize("allowed", [1.2, 1.5])
def test_a_gaussian_of_few_rows(regime, n, k, generations, s2, allowed):
    """Every strength of a fine grid, in the exact law."""
    law = FewRows(model="gaussian", n_real=n, dimension=1, sampler_distortion=s2)
    found = needed_strength(allowed, generations, k / n, s2, regime=regime, law=law)
    assert found is not None

    def within(strength):
        options = {"correction_strength": strength, "sampler_distortion": s2}
        risks = [exactly("gaussian", regime, t, n, 1, k, **options) for t in range(1, generations + 1)]
        return max(risks) <= allowed and stable(regime, s2, k / n, strength)

    if math.isinf(found):
        assert not any(within(strength) for strength in np.geomspace(1e-2, 1e5, 30))
        return
    assert within(found)
    for strength in np.geomspace(max(found, 1e-2) * 1e-2, max(found, 1e-2) * 0.995, 20):
        assert strength >= found or not within(strength)


def test_how_strong_for_a_hundred_rows():
    """100 real rows, a Gaussian of one parameter: the budget of 1.5 up to generation 10, at ratio 1."""
    answers = {a.regime: a for a in planner.plan(1.5, 10, 1.0, n_real=100, model="gaussian", dimension=1)}
    assert answers["replace"].strength == pytest.approx(0.7234, abs=1e-4)
    assert answers["accumulate"].strength == pytest.approx(0.01, abs=1e-4)
    assert answers["accumulate_subsample"].strength == pytest.approx(0.6086, abs=1e-4)
    assert (answers["fixed_real"].strength, answers["fresh_real"].strength) == (0.0, 0.0)
    for regime in ("replace", "accumulate", "accumulate_subsample"):
        strength = answers[regime].strength
        assert strength is not None
        more = planner.plan(1.5, 10, 1.0, correction_strength=strength, n_real=100, model="gaussian", dimension=1)
        answer = next(a for a in more if a.regime == regime)
        assert answer.within
        assert answer.breaks_at is None or answer.breaks_at > 10
        assert answer.strength == strength
        assert any(low <= 1.0 <= high for low, high in answer.ratios)


@pytest.mark.parametrize("law", [None, FewRows(model="gaussian", n_real=20, dimension=1)])
def test_what_draws_of_the_real_data_would_not_keep_no_corrector_does(law):
    assert needed_strength(1.5, 10, 0.5, regime="replace", law=law) == math.inf  # half as many rows: twice the risk
    assert needed_strength(2.0, 10, 0.5, regime="replace", law=law) == math.inf  # a perfect one, just
    assert math.isfinite(needed_strength(2.1, 10, 0.5, regime="replace", law=law) or math.nan)
    assert needed_strength(1.5, 10, 0.0, regime="replace", law=law) == math.inf  # nothing to train on
    options = {} if law is None else {"n_real": 20, "model": "gaussian", "dimension": 1}
    notes = [
        next(a for a in planner.plan(allowed, 10, 0.5, **options) if a.regime == "replace").note
        for allowed in (1.5, 2.0, 2.1)
    ]
    assert "none suffices, draws of the real data have 2 times the risk" in notes[0]
    assert "a perfect corrector alone" in notes[1]
    assert "strength: none" not in notes[2]


def test_least_squares_of_few_rows():
    """The exact law holds without correction and with a perfect one; in between there is the limit of many rows."""

    def asked(n, p, ratio, allowed, generations):
        answers = planner.plan(allowed, generations, ratio, n_real=n, model="least_squares", dimension=p)
        return next(a for a in answers if a.regime == "replace")

    assert asked(30, 20, 0.8, 3.5, 1).strength is None  # 4 times the risk in truth, 2.25 in the limit
    assert "wrong for so few" in asked(30, 20, 0.8, 3.5, 1).note
    assert asked(30, 20, 0.8, 2.5, 1).strength == math.inf  # 24 rows of the truth: 20/3, 3 times that of 30
    assert asked(30, 20, 0.5, 1e6, 1).strength == math.inf  # 15 rows for 20 coefficients
    answer = asked(500, 20, 1.0, 1.5, 10)
    assert answer.strength == pytest.approx(0.732, abs=1e-3)
    assert "from the limit of many rows" in answer.note
    assert asked(21, 20, 1.0, 1.5, 10).strength is None


def test_a_question_beyond_what_is_stepped_is_not_known():
    law = FewRows(model="gaussian", n_real=10, dimension=1)
    assert needed_strength(1.01, 2000, 1.0, regime="accumulate", law=law) is None
    assert needed_strength(50.0, 2000, 1.0, regime="accumulate", law=law) == 0.0
    answers = planner.plan(1.01, 2000, 1.0, n_real=10, model="gaussian", dimension=1)
    assert "up to generation 1000" in next(a for a in answers if a.regime == "accumulate").note


@pytest.mark.parametrize(
    ("argument", "wrong"),
    [
        ("budget", 1.0), ("budget", math.nan), ("generations", 0), ("generations", 1.5), ("synthetic_ratio", -1.0),
        ("synthetic_ratio", math.inf), ("sampler_distortion", 0.0), ("regime", "nonsense"), ("regime", "real_only"),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(argument, wrong):
    good = {"budget": 1.5, "generations": 5, "synthetic_ratio": 1.0, "sampler_distortion": 1.0, "regime": "replace"}
    with pytest.raises(SpecError, match=f"^{argument}: "):
        needed_strength(**{**good, argument: wrong})


def test_strengths_beyond_a_thousand_are_found_for_a_distorted_sampler_too():
    """The budget is hardly above the risk of a perfect corrector."""
    law = FewRows(model="gaussian", n_real=20, dimension=1, sampler_distortion=3.0)
    strength = needed_strength(2.002, 8, 0.5, 3.0, regime="replace", law=law)
    assert 1e3 < strength < 1e6
    real = budget.real_risk("gaussian", 20, 1, 1.0)
    loop = {"correction_strength": strength, "sampler_distortion": 3.0}
    assert finite_risk("gaussian", "replace", 8, 20, 1, 1.0, 0.5, **loop) <= 2.002 * real


@pytest.mark.parametrize(
    ("asked", "regime", "words"),
    [
        ({"sampler_distortion": 1.5, "correction_strength": 0.5}, "accumulate", "the variance grows as log t"),
        ({"sampler_distortion": 1.5, "correction_strength": 0.6}, "accumulate", "the variance stays bounded"),
        ({"sampler_distortion": 1.5, "correction_strength": 0.2}, "accumulate", "the variance grows as t^0.25"),
        ({"synthetic_ratio": 0.0}, "replace", "at this ratio there is nothing to train on"),
        (
            {"sampler_distortion": 1.5, "synthetic_ratio": 4.0, "n_real": 100, "dimension": 3, "model": "gaussian"},
            "fixed_real",
            "strength: for stability; the risk needs no more",
        ),
    ],
)
def test_what_an_answer_says_of_itself(asked, regime, words):
    given = {"budget": 1.5, "generations": 1, "synthetic_ratio": 1.0, **asked}
    (answer,) = [a for a in planner.plan(**given) if a.regime == regime]
    assert words in answer.note


def test_a_loop_that_breaks_before_the_last_generation_known_is_not_within_budget():
    asked = {"n_real": 100, "dimension": 1, "model": "gaussian", "synthetic_ratio": 0.5}
    (answer,) = [a for a in planner.plan(1.5, 5000, **asked) if a.regime == "accumulate_subsample"]
    assert math.isnan(answer.risk)  # of generation 5000
    assert answer.breaks_at < 1000
    assert answer.within is False
