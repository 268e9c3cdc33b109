"""Where the numbers come from: what differs between arms, specs, environment, command, citation, files."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroloop.report.files import read_json
from ouroloop.report.load import Results
from ouroloop.report.runs import Run
from ouroloop.report.wording import plural
from ouroloop.reproduce import correct_command, is_pile, is_summary, source_of, study_command

__all__ = ["FileRow", "SpecText", "citations", "commands", "differing", "environment_of", "files_of", "specs_of"]

_IDENTITY = ("arm", "name", "seed", "title", "path", "runs")
_MOST_FILES = 60
_WHAT = {
    "run.json": "arm, seed, ancestry, checksums",
    "spec.yaml": "the resolved specification",
    "environment.json": "versions, machine and command",
    "fingerprint.json": "digest of the fields that matter",
    "forecasts.json": "what theory predicts",
    "metrics.parquet": "every number in this report",
    "events.jsonl": "what happened when",
    "generations": "samples, model, corrections and manifest of each generation",
    "study.json": "arms and checks of the study",
}


@dataclass(frozen=True)
class SpecText:
    """An arm's spec.yaml, as it is on disk."""

    label: str
    seed: int
    text: str


@dataclass(frozen=True)
class FileRow:
    """A file or folder of a run."""

    path: str
    what: str
    size: str


def flattened(content: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested mappings and lists as dotted names and texts."""
    result: dict[str, str] = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            result.update(flattened(value, f"{name}."))
        elif isinstance(value, list) and any(isinstance(entry, Mapping | list) for entry in value):
            result.update(flattened({str(i): entry for i, entry in enumerate(value)}, f"{name}."))
        else:
            result[name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return result


def differing(results: Results) -> list[tuple[str, list[str]]]:
    """The fields of the spec that are not the same in all arms, with each arm's value ("–" where absent)."""
    specs = [flattened({k: v for k, v in arm.runs[0].spec.items() if k not in _IDENTITY}) for arm in results.arms]
    if len([spec for spec in specs if spec]) < 2:
        return []
    names = list(dict.fromkeys(name for spec in specs for name in spec))
    rows = [(name, [spec.get(name, "–") for spec in specs]) for name in names]
    return [(name, values) for name, values in rows if len(set(values)) > 1]


def specs_of(results: Results) -> list[SpecText]:
    """One spec an arm (its first seed's)."""
    return [SpecText(a.label, a.runs[0].seed, a.runs[0].spec_text) for a in results.arms if a.runs[0].spec_text]


def environment_of(results: Results) -> tuple[list[tuple[str, str]], list[str]]:
    """The first run's environment, and the names of the entries that are not the same in all runs."""
    tables = [flattened(run.environment) for run in results.runs if run.environment]
    if not tables:
        return [], []
    names = list(dict.fromkeys(name for table in tables for name in table))
    return list(tables[0].items()), [n for n in names if len({table.get(n) for table in tables}) > 1]


def commands(results: Results) -> list[str]:
    """The commands that make these results again: as recorded in the runs, else of each study, else of each run.

    What no command makes again is said in a comment.
    """
    recorded = [run.environment.get("command") or run.environment.get("argv") for run in results.runs]
    lines = [" ".join(map(str, given)) if isinstance(given, list) else str(given) for given in recorded if given]
    if lines:
        return list(dict.fromkeys(lines))[:20]
    folders = [study.path.resolve() for study in results.studies]
    lines = [study_command(study.source) or f"ouroloop study {study.name}" for study in results.studies if study.name]
    base = _base(results)
    for run in results.runs:
        if not any(folder == run.path.resolve() or folder in run.path.resolve().parents for folder in folders):
            lines += _run_command(run, _relative(run.path, base))
    return list(dict.fromkeys(lines))[:20]


def _run_command(run: Run, name: str) -> list[str]:
    """The lines that make a single run again.

    Args:
        run: not part of a study that is shown.
        name: how the page calls its folder.
    """
    if not run.spec:
        return []
    if is_pile(run.spec):
        known = {"label", "units"} & set(run.spec.get("data", {}))
        older = [] if known else ["# of a version that did not record --label; of motions --units, --fps and --format"]
        return [correct_command(run.spec), *older]
    if "experiment" in run.spec or ((run.path / "run.json").is_file() and is_summary(run.path)):
        command = study_command(source_of(run.path))
        return [command or f"# {name}: an arm and seed of a study, which makes it again as a whole"]
    objects = [k for k, part in run.spec.items() if isinstance(part, Mapping) and part.get("kind") == "object"]
    if objects:
        return [f"# {name}: made in Python with objects of its own ({', '.join(objects)}); no command makes it again"]
    described = read_json(run.path / "run.json")
    origin = described.get("forked_from") if isinstance(described, dict) else None
    if isinstance(origin, Mapping):
        return [
            f"# {name}: forked from the run '{_one_line(origin.get('run'))}' at generation "
            f"{_one_line(origin.get('at'))}; from there on its spec.yaml"
        ]
    return [shlex.join(["ouroloop", "run", f"{name}/spec.yaml"])]


def _one_line(value: Any) -> str:
    return " ".join(str(value).split())


def citations(results: Results) -> list[str]:
    """What to cite: the software and its version, the studies' papers, the forecasts' sources; and where BibTeX is."""
    versions = {flattened(run.environment).get("packages.ouroloop", "") for run in results.runs} - {""}
    version = f", version {' and '.join(sorted(versions))}" if versions else ""
    lines = [f"Ouroloop: run, correct, measure and forecast self-consuming training loops{version}."]
    lines += [study.reference for study in results.studies if study.reference]
    lines += [f"Forecast: {f.source}" for run in results.runs for f in run.forecasts if f.source]
    places = [study.path for study in results.studies] or [run.path for run in results.runs]
    base = _base(results)
    lines.append(f"BibTeX of every method used: ouroloop cite {' '.join(_relative(p, base) for p in places[:8])}")
    return list(dict.fromkeys(lines))


def files_of(results: Results) -> tuple[list[FileRow], int]:
    """Files of the studies and of each arm's first run, and how many further runs have the same ones."""
    base = _base(results)
    folders = [study.path for study in results.studies] + [arm.runs[0].path for arm in results.arms]
    rows: list[FileRow] = []
    for folder in dict.fromkeys(folders):
        for name, what in _WHAT.items():
            path = folder / name
            if path.is_dir():
                count = sum(child.name.isdigit() for child in path.iterdir())
                rows.append(FileRow(f"{_relative(path, base)}/", what, plural(count, "generation")))
            elif path.exists():
                rows.append(FileRow(_relative(path, base), what, _size(path.stat().st_size)))
    runs = {run.path for run in results.runs}
    return rows[:_MOST_FILES], len(runs - set(folders))


def _base(results: Results) -> Path:
    """The folder that paths are shown relative to: the deepest one that holds everything."""
    paths = [str(run.path.resolve()) for run in results.runs] + [str(s.path.resolve()) for s in results.studies]
    common = Path(os.path.commonpath(paths))
    return common.parent


def _relative(path: Path, base: Path) -> str:
    return path.resolve().relative_to(base).as_posix()


def _size(size: int) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size = size / 1000  # type: ignore[assignment]
    return f"{size:.1f} GB"
