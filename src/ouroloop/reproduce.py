"""The command lines that make results again, from what their folders record."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ouroloop.atomic import read_json
from ouroloop.errors import StoreError
from ouroloop.run_files import flatten, read_run, read_spec

__all__ = ["check_resumable", "correct_command", "is_pile", "is_summary", "source_of", "study_command"]


def study_command(source: Any) -> str:
    """The command of a study.json's "source"; "" where it has none.

    >>> study_command({"study": "mini.yaml", "quick": True, "set": ["generations=3"]})
    'ouroloop study mini.yaml --quick --set generations=3'
    """
    if not isinstance(source, Mapping) or not source.get("study"):
        return ""
    given = source.get("set")
    words = ["ouroloop", "study", str(source["study"]), *(["--quick"] if source.get("quick") else [])]
    return shlex.join(words + _assignments([str(text) for text in given] if isinstance(given, list) else []))


def source_of(cell: Path) -> Any:
    """The "source" of the study around ``<study>/<arm>/seed-<k>``, or None."""
    path = cell.resolve().parent.parent / "study.json"
    content = read_json(path) if path.is_file() else None
    return content.get("source") if isinstance(content, dict) else None


def is_pile(spec: Mapping[str, Any]) -> bool:
    """Whether a run's specification is that of a corrected pile, which holds no loop."""
    return isinstance(spec.get("regime"), Mapping) and spec["regime"].get("kind") == "pile"


def is_summary(path: Path) -> bool:
    """Whether a run directory was given its curves and has no generations, as the cells of closed simulations."""
    return "metrics.parquet" in read_run(path)["files"] and not (path / "generations" / "0000").is_dir()


def correct_command(spec: Mapping[str, Any]) -> str:
    """The ``ouroloop correct`` of a corrected pile, as far as its specification records it."""
    data, corrector = spec.get("data", {}), dict(spec.get("corrector", {}))
    kind, strength = str(corrector.pop("kind", "")), corrector.pop("correction_strength", math.inf)
    words = ["ouroloop", "correct", str(spec.get("name", ""))]
    if data.get("kind") == "files":
        words += ["--real", str(data.get("path", ""))]
    words += ["--corrector", kind]
    for option in ("label", "units", "fps", "format"):
        if data.get(option) is not None:
            words += [f"--{option}", str(data[option])]
    if strength != math.inf:
        words += ["--correction-strength", str(strength)]
    if spec.get("on_failure", "drop") != "drop":
        words += ["--on-failure", str(spec["on_failure"])]
    if spec.get("seed"):
        words += ["--seed", str(spec["seed"])]
    return shlex.join(words + _assignments([f"{name}={_as_yaml(v)}" for name, v in flatten(corrector).items()]))


def check_resumable(path: Path) -> None:
    """Refuse a run directory that holds no loop to go on with.

    Raises:
        StoreError: it holds a corrected pile, or curves without generations; the message says what to run instead.
    """
    spec = read_spec(path) if read_run(path) else {}
    if is_pile(spec):
        raise StoreError(
            f"{path}: holds a corrected pile, before and after, and no loop to go on with. "
            f"To correct it again, into a new folder: {correct_command(spec)} -o FOLDER"
        )
    if not is_summary(path):
        return
    command = study_command(source_of(path)) or "ouroloop study NAME"
    study = shlex.quote(str(path.parent.parent))
    more = (
        f"For other values of its axis run the study again, into a new folder: {command} --set FIELD=VALUE -o FOLDER"
        if "experiment" in spec
        else f"For more generations run the study again: {command} --set generations=N -o {study}"
    )
    raise StoreError(
        f"{path}: holds the curves of an arm and seed of a study, without generations to go on from. {more}"
    )


def _assignments(texts: list[str]) -> list[str]:
    return [word for text in texts for word in ("--set", text)]


def _as_yaml(value: Any) -> str:
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("\n").removesuffix("\n...")
