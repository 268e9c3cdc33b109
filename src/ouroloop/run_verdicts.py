"""A verifier's rates from a run: the labelled rows that it keeps with their verdict, and who says what is right.

A run does not keep the rows that its corrector dropped, but for the first 64 raw rows of every generation
(`corrections_preview.arrow`), with their label and verdict and, where the generator gives it, the right label. Those
are a sample of all raw rows. Where no right label is there, someone has to say it: `write_sheet` makes a table to fill.
"""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import numpy as np

from ouroloop.atomic import write_bytes
from ouroloop.checked_rates import CheckedRates, checked_rates
from ouroloop.errors import DataError, StoreError
from ouroloop.samples import Verdict

__all__ = ["judged_rows", "rates_of_run", "write_sheet"]

_ROWS = 64
_WIDEST = 16  # numbers of a row that a sheet holds


def judged_rows(path: Path, generations: int | None = None) -> dict[str, np.ndarray]:
    """seed, generation, row, label, kept, x (flat) and further columns of the raw rows that a run still knows.

    Args:
        path: a run directory, or one of an arm's seeds. generations: only the first so many after generation 0.

    Raises:
        DataError: no such rows, or rows without a label. Rows on which the corrector failed are left out.
    """
    from ouroloop.report.files import read_arrow
    from ouroloop.report.load import load

    parts: list[dict[str, np.ndarray]] = []
    arms = load([path]).arms
    if len(arms) > 1:
        raise DataError(f"{path}: holds several arms ({', '.join(a.label for a in arms)}); give the directory of one")
    for run in (run for arm in arms for run in arm.runs):
        for generation, folder in run.folders.items():
            file = folder / "corrections_preview.arrow"
            if not file.exists() or (generations is not None and generation > generations):
                continue
            columns = read_arrow(file, _ROWS)
            if "label" not in columns or "verdict" not in columns or "before" not in columns:
                raise DataError(f"{file}: its rows have no label; a verifier's rates are those of labelled rows")
            columns["kept"] = np.isin(columns["verdict"], (Verdict.KEPT, Verdict.CHANGED)).astype(np.int8)
            n = len(columns["label"])
            columns |= {"seed": np.full(n, run.seed), "generation": np.full(n, generation), "row": np.arange(n)}
            known = columns.pop("verdict") != Verdict.FAILED
            columns["x"] = columns.pop("before").reshape(n, -1)
            columns.pop("distance", None)
            parts.append({name: values[known] for name, values in columns.items()})
    if not parts:
        raise DataError(f"{path}: keeps no raw rows with their verdicts (generations/*/corrections_preview.arrow)")
    shared = [name for name in parts[0] if all(name in part for part in parts)]
    return {name: np.concatenate([part[name] for part in parts]) for name in shared}


def rates_of_run(
    path: Path, *, truth: str = "truth", generations: int | None = None, confidence: float = 0.95
) -> CheckedRates:
    """The verifier's rates from a run whose generator gives the right label as a column.

    Raises:
        DataError: the run does not know the right labels; the message says how to give them.
    """
    rows = judged_rows(path, generations)
    if truth not in rows:
        raise DataError(
            f"{path}: its rows have labels and verdicts, but no column '{truth}' with the right labels, which no run "
            f"can know by itself. Write a sheet with --sheet checked.csv, fill its column 'truth' (a part will do), "
            "then: ouroloop verify-data checked.csv"
        )
    try:
        return checked_rates(
            rows["label"] == rows[truth], rows["kept"], rows["generation"], rows["seed"], confidence=confidence
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def write_sheet(path: Path, sheet: Path, generations: int | None = None) -> int:
    """Write a run's labelled rows with an empty column `truth` to a CSV file, and return how many.

    Rows are there as numbers x_0, x_1, ... if they are short; longer ones are drawn in the run's report.

    Raises:
        DataError: a name that does not end in .csv, a sheet that is there already and that someone may have filled, or
            it cannot be written; then nothing is left.
    """
    if sheet.suffix.lower() != ".csv":
        raise DataError(f"{sheet}: a sheet's name ends in .csv")
    if os.path.lexists(sheet):
        raise DataError(f"{sheet}: is there already; choose another name, so that nothing filled in is lost")
    rows = judged_rows(path, generations)
    width = rows["x"].shape[1] if rows["x"].shape[1] <= _WIDEST else 0
    names = ["seed", "generation", "row", *(f"x_{i}" for i in range(width)), "label", "kept", "truth"]
    columns = [rows["seed"], rows["generation"], rows["row"], *rows["x"].T[:width], rows["label"], rows["kept"]]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([*(value.item() for value in row), ""] for row in zip(*columns, strict=True))
    try:
        write_bytes(sheet, text.getvalue().encode())
    except StoreError as error:
        raise DataError(f"{sheet}: cannot be written ({error})") from error
    return len(rows["label"])
