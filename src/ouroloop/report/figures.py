"""Figures for papers: the report's curves and the last samples as PNG and PDF, from the same data and intervals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.errors import DataError, StoreError
from ouroloop.report.curves import Chart, Guess, charts_of, is_log
from ouroloop.report.draw import domain
from ouroloop.report.estimates import with_estimates
from ouroloop.report.grids import first_previews, images_by_shape
from ouroloop.report.heatmap import draw_heatmap, heatmap_of
from ouroloop.report.images import Tone, as_images, sprite, tone_of
from ouroloop.report.load import Results, load
from ouroloop.report.palette import LIGHT, looks
from ouroloop.report.points import as_points
from ouroloop.report.previews import Preview, kind_of, plan_of, preview_path, read_preview
from ouroloop.report.summary import headline_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["FORMATS", "write_figures"]

FORMATS = ("png", "pdf", "svg")
_MARKERS = {"circle": "o", "square": "s", "triangle": "^", "diamond": "D"}
_DASHES = {"": "-", "7 3": (0, (5, 2)), "2 3": (0, (1, 2)), "9 3 2 3": (0, (6, 2, 1, 2))}
_COLUMN = 3.4  # inches: one column of a two-column page
_LONG = 28  # letters of a label: longer ones stand below one another
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LIGHT["faint"],
    "axes.linewidth": 0.7,
    "xtick.color": LIGHT["soft"],
    "ytick.color": LIGHT["soft"],
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.frameon": False,
    "legend.fontsize": 7,
    "legend.columnspacing": 1.2,
    "legend.handlelength": 1.6,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,  # TrueType, embedded: the text stays text
    "svg.fonttype": "none",
    "svg.hashsalt": "ouroloop",
    "savefig.dpi": 300,
}


def write_figures(paths: Sequence[Path], out_dir: Path, *, formats: Sequence[str] = ("png", "pdf")) -> list[Path]:
    """Write one figure a metric, its picture over axis and option, and one with the last samples of each arm.

    Args:
        paths: run directories, study directories or folders of runs.
        out_dir: the folder for the files, made if need be; files of the same name are replaced.
        formats: of "png", "pdf" and "svg".

    Returns:
        The files, in the order of the report.

    Raises:
        DataError: a format is not known.
        StoreError: a path holds no run, one of its files is truncated, or `out_dir` cannot be written.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise DataError(f"formats {', '.join(unknown) or '(none)'}: expected one or more of {', '.join(FORMATS)}")
    results = with_estimates(load(paths))
    files: list[Path] = []
    with _style():
        names: set[str] = {"samples"}
        for chart in charts_of(results, headline_of(results)):
            name = _file_name(chart.name.name, names)
            files += _save(_chart_figure(chart), Path(out_dir), name, formats)
            picture = heatmap_of(results, chart.name.name)
            if picture is not None:
                figure = _new_figure(_COLUMN, 3.1)
                draw_heatmap(picture, figure)
                files += _save(figure, Path(out_dir), _file_name(f"{name}-grid", names), formats)
        samples = _samples_figure(results)
        if samples is not None:
            files += _save(samples, Path(out_dir), "samples", formats)
    return files


@contextmanager
def _style() -> Iterator[None]:
    import matplotlib as mpl

    with mpl.rc_context(_STYLE):
        yield


