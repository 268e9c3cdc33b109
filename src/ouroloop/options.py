"""The options of a part, checked against its constructor: every part is configured by what it already says."""

from __future__ import annotations

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from ouroloop import registry
from ouroloop.errors import OuroloopError, SpecError

__all__ = ["Problem", "build", "explain", "options_model", "plain_value", "resolve_options"]

Problem = tuple[tuple[str | int, ...], str]
"""A field's path and what is wrong with it."""

_FEATURES = {"features": "auto", "space": "pixels"}
"""Options whose value is a feature extractor, and the name that each has besides."""

_KEYWORDS = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def options_model(part: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model with one field per constructor argument of a part; unknown fields are refused."""
    hints = _hints(part)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(part).parameters.items():
        if parameter.kind not in _KEYWORDS:
            continue
        default = parameter.default
        if default is inspect.Parameter.empty:
            default = ...
        elif dataclasses.is_dataclass(part):
            field = next((f for f in dataclasses.fields(part) if f.name == name), None)
            if field is not None and field.default_factory is not dataclasses.MISSING:
                default = field.default_factory()
        fields[name] = (hints.get(name, Any), default)
    config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, protected_namespaces=())
    return create_model(getattr(part, "__name__", "Options"), __config__=config, **fields)


def _hints(part: Callable[..., Any]) -> dict[str, Any]:
    target = part if dataclasses.is_dataclass(part) or not inspect.isclass(part) else part.__init__
    return typing.get_type_hints(target, include_extras=True)


def resolve_options(family: str, given: Any, path: tuple[str | int, ...]) -> tuple[dict[str, Any], list[Problem]]:
    """A part's mapping with every default filled in, and what is wrong with it.

    Args:
        family: the registry's family.
        given: ``{"kind": name, option: value, ...}`` or just the name.
        path: where the mapping stands in the specification, for messages.
    """
    given = {"kind": given} if isinstance(given, str) else given
    if not isinstance(given, Mapping) or not isinstance(given.get("kind"), str):
        return {}, [(path, f"needs a 'kind', one of: {', '.join(registry.names(family))}")]
    options = {k: v for k, v in given.items() if k != "kind"}
    if given["kind"] == "object":
        what = given.get("object", "?")
        text = f"is the Python object {what} and cannot be read from a file; go on from Python, with Loop.resume or"
        return {}, [(path, f"{text} Loop.fork, or name one of: {', '.join(registry.names(family))}")]
    try:
        part = registry.resolve(family, given["kind"])
    except SpecError:
        choices = ", ".join(registry.names(family))
        return {}, [((*path, "kind"), f"must be one of: {choices}; got '{given['kind']}'")]
    nested: dict[str, str] = getattr(part, "nested_parts", {})
    problems: list[Problem] = []
    inner: dict[str, Any] = {}
    for name, inner_family in nested.items():
        entries = options.pop(name, [])
        if not isinstance(entries, list | tuple):
            problems.append(((*path, name), f"must be a list of {inner_family}"))
            continue
        resolved = [resolve_options(inner_family, e, (*path, name, i)) for i, e in enumerate(entries)]
        inner[name] = [r for r, _ in resolved]
        problems.extend(p for _, found in resolved for p in found)
    model = options_model(part)
    try:
        values = model.model_validate({**options, **dict.fromkeys(nested, ())})
    except ValidationError as error:
        return {}, problems + explain(error, path)
    plain = {name: plain_value(getattr(values, name)) for name in model.model_fields if name not in nested}
    for name in _FEATURES.keys() & plain.keys():
        if isinstance(plain[name], str | dict) and plain[name] != _FEATURES[name]:
            problems += resolve_options("features", plain[name], (*path, name))[1]
    resolved = {"kind": given["kind"], **plain, **inner}
    return resolved, problems or _constructed(family, part, resolved, path)


def _constructed(family: str, part: Any, resolved: Mapping[str, Any], path: tuple[str | int, ...]) -> list[Problem]:
    """What the constructor itself finds wrong, such as options that do not fit together."""
    if not dataclasses.is_dataclass(part):
        return []  # who knows what it costs to make one
    try:
        build(family, resolved)
    except OuroloopError as error:
        match = re.match(r"(?:\w+\.)?(\w+): ", str(error))  # 'gaussian.mean: expected shape ...'
        if match and match[1] in resolved:
            return [((*path, match[1]), str(error)[match.end() :])]
        return [(path, str(error))]
    return []


def build(family: str, resolved: Mapping[str, Any]) -> Any:
    """The part itself, from a mapping that `resolve_options` returned."""
    part = registry.resolve(family, resolved["kind"])
    options = {k: v for k, v in resolved.items() if k != "kind"}
    for name, inner_family in getattr(part, "nested_parts", {}).items():
        options[name] = tuple(build(inner_family, entry) for entry in options.get(name, ()))
    checked = options_model(part).model_validate(options)
    return part(**{name: getattr(checked, name) for name in options})


def plain_value(value: Any) -> Any:
    """A value as YAML can write it."""
    if isinstance(value, BaseModel):
        return value.model_dump()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain_value(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if isinstance(value, Mapping):
        return {str(k): plain_value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain_value(v) for v in value]
    return value if isinstance(value, str | int | float | bool) or value is None else str(value)


_SHORT = {
    "greater_than_equal": "must be >= {ge}",
    "greater_than": "must be > {gt}",
    "less_than_equal": "must be <= {le}",
    "less_than": "must be < {lt}",
    "extra_forbidden": "is not a known option",
    "missing": "is required",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "string_type": "must be text",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
}


def explain(error: ValidationError, path: tuple[str | int, ...]) -> list[Problem]:
    """Pydantic's findings in our words: '<field>: must be >= 0, got -1'."""
    problems = []
    for item in error.errors(include_url=False):
        template = _SHORT.get(item["type"])
        context = {k: f"{v:g}" if isinstance(v, float) else v for k, v in item.get("ctx", {}).items()}
        text = template.format(**context) if template else item["msg"].removeprefix("Value error, ")
        if item["type"] != "missing":
            got = repr(item["input"])
            text += f", got {got if len(got) <= 60 else got[:57] + '...'}"
        location = tuple(part for part in item["loc"] if not (isinstance(part, str) and "[" in part))
        problems.append(((*path, *location), text))
    return problems
