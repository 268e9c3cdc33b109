"""Motions in files of any known format, told apart by their names' endings and, for npz and npy, by what is inside.

==========  ===============================================  ========================
ending      format                                           module
==========  ===============================================  ========================
.bvh        BVH                                              `ouroloop.motion.bvh`
.amc        ASF/AMC; its .asf lies in the same folder        `ouroloop.motion.asf_amc`
.txt        DeepMimic's frames (JSON)                        `ouroloop.motion.deepmimic`
.npz        our own, archives of clips, or AMASS             `ouroloop.motion.archives`, `.amass`
.npy        HumanML3D features (T, 263), joints (T, 22, 3)   `ouroloop.motion.humanml3d`
==========  ===============================================  ========================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.amass import read_amass
from ouroloop.motion.archives import load_npz, read_clips, write_npz
from ouroloop.motion.asf_amc import read_amc
from ouroloop.motion.bvh import read_bvh, write_bvh
from ouroloop.motion.deepmimic import read_deepmimic
from ouroloop.motion.faults import OnError, telling
from ouroloop.motion.humanml3d import FPS
from ouroloop.motion.humanml3d_folder import FeatureClip, read_features, read_humanml3d
from ouroloop.motion.inverse_kinematics import motion_from_positions
from ouroloop.motion.motion import Motion
from ouroloop.motion.skeleton import Skeleton
from ouroloop.motion.text_file import read_lines
from ouroloop.motion.units import UpAxis, metres_per_unit, y_up

__all__ = ["READABLE", "WRITABLE", "read_folder", "read_motion", "read_motions", "write_motion"]

READABLE = (".bvh", ".amc", ".txt", ".npz", ".npy")
WRITABLE = (".bvh", ".npz")


def read_motions(
    path: Path | str,
    *,
    units: str | None = None,
    up: UpAxis | None = None,
    fps: float | None = None,
    skeleton: Skeleton | None = None,
    on_error: OnError = None,
) -> Iterator[Motion]:
    """The motions in one file: several in an archive of clips, one in all others.

    Args:
        path: the file.
        units: its unit of length, for formats that leave it open (BVH, AMC, joints in npy); None guesses aloud.
        up: its vertical axis; None takes the format's usual one (z for AMASS, y for all others).
        fps: frames per second, for files that do not say (AMC, npy) or say wrongly (BVH).
        skeleton: the body, for AMASS.
        on_error: called with the file, the name and why, for each clip of an archive that cannot be read, in place of
            raising.

    Raises:
        DataError: no such file, an unknown format, or a fault in the file.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    match path.suffix.lower():
        case ".bvh":
            yield read_bvh(path, units=units, up=up or "y", fps=fps)
        case ".amc":
            yield read_amc(path, units=units, up=up or "y", fps=fps or 120.0)
        case ".txt":
            yield read_deepmimic(path)
        case ".npy":
            yield _from_npy(path, units, up or "y", fps)
        case ".npz" if "poses" in (arrays := load_npz(path)) or "joints" in arrays:
            yield read_amass(path, skeleton, up=up or "z", fps=fps)
        case ".npz":
            yield from read_clips(path, on_error)
        case ending:
            raise DataError(f"{path}: no motion format ends in {ending!r}; known are {', '.join(READABLE)}")


def read_motion(
    path: Path | str,
    *,
    units: str | None = None,
    up: UpAxis | None = None,
    fps: float | None = None,
    skeleton: Skeleton | None = None,
) -> Motion:
    """The motion in a file of one motion; see `read_motions`.

    Raises:
        DataError: as there, or the file holds several.
    """
    found = list(read_motions(path, units=units, up=up, fps=fps, skeleton=skeleton))
    if len(found) != 1:
        raise DataError(f"{path}: holds {len(found)} motions, expected one; use read_motions")
    return found[0]


def _from_npy(path: Path, units: str | None, up: UpAxis, fps: float | None) -> Motion:
    try:
        shape = np.load(path, allow_pickle=False, mmap_mode="r").shape
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a readable npy file ({error})") from error
    if len(shape) == 2:
        return FeatureClip(path.stem, read_features(path)).motion()
    joints = np.load(path, allow_pickle=False).astype(np.float64)
    if joints.ndim != 3 or joints.shape[1:] != (22, 3):
        raise DataError(f"{path}: got {shape}; expected features (frames, 263) or joints (frames, 22, 3)")
    joints = y_up(joints, np.array([1.0, 0, 0, 0]), up)[0]
    motion = motion_from_positions(joints, fps or float(FPS), name=path.stem)
    factor = metres_per_unit(units, motion.skeleton.longest_path, str(path))
    return replace(motion, skeleton=motion.skeleton.scaled(factor), root=motion.root * factor)


def read_folder(
    folder: Path | str,
    *,
    units: str | None = None,
    up: UpAxis | None = None,
    fps: float | None = None,
    skeleton: Skeleton | None = None,
    on_error: OnError = None,
) -> Iterator[Motion]:
    """The motions in all files of a folder and those below it, in the order of their names.

    A folder of HumanML3D (with ``new_joint_vecs``) gives its motions with their captions. Elsewhere a motion without
    a caption takes the first line of a text file of its name. Files of other kinds are passed over.

    Args:
        folder: where to look.
        units, up, fps, skeleton: as for `read_motions`; they hold for all files.
        on_error: called with a file, the name of the motion in it that cannot be read, and why, in place of raising.

    Raises:
        DataError: no such folder, no motion in it, or a fault in a file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder")
    if (folder / "new_joint_vecs").is_dir():
        for clip in read_humanml3d(folder, on_error=on_error):
            with telling(folder / "new_joint_vecs" / f"{clip.name}.npy", clip.name, on_error):
                yield clip.motion()
        return
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in READABLE and p.is_file() and _is_motion(p))
    if not paths:
        raise DataError(f"{folder}: no motions; looked for files that end in {', '.join(READABLE)}")
    for path in paths:
        with telling(path, path.stem, on_error):
            for motion in read_motions(path, units=units, up=up, fps=fps, skeleton=skeleton, on_error=on_error):
                yield motion if motion.caption else replace(motion, caption=_caption(path))


def _is_motion(path: Path) -> bool:
    """Text files are motions only where they begin as JSON does: others are captions, licences and the like."""
    if path.suffix.lower() != ".txt":
        return True
    with path.open("rb") as file:
        return b'"Frames"' in (start := file.read(4096)) and start.lstrip().startswith(b"{")


def _caption(path: Path) -> str:
    text = path.with_suffix(".txt")
    if path.suffix.lower() == ".txt" or not text.is_file():
        return ""
    return read_lines(text)[0].split("#")[0].strip()


def write_motion(path: Path | str, motion: Motion) -> None:
    """Write a motion in the format that the file's name ends in: .bvh (centimetres) or .npz (everything, exactly).

    Raises:
        DataError: another ending.
        StoreError: the file cannot be written.
    """
    path = Path(path)
    match path.suffix.lower():
        case ".bvh":
            write_bvh(path, motion)
        case ".npz":
            write_npz(path, motion)
        case ending:
            raise DataError(f"{path}: cannot write {ending!r}; known are {', '.join(WRITABLE)}")
