"""One run directory (one arm, one seed) as the report sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.errors import StoreError
from ouroloop.report.files import read_json, read_parquet, read_yaml

__all__ = ["ALARM", "VALIDITIES", "Forecast", "Run", "Track", "generation_folders", "read_runs"]

ALARM = "alarm"  # the metric whose value is 0 healthy, 1 drifting, 2 collapsing
VALIDITIES = ("exact", "asymptotic", "sufficient bound", "heuristic")
_NUMBERS = ("value", "low", "high", "floor", "forecast")


@dataclass(frozen=True, eq=False)
class Track:
    """One metric of one run: arrays of shape (g,), one entry a generation, NaN where absent."""

    generation: np.ndarray
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray
    floor: np.ndarray
    forecast: np.ndarray

    def at(self, generation: int) -> float:
        """The value at a generation, NaN where there is none."""
        found = np.flatnonzero(self.generation == generation)
        return float(self.value[found[0]]) if len(found) else float("nan")


@dataclass(frozen=True, eq=False)
class Forecast:
    """What theory predicts for a metric; `values[t]` belongs to generation t, shape (T + 1,).

    Args:
        error: by how much the formula itself may be off, shape (T + 1,); None where it does not say.
        bound: of a sufficient bound "upper" or "lower"; empty where it does not say.
    """

    metric: str
    label: str
    source: str
    validity: str
    note: str
    units: str
    values: np.ndarray
    error: np.ndarray | None = None
    bound: str = ""

    @property
    def stated_error(self) -> str:
        """The greatest stated error in words; empty where there is none to tell of."""
        finite = self.error[np.isfinite(self.error)] if self.error is not None else np.array([])
        most = finite.max(initial=0.0)
        return f"stated error at most {most:.2g} {self.units}".rstrip() if most > 0 else ""


@dataclass(frozen=True, eq=False)
class Run:
    """One arm and seed, read from disk. Missing files leave their field empty and a line in `notes`."""

    path: Path
    arm: str
    seed: int
    tracks: Mapping[str, Track] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    spec_text: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    forecasts: tuple[Forecast, ...] = ()
    folders: Mapping[int, Path] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def last_generation(self) -> int | None:
        """The last generation that was measured (or, with no measurement, committed); None where there is none."""
        measured = [int(t.generation[-1]) for t in self.tracks.values() if len(t.generation)]
        return max(measured or list(self.folders), default=None)

    @property
    def planned(self) -> int | None:
        """How many generations the spec asks for, or None where it does not say."""
        for holder in (self.spec, *(v for v in self.spec.values() if isinstance(v, Mapping))):
            value = holder.get("generations")
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        return None


def generation_folders(run: Path) -> dict[int, Path]:
    """Committed generations of a run by number; temporary folders are not generations."""
    folder = run / "generations"
    if not folder.is_dir():
        return {}
    found = {int(p.name): p for p in folder.iterdir() if p.name.isdigit() and p.is_dir()}
    return dict(sorted(found.items()))


def read_runs(path: Path) -> list[Run]:
    """The runs in a directory: one, or one for each arm and seed that its metrics.parquet holds.

    Raises:
        StoreError: a file is there but cannot be read; the message names it.
    """
    spec, spec_text = read_yaml(path / "spec.yaml")
    environment = read_json(path / "environment.json")
    forecasts = _forecasts(path / "forecasts.json")
    folders = generation_folders(path)
    notes = [f"{name} is missing" for name in ("spec.yaml", "environment.json") if not (path / name).exists()]
    default_arm, default_seed = _names(path, {**spec, **_object(read_json(path / "run.json"))})
    groups: dict[tuple[str, int], dict[str, Track]] = {}
    if (path / "metrics.parquet").exists():
        groups = _tracks(path / "metrics.parquet", default_arm, default_seed)
        if not groups:
            notes.append("metrics.parquet has no rows: no generation was measured")
    else:
        notes.append("metrics.parquet is missing: no curve can be drawn")
    if not folders and "experiment" not in spec:
        notes.append("no generation folder is left: no samples can be shown")
    return [
        Run(
            path=path,
            arm=arm or default_arm,  # a run by itself belongs to no arm: it goes by its name
            seed=seed,
            tracks=tracks,
            spec=spec,
            spec_text=spec_text,
            environment=_object(environment),
            forecasts=forecasts,
            folders=folders,
            notes=tuple(notes),
        )
        for (arm, seed), tracks in (groups or {(default_arm, default_seed): {}}).items()
    ]


def _object(content: Any) -> dict[str, Any]:
    return content if isinstance(content, dict) else {}


def _names(path: Path, spec: Mapping[str, Any]) -> tuple[str, int]:
    """Arm and seed of a run whose metrics do not say: from run.json or the spec, else from the folders' names."""
    resolved = path.resolve()
    head, _, number = resolved.name.rpartition("-")
    in_study = head == "seed" and number.isdigit()
    arm = spec.get("arm") or (resolved.parent.name if in_study else spec.get("name") or resolved.name)
    seed = spec.get("seed")
    if not isinstance(seed, int):
        seed = int(number) if in_study else 0
    return str(arm), seed


