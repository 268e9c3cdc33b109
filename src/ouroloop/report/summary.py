"""The verdict in words and in one table: what became of each arm, computed from its curves alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ouroloop.report.differences import difference
from ouroloop.report.load import Arm, Results, load
from ouroloop.report.metric_names import describe, diversity_metric, headline_metric
from ouroloop.report.runs import ALARM
from ouroloop.report.series import Series, floor_band, series_of
from ouroloop.report.wording import listed, number, plural, spread, status_word

__all__ = ["Row", "Sentence", "headline_of", "lead", "rows_of", "summary_rows", "verdict", "with_interval"]


@dataclass(frozen=True)
class Row:
    """One arm in the summary. Numbers are means over seeds; intervals are those of `Series`; NaN where absent."""

    arm: str
    label: str
    seeds: int
    generations: int
    metric: str
    first: float
    first_low: float
    first_high: float
    last: float
    last_low: float
    last_high: float
    floor: float
    diversity_metric: str
    diversity_first: float
    diversity_last: float
    alarm: str
    alarm_seeds: int
    alarm_judged: int
    synthetic_ratio: float

    @property
    def has_floor(self) -> bool:
        """Whether real against real data was measured."""
        return bool(np.isfinite(self.floor))


@dataclass(frozen=True)
class Sentence:
    """One arm's verdict: the arm, its status, in how many seeds, and what was measured."""

    arm: str
    status: str
    who: str
    text: str


def headline_of(results: Results) -> str | None:
    """The metric that the verdict is about."""
    names = list(dict.fromkeys(name for run in results.runs for name in run.tracks))
    wanted = next((study.headline for study in results.studies if study.headline), "")
    return headline_metric(names, wanted)


def rows_of(results: Results) -> list[Row]:
    """The summary, one row an arm."""
    headline = headline_of(results)
    names = dict.fromkeys(name for run in results.runs for name in run.tracks)
    diversity = diversity_metric(names, headline)
    band = floor_band(results, headline) if headline else None
    return [_row(arm, headline or "", diversity or "", band[0] if band else float("nan")) for arm in results.arms]


def _row(arm: Arm, headline: str, diversity: str, floor: float) -> Row:
    first, last = _ends(series_of(arm, headline))
    diversity_first, diversity_last = _ends(series_of(arm, diversity))
    status, agreeing, judged = alarm_status(arm)
    return Row(
        arm=arm.name,
        label=arm.label,
        seeds=len(arm.runs),
        generations=arm.last_generation if arm.last_generation is not None else 0,
        metric=headline,
        first=first[0],
        first_low=first[1],
        first_high=first[2],
        last=last[0],
        last_low=last[1],
        last_high=last[2],
        floor=floor,
        diversity_metric=diversity,
        diversity_first=diversity_first[0],
        diversity_last=diversity_last[0],
        alarm=status,
        alarm_seeds=agreeing,
        alarm_judged=judged,
        synthetic_ratio=_last_ratio(arm),
    )


def _last_ratio(arm: Arm) -> float:
    """The effective ratio of the last training set, over seeds; infinite where no row was real."""
    tracks = [run.tracks["synthetic_ratio"].value for run in arm.runs if "synthetic_ratio" in run.tracks]
    last = [values[~np.isnan(values)][-1] for values in tracks if not np.isnan(values).all()]
    return float(np.mean(last)) if last else float("nan")


def _ends(series: Series | None) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """(mean, low, high) at the first and the last generation that was measured."""
    nothing = (float("nan"), float("nan"), float("nan"))
    if series is None or not len(series.measured):
        return nothing, nothing
    first, last = series.measured[0], series.measured[-1]
    return _at(series, int(first)), _at(series, int(last))


def _at(series: Series, i: int) -> tuple[float, float, float]:
    return float(series.mean[i]), float(series.low[i]), float(series.high[i])


def alarm_status(arm: Arm) -> tuple[str, int, int]:
    """The alarm at each seed's last generation: the commonest status (ties: the worse), its seeds, seeds judged."""
    tracks = [run.tracks[ALARM] for run in arm.runs if ALARM in run.tracks]
    finite = [track.value[np.isfinite(track.value)] for track in tracks]
    words = [status_word(float(values[-1])) for values in finite if len(values)]
    if not words:
        return "not judged", 0, 0
    severity = ("healthy", "drifting", "collapsing")
    counts = Counter(words)
    status = max(counts, key=lambda word: (counts[word], severity.index(word)))
    return status, counts[status], len(words)


