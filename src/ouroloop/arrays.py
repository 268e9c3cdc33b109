"""Named arrays and a little JSON in one safetensors file: how fitted models are written. No pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.errors import StoreError

__all__ = ["load_arrays", "save_arrays"]


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any] | None = None) -> None:
    """Write arrays (any numeric dtype and shape) and a JSON-able mapping to a safetensors file."""
    from safetensors.numpy import save_file

    flat = {name: np.asarray(value, order="C") for name, value in arrays.items()}  # keeps single numbers single
    save_file(flat, str(path), metadata={"ouroloop": json.dumps(dict(meta or {}), sort_keys=True)})


def load_arrays(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Read what `save_arrays` wrote.

    Raises:
        StoreError: the file is missing, truncated or not a safetensors file of ours.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="numpy") as file:
            meta = json.loads((file.metadata() or {}).get("ouroloop", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except FileNotFoundError as error:
        raise StoreError(f"{path}: missing") from error
    except (SafetensorError, OSError, json.JSONDecodeError) as error:
        raise StoreError(f"{path}: not a readable safetensors file ({error})") from error
