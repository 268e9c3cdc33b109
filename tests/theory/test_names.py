"""The names that others script against."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

import ouroloop.theory

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


@pytest.mark.parametrize("name", NAMES)
def test_positional_arguments(name):
    module, function = name.split(".")
    found = inspect.signature(getattr(getattr(ouroloop.theory, module), function)).parameters
    wanted = NAMES[name].split(", ")
    assert list(found)[: len(wanted)] == wanted
    for parameter in list(found.values())[len(wanted) :]:
        assert parameter.default is not inspect.Parameter.empty


def test_modules_are_attributes_of_the_package():
    code = (
        "import ouroloop.theory as t; print(t.regression.risk('replace', 2, 100, 10, 1.0) > 0, hasattr(t, 'nonsense'))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
