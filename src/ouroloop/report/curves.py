"""What a chart shows, computed once: the page draws it, the static SVG draws it, nothing else is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ouroloop.report.axis import Axis
from ouroloop.report.load import Results
from ouroloop.report.metric_names import MetricName, describe, ordered
from ouroloop.report.palette import NEUTRAL, Look, looks
from ouroloop.report.runs import Forecast
from ouroloop.report.series import OUTSIDE_SHARE, Series, disagreement, floor_band, forecasts_of, series_of
from ouroloop.report.wording import number

__all__ = ["Chart", "Guess", "Line", "charts_of", "is_log", "model"]

MOST_POINTS = 121  # drawn generations a line; the eye resolves no more in a small chart
MOST_NUMBERS = 200_000  # numbers embedded in a page; beyond it fewer seeds, then fewer points are drawn
LOG_SPAN = 100.0  # a headline that spans more than this opens on a log scale


@dataclass(frozen=True, eq=False)
class Line:
    """One arm in one chart. `seeds_shown` are positions of the seeds drawn as thin lines."""

    arm: int
    label: str
    look: Look
    series: Series
    seeds_shown: tuple[int, ...]

    @property
    def extent(self) -> tuple[float, float, float]:
        """Least and greatest value that the axis must hold, and the least positive one (NaN where none)."""
        s = self.series
        span = s.largest - s.smallest if len(s.seeds) > 1 else np.full(len(s.mean), np.inf)
        # A t-interval over two seeds is 6 times their distance; it may leave the chart, the seeds may not.
        high = np.fmax(s.largest, np.fmin(s.high, s.largest + span))
        low = np.fmin(s.smallest, np.fmax(s.low, s.smallest - span))
        finite = np.concatenate([low, high, s.mean])
        finite = finite[np.isfinite(finite)]
        least = np.nanmin(np.where(s.smallest > 0, s.smallest, np.nan), initial=np.inf)
        return float(finite.min()), float(finite.max()), float(least) if np.isfinite(least) else float("nan")


@dataclass(frozen=True, eq=False)
class Guess:
    """A forecast in a chart: `generation` and `values` (g,), and the share of generations that contradict it.

    Where several arms have the same forecast it is drawn once, with `arm` -1 and a neutral look.
    """

    arm: int
    look: Look
    arm_label: str
    forecast: Forecast
    generation: np.ndarray
    values: np.ndarray
    outside: float | None

    @property
    def disagrees(self) -> bool:
        """Whether the measurement contradicts the forecast beyond its stated error."""
        return self.outside is not None and self.outside >= OUTSIDE_SHARE


@dataclass(frozen=True, eq=False)
class Chart:
    """One metric: lines, forecasts, floor (mean, low, high) and how many generations were left out."""

    name: MetricName
    lines: tuple[Line, ...]
    guesses: tuple[Guess, ...]
    floor: tuple[float, float, float] | None
    generations: int
    drawn: int
    axis: Axis

    @property
    def subtitle(self) -> str:
        """What the chart's lines and bands are, in words."""
        better = self.name.better
        direction = f"{better} is better" if better in ("lower", "higher") else f"best near {better}" if better else ""
        kinds = list(dict.fromkeys(line.series.interval_name for line in self.lines))
        thinned = f"{self.drawn} of {self.axis.count(self.generations)} drawn" if self.drawn < self.generations else ""
        return " · ".join(part for part in (direction, f"band: {' or '.join(kinds)}", thinned) if part)

    @property
    def description(self) -> str:
        """The chart in words, for those who cannot see it."""
        ends = []
        for line in self.lines:
            measured = line.series.measured
            if not len(measured):
                continue
            (g0, v0), (g1, v1) = (
                (self.axis.at(int(line.series.generation[i])), float(line.series.mean[i])) for i in measured[[0, -1]]
            )
            ends.append(f"{line.label}: {number(v0)} at {g0}, {number(v1)} at {g1}")
        floor = f" Floor, real against real: {number(self.floor[0])}." if self.floor else ""
        return f"{self.name.title} by {self.axis.title}. {'; '.join(ends)}.{floor}"


