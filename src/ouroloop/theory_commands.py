"""Commands that ask the theory, before anything is trained: forecast, plan, estimate, verify-data."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ouroloop.cli_options import Set
from ouroloop.console_tables import number_text, print_tables, text_table
from ouroloop.errors import SpecError
from ouroloop.plan_command import EXAMPLES, plan

if TYPE_CHECKING:
    from ouroloop.estimated_forecasts import EstimatedForecast
    from ouroloop.report.axis import Axis
    from ouroloop.theory.forecast import Forecast

__all__ = ["register"]

Picture = Annotated[Path | None, typer.Option("--out", "-o", help="Also draw it: .png, .pdf or .svg.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command(
        epilog="Examples:  ouroloop forecast spec.yaml  |  ouroloop forecast scsc-gaussian -o forecast.png  |  "
        "ouroloop forecast --from runs/mine --set regime.synthetic_ratio=3",
    )(forecast)
    app.command(epilog=EXAMPLES)(plan)
    app.command(epilog="Example:  ouroloop estimate runs/demo --fit 5")(estimate)
    app.command(
        name="verify-data",
        epilog="Examples:  ouroloop verify-data checked.csv --truth right_label  |  "
        "ouroloop verify-data runs/mine --sheet checked.csv",
    )(verify_data)


def forecast(
    spec: Annotated[
        str | None,
        typer.Argument(
            help="A YAML specification, a YAML study, or a bundled study's name. With --from: else the run's own.",
            show_default=False,
        ),
    ] = None,
    from_: Annotated[
        Path | None, typer.Option("--from", help="Also by constants estimated from this run's first generations.")
    ] = None,
    fit: Annotated[
        int | None, typer.Option(min=4, help="With --from: generations to estimate from. Default: half.")
    ] = None,
    out: Picture = None,
    set_: Set = None,
    cache: Annotated[Path | None, typer.Option(envvar="OUROLOOP_CACHE", help="Folder for downloads.")] = None,
) -> None:
    """Say what mathematics predicts for a specification: curves, how far they can be trusted, and their source."""
    from ouroloop.estimated_forecasts import estimated_forecasts
    from ouroloop.forecasting import axis_of, forecasts_of, targets_of
    from ouroloop.report.axis import GENERATIONS

    if spec is None and from_ is None:
        raise SpecError("forecast: give a specification, or --from RUN; try: ouroloop forecast scsc-gaussian")
    found: dict[str, list[Forecast]] = {}
    axis = GENERATIONS if spec is None else axis_of(spec, set_ or [])
    if spec is not None:
        found = forecasts_of(spec, set_ or [], cache=cache)
    if from_ is not None:
        targets = None if spec is None else targets_of(spec, set_ or [], cache=cache)
        for arm, laws in estimated_forecasts(from_, targets, overrides=set_ or [], fit=fit).items():
            found.setdefault(arm, []).extend(laws)
    if not any(found.values()):
        print("no closed form is implemented for this loop; run it, then: ouroloop estimate RUN")
        return
    _print_forecasts(found, axis)
    if out is not None:
        from ouroloop.diagrams import draw_forecasts

        print(f"figure: {draw_forecasts(found, out, axis)}")


def _print_forecasts(found: dict[str, list[Forecast]], axis: Axis) -> None:
    from rich.markup import escape

    from ouroloop.estimated_forecasts import EstimatedForecast

    notes: dict[str, None] = {}
    for arm, laws in found.items():
        if not laws:
            continue
        shown = _generations(laws)
        heads = [escape(axis.at(t)) if axis.texts else f"t = {t}" for t in shown]
        table = text_table(escape(arm) or "forecast", "metric", "law", "validity", *heads)
        for law in laws:
            table.add_row(law.metric, escape(law.label), law.validity, *(_cell(law, t) for t in shown))
            said = law.note or "no assumptions beyond the specification"
            if isinstance(law, EstimatedForecast):  # what it assumes is said once, its constants for every arm
                notes[f"{law.label}: {said}"] = None
                notes[f"  {arm + ': ' if len(found) > 1 else ''}{law.metric}: {law.source}{_tested(law)}"] = None
            else:
                notes[f"{law.metric}, {law.label}: {said}. {law.source}"] = None
        print_tables(table)
    print("\n".join(notes))


def _cell(law: Forecast, t: int) -> str:
    from ouroloop.estimated_forecasts import EstimatedForecast

    value = number_text(law.values[t]) if t < len(law.values) else number_text(math.nan)
    if not isinstance(law, EstimatedForecast) or t >= len(law.values):
        return value
    return f"{value}\n{law.low[t]:.3g} to {law.high[t]:.3g}"


def _tested(law: EstimatedForecast) -> str:
    """The error on the generations of the run that were not fitted, where it is this loop's run."""
    tested = law.held_out()
    if tested is None:
        return ""
    error, naive, count = tested
    return f"; error on {count} held-out generations (RMS) {error:.3g}, {naive:.3g} if nothing changed"


