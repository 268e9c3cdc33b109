"""Images: nothing of the test part reaches training, curves do not depend on their other points, and the formula."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ouroloop.errors import DataError, SpecError
from ouroloop.experiments import image_classifier
from ouroloop.experiments.image_classifier import ImageClassifier
from ouroloop.experiments.images import Images, factor_of, load_images, whitening
from ouroloop.keys import Key
from ouroloop.study import Study

MNIST = Path(__file__).parents[2].parent / "shared" / "data" / "mnist"
SMALL = ImageClassifier(values=(0, 5, 40), n_real=20)


def test_a_curve_is_the_ridge_solution_at_each_of_its_points():
    """Against least squares on the rows themselves, a penalty as further rows."""
    e, key = replace(SMALL, classes=(1, 4, 7), label_noise=0.3, keep_wrong=0.5, keep_correct=0.8), Key(3)
    images = e.images()
    by_class = [np.flatnonzero(images.label == c) for c in range(3)]
    known = [factor_of(images.train[rows]) for rows in by_class]
    curve = e._curve(images, by_class, known, key)
    rng = key.child("rows").rng()
    order = [rng.permutation(rows) for rows in by_class]
    added, given, kept = e._added(images, order, known, key)
    real = np.concatenate([images.train[rows[:20]] for rows in order])
    for point, m in enumerate(e.values):
        x = np.concatenate([real, added[:m][kept[:m]]]) - real.mean(axis=0)
        y = np.concatenate([np.repeat([0, 1, 2], 20), given[:m][kept[:m]]])
        x = np.column_stack([x, np.ones(len(x))])
        target = np.where(y[:, None] == np.arange(3), 1.0, -0.5)
        penalty = np.sqrt(e.ridge * 3 * (20 + m)) * np.eye(x.shape[1])
        w = np.linalg.lstsq(np.concatenate([x, penalty]), np.concatenate([target, np.zeros((65, 3))]), rcond=None)[0]
        test = np.column_stack([images.test - real.mean(axis=0), np.ones(len(images.test))])
        expected = np.mean(np.argmax(test @ w, axis=1) == images.test_label)
        assert curve[point] == pytest.approx(expected, abs=1.5 / len(test))


@pytest.mark.parametrize("option", [{}, {"statistics": 10}, {"components": 12}, {"source": "real"}])
def test_test_images_influence_nothing_but_the_score(option, monkeypatch):
    e, seen = replace(SMALL, **option), []
    images = load_images("digits", None, None)
    scrambled = images._replace(test=1.0 - images.test[:, ::-1])
    solve = np.linalg.solve
    for table in (images, scrambled):
        monkeypatch.setattr(image_classifier, "load_images", lambda *_, table=table: table)
        monkeypatch.setattr(np.linalg, "solve", lambda a, b: seen.append(solve(a, b)) or seen[-1])
        seen.append(e.run([Key(0)])["accuracy"])
    half = len(seen) // 2
    for first, second in zip(seen[: half - 1], seen[half:-1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert (seen[half - 1] != seen[-1]).any()


def test_the_held_out_images_are_not_among_the_training_ones():
    images = load_images("digits", None, None)
    assert len(images.train) == 1347
    assert len(images.test) == 450
    same = (images.train[:, None, :] == images.test[None, :, :]).all(axis=2)
    assert not same.any()


def test_the_generator_sees_other_images_than_the_classifier_unless_told(monkeypatch):
    seen = []
    real = factor_of
    monkeypatch.setattr(image_classifier, "factor_of", lambda x: seen.append(x) or real(x))
    for same in (False, True):
        e = replace(SMALL, statistics=20, same_rows=same)
        images = e.images()
        e.run([Key(0)])
        rng = Key(0).child("draw", 0, "rows").rng()
        order = [rng.permutation(np.flatnonzero(images.label == c)) for c in range(10)]
        for rows, used in zip(order, seen[-10:], strict=True):
            np.testing.assert_array_equal(used, images.train[rows[:20] if same else rows[20:40]])


def test_a_point_does_not_depend_on_those_after_it_where_all_is_kept():
    long = replace(SMALL, source="real").run([Key(1)])["accuracy"]
    short = replace(SMALL, source="real", values=(0, 5)).run([Key(1)])["accuracy"]
    np.testing.assert_array_equal(long[:, :2], short)


def test_a_key_does_not_depend_on_the_others():
    both = SMALL.run([Key(0), Key(5)])["accuracy"]
    np.testing.assert_array_equal(both[1:], SMALL.run([Key(5)])["accuracy"])


def test_nothing_kept_is_nothing_added():
    """But for the ridge, whose weight is over the rows before the verifier."""
    e = replace(SMALL, keep_correct=0.0, keep_wrong=0.0, ridge=1e-3)
    curve = e.run([Key(0)])["accuracy"][0]
    weaker = replace(e, ridge=1e-3 * (20 + 40) / 20).run([Key(0)])["accuracy"][0]
    assert curve[-1] == weaker[0]


def test_whitened_rows_have_the_identity_as_covariance_within_classes():
    images = whitening(load_images("digits", None, (3, 8)), 15)
    means = np.stack([images.train[images.label == c].mean(axis=0) for c in range(2)])
    within = images.train - means[images.label]
    np.testing.assert_allclose(within.T @ within / (len(within) - 2), np.eye(15), atol=1e-4)
    np.testing.assert_allclose(means.sum(axis=0), 0.0, atol=1e-5)


@pytest.mark.parametrize("n", [6, 40])
def test_a_factor_has_mean_and_covariance_of_its_rows(n):
    x = np.random.default_rng(n).standard_normal((n, 9)).astype(np.float32) @ np.diag(np.arange(9.0, dtype=np.float32))
    found = factor_of(x)
    np.testing.assert_allclose(found.factor.T @ found.factor, np.cov(x, rowvar=False), atol=1e-4)
    drawn = found.sample(np.random.default_rng(1), 20_000)
    np.testing.assert_allclose(drawn.mean(axis=0), x.mean(axis=0), atol=0.3)
    plain = found.sample(np.random.default_rng(1), 20_000, spread=False)
    np.testing.assert_allclose(np.cov(plain, rowvar=False), np.eye(9), atol=0.06)


def test_gaussian_images_are_classified_as_theory_says(monkeypatch):
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 24_000)
    x = (rng.standard_normal((24_000, 30)) + 0.9 * (2.0 * label[:, None] - 1.0) * np.eye(30)[0]).astype(np.float32)
    parts = (x[:16_000], label[:16_000], x[16_000:], label[16_000:])
    monkeypatch.setattr(image_classifier, "load_images", lambda *_: Images(*parts))
    options = {"label_noise": 0.3, "keep_correct": 0.9, "keep_wrong": 0.5, "components": 30}
    e = ImageClassifier(values=(0, 30, 300), classes=(0, 1), n_real=40, replicas=10, **options)
    measured = e.run([Key(s) for s in range(4)])["accuracy"].mean(axis=0)
    np.testing.assert_allclose(measured, e.forecasts()[0].values, atol=0.015)


@pytest.mark.parametrize(
    "option", [{}, {"components": 10}, {"classes": (3, 8)}, {"classes": (3, 8), "components": 10, "source": "real"}]
)
def test_there_is_no_forecast_where_the_formula_does_not_apply(option):
    assert not replace(SMALL, **option).forecasts()


@pytest.mark.parametrize(
    ("option", "match"),
    [
        ({"classes": (3, 3)}, "two or more different"),
        ({"classes": (3,)}, "two or more different"),
        ({"classes": (3, 12)}, "got .3, 12."),
        ({"statistics": 1}, "2 and more"),
        ({"statistics": 500}, "520 training images"),
        ({"source": "real", "values": (0, 900)}, "920 training images"),
        ({"n_real": 1000}, "1000 training images"),
        ({"components": 64}, "64 asked for"),
    ],
)
def test_what_the_images_cannot_give_is_said(option, match):
    with pytest.raises(DataError, match=match):
        replace(SMALL, **option).run([Key(0)])


@pytest.mark.parametrize("values", [(0,), (5, 0), (0, 0)])
def test_values_that_make_no_axis_are_refused(values):
    with pytest.raises(SpecError, match="n_synthetic needs"):
        _ = replace(SMALL, values=values).axis


@pytest.mark.skipif(not MNIST.exists(), reason="no MNIST files in ../shared/data/mnist")
def test_mnist_pairs_follow_the_formula():
    study = Study.read("rmt-mnist-pair", overrides=[f"experiment.path={MNIST}", "experiment.values=[0, 50]"])
    e = study.spec(next(arm for arm in study.arms if arm.name == "oracle"), 0).build()
    images = e.images()
    assert images.train.shape == (11_982, 100)
    assert len(images.test) == 1_984
    measured = replace(e, replicas=2).run([Key(s) for s in range(4)])["accuracy"].mean(axis=0)
    np.testing.assert_allclose(measured, e.forecasts()[0].values, atol=0.03)
