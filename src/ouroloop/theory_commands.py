"""Commands that ask the theory, before anything is trained: forecast, plan, estimate, verify-data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ouroloop.theory.forecast import Forecast

__all__ = ["register"]

Set = Annotated[
    list[str] | None, typer.Option("--set", help="Override a field, for example generations=50. Repeatable.")
]
Picture = Annotated[Path | None, typer.Option("--out", "-o", help="Also draw it: .png, .pdf or .svg.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command(
        epilog="Examples:  ouroloop forecast spec.yaml  |  ouroloop forecast scsc-gaussian -o forecast.png",
    )(forecast)
    app.command(
        epilog="Examples:  ouroloop plan --budget 1.5 --generations 20  |  "
        "ouroloop plan --n-real 500 --dimension 20 --label-noise 0.2 --keep-wrong 0.3",
    )(plan)
    app.command(epilog="Example:  ouroloop estimate runs/demo --fit 5")(estimate)
    app.command(
        name="verify-data",
        epilog="Example:  ouroloop verify-data checked.csv --label label --truth truth --kept kept",
    )(verify_data)


def _print(*tables: Any) -> None:
    from rich.console import Console

    console = Console()
    wide = Console(width=None if console.is_terminal else 160)
    for table in tables:
        wide.print(table)


def _table(title: str, *columns: str) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def forecast(
    spec: Annotated[str, typer.Argument(help="A YAML specification, a YAML study, or a bundled study's name.")],
    out: Picture = None,
    set_: Set = None,
    cache: Annotated[Path | None, typer.Option(envvar="OUROLOOP_CACHE", help="Folder for downloads.")] = None,
) -> None:
    """Say what mathematics predicts for a specification: curves, how far they can be trusted, and their source."""
    from rich.markup import escape

    from ouroloop.forecasting import axis_of, forecasts_of

    found = forecasts_of(spec, set_ or [], cache=cache)
    if not any(found.values()):
        print("no closed form is known for this generator, regime and corrector; run it, then: ouroloop estimate RUN")
        return
    notes: dict[str, None] = {}
    axis = axis_of(spec, set_ or [])
    for arm, laws in found.items():
        shown = _generations(laws)
        heads = [escape(axis.at(t)) if axis.texts else f"t = {t}" for t in shown]
        table = _table(escape(arm) or "forecast", "metric", "law", "validity", *heads)
        for law in laws:
            table.add_row(law.metric, escape(law.label), law.validity, *(_number(law.values[t]) for t in shown))
            notes[
                f"{law.metric}, {law.label}: {law.note or 'no assumptions beyond the specification'}. {law.source}"
            ] = None
        _print(table)
    print("\n".join(notes))
    if out is not None:
        from ouroloop.diagrams import draw_forecasts

        print(f"figure: {draw_forecasts(found, out, axis)}")


def _generations(laws: list[Forecast]) -> list[int]:
    last = max((len(law.values) for law in laws), default=1) - 1
    steps = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t < last]
    return sorted({0, last, *steps[-6:]})


def _number(value: float) -> str:
    import math

    return f"{value:.4g}" if math.isfinite(value) else ("∞" if value > 0 else "–")


def plan(
    budget: Annotated[float, typer.Option(min=1.0, help="Allowed risk over that of the real data alone.")] = 1.5,
    generations: Annotated[int, typer.Option(min=1, help="Generations that must stay within the budget.")] = 10,
    synthetic_ratio: Annotated[float, typer.Option(min=0, help="Synthetic per real row that you would mix in.")] = 1.0,
    correction_strength: Annotated[float, typer.Option(min=0, help="Of a corrector as good as real data.")] = 0.0,
    sampler_distortion: Annotated[
        float, typer.Option(help="s²: by what your sampler inflates variance; see: ouroloop estimate")
    ] = 1.0,
    n_real: Annotated[int | None, typer.Option(min=1, help="Real labelled rows: plan for a classifier too.")] = None,
    dimension: Annotated[int, typer.Option(min=1, help="Features of that classifier.")] = 100,
    signal: Annotated[float, typer.Option(min=0, help="Half the distance between its classes, in noise units.")] = 1.0,
    label_noise: Annotated[float, typer.Option(min=0, max=1, help="Share of wrong synthetic labels.")] = 0.1,
    keep_correct: Annotated[float, typer.Option(min=0, max=1, help="Verifier: share of right labels kept.")] = 1.0,
    keep_wrong: Annotated[float, typer.Option(min=0, max=1, help="Verifier: share of wrong labels kept.")] = 1.0,
    ridge: Annotated[float, typer.Option(min=0, help="Ridge of the classifier.")] = 1.0,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the phase diagrams.")] = None,
) -> None:
    """How much synthetic data, under which regime, how strongly corrected, and when it breaks."""
    from ouroloop.theory import planner

    title = f"risk at most {budget:g} times that of the real data, {generations} generations, ratio {synthetic_ratio:g}"
    table = _table(title, "regime", "risk", "breaks at generation", "synthetic_ratio may be", "strength needed", "note")
    for answer in planner.plan(
        budget,
        generations,
        synthetic_ratio,
        correction_strength=correction_strength,
        sampler_distortion=sampler_distortion,
    ):
        strength = "no law known" if answer.strength is None else _number(answer.strength)
        table.add_row(
            answer.regime,
            _number(answer.risk),
            "never" if answer.breaks_at is None and answer.risk == answer.risk else str(answer.breaks_at or "unknown"),
            ", ".join(map(_interval, answer.ratios)) or "none",
            strength,
            answer.note,
        )
    _print(table)
    if out is not None:
        from ouroloop.diagrams import draw_loop_phases

        path = out / "phases-loop.png"
        print(f"figure: {draw_loop_phases(path, sampler_distortion=sampler_distortion, ratio=synthetic_ratio)}")
    if n_real is not None:
        _plan_classifier(n_real, synthetic_ratio, dimension, signal, label_noise, keep_correct, keep_wrong, ridge, out)


def _interval(pair: tuple[float, float]) -> str:
    low, high = pair
    if low == high:
        return f"{low:g}"
    if low == 0.0:
        return "any" if high >= 1e4 else f"up to {high:.3g}"
    return f"{low:.3g} and more" if high >= 1e4 else f"{low:.3g} to {high:.3g}"


def _plan_classifier(
    n_real: int,
    ratio: float,
    dimension: int,
    signal: float,
    label_noise: float,
    keep_correct: float,
    keep_wrong: float,
    ridge: float,
    out: Path | None,
) -> None:
    import numpy as np

    from ouroloop.theory import verification

    def accuracy(n_synthetic: Any, noise: Any = label_noise, wrong: Any = keep_wrong) -> np.ndarray:
        return np.asarray(
            verification.classifier_accuracy(n_real, n_synthetic, dimension, signal, noise, keep_correct, wrong, ridge)
        )

    alone = float(accuracy(0))
    sizes = np.unique(np.concatenate([[0, round(ratio * n_real)], np.geomspace(1, 100, 41) * n_real]).astype(int))
    found = np.array([float(accuracy(int(m))) for m in sizes])
    best = int(found.argmax())
    mine = float(accuracy(round(ratio * n_real)))
    limit = float(np.asarray(verification.p_star(keep_correct, keep_wrong)))
    table = _table(f"classifier of {dimension} features, {n_real} real rows", "question", "answer")
    for question, answer in (
        ("accuracy with real rows alone", f"{alone:.4f}"),
        (f"with {round(ratio * n_real)} synthetic rows (ratio {ratio:g})", f"{mine:.4f}"),
        ("label noise beyond which synthetic labels mislead (p*)", f"{limit:.3f}; yours {label_noise:g}"),
        (
            "best number of synthetic rows, up to 100 per real row",
            f"{sizes[best]} (accuracy {found[best]:.4f})" if found[best] > alone + 5e-5 else "none: they do not help",
        ),
    ):
        table.add_row(question, answer)
    _print(table)
    if out is not None:
        from ouroloop.diagrams import draw_verification_phases

        grid = {"label_noise": np.linspace(0.0, 1.0, 61), "keep_wrong": np.linspace(0.0, 1.0, 61)}
        noise, wrong = np.meshgrid(grid["label_noise"], grid["keep_wrong"])
        picture = accuracy(max(1, round(ratio * n_real)), noise, wrong)
        marks = {"baseline": alone, "keep_correct": keep_correct, "label_noise": label_noise, "keep_wrong": keep_wrong}
        print(f"figure: {draw_verification_phases(out / 'phases-verification.png', picture, grid, **marks)}")


def estimate(
    runs: Annotated[list[Path], typer.Argument(help="Run or study directories.", show_default=False)],
    fit: Annotated[
        int | None, typer.Option(min=4, help="Generations to fit to; the others test. Default: half.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Metric to fit; default: every one that has enough values.")
    ] = None,
) -> None:
    """Fit a loop's contraction factor to its first generations and say how well that predicts the others."""
    from rich.markup import escape

    from ouroloop.estimation import distortions, estimate_runs

    columns = ("arm", "metric", "generations fitted", "q (95 %)", "limit", "predicted at the end", "measured", "error")
    title = "change shrinks by the factor q a generation; tested on the generations after the fit"
    table = _table(title, *columns, "error if nothing changed")
    for row in estimate_runs(runs, fit=fit, metric=metric):
        table.add_row(escape(row.arm), escape(row.metric), *row.cells())
    _print(table)
    known = list(distortions(runs))
    if known:
        table = _table(
            "sampler distortion of generation 0, for: ouroloop plan --sampler-distortion", "arm", "s²", "95 %"
        )
        for arm, rate in known:
            interval = f"{_number(rate.low)} to {_number(rate.high)}" if rate.low == rate.low else "one seed"
            table.add_row(escape(arm), _number(rate.value), interval)
        _print(table)


def verify_data(
    data: Annotated[Path, typer.Argument(help="A small labelled set: .csv .parquet .arrow .npz", show_default=False)],
    label: Annotated[str, typer.Option(help="Column with the synthetic labels.")] = "label",
    truth: Annotated[str, typer.Option(help="Column with the right labels.")] = "truth",
    kept: Annotated[str, typer.Option(help="Column with the verifier's decision, 1 = kept.")] = "kept",
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
) -> None:
    """From a few checked rows: how often labels are wrong, how good the verifier is, and whether it will help.

    Source: the proxy procedure of Feng et al., arXiv 2406.07515.
    """
    from ouroloop.estimation import rates_of_file
    from ouroloop.theory.estimate import advice

    rates = rates_of_file(data, label=label, truth=truth, kept=kept, confidence=confidence)
    table = _table(f"{rates.rows} checked rows, {confidence:.0%} intervals", "quantity", "estimate", "low", "high")
    for name, rate in rates.table():
        table.add_row(name, f"{rate.value:.4f}", f"{rate.low:.4f}", f"{rate.high:.4f}")
    _print(table)
    print(advice(rates))
