"""Run directories of closed simulations: specification, environment, forecasts and metrics, no generations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["is_complete", "write_summary"]


def is_complete(out: Path, spec: Mapping[str, Any], seeds: Sequence[int]) -> bool:
    """Whether every seed of an arm has its metrics, made by this very specification."""
    from ouroloop.run_files import read_spec

    for seed in seeds:
        path = out / spec["arm"] / f"seed-{seed}"
        if not (path / "metrics.parquet").is_file() or read_spec(path) != {**spec, "seed": seed}:
            return False
    return True


def write_summary(
    path: Path,
    spec: Mapping[str, Any],
    values: Mapping[str, np.ndarray],
    forecasts: Sequence[Mapping[str, Any]],
    here: Mapping[str, Any],
) -> None:
    """Write one arm and seed.

    Args:
        path: the run directory.
        spec: resolved, with arm, seed and the last generation (or position on the axis) T.
        values: metric -> float64 (T + 1,).
        forecasts: as in forecasts.json; a metric's first one also stands in metrics.parquet.
        here: the environment.
    """
    import pyarrow as pa

    from ouroloop.rollup import metrics_schema
    from ouroloop.spec import semantic
    from ouroloop.store import RunStore

    arm, seed = spec["arm"], spec["seed"]
    store = RunStore.create(
        path, spec=spec, fingerprint=semantic(spec), environment=here, arm=arm, seed=seed, exist_ok=True
    )
    if store.spec["generations"] != spec["generations"]:
        store.write_spec(spec)
    store.write_forecasts(forecasts)
    length = spec["generations"] + 1
    predicted = {f["metric"]: f["values"] for f in reversed(forecasts)}
    count = length * len(values)
    nothing = np.full(count, np.nan)
    columns = {
        "arm": [arm] * count,
        "seed": np.full(count, seed),
        "generation": np.tile(np.arange(length, dtype=np.int32), len(values)),
        "metric": np.repeat(list(values), length),
        "value": np.concatenate(list(values.values())),
        "low": nothing,
        "high": nothing,
        "floor": nothing,
        "forecast": np.concatenate([_curve(predicted.get(name), length) for name in values]),
        "n": np.zeros(count, np.int64),
    }
    table = pa.table({name: pa.array(column) for name, column in columns.items()}).cast(metrics_schema())
    store.write_summary(table)


def _curve(values: list[float | None] | None, length: int) -> np.ndarray:
    return np.array([np.nan if v is None else v for v in values or [None] * length], np.float64)
