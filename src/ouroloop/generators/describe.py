"""What an object from Python is, as plain data, for specifications and their fingerprints."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ouroloop.generators.foreign import as_array, is_estimator, name_of

__all__ = ["describe"]

_DEPTH = 4


def describe(obj: Any) -> dict[str, Any]:
    """Class name and parameters of an object, JSON-able, the same in every process.

    Parameters are those of ``get_params()``, else the public attributes. Arrays, and the weights of an object
    with a ``state_dict()``, stand there as hashes; functions and classes by name. The code itself is not part of it:
    a class whose methods were edited describes itself as before.

    >>> describe(np.random.default_rng)
    {'object': 'numpy.random.default_rng'}
    """
    return _describe(obj, _DEPTH)


def _describe(obj: Any, depth: int) -> dict[str, Any]:
    inner = getattr(obj, "described", None)  # an adapter speaks for the object inside it
    if inner is not None:
        return _describe(inner, depth)
    result: dict[str, Any] = {"object": name_of(obj)}
    if inspect.isroutine(obj) or inspect.isclass(obj):
        return result
    parameters = _parameters(obj)
    if parameters and depth:
        result["parameters"] = {str(name): _plain(value, depth - 1) for name, value in sorted(parameters.items())}
    if callable(getattr(obj, "state_dict", None)) and depth:
        with contextlib.suppress(Exception):  # many have no state before their first fit, and say so by raising
            result["state"] = _plain(dict(obj.state_dict()), depth)
    return result


def _parameters(obj: Any) -> dict[str, Any]:
    if is_estimator(obj):
        return obj.get_params(deep=False)
    if dataclasses.is_dataclass(obj) and not isinstance(obj, type):
        return {f.name: getattr(obj, f.name) for f in dataclasses.fields(obj) if f.init}
    attributes = getattr(obj, "__dict__", {})
    return {name: value for name, value in attributes.items() if not name.startswith("_")}


def _plain(value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) or (hasattr(value, "detach") and hasattr(value, "cpu")):
        return _hashed(as_array(value))
    if isinstance(value, bytes):
        return {"sha256": hashlib.sha256(value).hexdigest()}
    if depth <= 0:
        return name_of(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(item, depth - 1) for name, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted((_plain(item, depth - 1) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    return _describe(value, depth)


def _hashed(array: np.ndarray) -> dict[str, Any]:
    content = repr(array.tolist()).encode() if array.dtype == object else np.ascontiguousarray(array).tobytes()
    return {"sha256": hashlib.sha256(content).hexdigest(), "dtype": str(array.dtype), "shape": list(array.shape)}
