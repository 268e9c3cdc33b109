"""Where files live on a user's machine."""

from __future__ import annotations

import os
import sys
from pathlib import Path

__all__ = ["user_cache"]


def user_cache() -> Path:
    """The folder for downloads and other things that can be made again, by the platform's custom.

    ``$OUROLOOP_CACHE`` if set; else ``ouroloop`` in ``$XDG_CACHE_HOME`` or ``~/.cache`` (Linux),
    ``~/Library/Caches`` (macOS) or ``%LOCALAPPDATA%`` (Windows).
    """
    if own := os.environ.get("OUROLOOP_CACHE"):
        return Path(own).expanduser()
    if sys.platform == "darwin":
        base = "~/Library/Caches"
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "ouroloop"
