"""Checking a whole run directory: every file against its manifest, every manifest against the one before."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ouroloop.directories import committed_folders, folder_name
from ouroloop.errors import StoreError
from ouroloop.manifest import Problem, verify_generation
from ouroloop.rollup import read_table, stored_generations
from ouroloop.run_files import read_run, read_spec, verify_identity, verify_run_files

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["verify_metrics", "verify_run"]


def verify_run(path: Path, generations: Collection[int] | None = None) -> list[Problem]:
    """Everything that is wrong with a run's files, apart from what is derived from them.

    Args:
        generations: only the files of these; every manifest is read in any case. None: all.
    """
    run = read_run(path)
    problems = verify_run_files(path, run)
    problems += [] if problems else verify_identity(read_spec(path), run)
    previous: str | None = run["anchor"]
    there = sorted(committed_folders(path))
    for t in range(there[-1] + 1 if there else 0):
        folder = path / "generations" / folder_name(t)
        if t not in there:
            problems.append(Problem(f"generations/{folder.name}", f"missing, although {there[-1]} is there"))
            previous = None
            continue
        deep = generations is None or t in generations
        found, previous = verify_generation(folder, t, previous, deep=deep)
        problems += found
    names = {folder_name(t) for t in there}
    for entry in sorted(os.listdir(path / "generations")):
        if entry not in names and not entry.startswith(".tmp-"):
            problems.append(Problem(f"generations/{entry}", "stray: not a generation"))
    return problems


def verify_metrics(path: Path, metrics: pa.Table) -> list[Problem]:
    """Whether metrics.parquet says what the generations do.

    Args:
        metrics: all rows, as the generations have them; the file may be some generations behind, or absent.
    """
    if not path.exists():
        return []  # the next writer makes it
    try:
        stored = read_table(path).to_pylist()
    except StoreError:
        return [Problem(path.name, "unreadable; delete it, it is made again from the generations")]
    n = stored_generations(path)
    expected = [row for row in metrics.to_pylist() if row["generation"] < n]
    if repr(stored) == repr(expected):  # repr: NaN equals itself
        return []
    return [Problem(path.name, "does not agree with the generations' metrics.json; delete it, it is made again")]
