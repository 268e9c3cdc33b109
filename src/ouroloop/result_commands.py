"""Commands on what has been run or made: report, compare, verify, export, import, render, cite."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ouroloop.cli_options import Out, Runs, print_table

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add these commands to the application."""
    app.command(epilog="Example:  ouroloop report runs/demo -o demo.html --figures figures/")(report)
    app.command(epilog="Example:  ouroloop compare runs/demo/no-correction runs/demo/cluster -o compare.html")(compare)
    app.command(epilog="Example:  ouroloop verify runs/demo")(verify)
    app.command(epilog="Example:  ouroloop export runs/mine mine.tar.gz")(export)
    app.command(name="import", epilog="Example:  ouroloop import mine.tar.gz runs/")(import_)
    app.command(
        epilog="Examples:  ouroloop render walk.bvh -o walk.gif  |  ouroloop render raw.bvh fixed.bvh -o pair.png"
    )(render)
    app.command(epilog="Example:  ouroloop cite runs/demo > references.bib")(cite)


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


def compare(
    runs: Runs,
    out: Out = None,
    baseline: Annotated[str | None, typer.Option(help="Arm to compare with; default: the real-only control.")] = None,
) -> None:
    """Compare runs or arms, paired by seed, in a table and a report."""
    from ouroloop.report import difference_table, write_report

    print_table(difference_table(runs, baseline))
    print(write_report(runs, out or Path("compare.html"), baseline=baseline))


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


def export(
    path: Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.", show_default=False)],
    archive: Annotated[Path, typer.Argument(help="A new file, .tar.gz.", show_default=False)],
) -> None:
    """Pack a run into one file, checked first, to send it to somebody."""
    from ouroloop.archive import export_run

    export_run(path, archive)
    print(archive)


def import_(
    archive: Annotated[Path, typer.Argument(help="A file made by export.", show_default=False)],
    into: Annotated[Path, typer.Argument(help="Folder for the run.")] = Path("runs"),
) -> None:
    """Unpack a run that somebody sent; nothing in the file is trusted, every checksum is verified."""
    from ouroloop.archive import import_run

    print(import_run(archive, into).path)


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


def cite(runs: Runs) -> None:
    """Print the BibTeX of the works that a run uses."""
    from ouroloop.citations import bibtex_for
    from ouroloop.run_files import find_runs
    from ouroloop.store import RunStore

    found = [path for given in runs for path in find_runs(given)]
    print(bibtex_for([RunStore.open(path).spec for path in found]))
