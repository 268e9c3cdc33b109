"""A hash of everything that an object remembers, so that a suite can tell whether a call changed it."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

__all__ = ["state_digest"]


def state_digest(value: Any) -> str:
    """SHA-256 (hex) over an object's attributes, followed through containers, arrays, tensors and networks.

    Functions count by their name; objects that keep no attributes count by their type alone.

    >>> state_digest({"a": np.zeros(2)}) == state_digest({"a": np.zeros(2)})
    True
    >>> state_digest({"a": np.zeros(2)}) == state_digest({"a": np.ones(2)})
    False
    """
    digest = hashlib.sha256()
    for piece in _pieces(value, ()):
        digest.update(len(piece).to_bytes(8, "big"))
        digest.update(piece)
    return digest.hexdigest()


def _pieces(value: Any, above: tuple[int, ...]) -> Iterator[bytes]:
    yield type(value).__qualname__.encode()
    if value is None or isinstance(value, str | int | float | complex | bytes | np.generic | np.dtype):
        yield repr(value).encode()
    elif isinstance(value, np.ndarray):
        yield f"{value.dtype} {value.shape}".encode()
        yield repr(value.tolist()).encode() if value.dtype == object else np.ascontiguousarray(value).tobytes()
    elif id(value) in above:
        yield b"cycle"
    else:
        yield from _compound(value, (*above, id(value)))


def _compound(value: Any, above: tuple[int, ...]) -> Iterator[bytes]:
    if inspect.isroutine(value) or inspect.isclass(value) or inspect.ismodule(value):
        yield value.__name__.encode()
    elif _is_tensor(value):
        yield f"{value.dtype} {tuple(value.shape)}".encode()
        yield value.detach().cpu().double().numpy().tobytes()
    elif _is_torch(value) and callable(getattr(value, "state_dict", None)):  # networks and optimisers
        yield str(getattr(value, "training", "")).encode()
        yield from _pieces(value.state_dict(), above)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _pieces(name, above)
            yield from _pieces(item, above)
    elif isinstance(value, set | frozenset):
        yield from sorted(repr(item).encode() for item in value)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _pieces(item, above)
    else:
        slots = {s: getattr(value, s) for s in getattr(type(value), "__slots__", ()) if hasattr(value, s)}
        yield from _pieces({**slots, **getattr(value, "__dict__", {})}, above)


def _is_tensor(value: Any) -> bool:
    return _is_torch(value) and hasattr(value, "detach")


def _is_torch(value: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "torch" for base in type(value).__mro__)
