"""Rates by counting, and accuracies by training classifiers."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import binom

from ouroloop.errors import SpecError
from ouroloop.theory import ridge_classifier, verification


def trained(n, m, mean, synthetic_mean, deviations, noise, correct, wrong, ridge, repeats, seed=0):
    """Accuracies on real rows of `repeats` classifiers, trained on rows drawn, flipped and verified one by one."""
    rng = np.random.default_rng([seed, n, m, len(mean)])
    found = []
    for _ in range(repeats):
        y, z = rng.choice([-1.0, 1.0], n), rng.choice([-1.0, 1.0], m)
        x = y[:, None] * mean + rng.standard_normal((n, len(mean)))
        s = z[:, None] * synthetic_mean + rng.standard_normal((m, len(mean))) * deviations
        flipped = rng.random(m) < noise
        kept = rng.random(m) < np.where(flipped, wrong, correct)
        rows, labels = np.concatenate([x, s[kept]]), np.concatenate([y, np.where(flipped, -z, z)[kept]])
        w = np.linalg.solve(rows.T @ rows / (n + m) + ridge * np.eye(len(mean)), rows.T @ labels / (n + m))
        found.append(ndtr(w @ mean / np.linalg.norm(w)))
    return np.array(found)


# n, m, p, signal, label noise, keep correct, keep wrong, ridge
CONFIGURATIONS = [
    (0, 200, 200, 1.0, 0.2, 0.8, 0.3, 0.1),
    (0, 150, 300, 2.0, 0.3, 1.0, 0.5, 0.5),
    (0, 300, 250, 1.0, 0.3, 0.5, 0.0, 0.01),
    (150, 300, 200, 1.0, 0.3, 0.6, 0.1, 0.1),
    (0, 600, 120, 1.5, 0.3, 0.9, 0.1, 1.0),
    (300, 0, 150, 1.0, 0.5, 1.0, 1.0, 0.3),
    (100, 600, 150, 1.2, 0.5, 0.1, 0.1, 0.05),
    (0, 800, 100, 1.0, 0.8, 0.8, 0.3, 1.0),
    (50, 1000, 100, 0.7, 0.4, 0.9, 0.4, 0.5),
    (200, 200, 200, 1.0, 0.1, 1.0, 1.0, 0.2),
    (20, 900, 150, 1.0, 0.05, 0.2, 0.02, 0.01),
    (0, 250, 250, 1.5, 0.0, 1.0, 1.0, 0.05),
    (0, 120, 120, 0.8, 0.1, 0.9, 0.2, 0.3),
    (0, 150, 100, 2.5, 0.4, 1.0, 0.6, 0.1),
    (60, 100, 100, 1.0, 0.2, 0.5, 0.5, 1.0),
    (120, 120, 100, 1.5, 0.3, 0.7, 0.2, 0.02),
    (0, 400, 100, 0.6, 0.2, 0.3, 0.1, 0.5),
    (30, 500, 110, 2.0, 0.6, 0.9, 0.3, 0.2),
    (200, 50, 120, 0.5, 0.0, 1.0, 1.0, 0.1),
    (0, 100, 140, 1.2, 0.15, 0.95, 0.4, 2.0),
    (80, 320, 100, 1.0, 0.35, 0.4, 0.15, 0.03),
    (0, 450, 130, 1.8, 0.5, 0.6, 0.3, 0.7),
    (100, 0, 100, 1.0, 0.0, 1.0, 1.0, 0.01),
    (10, 300, 100, 1.3, 0.25, 0.15, 0.05, 0.4),
]


@pytest.mark.parametrize("setting", CONFIGURATIONS)
def test_the_corrected_formula_is_within_half_a_point(setting):
    n, m, p, signal, noise, correct, wrong, ridge = setting
    mean = np.zeros(p)
    mean[0] = signal
    found = trained(n, m, mean, mean, 1.0, noise, correct, wrong, ridge, repeats=60)
    error = 3 * found.std() / math.sqrt(60)
    assert abs(found.mean() - verification.classifier_accuracy(*setting)) < 0.005 + error


@pytest.mark.parametrize("formula", ridge_classifier.FORMULAS)
@pytest.mark.parametrize("setting", CONFIGURATIONS[:2] + CONFIGURATIONS[3:10])
def test_the_general_formula_has_the_isotropic_one_as_its_special_case(setting, formula):
    n, m, p, signal, *rates = setting
    mean = np.full(p, signal / math.sqrt(p))
    general = ridge_classifier.accuracy(n, m, mean, mean, np.eye(p), *rates, formula)
    assert general == pytest.approx(verification.classifier_accuracy(*setting, formula=formula), abs=1e-9)


@pytest.mark.parametrize(("beta", "orthogonal", "smallest"), [(0.6, 0.8, 0.2), (1.0, 0.0, 0.0), (0.5, 0.5, 0.5)])
def test_another_mean_and_covariance(beta, orthogonal, smallest):
    """Smallest variance 0: a singular covariance."""
    p, n, m, rates = 150, 120, 240, (0.3, 0.6, 0.1, 0.1)
    mean, across = np.zeros(p), np.zeros(p)
    mean[0], across[1] = 1.0, orthogonal
    variances = np.linspace(smallest, 2.0, p)
    law = ridge_classifier.accuracy(n, m, mean, beta * mean + across, np.diag(variances), *rates)
    found = trained(n, m, mean, beta * mean + across, np.sqrt(variances), *rates, repeats=60)
    assert abs(found.mean() - law) < 0.005 + 3 * found.std() / math.sqrt(60)
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((p, p)))[0]
    turned = ridge_classifier.accuracy(
        n, m, turn @ mean, turn @ (beta * mean + across), turn @ np.diag(variances) @ turn.T, *rates
    )
    assert turned == pytest.approx(law, abs=1e-8)


def test_the_published_formula_and_its_fault():
    """Figures of the authors' routine, and those of simulations with standard errors of .001 to .002."""
    settings_ = [
        ((0, 500, 500, 1.0, 0.2, 0.8, 0.3, 0.1), 0.6087, 0.6432),
        ((0, 300, 900, 2.0, 0.3, 1.0, 0.5, 0.5), 0.7437, 0.7591),
        ((0, 100, 100, 1.0, 0.1, 0.8, 0.3, 1.0), 0.7106, 0.7147),
        ((300, 600, 400, 1.0, 0.3, 0.6, 0.1, 0.1), 0.6942, 0.7077),
        ((0, 1000, 200, 1.5, 0.3, 0.9, 0.1, 1.0), 0.9069, 0.9075),
    ]
    for arguments, published, simulated in settings_:
        found = verification.classifier_accuracy(*arguments, formula="published")
        assert found == pytest.approx(published, abs=6e-5)
        assert abs(verification.classifier_accuracy(*arguments) - simulated) < 0.002
    with pytest.raises(SpecError, match="published one has no value"):
        verification.classifier_accuracy(0, 600, 500, 1.0, 0.3, 0.5, 0.0, 0.01, formula="published")
    everything = (50, 200, 100, 1.0, 0.3, 1.0, 1.0, 0.1)  # without pruning they agree but for the labels' counts
    assert at_means(*everything) == pytest.approx(
        verification.classifier_accuracy(*everything, formula="published"), abs=1e-12
    )


