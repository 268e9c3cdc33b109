import numpy as np
import pytest

from ouroloop.checks import Check, Quantity, evaluate


def rows(**arms):
    """arm -> seed -> values by generation."""
    return {
        (arm, "fid"): {seed: dict(enumerate(values)) for seed, values in enumerate(by_seed)}
        for arm, by_seed in arms.items()
    }


def check(**fields):
    return Check(**{"statement": "s", "left": {"arm": "a", "metric": "fid"}, "relation": ">", "right": 1.0, **fields})


A = {"arm": "a", "metric": "fid"}
B = {"arm": "b", "metric": "fid"}


@pytest.mark.parametrize(
    ("at", "statistic", "value"),
    [("first", "mean", 1), ("last", "mean", 9), ("all", "mean", 4), ([1, 2], "mean", 3), ([-2, -1], "mean", 6.5),
     ("all", "max", 9), ("all", "median", 3), ("all", "min", 1)],
)  # fmt: skip
def test_a_quantity_summarises_the_generations_asked_for(at, statistic, value):
    quantity = {**A, "at": at, "statistic": statistic}
    data = rows(a=[[1, 2, 4, 9]])
    assert evaluate(check(left=quantity, right=[value - 1e-9, value + 1e-9], relation="in"), data).verdict == "holds"
    assert evaluate(check(left=quantity, right=[value + 0.1, value + 0.2], relation="in"), data).verdict == "fails"


def test_arms_are_compared_by_paired_seeds():
    """Seeds differ by 100, arms by 1: an unpaired comparison could not tell."""
    data = rows(a=[[101], [201], [301.1]], b=[[100], [200], [300]])
    assert evaluate(check(right=B), data).verdict == "holds"
    assert evaluate(check(right=B, relation="<"), data).verdict == "fails"


@pytest.mark.parametrize("relation", ["<", ">"])
def test_differences_are_left_less_right_and_begin_with_the_lower_end(relation):
    """Differences 1, 2 and 3: mean 2, t-interval 2 +- 4.303 / sqrt(3)."""
    result = evaluate(check(right=B, relation=relation), rows(a=[[2], [4], [6]], b=[[1], [2], [3]]))
    assert result.note == "3 seeds, paired difference -0.484 to 4.48"


def test_one_seed_has_no_interval():
    result = evaluate(check(right=B), rows(a=[[2]], b=[[1]]))
    assert (result.verdict, result.note) == ("holds", "1 seed, so that nothing is known of other seeds")


def test_a_difference_within_the_spread_does_not_hold():
    data = rows(a=[[1], [5], [2]], b=[[2], [1], [3]])
    for relation in "<>":
        assert evaluate(check(right=B, relation=relation), data).verdict == "fails"


def test_factor_scales_the_right_side():
    data = rows(a=[[10], [11], [10.5]], b=[[6], [6.2], [6.1]])
    assert evaluate(check(right=B, factor=1.5), data).verdict == "holds"
    assert evaluate(check(right=B, factor=2.0), data).verdict == "fails"
    assert evaluate(check(right=3.0, factor=2.0), data).verdict == "holds"


@pytest.mark.parametrize("data", [{}, rows(b=[[1]]), rows(a=[[np.nan]]), rows(a=[[1]])])
def test_what_was_not_measured_is_said(data):
    result = evaluate(check(right=Quantity(arm="b", metric="fid")), data)
    assert result.verdict == "not measured"
    assert "no values of fid of" in result.note


def test_false_alarm_rate_of_the_paired_comparison():
    """Equal arms: the one-sided statement holds in about 2.5 % of 2,000 draws (4 standard errors: 1.4 %)."""
    rng = np.random.default_rng(0)
    holds = 0
    for _ in range(2000):
        a, b = rng.normal(size=(2, 4, 1))
        holds += evaluate(check(right=B), rows(a=a.tolist(), b=b.tolist())).verdict == "holds"
    assert abs(holds / 2000 - 0.025) < 0.014


@pytest.mark.parametrize(
    "fields", [{"relation": "in", "right": 2.0}, {"relation": "<", "right": [0, 2]}, {"relation": "in", "right": B}]
)
def test_a_relation_that_does_not_fit_its_right_side_is_refused(fields):
    with pytest.raises(ValueError, match="needs a right side"):
        check(**fields)


def test_near_compares_means_point_by_point():
    data = rows(a=[[1.0, 2.0, 9.0], [1.2, 2.2, 9.2]], b=[[1.0, 2.1, 3.0], [1.1, 2.2, 3.0]])
    left, right = ({**side, "at": [0, 1]} for side in (A, B))
    result = evaluate(check(left=left, right=right, relation="near", tolerance=0.06), data)
    assert (result.verdict, result.note) == ("holds", "2 seeds, 2 points, farthest at generation 1")
    assert evaluate(check(left=left, right=right, relation="near", tolerance=0.04), data).verdict == "fails"
    everywhere = evaluate(check(left={**A, "at": "all"}, right=B, relation="near", tolerance=1.0), data)
    assert everywhere.verdict == "fails"
    assert "largest difference 6.1" in everywhere.measured
    number = check(left={**A, "at": "first"}, right=0.55, relation="near", tolerance=0.01, factor=2.0)
    assert evaluate(number, data).verdict == "holds"


def test_near_needs_common_points_and_a_tolerance():
    data = rows(a=[[1.0, 2.0]], b=[[1.0, 2.0]])
    apart = check(left={**A, "at": "first"}, right={**B, "at": "last"}, relation="near", tolerance=9)
    assert evaluate(apart, data).verdict == "fails"
    with pytest.raises(ValueError, match="tolerance"):
        check(relation="near")
    with pytest.raises(ValueError, match="tolerance"):
        check(relation="<", tolerance=0.1)


def test_a_forecast_can_be_a_side():
    data = {**rows(a=[[1.0, 2.0]]), ("a", "fid, forecast 'law'"): {0: {0: 1.0, 1: 2.5}}}
    law = {**A, "forecast": "law"}
    assert evaluate(check(right=law, relation="<"), data).verdict == "holds"
    assert evaluate(check(right={**law, "forecast": "other"}), data).verdict == "not measured"


def test_points_are_found_by_their_value_on_the_axis():
    data = {("a", "fid"): {0: {0.1: 1.0, 0.3: 5.0, 0.7: 7.0}}}
    result = evaluate(check(left={**A, "at": [0.3, 0.3]}, right=4.0), data, axis="label_noise")
    assert (result.verdict, result.expected) == ("holds", "fid of a (label_noise 0.3) > 4")
    assert evaluate(check(left={**A, "at": [0.4, 0.6]}, right=4.0), data).verdict == "not measured"
