"""Curves over seeds: mean, median, intervals and floors by generation, and whether a forecast holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ouroloop.report.load import Arm, Results
from ouroloop.report.runs import Forecast, Run

__all__ = [
    "CONFIDENCE",
    "Series",
    "contradictions",
    "disagreement",
    "floor_band",
    "forecasts_of",
    "interval_of_mean",
    "series_of",
]

CONFIDENCE = 0.95
OUTSIDE_ERRORS = 3.0  # standard errors that a measured mean may lie from a forecast by chance
OUTSIDE_SHARE = 0.2  # share of generations from which "disagrees" is said


@dataclass(frozen=True, eq=False)
class Series:
    """One metric of one arm over generations. All arrays (g,), `values` (seeds, g); NaN where not measured.

    Args:
        low, high: interval of the mean: t-interval over seeds, or the bootstrap interval of a single seed.
    """

    metric: str
    seeds: tuple[int, ...]
    generation: np.ndarray
    values: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    median: np.ndarray
    smallest: np.ndarray
    largest: np.ndarray
    error: np.ndarray
    floors: np.ndarray

    @property
    def interval_name(self) -> str:
        """What `low` and `high` are, in words."""
        if len(self.seeds) > 1:
            return f"95 % t-interval over {len(self.seeds)} seeds"
        return "95 % bootstrap interval of the single seed"

    def index(self, generation: int) -> int | None:
        """Position of a generation, or None."""
        found = np.flatnonzero(self.generation == generation)
        return int(found[0]) if len(found) else None

    @property
    def measured(self) -> np.ndarray:
        """Positions at which at least one seed has a finite value."""
        return np.flatnonzero(np.isfinite(self.mean))

    def take(self, places: np.ndarray) -> Series:
        """The series at some positions only."""
        columns = ("generation", "mean", "low", "high", "median", "smallest", "largest", "error")
        return Series(
            metric=self.metric,
            seeds=self.seeds,
            values=self.values[:, places],
            floors=self.floors,
            **{name: getattr(self, name)[places] for name in columns},
        )


def series_of(arm: Arm, metric: str) -> Series | None:
    """A metric of an arm over its seeds, or None where no seed measured it. Infinite values count as missing."""
    runs = [run for run in arm.runs if metric in run.tracks]
    if not runs:
        return None
    tracks = [run.tracks[metric] for run in runs]
    generation = np.unique(np.concatenate([track.generation for track in tracks]))
    values, low, high = (np.full((len(runs), len(generation)), np.nan) for _ in range(3))
    for row, track in enumerate(tracks):
        places = np.searchsorted(generation, track.generation)
        values[row, places], low[row, places], high[row, places] = track.value, track.low, track.high
    values[~np.isfinite(values)] = np.nan
    mean, error, half = interval_of_mean(values)
    single = len(runs) == 1
    empty = np.all(np.isnan(values), axis=0)
    filled = np.where(empty, 0.0, values)  # all-NaN columns would warn; they are put back below
    median, smallest, largest = (
        np.where(empty, np.nan, f(filled, axis=0)) for f in (np.nanmedian, np.nanmin, np.nanmax)
    )
    floors = np.concatenate([track.floor for track in tracks])
    return Series(
        metric=metric,
        seeds=tuple(run.seed for run in runs),
        generation=generation,
        values=values,
        mean=mean,
        low=low[0] if single else mean - half,
        high=high[0] if single else mean + half,
        median=median,
        smallest=smallest,
        largest=largest,
        error=error,
        floors=floors[np.isfinite(floors)],
    )


def interval_of_mean(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, standard error and half width of the 95 % t-interval over axis 0, NaN entries left out.

    Args:
        values: shape (seeds, g).

    Returns:
        Three arrays (g,). Error and half width are NaN with fewer than two finite values.
    """
    from scipy.special import stdtrit

    good = np.isfinite(values)
    n = good.sum(axis=0)
    filled = np.where(good, values, 0.0)
    mean = np.where(n > 0, filled.sum(axis=0) / np.maximum(n, 1), np.nan)
    square = np.where(good, (filled - np.where(n > 0, mean, 0.0)) ** 2, 0.0).sum(axis=0)
    error = np.where(n > 1, np.sqrt(square / np.maximum(n - 1, 1) / np.maximum(n, 1)), np.nan)
    quantile = stdtrit(np.maximum(n - 1, 1), 0.5 + CONFIDENCE / 2)
    return mean, error, error * quantile


def floor_band(results: Results, metric: str) -> tuple[float, float, float] | None:
    """(mean, low, high) of a metric's real-versus-real floors over arms, seeds and generations, or None.

    Low and high are the 5 % and 95 % quantiles.
    """
    all_series = [series for arm in results.arms if (series := series_of(arm, metric))]
    floors = np.concatenate([series.floors for series in all_series]) if all_series else np.array([])
    if not len(floors):
        return None
    low, high = np.quantile(floors, [0.05, 0.95])
    return float(floors.mean()), float(low), float(high)


