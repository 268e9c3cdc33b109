"""Commands that run loops: demo, run, resume, fork, study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ouroloop.cli_options import Cache, Out, Set, Workers, cache_folder, complete_studies, interruptible, print_table

if TYPE_CHECKING:
    from ouroloop.checks import CheckResult
    from ouroloop.study import Study

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command(epilog="Example:  ouroloop demo  -o runs/demo")(demo)
    app.command(
        epilog="Examples:  ouroloop run spec.yaml  |  ouroloop run spec.yaml --set seed=3 --set generations=20"
    )(run)
    app.command(epilog="Example:  ouroloop resume runs/mine --generations 50")(resume)
    app.command(epilog="Example:  ouroloop fork runs/mine --at 5 -o runs/corrected --set corrector.kind=cluster")(fork)
    app.command(
        epilog="Examples:  ouroloop study scsc-gaussian  |  ouroloop study digits --quick  |  ouroloop study my.yaml"
    )(study)


def demo(
    out: Out = None,
    workers: Workers = None,
    cache: Cache = None,
    quick: Annotated[bool, typer.Option(help="One seed and few generations, about a minute.")] = False,
    fresh: Annotated[bool, typer.Option(help="Start again even if results are there.")] = False,
) -> None:
    """Watch a diffusion model collapse on its own digits, and its corrected twin."""
    default = Path("runs/demo-quick" if quick else "runs/demo")
    study("digits", out=out or default, quick=quick, workers=workers, cache=cache, fresh=fresh)


def run(
    spec: Annotated[Path, typer.Argument(help="A YAML specification.", show_default=False)],
    out: Out = None,
    set_: Set = None,
    cache: Cache = None,
) -> None:
    """Run one specification: one arm, one seed."""
    from ouroloop.spec import Spec, folder_named_by

    checked = Spec.read(spec, set_ or [], with_files=True)
    _run_loop(out or Path("runs") / folder_named_by(checked, spec, set_ or []), cache=cache, spec=checked)


def resume(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    generations: Annotated[int | None, typer.Option(min=0, help="A new last generation, to extend the run.")] = None,
    cache: Cache = None,
) -> None:
    """Go on with a run where it stopped; the result is the same as if it never had."""
    from ouroloop.reproduce import check_resumable

    check_resumable(path)
    _run_loop(path, cache=cache, generations=generations)


def fork(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    at: Annotated[int, typer.Option(min=0, help="Last generation to share.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The new run directory.")],
    set_: Set = None,
    cache: Cache = None,
) -> None:
    """Start a new run from a generation of another one, with something changed.

    A part that becomes one of another kind starts from that kind's defaults.
    """
    from ouroloop.loop import Loop
    from ouroloop.reproduce import check_resumable
    from ouroloop.spec import Spec, apply_changes
    from ouroloop.store import RunStore

    check_resumable(path)
    before = RunStore.open(path).spec
    after = Spec.from_mapping(apply_changes(before, set_ or [])).resolved()
    changes = {k: v for k, v in after.items() if v != before.get(k)}
    Loop.fork(path, at=at, out=out, cache=cache_folder(cache), **changes)
    _run_loop(out, cache=cache)


def _run_loop(path: Path, *, cache: Path | None = None, spec: Any = None, generations: int | None = None) -> None:
    from ouroloop.backends.local import CellEvent
    from ouroloop.live import LiveProgress
    from ouroloop.loop import Loop
    from ouroloop.progress import listening
    from ouroloop.report import summary_table

    if spec is not None:
        loop = Loop.from_spec(spec, path, cache=cache_folder(cache))
    else:
        loop = Loop.resume(path, generations=generations, cache=cache_folder(cache))
    done = loop.store.generations()
    at = done[-1] if done else -1
    with interruptible(), LiveProgress(loop.generations + 1) as live:

        def stage(name: str, count: int, total: int) -> None:
            live.listen(CellEvent(path.name, at, loop.generations, name, count, total))

        with listening(stage):
            for info in loop:
                at = info.generation
                live.listen(CellEvent(path.name, at, loop.generations, alarm=info.alarm))
    print_table(summary_table([path]))
    print(f"run: {path}\nreport: ouroloop report {path}")


def study(
    name: Annotated[
        str,
        typer.Argument(help="A bundled study, or a YAML file. Without one: a list.", autocompletion=complete_studies),
    ] = "",
    out: Out = None,
    quick: Annotated[bool, typer.Option(help="A small version: fewer seeds and generations.")] = False,
    set_: Set = None,
    workers: Workers = None,
    cache: Cache = None,
    fresh: Annotated[bool, typer.Option(help="Start again even if results are there.")] = False,
) -> None:
    """Run a study and print paper / expected / measured / verdict."""
    from ouroloop.live import LiveProgress
    from ouroloop.report import summary_table, write_report
    from ouroloop.study import Study, run_study, study_names
    from ouroloop.study_files import check_own, remove_study

    if not name:
        print("\n".join(study_names()))
        return
    checked = Study.read(name, quick=quick, overrides=set_ or [], with_files=True)
    target = out or Path("runs") / (checked.name + ("-quick" if quick else ""))
    if fresh:
        remove_study(target)
    else:
        check_own(checked, target)
    last = {arm.name: checked.spec(arm, 0).generations for arm in checked.arms}
    total = len(checked.seeds) * (1 + sum(g + 1 for g in last.values()))
    what = "points" if checked.backend == "experiment" else "generations"
    with interruptible(), LiveProgress(total, what=what) as live:
        results = run_study(checked, target, workers=workers, listener=live.listen, cache=cache_folder(cache))
    print_table(summary_table([target]))
    if results:
        print_table(_checks_table(checked, results))
    print(f"report: {write_report([target], target / 'report.html')}")


def _checks_table(checked: Study, results: list[CheckResult]) -> Any:
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=f"{checked.name}: what was expected, and what was found", title_justify="left")
    for column in ("statement", "paper", "expected", "measured", "verdict"):
        table.add_column(column, overflow="fold")
    colours = {"holds": "green", "fails": "red", "not measured": "yellow"}
    for r in results:
        cells = (escape(text) for text in (r.statement, r.paper, r.expected, f"{r.measured} ({r.note})"))
        table.add_row(*cells, f"[{colours[r.verdict]}]{r.verdict}[/]")
    return table