def at_means(n, m, p, signal, noise, correct, wrong, ridge):
    """The corrected formula at the mean numbers of kept and of wrong rows."""
    kept = correct * (1 - noise) + wrong * noise
    sizes = (np.asarray(float(x)) for x in (n, m, p, signal, kept, wrong * noise, ridge))
    return float(ridge_classifier.isotropic(*sizes, published=False))


def counted(n, m, p, signal, noise, correct, wrong, ridge):
    """The mean over all counts of kept and of wrong rows, one by one."""
    kept = correct * (1 - noise) + wrong * noise
    total = 0.0
    for rows in range(m + 1):
        for bad in range(rows + 1):
            share = binom.pmf(rows, m, kept) * binom.pmf(bad, rows, wrong * noise / kept)
            if share > 1e-9 and n + rows:
                total += share * at_means(n, rows, p, signal, bad / max(rows, 1), 1, 1, ridge * (n + m) / (n + rows))
            elif share > 1e-9:
                total += share / 2
    return total


@pytest.mark.parametrize(
    "setting",
    [
        (0, 40, 20, 2.0, 0.3, 0.5, 0.2, 0.5),
        (0, 60, 30, 1.5, 0.2, 0.1, 0.1, 0.3),
        (10, 30, 15, 2.2, 0.6, 0.9, 0.1, 0.02),
        (0, 30, 10, 1.0, 0.4, 1.0, 1.0, 1.0),
    ],
)
def test_the_corrected_formula_is_the_mean_over_the_counts(setting):
    assert verification.classifier_accuracy(*setting) == pytest.approx(counted(*setting), abs=1e-3)
    assert abs(at_means(*setting) - counted(*setting)) > 1.5e-3 or setting[5] == 1.0