def _tracks(path: Path, default_arm: str, default_seed: int) -> dict[tuple[str, int], dict[str, Track]]:
    table = read_parquet(path)
    missing = {"generation", "metric", "value"} - set(table.column_names)
    if missing:
        raise StoreError(f"{path}: no column {', '.join(sorted(missing))}; there are: {table.column_names}")
    n = table.num_rows
    arm = _codes(table, "arm", default_arm)
    metric = _codes(table, "metric", "")
    seed = _integers(table, "seed", default_seed)
    generation = _integers(table, "generation", 0)
    numbers = [_floats(table, name) for name in _NUMBERS]
    order = np.lexsort((np.arange(n), generation, metric[0], seed, arm[0]))
    keys = np.stack([arm[0], seed, metric[0], generation])[:, order]
    # A generation written twice (resumed after a crash) counts once: its last row.
    keep = order[np.append(np.any(keys[:, 1:] != keys[:, :-1], axis=0), True)] if n else order
    groups = np.stack([arm[0], seed, metric[0]])[:, keep]
    starts = (
        np.flatnonzero(np.append(True, np.any(groups[:, 1:] != groups[:, :-1], axis=0))) if n else np.array([], int)
    )
    result: dict[tuple[str, int], dict[str, Track]] = {}
    for rows in np.split(keep, starts[1:]) if n else []:
        name = (arm[1][arm[0][rows[0]]], int(seed[rows[0]]))
        track = Track(generation[rows], *(column[rows] for column in numbers))
        result.setdefault(name, {})[metric[1][metric[0][rows[0]]]] = track
    return result


def _codes(table: Any, name: str, default: str) -> tuple[np.ndarray, list[str]]:
    """A text column as integer codes and the texts they stand for, coded in order of appearance."""
    if name not in table.column_names:
        return np.zeros(table.num_rows, np.int64), [default]
    import pyarrow as pa

    encoded = table.column(name).cast(pa.string()).fill_null(default).combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    return np.asarray(encoded.indices, dtype=np.int64), encoded.dictionary.to_pylist() or [default]


def _integers(table: Any, name: str, default: int) -> np.ndarray:
    if name not in table.column_names:
        return np.full(table.num_rows, default, np.int64)
    return np.asarray(table.column(name).fill_null(default).to_numpy(), dtype=np.int64)


def _floats(table: Any, name: str) -> np.ndarray:
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)


def _forecasts(path: Path) -> tuple[Forecast, ...]:
    content = read_json(path)
    if content is None:
        return ()
    if not isinstance(content, list) or not all(isinstance(entry, dict) and "metric" in entry for entry in content):
        raise StoreError(f"{path}: expected a list of forecasts, each an object with at least 'metric' and 'values'")
    return tuple(_forecast(path, entry) for entry in content)


def _forecast(path: Path, entry: Mapping[str, Any]) -> Forecast:
    values = _curve(path, entry, "values", np.nan)
    error = _curve(path, entry, "error", np.inf) if entry.get("error") is not None else None
    if error is not None and error.shape != values.shape:
        raise StoreError(
            f"{path}: forecast '{entry['metric']}' has {len(error)} errors for {len(values)} values; expected one each"
        )
    text = {name: str(entry.get(name) or "") for name in ("label", "source", "validity", "note", "units", "bound")}
    return Forecast(metric=str(entry["metric"]), values=values, error=error, **text)


def _curve(path: Path, entry: Mapping[str, Any], name: str, missing: float) -> np.ndarray:
    """A list of numbers with null where there is none."""
    try:
        curve = np.asarray([missing if v is None else v for v in entry.get(name, [])], dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StoreError(f"{path}: the {name} of forecast '{entry['metric']}' are not numbers ({error})") from error
    if curve.ndim != 1:
        raise StoreError(f"{path}: the {name} of forecast '{entry['metric']}' are not a list of numbers")
    return curve
