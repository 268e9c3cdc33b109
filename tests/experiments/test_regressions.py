"""Regressions on labels of models, against regressions of every row."""

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.experiments.regressions import MixedRegression, RelabelledRegression
from ouroloop.keys import Key

REPLICAS = 1500


def agree(measured: np.ndarray, rows: np.ndarray) -> None:
    """Means of two independent sets of squared errors."""
    error = np.hypot(measured.std(), rows.std()) / np.sqrt(len(rows))
    assert abs(measured.mean() - rows.mean()) < 3 * error


def chain(e: RelabelledRegression, seed: int) -> np.ndarray:
    rng, truth = np.random.default_rng(seed), np.zeros(e.dimension)
    truth[0] = np.sqrt(e.signal)
    found = []
    for _ in range(REPLICAS):
        w = truth
        for _ in range(e.fakes):
            x = rng.standard_normal((e.n, e.dimension))
            w = np.linalg.lstsq(x, x @ w + np.sqrt(e.noise_variance) * rng.standard_normal(e.n), rcond=None)[0]
        x = rng.standard_normal((e.last_n, e.dimension))
        y = x @ w + np.sqrt(e.last_noise_variance) * rng.standard_normal(e.last_n)
        w = np.linalg.solve(x.T @ x + e.last_n * e.ridge * np.eye(e.dimension), x.T @ y)
        found.append(np.square(w - truth).sum())
    return np.array(found)


@pytest.mark.parametrize(
    "options",
    [
        {"fakes": 0, "ridge": 0.5},
        {"fakes": 3, "noise_variance": 0.5, "last_n": 40},
        {"fakes": 2, "ridge": 2.0, "last_n": 5, "signal": 3.0, "last_noise_variance": 2.0},
    ],
    ids=["real labels", "least squares", "ridge with fewer rows than coefficients"],
)
def test_relabelled_regressions_are_those_of_every_row(options):
    e = RelabelledRegression(n=20, dimension=8, **{"last_n": 20, **options})
    agree(np.square(e.errors(np.random.default_rng(1), REPLICAS)).sum(axis=1), chain(e, 2))


@pytest.mark.parametrize(("real", "synthetic"), [(30, 0), (0, 30), (12, 25), (5, 40)])
def test_mixed_regressions_are_those_of_every_row(real, synthetic):
    e = MixedRegression(n_real=real, n_synthetic=synthetic, dimension=6, distance=0.7, noise_variance=0.5)
    rng, other, found = np.random.default_rng(4), np.full(6, np.sqrt(0.7 / 6)), []
    for _ in range(REPLICAS):
        x = rng.standard_normal((real + synthetic, 6))
        y = np.concatenate([np.zeros(real), x[real:] @ other]) + np.sqrt(0.5) * rng.standard_normal(len(x))
        found.append(np.square(np.linalg.lstsq(x, y, rcond=None)[0]).sum())
    agree(np.square(e.errors(np.random.default_rng(1), REPLICAS)).sum(axis=1), np.array(found))


def test_a_seed_does_not_depend_on_the_others():
    e = RelabelledRegression(values=(0, 2), replicas=10)
    alone, both = e.run([Key(3)])["risk"], e.run([Key(1), Key(3)])["risk"]
    np.testing.assert_array_equal(alone[0], both[1])


def test_replicas_in_parts_are_all_counted(monkeypatch):
    monkeypatch.setattr("ouroloop.experiments.regressions._AT_ONCE", 36 * 7)
    e = MixedRegression(values=(0, 50), n_real=40, dimension=6, replicas=2000)
    np.testing.assert_allclose(e.run([Key(0)])["risk"][0], e.forecasts()[0].values, rtol=0.1)


def test_laws_are_exact_without_a_ridge_and_asymptotic_with_one():
    assert RelabelledRegression().forecasts()[0].validity == "exact"
    assert RelabelledRegression(ridge=1.0).forecasts()[0].validity == "asymptotic"
    over = RelabelledRegression(over="ridge", values=(0.0, 1.0)).forecasts()[0]
    assert over.validity == "asymptotic"
    assert over.label == "ridge regression"


@pytest.mark.parametrize(
    ("experiment", "match"),
    [
        (RelabelledRegression(values=(0, 1), n=11, dimension=10), "^n: must be at least 12"),
        (RelabelledRegression(values=(0, 1), last_n=11, dimension=10), "^last_n: must be at least 12 without a ridge"),
        (MixedRegression(values=(4, 100), n_real=7, dimension=10), "^n_real: must be at least 8 with 4 synthetic"),
    ],
)
def test_too_few_rows_for_a_finite_risk_are_refused(experiment, match):
    with pytest.raises(SpecError, match=match):
        experiment.run([Key(0)])


def test_as_few_rows_as_have_a_finite_risk_are_run():
    MixedRegression(values=(4, 100), n_real=8, dimension=10, replicas=2).run([Key(0)])
    RelabelledRegression(values=(0, 1), n=12, last_n=1, ridge=1.0, dimension=10, replicas=2).run([Key(0)])


def test_a_fraction_of_a_fake_generation_is_refused():
    with pytest.raises(SpecError, match="fakes must be a whole number"):
        _ = RelabelledRegression(values=(0.5, 1)).axis


def test_mixed_floor_and_rows():
    e = MixedRegression(values=(0, 100), n_real=100, real_per_synthetic=1.0, distance=2.0)
    law, floor = e.forecasts()
    assert law.values[0] == pytest.approx(20 / 79)  # 100 real rows, 20 coefficients, noise 1
    np.testing.assert_allclose(floor.values, [0.0, 2.0 * (100 / 300) ** 2])