@pytest.mark.parametrize(
    ("setting", "simulated"),
    [
        ((0, 600, 100, 2.0, 0.3, 0.05, 0.05, 0.5), 0.7323),
        ((0, 400, 100, 3.0, 0.35, 0.05, 0.02, 0.3), 0.8962),
        ((20, 1000, 100, 2.0, 0.5, 0.02, 0.02, 1.0), 0.8314),
        ((0, 1000, 100, 2.2, 0.5, 0.05, 0.04, 1.0), 0.5984),
        ((0, 2000, 100, 2.0, 0.4, 0.02, 0.02, 2.0), 0.6627),
        ((0, 300, 100, 1.5, 0.2, 0.4, 0.1, 1e-3), 0.6312),
        ((0, 1120, 128, 2.33, 0.71, 0.11, 0.08, 2.419), 0.1700),
        ((0, 120, 134, 2.18, 0.03, 0.06, 0.2, 0.208), 0.7722),
    ],
)
def test_few_kept_rows(setting, simulated):
    """Where the formula at the means is off by .8 to 2.7 points; rows drawn, standard errors of .001 to .003."""
    assert abs(at_means(*setting) - simulated) > 0.007
    assert abs(verification.classifier_accuracy(*setting) - simulated) < 0.009


def test_the_fully_synthetic_closed_form():
    """The authors' formula for n = 0, written out, with all rows kept."""
    m, p, mu, eps, g = 300, 150, 1.3, 0.2, 0.4
    e, gain = p / m, 1 - 2 * eps
    d = (e - 1 - g + math.sqrt((1 + g - e) ** 2 + 4 * e * g)) / (2 * g)
    big = 1 + g * (1 + d)
    h, mean = 1 - e / big**2, gain * mu**2 / (mu**2 + big)
    bracket = (mu**2 + 1) / (mu**2 + big) - 2 * (1 - h)
    second = (gain * mu) ** 2 / (h * (mu**2 + big)) * bracket + (1 - h) / h
    expected = ndtr(mean / math.sqrt(second - mean**2))
    assert at_means(0, m, p, mu, eps, 1.0, 1.0, g) == pytest.approx(expected, abs=1e-10)


def test_the_phase_transition():
    """Accuracy is 1/2 at p*, and becomes a step as p/m falls: Phi(mu) below, 1 - Phi(mu) above."""
    critical = verification.p_star(0.8, 0.3)
    m = np.array([1e2, 1e3, 1e5, 1e7])
    assert verification.classifier_accuracy(0, m, 100, 1.0, critical, 0.8, 0.3, 1.0) == pytest.approx(0.5, abs=1e-7)
    below = verification.classifier_accuracy(0, m, 100, 1.0, 0.72, 0.8, 0.3, 1.0)
    np.testing.assert_allclose(below, [0.504, 0.512, 0.609, 0.828], atol=6e-4)
    assert verification.classifier_accuracy(0, 1e12, 100, 1.0, 0.6, 0.8, 0.3, 1.0) == pytest.approx(ndtr(1.0), abs=1e-4)
    assert verification.classifier_accuracy(0, 1e12, 100, 1.0, 0.9, 0.8, 0.3, 1.0) == pytest.approx(ndtr(-1), abs=1e-4)


def test_how_much_synthetic_data():
    help_, hurt = (300, 100, 1.0, 0.1, 1.0, 0.1, 0.5), (300, 100, 1.0, 0.9, 0.6, 0.5, 0.5)
    assert verification.optimal_synthetic_size(*help_, largest=5000) == 5000
    assert verification.optimal_synthetic_size(*hurt, largest=5000) == 0
    arguments = (300, 100, 1.0, 0.75, 0.8, 0.3, 0.01)
    best = verification.optimal_synthetic_size(*arguments, largest=2000)
    curve = verification.classifier_accuracy(arguments[0], np.arange(2001), *arguments[1:])
    assert curve[best] == pytest.approx(curve.max(), abs=1e-12)