def lead(results: Results) -> str:
    """The whole in two sentences: which arms are in which state, and which end lowest and highest."""
    rows = rows_of(results)
    if results.axis.texts:
        texts = results.axis.texts
        return f"{results.axis.title.capitalize()} from {texts[0]} to {texts[-1]}. {_extremes(rows)}".strip()
    groups: dict[str, list[str]] = {}
    for row in rows:
        groups.setdefault(row.alarm, []).append(row.label)
    ends = sorted({arm.last_generation for arm in results.arms if arm.last_generation is not None})
    when = f"At generation {ends[0]}" if len(ends) == 1 else "At its last generation"
    told = [
        f"{listed(groups[status])} {'is' if len(groups[status]) == 1 else 'are'} {status}"
        for status in ("collapsing", "drifting", "healthy")
        if status in groups
    ]
    unjudged = groups.get("not judged", [])
    rest = f" {listed(unjudged)} {'was' if len(unjudged) == 1 else 'were'} not judged." if unjudged and told else ""
    state = (
        f"{when}, by the collapse alarm, {'; '.join(told)}.{rest}" if told else "The collapse alarm was not measured."
    )
    return f"{state} {_extremes(rows)}".strip()


def _extremes(rows: list[Row]) -> str:
    """Which arms end lowest and highest in the headline metric."""
    ends = sorted((row for row in rows if np.isfinite(row.last)), key=lambda row: row.last)
    if len(ends) < 2:
        return ""
    low, high = ends[0], ends[-1]
    return (
        f"{describe(low.metric).title} ends lowest for {low.label} ({number(low.last)}) and highest for "
        f"{high.label} ({number(high.last)})."
    )


def verdict(results: Results) -> list[Sentence]:
    """One entry an arm: status, headline metric from first to last generation, against floor and control."""
    headline = headline_of(results)
    return [_sentence(results, arm, row, headline) for arm, row in zip(results.arms, rows_of(results), strict=True)]


def _sentence(results: Results, arm: Arm, row: Row, headline: str | None) -> Sentence:
    who = f"{row.alarm_seeds} of {plural(row.alarm_judged, 'seed')}" if row.alarm_judged > 1 else ""
    series = series_of(arm, headline) if headline else None
    if headline is None or series is None or not len(series.measured):
        return Sentence(
            arm.label, row.alarm, who, "No headline metric was measured, so nothing more can be said of it."
        )
    title = describe(headline).title
    start, end = (int(series.generation[series.measured[i]]) for i in (0, -1))
    last = f"{with_interval(row.last, row.last_low, row.last_high)} at {results.axis.at(end)}"
    path = f"{title} {last}"
    if start != end:
        path = f"{title} went from {with_interval(row.first, row.first_low, row.first_high)} to {last}"
    parts = [part for part in (path, _against_floor(row)) if part]
    return Sentence(
        arm.label, row.alarm, who, f"{', '.join(parts)}. {_against_control(results, arm, headline)}".strip()
    )


def with_interval(value: float, low: float, high: float) -> str:
    """A value and its interval: "1.20 (1.10 to 1.30)"."""
    interval = spread(low, high)
    return f"{number(value)} ({interval})" if interval else number(value)


def _against_floor(row: Row) -> str:
    if not np.isfinite(row.floor):
        return ""
    if row.floor > 0 and row.last > 0 and describe(row.metric).better == "lower":
        return f"{number(row.last / row.floor, 2)} times the real-versus-real floor of {number(row.floor)}"
    return f"where real against real data gives {number(row.floor)}"


def _against_control(results: Results, arm: Arm, metric: str) -> str:
    control = results.real_only
    if control is None:
        return ""
    if control is arm:
        return "Trained on real data alone: the control that the others are held against."
    gap = difference(arm, control, metric)
    if gap is None or gap.pairs == 0:
        return f"It shares no seed with {control.label}."
    size = f"It ends {number(abs(gap.mean))} {'above' if gap.mean >= 0 else 'below'} {control.label}"
    if not np.isfinite(gap.low):
        return f"{size} (one pair of seeds: no interval)."
    size = f"{size} (difference {spread(gap.low, gap.high)})"
    if gap.low <= 0 <= gap.high:
        return f"{size}; {plural(gap.pairs, 'pair')} of seeds cannot tell the two apart."
    return f"{size}, over {plural(gap.pairs, 'pair')} of seeds."


def summary_rows(paths: Sequence[Path]) -> list[Row]:
    """The summary of run or study directories, one row an arm."""
    return rows_of(load(paths))
