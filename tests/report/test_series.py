from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.errors import StoreError
from ouroloop.report.load import Arm, load
from ouroloop.report.runs import Forecast
from ouroloop.report.series import (
    Series,
    contradictions,
    disagreement,
    floor_band,
    forecasts_of,
    interval_of_mean,
    series_of,
)


@given(st.integers(2, 9), st.integers(0, 10_000))
def test_interval_is_students(n: int, seed: int) -> None:
    values = np.random.default_rng(seed).normal(3, 2, (n, 4))
    mean, error, half = interval_of_mean(values)
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.95)
    np.testing.assert_allclose(mean - half, expected.low)
    np.testing.assert_allclose(mean + half, expected.high)
    np.testing.assert_allclose(error, scipy.stats.sem(values))


def test_interval_leaves_nan_out_and_is_unknown_for_fewer_than_two() -> None:
    values = np.array([[1.0, np.nan, np.nan], [3.0, 5.0, np.nan], [np.nan, np.nan, np.nan]])
    mean, error, half = interval_of_mean(values)
    np.testing.assert_array_equal(mean, [2.0, 5.0, np.nan])
    np.testing.assert_allclose(error[0], 1.0)
    assert np.isnan(error[1:]).all()
    assert np.isnan(half[1:]).all()


def arm_of(make_runs: ModuleType, root: Path, curves: list[dict[str, Any]], forecasts: Any = ()) -> Arm:
    for seed, curve in enumerate(curves):
        make_runs.write_run(
            root / f"seed-{seed}", arm="a", seed=seed, curves={"fid": curve}, spec="{}\n", forecasts=forecasts
        )
    return load([root]).arms[0]


def test_seeds_of_different_length_and_with_gaps_are_lined_up(make_runs: ModuleType, tmp_path: Path) -> None:
    arm = arm_of(
        make_runs,
        tmp_path,
        [
            {"value": np.array([1.0, 2.0, np.inf])},
            {"value": np.array([3.0, 6.0, np.nan, 8.0]), "generation": np.array([0, 1, 2, 5])},
        ],
    )
    series = series_of(arm, "fid")
    assert series is not None
    np.testing.assert_array_equal(series.generation, [0, 1, 2, 5])
    np.testing.assert_array_equal(series.mean, [2.0, 4.0, np.nan, 8.0])
    np.testing.assert_array_equal(series.median, [2.0, 4.0, np.nan, 8.0])
    np.testing.assert_array_equal(series.smallest, [1.0, 2.0, np.nan, 8.0])
    np.testing.assert_array_equal(series.measured, [0, 1, 3])
    assert np.isnan(series.low[3])
    assert series.interval_name == "95 % t-interval over 2 seeds"


def test_a_single_seed_has_its_bootstrap_interval(make_runs: ModuleType, tmp_path: Path) -> None:
    curve = {"value": np.array([2.0, 3.0]), "low": np.array([1.5, 2.5]), "high": np.array([2.6, 3.6])}
    series = series_of(arm_of(make_runs, tmp_path, [curve]), "fid")
    assert series is not None
    np.testing.assert_array_equal(series.low, [1.5, 2.5])
    np.testing.assert_array_equal(series.high, [2.6, 3.6])
    assert "bootstrap" in series.interval_name


def test_a_metric_that_no_seed_has_is_none(make_runs: ModuleType, tmp_path: Path) -> None:
    assert series_of(arm_of(make_runs, tmp_path, [{"value": np.ones(2)}]), "kid") is None


def test_floor_is_the_mean_with_quantiles_or_none(make_runs: ModuleType, tmp_path: Path) -> None:
    floors = [np.array([1.0, 2.0]), np.array([np.nan, 3.0])]
    arm_of(make_runs, tmp_path, [{"value": np.ones(2), "floor": floor} for floor in floors])
    assert floor_band(load([tmp_path]), "fid") == pytest.approx((2.0, 1.1, 2.9))
    assert floor_band(load([tmp_path]), "kid") is None


