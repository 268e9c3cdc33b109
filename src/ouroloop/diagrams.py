"""Pictures of what theory says: forecast curves, and phase diagrams over two knobs. Nothing here runs a loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.errors import DataError
from ouroloop.estimated_forecasts import EstimatedForecast
from ouroloop.report.axis import GENERATIONS, Axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ouroloop.theory.forecast import Forecast
    from ouroloop.theory.phases import BudgetPhases, LoopPhases

__all__ = ["draw_budget_phases", "draw_forecasts", "draw_loop_phases", "draw_verification_phases"]

_DASHES = {"exact": "-", "asymptotic": (0, (6, 2)), "sufficient bound": (0, (1, 2)), "heuristic": (0, (3, 2, 1, 2))}


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=160)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: the figure cannot be written ({error}); use a name that ends in .png or .pdf"
        ) from error
    return path


def draw_forecasts(forecasts: Mapping[str, Sequence[Forecast]], path: Path, axis: Axis = GENERATIONS) -> Path:
    """One panel a metric, one line an arm and law.

    Args:
        forecasts: arm -> its forecasts.
        path: .png, .pdf or .svg.
        axis: what their values run over.

    Estimated forecasts have a band (95 % of their constants) and dots of what was measured, hollow where held out.
    """
    metrics = list(dict.fromkeys(f.metric for found in forecasts.values() for f in found))
    if not metrics:
        raise DataError("no closed form is implemented for this specification: there is nothing to draw")
    columns = min(2, len(metrics))
    rows = -(-len(metrics) // columns)
    figure = _figure(4.6 * columns, 2.9 * rows)
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, metric in zip(grid, metrics, strict=False):
        for number, (arm, found) in enumerate(forecasts.items()):
            for law in (f for f in found if f.metric == metric):
                shown = np.where(np.isfinite(law.values), law.values, np.nan)
                label = law.label if len(forecasts) == 1 else f"{arm}: {law.label}"
                colour = f"C{number % 10}"
                axes.plot(shown, color=colour, ls=_DASHES[law.validity], lw=1.4, label=f"{label} ({law.validity})")
                if isinstance(law, EstimatedForecast):
                    _estimated(axes, law, colour)
        axes.set_title(metric.replace("_", " "), loc="left", fontsize=9)
        axes.set_xlabel(axis.title, fontsize=8)
        if axis.texts:
            axes.set_xticks(range(len(axis.texts)), axis.texts)
        axes.tick_params(labelsize=7)
        axes.legend(fontsize=6, frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid[len(metrics) :]:
        axes.set_axis_off()
    return _save(figure, path)


def _estimated(axes: Axes, law: EstimatedForecast, colour: str) -> None:
    """The interval of an estimated curve, and what was measured: filled where it was fitted."""
    axes.fill_between(np.arange(len(law.low)), law.low, law.high, color=colour, alpha=0.18, lw=0)
    if law.measured is None:
        return
    t = np.arange(len(law.measured))
    for here, face in ((t <= law.fitted, colour), (t > law.fitted, "none")):
        axes.scatter(t[here], law.measured[here], s=12, facecolors=face, edgecolors=colour, linewidths=0.8)


def draw_loop_phases(
    path: Path, phases: LoopPhases, *, ratio: float, budget: float, generations: int, sampler_distortion: float
) -> Path:
    """Synthetic ratio x correction strength: how fast the loop contracts, where it is stable and within a budget.

    Args:
        path: .png, .pdf or .svg.
        phases: `phases.loop_phases` of these generations and this sampler.
        ratio: the user's own ratio, marked by a line.
        budget: risk of fixed_real, over that of the real data, that no generation up to the last may exceed.
        generations: the last one. sampler_distortion: s^2 of the sampler.
    """
    x, y = np.meshgrid(phases.ratios, phases.strengths)
    figure = _figure(5.6, 4.2)
    axes = figure.subplots()
    shown = np.clip(phases.radius, 0.0, 2.0)
    mesh = axes.pcolormesh(x, y, shown, cmap="RdYlBu_r", vmin=0.0, vmax=2.0, shading="auto", rasterized=True)
    _line(axes, x, y, phases.margin, 0.0, "k", ":", "certified to the left (sufficient)")
    _line(axes, x, y, phases.radius, 1.0, "k", "-", "unstable to the right (exact)")
    label = f"fixed_real within {budget:.3g} times the risk for {generations} generations (many rows): above"
    _line(axes, x, y, phases.worst, budget, "tab:green", "-.", label)
    if ratio:
        axes.axvline(ratio, color="tab:blue", lw=1, label=f"synthetic_ratio {ratio:g}")
    axes.set(xscale="log", yscale="log", xlabel="synthetic_ratio", ylabel="correction_strength")
    axes.set_title(f"error's factor a generation, sampler distortion s² = {sampler_distortion:g}", fontsize=9)
    figure.colorbar(mesh, label="spectral radius (2: two or more)")
    figure.legend(loc="outside lower center", fontsize=7, frameon=False, ncols=2)
    return _save(figure, path)


def draw_budget_phases(
    path: Path, phases: BudgetPhases, budget: float, *, ratio: float, generations: int, rows: float | None = None
) -> Path:
    """Synthetic ratio x generation, a panel a regime: the risk, and where it leaves the budget.

    Args:
        path: .png, .pdf or .svg.
        phases: `phases.budget_phases` of four regimes.
        budget: allowed risk over that of the real data alone.
        ratio, generations: the user's, marked by a dot.
        rows: the most that can be trained on, per real row.
    """
    from matplotlib.colors import TwoSlopeNorm

    x, y = np.meshgrid(phases.ratios, phases.generations)
    figure = _figure(7.6, 6.2)
    grid = figure.subplots(2, 2, sharex=True, sharey=True)
    panels, mesh, norm = grid.ravel(), None, TwoSlopeNorm(1.0, 0.5, 3.0)  # blue: better than the real data alone
    for axes, (regime, values) in zip(panels, phases.risk.items(), strict=True):
        shown = np.clip(values, 0.5, 3.0)
        mesh = axes.pcolormesh(x, y, shown, cmap="RdYlBu_r", norm=norm, shading="auto", rasterized=True)
        _line(axes, x, y, values, budget, "k", "-", f"budget {budget:.3g}")
        if rows is not None:
            label = f"{rows:.3g} rows trained on per real row"
            _line(axes, x, y, phases.trained[regime], rows, "tab:green", "--", label)
        if ratio:
            axes.plot([ratio], [generations], "o", color="tab:blue", mec="w", label="yours")
        axes.set_title(regime, loc="left", fontsize=9)
        axes.set(xscale="log", yscale="log", ylim=(1.0, phases.generations[-1]))
        axes.tick_params(labelsize=7)
    for axes in grid[1]:
        axes.set_xlabel("synthetic_ratio", fontsize=8)
    for axes in grid[:, 0]:
        axes.set_ylabel("generation", fontsize=8)
    figure.suptitle("risk over that of the real data alone", fontsize=9)
    if mesh is not None:
        figure.colorbar(mesh, ax=panels.tolist(), label="risk (3: three or more)")
    found = {text: line for axes in panels for line, text in zip(*axes.get_legend_handles_labels(), strict=True)}
    figure.legend(list(found.values()), list(found), loc="outside lower center", fontsize=7, frameon=False, ncols=3)
    return _save(figure, path)


def draw_verification_phases(path: Path, accuracy: np.ndarray, grid: Mapping[str, np.ndarray], **marks: Any) -> Path:
    """Label noise x keep_wrong: the accuracy that training on verified synthetic data reaches.

    Args:
        path: .png, .pdf or .svg.
        accuracy: float64 (len(keep_wrong), len(label_noise)).
        grid: "label_noise" and "keep_wrong", the axes' values.
        marks: baseline (accuracy of the real data alone), wanted (accuracy), keep_correct, and label_noise, keep_wrong
            of the user.
    """
    noise, wrong = grid["label_noise"], grid["keep_wrong"]
    x, y = np.meshgrid(noise, wrong)
    figure = _figure(5.6, 4.2)
    axes = figure.subplots()
    mesh = axes.pcolormesh(x, y, accuracy, cmap="RdYlBu", vmin=0.0, vmax=1.0, shading="auto", rasterized=True)
    boundary = marks["keep_correct"] / np.maximum(marks["keep_correct"] + y, 1e-12) - x
    _line(axes, x, y, boundary, 0.0, "k", "-", "p*: beyond it kept labels mislead")
    if marks.get("baseline") is not None:
        _line(
            axes,
            x,
            y,
            accuracy,
            marks["baseline"],
            "tab:blue",
            "--",
            f"as good as real data alone ({marks['baseline']:.3f})",
        )
    if marks.get("wanted") is not None:
        _line(axes, x, y, accuracy, marks["wanted"], "tab:green", "-.", f"accuracy {marks['wanted']:g}")
    if marks.get("label_noise") is not None and marks.get("keep_wrong") is not None:
        axes.plot([marks["label_noise"]], [marks["keep_wrong"]], "o", color="tab:blue", label="yours")
    axes.set(xlabel="label_noise", ylabel="keep_wrong")
    axes.set_title(f"test accuracy, keep_correct = {marks['keep_correct']:g}", fontsize=9)
    figure.colorbar(mesh, label="accuracy")
    figure.legend(loc="outside lower center", fontsize=7, frameon=False, ncols=3)
    return _save(figure, path)


def _line(
    axes: Axes, x: np.ndarray, y: np.ndarray, values: np.ndarray, level: float, colour: str, dash: str, label: str
) -> None:
    """A level line with an entry in the legend, where it crosses the picture."""
    known = np.where(np.isfinite(values), values, np.nan)
    if np.isfinite(known).any() and np.nanmin(known) < level < np.nanmax(known):
        axes.contour(x, y, known, levels=[level], colors=[colour], linestyles=[dash], linewidths=1.3)
        axes.plot([], [], color=colour, ls=dash, lw=1.3, label=label)