def _generations(laws: list[Forecast]) -> list[int]:
    last = max((len(law.values) for law in laws), default=1) - 1
    steps = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000) if t < last]
    return sorted({0, last, *steps[-6:]})


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

    from ouroloop.estimation import distortions, error_ratio, estimate_runs

    columns = (
        "arm",
        "metric",
        "generations fitted",
        "q (95 %)",
        "limit",
        "predicted at the end",
        "measured",
        "RMS error",
    )
    title = "change shrinks by the factor q a generation; error (RMS) over all generations after the fit"
    table = text_table(title, *columns, "if nothing changed")
    rows = list(estimate_runs(runs, fit=fit, metric=metric))
    for row in rows:
        table.add_row(escape(row.arm), escape(row.metric), *row.cells())
    print_tables(table)
    print(error_ratio(rows))
    known = list(distortions(runs))
    if known:
        print(
            "sampler distortion of generation 0; see: ouroloop plan --sampler-distortion, ouroloop forecast --from RUN"
        )
        table = text_table("", "arm", "s²", "95 %")
        for arm, rate in known:
            interval = f"{number_text(rate.low)} to {number_text(rate.high)}" if rate.low == rate.low else "unknown"
            table.add_row(escape(arm), number_text(rate.value), interval)
        print_tables(table)


def verify_data(
    data: Annotated[
        Path,
        typer.Argument(help="A small labelled set: .csv .parquet .arrow .npz, or a run directory.", show_default=False),
    ],
    label: Annotated[str, typer.Option(help="Column with the synthetic labels.")] = "label",
    truth: Annotated[str, typer.Option(help="Column with the right labels.")] = "truth",
    kept: Annotated[str, typer.Option(help="Column with the verifier's decision, 1 = kept.")] = "kept",
    confidence: Annotated[float, typer.Option(min=0.5, max=0.999, help="Of the intervals.")] = 0.95,
    sheet: Annotated[
        Path | None, typer.Option(help="Of a run: write its labelled rows here as .csv, with 'truth' to be filled.")
    ] = None,
    generations: Annotated[int | None, typer.Option(min=1, help="Of a run: only the first so many.")] = None,
) -> None:
    """From a few checked rows: how often labels are wrong, how good the verifier is, and whether it will help.

    Source: the proxy procedure of Feng et al., arXiv 2406.07515.
    """
    from ouroloop.estimation import rates_of_file
    from ouroloop.run_verdicts import rates_of_run, write_sheet
    from ouroloop.theory.estimate import advice

    if not data.is_dir() and (sheet is not None or generations is not None):
        raise SpecError(f"{data}: --sheet and --generations need a run directory")
    if data.is_dir():
        options = {"--label": label != "label", "--kept": kept != "kept", "--truth": sheet and truth != "truth"}
        given = [name for name, is_given in options.items() if is_given]
        if given:
            what = "its sheet has the column 'truth'" if given == ["--truth"] else "it has its own labels and verdicts"
            raise SpecError(f"{data}: {' and '.join(given)} need a table; this is a run directory, and {what}")
    if sheet is not None:
        print(f"{write_sheet(data, sheet, generations)} rows in {sheet}; fill the column truth, then:")
        print(f"ouroloop verify-data {sheet}")
        return
    if data.is_dir():
        found = rates_of_run(data, truth=truth, generations=generations, confidence=confidence)
    else:
        found = rates_of_file(data, label=label, truth=truth, kept=kept, confidence=confidence)
    table = text_table(f"{found.scope}, {confidence:.0%} intervals", "quantity", "estimate", "low", "high")
    for name, rate in found.rates.table():
        table.add_row(name, f"{rate.value:.4f}", f"{rate.low:.4f}", f"{rate.high:.4f}")
    print_tables(table)
    print(advice(found.rates))
    for drift in found.drifts:
        print(f"warning: {drift}")
    if found.drifts:
        print("what holds on average need not hold at the end; the first generations alone: --generations")
