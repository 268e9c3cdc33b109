"""Forecasts by a run's own constants, on run directories that are written by hand from known constants."""

import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from ouroloop.errors import DataError, SpecError
from ouroloop.estimated_forecasts import Target, estimated_forecasts
from ouroloop.estimation import distortions, estimate_runs
from ouroloop.spec import Spec

FACTOR, STEP, START, N = 0.9, 0.5, 2.0, 50


def spec(**changes):
    given = {
        "data": {"kind": "gaussian", "n": N},
        "generator": "kde",
        "regime": {"kind": "fixed_real", "synthetic_ratio": 1.0},
        "generations": 12,
        "metrics": [{"kind": "moments"}],
    }
    return Spec.from_mapping({**given, **changes}).resolved()


def written(path, resolved, curves, seed=0):
    """A run directory with these metrics by name, generation 0 first."""
    path.mkdir(parents=True)
    (path / "spec.yaml").write_text(yaml.safe_dump({**resolved, "seed": seed}))
    (path / "run.json").write_text(json.dumps({"arm": "", "seed": seed}))
    curves = {"training_rows": [float(N)] + [2.0 * N] * 12, **curves}
    rows = [
        {"arm": "", "seed": seed, "generation": t, "metric": name, "value": float(value), "n": 100}
        | dict.fromkeys(("low", "high", "floor", "forecast"), math.nan)
        for name, curve in curves.items()
        for t, value in enumerate(curve)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path / "metrics.parquet")
    return path


def curve(share, last=12):
    """The metric of a loop with the same share of synthetic rows in every generation."""
    values = [START]
    for _ in range(last):
        values.append(START + share * (STEP + FACTOR * (values[-1] - START)))
    return np.array(values)


def test_the_run_s_own_loop_is_continued_and_judged_on_what_was_held_out(tmp_path):
    run = written(tmp_path / "run", spec(), {"distance": curve(0.5)})
    (laws,) = estimated_forecasts(run, overrides=["generations=30"], fit=5).values()
    (law,) = laws
    assert (law.metric, law.validity, law.fitted) == ("distance", "heuristic", 4)
    np.testing.assert_allclose(law.values, curve(0.5, 30), atol=1e-3)
    tested = law.held_out()
    assert tested is not None
    error, naive, count = tested
    assert count == 8
    assert error < 1e-3
    later = curve(0.5)[5:]
    assert naive == pytest.approx(math.sqrt(np.mean((curve(0.5)[4] - later) ** 2)))


@pytest.mark.parametrize(
    ("change", "share"),
    [
        ("regime.synthetic_ratio=3", 0.75),
        ("regime.kind=replace", 1.0),
        ("corrector={kind: ideal, correction_strength: 1.0}", 0.25),
        ("corrector={kind: cluster, correction_strength: 3.0}", 0.125),
    ],
)
def test_constants_are_carried_to_another_loop(tmp_path, change, share):
    run = written(tmp_path / "run", spec(), {"distance": curve(0.5)})
    name, _, value = change.partition("=")
    other = spec()
    target = other
    if name == "corrector":
        target = spec(corrector=yaml.safe_load(value))
    else:
        other["regime"] = {**other["regime"], name.split(".")[1]: yaml.safe_load(value)}
    (laws,) = estimated_forecasts(run, {"other": Target(target, N)}).values()
    (law,) = laws
    np.testing.assert_allclose(law.values, curve(share), rtol=5e-3)
    assert law.measured is None
    assert law.held_out() is None


def test_the_distortion_forecasts_variance_and_stability(tmp_path):
    s2 = 1.2
    variance = [s2]
    for _ in range(12):
        variance.append(s2 * (0.5 + 0.5 * variance[-1]))
    run = written(tmp_path / "run", spec(), {"trace_ratio": variance})
    (laws,) = estimated_forecasts(run).values()
    by_label = {(law.metric, "s²" in law.label): law for law in laws}
    np.testing.assert_allclose(by_label["trace_ratio", True].values, variance)
    np.testing.assert_allclose(by_label["trace_ratio", False].values, variance, atol=1e-3)
    np.testing.assert_allclose(by_label["contraction_factor", True].values[1:], 0.5 * s2)
    tested = by_label["trace_ratio", True].held_out()
    assert tested is not None
    assert tested[2] == 12  # generation 0 alone was used
    ((_, rate),) = distortions([run])
    assert rate.value == s2


def test_a_run_of_a_version_with_fewer_options_is_still_its_own_loop(tmp_path):
    resolved = spec()
    assert resolved["generator"].pop("bandwidth")
    run = written(tmp_path / "run", resolved, {"distance": curve(0.5)})
    (law,) = next(iter(estimated_forecasts(run).values()))
    assert law.held_out() is not None
    (law,) = next(iter(estimated_forecasts(run, overrides=["generator.bandwidth=0.7"]).values()))
    assert law.held_out() is None


