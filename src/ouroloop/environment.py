"""What a run was made with: versions, machine, threads. Written beside every run, part of no fingerprint."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["PACKAGES", "environment", "set_threads"]

PACKAGES = ("ouroloop", "numpy", "scipy", "scikit-learn", "torch", "pyarrow", "zuko", "pydantic", "safetensors")


def environment() -> dict[str, Any]:
    """Versions of Python and of the libraries that numbers depend on, the machine, and the thread settings."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": _threads(),
        "packages": {name: _version(name) for name in PACKAGES},
    }


def set_threads(count: int | None) -> None:
    """Limit the numeric libraries to this many threads, now and in their worker pools; None leaves them alone."""
    if count is None:
        return
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(count)


def _threads() -> int | None:
    torch = sys.modules.get("torch")
    if torch is not None:
        return int(torch.get_num_threads())
    setting = os.environ.get("OMP_NUM_THREADS", "")
    return int(setting) if setting.isdigit() else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
