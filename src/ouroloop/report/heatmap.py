"""A study's axis against the option in which its arms differ: a metric as a picture, with the line where it turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.report.axis import Axis
from ouroloop.report.load import Arm, Results
from ouroloop.report.metric_names import describe
from ouroloop.report.series import forecasts_of, series_of
from ouroloop.report.wording import tick

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LEVELS", "Heatmap", "draw_heatmap", "heatmap_of"]

LEVELS = {"factor": 1.0, "accuracy": 0.5}
"""Metrics of which a picture is drawn, and the value at which they turn (stable or not, better than chance or not)."""
_FEWEST = 4  # rows of a picture
_DASHES = ("-", ":", "--", "-.")


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A metric over the axis (columns) and an option (rows), float64 (rows, columns); NaN where not measured.

    Args:
        option: in which the arms differ; `rows` are its values as texts, rising.
        measured: means over seeds.
        forecasts: label -> the same by a forecast that all rows have; infinite where it says nothing.
    """

    metric: str
    axis: Axis
    option: str
    rows: tuple[str, ...]
    measured: np.ndarray
    forecasts: Mapping[str, np.ndarray]


def heatmap_of(results: Results, metric: str) -> Heatmap | None:
    """The picture of a metric, or None: it was not measured, the axis is the generation, fewer than 4 arms differ in
    one option, or there is no line to draw, as everything lies on one side of the metric's level."""
    if not results.axis.texts or metric not in LEVELS:
        return None
    option, arms = _ladder(results.arms)
    if len(arms) < _FEWEST:
        return None
    columns = len(results.axis.texts)
    measured = np.full((len(arms), columns), np.nan)
    laws: list[dict[str, np.ndarray]] = []
    for row, (_, arm) in enumerate(arms):
        series = series_of(arm, metric)
        if series is not None:
            measured[row, series.generation] = series.mean
        laws.append(
            {law.label: np.where(np.isfinite(law.values), law.values, np.inf) for law in forecasts_of(arm, metric)}
        )
    if not np.isfinite(measured).any():
        return None
    shared = [label for label in laws[0] if all(len(law.get(label, ())) == columns for law in laws)]
    forecasts = {label: np.stack([law[label] for law in laws]) for label in shared}
    if not any(_turns(values, LEVELS[metric]) for values in (measured, *forecasts.values())):
        return None
    return Heatmap(metric, results.axis, option, tuple(tick(value) for value, _ in arms), measured, forecasts)


def _turns(values: np.ndarray, level: float) -> bool:
    """Whether values lie on both sides of a level."""
    return bool((values > level).any() and (values < level).any())


def _ladder(arms: Sequence[Arm]) -> tuple[str, list[tuple[float, Arm]]]:
    """The option in which most arms differ and nothing else does, and those arms with its values, rising."""
    best: tuple[str, list[tuple[float, Arm]]] = ("", [])
    specs = [dict(arm.runs[0].spec.get("experiment") or {}) for arm in arms]
    for option in dict.fromkeys(name for spec in specs for name in spec):
        groups: dict[str, dict[float, Arm]] = {}
        for arm, spec in zip(arms, specs, strict=True):
            value = spec.get(option)
            if isinstance(value, int | float) and not isinstance(value, bool):
                others = repr({k: v for k, v in spec.items() if k != option})
                groups.setdefault(others, {}).setdefault(float(value), arm)
        for members in groups.values():
            if len(members) > len(best[1]):
                best = (option, sorted(members.items(), key=lambda item: item[0]))
    return best


def draw_heatmap(picture: Heatmap, figure: Figure) -> None:
    """Draw it: the measured metric in colour, the level's line as measured and by every forecast."""
    level = LEVELS[picture.metric]
    axes = figure.subplots()
    reach = np.nanmax(np.abs(picture.measured - level))
    limits = {"vmin": max(level - reach, 0.0), "vmax": level + reach, "cmap": "RdYlBu_r" if level == 1.0 else "RdYlBu"}
    mesh = axes.pcolormesh(picture.measured, shading="flat", rasterized=True, **limits)
    for (label, values), dash in zip(
        [("measured", picture.measured), *picture.forecasts.items()], _DASHES, strict=False
    ):
        colour, width = ("w", 3.0) if label == "measured" else ("k", 1.2)
        _contour(axes, _bounded(values, level), level, f"{label}: {picture.metric} {tick(level)}", colour, dash, width)
    for set_ticks, texts in ((axes.set_xticks, picture.axis.texts), (axes.set_yticks, picture.rows)):
        every = -(-len(texts) // 12)
        set_ticks(np.arange(len(texts))[::every] + 0.5, texts[::every])
    axes.set(xlabel=picture.axis.title, ylabel=picture.option.replace("_", " "))
    axes.set_title(describe(picture.metric).title, loc="left")
    figure.colorbar(mesh)
    figure.legend(loc="outside lower center", ncols=1, facecolor="0.8", frameon=True)


def _bounded(values: np.ndarray, level: float) -> np.ndarray:
    """Within a factor of ten of the level, so that a line is placed between two cells by their finite values."""
    return np.clip(np.nan_to_num(values, nan=level, posinf=np.inf), level / 10.0, level * 10.0)


def _contour(axes: Any, values: np.ndarray, level: float, label: str, colour: str, dash: str, width: float) -> None:
    if values.min() < level < values.max():
        middles = (np.arange(values.shape[1]) + 0.5, np.arange(values.shape[0]) + 0.5)
        axes.contour(
            *middles, np.log(values), levels=[np.log(level)], colors=colour, linestyles=[dash], linewidths=width
        )
        axes.plot([], [], color=colour, ls=dash, lw=width, label=label)
