"""The summary and the differences between arms as small tables for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ouroloop.report.differences import baseline_of, differences
from ouroloop.report.load import load
from ouroloop.report.summary import summary_rows, with_interval
from ouroloop.report.wording import number

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["difference_table", "summary_table"]


def summary_table(paths: Sequence[Path]) -> Table:
    """The summary as a table for the terminal."""
    from rich.table import Table
    from rich.text import Text

    rows = summary_rows(paths)
    metric = rows[0].metric if rows else ""
    diversity = rows[0].diversity_metric if rows else ""
    table = Table(title=None, header_style="bold", pad_edge=False)
    table.add_column("arm")
    for name in ("seeds", "gen.", f"{metric} first", f"{metric} last", "floor", diversity or "diversity", "ratio"):
        table.add_column(Text(name), justify="right")
    table.add_column("alarm")
    styles = {"healthy": "green", "drifting": "yellow", "collapsing": "bold red"}
    for row in rows:
        alarm = f"{row.alarm} {row.alarm_seeds}/{row.alarm_judged}" if row.alarm_judged else row.alarm
        cells = (
            row.label,
            str(row.seeds),
            str(row.generations),
            number(row.first),
            with_interval(row.last, row.last_low, row.last_high),
            number(row.floor),
            f"{number(row.diversity_first)} → {number(row.diversity_last)}" if diversity else "–",
            number(row.synthetic_ratio),
        )
        table.add_row(*map(Text, cells), Text(alarm, style=styles.get(row.alarm, "")))
    return table


def difference_table(paths: Sequence[Path], baseline: str | None = None) -> Table:
    """Every arm against a baseline arm (default: the real-only control), paired by seed, for the terminal.

    Raises:
        DataError: there is no arm of that name.
    """
    from rich.table import Table
    from rich.text import Text

    results = load(paths)
    against = baseline_of(results, baseline)
    table = Table(title=Text(f"Difference from {against.label}, last common generation"), header_style="bold")
    for name in ("metric", "arm", "generation", "pairs", "difference (95 %)", "verdict"):
        table.add_column(name, justify="right" if name in ("generation", "pairs") else "left")
    for entry in differences(results, against):
        interval = with_interval(entry.mean, entry.low, entry.high)
        cells = (entry.metric, entry.arm, str(entry.generation), str(entry.pairs), interval, entry.verdict)
        table.add_row(*map(Text, cells))
    return table
