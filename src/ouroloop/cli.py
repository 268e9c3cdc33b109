"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from ouroloop import __version__, loop_commands, result_commands, theory_commands
from ouroloop.cli_options import Set, complete_correctors, complete_families, interruptible
from ouroloop.errors import OuroloopError

__all__ = ["app", "main"]

app = typer.Typer(
    name="ouroloop",
    help="Run, correct, measure and forecast self-consuming training loops.",
    epilog="Start with: ouroloop demo",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def main() -> None:
    """Entry point: errors of ours become one clear message and exit code 1."""
    try:
        app()
    except (OuroloopError, OSError) as error:
        print("\n".join([f"error: {error}", *getattr(error, "__notes__", ())]), file=sys.stderr)
        sys.exit(1)


def _version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Run, correct, measure and forecast self-consuming training loops."""


loop_commands.register(app)
result_commands.register(app)


@app.command(epilog="Example:  ouroloop parts correctors")
def parts(
    family: Annotated[
        str, typer.Argument(help="One family; default: all, without options.", autocompletion=complete_families)
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
        str, typer.Option(help="A corrector's name; see: ouroloop parts correctors", autocompletion=complete_correctors)
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

        with interruptible(), LiveCount("motions") as live, listening(live.listen):
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
