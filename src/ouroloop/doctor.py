"""Does it work here? Versions, a small fit, a commit to disk, and what is optional."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ouroloop.environment import environment

__all__ = ["diagnose"]

Finding = tuple[str, bool, str]
"""What was looked at, whether it works, and what was found."""

_OPTIONAL = {  # module: what it is for, and the extra that brings it
    "ot": ("POT: exact transport of large shards", "ot"),
    "mujoco": ("MuJoCo: physics of motions", "motion"),
    "onnxruntime": ("trained policies in ONNX files", "policy"),
    "imageio_ffmpeg": ("motions as MP4", "video"),
    "sentence_transformers": ("a pretrained encoder of captions", "sentences"),
}


def diagnose() -> Iterator[Finding]:
    """Look at one thing after the other. Optional things that are missing are no failure."""
    here = environment()
    yield "python", sys.version_info >= (3, 11), f"{here['python']} on {here['platform']}, {os.cpu_count()} cores"
    for name, version in here["packages"].items():
        yield name, version is not None, version or "not installed"
    yield _try("loop", _loop)
    yield _try("torch", _torch)
    yield "optional: C++ compiler", True, _compiler()
    for module, (purpose, extra) in _OPTIONAL.items():
        found = importlib.util.find_spec(module) is not None
        state = "installed" if found else f"not installed: pip install 'ouroloop[{extra}]'"
        yield f"optional: {module}", True, f"{purpose}; {state}"


def _try(name: str, check: Callable[[], str]) -> Finding:
    try:
        return name, True, check()
    except Exception as error:
        return name, False, f"{type(error).__name__}: {error}"


def _loop() -> str:
    import numpy as np

    from ouroloop.loop import Loop

    with tempfile.TemporaryDirectory() as folder:
        real = np.random.default_rng(0).normal(size=(50, 2))
        loop = Loop("gaussian", real, generations=2, out=Path(folder) / "run").run()
        problems = loop.store.verify()
        if problems:
            raise RuntimeError(str(problems[0]))
    return "two generations written, read back and verified"


def _compiler() -> str:
    found = next(filter(None, map(shutil.which, (os.environ.get("CXX", "g++"), "c++", "clang++", "cl"))), None)
    return found or "none, so that generators cannot use compile: true"


def _torch() -> str:
    import torch

    where = f"GPU {torch.cuda.get_device_name()}" if torch.cuda.is_available() else "CPU only"
    return f"{where}, {torch.get_num_threads()} threads"
