"""What motion_diffusion costs and how its motions compare with real ones, on 64 clips.

    python benchmarks/motion_generation.py FOLDER_WITH_MOTIONS

prints CPU-seconds of generation 0 and of sampling, and for real and drawn motions (of training and of held-out
captions) the mean joint acceleration, and how fast feet slide while they are lower than 5 cm.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import torch

from ouroloop.datasets.motions import Motions
from ouroloop.generators.motion_diffusion import MotionDiffusion
from ouroloop.keys import Key
from ouroloop.motion.humanml3d import decode
from ouroloop.pool import Pool
from ouroloop.samples import Samples

_FEET = [10, 11]


def measures(rows: Samples) -> tuple[float, float]:
    """Mean joint acceleration (mm per frame squared) and sliding of low feet (mm a frame), means over motions."""
    accelerations, slides = [], []
    for joints, length in zip(decode(rows.x, rows["length"]), rows["length"], strict=True):
        motion = 1000 * joints[:length]
        accelerations.append(np.linalg.norm(np.diff(motion, 2, axis=0), axis=-1).mean())
        speed = np.linalg.norm(np.diff(motion[:, _FEET][..., [0, 2]], axis=0), axis=-1)
        low = motion[:-1, _FEET, 1] < 50
        slides.append((speed * low).sum() / max(low.sum(), 1))
    return float(np.mean(accelerations)), float(np.mean(slides))


def main(folder: str) -> None:
    """Train, draw, measure, print."""
    torch.set_num_threads(1)
    data = Motions(path=folder, subset=64).load(key=Key(0))
    assert data.held_out is not None
    start = time.process_time()
    model = MotionDiffusion().fit(Pool.of(data.real), key=Key(0))
    print(f"generation 0: {time.process_time() - start:.0f} CPU-s, loss {model.info.loss:.4f}")
    drawn = {"real": data.real}
    for name, rows in (("training captions", data.real), ("held-out captions", data.held_out.take(slice(0, 60)))):
        start = time.process_time()
        condition = {"caption": rows["caption"], "length": rows["length"]}
        drawn[name] = model.sample(len(rows), key=Key(5), condition=condition)
        print(f"{len(rows)} motions for {name}: {time.process_time() - start:.1f} CPU-s")
    for name, rows in drawn.items():
        acceleration, slide = measures(rows)
        print(f"{name}: acceleration {acceleration:.2f} mm/frame^2, low feet slide {slide:.1f} mm/frame")


if __name__ == "__main__":
    main(sys.argv[1])
