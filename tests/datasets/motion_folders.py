"""Small folders of made-up motions in the formats that data set `motions` reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

from ouroloop.motion.humanml3d import encode
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS

# a standing body, metres: x to the body's left, y up, z forward
BODY = np.array(
    [
        [0, 0.95, 0], [0.1, 0.87, 0], [-0.1, 0.87, 0], [0, 1.07, 0], [0.1, 0.48, 0.02], [-0.1, 0.48, 0.02],
        [0, 1.2, 0], [0.1, 0.08, -0.02], [-0.1, 0.08, -0.02], [0, 1.27, 0.02], [0.1, 0.01, 0.1], [-0.1, 0.01, 0.1],
        [0, 1.47, 0], [0.08, 1.38, 0], [-0.08, 1.38, 0], [0, 1.57, 0.05], [0.2, 1.42, 0], [-0.2, 1.42, 0],
        [0.22, 1.15, 0], [-0.22, 1.15, 0], [0.24, 0.9, 0.05], [-0.24, 0.9, 0.05],
    ]
)  # fmt: skip
assert len(BODY) == len(HUMANML3D_PARENTS)


def waving(frames: int, *, side: int = 20, speed: float = 0.2) -> np.ndarray:
    """Joint positions (frames, 22, 3) of a body that walks along z and waves one wrist (20: left, 21: right)."""
    time = np.arange(frames)
    motion = np.repeat(BODY[None], frames, axis=0)
    motion[:, :, 2] += 0.03 * time[:, None]
    motion[:, side, 1] += 0.3 + 0.2 * np.sin(speed * time)
    return motion


def write_archive(folder: Path, *, train: int = 6, val: int = 3) -> Path:
    """An archive of clips: even ones wave the left hand, odd ones the right; two sources; lengths from 38 frames up."""
    folder.mkdir(parents=True, exist_ok=True)
    count = train + val
    clips = [waving(39 + 3 * i, side=20 + i % 2, speed=0.1 + 0.02 * i) for i in range(count)]
    joined = np.concatenate(clips)
    np.savez(
        folder / "motion_j22.npz",
        root=joined[:, 0].astype(np.float32),
        rel=np.rint((joined[:, 1:] - joined[:, :1]) / 1e-4).astype(np.int16),
        rel_scale=np.float32(1e-4),
        clip_start=np.cumsum([0, *map(len, clips)]),
        clip=np.array([f"clip {i}" for i in range(count)]),
        fps=np.float32(20),
        joint_names=np.array(HUMANML3D_NAMES),
    )
    lines = [
        {
            "clip": f"clip {i}",
            "source": "one" if i % 3 else "two",
            "split": "train" if i < train else "val",
            "captions": [f"a person waves the {('left', 'right')[i % 2]} hand, {i}", "someone waves"],
        }
        for i in range(count)
    ]
    with gzip.open(folder / "clips.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(line) + "\n" for line in lines)
    return folder


def write_humanml3d(folder: Path) -> Path:
    """A folder in HumanML3D's layout: motions 000001 to 000004, the last of them for validation; one is mirrored."""
    for name in ("new_joint_vecs", "texts"):
        (folder / name).mkdir(parents=True)
    texts = {
        "000001": "a man waves#a/DET man/NOUN wave/VERB#0.0#0.0\nhe greets#he/PRON greet/VERB#0.0#0.0\n",
        "000002": "he steps#he/PRON step/VERB#1.0#3.5\nhe walks left#he/PRON walk/VERB left/ADV#nan#nan\n",
        "M00003": "he turns right#he/PRON turn/VERB right/ADV#0.5#3.0\n",
        "000004": "he walks#he/PRON walk/VERB#0.0#0.0\n",
    }
    for i, (name, text) in enumerate(texts.items()):
        np.save(folder / "new_joint_vecs" / f"{name}.npy", encode(waving(81 + i)))
        (folder / "texts" / f"{name}.txt").write_text(text)
    (folder / "train.txt").write_text("000001\n000002\n999999\nM00003\n")
    (folder / "val.txt").write_text("000004\n")
    return folder
