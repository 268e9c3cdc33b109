"""The names that others script against, and what every argument of theirs may be."""

from __future__ import annotations

import datetime
import inspect
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ouroloop.theory
from ouroloop.errors import SpecError

NAMES = {
    "regression.risk": "regime, generation, n, dimension, noise_variance",
    "gaussian.variance": "regime, generation, n, unbiased",
    "stability.certificate": "synthetic_ratio, correction_strength, alpha, lipschitz, epsilon",
    "stability.spectral_radius": "synthetic_ratio, correction_strength, sampler_distortion",
    "verification.classifier_accuracy": "n_real, n_synthetic, dimension, signal, label_noise, "
    "keep_correct, keep_wrong, ridge, formula",
    "verification.p_star": "keep_correct, keep_wrong",
    "curation.step": "probabilities, rewards, choices",
    "curation.fixed_point": "reference, rewards, synthetic_ratio",
    "tv.bound": "regime, generation, n, constant, exponent, real_share",
    "survival.expected_support": "probabilities, n, generation",
}
OTHERS = {  # functions of the same kind, whose arguments are checked like those above
    "regression.relabelled_risk": "generation, n, dimension, noise_variance, last_n, last_noise_variance",
    "regression.relabelled_ridge_risk": "generation, n, dimension, noise_variance, last_n, last_noise_variance, "
    "ridge, signal",
    "regression.mixed_risk": "n_real, n_synthetic, dimension, noise_variance, distance",
    "curation.two_levels": "share, difference",
}
# of each argument that may be an array, three values; the first is used while others vary
VALUES = {
    "regression.risk": {
        "generation": [3, 0, 7],
        "n": [30, 12, 100],
        "dimension": [4, 1, 29],
        "noise_variance": [0.5, 0.0, 3.0],
        "synthetic_ratio": [1.0, 0.3, 20.0],
    },
    "gaussian.variance": {
        "generation": [4, 0, 150],
        "n": [9, 2, 50],
        "unbiased": [False, True, False],
        "synthetic_ratio": [1.0, 2.5, 40.0],
        "sampler_distortion": [1.0, 0.6, 1.4],
    },
    "stability.certificate": {
        "synthetic_ratio": [0.2, 0.0, 3.0],
        "correction_strength": [0.5, 0.0, math.inf],
        "alpha": [1.0, 0.1, 50.0],
        "lipschitz": [2.0, 0.0, 9.0],
        "epsilon": [0.3, 0.0, 1.1],
    },
    "stability.spectral_radius": {
        "synthetic_ratio": [0.2, 0.0, math.inf],
        "correction_strength": [0.5, 0.0, math.inf],
        "sampler_distortion": [1.0, 0.5, 4.0],
    },
    "verification.classifier_accuracy": {
        "n_real": [20, 0, 400],
        "n_synthetic": [50, 1, 900],
        "dimension": [30, 1, 200],
        "signal": [1.0, 0.0, 2.5],
        "label_noise": [0.2, 0.0, 1.0],
        "keep_correct": [0.8, 1.0, 0.1],
        "keep_wrong": [0.3, 1.0, 0.0],
        "ridge": [0.1, 3.0, 1e-3],
    },
    "verification.p_star": {"keep_correct": [0.8, 0.0, 1.0], "keep_wrong": [0.3, 1.0, 0.1]},
    "curation.step": {
        "probabilities": [[0.5, 0.3, 0.2], [0.0, 0.1, 0.9], [1.0, 0.0, 0.0]],
        "rewards": [[0.0, 1.0, -2.0], [3.0, 3.0, 3.0], [0.0, 400.0, 10.0]],
        "choices": [3, 1, math.inf],
    },
    "curation.fixed_point": {
        "reference": [[0.5, 0.3, 0.2], [0.0, 0.1, 0.9], [1.0, 0.0, 0.0]],
        "rewards": [[0.0, 1.0, -2.0], [3.0, 3.0, 3.0], [0.0, 400.0, 10.0]],
        "synthetic_ratio": [0.7, 0.0, math.inf],
        "choices": [3, 1, math.inf],
    },
    "tv.bound": {
        "generation": [3, 0, 12],
        "n": [100, 1, 7],
        "constant": [0.3, 0.0, 2.0],
        "exponent": [0.4, 0.0, 0.9],
        "real_share": [0.5, 0.0, 1.0],
    },
    "regression.relabelled_risk": {
        "generation": [3, 0, 7],
        "n": [30, 12, 100],
        "dimension": [4, 1, 29],
        "noise_variance": [0.5, 0.0, 3.0],
        "last_n": [40, 5, 900],
        "last_noise_variance": [0.2, 0.0, 1.5],
    },
    "regression.relabelled_ridge_risk": {
        "generation": [3, 0, 7],
        "n": [30, 12, 100],
        "dimension": [4, 1, 29],
        "noise_variance": [0.5, 0.0, 3.0],
        "last_n": [40, 5, 900],
        "last_noise_variance": [0.2, 0.0, 1.5],
        "ridge": [0.3, 0.0, math.inf],
        "signal": [1.0, 0.0, 4.0],
    },
    "regression.mixed_risk": {
        "n_real": [30, 0, 100],
        "n_synthetic": [20, 1, 70],
        "dimension": [4, 1, 29],
        "noise_variance": [0.5, 0.0, 3.0],
        "distance": [1.0, 0.0, 0.3],
    },
    "curation.two_levels": {"share": [0.3, 0.0, 1.0], "difference": [1.0, -400.0, 0.0]},
    "survival.expected_support": {
        "probabilities": [[0.5, 0.3, 0.2], [0.0, 0.1, 0.9], [1.0, 0.0, 0.0]],
        "n": [10, 1, 500],
        "generation": [3, 0, 40],
    },
}
OPTIONS = {  # what is chosen by name, one a call
    "regression.risk": [{"regime": r} for r in ("replace", "accumulate", "accumulate_subsample", "fixed_real")]
    + [{"regime": "fresh_real"}, {"regime": "replace", "inputs": "fresh"}, {"regime": "accumulate", "inputs": "fresh"}],
    "gaussian.variance": [
        {"regime": r} for r in ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real")
    ],
    "verification.classifier_accuracy": [{"formula": "corrected"}, {"formula": "published"}],
    "tv.bound": [{"regime": r} for r in ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real")],
}
VECTORS = {"probabilities", "rewards", "reference"}
EACH = [
    pytest.param(name, options, argument, id=f"{name}-{'-'.join(options.values())}-{argument}")
    for name, values in VALUES.items()
    for options in OPTIONS.get(name, [{}])
    for argument in values
]
ARGUMENTS = [pytest.param(name, argument, id=f"{name}-{argument}") for name in VALUES for argument in VALUES[name]]


def call(name, options, **arguments):
    """The function with the first value of everything else; the parts of a certificate as one array."""
    module, function = name.split(".")
    known = {argument: values[0] for argument, values in VALUES[name].items()} | OPTIONS.get(name, [{}])[0]
    found = getattr(getattr(ouroloop.theory, module), function)(**known | options | arguments)
    return np.stack([np.asarray(part, np.float64) for part in vars(found).values()], -1) if "cert" in name else found


def attempt(name, options, **arguments):
    """The same, or the error."""
    try:
        return call(name, options, **arguments)
    except SpecError as error:
        return error


@pytest.mark.parametrize("name", [*NAMES, *OTHERS])
def test_positional_arguments(name):
    module, function = name.split(".")
    found = inspect.signature(getattr(getattr(ouroloop.theory, module), function)).parameters
    wanted = (NAMES | OTHERS)[name].split(", ")
    assert list(found)[: len(wanted)] == wanted
    for parameter in list(found.values())[len(wanted) :]:
        assert parameter.default is not inspect.Parameter.empty
    assert set(found) == {*VALUES[name], *OPTIONS.get(name, [{}])[-1]}  # the tests below know every argument


def test_modules_are_attributes_of_the_package():
    code = (
        "import ouroloop.theory as t; print(t.regression.risk('replace', 2, 100, 10, 1.0) > 0, hasattr(t, 'nonsense'))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


@pytest.mark.parametrize(("name", "options", "argument"), EACH)
def test_an_array_of_an_argument_gives_what_a_loop_over_it_gives(name, options, argument):
    values = VALUES[name][argument]
    alone = [attempt(name, options, **{argument: value}) for value in values]
    errors = [found for found in alone if isinstance(found, SpecError)]
    if errors:  # a law that is known for one value alone
        assert all(str(error).startswith(f"{argument}: ") or "published" in str(error) for error in errors)
        assert isinstance(attempt(name, options, **{argument: values}), SpecError)
        return
    array, results = np.array(values), np.array(alone, np.float64)
    forms = {
        (3,): [values, tuple(values), array, array.astype(object)],
        (3, 1): [array[:, None]],
        (0,): [array[:0]],
        (): [values[0], array[0], np.asarray(array[0])],
    }
    for shape, given_ones in forms.items():
        expected = np.reshape(results[: int(np.prod(shape))], (*shape, *results.shape[1:]))
        for given_one in given_ones:
            found = call(name, options, **{argument: given_one})
            assert np.shape(found) == expected.shape
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "options", "argument"), EACH)
def test_two_arguments_broadcast(name, options, argument):
    """Against every other argument: (3, 1) and (3,) make (3, 3), whichever is which."""
    for other in VALUES[name]:
        if other == argument:
            continue
        first, second = np.array(VALUES[name][argument])[:, None], np.array(VALUES[name][other])
        alone = [[attempt(name, options, **{argument: a, other: b}) for b in second] for a in first[:, 0]]
        if any(isinstance(found, SpecError) for row in alone for found in row):
            assert isinstance(attempt(name, options, **{argument: first, other: second}), SpecError)
            continue
        found = call(name, options, **{argument: first, other: second})
        np.testing.assert_allclose(found, np.array(alone, np.float64), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_shapes_that_do_not_fit_are_named(name, argument):
    options = {"regime": "fixed_real"} if "regime" in OPTIONS.get(name, [{}])[0] else {}
    for other in VALUES[name]:
        if other != argument:
            two, three = np.array(VALUES[name][argument])[:2], np.array(VALUES[name][other])
            message = (
                rf"^(?=.*\b{argument}\b)(?=.*\b{other}\b)\w+: (leading )?shape \(\d,\) does not broadcast with \w+ \("
            )
            with pytest.raises(SpecError, match=message):
                call(name, options, **{argument: two, other: three})


MINUS = -1
NO_NUMBERS = [
    None, "", "1", "a lot", b"1", 1j, object(), {}, {1.0}, [[1], [1, 2]], [None], ["1"], math.nan, [1, math.nan], MINUS,
    -math.inf, 10**400, datetime.date(2020, 1, 1), np.datetime64("2020-01-01"), np.array(["1"]), np.array([1j]),
    np.array([None, 1]), max,
]  # fmt: skip
KINDS = [f"{type(value).__name__}-{place}" for place, value in enumerate(NO_NUMBERS)]  # no addresses in test names


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
@pytest.mark.parametrize("wrong", NO_NUMBERS, ids=KINDS)
def test_what_is_no_number_is_refused_by_name(name, argument, wrong):
    if argument == "difference" and wrong is MINUS:
        assert 0.0 < call(name, {}, difference=wrong) < 1.0  # of two rewards, which may be negative
        return
    with pytest.raises(SpecError, match=rf"^{argument}: "):
        call(name, {}, **{argument: wrong})


@pytest.mark.parametrize(
    ("name", "option"),
    [(name, option) for name, options in OPTIONS.items() for option in options[-1]],
)
@pytest.mark.parametrize(
    "wrong", [None, 1, "other", "", ["replace"], np.array(["replace", "accumulate"]), [[1], [1, 2]], math.nan], ids=repr
)
def test_an_option_is_one_of_its_names(name, option, wrong):
    with pytest.raises(SpecError, match=rf"^{option}: must be one of .*got") as caught:
        call(name, {}, **{option: wrong})
    assert ("call once for each" in str(caught.value)) == isinstance(wrong, list | np.ndarray)


@pytest.mark.parametrize("wrong", [[], 0.5, [[]], np.zeros((3, 0)), [0.5, 0.5], [0.5, 0.3, 0.1, 0.1], [-0.5, 0.5, 1.0]])
@pytest.mark.parametrize("name", [name for name in VALUES if VECTORS & set(VALUES[name])])
def test_what_is_no_distribution_is_refused(name, wrong):
    argument = next(iter(VALUES[name]))
    if name == "survival.expected_support" and np.shape(wrong) in [(2,), (4,)] and min(wrong) >= 0.0:
        assert call(name, {}, probabilities=wrong) > 0  # any number of categories
        return
    with pytest.raises(SpecError, match=rf"^({argument}|rewards): must "):
        call(name, {}, **{argument: wrong})


def test_numbers_of_other_types():
    half = call("stability.spectral_radius", {}, synthetic_ratio=1.0, correction_strength=0.0)
    for one in (1, np.int8(1), np.float32(1), Fraction(1), np.uint64(1), 2**70 / 2**70):
        assert call("stability.spectral_radius", {}, synthetic_ratio=one, correction_strength=0) == half
    assert call("tv.bound", {}, generation=10**30) == pytest.approx(1e30 * 0.3 * 100**-0.4)


NUMBERS = [0, 1, 2, 7, 100, 0.5, 1e-308, 5e-324, 1e-20, 1e15, 2**63, 10**30, 1e100, 1e155, 1e308, math.inf]
ROWS = [
    [0.0, 0.3, 0.7],
    [1.0, 0.0, 0.0],
    [1e-320, 0.5, 0.5],
    [0.0, 5e3, 1.0],
    [-1e308, 0.0, 1e308],
    [0.0, 0.0, -9999.0],
]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        pytest.param(name, options, id=f"{name}-{'-'.join(options.values())}")
        for name in VALUES
        for options in OPTIONS.get(name, [{}])
    ],
)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_extreme_arguments_give_a_number_or_a_clear_error(name, options, data):
    """Warnings are errors in these tests, so that nothing overflows by accident either."""
    extreme = {
        argument: st.sampled_from(
            ROWS if argument in VECTORS else [False, True] if argument == "unbiased" else [*NUMBERS, *values]
        )
        for argument, values in VALUES[name].items()
    }
    arguments = data.draw(st.fixed_dictionaries({}, optional=extreme))
    found = attempt(name, options, **arguments)
    if isinstance(found, SpecError):
        assert any(argument in str(found) for argument in [*VALUES[name], *options])
        return
    assert not np.isnan(found).any()
    assert np.min(found) >= (0.0 if "cert" not in name else -math.inf)
    if "curation" in name and name not in OTHERS:
        assert np.sum(found) == pytest.approx(1.0, abs=1e-8)
