"""Axes: where values lie on a linear or logarithmic scale, and at which round values the ticks are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Scale", "linear_ticks", "log_ticks"]


def linear_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values (1, 2 or 5 times a power of ten) inside [low, high], about `count` of them.

    >>> linear_ticks(0, 10)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def log_ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Powers of ten inside [low, high]; with fewer than three of them also 2 and 5 times powers of ten.

    >>> log_ticks(0.5, 200), log_ticks(2, 20)
    ([1.0, 10.0, 100.0], [2.0, 5.0, 10.0, 20.0])
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [10.0**e for e in exponents if low <= 10.0**e <= high]
    if len(inside) < 3:
        return [m * 10.0**e for e in exponents for m in (1, 2, 5) if low <= m * 10.0**e <= high]
    stride = math.ceil(len(inside) / count)
    return inside[::stride]


@dataclass(frozen=True)
class Scale:
    """Maps values in [low, high] to pixels [start, stop] (start may be the larger, as on a y-axis)."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, values: np.ndarray | float) -> np.ndarray:
        """Pixels, rounded to 0.1; NaN for NaN, and on a log scale for what is not positive."""
        values = np.asarray(values, dtype=np.float64)
        low, high = self.low, self.high
        if self.log:
            values = np.log(np.where(values > 0, values, np.nan))
            low, high = math.log(low), math.log(high)
        return np.round(self.start + (values - low) / (high - low) * (self.stop - self.start), 1)

    @property
    def ticks(self) -> list[float]:
        """Round values inside the scale."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)
