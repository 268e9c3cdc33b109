import numpy as np
import pytest

from ouroloop.theory.forecast_curated import curated_forecasts


def spec(kind, ratio=4.0, choices=4, generations=6):
    return {
        "regime": {"kind": kind, "synthetic_ratio": ratio},
        "corrector": {"kind": "curate", "choices": choices},
        "generations": generations,
    }


@pytest.mark.parametrize("kind", ["replace", "fixed_real"])
@pytest.mark.parametrize("choices", [2, 4])
def test_the_forecast_is_what_a_large_sampled_loop_does(kind, choices):
    """The loop itself, with 200,000 rows a generation and models that are the rows themselves."""
    rng, n = np.random.default_rng(0), 200_000
    real = -np.abs(rng.normal(size=n))
    found = {f.metric: f.values for f in curated_forecasts(spec(kind, 2.0 * choices, choices), real, -0.5)}
    pool = real
    for t in range(5):
        assert pool.mean() == pytest.approx(found["reward"][t], abs=0.006)
        assert (pool > -0.5).mean() == pytest.approx(found["liked_share"][t], abs=0.006)
        drawn = rng.choice(pool, size=(n, choices))
        kept = drawn[np.arange(n), (drawn + rng.gumbel(size=drawn.shape)).argmax(axis=1)]
        pool = kept if kind == "replace" else np.concatenate([real, kept, rng.choice(kept, size=n)])


def test_no_law_for_other_regimes_and_no_rows():
    assert curated_forecasts(spec("accumulate"), np.zeros(5), -1.0) == []
    assert curated_forecasts(spec("replace"), np.zeros(0), -1.0) == []


def test_a_few_liked_rows_among_many_are_not_averaged_away():
    rewards = np.random.default_rng(1).normal(-5.0, 1.0, size=5000)
    rewards[:2] = 5.0
    shares = next(
        f.values for f in curated_forecasts(spec("replace", generations=8), rewards, 4.9) if "share" in f.metric
    )
    assert shares[0] == pytest.approx(2 / 5000)
    assert shares[-1] > 0.9  # each generation multiplies them by nearly 4


def test_no_forecast_rather_than_an_error_or_a_wrong_one():
    far = np.array([-1e5, 0.0, 1.0])
    assert curated_forecasts(spec("replace"), far, 0.0) == []
    assert curated_forecasts(spec("replace"), np.array([-1e308, 1e308]), 0.0) == []
    guarded = spec("replace") | {"guards": {"min_real_share": 0.5}}
    assert curated_forecasts(guarded, far[1:], 0.0) == []
