from __future__ import annotations

import math

import numpy as np
import pytest

from ouroloop.assemble import assemble
from ouroloop.datasets.loaded import LoadedDataset
from ouroloop.keys import Key
from ouroloop.samples import Samples
from ouroloop.spec import Spec
from ouroloop.theory.forecast_discrete import discrete_forecasts

GENERATIONS = 8


def resolved(**fields):
    mapping = {
        "generations": GENERATIONS,
        "data": {"kind": "text", "window": 10, "n": 60},
        "generator": {"kind": "ngram", "order": 1},
        "regime": "replace",
        "corrector": "identity",
        "evaluation": {"n": 60},
        "metrics": [{"kind": "token_variety", "runs": [], "floor_repeats": 1}],
    }
    return Spec.from_mapping({**mapping, **fields}).resolved()


def zipf_rows(n=60, window=10, decay=1.0, size=300):
    weights = np.arange(1.0, size + 1.0) ** -decay
    return np.random.default_rng(1).choice(size, (n, window), p=weights / weights.sum()).astype(np.int32)


@pytest.mark.parametrize(("decay", "uniform_share"), [(1.0, 1e-9), (0.0, 1e-5), (1.5, 1e-5), (1.0, 0.01)])
def test_the_law_is_what_the_loop_measures_within_its_stated_error(decay, uniform_share):
    """The loop itself, 40 seeds on the same rows: its standard error is 0.3 to 1 token."""
    x = zipf_rows(decay=decay)
    data = LoadedDataset(name="zipf", real=Samples.of(x), held_out=Samples.of(x[:5]))
    generator = {"kind": "ngram", "order": 1, "uniform_share": uniform_share, "vocabulary": 300}
    assembly = assemble(resolved(generator=generator), {"data": data})
    (law,) = [f for f in assembly.forecasts if f["metric"] == "vocabulary_used"]
    measured = np.empty((40, GENERATIONS + 1))
    for seed, track in enumerate(measured):
        state, info = assembly.step.start(Key(seed))
        track[0] = info.metrics["vocabulary_used"].value
        for t in range(1, GENERATIONS + 1):
            state, info = assembly.step(state, Key(seed))
            track[t] = info.metrics["vocabulary_used"].value
    noise = 4.0 * measured.std(axis=0, ddof=1) / math.sqrt(len(measured))
    apart = np.abs(measured.mean(axis=0) - law["values"])
    np.testing.assert_array_less(apart, noise + law["error"])
    if uniform_share < 1e-3:  # then it is far closer than it states, and every generation is at its place
        np.testing.assert_array_less(apart, noise + 0.03 * np.array(law["values"]))
        assert law["values"][0] - law["values"][1] > noise[0] + 0.03 * law["values"][0]


@pytest.mark.parametrize(
    "fields",
    [
        {"generator": {"kind": "ngram", "order": 1, "temperature": 0.5}},
        {"regime": "accumulate"},
        {"regime": {"kind": "replace", "synthetic_ratio": 2.0}},
        {"evaluation": {"n": 50}},
        {"metrics": ["cross_entropy"]},
        {"guards": {"min_real_share": 0.1}},
    ],
)
def test_no_law_where_its_conditions_do_not_hold(fields):
    assert discrete_forecasts(resolved(), zipf_rows())
    assert discrete_forecasts(resolved(**fields), zipf_rows()) == []


def test_contexts_make_it_a_heuristic():
    (alone,), (contexts,) = (
        discrete_forecasts(resolved(generator={"kind": "ngram", "order": order}), zipf_rows()) for order in (1, 2)
    )
    assert (alone.validity, contexts.validity) == ("asymptotic", "heuristic")
    assert alone.error is not None
    assert contexts.error is None  # so that no disagreement with it is flagged
    np.testing.assert_array_equal(alone.values, contexts.values)


def test_rows_that_are_no_tokens_and_rows_of_one_token():
    assert discrete_forecasts(resolved(), np.ones((60, 10))) == []
    assert discrete_forecasts(resolved(), np.ones((60, 10, 2), np.int32)) == []
    (law,) = discrete_forecasts(resolved(generator={"kind": "ngram", "order": 3}), zipf_rows(600, 1)[:60])
    assert law.values[0] <= len(np.unique(zipf_rows(600, 1)[:60]))
    (one,) = discrete_forecasts(resolved(), np.zeros((60, 10), np.int32))
    np.testing.assert_allclose(one.values, 1.0)
