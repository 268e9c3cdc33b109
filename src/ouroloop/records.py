"""What is written of a generation beside its rows and its model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ouroloop.options import plain_value
from ouroloop.state import Info

__all__ = ["metric_records", "state_record"]


def state_record(info: Info) -> dict[str, Any]:
    """state.json: rows trained on, verdicts, what the fit says of itself, seconds by stage."""
    return {
        "generation": info.generation,
        "training_rows": len(info.training),
        "real_rows": info.training.n_real,
        "verdicts": dict(info.verdicts),
        "fit": plain_value(getattr(info.model, "info", None)),
        "timings_s": dict(info.timings),
    }


def metric_records(info: Info, spec: Mapping[str, Any], forecasts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """metrics.json: a row for every measurement, with the first forecast of its metric beside it (NaN if none)."""
    foretold = {f["metric"]: f["values"] for f in reversed(forecasts)}
    rows = []
    for m in info.metrics.values():
        values = foretold.get(m.metric, ())
        forecast = values[info.generation] if info.generation < len(values) else None
        rows.append(
            {
                "arm": spec["arm"],
                "seed": spec["seed"],
                "generation": info.generation,
                **{name: getattr(m, name) for name in ("metric", "value", "low", "high", "floor", "n")},
                "forecast": math.nan if forecast is None else float(forecast),
            }
        )
    return rows
