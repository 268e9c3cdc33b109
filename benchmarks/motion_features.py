"""Motion data: accuracy and frames a second of feature conversion, inverse kinematics and file reading.

Run: ``OMP_NUM_THREADS=1 python benchmarks/motion_features.py [folder]``. The folder (default ../shared/data/motion)
holds motion_j22.npz with clips.jsonl.gz, and originals.tar.xz for the file formats. Prints the table in
motion_features.md.
Frames a second are per CPU second of one process (user + system), the better of two passes.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.motion.archives import PositionClip, read_positions, write_npz
from ouroloop.motion.asf_amc import read_amc
from ouroloop.motion.bvh import read_bvh, write_bvh
from ouroloop.motion.deepmimic import read_deepmimic
from ouroloop.motion.files import read_motion
from ouroloop.motion.humanml3d import decode, encode
from ouroloop.motion.inverse_kinematics import inverse_kinematics
from ouroloop.motion.mapping import to_humanml3d
from ouroloop.motion.motion import Motion
from ouroloop.motion.rest_pose import rest_skeleton
from ouroloop.motion.rotations import about_y, rotate


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """The result, and the CPU seconds of the better of two passes."""
    seconds = []
    for _ in range(2):
        start = time.process_time()
        result = work()
        seconds.append(time.process_time() - start)
    return result, min(seconds)


def aligned(clip: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The clip turned about y and moved in x and z to lie on `like` as well as it can."""
    ground = np.array([1.0, 0, 1])
    a, b = clip - clip[0, 0] * ground, like - like[0, 0] * ground
    angle = np.arctan2((a[..., 2] * b[..., 0] - a[..., 0] * b[..., 2]).sum(), (a * b)[..., ::2].sum())
    return rotate(about_y(angle), a) + like[0, 0] * ground


def features(clips: list[PositionClip]) -> None:
    lengths = np.array([len(clip.positions) for clip in clips])
    batch = np.zeros((len(clips), lengths.max(), 22, 3))
    for row, clip in zip(batch, clips, strict=True):
        row[: len(clip.positions)] = clip.positions
    vectors, seconds = timed(lambda: encode(batch, lengths))
    row_of("encode to 263 features, one padded batch", lengths.sum(), seconds, "")
    positions, seconds = timed(lambda: decode(vectors, lengths - 1))
    worst = 0.0
    for clip, padded in zip(clips, positions, strict=True):
        found = padded[: len(clip.positions) - 1]
        worst = max(worst, float(np.linalg.norm(aligned(clip.positions[:-1], found) - found, axis=-1).max()))
    row_of("decode, one padded batch", lengths.sum(), seconds, f"round trip: worst joint {1e3 * worst:.5f} mm")
    _, seconds = timed(lambda: [encode(clip.positions) for clip in clips])
    row_of("encode, clip by clip", lengths.sum(), seconds, "")


def kinematics(clips: list[PositionClip], refinements: int) -> None:
    """Bone lengths are measured in each clip; that is not timed."""
    skeletons = [rest_skeleton([clip.positions]) for clip in clips]
    solved, seconds = timed(
        lambda: [
            inverse_kinematics(clip.positions, skeleton, clip.fps, refinements=refinements)
            for clip, skeleton in zip(clips, skeletons, strict=True)
        ]
    )
    errors: dict[str, list[float]] = {}
    for clip, skeleton, (root, rotations) in zip(clips, skeletons, solved, strict=True):
        distance = np.linalg.norm(skeleton.forward(root, rotations) - clip.positions, axis=-1)
        errors.setdefault(clip.about["source"], []).append(1e3 * distance.mean())
    everything = np.concatenate([np.array(values) for values in errors.values()])
    by_source = ", ".join(f"{source} {np.mean(v):.2f} (worst clip {max(v):.2f})" for source, v in errors.items())
    name = f"inverse kinematics, {len(clips)} clips" + (f", {refinements} refinements" if refinements else "")
    frames = sum(len(clip.positions) for clip in clips)
    row_of(name, frames, seconds, f"mean joint error {everything.mean():.2f} mm: {by_source}")


def formats(originals: Path, scratch: Path) -> None:
    kinds: list[tuple[str, str, Callable[[Path], Motion]]] = [
        ("read BVH, 31 joints (CMU)", "cmu_amc_asf/*.bvh", lambda p: read_bvh(p, units="in/0.45")),
        ("read BVH, 100 joints (Character Creator)", "cmu_cc_bvh/*.bvh", lambda p: read_bvh(p, units="cm")),
        ("read AMC, 31 bones", "cmu_amc_asf/fairmotion*.amc", lambda p: read_amc(p, p.with_name("fairmotion_01.asf"))),
        ("read DeepMimic", "deepmimic/humanoid3d_*.txt", read_deepmimic),
    ]
    for name, pattern, read in kinds:
        paths = sorted(originals.glob(pattern))
        found, seconds = timed(lambda paths=paths, read=read: [read(path) for path in paths])
        row_of(name, sum(map(len, found)), seconds, "")
    motion = read_bvh(originals / "cmu_amc_asf" / "fairmotion_01_01.bvh", units="in/0.45")
    for ending, write in ((".bvh", write_bvh), (".npz", write_npz)):
        path = scratch / f"x{ending}"
        _, seconds = timed(lambda path=path, write=write: write(path, motion))
        back = read_motion(path, units="cm")
        at = [back.skeleton.index(name) for name in motion.skeleton.names]
        error = np.abs(back.positions[:, at] - motion.positions).max()
        row_of(f"write {ending}", len(motion), seconds, f"read back: worst coordinate {1e3 * error:.1g} mm off")
    _, seconds = timed(lambda: to_humanml3d(motion, fps=20))
    row_of("resample to 20 fps and map to 22 joints", len(motion), seconds, "input frames")


def row_of(name: str, frames: int, seconds: float, note: str) -> None:
    print(f"| {name} | {frames:,} | {frames / seconds:,.0f} | {note} |", flush=True)


def main(folder: Path) -> None:
    print("| stage | frames | frames / CPU s | accuracy |\n|---|---|---|---|")
    clips, seconds = timed(lambda: list(read_positions(folder / "motion_j22.npz")))
    row_of(f"read motion_j22.npz, {len(clips)} clips", sum(len(clip.positions) for clip in clips), seconds, "")
    features(clips)
    kinematics(clips, 0)
    kinematics(clips[::8], 2)
    with tempfile.TemporaryDirectory() as scratch:
        with tarfile.open(folder / "originals.tar.xz") as archive:
            archive.extractall(scratch, filter="data")
        formats(Path(scratch) / "originals", Path(scratch))


if __name__ == "__main__":
    warnings.simplefilter("error")
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/motion"))