def forecasts_of(arm: Arm, metric: str) -> list[Forecast]:
    """The forecasts of a metric for an arm, one a label; where seeds differ (a forecast given the data), the mean.

    A run that has no forecasts.json but a forecast column in its metrics gives one of unstated validity.
    """
    found: dict[tuple[str, str], list[Forecast]] = {}
    for run in arm.runs:
        for forecast in run.forecasts or _from_column(run, metric):
            if forecast.metric == metric and np.isfinite(forecast.values).any():
                found.setdefault((forecast.label, forecast.validity), []).append(forecast)
    return [_mean_forecast(same) for same in found.values()]


def _from_column(run: Run, metric: str) -> Sequence[Forecast]:
    track = run.tracks.get(metric)
    if track is None or not np.isfinite(track.forecast).any():
        return ()
    values = np.full(int(track.generation[-1]) + 1, np.nan)
    values[track.generation] = track.forecast
    return (Forecast(metric=metric, label="forecast", source="", validity="", note="", units="", values=values),)


def _mean_forecast(same: Sequence[Forecast]) -> Forecast:
    mean, _, _ = interval_of_mean(_stacked([f.values for f in same], np.nan))
    errors = [f.error for f in same if f.error is not None]
    error = _stacked(errors, 0.0).max(axis=0) if len(errors) == len(same) else None
    return replace(same[0], values=mean, error=error)


def _stacked(curves: Sequence[np.ndarray], missing: float) -> np.ndarray:
    length = max(len(curve) for curve in curves)
    return np.stack([np.pad(curve, (0, length - len(curve)), constant_values=missing) for curve in curves])


def disagreement(series: Series, forecast: Forecast) -> float | None:
    """Share of the generations of which a forecast says something at which the measured mean contradicts it.

    An exact law, and an asymptotic one that states its error: farther from it than that error and 3 standard errors
    over seeds; a sufficient bound: on its wrong side by more than that. 3 standard errors are widened to the t-quantile
    of the same tail probability (0.27 %), which with 3 seeds is 19 standard errors and with 24 seeds 3.4. Where a
    quantity has become 0 in every seed, as in loops that have died out, its spread tells nothing of the few that go on
    by chance. An exact law may then lie as high as the share of loops that as many seeds, of one loop each, miss with
    that probability, times the largest value of the curve.

    Returns:
        The share in [0, 1], or None where it cannot be judged: one seed, a heuristic, no stated error.
    """
    from scipy.special import ndtr, stdtrit

    tolerance = _tolerance(forecast)
    if tolerance is None or len(series.seeds) < 2:
        return None
    inside = series.generation < len(forecast.values)
    expected, stated = np.full((2, len(series.generation)), np.nan)
    expected[inside] = forecast.values[series.generation[inside]]
    stated[inside] = tolerance[series.generation[inside]]
    n = np.isfinite(series.values).sum(axis=0)
    usable = np.isfinite(expected) & np.isfinite(stated) & np.isfinite(series.error)
    if not usable.any():
        return None
    errors = stdtrit(np.maximum(n - 1, 1), ndtr(OUTSIDE_ERRORS))
    allowed = stated + errors * series.error + 1e-9 * np.maximum(np.abs(expected), 1e-300)
    if forecast.validity == "exact":
        largest = np.abs(np.nan_to_num(series.values)).max(axis=0)
        extinct = (largest == 0.0) & (np.maximum.accumulate(largest) > 0.0)
        missed = 1.0 - (2.0 * ndtr(-OUTSIDE_ERRORS)) ** (1.0 / np.maximum(n, 1))
        allowed += np.where(extinct, missed * largest.max(), 0.0)
    apart = series.mean - expected
    if forecast.validity != "sufficient bound":
        apart = np.abs(apart)
    elif forecast.bound == "lower":
        apart = -apart
    return float((apart > allowed)[usable].mean())


def _tolerance(forecast: Forecast) -> np.ndarray | None:
    """Stated error by generation of a forecast that can be contradicted, else None."""
    judged = forecast.validity == "exact" or (
        forecast.bound in ("upper", "lower")
        if forecast.validity == "sufficient bound"
        else forecast.validity == "asymptotic" and forecast.error is not None
    )
    if not judged:
        return None
    return np.zeros(len(forecast.values)) if forecast.error is None else forecast.error


def contradictions(results: Results) -> list[str]:
    """Every forecast that the measurements of an arm contradict at so many generations that a report says so."""
    found = []
    for arm in results.arms:
        for metric in sorted({forecast.metric for run in arm.runs for forecast in run.forecasts}):
            series = series_of(arm, metric)
            for forecast in forecasts_of(arm, metric) if series is not None else ():
                share = disagreement(series, forecast) if series is not None else None
                if share is not None and share >= OUTSIDE_SHARE:
                    where = f"{100 * share:.0f} % of {results.axis.count(2).split()[-1]}"
                    found.append(
                        f"{arm.label}: {metric} contradicts the {forecast.validity} '{forecast.label}' at {where}"
                    )
    return found
