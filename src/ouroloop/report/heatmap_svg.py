"""A heatmap as inline SVG: cells in colour, and lines that part those above a level from those below."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ouroloop.report.draw import tag
from ouroloop.report.heatmap import LEVELS, Heatmap
from ouroloop.report.metric_names import describe
from ouroloop.report.wording import number, tick

__all__ = ["Picture", "picture_of", "stairs"]

_LOW, _MIDDLE, _HIGH = np.array([[49, 96, 166], [250, 245, 200], [178, 46, 38]], float)  # blue, pale, red
_LEFT, _TOP, _WIDTH, _ROW, _BOTTOM = 74, 8, 520, 24, 34
_LABELS = 12  # at most so many ticks


@dataclass(frozen=True, eq=False)
class Picture:
    """What the page shows of a heatmap: `title`, the picture itself, its lines' labels, a sentence on the colours."""

    title: str
    svg: Markup
    lines: tuple[tuple[str, str], ...]
    words: str


def picture_of(heatmap: Heatmap, identity: str) -> Picture:
    """The picture, with the value of each cell in its tooltip.

    Args:
        heatmap: what is drawn.
        identity: prefix of the ids in the SVG, unique on the page.
    """
    level, title = LEVELS[heatmap.metric], describe(heatmap.metric).title
    rows, columns = heatmap.measured.shape
    step, bottom = _WIDTH / columns, _TOP + _ROW * rows
    option = heatmap.option.replace("_", " ")
    named = [("measured", heatmap.measured), *heatmap.forecasts.items()]
    kinds = [f"edge e{min(place, 3)}" for place in range(len(named))]
    edges = [
        tag("path", class_=kind, d=stairs(values, level, left=_LEFT, top=_TOP, width=step, height=_ROW))
        for kind, (_, values) in zip(kinds, named, strict=True)
    ]
    svg = tag(
        "svg",
        tag("title", f"{title} by {option} and {heatmap.axis.title}", id=f"{identity}-title"),
        *_cells(heatmap, level, step),
        *edges,
        *_ticks(heatmap, step, bottom),
        tag("text", option, class_="unit", x=0, y=bottom + 32),
        tag("text", heatmap.axis.title, class_="unit last", x=_LEFT + _WIDTH, y=bottom + 32),
        class_="heatmap",
        viewBox=f"0 0 {_LEFT + _WIDTH + 8} {bottom + _BOTTOM + 4}",
        role="img",
        aria_labelledby=f"{identity}-title",
    )
    lines = tuple((kind, f"{label}: {tick(level)}") for kind, (label, _) in zip(kinds, named, strict=True))
    sides = ("blue: below", "red: above") if level == 1.0 else ("red: below", "blue: above")
    return Picture(f"{title} by {option}", svg, lines, f"{sides[0]} {tick(level)}, {sides[1]}; means over seeds")


def stairs(values: np.ndarray, level: float, *, left: float, top: float, width: float, height: float) -> str:
    """The `d` of the borders between cells of `values`, float64 (rows, columns), above a level and those that are not.

    Row 0 is at the bottom. A cell of NaN is on neither side, and has no border.
    """
    rows, above, known = len(values), values > level, ~np.isnan(values)
    parts = []
    for row, column in np.argwhere((above[:, 1:] != above[:, :-1]) & known[:, 1:] & known[:, :-1]):
        x, y = left + (column + 1) * width, top + (rows - 1 - row) * height
        parts.append(f"M{x:g} {y:g}v{height:g}")
    for row, column in np.argwhere((above[1:] != above[:-1]) & known[1:] & known[:-1]):
        x, y = left + column * width, top + (rows - 1 - row) * height
        parts.append(f"M{x:g} {y:g}h{width:g}")
    return "".join(parts)


def _cells(heatmap: Heatmap, level: float, step: float) -> Iterable[Markup]:
    values = heatmap.measured
    heights = values - level
    if level == 1.0:
        with np.errstate(divide="ignore"):  # 0 is as low as can be; below it there is no logarithm
            heights = np.log(values, out=np.full(values.shape, np.nan), where=values >= 0)
    finite = np.abs(heights[np.isfinite(heights)])
    reach = max(float(finite.max()), 1e-12) if len(finite) else 1.0
    rows = len(values)
    for (row, column), height in np.ndenumerate(heights):
        said = [f"{heatmap.option} {heatmap.rows[row]}, {heatmap.axis.title} {heatmap.axis.texts[column]}: "]
        said.append(number(float(values[row, column])))
        said += [f"; {label} {number(float(law[row, column]))}" for label, law in heatmap.forecasts.items()]
        yield tag(
            "rect",
            tag("title", "".join(said)),
            x=round(_LEFT + column * step, 2),
            y=_TOP + (rows - 1 - row) * _ROW,
            width=round(step + 0.3, 2),  # no seams
            height=_ROW + 0.3,
            fill=_colour(float(height) / reach if level == 1.0 else -float(height) / reach),
        )


def _colour(share: float) -> str:
    """Of a value in -1..1; grey where there is none."""
    if np.isnan(share):
        return "#9a9a9a"
    end = _HIGH if share > 0 else _LOW
    mixed = _MIDDLE + (end - _MIDDLE) * min(abs(share), 1.0) ** 0.6
    return "#" + "".join(f"{round(float(part)):02x}" for part in mixed)


def _ticks(heatmap: Heatmap, step: float, bottom: float) -> Iterable[Markup]:
    rows = len(heatmap.rows)
    for row in range(0, rows, -(-rows // _LABELS)):
        y = _TOP + (rows - 0.5 - row) * _ROW
        yield tag("text", heatmap.rows[row], class_="tick y", x=_LEFT - 7, y=y, dy="0.32em")
    for column in range(0, len(heatmap.axis.texts), -(-len(heatmap.axis.texts) // _LABELS)):
        x = round(_LEFT + (column + 0.5) * step, 2)
        yield tag("text", heatmap.axis.texts[column], class_="tick x", x=x, y=bottom + 16)