def charts_of(results: Results, headline: str | None) -> list[Chart]:
    """A chart for every measured metric, the headline first."""
    names = ordered((name for run in results.runs for name in run.tracks), headline)
    arm_looks = looks(results.arms)
    drawn = [
        (name, [(i, s) for i, arm in enumerate(results.arms) if (s := series_of(arm, name)) and len(s.measured)])
        for name in names
    ]
    drawn = [(name, series) for name, series in drawn if series]
    points, seeds = _budget([s for _, group in drawn for _, s in group])
    charts = []
    for name, group in drawn:
        lines = []
        for index, series in group:
            thin = series.take(_drawn(series, points))
            label = results.arms[index].label
            lines.append(Line(index, label, arm_looks[index], thin, tuple(range(min(seeds, len(series.seeds))))))
        charts.append(
            Chart(
                name=describe(name),
                lines=tuple(lines),
                guesses=tuple(_guesses(results, arm_looks, name, dict(group), points)),
                floor=floor_band(results, name),
                generations=max(len(series.generation) for _, series in group),
                drawn=max(len(line.series.generation) for line in lines),
                axis=results.axis,
            )
        )
    return charts


def _drawn(series: Series, most: int) -> np.ndarray:
    """Positions that are drawn: evenly spread, or where that meets gaps alone, spread over what was measured."""
    places = thinned(len(series.generation), most)
    return places if np.isfinite(series.mean[places]).any() else series.measured[thinned(len(series.measured), most)]


def thinned(count: int, most: int) -> np.ndarray:
    """At most `most` positions of 0..count-1, evenly spread, first and last among them."""
    if count <= most:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, max(most, 2)).round().astype(int))


def _budget(all_series: Sequence[Series]) -> tuple[int, int]:
    """How many points a line and how many seeds an arm can be drawn within MOST_NUMBERS."""
    lengths = np.array([len(s.generation) for s in all_series] or [1])
    seeds = np.array([len(s.seeds) for s in all_series] or [1])
    for points in (MOST_POINTS, 81, 61, 41, 31, 21):
        for most in (32, 16, 8, 5, 3):
            if (np.minimum(lengths, points) * (6 + np.minimum(seeds, most))).sum() <= MOST_NUMBERS:
                return points, most
    return 11, 1


def _guesses(
    results: Results, arm_looks: Sequence[Look], metric: str, measured: dict[int, Series], points: int
) -> list[Guess]:
    found = []
    for index, series in measured.items():
        arm = results.arms[index]
        for forecast in forecasts_of(arm, metric):
            last = min(len(forecast.values) - 1, int(series.generation[-1]))
            generation = np.arange(last + 1)[thinned(last + 1, points)]
            found.append(
                Guess(
                    arm=index,
                    look=arm_looks[index],
                    arm_label=arm.label,
                    forecast=forecast,
                    generation=generation,
                    values=forecast.values[generation],
                    outside=disagreement(series, forecast),
                )
            )
    return _merged(found)


def _merged(found: Sequence[Guess]) -> list[Guess]:
    """Forecasts of the same label and values drawn once; what disagrees stays with its arm."""
    groups: dict[tuple[str, str, bytes], list[Guess]] = {}
    for guess in found:
        groups.setdefault((guess.forecast.label, guess.forecast.validity, guess.values.tobytes()), []).append(guess)
    merged = []
    for same in groups.values():
        if len(same) == 1 or any(guess.disagrees for guess in same):
            merged.extend(same)
        else:
            label = f"{len(same)} arms"
            merged.append(replace(same[0], arm=-1, look=NEUTRAL, arm_label=label))
    return merged


def is_log(chart: Chart) -> bool:
    """Whether a chart is better opened on a log scale: its positive means span more than two decades."""
    means = np.concatenate([line.series.mean for line in chart.lines])
    means = means[np.isfinite(means)]
    return bool(len(means) and means.min() > 0 and means.max() / means.min() > LOG_SPAN)


def model(chart: Chart) -> dict[str, object]:
    """The chart as JSON-able data for page.js. Numbers at 4 significant digits, None for NaN."""
    return {
        "metric": chart.name.name,
        "title": chart.name.title,
        "floor": _numbers(np.array(chart.floor)) if chart.floor else None,
        "lines": [
            {
                "arm": line.arm,
                "x": line.series.generation.tolist(),
                "mean": _numbers(line.series.mean),
                "low": _numbers(line.series.low),
                "high": _numbers(line.series.high),
                "median": _numbers(line.series.median),
                "smallest": _numbers(line.series.smallest),
                "largest": _numbers(line.series.largest),
                "seeds": [_numbers(line.series.values[i]) for i in line.seeds_shown],
                "extent": _numbers(np.array(line.extent)),
            }
            for line in chart.lines
        ],
        "forecasts": [
            {
                "arm": guess.arm,
                "x": guess.generation.tolist(),
                "values": _numbers(guess.values),
                "label": guess.forecast.label or "forecast",
                "validity": guess.forecast.validity,
            }
            for guess in chart.guesses
        ],
    }


def _numbers(values: np.ndarray) -> list[float | int | None]:
    return [_short(float(v)) if np.isfinite(v) else None for v in values]


def _short(value: float) -> float | int:
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 1e15 else rounded
