"""A study of experiments: all seeds of an arm at once, written as run directories without generations."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.backends.local import CellEvent, Listener
from ouroloop.backends.summaries import is_complete, write_summary
from ouroloop.environment import environment
from ouroloop.errors import PartError
from ouroloop.experiment import ExperimentSpec
from ouroloop.keys import Key
from ouroloop.progress import listening

if TYPE_CHECKING:
    from ouroloop.study import Study

__all__ = ["run_study_experiment"]


def run_study_experiment(study: Study, out: Path, *, listener: Listener | None = None) -> None:
    """Run all arms; those whose directories are complete are not run again.

    Raises:
        PartError: an experiment returned curves of another length than its axis.
    """
    here, count = environment(), len(study.seeds)
    tell = listener or (lambda event: None)
    tell(CellEvent("start", count - 1, count - 1))
    for arm in study.arms:
        spec = study.spec(arm, study.seeds[0])
        assert isinstance(spec, ExperimentSpec)
        total = count * (spec.generations + 1)
        if not is_complete(out, spec.resolved(), study.seeds):

            def progress(stage: str, done: int, of: int, arm: str = arm.name, total: int = total) -> None:
                tell(CellEvent(arm, min(done * total // max(of, 1), total - 1) - 1, total - 1))

            tell(CellEvent(arm.name, -1, total - 1))  # nothing of it was done before
            with listening(progress):
                _run(spec, out, study.seeds, here)
        tell(CellEvent(arm.name, total - 1, total - 1))


def _run(spec: ExperimentSpec, out: Path, seeds: list[int], here: dict[str, Any]) -> None:
    experiment = spec.build()
    points = len(experiment.axis.values)
    curves = {
        name: np.asarray(values, np.float64)
        for name, values in experiment.run([Key(seed).child("experiment") for seed in seeds]).items()
    }
    forecasts = [f.to_dict() for f in experiment.forecasts()]
    shapes = {name: (values.shape, (len(seeds), points)) for name, values in curves.items()}
    shapes |= {f"forecast of {f['metric']}": ((len(f["values"]),), (points,)) for f in forecasts}
    for name, (got, expected) in shapes.items():
        if got != expected:
            raise PartError(f"{spec.experiment['kind']}: {name}: expected shape {expected}, got {got}")
    plain = spec.resolved()
    for index, seed in enumerate(seeds):
        own = {name: values[index] for name, values in curves.items()}
        write_summary(out / spec.arm / f"seed-{seed}", {**plain, "seed": seed}, own, forecasts, here)
