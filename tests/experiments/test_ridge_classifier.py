"""The ridge classifier's simulation against one that draws every row, and against what must hold."""

import numpy as np
import pytest
from scipy.special import ndtr

from ouroloop.experiments.ridge_classifier import RidgeClassifier
from ouroloop.keys import Key


def row_by_row(e: RidgeClassifier, replicas: int, seed: int) -> np.ndarray:
    """The same experiment with rows, labels and verdicts drawn one by one."""
    rng, p = np.random.default_rng(seed), e.dimension
    real, synthetic = np.zeros(p), np.zeros(p)
    real[0] = synthetic[0] = e.signal
    synthetic[-1] += e.displacement
    found = []
    for _ in range(replicas):
        truth = np.sign(rng.standard_normal(e.n_real + e.n_synthetic))
        means = np.concatenate([np.tile(real, (e.n_real, 1)), np.tile(synthetic, (e.n_synthetic, 1))])
        x = truth[:, None] * means + rng.standard_normal((len(truth), p))
        made = np.arange(len(truth)) >= e.n_real
        wrong = made & (rng.random(len(truth)) < e.label_noise)
        kept = ~made | (rng.random(len(truth)) < np.where(wrong, e.keep_wrong, e.keep_correct))
        y = np.where(wrong, -truth, truth)
        n = len(truth)
        w = np.linalg.solve(x[kept].T @ x[kept] / n + e.ridge * np.eye(p), x[kept].T @ y[kept] / n)
        found.append(ndtr(w @ real / np.linalg.norm(w)))
    return np.array(found)


@pytest.mark.parametrize(
    "options",
    [
        {"n_real": 10, "n_synthetic": 30, "label_noise": 0.3, "keep_correct": 0.7, "keep_wrong": 0.2},
        {"n_real": 0, "n_synthetic": 6, "label_noise": 0.2, "keep_correct": 0.9, "keep_wrong": 0.5},
        {"n_real": 8, "n_synthetic": 40, "label_noise": 0.1, "displacement": 1.5},
    ],
    ids=["pruned", "fewer rows than features", "displaced"],
)
def test_sufficient_statistics_are_distributed_as_rows(options):
    e = RidgeClassifier(dimension=8, ridge=0.1, replicas=2000, **options)
    ours, theirs = e.accuracies(Key(1).rng()), row_by_row(e, 2000, seed=5)
    for statistic in (np.mean, np.std):
        spread = np.std([statistic(theirs[i::10]) for i in range(10)]) / np.sqrt(10)
        assert abs(statistic(ours) - statistic(theirs)) < 5 * np.sqrt(2) * spread


def test_without_rows_it_is_chance():
    e = RidgeClassifier(values=(0.5, 1.0), keep_correct=0.0, keep_wrong=1.0, n_synthetic=0)
    assert e.run([Key(0)])["accuracy"].tolist() == [[0.5, 0.5]]
    assert [np.isinf(law.values).all() for law in e.forecasts()] == [True, True]


def test_a_formula_without_a_value_leaves_a_gap():
    e = RidgeClassifier(
        over="n_synthetic",
        values=(600, 1200),
        dimension=500,
        label_noise=0.3,
        keep_correct=0.5,
        keep_wrong=0.0,
        ridge=0.01,
    )
    corrected, published = (law.values for law in e.forecasts())
    assert np.isfinite(corrected).all()
    assert np.isinf(published[0])
