"""Forecasts of Gaussian loops with a sampling bias, another covariance or a subset, against rows drawn here."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ouroloop.spec import Spec
from ouroloop.theory.forecast import Forecast, forecasts_for

N, GENERATED, HELD_OUT, GENERATIONS, REPLICAS = 30, 50, 80, 5, 2000


def laws(
    regime: str,
    bias: float,
    covariance: list[list[float]] | None = None,
    ratio: float = 1.0,
    corrector: dict[str, object] | str = "identity",
) -> dict[str, Forecast]:
    target = {} if covariance is None else {"covariance": covariance}
    spec = Spec.from_mapping(
        {
            "generations": GENERATIONS,
            "data": {"kind": "gaussian", "n": N, "held_out": HELD_OUT, **target},
            "generator": {"kind": "gaussian", "sampling_bias": bias},
            "regime": {"kind": regime, "synthetic_ratio": ratio},
            "corrector": corrector,
            "metrics": [
                "moments",
                {"kind": "gaussian_w2", "of": "model", "mean": [0, 0], "covariance": [[1, 0], [0, 1]]},
            ],
            "evaluation": {"n": GENERATED},
        }
    ).resolved()
    return {f"{f.metric}, {f.label}": f for f in reversed(forecasts_for(spec, N, 2))}


def measured(
    regime: str, bias: float, covariance: list[list[float]] | None = None, k: int = N, corrected: float = 0.0
) -> dict[str, np.ndarray]:
    """Mean error, trace ratio and log-determinant ratio of drawn rows, (REPLICAS, GENERATIONS + 1)."""
    rng, turn = np.random.default_rng(5), np.linalg.cholesky(np.array(covariance or np.eye(2))).T
    real = training = pool = rng.standard_normal((REPLICAS, N, 2)) @ turn
    found: dict[str, list[np.ndarray]] = {"mean_error": [], "trace_ratio": [], "logdet_ratio": []}
    for _ in range(GENERATIONS + 1):
        mean = training.mean(axis=1, keepdims=True)
        away = training - mean
        root = np.linalg.cholesky(np.einsum("rni,rnj->rij", away, away) / training.shape[1])
        shown, reference = _drawn(rng, mean, root, bias, GENERATED), rng.standard_normal((REPLICAS, HELD_OUT, 2)) @ turn
        (m, c), (real_m, real_c) = _moments(shown), _moments(reference)
        found["mean_error"].append(np.linalg.norm(m - real_m, axis=-1))
        found["trace_ratio"].append(np.trace(c, axis1=1, axis2=2) / np.trace(real_c, axis1=1, axis2=2))
        found["logdet_ratio"].append(np.linalg.slogdet(c)[1] - np.linalg.slogdet(real_c)[1])
        drawn = _drawn(rng, mean, root, bias, k)
        if corrected:
            chosen = rng.random((REPLICAS, k, 1)) < corrected
            drawn = np.where(chosen, rng.standard_normal(drawn.shape) @ turn, drawn)
        fresh = rng.standard_normal(real.shape) @ turn
        pool = np.concatenate([pool, drawn], axis=1)
        training = {
            "accumulate_subsample": np.take_along_axis(
                pool, rng.random(pool.shape[:2]).argsort(axis=1)[:, :N, None], axis=1
            ),
            "replace": drawn,
            "fixed_real": np.concatenate([real, drawn], axis=1),
            "fresh_real": np.concatenate([fresh, drawn], axis=1),
        }[regime]
    return {name: np.stack(values, axis=1) for name, values in found.items()}


def _drawn(rng: np.random.Generator, mean: np.ndarray, root: np.ndarray, bias: float, n: int) -> np.ndarray:
    return mean + math.sqrt(bias) * rng.standard_normal((REPLICAS, n, 2)) @ root.swapaxes(1, 2)


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = x.mean(axis=1)
    away = x - mean[:, None]
    return mean, np.einsum("rni,rnj->rij", away, away) / (x.shape[1] - 1)


TILTED = [[4.0, 0.6], [0.6, 0.5]]
CASES = [
    *((regime, bias, None) for regime in ("replace", "fixed_real", "fresh_real") for bias in (0.7, 0.9, 1.2)),
    ("accumulate_subsample", 1.0, None),
    ("accumulate_subsample", 1.0, TILTED),
    ("replace", 1.0, TILTED),
    ("fresh_real", 0.8, TILTED),
]


@pytest.mark.parametrize(("regime", "bias", "covariance"), CASES)
def test_moments_of_a_biased_or_tilted_loop(regime: str, bias: float, covariance: list[list[float]] | None) -> None:
    found, values = laws(regime, bias, covariance), measured(regime, bias, covariance)
    names = {"mean_error": "Gaussian loop", "trace_ratio": "Gaussian loop"}
    if regime == "replace":
        names["logdet_ratio"] = "Wishart product"
    for metric, label in names.items():
        law, got = found[f"{metric}, {label}"], values[metric]
        allowed = {"mean_error": 0.06, "trace_ratio": 0.015 if covariance else 0.0, "logdet_ratio": 0.0}[metric]
        assert law.validity == ("asymptotic" if metric == "mean_error" or allowed else "exact")
        assert law.error is None or (np.abs(law.error) <= allowed * law.values + 1e-12).all()
        error = 4 * got.std(axis=0) / math.sqrt(REPLICAS)
        np.testing.assert_array_less(np.abs(got.mean(axis=0) - law.values), allowed * np.abs(law.values) + error)


@pytest.mark.parametrize(
    ("ratio", "strength", "bias"),
    [(0.5, 0.0, 1.0), (2.0, 0.0, 1.0), (1.0, 1.0, 1.0), (0.5, 0.25, 1.2), (1.0, 0.0, 0.7)],
)
def test_a_draw_from_everything_at_any_ratio_with_ideal_correction(ratio: float, strength: float, bias: float) -> None:
    corrector = {"kind": "ideal", "correction_strength": strength}
    found = laws("accumulate_subsample", bias, ratio=ratio, corrector=corrector)
    values = measured("accumulate_subsample", bias, k=round(ratio * N), corrected=strength / (1 + strength))
    for metric, allowed in {"mean_error": 0.06, "trace_ratio": 0.0}.items():
        law, got = found[f"{metric}, Gaussian loop"], values[metric]
        error = 4 * got.std(axis=0) / math.sqrt(REPLICAS)
        np.testing.assert_array_less(np.abs(got.mean(axis=0) - law.values), allowed * np.abs(law.values) + error)


@pytest.mark.parametrize("rows", [1, 2, 100])
@pytest.mark.parametrize("bias", [1e-300, 1.0, 1e3, 1e150])
@pytest.mark.parametrize("ratio", [1e-9, 0.5, 1e6])
@pytest.mark.parametrize("strength", [0.0, 1.0, math.inf])
def test_extreme_draws_from_everything_are_forecast_without_nan(
    rows: int, bias: float, ratio: float, strength: float
) -> None:
    spec = Spec.from_mapping(
        {
            "generations": 100,
            "data": {"kind": "gaussian", "n": rows, "held_out": HELD_OUT},
            "generator": {"kind": "gaussian", "sampling_bias": bias},
            "regime": {"kind": "accumulate_subsample", "synthetic_ratio": ratio},
            "corrector": {"kind": "ideal", "correction_strength": strength},
            "metrics": ["moments"],
            "evaluation": {"n": GENERATED},
        }
    ).resolved()
    for forecast in forecasts_for(spec, rows, 2):
        assert (forecast.values >= 0.0).all(), forecast.metric


def test_a_biased_loop_is_not_given_the_laws_of_a_faithful_one() -> None:
    faithful, biased = laws("fixed_real", 1.0), laws("fixed_real", 1.2)
    assert set(faithful) - set(biased) == {
        "gaussian_w2, Gaussian loop, second order",
        "risk_multiplier, fixed real",
    }
    radius = "contraction_factor, spectral radius"
    assert biased[radius].values[1] == pytest.approx(1.2 * faithful[radius].values[1])
    assert laws("fixed_real", 0.5)[radius].values[1] == faithful[radius].values[1]  # that of the mean
    certificate = "contraction_factor, SCSC certificate"
    assert [laws("fixed_real", b)[certificate].validity for b in (0.8, 1.0, 1.2)] == [
        "sufficient bound",
        "sufficient bound",
        "heuristic",
    ]


def test_mixtures_and_other_generators_have_a_heuristic_multiplier() -> None:
    mapping = {"generations": 3, "data": {"kind": "gaussian", "n": 40}, "generator": "gaussian_mixture"}
    for regime, last in (("replace", 4.0), ("accumulate", 1 + 1 / 4 + 1 / 9 + 1 / 16), ("real_only", 1.0)):
        options = {} if regime == "real_only" else {"synthetic_ratio": 1.0}
        spec = Spec.from_mapping({**mapping, "regime": {"kind": regime, **options}}).resolved()
        (law,) = (f for f in forecasts_for(spec, 40, 2) if f.metric == "risk_multiplier")
        assert law.validity == "heuristic"
        assert law.values[-1] == pytest.approx(last)
