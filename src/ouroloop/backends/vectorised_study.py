"""A study of Gaussian loops, all arms and seeds in one array, written as run directories without generations.

Each ``<out>/<arm>/seed-<k>`` has the specification, environment, forecasts and metrics.parquet, so that reports and
checks read it like any other run; the models and rows of single generations are not kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop import options
from ouroloop.backends.local import CellEvent, Listener
from ouroloop.backends.summaries import is_complete, write_summary
from ouroloop.backends.vectorised import Result, run_grid
from ouroloop.environment import environment
from ouroloop.errors import SpecError

if TYPE_CHECKING:
    from ouroloop.study import Study

__all__ = ["run_study_vectorised"]


def run_study_vectorised(study: Study, out: Path, *, listener: Listener | None = None) -> None:
    """Run all arms and seeds; arms whose directories are complete are not run again.

    Raises:
        SpecError: an arm has a part or metric that this backend does not run.
    """
    specs = [study.spec(arm, study.seeds[0]).resolved() for arm in study.arms]
    for spec in specs:
        wrong = [m["kind"] for m in spec["metrics"] if m["kind"] != "gaussian_w2" or m["of"] != "model"]
        if wrong:
            raise SpecError(f"metrics: backend 'vectorised' measures gaussian_w2 of the model; got {', '.join(wrong)}")
    if all(is_complete(out, spec, study.seeds) for spec in specs):
        return

    def progress(done: int, total: int) -> None:
        if listener is not None:
            # counted like the cells of the local backend: every seed's generations, and generation 0 twice
            every = len(study.seeds) * (1 + sum(spec["generations"] + 1 for spec in specs))
            listener(CellEvent("all arms and seeds", done * every // total - 1, every - 1))

    here = environment()
    progress(0, 1)
    for spec, result in zip(specs, run_grid(specs, study.seeds, progress), strict=True):
        rows = _rows(spec, result)
        forecasts = _forecasts(spec)
        for index, seed in enumerate(study.seeds):
            own = {name: values[index] for name, values in rows.items()}
            write_summary(out / spec["arm"] / f"seed-{seed}", {**spec, "seed": seed}, own, forecasts, here)


def _rows(spec: dict[str, Any], result: Result) -> dict[str, np.ndarray]:
    """Metric -> values, float64 (seeds, T + 1)."""
    from ouroloop.metrics.gaussian_w2 import gaussian_w2

    mean, root = (getattr(options.build("datasets", spec["data"]), name) for name in ("moments", "root"))
    shape = result.changed.shape
    ratio = result.n_synthetic / np.maximum(result.n_real, 1)
    ratio = np.where((result.n_real == 0) & (result.n_synthetic > 0), np.inf, ratio)
    return {
        "gaussian_w2": gaussian_w2(
            real_mean=mean[0],
            real_covariance=root @ root.T,
            generated_mean=result.mean,
            generated_covariance=result.covariance,
        ),
        "synthetic_ratio": np.broadcast_to(ratio, shape),
        "training_rows": np.broadcast_to(result.n_real + result.n_synthetic, shape).astype(np.float64),
        "corrected_share": result.changed,
        "distance_moved": result.distance,
    }


def _forecasts(spec: dict[str, Any]) -> list[dict[str, Any]]:
    from ouroloop.theory.forecast import forecasts_for

    data = options.build("datasets", spec["data"])
    return [f.to_dict() for f in forecasts_for(spec, n_real=data.n, dim=data.dim)]
