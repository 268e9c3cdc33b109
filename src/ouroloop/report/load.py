"""From paths to arms: finds run and study directories on disk and lines their runs up by arm and seed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroloop.errors import StoreError
from ouroloop.report.axis import GENERATIONS, Axis, axis_of
from ouroloop.report.files import read_json
from ouroloop.report.runs import Run, read_runs

__all__ = ["Arm", "Results", "Study", "load"]

_RUN_FILES = ("run.json", "metrics.parquet", "spec.yaml", "generations")
_DEEPEST = 3  # folder of studies / study / arm / seed
_IDENTITY_KEYS = ("seed", "arm", "name", "title", "path", "runs")  # differ between runs of one arm


@dataclass(frozen=True, eq=False)
class Study:
    """A study directory's study.json."""

    path: Path
    name: str
    title: str
    description: str
    reference: str
    headline: str
    arms: tuple[Mapping[str, str], ...]
    checks: tuple[Mapping[str, str], ...]
    source: Any = None


@dataclass(frozen=True, eq=False)
class Arm:
    """One curve: the runs of one arm, one a seed, ordered by seed."""

    name: str
    label: str
    control: bool
    real_only: bool
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds, in order."""
        return tuple(run.seed for run in self.runs)

    @property
    def last_generation(self) -> int | None:
        """The last generation that any seed reached."""
        return max((g for run in self.runs if (g := run.last_generation) is not None), default=None)


@dataclass(frozen=True, eq=False)
class Results:
    """Everything a report shows, read from disk."""

    arms: tuple[Arm, ...]
    studies: tuple[Study, ...]
    notes: tuple[str, ...]
    axis: Axis = GENERATIONS

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs, arm by arm."""
        return tuple(run for arm in self.arms for run in arm.runs)

    @property
    def real_only(self) -> Arm | None:
        """The control that trains on real data alone, if there is one."""
        return next((arm for arm in self.arms if arm.real_only), None)


def load(paths: Sequence[Path]) -> Results:
    """Read run directories, study directories and folders of either.

    Raises:
        StoreError: a path does not exist, holds no run, or one of its files cannot be read; or the runs are over
            different axes.
    """
    if not paths:
        raise StoreError("nothing to report on: give at least one run or study directory")
    runs: list[tuple[Path, Run]] = []
    studies: list[Study] = []
    seen: set[Path] = set()
    for given in map(Path, paths):
        if not given.is_dir():
            raise StoreError(f"{given}: no such directory; expected a run, a study or a folder of runs")
        before = len(runs)
        for folder in _walk(given, _DEEPEST):
            if folder.resolve() in seen:
                continue
            seen.add(folder.resolve())
            if (folder / "study.json").exists():
                studies.append(_study(folder))
            if _is_run(folder):
                runs.extend((given, run) for run in read_runs(folder))
        if len(runs) == before and not any(given.resolve() in (p, *p.parents) for p in seen if _is_run(p)):
            raise StoreError(f"{given}: holds no run (a run has run.json, spec.yaml, metrics.parquet or generations/)")
    arms = _arms(runs, studies)
    axis = axis_of([run.spec for arm in arms for run in arm.runs])
    return Results(arms=arms, studies=tuple(studies), notes=tuple(_notes(arms)), axis=axis)


def _is_run(folder: Path) -> bool:
    return any((folder / name).exists() for name in _RUN_FILES)


def _walk(folder: Path, depth: int) -> list[Path]:
    """`folder` and the run and study folders below it; the inside of a run is not searched."""
    found = [folder]
    if depth == 0 or (_is_run(folder) and not (folder / "study.json").exists()):
        return found
    for child in sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "generations"))):
        found.extend(_walk(child, depth - 1))
    return found


def _study(folder: Path) -> Study:
    content = read_json(folder / "study.json")
    if not isinstance(content, dict):
        raise StoreError(f"{folder / 'study.json'}: expected an object with 'name', 'arms' and 'checks'")
    text = {key: str(content.get(key) or "") for key in ("name", "title", "description", "reference", "headline")}
    return Study(
        path=folder,
        arms=_entries(content, "arms"),
        checks=_entries(content, "checks"),
        source=content.get("source"),
        **text,
    )


