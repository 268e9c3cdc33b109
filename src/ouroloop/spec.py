"""The typed configuration of a run: YAML in, every default filled in, a fingerprint of what matters out."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ouroloop import options, registry
from ouroloop.errors import SpecError, StoreError
from ouroloop.names import safe_name
from ouroloop.yaml_file import YamlFile, dump, parse_scalar, read_yaml

__all__ = [
    "Evaluation",
    "Guards",
    "Keep",
    "Spec",
    "apply_changes",
    "apply_overrides",
    "folder_named_by",
    "merge",
    "override_paths",
    "problem_line",
    "resolve_corrector",
    "semantic",
    "starting_point",
]

_FROZEN = ConfigDict(frozen=True, extra="forbid")
# Fields that change where, how fast or for how long a run goes, but none of its numbers.
_FREE = {"name", "description", "arm", "generations", "keep", "stop_on", "threads"}
_FREE_OPTIONS = {"device", "workers", "path", "held_out_path", "url", "cache", "compile"}
_SINGLE = {"data": "datasets", "generator": "generators", "regime": "regimes", "corrector": "correctors"}


class Evaluation(BaseModel):
    """How each generation is measured."""

    model_config = _FROZEN
    n: Annotated[int, Field(ge=0, description="generated rows to measure; 0: metrics of the model alone")] = 1000
    every: Annotated[int, Field(ge=1, description="measure every so many generations (and the last)")] = 1


class Guards(BaseModel):
    """What must hold of the data that a generation trains on."""

    model_config = _FROZEN
    min_real_share: Annotated[float, Field(ge=0, le=1, description="least share of real rows to train on")] = 0.0
    on_violation: Annotated[
        Literal["stop", "subsample"],
        Field(description="stop with an error, or train on fewer synthetic rows so that the share holds"),
    ] = "stop"


class Keep(BaseModel):
    """Which generations keep their model and rows on disk. Metrics and previews are always kept."""

    model_config = _FROZEN
    last: Annotated[int | None, Field(ge=1, description="keep this many of the newest; None: all")] = None
    every: Annotated[int | None, Field(ge=1, description="and every so many; None: no others")] = None


class Spec(BaseModel):
    """One run: one arm, one seed. Parts are mappings with a `kind` and that part's options."""

    model_config = _FROZEN
    name: Annotated[str, Field(description="name of the run")] = "run"
    description: Annotated[str, Field(description="what it is for")] = ""
    arm: Annotated[str, Field(description="which curve of a study this is")] = ""
    seed: Annotated[int, Field(ge=0, description="seed of every random stream")] = 0
    generations: Annotated[int, Field(ge=0, description="last generation; 0 trains on real data only")] = 10
    data: Annotated[dict[str, Any], Field(description="the real data")]
    generator: Annotated[dict[str, Any], Field(description="the generative model")]
    regime: Annotated[dict[str, Any], Field(description="which data each generation trains on")]
    corrector: Annotated[dict[str, Any], Field(description="what happens to synthetic rows first")]
    metrics: Annotated[list[dict[str, Any]], Field(description="what is measured at each generation")]
    start: Annotated[
        Literal["previous", "scratch"], Field(description="fine-tune the last generation's model, or train anew")
    ] = "scratch"
    condition: Annotated[
        Literal["balanced", "empirical", "none"],
        Field(description="what to draw for: every class (or caption) equally often, as in real data, or nothing"),
    ] = "balanced"
    on_failure: Annotated[
        Literal["drop", "keep_raw"], Field(description="what becomes of rows that the corrector failed on")
    ] = "drop"
    evaluation: Evaluation = Evaluation()
    guards: Guards = Guards()
    keep: Keep = Keep()
    shard_rows: Annotated[int, Field(ge=1, description="rows drawn and corrected at a time")] = 65_536
    stop_on: Annotated[
        Literal["never", "drifting", "collapsing"], Field(description="alarm level at which the run ends early")
    ] = "never"
    threads: Annotated[int | None, Field(ge=1, description="threads of the numeric libraries")] = None

    @classmethod
    def from_mapping(cls, data: Any, *, file: YamlFile | None = None) -> Spec:
        """Check a mapping and fill in every default.

        Raises:
            SpecError: one line per problem: field, what is wrong, file and line.
        """
        if not isinstance(data, Mapping):
            raise SpecError(f"a specification is a mapping of fields{file.where(()) if file else ''}")
        problems: list[options.Problem] = []
        resolved = {"regime": "replace", "corrector": "identity", "metrics": [], **data}
        for field, family in _SINGLE.items():
            if field not in resolved:
                continue
            resolved[field], found = (
                resolve_corrector(resolved[field], (field,))
                if field == "corrector"
                else options.resolve_options(family, resolved[field], (field,))
            )
            problems += found
        if isinstance(resolved["metrics"], Sequence) and not isinstance(resolved["metrics"], str):
            checked = [options.resolve_options("metrics", m, ("metrics", i)) for i, m in enumerate(resolved["metrics"])]
            resolved["metrics"] = [m for m, _ in checked]
            problems += [p for _, found in checked for p in found]
        try:
            spec = cls.model_validate(resolved)
        except ValidationError as error:
            problems += options.explain(error, ())
            spec = None
        if problems or spec is None:
            raise SpecError("\n".join(problem_line(path, text, file) for path, text in problems))
        return spec

    @classmethod
    def read(cls, path: Path, overrides: Sequence[str] = (), *, with_files: bool = False) -> Spec:
        """Read a YAML file, with overrides such as ``regime.synthetic_ratio=0.2`` applied first.

        Args:
            path: the file.
            overrides: as for `apply_overrides`.
            with_files: whether the files of real rows that it names must be there.

        Raises:
            SpecError: as `from_mapping`, or a file is not there.
        """
        file = read_yaml(Path(path))
        changed = apply_overrides(file.data or {}, overrides)
        file = file.overridden(override_paths(overrides))
        spec = cls.from_mapping(changed, file=file)
        missing = spec.missing_files(file) if with_files else []
        if missing:
            raise SpecError("\n".join(missing))
        return spec

    def missing_files(self, file: YamlFile | None = None) -> list[str]:
        """One line per file of real rows that is not there, of data sets that are nothing but files.

        Args:
            file: where the specification is from, for the line's number.
        """
        if self.data["kind"] != "arrays":
            return []
        given = [(field, self.data[field]) for field in ("path", "held_out_path")]
        missing = [(field, name) for field, name in given if not Path(name or ".").expanduser().exists()]
        return [problem_line(("data", field), f"{name}: no such file", file) for field, name in missing]

    def resolved(self) -> dict[str, Any]:
        """Plain data with every default filled in."""
        return self.model_dump()

    def to_yaml(self) -> str:
        """The resolved specification as YAML; reading it back gives an equal one."""
        return dump(self.resolved())

    def fingerprint(self) -> str:
        """SHA-256 (hex) of the semantic fields."""
        return hashlib.sha256(json.dumps(semantic(self.resolved()), sort_keys=True).encode()).hexdigest()