def test_seeds_give_an_interval(tmp_path):
    rng, study = np.random.default_rng(0), tmp_path / "arm"
    for seed in range(6):
        noise = 0.02 * rng.normal(size=13)
        written(study / f"seed-{seed}", spec(), {"distance": curve(0.5) + noise}, seed)
    (laws,) = estimated_forecasts(study).values()
    (law,) = laws
    assert 0.0 < law.high[12] - law.low[12] < 0.5
    assert law.low[12] <= curve(0.5)[12] <= law.high[12]


def test_a_distance_is_not_forecast_below_zero(tmp_path):
    """Down by the same step in every generation of ratio 1: with no real rows it would pass 0 at once."""
    falling = 0.4 - 0.03 * np.arange(13)
    run = written(tmp_path / "run", spec(), {"mean_error": falling, "recall": 1.0 - falling, "mine": falling})
    other = spec(regime={"kind": "replace", "synthetic_ratio": 1.0})
    (laws,) = estimated_forecasts(run, {"other": Target(other, N)}).values()
    by_name = {law.metric: law for law in laws}
    assert by_name["mine"].values[12] < 0.0
    assert by_name["mean_error"].values[12] == 0.0
    assert by_name["recall"].values[12] == 1.0
    assert by_name["mean_error"].low.min() >= 0.0
    assert "cut to the metric's range" in by_name["mean_error"].source
    assert "cut" not in by_name["mine"].source
    percent = written(tmp_path / "percent", spec(), {"recall": 90.0 + falling})  # not the share of that name
    (laws,) = estimated_forecasts(percent).values()
    assert laws[0].values[0] == pytest.approx(90.4, abs=0.1)


def test_what_chance_explains_is_said(tmp_path):
    rng, arm = np.random.default_rng(1), tmp_path / "arm"
    other = {"other": Target(spec(regime={"kind": "replace", "synthetic_ratio": 1.0}), N)}
    runaway = [2.0]
    for _ in range(12):
        runaway.append(2.0 + 0.5 * (0.1 + 1.2 * (runaway[-1] - 2.0)))
    for seed in range(4):
        noise = rng.normal(size=(2, 13))
        curves = {"flat": 1.0 + 0.1 * noise[0], "rising": np.array(runaway) + 0.01 * noise[1]}
        written(arm / f"seed-{seed}", spec(), curves, seed)
    (laws,) = estimated_forecasts(arm, other).values()
    flat, rising = laws
    assert "no change beyond chance" in flat.source
    assert flat.values == pytest.approx(np.full(13, 1.0), abs=0.1)
    assert flat.high[12] - flat.low[12] > 0.2  # a change that was not seen is not excluded
    assert "M = 1, " in rising.source
    assert "would run away, but not beyond chance" in rising.source


def test_more_generations_to_fit_than_there_are(tmp_path):
    run = written(tmp_path / "run", spec(), {"distance": curve(0.5), "trace_ratio": curve(0.5)})
    with pytest.raises(DataError, match=r"--fit 20: must be at least 4 and at most 13, the measured generations"):
        estimated_forecasts(run, fit=20)
    with pytest.raises(DataError, match=r"--fit 20: .* the most there are is 13"):
        list(estimate_runs([run], fit=20))


def test_what_the_run_cannot_tell_is_an_error(tmp_path):
    run = written(tmp_path / "run", spec(), {"distance": curve(0.5)})
    with pytest.raises(SpecError, match="those of 'kde', not of 'gaussian'"):
        estimated_forecasts(run, {"x": Target(spec(generator="gaussian"), N)})
    curated = spec(corrector={"kind": "cluster"})
    with pytest.raises(SpecError, match="corrector: how a loop with 'cluster'"):
        estimated_forecasts(run, {"x": Target(curated, N)})
    short = written(tmp_path / "short", spec(), {"distance": curve(0.5)[:3]})
    with pytest.raises(DataError, match="no metric has 4"):
        estimated_forecasts(short)
    real = written(tmp_path / "real", spec(regime="real_only"), {"distance": curve(0.5)})
    with pytest.raises(DataError, match="of a loop with synthetic rows"):
        estimated_forecasts(real)
    both = tmp_path / "both"
    for ratio in (1.0, 2.0):
        other = spec(regime={"kind": "fixed_real", "synthetic_ratio": ratio})
        written(both / f"arm{ratio:g}" / "seed-0", {**other, "arm": f"arm{ratio:g}"}, {"distance": curve(0.5)})
    with pytest.raises(DataError, match="several arms"):
        estimated_forecasts(both, {"x": Target(spec(), N)})


def test_estimates_are_judged_over_all_held_out_generations(tmp_path):
    bumpy = curve(0.5)
    bumpy[7:12] += 1.0  # wrong in between, right again at the end
    run = written(tmp_path / "run", spec(), {"distance": bumpy})
    (found,) = estimate_runs([run], fit=6)
    assert found.held_out == 7
    assert found.error == pytest.approx(math.sqrt(5 / 7), rel=0.02)
    assert found.naive == pytest.approx(math.sqrt(np.mean((bumpy[5] - bumpy[6:]) ** 2)))
    assert abs(found.predicted - found.measured) < 0.01
