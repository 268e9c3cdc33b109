"""The one door to MuJoCo: imported where it is used, and quiet."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from ouroloop.errors import MissingExtraError

__all__ = ["load_mujoco"]


@cache
def load_mujoco() -> Any:
    """The `mujoco` package with `mujoco.batch` loaded.

    Raises:
        MissingExtraError: it is not installed, or is older than 4.0, the first with `mujoco.batch`.
    """
    try:
        mujoco = import_module("mujoco")
        import_module("mujoco.batch")
    except ImportError as error:
        raise MissingExtraError("the physics corrector", "mujoco>=4.0", "motion") from error
    return mujoco
