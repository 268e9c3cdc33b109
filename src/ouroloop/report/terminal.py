"""The summary and the differences between arms as small tables for the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ouroloop.report.axis import Axis
from ouroloop.report.differences import baseline_of, differences
from ouroloop.report.load import load
from ouroloop.report.metric_names import describe
from ouroloop.report.series import contradictions
from ouroloop.report.summary import Row, rows_of, with_interval
from ouroloop.report.wording import number

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["difference_table", "summary_table"]


def summary_table(paths: Sequence[Path]) -> Table:
    """The summary as a table for the terminal; below it what forecasts were contradicted."""
    from rich.table import Table
    from rich.text import Text

    results = load(paths)
    rows = rows_of(results)
    metric = rows[0].metric
    diversity = rows[0].diversity_metric
    caption = Text("\n".join([_caption(rows, results.axis), *contradictions(results)]))
    table = Table(header_style="bold", pad_edge=False, caption=caption, caption_justify="left")
    table.add_column("arm")
    for name in (f"{metric} first", f"{metric} last", diversity or "diversity", "ratio"):
        table.add_column(Text(name), justify="right")
    table.add_column("alarm")
    styles = {"healthy": "green", "drifting": "yellow", "collapsing": "bold red"}
    for row in rows:
        alarm = f"{row.alarm} {row.alarm_seeds}/{row.alarm_judged}" if row.alarm_judged else row.alarm
        cells = (
            row.label,
            number(row.first),
            with_interval(row.last, row.last_low, row.last_high),
            f"{number(row.diversity_first)} → {number(row.diversity_last)}" if diversity else "–",
            number(row.synthetic_ratio),
        )
        table.add_row(*map(Text, cells), Text(alarm, style=styles.get(row.alarm, "")))
    return table


def _caption(rows: Sequence[Row], axis: Axis) -> str:
    """What the table's numbers are."""
    name = describe(rows[0].metric)
    seeds, generations = ({getattr(row, field) for row in rows} for field in ("seeds", "generations"))
    parts = [f"{name.title}, {name.better} is better" if name.better in ("lower", "higher") else name.title]
    if math.isfinite(rows[0].floor):
        parts.append(f"real against real {number(rows[0].floor)}")
    parts.append(f"{' or '.join(map(str, sorted(seeds)))} seed{'' if seeds == {1} else 's'}")
    parts.append(f"{axis.title} {' or '.join(map(axis.text, sorted(generations)))}")
    parts.append("means with 95 % intervals; ratio: synthetic per real row at the end")
    return "; ".join(part for part in parts if part)


def difference_table(paths: Sequence[Path], baseline: str | None = None) -> Table:
    """Every arm against a baseline arm (default: the real-only control), paired by seed, for the terminal.

    Raises:
        DataError: there is no arm of that name.
    """
    from rich.table import Table
    from rich.text import Text

    results = load(paths)
    against = baseline_of(results, baseline)
    axis = results.axis
    table = Table(title=Text(f"Difference from {against.label}, last common {axis.title}"), header_style="bold")
    for name in ("metric", "arm", axis.title, "pairs", "difference (95 %)", "verdict"):
        table.add_column(name, justify="right" if name in (axis.title, "pairs") else "left")
    for entry in differences(results, against):
        interval = with_interval(entry.mean, entry.low, entry.high)
        cells = (entry.metric, entry.arm, axis.text(entry.generation), str(entry.pairs), interval, entry.verdict)
        table.add_row(*map(Text, cells))
    return table