def test_forecast_column_stands_in_for_a_missing_file(make_runs: ModuleType, tmp_path: Path) -> None:
    curve = {"value": np.ones(2), "generation": np.array([0, 2]), "forecast": np.array([0.5, 0.7])}
    (forecast,) = forecasts_of(arm_of(make_runs, tmp_path, [curve]), "fid")
    np.testing.assert_array_equal(forecast.values, [0.5, np.nan, 0.7])
    assert forecast.validity == ""


def exact(values: np.ndarray, validity: str = "exact", **fields: Any) -> Forecast:
    return Forecast("fid", "f", "", validity, "", "", values, **fields)


def series(values: np.ndarray) -> Series:
    """A series of values (seeds, g)."""
    mean, error, half = interval_of_mean(values)
    seeds, g = values.shape
    return Series(
        metric="fid",
        seeds=tuple(range(seeds)),
        generation=np.arange(g),
        values=values,
        mean=mean,
        low=mean - half,
        high=mean + half,
        median=np.median(values, axis=0),
        smallest=values.min(axis=0),
        largest=values.max(axis=0),
        error=error,
        floors=np.array([]),
    )


@pytest.mark.parametrize("seeds", [2, 3, 8])
def test_a_true_forecast_is_outside_as_rarely_as_stated(seeds: int) -> None:
    values = np.random.default_rng(1).normal(5, 1, (seeds, 40_000))
    share = disagreement(series(values), exact(np.full(40_000, 5.0)))
    # Two tails beyond 3 standard deviations, 0.27 %; its Monte-Carlo error here is 0.026 %.
    assert share == pytest.approx(0.0027, abs=4 * 0.00026)


def test_a_wrong_forecast_is_outside_everywhere_with_enough_seeds() -> None:
    values = np.random.default_rng(2).normal(5, 0.1, (8, 50))
    assert disagreement(series(values), exact(np.full(50, 6.0))) == 1.0


def test_deterministic_runs_agree_only_with_the_same_numbers() -> None:
    values = np.tile(np.linspace(1, 2, 5), (3, 1))
    assert disagreement(series(values), exact(np.linspace(1, 2, 5))) == 0.0
    assert disagreement(series(values), exact(np.linspace(1, 2, 5) + 1e-3)) == 1.0


def test_loops_that_have_died_out_do_not_contradict_the_mean_of_those_that_go_on() -> None:
    """Two equal categories redrawn 10 at a time: the mean of 2p(1-p) falls by a tenth a generation, and is never 0."""
    rng, share, generations = np.random.default_rng(5), np.full(12, 0.5), 300
    values = np.empty((12, generations))
    for t in range(generations):
        values[:, t] = 2 * share * (1 - share)
        share = rng.binomial(10, share) / 10
    assert (values[:, -100:] == 0).all()
    law = 0.5 * 0.9 ** np.arange(generations)
    assert disagreement(series(values), exact(law)) == pytest.approx(0.0, abs=0.02)
    assert disagreement(series(values), exact(np.full(generations, 0.45))) > 0.5
    nothing = np.zeros_like(values)
    assert disagreement(series(nothing), exact(law)) == 1.0  # never there, so nothing has died out
    bound = exact(np.full(generations, 0.1), "sufficient bound", bound="lower")
    assert disagreement(series(values), bound) > 0.8


@pytest.mark.parametrize("validity", ["asymptotic", "sufficient bound", "heuristic", ""])
def test_what_states_no_error_and_no_side_is_not_judged(validity: str) -> None:
    assert disagreement(series(np.ones((4, 3))), exact(np.full(3, 9.0), validity)) is None
    assert disagreement(series(np.ones((4, 3))), exact(np.full(3, 9.0), "heuristic", error=np.zeros(3))) is None


