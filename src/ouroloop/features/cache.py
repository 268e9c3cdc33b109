"""A cache of fitted arrays by content: the same data, options and code version are never fitted twice.

One entry is one safetensors file named by the SHA-256 of everything that it was made from. It is written
under a temporary name and moved into place, so that concurrent processes and crashes never leave half a
file, and it holds a checksum of its arrays, so that a changed file is noticed and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.arrays import load_arrays, save_arrays
from ouroloop.errors import StoreError

__all__ = ["Entry", "cached", "content_digest"]

Entry = tuple[dict[str, np.ndarray], dict[str, Any]]
"""Named arrays and a JSON-able mapping."""

_HASH_BYTES = 1 << 24  # bytes hashed at a time, so that a memory-mapped column stays on disk


def content_digest(arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None) -> str:
    """SHA-256 (64 hex digits) of named arrays (type, shape and values) and a JSON-able mapping.

    >>> a = content_digest({"x": np.zeros(3)}, {"width": 1})
    >>> a == content_digest({"x": np.zeros(3)}, {"width": 1}), a == content_digest({"x": np.zeros(3)}, {"width": 2})
    (True, False)
    """
    digest = hashlib.sha256(json.dumps(dict(meta or {}), sort_keys=True).encode())
    for name in sorted(arrays):
        value = np.asarray(arrays[name])
        digest.update(json.dumps([name, value.dtype.str, list(value.shape)]).encode())
        rows = max(1, _HASH_BYTES * max(1, len(value)) // max(1, value.nbytes)) if value.ndim else 1
        for start in range(0, len(value) if value.ndim else 1, rows):
            digest.update(np.ascontiguousarray(value[start : start + rows] if value.ndim else value).tobytes())
    return digest.hexdigest()


def cached(cache: Path | None, name: str, digest: str, make: Callable[[], Entry]) -> Entry:
    """The entry of this digest, from the cache where it holds a sound one, else made now and kept.

    Args:
        cache: folder of the cache (created where missing), or None to make the entry every time.
        name: a readable prefix of the file's name, for example "classifier".
        digest: stands for everything the entry depends on (see `content_digest`).
        make: makes the entry.

    A damaged file, or a folder that cannot be written, is warned about (RuntimeWarning) and costs only time.
    """
    if cache is None:
        return make()
    path = Path(cache) / "features" / f"{name}-{digest[:32]}.safetensors"
    if path.exists():
        try:
            return _read(path, digest)
        except StoreError as error:
            warnings.warn(f"feature cache: {error}; it is fitted again", RuntimeWarning, stacklevel=3)
    arrays, meta = make()
    try:
        _write(path, digest, arrays, meta)
    except OSError as error:
        warnings.warn(f"feature cache: cannot write {path} ({error}); going on without", RuntimeWarning, stacklevel=3)
    return arrays, meta


def _read(path: Path, digest: str) -> Entry:
    arrays, outer = load_arrays(path)
    meta = outer.get("meta")
    if not isinstance(meta, dict) or outer.get("made_from") != digest:
        raise StoreError(f"{path}: made from other data or options than its name says")
    if outer.get("sha256") != content_digest(arrays, meta):
        raise StoreError(f"{path}: its checksum does not match (changed since it was written)")
    return arrays, meta


def _write(path: Path, digest: str, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".tmp", dir=path.parent)
    os.close(handle)
    try:
        outer = {"meta": meta, "made_from": digest, "sha256": content_digest(arrays, meta)}
        save_arrays(Path(temporary), arrays, outer)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
