"""Forecasts of a specification or of every arm of a study, with its data loaded but nothing trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.errors import SpecError
from ouroloop.samples import Samples

if TYPE_CHECKING:
    from ouroloop.estimated_forecasts import Target
    from ouroloop.protocols import Reference
    from ouroloop.report.axis import Axis
    from ouroloop.spec import Spec
    from ouroloop.theory.forecast import Forecast

__all__ = ["axis_of", "forecast", "forecasts_for_rows", "forecasts_of", "targets_of"]


def forecast(spec: Spec, *, cache: Path | None = None) -> list[Forecast]:
    """Every closed form that applies to a specification; its data are loaded, nothing is trained.

    Raises:
        DataError: the data cannot be loaded.
    """
    resolved = spec.resolved()
    loaded = _loaded(resolved, cache)
    return forecasts_for_rows(resolved, loaded.real, loaded.held_out)


def _loaded(resolved: Mapping[str, Any], cache: Path | None) -> Reference:
    from ouroloop import options
    from ouroloop.keys import Key

    if resolved["data"].get("kind") == "object":
        raise SpecError("data: was given from Python; a forecast from a file needs data that the file names")
    return options.build("datasets", resolved["data"]).load(key=Key(resolved["seed"]).child("data"), cache=cache)


def forecasts_for_rows(resolved: Mapping[str, Any], real: Samples, held_out: Samples | None = None) -> list[Forecast]:
    """The same with the real rows at hand, and the held-out ones that metrics compare with."""
    from ouroloop.theory.forecast import forecasts_for
    from ouroloop.theory.forecast_discrete import discrete_forecasts
    from ouroloop.theory.forecast_kde import kde_forecasts

    numeric = real.x.dtype.kind in "fiu"
    dim = int(np.prod(real.x.shape[1:], dtype=int)) if numeric else 0
    found = [*forecasts_for(resolved, n_real=len(real), dim=dim), *_curated(resolved, real)]
    if numeric:
        compared = real if held_out is None else held_out
        found += kde_forecasts(resolved, *(table.x.reshape(len(table), dim) for table in (real, compared)))
        found += discrete_forecasts(resolved, real.x)
    return found


def _curated(resolved: Mapping[str, Any], real: Samples) -> list[Forecast]:
    """Of a loop whose curation rewards what the metric `reward` measures."""
    from ouroloop.keys import Key
    from ouroloop.rewards import Reward
    from ouroloop.theory.forecast_curated import curated_forecasts

    corrector = resolved["corrector"]
    if corrector.get("kind") != "curate" or corrector.get("correction_strength", np.inf) != np.inf:
        return []
    same = [m for m in resolved["metrics"] if m.get("kind") == "reward" and m.get("reward") == corrector["reward"]]
    if not same or corrector["reward"]["kind"] != "near":  # other rewards have to be trained first
        return []
    judge = Reward(**corrector["reward"]).ready(real, key=Key(0))
    return curated_forecasts(resolved, judge(real), float(same[0]["liked"]))


def forecasts_of(source: str, overrides: Sequence[str] = (), *, cache: Path | None = None) -> dict[str, list[Forecast]]:
    """arm -> forecasts, of a specification or study by path, or of a bundled study by name.

    Raises:
        SpecError: no such file or study, or a field in it is wrong.
    """
    from ouroloop.spec import Spec

    specs = _specs(source, overrides).items()
    return {
        arm: forecast(spec, cache=cache) if isinstance(spec, Spec) else [*spec.build().forecasts()]
        for arm, spec in specs
    }


def targets_of(source: str, overrides: Sequence[str] = (), *, cache: Path | None = None) -> dict[str, Target]:
    """arm -> what forecasts with a run's constants need of the same; closed simulations are left out."""
    from ouroloop.estimated_forecasts import Target
    from ouroloop.spec import Spec

    found = {}
    for arm, spec in _specs(source, overrides).items():
        if isinstance(spec, Spec):
            resolved = spec.resolved()
            found[arm] = Target(resolved, len(_loaded(resolved, cache).real))
    return found


def _specs(source: str, overrides: Sequence[str]) -> dict[str, Any]:
    """arm -> its specification, or that of a closed simulation."""
    from ouroloop.spec import Spec
    from ouroloop.study import Study, study_names
    from ouroloop.yaml_file import read_yaml

    path = Path(source)
    if path.is_file():
        data = read_yaml(path).data
        if not (isinstance(data, dict) and "arms" in data):
            return {path.stem: Spec.read(path, list(overrides))}
    elif source not in study_names():
        raise SpecError(
            f"{source}: no such file, and no bundled study of that name; there are {', '.join(study_names())}"
        )
    study = Study.read(source, overrides=overrides)
    return {arm.name: study.spec(arm, study.seeds[0]) for arm in study.arms}


def axis_of(source: str, overrides: Sequence[str] = ()) -> Axis:
    """What the values of `forecasts_of` run over: generations, or a parameter that the study's experiment sweeps."""
    from ouroloop.report import axis
    from ouroloop.study import Study, study_names
    from ouroloop.yaml_file import read_yaml

    path = Path(source)
    if path.is_file():
        data = read_yaml(path).data
        if not (isinstance(data, dict) and "arms" in data):
            return axis.GENERATIONS
    elif source not in study_names():
        return axis.GENERATIONS
    study = Study.read(source, overrides=overrides)
    return axis.axis_of([study.spec(study.arms[0], study.seeds[0]).resolved()])
