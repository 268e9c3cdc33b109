"""Forecasts of a Gaussian model of Gaussian data: W2, moments and the determinant, with any number of rows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ouroloop.theory import gaussian, rows
from ouroloop.theory.forecast import Forecast, SpecLoop, corrects_nothing, guarded
from ouroloop.theory.gaussian_rows import subsample_moments
from ouroloop.theory.rows import Plan
from ouroloop.theory.wasserstein import wasserstein

__all__ = ["gaussian_forecasts"]

_DERIVED = "derived in docs/theory.md"
_KAZDAN = "Kazdan et al., arXiv 2410.16713 (replace, accumulate); " + _DERIVED
_MAD = "Alemohammad et al., arXiv 2307.01850 (sampling bias, many rows); " + _DERIVED


def gaussian_forecasts(loop: SpecLoop) -> Iterator[Forecast]:
    """Every law of a Gaussian loop that applies."""
    if not loop.is_gaussian or loop.strength is None:
        return
    if loop.rows is not None and (loop.rows.rows > loop.ddof).all():
        yield from _distance(loop, loop.rows, loop.strength)
    yield from _sampled_moments(loop, loop.strength)
    if loop.regime == "replace" and loop.strength == 0.0 and loop.rows is not None:
        yield from _log_determinant(loop)


def _distance(loop: SpecLoop, rows: Plan, strength: float) -> Iterator[Forecast]:
    """Forecast of 'gaussian_w2' where it compares the model itself with the true target."""
    target = loop.target
    if target is None or target[1] <= 0 or loop.ddof or loop.stretch != 1.0:
        return
    mean, variance = target
    for metric in loop.spec["metrics"]:
        known = metric.get("mean") is not None and metric.get("covariance") is not None
        if metric.get("kind") != "gaussian_w2" or metric.get("of") != "model" or not known:
            continue
        if not (
            np.array_equal(metric["mean"], mean) and np.array_equal(metric["covariance"], variance * np.eye(loop.dim))
        ):
            continue
        ridge = float(loop.spec["generator"].get("regularisation", 0.0)) / variance
        values = math.sqrt(variance) * wasserstein(rows, strength, loop.dim, ridge=ridge).distance
        yield Forecast(
            metric="gaussian_w2",
            label="Gaussian loop, second order",
            source=_DERIVED,
            validity="asymptotic",
            note="mean part exact; covariance part to second order in 1/n",
            units="units of the data",
            values=values,
            error=_measured_error(loop, rows, values, 0.04),
        )


def _measured_error(loop: SpecLoop, rows: Plan, values: np.ndarray, share: float) -> np.ndarray | None:
    """Stated error of a law in 1/n: a share of the values, measured for 20 rows and 10 a dimension or more.

    Regime replace drifts: the share grows by 5 % every k generations of k rows, and after 2 k of them nothing is said.
    """
    k = int(rows.counts.max()) if loop.generations and loop.regime != "real_only" else loop.n_real
    if min(loop.n_real, k) < max(20, 10 * loop.dim) or loop.stretch > 1.0:  # that one was measured up to 1
        return None
    drift = np.arange(len(values)) / k if loop.regime == "replace" else np.zeros(len(values))
    return np.where(drift <= 2.0, (share + 0.05 * drift) * values, np.inf)


def _elsewhere(loop: SpecLoop, rows: int) -> bool:
    """Whether the metric `moments` measures in a space of its own, or on fewer rows than these."""
    found = [metric for metric in loop.spec["metrics"] if metric.get("kind") == "moments"]
    return any(m.get("features", "identity") != "identity" or m.get("max_rows", rows) < rows for m in found)


def _law(loop: SpecLoop, strength: float, ridge: float) -> gaussian.Moments | None:
    """Moments of the fitted models, or None where no law is known."""
    if loop.rows is not None:
        if (loop.rows.rows <= loop.ddof).any():
            return None
        options = {"sampler_distortion": loop.stretch, "ridge": ridge, "ddof": loop.ddof}
        return gaussian.moments(loop.rows, strength, **options)
    regime, plain = loop.spec["regime"], loop.stretch == 1.0 and corrects_nothing(loop.spec)
    whole = regime.get("window") is None and regime.get("size") in (None, loop.n_real) and not ridge
    if regime["kind"] != "accumulate_subsample" or not whole or guarded(loop.spec) or loop.n_real < 1 + loop.ddof:
        return None
    if not (plain and loop.ratio == 1.0):
        drawn = rows.drawn(loop.ratio, loop.n_real)
        few = loop.ddof or not drawn or loop.generations > rows.MAX_GENERATIONS
        return None if few else subsample_moments(loop.generations, loop.n_real, drawn, strength, loop.stretch)
    fits = (regime["kind"], np.arange(1, loop.generations + 2), loop.n_real, bool(loop.ddof))
    square, variance = gaussian.mean_squared_error(*fits), gaussian.variance(*fits)
    return gaussian.Moments(mean_square=np.asarray(square), variance=np.asarray(variance))


def _sampled_moments(loop: SpecLoop, strength: float) -> Iterator[Forecast]:
    """Forecasts of the metric `moments`, which compares generated rows with held-out ones.

    With a covariance that is no multiple of I every coordinate in its eigenbasis is a loop of its own with the same
    law, and a sum over coordinates is about that of as many equal ones as have its mean and variance.
    """
    spread, measured = loop.spread, int(loop.spec.get("evaluation", {}).get("n", 0))
    held_out = int(loop.spec["data"].get("held_out", 0) or 0)
    if spread is None or measured < 2 or held_out < 2 or _elsewhere(loop, max(measured, held_out)):
        return
    trace, effective = spread
    alike, ridge = loop.target is not None, float(loop.spec["generator"].get("regularisation", 0.0))
    law = _law(loop, strength, ridge * effective / trace) if alike or not ridge else None
    if law is None:
        return
    freedom = effective * (held_out - 1)  # of the held-out rows' variance, by which it is divided
    root = math.sqrt(2.0) * math.exp(math.lgamma((effective + 1) / 2) - math.lgamma(effective / 2))
    with np.errstate(over="ignore"):  # an unstable loop beyond floating point
        drawn = loop.stretch * law.variance
        square = law.mean_square + drawn / measured + 1.0 / held_out
        values = math.sqrt(trace / effective) * root * np.sqrt(square)
        ratios = drawn * freedom / (freedom - 2.0) if freedom > 2 else None
    yield Forecast(
        metric="mean_error",
        label="Gaussian loop",
        source=_DERIVED,
        validity="asymptotic",
        note="mean square exact, with the noise of generated and held-out rows; its root as if the mean were Gaussian",
        units="units of the data",
        values=values,
        error=_measured_error(loop, loop.rows, values, 0.05) if alike and loop.rows is not None else None,
    )
    if ratios is not None:
        yield Forecast(
            metric="trace_ratio",
            label="Gaussian loop",
            source=_KAZDAN if loop.stretch == 1.0 else _MAD,
            validity="exact" if alike else "asymptotic",
            note="for any number of rows, with the noise of the held-out ones"
            + ("" if alike else "; coordinates of different variance: many held-out rows"),
            units="",
            values=ratios,
        )


def _log_determinant(loop: SpecLoop) -> Iterator[Forecast]:
    measured = int(loop.spec.get("evaluation", {}).get("n", 0))
    held_out = int(loop.spec["data"].get("held_out", 0) or 0)
    draws = int(loop.rows.counts[-1, -1]) if loop.rows is not None and loop.generations else loop.n_real
    if not loop.regular or min(measured, held_out, loop.n_real, draws) <= loop.dim:
        return  # the law is the same for every regular covariance
    if loop.spec["generator"].get("regularisation") or _elsewhere(loop, max(measured, held_out)):
        return  # the ridge keeps the determinant from collapsing
    law = gaussian.replace_log_variance(loop.n_real, draws, loop.generations, loop.dim, loop.ddof)
    generated, real = (gaussian.replace_log_variance(n, 1, 0, loop.dim, 1)[0] for n in (measured, held_out))
    yield Forecast(
        metric="logdet_ratio",
        label="Wishart product",
        source="Bertrand et al., arXiv 2310.00429 (one dimension); " + _DERIVED,
        validity="exact",
        note="mean of the logarithm, the typical path; with the bias of generated and held-out rows",
        units="nats",
        values=law + generated - real + loop.dim * math.log(loop.stretch) * np.arange(1.0, len(law) + 1.0),
    )
