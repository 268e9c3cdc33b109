"""A study: several arms with the same seeds, controls among them, and what is expected of their curves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, field_validator

from ouroloop.backends.local import Cell, Listener, run_cells
from ouroloop.checks import Check, CheckResult, evaluate
from ouroloop.errors import SpecError
from ouroloop.experiment import GENERATION, ExperimentSpec
from ouroloop.measurements import read_rows
from ouroloop.options import explain
from ouroloop.run_files import flatten
from ouroloop.spec import Spec, apply_overrides, merge, override_paths, starting_point
from ouroloop.study_files import STUDY, check_unchanged, write_study_file
from ouroloop.yaml_file import YamlFile, read_yaml

__all__ = ["Arm", "Study", "find_study", "run_study", "study_names"]

_FROZEN = ConfigDict(frozen=True, extra="forbid")


class Arm(BaseModel):
    """One curve of a study: the base specification with something changed."""

    model_config = _FROZEN
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$", description="also the folder's name")]
    label: Annotated[str, Field(description="how figures call it")] = ""
    role: Annotated[Literal["arm", "control"], Field(description="what is tried, or what it is compared with")] = "arm"
    set: Annotated[dict[str, Any], Field(description="fields that differ from the base")] = {}


class Study(BaseModel):
    """A published or new experiment as data."""

    model_config = _FROZEN
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="name of the study")]
    title: Annotated[str, Field(description="one line")] = ""
    description: Annotated[str, Field(description="what it reproduces and how it differs")] = ""
    reference: Annotated[str, Field(description="the paper and section")] = ""
    backend: Annotated[
        Literal["local", "vectorised", "experiment"],
        Field(description="processes; all arms and seeds in one array (Gaussians); curves over a parameter"),
    ] = "local"
    seeds: Annotated[list[int], Field(min_length=1, description="the same seeds in every arm")]
    base: Annotated[dict[str, Any], Field(description="the specification that all arms share")]
    arms: Annotated[list[Arm], Field(min_length=1)]
    checks: list[Check] = []
    quick: Annotated[dict[str, Any], Field(description="fields that --quick changes (seeds, base)")] = {}
    _source: dict[str, Any] | None = PrivateAttr(default=None)

    @property
    def source(self) -> dict[str, Any] | None:
        """What was read: "study" (name or path), "quick" and "set"; None for one that was not read."""
        return self._source

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) != len(seeds) or min(seeds) < 0:
            raise ValueError("seeds must be different whole numbers >= 0")
        return seeds

    @classmethod
    def read(
        cls, source: Path | str, *, quick: bool = False, overrides: Sequence[str] = (), with_files: bool = False
    ) -> Study:
        """Read a study by name or path.

        Args:
            source: the name of a bundled study, or a YAML file.
            quick: take its small version.
            overrides: for the base, for example ``generations=3``.
            with_files: whether the files of real rows that it names must be there.

        Raises:
            SpecError: one line per problem: field, what is wrong, file and line; or a file is not there.
        """
        file = find_study(source)
        if not isinstance(file.data, dict):
            raise SpecError(f"a study is a mapping of fields{file.where(())}")
        data = dict(file.data)
        if quick:
            file, change = file.below((), ("quick",)), data.get("quick", {})
            change = change if isinstance(change, dict) else {}
            data = merge({**data, "base": data.get("base", {})}, change)
        else:
            change = {}
        if overrides and isinstance(data.get("base"), dict):
            data["base"] = apply_overrides(data["base"], overrides)
            file = file.overridden(("base", *path) for path in override_paths(overrides))
        if "description" not in change:
            data["description"] = _described(data.get("description", ""), change, overrides)
        try:
            study = cls.model_validate(data)
        except ValidationError as error:
            raise SpecError(_problems(error, file)) from error
        names = [arm.name for arm in study.arms]
        if len(set(names)) != len(names):
            raise SpecError(f"arms: two have the same name{file.where(('arms',))}")
        missing: dict[str, str] = {}  # what is missing -> the first arm's line about it
        for arm in study.arms:
            spec = study.spec(arm, study.seeds[0], file=file)
            if with_files and isinstance(spec, Spec):
                below = file.below(("base",), ("arms", study.arms.index(arm), "set"))
                for text in spec.missing_files(below):
                    missing.setdefault(text, f"arm '{arm.name}': {text}")
        if missing:
            raise SpecError("\n".join(missing.values()))
        study._source = {"study": str(source), "quick": quick, "set": list(overrides)}
        return study

    def spec(self, arm: Arm, seed: int, *, file: YamlFile | None = None) -> Spec | ExperimentSpec:
        """The checked specification of one arm and seed."""
        fixed = {"seed", "name", "arm"} & {*self.base, *arm.set}
        if fixed:
            raise SpecError(
                f"arm '{arm.name}': {', '.join(sorted(fixed))} cannot be set; a study sets it (see `seeds`)"
            )
        mapping = {**merge(self.base, arm.set), "name": f"{self.name}-{arm.name}", "arm": arm.name, "seed": seed}
        kind = ExperimentSpec if self.backend == "experiment" else Spec
        if file is not None:
            file = file.below(("base",), ("arms", self.arms.index(arm), "set"))
        try:
            return kind.from_mapping(mapping, file=file)
        except SpecError as error:
            raise SpecError("\n".join(f"arm '{arm.name}': {text}" for text in str(error).splitlines())) from error


def study_names() -> list[str]:
    """Names of the studies that come with the package."""
    folder = resources.files("ouroloop.studies")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def find_study(source: Path | str) -> YamlFile:
    """The YAML of a study given by name or path.

    Raises:
        SpecError: neither a bundled study nor a file; the message lists the bundled ones.
    """
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", str(source)) and str(source) in study_names():
        text = resources.files("ouroloop.studies").joinpath(f"{source}.yaml").read_text(encoding="utf-8")
        return read_yaml(text, name=f"{source}.yaml")
    path = Path(source)
    if not path.is_file():
        raise SpecError(f"no study or file '{source}'; bundled studies: {', '.join(study_names())}")
    return read_yaml(path)


def run_study(
    study: Study,
    out: Path,
    *,
    workers: int | None = None,
    listener: Listener | None = None,
    cache: Path | None = None,
) -> list[CheckResult]:
    """Run or resume every arm and seed, then check the statements.

    Args:
        study: what to run.
        out: the study's directory; arms and seeds become ``<out>/<arm>/seed-<k>``.
        workers, listener, cache: as for `run_cells`.

    Returns:
        One result a check, also written to ``<out>/study.json``.

    Raises:
        StoreError: `out` holds another study, or runs that were made with other settings; nothing was written.
    """
    check_unchanged(study, out, _places(study, out))
    out.mkdir(parents=True, exist_ok=True)
    if not (out / STUDY).exists():
        write_study_file(study, out, [])
    if study.backend == "local":
        # It stops here where the data are not what they were, before the verdicts of what is there are dropped.
        run_cells(_starts(study, out), workers=workers, listener=listener, cache=cache)
    write_study_file(study, out, [])
    if study.backend == "vectorised":
        from ouroloop.backends.vectorised_study import run_study_vectorised

        run_study_vectorised(study, out, listener=listener)
    elif study.backend == "experiment":
        from ouroloop.backends.experiment_study import run_study_experiment

        run_study_experiment(study, out, listener=listener)
    else:
        run_cells(_cells(study, out), workers=workers, listener=listener, cache=cache)
    rows = read_rows(out, [arm.name for arm in study.arms], study.seeds)
    first = study.spec(study.arms[0], study.seeds[0])
    axis = first.axis.name if isinstance(first, ExperimentSpec) else GENERATION
    results = [evaluate(check, rows, axis=axis) for check in study.checks]
    write_study_file(study, out, results)
    return results


def _starts(study: Study, out: Path) -> list[Cell]:
    """Generation 0, once a seed: it is the same in every arm that shares data, generator and seed."""
    cells = []
    for seed in study.seeds:
        first = study.spec(study.arms[0], seed)
        assert isinstance(first, Spec)
        plain = {"data": first.data, "generator": first.generator, "regime": "real_only", "seed": seed}
        spec = Spec.from_mapping({**plain, "name": study.name, "arm": "generation-0", "generations": 0}).resolved()
        cells.append(Cell(f"generation 0, seed {seed}", spec, _start_path(out, seed)))
    return cells


def _cells(study: Study, out: Path) -> list[Cell]:
    cells = []
    for seed in study.seeds:
        first = starting_point(study.spec(study.arms[0], seed).resolved())
        for arm in study.arms:
            spec = study.spec(arm, seed).resolved()
            base = _start_path(out, seed) if starting_point(spec) == first else None
            cells.append(Cell(f"{arm.name}, seed {seed}", spec, out / arm.name / f"seed-{seed}", base))
    return cells


def _places(study: Study, out: Path) -> list[tuple[Path, dict[str, Any]]]:
    """Run directory and specification of every run, generation 0 of the local backend included."""
    arms = [(arm, study.spec(arm, study.seeds[0]).resolved()) for arm in study.arms]
    starts = [(cell.out, dict(cell.spec)) for cell in _starts(study, out)] if study.backend == "local" else []
    cells = [(out / arm.name / f"seed-{k}", {**spec, "seed": k}) for arm, spec in arms for k in study.seeds]
    return starts + cells


def _start_path(out: Path, seed: int) -> Path:
    return out / ".generation-0" / f"seed-{seed}"


def _problems(error: ValidationError, file: YamlFile) -> str:
    return "\n".join(
        f"{'.'.join(map(str, path)) or 'study'}: {text}{file.where(path)}" for path, text in explain(error, ())
    )


def _described(text: Any, quick: Mapping[str, Any], overrides: Sequence[str]) -> Any:
    """The description of a study, led by what was changed in it, which the text itself does not know."""
    base, arms = quick.get("base"), quick.get("arms")
    changed = {"seeds": quick.get("seeds"), **flatten(base if isinstance(base, Mapping) else {})}
    settings = [f"{name} {value}" for name, value in changed.items() if value is not None]
    settings += [f"{len(arms)} arms"] if isinstance(arms, list) else []
    lead = [f"quick version ({'; '.join(settings)})"] if settings else []
    lead += [f"changed with --set {' '.join(overrides)}"] if overrides else []
    if not lead or not text or not isinstance(text, str):
        return text
    first = ", ".join(lead)
    return f"{first[0].upper()}{first[1:]}. What follows describes the study without these changes. {text}"
