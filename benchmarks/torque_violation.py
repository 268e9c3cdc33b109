"""What `torque_violation` says of real clips, of the same clips in haste and with noise, and what it costs.

OMP_NUM_THREADS=1 python benchmarks/torque_violation.py ../shared/data/motion
"""

from __future__ import annotations

import sys
import time

import numpy as np

from ouroloop.datasets.motions import Motions
from ouroloop.features.motion_physics import COLUMNS, MotionPhysics
from ouroloop.keys import Key
from ouroloop.motion.humanml3d import decode, encode
from ouroloop.samples import Samples

CLIPS = 40
TORQUE = COLUMNS.index("torque_violation")


def noisy(clips: Samples, metres: float) -> np.ndarray:
    """Features of the clips' joints with white noise."""
    rng, x = np.random.default_rng(0), np.zeros_like(clips.x)
    positions = decode(clips.x, clips["length"])
    positions = positions + metres * rng.normal(size=positions.shape)
    for row, length in enumerate(clips["length"]):
        x[row, : length - 1] = encode(positions[row, :length])
    return x


def main(folder: str) -> None:
    """Print one line a kind of clips."""
    real = Motions(path=folder, subset=64).load(key=Key(0)).real
    clips = real.take(slice(0, CLIPS))
    kinds = {f"{speed} times as fast": (clips.x, 20.0 * speed) for speed in (1, 2, 4)}
    kinds |= {f"noise of {1e3 * metres:g} mm": (noisy(clips, metres), 20.0) for metres in (0.002, 0.005, 0.01)}
    for name, (x, fps) in kinds.items():
        found = MotionPhysics(fps=fps, torques=True).fit(real, key=Key(0)).transform(x)[:, TORQUE]
        print(f"{name}: mean {found.mean():.2f} N m, {int((found > 0).sum())} of {CLIPS} clips beyond a limit")
    for torques in (False, True):
        features = MotionPhysics(torques=torques).fit(real, key=Key(0))
        features.transform(clips.x)  # the first builds what is kept
        start = time.process_time()
        features.transform(clips.x)
        cost = 1e3 * (time.process_time() - start) / CLIPS
        print(f"torques {torques}: {cost:.1f} CPU ms a motion of {clips['length'].mean():.0f} frames")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/motion")
