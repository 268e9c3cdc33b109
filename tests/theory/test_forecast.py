from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.backends.vectorised import run_grid
from ouroloop.errors import SpecError
from ouroloop.metrics.gaussian_w2 import gaussian_w2
from ouroloop.spec import Spec
from ouroloop.theory.forecast import VALIDITIES, Forecast, forecasts_for

TARGET = {"kind": "gaussian_w2", "of": "model", "mean": [0.0, 0.0], "covariance": [[1.0, 0.0], [0.0, 1.0]]}


def resolved(regime="linear_accumulate", strength=0.0, corrector="ideal", ratio=0.5, **fields):
    mapping = {
        "generations": 20,
        "data": {"kind": "gaussian", "n": 50},
        "generator": "gaussian",
        "regime": {"kind": regime, "synthetic_ratio": 0.0 if regime == "real_only" else ratio},
        "corrector": {"kind": corrector, "correction_strength": strength},
        "metrics": [TARGET, "moments"],
    }
    return Spec.from_mapping({**mapping, **fields}).resolved()


def by_metric(spec, n_real=50, dim=2):
    found: dict[str, list[Forecast]] = {}
    for forecast in forecasts_for(spec, n_real, dim):
        found.setdefault(forecast.metric, []).append(forecast)
    return found


def test_every_forecast_has_a_value_a_generation_and_says_when_it_holds():
    found = forecasts_for(resolved(strength=0.3), 50, 2)
    assert {f.metric for f in found} >= {
        "gaussian_w2",
        "mean_error",
        "trace_ratio",
        "synthetic_ratio",
        "corrected_share",
    }
    for forecast in found:
        assert forecast.values.shape == (21,)
        assert forecast.validity in VALIDITIES
        assert forecast.source
        assert forecast.label


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_the_study_of_scsc_is_forecast_within_four_percent(strength):
    """Forecast and loop come from different code: closed forms, and the rows of the vectorised backend."""
    spec = resolved(strength=strength)
    run = run_grid([spec], range(200))[0]
    target = {"real_mean": np.zeros(2), "real_covariance": np.eye(2)}
    distance = gaussian_w2(**target, generated_mean=run.mean, generated_covariance=run.covariance)
    expected = by_metric(spec)["gaussian_w2"][0].values
    error = 4 * distance.std(axis=0) / math.sqrt(len(distance))
    np.testing.assert_array_less(np.abs(distance.mean(axis=0) - expected), 0.04 * expected + error)
    ratio = by_metric(spec)["synthetic_ratio"][0]
    assert ratio.validity == "exact"
    np.testing.assert_allclose(ratio.values, run.n_synthetic / run.n_real)
    share = by_metric(spec)["corrected_share"][0].values[1:]
    spread = math.sqrt(0.25 / (200 * 25))
    np.testing.assert_allclose(run.changed.mean(axis=0)[1:], share, atol=5 * spread)


def moments_of(run, n_eval, n_held_out, seed):
    """What the metric `moments` measures, from rows drawn for the purpose: mean_error, trace_ratio, logdet_ratio."""
    rng = np.random.default_rng(seed)
    *shape, d = run.mean.shape
    root = np.linalg.cholesky(run.covariance)
    x = run.mean[..., None, :] + rng.standard_normal((*shape, n_eval, d)) @ np.swapaxes(root, -1, -2)
    y = rng.standard_normal((*shape, n_held_out, d))

    def fit(z):
        centred = z - z.mean(axis=-2, keepdims=True)
        return z.mean(axis=-2), np.swapaxes(centred, -1, -2) @ centred / (z.shape[-2] - 1)

    (m, c), (real_m, real_c) = fit(x), fit(y)
    return (
        np.linalg.norm(m - real_m, axis=-1),
        np.trace(c, axis1=-2, axis2=-1) / np.trace(real_c, axis1=-2, axis2=-1),
        np.linalg.slogdet(c)[1] - np.linalg.slogdet(real_c)[1],
    )


def test_the_moments_of_a_replace_loop():
    data, evaluation = {"kind": "gaussian", "n": 40, "held_out": 100}, {"n": 60}
    spec = resolved("replace", data=data, evaluation=evaluation, generations=6)
    found = by_metric(spec, 40)
    run = run_grid([spec], range(400))[0]
    measured = dict(zip(("mean_error", "trace_ratio", "logdet_ratio"), moments_of(run, 60, 100, 0), strict=True))
    assert found["logdet_ratio"][0].validity == "exact"
    assert found["trace_ratio"][0].validity == "exact"
    for metric, values in measured.items():
        law = found[metric][0]
        error = 4 * values.std(axis=0) / math.sqrt(len(values))
        assert law.error is not None
        np.testing.assert_array_less(np.abs(values.mean(axis=0) - law.values), law.error + error)