@pytest.mark.parametrize("a", [-0.3, 0.2, 0.5, 0.8])
@pytest.mark.parametrize("b", [-0.2, 0.0, 0.4, 0.7, 0.9])
def test_rates_of_angles(agrees, a, b):
    c = a * b + 0.5 * math.sqrt((1 - a**2) * (1 - b**2))
    law = verification.rates_of_angles(a, b, c)
    root = np.linalg.cholesky([[1, a, b], [a, 1, c], [b, c, 1]])

    def count(seed):
        rng = np.random.default_rng([seed, int(100 + 100 * a), int(100 + 100 * b)])
        truth, label, verdict = np.sign(rng.standard_normal((40_000, 3)) @ root.T).T
        return label == truth, label == verdict

    agrees(lambda seed: ~count(seed)[0], law.label_noise)
    agrees(lambda seed: count(seed)[1], law.kept)
    agrees(lambda seed: count(seed)[1][count(seed)[0]], law.keep_correct)
    agrees(lambda seed: count(seed)[1][~count(seed)[0]], law.keep_wrong)
    agrees(lambda seed: count(seed)[0][count(seed)[1]], law.purity)
    assert (law.purity > 0.5) == (a + b > 0)
    assert law.purity == pytest.approx(verification.purity(law.label_noise, law.keep_correct, law.keep_wrong))
    assert law.kept == pytest.approx(verification.kept_share(law.label_noise, law.keep_correct, law.keep_wrong))


def test_verifiers_at_the_ends():
    oracle = verification.rates_of_angles(0.7, 1.0, 0.7)
    assert (oracle.keep_correct, oracle.keep_wrong, oracle.p_star, oracle.purity) == pytest.approx((1, 0, 1, 1))
    itself = verification.rates_of_angles(0.7, 0.7, 1.0)
    assert (itself.keep_correct, itself.keep_wrong, itself.p_star) == pytest.approx((1, 1, 0.5))


RATE = st.sampled_from([0.0, 1e-9, 0.01, 0.5, 0.99, 1.0])


@settings(max_examples=250, deadline=None)
@given(
    n=st.sampled_from([0, 1, 10, 1000, 10**9]),
    m=st.sampled_from([0, 1, 100, 101, 10**4, 10**9]),
    p=st.sampled_from([1, 10, 100, 10**5]),
    signal=st.sampled_from([0.0, 1e-6, 1.0, 30.0]),
    noise=RATE,
    correct=RATE,
    wrong=RATE,
    ridge=st.sampled_from([0.0, 1e-9, 0.1, 1.0, 1e6]),
    formula=st.sampled_from(ridge_classifier.FORMULAS),
)
def test_an_accuracy_or_a_clear_error(n, m, p, signal, noise, correct, wrong, ridge, formula):
    kept = n + m * verification.kept_share(noise, correct, wrong)
    may_refuse = kept == 0 or (ridge == 0 and kept <= p) or formula == "published" or ridge < 1e-6
    with contextlib.suppress(SpecError) if may_refuse else contextlib.nullcontext():
        found = verification.classifier_accuracy(n, m, p, signal, noise, correct, wrong, ridge, formula)
        check_accuracy(found, signal)


@pytest.mark.parametrize("ridge", [1e-100, 1e-30, 1e30, 1e100])
@pytest.mark.parametrize("signal", [1e-100, 1.0, 1e100])
def test_huge_and_tiny_arguments_give_an_accuracy_or_a_clear_error(ridge, signal):
    for n, m, p in ((10, 20, 100), (0, 20, 100), (50, 50, 100), (1000, 1000, 10)):
        with contextlib.suppress(SpecError):
            check_accuracy(verification.classifier_accuracy(n, m, p, signal, 0.1, 0.8, 0.3, ridge), signal)


@pytest.mark.parametrize(
    ("change", "name"),
    [({"ridge": 1e-200}, "ridge"), ({"ridge": 1e155}, "ridge"), ({"signal": 1e155}, "signal"),
     ({"dimension": 1e160}, "dimension")],
)  # fmt: skip
@pytest.mark.parametrize("formula", ridge_classifier.FORMULAS)
def test_arguments_whose_squares_leave_floating_point_are_refused(change, name, formula):
    known = {"dimension": 100, "signal": 1.0, "ridge": 1.0}
    with pytest.raises(SpecError, match=rf"^{name}: "):
        verification.classifier_accuracy(
            10, 20, label_noise=0.1, keep_correct=0.8, keep_wrong=0.3, formula=formula, **known | change
        )


