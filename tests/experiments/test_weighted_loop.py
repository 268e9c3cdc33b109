"""The weighted loop against one that draws every row."""

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.experiments.weighted_loop import WeightedLoop
from ouroloop.keys import Key


def row_by_row(e: WeightedLoop, weight: float, replicas: int, seed: int) -> np.ndarray:
    """Squared errors of the last mean, rows drawn one by one with a full covariance, float64 (replicas,)."""
    rng, d = np.random.default_rng(seed), e.dimension

    def fitted(x):
        away = x - x.mean(axis=1, keepdims=True)
        return x.mean(axis=1), np.einsum("rni,rnj->rij", away, away) / (x.shape[1] - 1)

    mean, covariance = fitted(rng.standard_normal((replicas, e.n, d)))
    for _ in range(e.generations):
        real_mean, real_covariance = fitted(rng.standard_normal((replicas, e.n, d)))
        drawn = rng.standard_normal((replicas, round(e.synthetic_ratio * e.n), d))
        root = np.linalg.cholesky(covariance).swapaxes(1, 2)
        own_mean, own_covariance = fitted(mean[:, None] + drawn @ root)
        mean = weight * real_mean + (1 - weight) * own_mean
        covariance = weight * real_covariance + (1 - weight) * own_covariance
    return np.square(mean).sum(axis=1)


@pytest.mark.parametrize("ratio", [0.5, 2.0])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_simulation_and_law_agree_with_rows_drawn_one_by_one(ratio, place):
    values = (0.2, 0.6, 1.0)
    e = WeightedLoop(values=values, synthetic_ratio=ratio, n=12, dimension=2, generations=4, replicas=6000)
    rows = row_by_row(e, values[place], 6000, seed=3)
    error = rows.std() / np.sqrt(len(rows))
    assert e.run([Key(1)])["mean_squared_error"][0, place] == pytest.approx(rows.mean(), abs=3 * 1.5 * error)
    assert e.forecasts()[0].values[place] == pytest.approx(rows.mean(), abs=3 * error)


def test_the_risk_is_a_multiple_of_real_data_alone():
    e = WeightedLoop(values=(0.5, 1.0), n=30, dimension=3, replicas=20_000, generations=3)
    found = e.run([Key(0)])
    assert found["risk"][0, 1] == pytest.approx(1.0, abs=0.03)
    np.testing.assert_allclose(found["mean_squared_error"] * 10, found["risk"])


def test_more_real_rows_in_place_of_synthetic_ones():
    e = WeightedLoop(values=(0.2, 0.75, 1.0), synthetic_ratio=1 / 3, n=30, drawn_from="real", replicas=20_000)
    expected = [0.2**2 + 3 * 0.8**2, 0.75**2 + 3 * 0.25**2, 1.0]  # least, 3/4, where all rows weigh the same
    np.testing.assert_allclose(e.forecasts()[1].values, expected)
    np.testing.assert_allclose(e.run([Key(2)])["risk"][0], expected, rtol=0.03)


@pytest.mark.parametrize("ratio", [0.2, 1.0, 7.0])
def test_the_law_is_least_at_the_golden_weight(ratio):
    from ouroloop.theory.risk import golden_weight

    best = golden_weight(ratio)
    e = WeightedLoop(values=(0.9 * best, best, min(1.1 * best, 1.0)), synthetic_ratio=ratio, generations=500)
    assert np.argmin(e.forecasts()[1].values) == 1


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"synthetic_ratio": 0.01}, "synthetic_ratio: must make 2 rows"),
        ({"values": (0.5, 1.5)}, "real_weight must be <= 1"),
        ({"values": (0.5,)}, "at least 2"),
    ],
)
def test_what_makes_no_loop_is_named(options, match):
    with pytest.raises(SpecError, match=match):
        _ = WeightedLoop(**options).axis