@pytest.mark.parametrize(
    ("regime", "strength", "dim", "ratio"),
    [
        ("replace", 0.0, 1, 1.0),
        ("replace", 0.3, 2, 0.5),
        ("replace", 0.0, 4, 1.0),
        ("accumulate", 0.0, 2, 1.0),
        ("fresh_real", 0.3, 4, 2.0),
        ("fixed_real", 0.0, 1, 0.5),
    ],
)
def test_laws_in_the_number_of_rows_are_within_their_stated_error(regime, strength, dim, ratio):
    """800 loops of 40 real rows: the standard error is 1 to 3 %."""
    eye = np.eye(dim).tolist()
    spec = resolved(
        regime,
        strength,
        ratio=ratio,
        data={"kind": "gaussian", "dim": dim, "n": 40, "held_out": 12, "mean": [0.0] * dim, "covariance": eye},
        metrics=[{**TARGET, "mean": [0.0] * dim, "covariance": eye}, "moments"],
        evaluation={"n": 60},
    )
    found, run = by_metric(spec, 40, dim), run_grid([spec], range(1000, 1800))[0]
    target = {"real_mean": np.zeros(dim), "real_covariance": np.eye(dim)}
    distance = gaussian_w2(**target, generated_mean=run.mean, generated_covariance=run.covariance)
    error, trace, _ = moments_of(run, 60, 12, 1)
    for metric, values in (("gaussian_w2", distance), ("mean_error", error), ("trace_ratio", trace)):
        law = found[metric][0]
        assert law.error is not None
        noise = 4 * values.std(axis=0) / math.sqrt(len(values))
        np.testing.assert_array_less(np.abs(values.mean(axis=0) - law.values), law.error + noise)
        assert (law.validity == "exact") == (metric == "trace_ratio")


@pytest.mark.parametrize("option", [{"features": "pca"}, {"max_rows": 99}])
def test_moments_in_another_space_or_of_fewer_rows_are_not_forecast(option):
    fields = {"data": {"kind": "gaussian", "n": 50, "held_out": 100}, "evaluation": {"n": 60}}
    moments = {"mean_error", "trace_ratio", "logdet_ratio"}
    assert moments <= by_metric(resolved("replace", **fields)).keys()
    assert not moments & by_metric(resolved("replace", **fields, metrics=[{"kind": "moments", **option}])).keys()


def test_no_error_is_stated_where_none_was_measured():
    few = {"kind": "gaussian", "n": 18}
    assert by_metric(resolved(data=few, generations=3), 18)["gaussian_w2"][0].error is None
    law = by_metric(resolved("replace", generations=60))["gaussian_w2"][0]
    assert law.error is not None
    np.testing.assert_array_equal(np.isfinite(law.error), np.arange(61) <= 50)


def test_the_certificate_stands_beside_the_spectral_radius():
    spec = resolved("fixed_real", 1.0)
    bound, exact = by_metric(spec)["contraction_factor"]
    assert (bound.validity, exact.validity) == ("sufficient bound", "asymptotic")
    assert bound.values[-1] == pytest.approx(0.5)
    assert exact.values[-1] == pytest.approx(1 / 6)
    assert by_metric(spec)["risk_multiplier"][0].values[0] == 1.0


def test_what_a_network_is_shown_counts_not_what_there_is():
    """Batches with a share of real rows weigh the loss as a regime of that ratio would."""
    flow = {"kind": "flow", "batch_real_share": 0.75}
    for regime in ("fixed_real", "accumulate"):
        mixed = by_metric(resolved(regime, 2.0, ratio=5.0, generator=flow))
        plain = by_metric(resolved("fixed_real", 2.0, ratio=1 / 3, generator="flow"), 75)  # 25 synthetic rows
        for a, b in zip(mixed["contraction_factor"], plain["contraction_factor"], strict=True):
            np.testing.assert_allclose(a.values, b.values)
        assert "risk_multiplier" not in mixed
        assert mixed["synthetic_ratio"][0].values[-1] == (100.0 if regime == "accumulate" else 5.0)
    replaced = (by_metric(resolved("replace", 2.0, generator=g))["contraction_factor"] for g in (flow, "flow"))
    for a, b in zip(*replaced, strict=True):
        np.testing.assert_array_equal(a.values, b.values)  # nothing to mix


def test_accumulation_leaves_the_certificate():
    """SCSC's Gaussian study: 25 new rows on 50 real ones, weighted linearly: outside after a few generations."""
    for strength in (0.0, 5.0):
        bound = by_metric(resolved(strength=strength))["contraction_factor"][0]
        assert bound.validity == "heuristic"
        certified = np.flatnonzero(bound.values < 1)
        assert certified[-1] <= 4
        assert np.isinf(bound.values[5:]).all()


