"""The report: run and study directories read from disk, shown as one HTML page, as figures and as tables."""

from __future__ import annotations

from ouroloop.report.figures import write_figures
from ouroloop.report.page import write_report
from ouroloop.report.summary import summary_rows
from ouroloop.report.terminal import difference_table, summary_table

__all__ = ["difference_table", "summary_rows", "summary_table", "write_figures", "write_report"]
