"""What several commands share: options, completions for the shell, tables, and how they end when interrupted."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

__all__ = [
    "Cache",
    "Out",
    "Runs",
    "Set",
    "Workers",
    "cache_folder",
    "complete_correctors",
    "complete_families",
    "complete_studies",
    "interruptible",
    "print_table",
]

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


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends a long command with a word on how to go on, and exit code 130."""
    try:
        yield
    except KeyboardInterrupt as stop:
        notes = getattr(stop, "__notes__", ["what was committed is safe: run the same command again to go on"])
        print("; ".join(["interrupted", *notes]), file=sys.stderr)
        raise typer.Exit(130) from stop


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]


def complete_studies(incomplete: str) -> list[str]:
    """Completions: bundled studies; where there is none the shell goes on with files."""
    from ouroloop.study import study_names

    return _beginning(incomplete, study_names())


def complete_families(incomplete: str) -> list[str]:
    """Completions: families of parts."""
    from ouroloop import registry

    return _beginning(incomplete, registry.FAMILIES)


def complete_correctors(incomplete: str) -> list[str]:
    """Completions: names of correctors."""
    from ouroloop import registry

    return _beginning(incomplete, registry.names("correctors"))


def cache_folder(given: Path | None) -> Path:
    """The folder that was asked for, or the user's own."""
    from ouroloop.places import user_cache

    return user_cache() if given is None else given


def print_table(table: Any) -> None:
    """Print a table of rich's as wide as the terminal, or 160 columns wide into a file."""
    from rich.console import Console

    console = Console()
    Console(width=None if console.is_terminal else 160).print(table)