def _entries(content: Mapping[str, Any], key: str) -> tuple[Mapping[str, str], ...]:
    """The objects under a key, every value as text."""
    entries = content.get(key)
    if not isinstance(entries, list):
        return ()
    return tuple({k: "" if v is None else str(v) for k, v in e.items()} for e in entries if isinstance(e, dict))


def _arms(runs: Sequence[tuple[Path, Run]], studies: Sequence[Study]) -> tuple[Arm, ...]:
    """Group runs by arm. One name given from two places with the same seed, or with another spec, is two arms."""
    declared = {entry.get("name", ""): entry for study in studies for entry in study.arms}
    groups: dict[str, list[tuple[Path, Run]]] = {}
    for given, run in runs:
        groups.setdefault(run.arm, []).append((given, run))
    order = {name: place for place, name in enumerate(declared)}
    arms: list[Arm] = []
    for name in sorted(groups, key=lambda name: order.get(name, len(order))):
        label = declared.get(name, {}).get("label") or _readable(name)
        for suffix, members in _split(groups[name]).items():
            members.sort(key=lambda run: run.seed)
            arms.append(
                Arm(
                    name=f"{name} ({suffix})" if suffix else name,
                    label=f"{label} ({suffix})" if suffix else label,
                    control=declared.get(name, {}).get("role") == "control",
                    real_only=_is_real_only(name, members),
                    runs=tuple(members),
                )
            )
    return tuple(arms)


def _split(members: Sequence[tuple[Path, Run]]) -> dict[str, list[Run]]:
    """{"": runs} where the runs are seeds of one arm, else {a name of the place: its runs}, the shortest that tells."""
    namings: tuple[Callable[[Path, Run], str], ...] = (
        lambda given, run: "",
        lambda given, run: given.resolve().name,
        lambda given, run: _arm_folder(run).name,
        lambda given, run: os.path.relpath(_arm_folder(run), given.resolve()),
        lambda given, run: os.path.relpath(_arm_folder(run), given.resolve().parent),
        lambda given, run: _arm_folder(run).as_posix(),
    )
    for naming in namings:
        places: dict[str, list[Run]] = {}
        for given, run in members:
            places.setdefault(naming(given, run), []).append(run)
        if all(_one_arm(runs) for runs in places.values()):
            return places
    return {run.path.as_posix(): [run] for _, run in members}


def _one_arm(runs: Sequence[Run]) -> bool:
    """Whether the runs can be seeds of one arm: no seed twice, and equal specs but for what names a run."""
    specs = [{k: v for k, v in run.spec.items() if k not in _IDENTITY_KEYS} for run in runs if run.spec]
    return len({run.seed for run in runs}) == len(runs) and all(spec == specs[0] for spec in specs)


def _arm_folder(run: Run) -> Path:
    """The folder that is named after the arm: that of the run, or the one around ``seed-<k>``."""
    path = run.path.resolve()
    return path.parent if path.name.startswith("seed-") else path


def _readable(name: str) -> str:
    return name.replace("_", " ").replace("-", " ").strip() or name


def _is_real_only(name: str, runs: Sequence[Run]) -> bool:
    regime = runs[0].spec.get("regime")
    kind = regime if isinstance(regime, str) else regime.get("name", regime.get("kind")) if regime else None
    plain = _readable(name).lower()
    return kind == "real_only" or plain in ("real only", "real data only") or plain.startswith("real only ")


def _notes(arms: Sequence[Arm]) -> list[str]:
    """What is missing or unfinished, one line a fact; facts that are equal for seeds or arms are joined."""
    lines: dict[str, list[str]] = {}
    for arm in arms:
        facts: dict[str, list[int]] = {}
        for run in arm.runs:
            last = run.last_generation
            unfinished = run.planned is not None and last is not None and last < run.planned
            extra = [f"unfinished: generation {last} of {run.planned}"] if unfinished else []
            for fact in (*run.notes, *extra):
                facts.setdefault(fact, []).append(run.seed)
        for fact, seeds in facts.items():
            every = len(seeds) == len(arm.runs)
            who = "" if every else f", seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
            lines.setdefault(fact, []).append(f"{arm.label}{who}")
    whole = [arm.label for arm in arms]
    return [
        f"{'every arm' if who == whole and len(arms) > 1 else '; '.join(who)}: {fact}" for fact, who in lines.items()
    ]
