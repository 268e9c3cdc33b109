"""The arguments of `Loop` as fields of a specification, checked, and the parts among them that are Python objects."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ouroloop.assemble import describe_part, with_strength
from ouroloop.atomic import plain
from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.options import build
from ouroloop.run_files import differing_fields
from ouroloop.spec import Spec

__all__ = ["OBJECTS", "PARTS", "checked_fields", "data_objects", "metric_parts", "refuse_other_parts", "with_changes"]

PARTS = {"generator": "generators", "regime": "regimes", "corrector": "correctors"}
"""Field -> kind of part."""
OBJECTS = {"generator", "regime", "corrector", "metrics", "data", "real", "held_out", "label"}
"""What may be given as a Python object."""


def metric_parts(given: Sequence[Any]) -> tuple[list[dict[str, Any]], list[Any] | None]:
    """Metrics as the specification says them, and the parts themselves where one was given as an object."""
    described = [describe_part("metrics", metric, f"metrics.{i}") for i, metric in enumerate(given)]
    texts = [text for text, _ in described]
    if all(value is None for _, value in described):
        return texts, None
    return texts, [build("metrics", text) if value is None else value for text, value in described]


def with_changes(spec: Mapping[str, Any], changes: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A specification with fields changed, checked, and the objects among the changes.

    Args:
        spec: a run's resolved specification.
        changes: fields of the specification (``corrector={"kind": "cluster"}``), or Python objects for parts;
            `correction_strength` is the corrector's.

    Raises:
        SpecError: no such field, or a value that it cannot have.
    """
    spec, changes, objects = dict(spec), dict(changes), {}
    strength = changes.pop("correction_strength", None)
    if strength is not None:
        changes["corrector"] = with_strength(changes.get("corrector", spec["corrector"]), strength)
    _refuse_unknown(set(changes) - OBJECTS)
    for field, value in changes.items():
        if field in PARTS:
            spec[field], objects[field] = describe_part(PARTS[field], value, field)
            if field == "corrector":
                spec[field].setdefault("correction_strength", math.inf)
        elif field == "metrics":
            spec[field], objects[field] = metric_parts(value)
        elif field == "data" and isinstance(value, str | Mapping):
            spec[field], _ = describe_part("datasets", value, field)
        elif field in Spec.model_fields and field not in OBJECTS:
            spec[field] = value
        else:
            objects[field] = value
    return checked_fields(spec, {k: spec[k] for k in (*PARTS, "data", "metrics")}), objects


def refuse_other_parts(path: Path | str, spec: Mapping[str, Any], objects: Mapping[str, Any]) -> None:
    """Raise SpecError, naming the fields, if parts given for a run are not those that it was made with."""
    for field in PARTS.keys() & objects.keys():
        given, _ = describe_part(PARTS[field], objects[field], field)
        stored = {k: v for k, v in spec[field].items() if k in given or k != "correction_strength"}
        differing = differing_fields({field: plain(given, field)}, {field: stored})
        if differing:
            raise SpecError(
                f"{path}: the run was made with another {field}; fork the run to go on with this one. "
                "They differ in:\n  " + "\n  ".join(differing)
            )


def checked_fields(fields: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
    """The plain fields of a specification, checked, with the (already resolved) parts put in."""
    from pydantic import ValidationError

    from ouroloop.options import explain

    _refuse_unknown(fields)
    try:
        return Spec.model_validate({**fields, **parts}).resolved()
    except ValidationError as error:
        problems = explain(error, ())
        raise SpecError("\n".join(f"{'.'.join(map(str, path))}: {text}" for path, text in problems)) from error


def data_objects(objects: Mapping[str, Any], spec: Mapping[str, Any]) -> dict[str, Any]:
    """``real=``, ``held_out=``, ``label=`` as given to `Loop`, turned into the data object."""
    rest = {k: v for k, v in objects.items() if k not in ("real", "held_out", "label")}
    if "real" in objects:
        from ouroloop.datasets.files import from_arrays

        given = {name: objects.get(name) for name in ("label", "held_out")}
        rest["data"] = from_arrays(objects["real"], **given, key=Key(spec["seed"]).child("data"))
    return rest


def _refuse_unknown(fields: Iterable[str]) -> None:
    unknown = set(fields) - set(Spec.model_fields)
    if unknown:
        raise SpecError(f"unknown field(s) {', '.join(sorted(unknown))}; there are: {', '.join(Spec.model_fields)}")
