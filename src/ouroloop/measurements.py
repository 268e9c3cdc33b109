"""What the runs of a study measured and forecast, as its checks read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["forecast_name", "read_rows"]


def forecast_name(metric: str, label: str) -> str:
    """The name under which `read_rows` has a forecast of a metric."""
    return f"{metric}, forecast '{label}'"


def read_rows(
    out: Path, arms: Sequence[str], seeds: Sequence[int]
) -> dict[tuple[str, str], dict[int, dict[float, float]]]:
    """(arm, metric) -> seed -> generation -> value, of the runs ``<out>/<arm>/seed-<k>`` that are there.

    Runs over another axis than the generation have its values in the place of generations. Forecasts stand beside the
    metrics, under `forecast_name`.
    """
    import pyarrow.parquet as pq

    rows: dict[tuple[str, str], dict[int, dict[float, float]]] = {}
    for arm in arms:
        for seed in seeds:
            path = out / arm / f"seed-{seed}"
            if not (path / "metrics.parquet").is_file():
                continue
            axis, forecasts = _axis(path), _forecasts(path)
            table = pq.read_table(path / "metrics.parquet", columns=["generation", "metric", "value"])
            for row in table.to_pylist():
                by_seed = rows.setdefault((arm, row["metric"]), {}).setdefault(seed, {})
                by_seed[axis[row["generation"]] if axis else row["generation"]] = row["value"]
            for law in forecasts:
                by_seed = rows.setdefault((arm, forecast_name(law["metric"], law["label"])), {}).setdefault(seed, {})
                values = ((i, float("nan") if v is None else v) for i, v in enumerate(law["values"]))
                by_seed.update({axis[i] if axis else i: v for i, v in values})
    return rows


def _axis(path: Path) -> list[float] | None:
    from ouroloop.run_files import read_spec

    axis = read_spec(path).get("axis")
    return axis["values"] if axis else None


def _forecasts(path: Path) -> list[dict[str, Any]]:
    from ouroloop.atomic import read_json

    return read_json(path / "forecasts.json") if (path / "forecasts.json").is_file() else []
