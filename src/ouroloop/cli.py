"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ouroloop import __version__, theory_commands
from ouroloop.errors import OuroloopError

if TYPE_CHECKING:
    from ouroloop.checks import CheckResult
    from ouroloop.study import Study

__all__ = ["app", "main"]

app = typer.Typer(
    name="ouroloop",
    help="Run, correct, measure and forecast self-consuming training loops.",
    epilog="Start with: ouroloop demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)

Out = Annotated[Path | None, typer.Option("--out", "-o", help="Directory to write to.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a field, for example regime.synthetic_ratio=0.2. Repeatable."),
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes; default: one per core.")]
Cache = Annotated[
    Path | None, typer.Option(envvar="OUROLOOP_CACHE", help="Folder for feature extractors and downloads.")
]
Runs = Annotated[list[Path], typer.Argument(help="Run or study directories.", show_default=False)]


def main() -> None:
    """Entry point: errors of ours become one clear message and exit code 1."""
    try:
        app()
    except (OuroloopError, OSError) as error:
        print("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]), file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C ends a long command with a word on how to go on, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt as stop:
        notes = getattr(stop, "__notes__", ["what was committed is safe: run the same command again to go on"])
        print("; ".join(["interrupted", *notes]), file=sys.stderr)
        raise typer.Exit(130) from stop


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def _studies(incomplete: str) -> list[str]:
    """Completions for the shell; where there is none it goes on with files."""
    from ouroloop.study import study_names

    return _beginning(incomplete, study_names())


def _families(incomplete: str) -> list[str]:
    from ouroloop import registry

    return _beginning(incomplete, registry.FAMILIES)


def _correctors(incomplete: str) -> list[str]:
    from ouroloop import registry

    return _beginning(incomplete, registry.names("correctors"))


def _version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Run, correct, measure and forecast self-consuming training loops."""


def _cache(given: Path | None) -> Path:
    from ouroloop.places import user_cache

    return user_cache() if given is None else given


@app.command(epilog="Example:  ouroloop demo  -o runs/demo")
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


@app.command(epilog="Examples:  ouroloop run spec.yaml  |  ouroloop run spec.yaml --set seed=3 --set generations=20")
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


@app.command(epilog="Example:  ouroloop resume runs/mine --generations 50")
def resume(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    generations: Annotated[int | None, typer.Option(min=0, help="A new last generation, to extend the run.")] = None,
    cache: Cache = None,
) -> None:
    """Go on with a run where it stopped; the result is the same as if it never had."""
    from ouroloop.reproduce import check_resumable

    check_resumable(path)
    _run_loop(path, cache=cache, generations=generations)


@app.command(epilog="Example:  ouroloop fork runs/mine --at 5 -o runs/corrected --set corrector.kind=cluster")
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
    Loop.fork(path, at=at, out=out, cache=_cache(cache), **changes)
    _run_loop(out, cache=cache)


def _run_loop(path: Path, *, cache: Path | None = None, spec: Any = None, generations: int | None = None) -> None:
    from ouroloop.backends.local import CellEvent
    from ouroloop.live import LiveProgress
    from ouroloop.loop import Loop
    from ouroloop.progress import listening
    from ouroloop.report import summary_table

    if spec is not None:
        loop = Loop.from_spec(spec, path, cache=_cache(cache))
    else:
        loop = Loop.resume(path, generations=generations, cache=_cache(cache))
    done = loop.store.generations()
    at = done[-1] if done else -1
    with _interruptible(), LiveProgress(loop.generations + 1) as live:

        def stage(name: str, count: int, total: int) -> None:
            live.listen(CellEvent(path.name, at, loop.generations, name, count, total))

        with listening(stage):
            for info in loop:
                at = info.generation
                live.listen(CellEvent(path.name, at, loop.generations, alarm=info.alarm))
    _print(summary_table([path]))
    print(f"run: {path}\nreport: ouroloop report {path}")


@app.command(
    epilog="Examples:  ouroloop study scsc-gaussian  |  ouroloop study digits --quick  |  ouroloop study my.yaml"
)
def study(
    name: Annotated[
        str, typer.Argument(help="A bundled study, or a YAML file. Without one: a list.", autocompletion=_studies)
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
    from ouroloop.study_files import remove_study

    if not name:
        print("\n".join(study_names()))
        return
    checked = Study.read(name, quick=quick, overrides=set_ or [], with_files=True)
    target = out or Path("runs") / (checked.name + ("-quick" if quick else ""))
    if fresh:
        remove_study(target)
    last = {arm.name: checked.spec(arm, 0).generations for arm in checked.arms}
    total = len(checked.seeds) * (1 + sum(g + 1 for g in last.values()))
    what = "points" if checked.backend == "experiment" else "generations"
    with _interruptible(), LiveProgress(total, what=what) as live:
        results = run_study(checked, target, workers=workers, listener=live.listen, cache=_cache(cache))
    _print(summary_table([target]))
    if results:
        _print(_checks_table(checked, results))
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


def _print(table: Any) -> None:
    from rich.console import Console

    console = Console()
    Console(width=None if console.is_terminal else 160).print(table)


@app.command(epilog="Example:  ouroloop report runs/demo -o demo.html --figures figures/")
def report(
    runs: Runs,
    out: Out = None,
    figures: Annotated[Path | None, typer.Option(help="Also write PNG and PDF figures into this folder.")] = None,
) -> None:
    """Write one self-contained HTML page (and figures) from run or study directories."""
    from ouroloop.report import write_figures, write_report

    print(write_report(runs, out or runs[0] / "report.html"))
    if figures is not None:
        for path in write_figures(runs, figures):
            print(path)


@app.command(epilog="Example:  ouroloop compare runs/demo/no-correction runs/demo/cluster -o compare.html")
def compare(
    runs: Runs,
    out: Out = None,
    baseline: Annotated[str | None, typer.Option(help="Arm to compare with; default: the real-only control.")] = None,
) -> None:
    """Compare runs or arms, paired by seed, in a table and a report."""
    from ouroloop.report import difference_table, write_report

    _print(difference_table(runs, baseline))
    print(write_report(runs, out or Path("compare.html"), baseline=baseline))


@app.command(epilog="Example:  ouroloop verify runs/demo")
def verify(runs: Runs) -> None:
    """Check every file of a run against its checksums; exit code 1 if anything is wrong."""
    from ouroloop.run_files import find_runs
    from ouroloop.store import RunStore

    bad = 0
    for run_path in [found for path in runs for found in find_runs(path)]:
        problems = RunStore.open(run_path).verify()
        bad += len(problems)
        for problem in problems:
            print(f"{problem.file}: {problem.what}")
        if not problems:
            print(f"{run_path}: ok")
    if bad:
        raise typer.Exit(1)


@app.command(epilog="Example:  ouroloop export runs/mine mine.tar.gz")
def export(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    archive: Annotated[Path, typer.Argument(help="A new file, .tar.gz.", show_default=False)],
) -> None:
    """Pack a run into one file, checked first, to send it to somebody."""
    from ouroloop.archive import export_run

    export_run(path, archive)
    print(archive)


@app.command(name="import", epilog="Example:  ouroloop import mine.tar.gz runs/")
def import_(
    archive: Annotated[Path, typer.Argument(help="A file made by export.", show_default=False)],
    into: Annotated[Path, typer.Argument(help="Folder for the run.")] = Path("runs"),
) -> None:
    """Unpack a run that somebody sent; nothing in the file is trusted, every checksum is verified."""
    from ouroloop.archive import import_run

    print(import_run(archive, into).path)


@app.command(epilog="Examples:  ouroloop render walk.bvh -o walk.gif  |  ouroloop render raw.bvh fixed.bvh -o pair.png")
def render(
    motions: Annotated[list[Path], typer.Argument(help="Motion files: .bvh .npz .npy .amc .txt", show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help="The picture: .png (a strip), .gif or .mp4.")] = Path(
        "motion.gif"
    ),
    size: Annotated[int, typer.Option(min=32, max=2048, help="Pixels of a figure.")] = 320,
    units: Annotated[str | None, typer.Option(help="Unit of length where the file does not say: m, cm, ...")] = None,
) -> None:
    """Draw motions as stick figures, side by side."""
    from ouroloop.motion.files import read_motion
    from ouroloop.motion.mapping import to_humanml3d
    from ouroloop.motion.render import render as draw

    read = [read_motion(path, units=units) for path in motions]
    fps = min(motion.fps for motion in read)
    labels = [motion.name or path.stem for motion, path in zip(read, motions, strict=True)]
    print(draw([to_humanml3d(motion, fps) for motion in read], out, labels=labels, fps=fps, size=size))


@app.command(epilog="Example:  ouroloop parts correctors")
def parts(
    family: Annotated[
        str, typer.Argument(help="One family; default: all, without options.", autocompletion=_families)
    ] = "",
) -> None:
    """List the parts that a specification can name, and a family's options."""
    from ouroloop import registry

    if not family:
        for name in registry.FAMILIES:
            print(f"{name}: {', '.join(registry.names(name))}")
        return
    from ouroloop.options import options_model

    for name in registry.names(family):
        part = registry.resolve(family, name)
        print(f"{name}: {(part.__doc__ or '').strip().splitlines()[0]}")
        for option, field in options_model(part).model_fields.items():
            default = "required" if field.is_required() else f"default {field.default!r}"
            print(f"    {option}: {field.description or ''} ({default})")


@app.command()
def doctor() -> None:
    """Say what is installed and whether it works here."""
    from ouroloop.doctor import diagnose

    ok = True
    for name, good, text in diagnose():
        ok = ok and good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {text}")
    if not ok:
        raise typer.Exit(1)


@app.command(epilog="Example:  ouroloop cite runs/demo > references.bib")
def cite(runs: Runs) -> None:
    """Print the BibTeX of the works that a run uses."""
    from ouroloop.citations import bibtex_for
    from ouroloop.run_files import find_runs
    from ouroloop.store import RunStore

    found = [path for given in runs for path in find_runs(given)]
    print(bibtex_for([RunStore.open(path).spec for path in found]))


@app.command(
    epilog="Examples:  ouroloop correct pile.npy --real real.npy --corrector nearest_real -o out/  |  "
    "ouroloop correct motions/ --corrector physics -o out/"
)
def correct(
    data: Annotated[
        Path,
        typer.Argument(help="Synthetic rows (.npy .npz .csv .parquet .arrow), or motions: a folder or .bvh .amc .npz."),
    ],
    corrector: Annotated[
        str, typer.Option(help="A corrector's name; see: ouroloop parts correctors", autocompletion=_correctors)
    ],
    real: Annotated[Path | None, typer.Option(help="Real rows, same columns; not needed for motions.")] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the corrected rows and the report.")] = Path(
        "corrected"
    ),
    correction_strength: Annotated[
        float, typer.Option(min=0, help="A row is corrected with probability strength / (1 + strength).")
    ] = float("inf"),
    label: Annotated[str | None, typer.Option(help="Name of the column with class labels.")] = None,
    on_failure: Annotated[str, typer.Option(help="drop or keep_raw rows that the corrector failed on.")] = "drop",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    set_: Set = None,
    format_: Annotated[str, typer.Option("--format", help="Of corrected motions: bvh or npz.")] = "bvh",
    units: Annotated[
        str | None, typer.Option(help="Motions: unit of length where the file does not say: m, cm, ...")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Motions: frames a second where the file does not say.")] = None,
) -> None:
    """Correct or filter a pile of samples or motions, no loop needed, and say what was changed and why."""
    from ouroloop.motion_pile import correct_motions, corrects_motions

    common: dict[str, Any] = {
        "corrector": corrector,
        "out": out,
        "correction_strength": correction_strength,
        "on_failure": on_failure,
        "seed": seed,
        "overrides": set_ or [],
    }
    if corrects_motions(corrector):
        from ouroloop.live import LiveCount
        from ouroloop.progress import listening

        with _interruptible(), LiveCount("motions") as live, listening(live.listen):
            summary = correct_motions(data, units=units, fps=fps, ending=f".{format_}", **common)
    elif real is None:
        raise OuroloopError(f"--real: corrector '{corrector}' needs real rows to compare with; give a file of them")
    else:
        from ouroloop.pile import correct_pile

        summary = correct_pile(data, real=real, label=label, **common)
    print(summary)


theory_commands.register(app)

if __name__ == "__main__":
    main()
