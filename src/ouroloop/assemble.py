"""From a specification, or from Python objects, to the prepared parts of a loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroloop import options, registry
from ouroloop.errors import SpecError
from ouroloop.features.cache import content_digest
from ouroloop.forecasting import forecasts_for_rows
from ouroloop.keys import Key
from ouroloop.protocols import Generator, Reference
from ouroloop.samples import Samples
from ouroloop.spec import resolve_corrector, semantic
from ouroloop.step import Step

__all__ = ["Assembly", "assemble", "describe_part", "with_strength"]


@dataclass(frozen=True, eq=False)
class Assembly:
    """A loop ready to start.

    Args:
        step: the prepared step.
        spec: the resolved specification as plain data.
        fingerprint: the fields that its numbers depend on, and a hash of the data.
        forecasts: what theory says of this specification, as written to forecasts.json.
    """

    step: Step
    spec: dict[str, Any]
    fingerprint: dict[str, Any]
    forecasts: list[dict[str, Any]]


def assemble(spec: Mapping[str, Any], objects: Mapping[str, Any], *, cache: Path | None = None) -> Assembly:
    """Load the data, build and prepare the parts.

    Args:
        spec: a resolved specification (`Spec.resolved()`), in which a part given as an object has kind "object".
        objects: those objects by field: generator, regime, corrector, metrics (a list), data.
        cache: folder for feature extractors and downloads.
    """
    key = Key(spec["seed"])
    data = _data(spec, objects, key, cache)
    data.real.check_finite(f"real data '{data.name}'")
    fresh = data.fresh if getattr(data, "fresh_fn", True) is not None else None
    background = getattr(data, "background_fn", None)
    reference = Reference(data.real, data.held_out, fresh, cache, data.name, background)
    without_test = Reference(data.real, None, fresh, cache, data.name)
    metrics = objects.get("metrics") or [_built("metrics", "metrics", m) for m in spec["metrics"]]
    evaluation, guards = spec["evaluation"], spec["guards"]
    step = Step(
        reference=reference,
        generator=_generator(spec, objects),
        regime=objects.get("regime") or _built("regimes", "regime", spec["regime"]),
        corrector=_corrector(spec, objects).fit(without_test, key=key.child("corrector")),
        metrics=[m.fit(reference, key=key.child("metric", type(m).__name__, i)) for i, m in enumerate(metrics)],
        alarm=_alarm() if metrics else None,
        fine_tune=spec["start"] == "previous",
        condition=spec["condition"],
        evaluation_rows=evaluation["n"],
        evaluate_every=evaluation["every"],
        last_generation=spec["generations"],
        min_real_share=guards["min_real_share"],
        subsample=guards["on_violation"] == "subsample",
        shard_rows=spec["shard_rows"],
        on_failure=spec["on_failure"],
    )
    fingerprint = {**semantic(spec), "data_sha256": _content(data.real, data.held_out)}
    forecasts = [f.to_dict() for f in forecasts_for_rows(spec, data.real, data.held_out)]
    return Assembly(step, dict(spec), fingerprint, forecasts)


def describe_part(family: str, value: Any, field: str) -> tuple[dict[str, Any], Any]:
    """How a part given from Python stands in the specification, and the object if it must be kept.

    A name or mapping is resolved like YAML; an instance of a registered part becomes its mapping; anything else
    is described (class and parameters) under the kind "object" and has to be given again on resume.
    """
    if isinstance(value, str | Mapping):
        if family == "correctors":
            resolved, problems = resolve_corrector(value, (field,))
        else:
            resolved, problems = options.resolve_options(family, value, (field,))
        if problems:
            raise SpecError("\n".join(f"{'.'.join(map(str, path))}: {text}" for path, text in problems))
        return resolved, None
    from ouroloop.generators.adapt import describe

    name = registry.name_of(family, value)
    if name is not None and not getattr(value, "nested_parts", None):
        plain = {f: options.plain_value(getattr(value, f)) for f in options.options_model(type(value)).model_fields}
        return {"kind": name, **plain}, value
    return {"kind": "object", **describe(value)}, value


def with_strength(corrector: Any, strength: float) -> Any:
    """A corrector's name or mapping with this correction_strength; objects as they are."""
    if strength == float("inf") or not isinstance(corrector, str | Mapping):
        return corrector
    mapping: dict[str, Any] = {"kind": corrector} if isinstance(corrector, str) else dict(corrector)
    mapping["correction_strength"] = strength
    return mapping


def _data(spec: Mapping[str, Any], objects: Mapping[str, Any], key: Key, cache: Path | None) -> Any:
    if objects.get("data") is not None:
        return objects["data"]
    _refuse_object("data", spec["data"])
    return options.build("datasets", spec["data"]).load(key=key.child("data"), cache=cache)


def _generator(spec: Mapping[str, Any], objects: Mapping[str, Any]) -> Generator:
    from ouroloop.generators.adapt import adapt

    if objects.get("generator") is not None:
        return adapt(objects["generator"])
    _refuse_object("generator", spec["generator"])
    return options.build("generators", spec["generator"])


def _corrector(spec: Mapping[str, Any], objects: Mapping[str, Any]) -> Any:
    from ouroloop.correctors.function import adapt
    from ouroloop.correctors.strength import Strength

    given = dict(spec["corrector"])
    if objects.get("corrector") is not None:
        part = adapt(objects["corrector"])
    else:
        _refuse_object("corrector", given)
        own = getattr(registry.resolve("correctors", given["kind"]), "own_strength", False)
        part = options.build("correctors", given if own else {k: v for k, v in given.items() if k not in _STRENGTH})
    if getattr(part, "own_strength", False):
        return part
    return Strength(corrector=part, correction_strength=given.get("correction_strength", float("inf")))


_STRENGTH = {"correction_strength"}


def _built(family: str, field: str, mapping: Mapping[str, Any]) -> Any:
    _refuse_object(field, mapping)
    return options.build(family, mapping)


def _refuse_object(field: str, mapping: Mapping[str, Any]) -> None:
    if mapping.get("kind") == "object":
        raise SpecError(
            f"{field}: this run was started from Python with the object {mapping.get('object', '?')}; "
            f"give it again: Loop.resume(path, {field}=...)"
        )


def _alarm() -> Any:
    from ouroloop.metrics.alarm import CollapseAlarm

    return CollapseAlarm()


def _content(*tables: Samples | None) -> str:
    given = [table for table in tables if table is not None]
    return content_digest({f"{name}{i}": table[name] for i, table in enumerate(given) for name in table.data_columns})
