"""Estimated forecasts on a report: where they are drawn, where not, and what they are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from ouroloop.report.axis import Axis
from ouroloop.report.estimates import with_estimates
from ouroloop.report.load import Arm, Results
from ouroloop.report.runs import Forecast, Run, Track
from ouroloop.report.series import forecasts_of

LAST = 10


def track(values: np.ndarray) -> Track:
    nothing = np.full(len(values), np.nan)
    return Track(np.arange(len(values)), values, *[nothing] * 4)


def results(
    curve, *, regime: Mapping = {"kind": "replace", "synthetic_ratio": 1.0}, laws=(), axis=None, generations=LAST
) -> Results:
    rng, runs = np.random.default_rng(0), []
    spec = {
        "generations": generations,
        "regime": dict(regime),
        "corrector": {"kind": "identity"},
        "generator": {"kind": "diffusion"},
        "data": {"kind": "digits"},
    }
    for seed in range(4):
        noisy = curve(np.arange(LAST + 1.0)) + 0.01 * rng.standard_normal(LAST + 1)
        tracks = {"fid": track(noisy), "training_rows": track(np.full(LAST + 1, 100.0))}
        runs.append(Run(path=None, arm="a", seed=seed, tracks=tracks, spec=spec, forecasts=tuple(laws)))
    arm = Arm("a", "a", False, False, tuple(runs))
    return Results((arm,), (), (), **({} if axis is None else {"axis": axis}))


def estimate_of(found: Results) -> Forecast:
    (law,) = forecasts_of(found.arms[0], "fid")
    return law


def test_an_estimate_from_the_first_half_foretells_the_second():
    law = estimate_of(with_estimates(results(lambda t: 5.0 + 3.0 * t)))
    assert law.validity == "heuristic"
    assert "generations 0 to" in law.label
    np.testing.assert_allclose(law.values, 5.0 + 3.0 * np.arange(LAST + 1), rtol=0.03)


def test_it_uses_the_first_half_alone():
    early = estimate_of(with_estimates(results(lambda t: 5.0 + 3.0 * np.minimum(t, 4.0))))
    later = estimate_of(with_estimates(results(lambda t: 5.0 + 3.0 * t)))
    np.testing.assert_allclose(early.values, later.values, atol=0.2)


@pytest.mark.parametrize(
    "given",
    [
        lambda: results(lambda t: t, laws=[Forecast("fid", "law", "", "exact", "", "", np.zeros(LAST + 1))]),
        lambda: results(lambda t: t, axis=Axis("label noise", ("0", "1"))),
        lambda: results(lambda t: t, regime={"kind": "real_only"}),
        lambda: results(lambda t: 0.0 * t + np.where(t < 3, 1.0, np.nan)),
        lambda: results(lambda t: 1e300 * t),
        lambda: results(lambda t: t, regime={"kind": "replace", "synthetic_ratio": 1e308}),
        lambda: results(lambda t: t, regime={"kind": "replace", "synthetic_ratio": [1]}),
        lambda: results(lambda t: t, regime={"kind": "no-such", "synthetic_ratio": 1.0}),
        lambda: results(lambda t: t, generations=math.inf),
        lambda: results(lambda t: t, generations=10**9),
    ],
    ids=[
        "a law is there", "over a parameter", "no synthetic rows", "too few generations", "far beyond", "huge ratio",
        "a list for a ratio", "unknown regime", "endless", "a billion generations",
    ],
)  # fmt: skip
def test_nothing_is_added(given):
    before = given()
    after = with_estimates(before)
    for old, new in zip(before.runs, after.runs, strict=True):
        assert [law.label for law in new.forecasts if law.metric == "fid"] == [law.label for law in old.forecasts]