def _file_name(metric: str, taken: set[str]) -> str:
    """A file name for any metric name (letters, digits, dot, dash and underscore) that is not taken; it then is."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", metric).strip("._")[:80] or "metric"
    name = next(name for i in range(len(taken) + 1) if (name := f"{plain}-{i + 1}" if i else plain) not in taken)
    taken.add(name)
    return name


def _save(figure: Figure, out_dir: Path, name: str, formats: Sequence[str]) -> list[Path]:
    files = []
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for kind in formats:
            path = out_dir / f"{name}.{kind}"
            metadata = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}.get(kind)  # same data, same bytes
            figure.savefig(path, metadata=metadata)
            files.append(path)
    except OSError as error:
        raise StoreError(f"{out_dir}: the figure '{name}' cannot be written ({error})") from error
    return files


def _new_figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _chart_figure(chart: Chart) -> Figure:
    labels = [line.label for line in chart.lines] + sorted({_guess_label(guess) for guess in chart.guesses})
    columns = 1 if len(chart.lines) <= 4 or max(map(len, labels)) > _LONG else 2
    entries = len(labels) + bool(chart.floor)
    figure = _new_figure(_COLUMN, 2.1 + 0.145 * -(-entries // columns))
    axes = figure.subplots()
    log = is_log(chart)
    if log:
        axes.set_yscale("log")
    axes.set_ylim(*domain(chart, log))
    if chart.floor:
        mid, low, high = chart.floor
        axes.axhspan(low, high, color=LIGHT["floor"], alpha=0.12, lw=0)
        axes.axhline(mid, color=LIGHT["floor"], ls=":", lw=1, label="floor (real against real)")
    for line in chart.lines:
        s, look = line.series, line.look
        marks: dict[str, Any] = (
            {"marker": _MARKERS[look.marker], "ms": 2.6, "mew": 0} if len(s.generation) <= 31 else {}
        )
        axes.fill_between(s.generation, s.low, s.high, color=look.colour, alpha=0.14, lw=0)
        axes.plot(s.generation, s.mean, color=look.colour, ls=_DASHES[look.dash], label=_plain(line.label), **marks)
    for guess in chart.guesses:
        seen = np.where((guess.values > 0) | (not log), guess.values, np.nan)  # a log scale has no place for 0
        axes.plot(guess.generation, seen, color=guess.look.colour, ls=(0, (4, 3)), lw=0.9)
    for label in sorted({_guess_label(guess) for guess in chart.guesses}):
        axes.plot([], [], color=LIGHT["soft"], ls=(0, (4, 3)), lw=0.9, label=label)
    axes.set_xlabel(chart.axis.title)
    axes.set_title(_plain(chart.name.title), loc="left")
    axes.xaxis.get_major_locator().set_params(integer=True)  # type: ignore[attr-defined]
    if chart.axis.texts:
        axes.xaxis.set_major_formatter(
            lambda at, _: chart.axis.text(round(at)) if at in range(chart.generations) else ""
        )
    figure.legend(loc="outside lower center", ncols=columns)
    return figure


def _guess_label(guess: Guess) -> str:
    return _plain(f"{guess.forecast.label or 'forecast'} ({guess.forecast.validity or 'validity not stated'})")


def _plain(text: str) -> str:
    """Text that matplotlib does not read as mathematics."""
    return text.replace("$", r"\$")


def _samples_figure(results: Results) -> Figure | None:
    """Pictures or points of each arm's first seed at its last generation; None where they are neither."""
    plan = plan_of(results)
    shown: list[tuple[int, int, Preview]] = []
    for place, runs in plan.runs.items():
        generations = plan.shown(place, runs[0])
        preview = read_preview(preview_path(runs[0], generations[-1])) if generations else None
        if preview is not None and kind_of(preview) in ("image", "points"):
            shown.append((place, generations[-1], preview))
    if not shown:
        return None
    columns = min(len(shown), 4)
    rows = -(-len(shown) // columns)
    figure = _new_figure(1.75 * columns, 1.95 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    arm_looks = looks(results.arms)
    tones = {shape: tone_of(images) for shape, images in images_by_shape(first_previews(plan)).items()}
    for axes, (place, generation, preview) in zip(grid, shown, strict=False):
        axes.set_title(f"{_plain(results.arms[place].label)}\ngeneration {generation}")
        _draw_samples(axes, preview, arm_looks[place].colour, tones)
    for axes in grid[len(shown) :]:
        axes.set_axis_off()
    _share_limits([axes for axes, (_, _, p) in zip(grid, shown, strict=False) if kind_of(p) == "points"])
    return figure


def _draw_samples(axes: Axes, preview: Preview, colour: str, tones: dict[tuple[int, ...], Tone]) -> None:
    images = as_images(preview.x)
    if images is not None:
        tone = tones.get(images.shape[1:]) or tone_of(images)
        sheet = sprite(images, tone, int(np.ceil(np.sqrt(len(images)))))
        axes.imshow(255 - sheet if tone.ink else sheet, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axes.set_axis_off()
        return
    points = as_points(preview.x)
    if points is not None:
        axes.plot(points[:, 0], points[:, 1], ls="", marker="o", ms=2, mew=0, alpha=0.8, color=colour)


def _share_limits(panels: Sequence[Axes]) -> None:
    """The same square limits in all scatter panels, so that they can be compared."""
    if not panels:
        return
    ends = np.array([(*axes.get_xlim(), *axes.get_ylim()) for axes in panels])
    low, high = ends[:, [0, 2]].min(axis=0), ends[:, [1, 3]].max(axis=0)
    middle, half = (low + high) / 2, float((high - low).max()) / 2
    for axes in panels:
        axes.set(xlim=(middle[0] - half, middle[0] + half), ylim=(middle[1] - half, middle[1] + half), aspect="equal")
