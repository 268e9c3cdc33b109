"""Tables and numbers as commands print them."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["number_text", "print_tables", "text_table"]


def print_tables(*tables: Any) -> None:
    """To the width of the terminal, or wide where there is none."""
    from rich.console import Console

    console = Console()
    wide = Console(width=None if console.is_terminal else 160)
    for table in tables:
        wide.print(table)


def text_table(title: str, *columns: str) -> Any:
    """An empty table whose cells wrap, but for those of the first column."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", header_style="bold", pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place == 0)
    return table


def number_text(value: float) -> str:
    """Four digits; infinity by its sign, and a dash for no number."""
    if math.isfinite(value):
        return f"{value:.4g}"
    return "–" if math.isnan(value) else "∞" if value > 0 else "-∞"
