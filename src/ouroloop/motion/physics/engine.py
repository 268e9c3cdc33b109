"""The one door to MuJoCo: imported where it is used, and quiet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import Lock
from typing import Any

from ouroloop.errors import MissingExtraError

__all__ = ["load_mujoco", "quiet"]

_lock = Lock()
_users = 0
_before: tuple[bool, bool] = (True, True)


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


@contextmanager
def quiet() -> Iterator[None]:
    """No warnings of MuJoCo's on the screen or in MUJOCO_LOG.TXT: here they become verdicts.

    The setting is the whole process's; the last of several threads to leave restores it.
    """
    global _users, _before
    config = load_mujoco().MjLogConfig
    with _lock:
        if _users == 0:
            now = config.get()
            _before = (now.logto_console, now.logto_file)
            _set(config, False, False)
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0:
                _set(config, *_before)


def _set(config: Any, console: bool, file: bool) -> None:
    changed = config.get()
    changed.logto_console, changed.logto_file = console, file
    config.set(changed)
