r"""Forecast of the spread of a loop of kernel density estimates, given its real rows.

A model on N rows of total variance V (over N) draws rows of total variance $W = V + w$, where the kernel adds
$w = d\,h^2$ (Gaussian) or $d\,h^2/(d+2)$ (uniform in the ball); a rule of thumb makes w a multiple of V. With m rows
drawn a generation, n real rows of variance $V_1$, and D the squared distance of the model's mean from theirs, in the
mean over everything that is drawn

| regime               | next training set                                                                            |
|----------------------|----------------------------------------------------------------------------------------------|
| replace              | $V' = (1 - 1/m) W$                                                                           |
| accumulate           | $V' = [N V + (m - 1 + N/(N+m)) W]/(N+m)$, $N' = N + m$                                       |
| fixed_real           | $V' = [n V_1 + (m-1) W + nm (D + W/m)/(n+m)]/(n+m)$, $D' = (D + W/m)\,m^2/(n+m)^2$           |
| accumulate_subsample | $U' = [(N-1)U + (m-1)W + Nm (W/m + U (1/n - 1/N))/(N+m)]/(N+m-1)$, $V = (1 - 1/n) U$         |

(U: variance of the pool over N - 1.) All are linear, so that they hold for the means exactly. Derived here; where the
bandwidth is fixed and n rows are drawn, `kde.within_variance` and `kde.second_moment` are special cases.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ouroloop.theory.forecast import Forecast, corrects_nothing
from ouroloop.theory.kde import rule_factor

__all__ = ["kde_forecasts"]

_REGIMES = ("replace", "accumulate", "accumulate_subsample", "fixed_real")


def kde_forecasts(spec: Mapping[str, Any], real: np.ndarray, compared: np.ndarray) -> list[Forecast]:
    """Mean of 'trace_ratio' for these data, or nothing where the law does not hold.

    Args:
        spec: a resolved specification.
        real: rows that the loop starts from, float (n, d), n >= 2.
        compared: rows that the metric 'moments' compares with, float (m, d): held-out ones, or `real`.
    """
    if not _applies(spec, compared) or min(len(real), len(compared)) < 2:
        return []
    unit = float(np.var(np.asarray(compared, np.float64), axis=0, ddof=1).sum())
    if not unit > 0:
        return []
    values = np.array([*_drawn_variance(spec, np.asarray(real, np.float64))]) / unit
    return [
        Forecast(
            metric="trace_ratio",
            label="kernel estimates",
            source="Kazdan et al., arXiv 2410.16713 (setting); derived in docs/theory.md",
            validity="exact",
            note="given the real and the held-out rows; mean over what is drawn",
            units="",
            values=values,
            error=np.zeros(len(values)),
        )
    ]


def _applies(spec: Mapping[str, Any], compared: np.ndarray) -> bool:
    generator, regime = spec["generator"], spec["regime"]
    if generator.get("kind") != "kde" or generator.get("per_class") or regime.get("kind") not in _REGIMES:
        return False
    plain = regime.get("window") is None and regime.get("size") is None and float(regime["synthetic_ratio"]) > 0
    measured = any(
        m.get("kind") == "moments" and m.get("features", "identity") == "identity" and m["max_rows"] >= len(compared)
        for m in spec["metrics"]
    )
    return plain and measured and corrects_nothing(spec) and int(spec["evaluation"]["n"]) >= 2


def _drawn_variance(spec: Mapping[str, Any], real: np.ndarray) -> Iterator[float]:
    """Expected total variance of what the model of generation 0, 1, ... draws."""
    kind, (n, d) = spec["regime"]["kind"], real.shape
    m = math.ceil(float(spec["regime"]["synthetic_ratio"]) * n - 1e-9)  # as the regimes round
    start = variance = float(real.var(axis=0).sum())
    rows, distance, pool, unbiased = n, 0.0, n, start * n / (n - 1)
    for _ in range(int(spec["generations"]) + 1):
        drawn = variance + _widening(spec["generator"], rows, d, variance)
        yield drawn
        apart = distance + drawn / m  # of the drawn rows' mean from the mean of the rows that they are added to
        if kind == "replace":
            variance, rows = (1.0 - 1.0 / m) * drawn, m
        elif kind == "accumulate":
            variance = (rows * variance + (m - 1.0 + rows / (rows + m)) * drawn) / (rows + m)
            rows += m
        elif kind == "fixed_real":
            variance = (n * start + (m - 1.0) * drawn + n * m / (n + m) * apart) / (n + m)
            rows, distance = n + m, apart * (m / (n + m)) ** 2
        else:
            between = pool * m / (pool + m) * (drawn / m + unbiased * (1.0 / n - 1.0 / pool))
            unbiased = ((pool - 1.0) * unbiased + (m - 1.0) * drawn + between) / (pool + m - 1.0)
            variance, pool = (1.0 - 1.0 / n) * unbiased, pool + m


def _widening(generator: Mapping[str, Any], rows: int, d: int, variance: float) -> float:
    """What the kernel adds to the total variance of so many rows with this variance (over the rows)."""
    bandwidth = generator["bandwidth"]
    share = 1.0 if generator.get("kernel", "gaussian") == "gaussian" else 1.0 / (d + 2.0)
    if isinstance(bandwidth, str):  # a multiple of the root mean variance of the coordinates (over rows - 1)
        return share * rule_factor(bandwidth, rows, d) ** 2 * variance * rows / max(rows - 1, 1)
    return share * d * float(bandwidth) ** 2
