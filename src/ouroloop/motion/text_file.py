"""Text files of numbers: read whole, with the line in every complaint."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ouroloop.atomic import storing, write_bytes
from ouroloop.errors import DataError

__all__ = ["number", "number_table", "read_lines", "save_bytes"]


def read_lines(path: Path) -> list[str]:
    """The lines of a text file.

    Raises:
        DataError: missing, unreadable, empty, or not text.
    """
    try:
        text = path.read_text(encoding="utf-8", errors="strict")
    except UnicodeDecodeError:
        text = path.read_text(encoding="latin-1")
        if "\0" in text:
            raise DataError(f"{path}: not a text file") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not text.strip():
        raise DataError(f"{path}: the file is empty")
    return text.splitlines()


def save_bytes(path: Path, content: bytes) -> None:
    """Replace a file at once, making its folder.

    Raises:
        StoreError: it cannot be written; the message names the file.
    """
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content, durable=False)


def number(word: str, where: str) -> float:
    """A finite number.

    Raises:
        DataError: it is none.
    """
    try:
        value = float(word)
    except ValueError:
        raise DataError(f"{where}: expected a number, got {word!r}") from None
    if not np.isfinite(value):
        raise DataError(f"{where}: got {word}, expected a finite number")
    return value


def number_table(path: Path, lines: list[str], first: int, columns: int) -> np.ndarray:
    """Lines of `columns` numbers each, (rows, columns); empty lines are skipped.

    Args:
        path: for messages.
        lines: the lines.
        first: the line number of ``lines[0]``, from 1.
        columns: numbers expected in each.

    Raises:
        DataError: a line with another count, or a word that is no finite number; with file and line.
    """
    rows, numbers = [], []
    for at, line in enumerate(lines, start=first):
        words = line.split()
        if not words:
            continue
        if len(words) != columns:
            raise DataError(f"{path}:{at}: {len(words)} numbers in this frame, expected {columns} (cut off?)")
        rows.append(words)
        numbers.append(at)
    try:
        table = np.array(rows, dtype=np.float64).reshape(len(rows), columns)
    except ValueError:
        table = np.full((1, 1), np.nan)
    if not np.isfinite(table).all():
        for at, words in zip(numbers, rows, strict=True):
            for word in words:
                number(word, f"{path}:{at}")
    return table
