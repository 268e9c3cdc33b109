"""The whole loop killed by SIGKILL at its write points: what is resumed ends with the bits of an undisturbed run."""

from __future__ import annotations

import importlib.util
import json
import os
import random
import signal
from pathlib import Path
from types import ModuleType

import numpy as np

import ouroloop as ol

REAL = np.random.default_rng(0).normal(size=(30, 2))
KILLS = 16


def _worker() -> ModuleType:
    path = Path(__file__).with_name("crash_worker.py")
    spec = importlib.util.spec_from_file_location("crash_worker_for_loops", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


worker = _worker()


def run(root: Path) -> None:
    """A run with everything that is written: rows, corrections, models, previews, forecasts, pruning."""
    ol.Loop(
        {"kind": "gaussian_mixture", "components": 2},
        REAL,
        regime={"kind": "replace", "synthetic_ratio": 0.5},
        corrector="transport",
        correction_strength=1.0,
        metrics=["moments"],
        evaluation={"n": 30},
        generations=5,
        start="previous",
        keep={"last": 2},
        out=root / "run",
    ).run()


def contents(root: Path) -> dict[str, object]:
    """Every file's hash; of states the text without wall times, of manifests (which hash the states) nothing."""
    found: dict[str, object] = {
        name: digest
        for name, digest in worker.tree(root).items()
        if Path(name).name not in ("state.json", "manifest.json", "environment.json", "pruned.json")
    }
    for path in root.rglob("state.json"):
        state = json.loads(path.read_text())
        state.pop("timings_s")
        found[str(path.relative_to(root))] = state
    return found


def killed_at(root: Path, at: int) -> None:
    """Run in this (forked) process and die at write point number `at`."""
    passed = 0

    def count(_: str) -> None:
        nonlocal passed
        passed += 1
        if passed > at:
            os.kill(os.getpid(), signal.SIGKILL)

    worker.hook(count)
    run(root)


def logged(root: Path) -> None:
    with open(root / "points.txt", "w") as log:
        worker.hook(lambda name: print(name, file=log))
        run(root / "whole")


def test_kills_at_write_points_change_no_bit(tmp_path: Path) -> None:
    run(tmp_path / "warm")  # imports and thread pools before the forks
    assert worker.ended(worker.fork(logged, tmp_path)) == 0
    expected, points = contents(tmp_path / "whole"), (tmp_path / "points.txt").read_text().splitlines()
    assert contents(tmp_path / "warm") == expected
    assert len(set(points)) > 8
    for index in random.Random(0).sample(range(len(points)), KILLS):
        root = tmp_path / f"point-{index}"
        assert worker.ended(worker.fork(killed_at, root, index)) == -signal.SIGKILL, points[index]
        assert worker.ended(worker.fork(run, root)) == 0, points[index]
        assert contents(root) == expected, points[index]
        assert ol.RunStore.open(root / "run").verify() == [], points[index]
