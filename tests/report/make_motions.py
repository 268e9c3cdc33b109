"""Writes a small study of made-up motions in the project's format, for the tests of the motion player."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ouroloop.motion.humanml3d import encode

# a standing body, metres: x to the body's left, y up, z forward; joints in HumanML3D's order
BODY = np.array(
    [
        [0, 0.95, 0], [0.1, 0.87, 0], [-0.1, 0.87, 0], [0, 1.07, 0], [0.1, 0.48, 0.02], [-0.1, 0.48, 0.02],
        [0, 1.2, 0], [0.1, 0.08, -0.02], [-0.1, 0.08, -0.02], [0, 1.27, 0.02], [0.1, 0.01, 0.1], [-0.1, 0.01, 0.1],
        [0, 1.47, 0], [0.08, 1.38, 0], [-0.08, 1.38, 0], [0, 1.57, 0.05], [0.2, 1.42, 0], [-0.2, 1.42, 0],
        [0.22, 1.15, 0], [-0.22, 1.15, 0], [0.24, 0.9, 0.05], [-0.24, 0.9, 0.05],
    ]
)  # fmt: skip
LIMBS = {1: (4, 7, 10), 2: (5, 8, 11), 16: (18, 20), 17: (19, 21)}  # hip or shoulder, and what swings from it
CAPTIONS = ("a person walks", "a person <b>runs</b> & jumps", "someone strolls to the left")
ARMS = {"none": ("No correction", 0.02), "physics": ("Physics", 0.004), "real_only": ("Real clips only", 0.0)}


def walk(frames: int, *, pace: float = 0.3, turn: float = 0.0) -> np.ndarray:
    """Joint positions (frames, 22, 3) of a body that swings its limbs, walks along z and turns (radians a frame)."""
    time = np.arange(frames)
    motion = np.repeat(BODY[None], frames, axis=0)
    for (root, moved), sign in zip(LIMBS.items(), (1, -1, -1, 1), strict=True):
        angle = 0.5 * sign * np.sin(pace * time)[:, None]
        offset = BODY[list(moved)] - BODY[root]
        motion[:, list(moved), 1] = BODY[root, 1] + offset[:, 1] * np.cos(angle) - offset[:, 2] * np.sin(angle)
        motion[:, list(moved), 2] = BODY[root, 2] + offset[:, 1] * np.sin(angle) + offset[:, 2] * np.cos(angle)
    heading = turn * time
    sine, cosine = np.sin(heading)[:, None], np.cos(heading)[:, None]
    x, z = motion[..., 0].copy(), motion[..., 2].copy()
    motion[..., 0], motion[..., 2] = cosine * x + sine * z, cosine * z - sine * x
    path = np.cumsum(np.stack([np.sin(heading), np.cos(heading)], axis=1) * pace / 8, axis=0)
    motion[..., [0, 2]] += path[:, None]
    return motion


def rows(noise: float, seed: int) -> dict[str, Any]:
    """Columns x (6, 80, 263), length and caption: two motions a caption, with noise of so many metres."""
    rng = np.random.default_rng(seed)
    x, length = np.zeros((6, 80, 263), np.float32), np.array([60, 79, 45, 70, 50, 64], np.int32)
    for row, frames in enumerate(length):
        joints = walk(frames + 1, pace=0.2 + 0.1 * (row % 3), turn=0.02 * (row % 3 == 2))
        x[row, :frames] = encode(joints + noise * rng.standard_normal(joints.shape))
    return {"x": x, "length": length, "caption": np.array([CAPTIONS[row % 3] for row in range(6)])}


def motion_study(root: Path, make_runs: ModuleType, *, generations: int = 2) -> Path:
    """Three arms, one seed; the arm `physics` has corrections, the arm `none` keeps real motions for comparison."""
    for arm, (_, noise) in ARMS.items():
        path = root / arm / "seed-0"
        t = np.arange(generations + 1.0)
        previews = {g: rows(noise * (1 + g), g) for g in range(generations + 1)}
        pairs = {}
        if arm == "physics":
            before, after = rows(0.02, 7), rows(0.004, 7)
            verdict, distance = np.array([1, 1, 0, 1, 1, 3], np.int8), np.linspace(0, 1, 6)
            pairs = {2: {"before": before["x"], **after, "verdict": verdict, "distance": distance}}
        kind = "real_only" if arm == "real_only" else "fixed_real"
        spec = f"arm: {arm}\nseed: 0\ngenerations: {generations}\nregime: {{kind: {kind}}}\n"
        make_runs.write_run(
            path, arm=arm, seed=0, curves={"fid": {"value": 1 + noise * t}}, spec=spec, previews=previews, pairs=pairs
        )
        if arm == "none":
            make_runs.write_arrow(path / "generations/0000/reference_preview.arrow", rows(0.0, 0))
    return root