def test_what_is_not_known_is_not_forecast():
    # another corrector, another model, the wrong target, samples instead of the model, rows dropped
    assert "gaussian_w2" not in by_metric(resolved(corrector="histogram", strength=0.5))
    assert "gaussian_w2" not in by_metric(resolved(corrector="histogram", strength=0.0))
    assert "gaussian_w2" not in by_metric(resolved(generator="kde"))
    assert "gaussian_w2" not in by_metric(resolved(metrics=[{**TARGET, "mean": [1.0, 0.0]}]))
    assert "gaussian_w2" not in by_metric(resolved(metrics=[{**TARGET, "of": "samples"}]))
    assert "gaussian_w2" not in by_metric(resolved("accumulate_subsample"))
    assert by_metric(resolved(guards={"min_real_share": 0.5})) == {}
    tilted = {"kind": "gaussian", "covariance": [[2.0, 0.0], [0.0, 1.0]]}
    assert "gaussian_w2" not in by_metric(
        resolved(data=tilted, metrics=[{**TARGET, "covariance": tilted["covariance"]}])
    )
    assert by_metric(resolved(generations=5000)) == {}


def test_strength_zero_of_any_harmless_corrector_is_no_correction():
    plain = by_metric(resolved(corrector="identity"))["gaussian_w2"][0].values
    np.testing.assert_array_equal(by_metric(resolved(strength=0.0))["gaussian_w2"][0].values, plain)
    np.testing.assert_array_equal(
        by_metric(resolved(corrector="cluster", strength=0.0))["gaussian_w2"][0].values, plain
    )


def test_a_target_of_another_scale_is_forecast_in_its_units():
    wide = {"kind": "gaussian", "n": 50, "mean": [3.0, 1.0], "covariance": [[9.0, 0.0], [0.0, 9.0]]}
    metric = {**TARGET, "mean": wide["mean"], "covariance": wide["covariance"]}
    found = by_metric(resolved(data=wide, metrics=[metric]))["gaussian_w2"][0].values
    np.testing.assert_allclose(found, 3 * by_metric(resolved())["gaussian_w2"][0].values)


def test_a_forecast_is_plain_json_with_null_where_there_is_no_value():
    forecast = Forecast(
        metric="m", label="l", source="s", validity="exact", note="", units="", values=np.array([1.0, math.inf])
    )
    assert json.loads(json.dumps(forecast.to_dict(), allow_nan=False)) == {
        "metric": "m",
        "label": "l",
        "source": "s",
        "validity": "exact",
        "note": "",
        "units": "",
        "values": [1.0, None],
        "error": [0.0, 0.0],
    }


def test_only_an_exact_law_states_its_error_by_itself():
    texts = {"metric": "m", "label": "", "source": "", "note": "", "units": "", "values": [1.0, 2.0]}
    assert Forecast(validity="asymptotic", **texts).to_dict()["error"] is None
    assert Forecast(validity="asymptotic", error=np.array([0.5, math.inf]), **texts).to_dict()["error"] == [0.5, None]
    lower = Forecast(validity="sufficient bound", bound="lower", **texts).to_dict()
    assert (lower["bound"], lower["error"]) == ("lower", None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"validity": "sure"},
        {"values": [math.nan]},
        {"values": 1.0},
        {"values": [[1.0]]},
        {"error": [-1.0]},
        {"error": [math.nan]},
        {"error": [0.0, 0.0]},
        {"bound": "left"},
    ],
)
def test_forecasts_that_say_nothing_are_refused(wrong):
    fields = {"metric": "m", "label": "", "source": "", "validity": "exact", "note": "", "units": "", "values": [0.0]}
    with pytest.raises(SpecError):
        Forecast(**{**fields, **wrong})


@settings(max_examples=60, deadline=None)
@given(
    regime=st.sampled_from(["replace", "accumulate", "fixed_real", "fresh_real", "real_only", "linear_accumulate"]),
    ratio=st.sampled_from([0.0, 1e-3, 0.5, 1.0, 1e6]),
    strength=st.sampled_from([0.0, 1e-6, 1.0, 1e9, math.inf]),
    generations=st.integers(0, 15),
    n_real=st.integers(1, 2000),
    dim=st.integers(1, 4),
    estimator=st.sampled_from(["mle", "unbiased"]),
)
def test_any_specification_gets_curves_of_its_length(regime, ratio, strength, generations, n_real, dim, estimator):
    spec = {
        **resolved(),
        "generations": generations,
        "data": {"kind": "gaussian", "dim": dim, "held_out": 10, "mean": None, "covariance": None},
        "generator": {"kind": "gaussian", "estimator": estimator, "regularisation": 0.0, "per_class": False},
        "regime": {"kind": regime, "synthetic_ratio": ratio, "window": None},
        "corrector": {"kind": "ideal", "correction_strength": strength},
        "metrics": [{**TARGET, "mean": [0.0] * dim, "covariance": np.eye(dim).tolist()}],
    }
    for forecast in forecasts_for(spec, n_real, dim):
        assert forecast.values.shape == (generations + 1,)
        assert not np.isnan(forecast.values).any()