@pytest.mark.parametrize("seeds", [2, 8])
def test_an_error_that_is_stated_is_allowed_beside_the_sampling_error(seeds: int) -> None:
    values = np.random.default_rng(3).normal(5, 0.1, (seeds, 40_000))
    apart = np.full(40_000, 0.5)
    true = disagreement(series(values), exact(np.full(40_000, 4.5), "asymptotic", error=apart))
    assert true == pytest.approx(0.0027 / 2, abs=4 * 0.00026)  # at the limit of what is stated: one tail is left
    assert disagreement(series(values), exact(np.full(40_000, 5.0), "asymptotic", error=apart)) == pytest.approx(
        0.0, abs=0.002
    )
    if seeds == 8:
        assert disagreement(series(values), exact(np.full(40_000, 3.0), "asymptotic", error=apart)) == 1.0
    nothing = np.full(40_000, np.inf)  # says that it does not know
    assert disagreement(series(values), exact(np.full(40_000, 3.0), "asymptotic", error=nothing)) is None
    half = np.where(np.arange(40_000) < 20_000, 0.5, np.inf)
    outside = disagreement(series(values), exact(np.full(40_000, 3.0), "asymptotic", error=half))
    assert outside == disagreement(series(values[:, :20_000]), exact(np.full(20_000, 3.0), "asymptotic", error=half))


@pytest.mark.parametrize(("bound", "wrong"), [("upper", 4.0), ("lower", 6.0)])
def test_a_bound_is_contradicted_on_its_wrong_side_alone(bound: str, wrong: float) -> None:
    values = np.random.default_rng(4).normal(5, 0.1, (8, 50))
    right = 10.0 - wrong
    assert disagreement(series(values), exact(np.full(50, wrong), "sufficient bound", bound=bound)) == 1.0
    assert disagreement(series(values), exact(np.full(50, right), "sufficient bound", bound=bound)) == 0.0


def test_errors_of_seeds_are_joined_and_told(make_runs: ModuleType, tmp_path: Path) -> None:
    law = {"metric": "fid", "label": "law", "validity": "asymptotic", "values": [1.0, 3.0], "units": "m"}
    for seed, error in enumerate(([0.5, None], [0.25, 0.5])):
        forecasts = [{**law, "error": error}]
        make_runs.write_run(
            tmp_path / f"seed-{seed}", arm="a", seed=seed, curves={"fid": {"value": np.ones(2)}}, spec="{}\n",
            forecasts=forecasts,
        )  # fmt: skip
    (forecast,) = forecasts_of(load([tmp_path]).arms[0], "fid")
    assert forecast.error is not None
    np.testing.assert_array_equal(forecast.error, [0.5, np.inf])
    assert forecast.stated_error == "stated error at most 0.5 m"


@pytest.mark.parametrize("error", [[0.5], ["much"], 0.5])
def test_an_error_that_does_not_fit_is_refused(make_runs: ModuleType, tmp_path: Path, error: Any) -> None:
    law = {"metric": "fid", "label": "law", "validity": "asymptotic", "values": [1.0, 3.0], "error": error}
    with pytest.raises(StoreError, match="forecast 'fid'"):
        arm_of(make_runs, tmp_path, [{"value": np.ones(2)}], [law])


def test_contradicted_forecasts_are_named(gaussian: Path) -> None:
    (text,) = contradictions(load([gaussian]))
    assert re.fullmatch(r"γ = 0\.3: gaussian_w2 contradicts the exact 'finite-n loop' at \d+ % of generations", text)


def test_one_seed_or_no_common_generation_is_not_judged() -> None:
    assert disagreement(series(np.ones((1, 3))), exact(np.full(3, 9.0))) is None
    assert disagreement(series(np.ones((3, 3))), exact(np.array([]))) is None


def test_the_wrong_forecast_of_the_study_is_found_and_no_other(gaussian: Path) -> None:
    shares = {}
    for arm in load([gaussian]).arms:
        measured = series_of(arm, "gaussian_w2")
        assert measured is not None
        (forecast,) = [f for f in forecasts_of(arm, "gaussian_w2") if f.validity == "exact"]
        shares[arm.name] = disagreement(measured, forecast)
    assert shares["gamma-0.3"] > 0.5
    assert max(share for name, share in shares.items() if name != "gamma-0.3") < 0.2