def check_accuracy(found, signal):
    assert 0.0 <= found <= 1.0
    assert found <= ndtr(signal) + 1e-6
    if signal == 0.0:
        assert found == pytest.approx(0.5)


@given(correct=st.floats(0, 1), wrong=st.floats(0, 1), noise=st.floats(0, 1))
def test_purity_exceeds_a_half_below_p_star(correct, wrong, noise):
    if correct + wrong == 0:
        with pytest.raises(SpecError, match="keeps nothing"):
            verification.p_star(correct, wrong)
        return
    critical = verification.p_star(correct, wrong)
    assert 0 <= critical <= 1
    if verification.kept_share(noise, correct, wrong) > 1e-12 and abs(noise - critical) > 1e-9:
        assert (verification.purity(noise, correct, wrong) > 0.5) == (noise < critical)


def test_arrays_broadcast():
    found = verification.classifier_accuracy(0, [[100], [200]], 50, 1.0, [0.1, 0.2, 0.3], 0.9, 0.1, 0.5)
    assert found.shape == (2, 3)
    assert found[1, 2] == verification.classifier_accuracy(0, 200, 50, 1.0, 0.3, 0.9, 0.1, 0.5)
    published = verification.classifier_accuracy(10, [[100], [200]], 50, 1.0, 0.1, [0.9, 0.5], 0.1, 0.5, "published")
    assert published[1, 1] == pytest.approx(
        verification.classifier_accuracy(10, 200, 50, 1.0, 0.1, 0.5, 0.1, 0.5, "published"), abs=1e-12
    )
    assert verification.p_star([1.0, 0.5], 0.5).tolist() == [2 / 3, 0.5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: verification.p_star(0.0, 0.0), "must not both be 0"),
        (lambda: verification.p_star(1.1, 0.0), "keep_correct"),
        (lambda: verification.purity(1.0, 1.0, 0.0), "keeps nothing"),
        (lambda: verification.rates_of_angles(1.0, 0.5, 0.5), "cos_generator"),
        (lambda: verification.rates_of_angles(0.9, 0.9, -0.9), "no three directions"),
        (lambda: verification.rates_of_angles(0.5, -0.5, -1.0), "never agree"),
        (lambda: verification.classifier_accuracy(0, 10, 5, 1.0, 0.1, 0.0, 0.0, 1.0), "no row is left"),
        (lambda: verification.classifier_accuracy(0, 10, 5, 1.0, 0.1, 0.2, 0.1, 0.0), "ridge"),
        (lambda: verification.classifier_accuracy(0, 10, 5, 1.0, 0.1, 1.0, 1.0, 1.0, "mine"), "formula: must be one"),
        (lambda: verification.classifier_accuracy(-1, 10, 5, 1.0, 0.1, 1.0, 1.0, 1.0), "n_real"),
        (lambda: verification.classifier_accuracy(1, 10, 5, 1.0, math.nan, 1.0, 1.0, 1.0), "label_noise"),
        (lambda: verification.optimal_synthetic_size(10, 5, 1.0, 0.1, 1.0, 1.0, 1.0, largest=0), "largest"),
        (lambda: ridge_classifier.accuracy(5, 5, [1, 0], [1, 0, 0], np.eye(2), 0, 1, 1, 1), "synthetic_covariance"),
        (lambda: ridge_classifier.accuracy(5, 5, [1, 0], [1, 0], -np.eye(2), 0, 1, 1, 1), "positive semi-definite"),
        (lambda: ridge_classifier.accuracy(5, 5, [1, 0], [1, np.nan], np.eye(2), 0, 1, 1, 1), "finite"),
        (lambda: ridge_classifier.accuracy(0, 5, [1, 0], [1, 0], np.eye(2), 0, 0, 0, 1), "no row is left"),
        (lambda: ridge_classifier.accuracy(5, 5, [1, 0], [1, 0], np.eye(2), 0, 1, 1, 0), "ridge"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(SpecError, match=message):
        call()
