"""Motions from one trained model by different samplers: distance to the training clips, smoothness, CPU time.

    OMP_NUM_THREADS=1 python benchmarks/motion_sampling.py ../shared/data/motion [folder of a saved model]

Without a folder a model is trained with its default options, which takes some minutes. Training clips alone are used.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.datasets.motions import Motions
from ouroloop.features.motion_evaluator import MotionEvaluator
from ouroloop.generators.motion_diffusion import MotionDiffusion
from ouroloop.keys import Key
from ouroloop.metrics.fid import frechet_distance
from ouroloop.motion.humanml3d import FPS, decode
from ouroloop.pool import Pool

CLIPS, DRAWS = 64, 2
GRIDS = ((0.02, 80.0, 7.0, 16), (0.02, 80.0, 3.0, 16), (0.02, 20.0, 7.0, 16), (0.02, 20.0, 3.0, 16),
         (0.02, 300.0, 3.0, 16), (0.1, 80.0, 7.0, 16), (0.02, 80.0, 7.0, 32))  # fmt: skip


def jerk(x: np.ndarray, length: np.ndarray) -> float:
    """Mean over clips of the joints' jerk, m/s^3."""
    joints = (p[:n] for p, n in zip(decode(x, length), length, strict=True))
    return float(np.mean([np.linalg.norm(np.diff(p, 3, axis=0), axis=-1).mean() for p in joints])) * FPS**3


def main(folder: str, saved: str | None = None) -> None:
    """Print one line a grid of noise levels."""
    real = Motions(path=folder, subset=CLIPS).load(key=Key(0)).real
    evaluator = MotionEvaluator().fit(Motions(path=folder).load(key=Key(0)).real, key=Key(0))
    model = Path(saved or tempfile.mkdtemp())
    if not saved:
        MotionDiffusion().fit(Pool.of(real), key=Key(0)).save(model)
    condition = {"caption": real["caption"], "length": real["length"]}
    wanted = evaluator.transform(real.x)
    print(f"real: jerk {jerk(real.x, real['length']):.1f} m/s^3")
    for low, high, curve, steps in GRIDS:
        options: dict[str, Any] = {"noise_low": low, "noise_high": high, "grid_curve": curve, "sampling_steps": steps}
        sampler, start = MotionDiffusion(**options).load(model), time.process_time()
        drawn = [sampler.sample(CLIPS, key=Key(draw), condition=condition) for draw in range(DRAWS)]
        cost = (time.process_time() - start) / DRAWS
        distances = [frechet_distance(real=wanted, generated=evaluator.transform(rows.x)) for rows in drawn]
        rough = np.mean([jerk(rows.x, real["length"]) for rows in drawn])
        told = ", ".join(f"{distance:.2f}" for distance in distances)
        print(f"{low:g} to {high:g}, curve {curve:g}, {steps} steps: FID {told}; jerk {rough:.1f}; {cost:.1f} CPU s")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["../shared/data/motion"]))