def semantic(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a resolved specification that its numbers depend on: not names, places, devices or its length."""
    return {k: _without_free(v) for k, v in resolved.items() if k not in _FREE}


def starting_point(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that generation 0's model depends on: runs that agree in them may share it."""
    generator = _without_free(resolved["generator"])
    kind = generator.get("kind", "object")
    part = None if kind == "object" else registry.resolve("generators", kind)
    later: set[str] = set(getattr(part, "later_options", ()))
    for option in ("steps", "learning_rate"):
        if later and generator.get(f"first_{option}") is not None:
            later.add(option)
    trimmed = {k: v for k, v in generator.items() if k not in later}
    return {"data": _without_free(resolved["data"]), "generator": trimmed, "seed": resolved["seed"]}


def resolve_corrector(given: Any, path: tuple[str | int, ...]) -> tuple[dict[str, Any], list[options.Problem]]:
    """Every corrector takes a correction_strength; those that do not bring their own are wrapped."""
    given = {"kind": given} if isinstance(given, str) else given
    if not isinstance(given, Mapping) or "correction_strength" not in given:
        resolved, problems = options.resolve_options("correctors", given, path)
        return (resolved if problems or "correction_strength" in resolved else {**resolved, **_FULL}), problems
    inner, problems = options.resolve_options("correctors", given, path)
    if not problems:
        return inner, problems  # the part has a strength of its own
    rest = {k: v for k, v in given.items() if k != "correction_strength"}
    inner, problems = options.resolve_options("correctors", rest, path)
    try:
        strength = float(given["correction_strength"])
        if not strength >= 0:
            raise ValueError
    except (TypeError, ValueError):
        got = given["correction_strength"]
        problems.append(((*path, "correction_strength"), f"must be a number >= 0 or .inf, got {got!r}"))
        strength = 0.0
    return {**inner, "correction_strength": strength}, problems


_FULL = {"correction_strength": float("inf")}


def problem_line(path: tuple[str | int, ...], text: str, file: YamlFile | None) -> str:
    """'regime.synthetic_ratio: must be >= 0, got -1, in study.yaml line 12'."""
    return f"{'.'.join(map(str, path)) or 'specification'}: {text}{file.where(path) if file else ''}"


def _without_free(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_free(v) for k, v in value.items() if k not in _FREE_OPTIONS}
    return [_without_free(v) for v in value] if isinstance(value, list) else value


def merge(base: Mapping[str, Any], change: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `change` laid over it, mapping by mapping. A part of another `kind` replaces the old one whole."""
    result = dict(base)
    for key, value in change.items():
        old = result.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and value.get("kind", old.get("kind")) == old.get("kind")
        ):
            result[key] = merge(old, value)
        else:
            result[key] = value
    return result


def apply_overrides(data: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Apply ``a.b.c=value`` assignments (values as in YAML) to nested mappings and lists.

    Raises:
        SpecError: an assignment without '=' or through something that is no mapping.
    """
    if not isinstance(data, Mapping):
        raise SpecError("a specification is a mapping of fields, not a list or a single value")
    result = copy.deepcopy(dict(data))
    for text in overrides:
        match = re.fullmatch(r"([\w\-.]+)=(.*)", text, re.DOTALL)
        if not match:
            raise SpecError(f"--set {text}: expected FIELD=VALUE, for example regime.synthetic_ratio=0.2")
        path, value = match[1].split("."), parse_scalar(match[2])
        target: Any = result
        for depth, step in enumerate(path[:-1]):
            target = _descend(target, step, text, ".".join(path[: depth + 1]))
        last = path[-1]
        if isinstance(target, list) and last.isdigit() and int(last) < len(target):
            target[int(last)] = value
        elif isinstance(target, dict):
            target[last] = value
        else:
            raise SpecError(f"--set {text}: '{'.'.join(path[:-1])}' has no field '{last}'")
    return result


def folder_named_by(spec: Spec, path: Path, overrides: Sequence[str] = ()) -> str:
    """The `name` of a specification that was read from `path`, checked to be one that a folder can have.

    Raises:
        SpecError: with field, file and line.
    """
    try:
        return safe_name(spec.name)
    except StoreError as error:
        file = read_yaml(Path(path)).overridden(override_paths(overrides))
        raise SpecError(problem_line(("name",), str(error), file)) from error


def apply_changes(resolved: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """`apply_overrides` on a specification with every default filled in, in which nobody wrote most of the options.

    A part of which ``.kind`` becomes another loses the options of the old part, as in `merge`.
    """
    result = apply_overrides(resolved, ())
    for text, path in zip(overrides, override_paths(overrides), strict=True):
        part: Any = result
        for step in path[:-1]:
            inside = step in part if isinstance(part, Mapping) else isinstance(step, int) and step < len(part)
            part = part[step] if inside and isinstance(part[step], dict | list) else {}
        kind = parse_scalar(text.partition("=")[2])
        if path[-1] == "kind" and isinstance(part, dict) and part.get("kind", kind) != kind:
            part.clear()
    return apply_overrides(result, overrides)


def override_paths(overrides: Sequence[str]) -> list[tuple[str | int, ...]]:
    """Where the assignments that `apply_overrides` takes put their values."""
    return [tuple(int(s) if s.isdigit() else s for s in text.partition("=")[0].split(".")) for text in overrides]


def _descend(target: Any, step: str, text: str, so_far: str) -> Any:
    if isinstance(target, list) and step.isdigit() and int(step) < len(target):
        inner = target[int(step)]
        if isinstance(inner, str):
            inner = target[int(step)] = {"kind": inner}
        return inner
    if isinstance(target, dict):
        inner = target.setdefault(step, {})
        if isinstance(inner, str):  # 'regime: replace' is short for 'regime: {kind: replace}'
            inner = target[step] = {"kind": inner}
        return inner
    raise SpecError(f"--set {text}: '{so_far}' is not a mapping or list entry")
