"""Inline SVG of charts: what is seen without JavaScript and in print; page.js redraws the same at any width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from markupsafe import Markup, escape

from ouroloop.report.axis import Axis
from ouroloop.report.curves import Chart, Line, is_log
from ouroloop.report.scale import Scale
from ouroloop.report.wording import tick

__all__ = ["LABEL_GAP", "attributes", "chart_svg", "domain", "path_of", "spread_labels", "tag"]

LABEL_GAP = 14.0  # least distance of two labels at the line ends, pixels
_LETTER = 7.0  # width of a letter of a label, pixels; page.js measures it


def attributes(**values: object) -> Markup:
    """XML attributes, escaped; `_` in a name stands for `-`, a trailing `_` is dropped, None is left out."""
    pairs = ((name.rstrip("_").replace("_", "-"), v) for name, v in values.items() if v is not None)
    return Markup("").join(Markup(' {}="{}"').format(name, value) for name, value in pairs)


def tag(name: str, *children: object, **values: object) -> Markup:
    """An SVG element. Children that are not Markup are escaped."""
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<{}{}>{}</{}>").format(Markup(name), attributes(**values), inside, Markup(name))


def path_of(x: np.ndarray, y: np.ndarray) -> str:
    """The `d` of a line through the points; it breaks where a coordinate is NaN."""
    parts, pen_down = [], False
    for px, py in zip(x.tolist(), y.tolist(), strict=True):
        if np.isnan(px) or np.isnan(py):
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{px:g} {py:g}")
        pen_down = True
    return "".join(parts)


def band_of(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> str:
    """The `d` of the area between two lines, over the stretches where both are known."""
    good = np.isfinite(low) & np.isfinite(high)
    runs = np.split(np.arange(len(x)), np.flatnonzero(np.diff(good.astype(int)) != 0) + 1)
    shapes = []
    for run in runs:
        if len(run) > 1 and good[run[0]]:
            there = " ".join(f"{a:g} {b:g}" for a, b in zip(x[run], high[run], strict=True))
            back = " ".join(f"{a:g} {b:g}" for a, b in zip(x[run][::-1], low[run][::-1], strict=True))
            shapes.append(f"M{there} {back}Z")
    return "".join(shapes)


def domain(chart: Chart, log: bool) -> tuple[float, float]:
    """The values at the ends of the y-axis: all lines and the floor; forecasts within half a span of them."""
    extents = np.array([line.extent for line in chart.lines])
    low, high = float(np.min(extents[:, 0])), float(np.max(extents[:, 1]))
    if log:
        low = float(np.nanmin(extents[:, 2]))
    if chart.floor:
        low, high = min(low, chart.floor[1]) if not log or chart.floor[1] > 0 else low, max(high, chart.floor[2])
    span = high - low
    for guess in chart.guesses:
        values = guess.values[np.isfinite(guess.values) & ((guess.values > 0) | (not log))]
        if len(values):
            low = min(low, max(float(values.min()), low / 3 if log else low - span / 2))
            high = max(high, min(float(values.max()), high * 3 if log else high + span / 2))
    return _padded(low, high, log)


def _padded(low: float, high: float, log: bool) -> tuple[float, float]:
    if log:
        return (low / 1.15, high * 1.15) if high > low else (low / 2, low * 2)
    if not high > low:
        pad = abs(low) * 0.1 or 1.0
        return low - pad, high + pad
    pad = (high - low) * 0.05
    zero_based = 0 <= low < 0.4 * high
    return (0.0 if zero_based else low - pad), high + pad


def spread_labels(wanted: Sequence[float], low: float, high: float, gap: float = LABEL_GAP) -> list[float]:
    """Positions near the wanted ones, at least `gap` apart where [low, high] has room, in the same order.

    >>> spread_labels([10, 11, 40], 0, 100, gap=10)
    [5.5, 15.5, 40.0]
    """
    order = np.argsort(wanted, kind="stable")
    if len(order) > 1:
        gap = min(gap, (high - low) / (len(order) - 1))
    clusters: list[tuple[float, int]] = []  # (centre, members), merged until none overlap
    for index in order:
        clusters.append((float(wanted[index]), 1))
        while True:
            centre, size = clusters[-1]
            half = (size - 1) * gap / 2
            clusters[-1] = (float(np.clip(centre, low + half, high - half)) if high - low >= 2 * half else centre, size)
            if len(clusters) < 2:
                break
            (before, n), (after, m) = clusters[-2:]
            if after - before >= (n + m) * gap / 2 - 1e-9:
                break
            clusters[-2:] = [((before * n + after * m) / (n + m), n + m)]
    placed = [centre + (i - (size - 1) / 2) * gap for centre, size in clusters for i in range(size)]
    result = [0.0] * len(order)
    for index, value in zip(order, placed, strict=True):
        result[index] = float(value)
    return result


def chart_svg(chart: Chart, width: int, height: int, identity: str) -> Markup:
    """A chart as one SVG element with a title, a description and a class for every part that is drawn."""
    log = is_log(chart)
    widest = max(10, *(len(line.label) for line in chart.lines)) * _LETTER
    frame = (46, int(width - min(widest + 20, width * 0.28)), height - 30, 12)  # left, right, bottom, top
    y = Scale(*domain(chart, log), frame[2], frame[3], log)
    last = max(int(line.series.generation[-1]) for line in chart.lines)
    first = min(int(line.series.generation[0]) for line in chart.lines)
    x = Scale(first, max(last, first + 1), frame[0], frame[1])
    clip = f"{identity}-clip"
    marks = [mark for line in chart.lines for mark in _line(line, x, y, few=len(line.series.generation) <= 31)]
    guesses = [
        tag("path", class_=f"forecast {g.look.css}", d=path_of(x(g.generation), y(g.values))) for g in chart.guesses
    ]
    box = tag("rect", x=frame[0], y=frame[3], width=frame[1] - frame[0] + 5, height=frame[2] - frame[3])
    return tag(
        "svg",
        tag("title", chart.name.title, id=f"{identity}-title"),
        tag("desc", chart.description, id=f"{identity}-desc"),
        tag("clipPath", box, id=clip),
        *_axes(x, y, frame, chart.axis),
        tag("g", *_floor(chart, y, frame), *marks, *guesses, clip_path=f"url(#{clip})"),
        *_end_labels(chart, x, y, frame, room=int((width - frame[1] - 11) / _LETTER)),
        class_="chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"{identity}-title {identity}-desc",
    )


def _axes(x: Scale, y: Scale, frame: tuple[int, int, int, int], axis: Axis) -> Iterable[Markup]:
    left, right, bottom, _ = frame
    for value in y.ticks:
        at = float(y(value))
        yield tag("line", class_="grid", x1=left, x2=right, y1=at, y2=at)
        yield tag("text", tick(value), class_="tick y", x=left - 7, y=at, dy="0.32em")
    for value in x.ticks:
        if float(value).is_integer():
            yield tag("text", axis.text(round(value)), class_="tick x", x=float(x(value)), y=bottom + 18)
    yield tag("text", axis.title, class_="unit", x=right + 18, y=bottom + 18)
    yield tag("line", class_="axis", x1=left, x2=right, y1=bottom, y2=bottom)


def _floor(chart: Chart, y: Scale, frame: tuple[int, int, int, int]) -> Iterable[Markup]:
    if not chart.floor:
        return
    left, right, _, _ = frame
    mid, low, high = (float(v) for v in y(np.array(chart.floor)))
    if np.isnan(mid):
        return
    if not np.isnan(low) and low - high > 1:
        yield tag("rect", class_="floor-band", x=left, width=right - left, y=high, height=round(low - high, 1))
    yield tag("line", class_="floor", x1=left, x2=right, y1=mid, y2=mid)


def _line(line: Line, x: Scale, y: Scale, few: bool) -> Iterable[Markup]:
    series, look = line.series, line.look
    px, py = x(series.generation), y(series.mean)
    low = np.where(np.isnan(y(series.low)) & np.isfinite(series.low), y.start, y(series.low))  # off a log scale
    yield tag("path", class_=f"band {look.css}", d=band_of(px, low, y(series.high)))
    yield tag("path", class_=f"line {look.css}", d=path_of(px, py), stroke_dasharray=look.dash or None)
    if few:
        yield tag(
            "path",
            class_=f"marks {look.css}",
            d="".join(_marker(look.marker, a, b) for a, b in zip(px, py, strict=True)),
        )


def _marker(shape: str, x: float, y: float, r: float = 2.8) -> str:
    if np.isnan(x) or np.isnan(y):
        return ""
    if shape == "square":
        return f"M{x - r:.1f} {y - r:.1f}h{2 * r}v{2 * r}h{-2 * r}z"
    if shape == "triangle":
        return f"M{x - r * 1.2:.1f} {y + r:.1f}h{2.4 * r:.1f}L{x:g} {y - 1.2 * r:.1f}z"
    if shape == "diamond":
        return f"M{x - 1.3 * r:.1f} {y:g}L{x:g} {y - 1.3 * r:.1f}L{x + 1.3 * r:.1f} {y:g}L{x:g} {y + 1.3 * r:.1f}z"
    return f"M{x - r:.1f} {y:g}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"


def _shortened(text: str, kept: int) -> str:
    """A text cut in its middle: arms often differ in their last word only."""
    if kept >= len(text):
        return text
    head = int((kept - 1) * 0.4)
    return f"{text[:head]}…{text[len(text) - (kept - 1 - head) :]}"


def _end_labels(chart: Chart, x: Scale, y: Scale, frame: tuple[int, int, int, int], room: int) -> Iterable[Markup]:
    _, right, bottom, top = frame
    ends = []
    for line in chart.lines:
        series = line.series
        finite = np.flatnonzero(np.isfinite(y(series.mean)))
        if len(finite):
            ends.append((line, float(x(series.generation[finite[-1]])), float(y(series.mean[finite[-1]]))))
    places = spread_labels([min(max(end[2], top), bottom) for end in ends], top, bottom - 4)
    for (line, px, py), at in zip(ends, places, strict=True):
        if abs(at - py) > 3 or px < right - 1:
            yield tag("path", class_=f"leader {line.look.css}", d=f"M{px + 4:g} {py:g}L{right + 8:g} {at:g}")
        text = _shortened(line.label, max(room, 4))
        yield tag("text", text, class_=f"end {line.look.css}", x=right + 11, y=round(at, 1), dy="0.32em")
