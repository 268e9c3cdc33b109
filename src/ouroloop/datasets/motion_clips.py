"""Clips of human motion from a folder, whatever kind of folder it is; motions are read when they are needed."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.archives import read_positions
from ouroloop.motion.files import read_folder
from ouroloop.motion.humanml3d import FPS
from ouroloop.motion.humanml3d_folder import Caption, read_captions, read_features
from ouroloop.motion.mapping import to_humanml3d
from ouroloop.motion.motion import resample_positions
from ouroloop.motion.text_file import read_lines

__all__ = ["ARCHIVE", "Clip", "read_clips"]

ARCHIVE = "motion_j22.npz"
_SPLITS = ("train", "val", "test")
_HELD_OUT_SHARE = 10  # one in so many files


@dataclass(frozen=True, eq=False)
class Clip:
    """One motion at 20 frames a second.

    Args:
        name: unique in its folder.
        source, split, caption: as the folder says.
        frames: frames of HumanML3D features that it gives.
        read: gives joint positions (frames + 1, 22, 3) in metres, y up, or features (frames, 263).
    """

    name: str
    source: str
    split: str
    caption: str
    frames: int
    read: Callable[[], np.ndarray]


def read_clips(folder: Path, *, units: str | None = None) -> list[Clip]:
    """All clips in a folder.

    Args:
        folder: an archive of clips, HumanML3D, or motion files.
        units: unit of length of motion files that do not say; None guesses by the body's size, aloud.

    Raises:
        DataError: the folder holds nothing that is understood, or a file is damaged; with file and field.
    """
    if (folder / ARCHIVE).is_file():
        return list(_from_archive(folder / ARCHIVE))
    if (folder / "new_joint_vecs").is_dir():
        return list(_from_humanml3d(folder))
    return list(_from_files(folder, units))


def _from_archive(path: Path) -> Iterator[Clip]:
    for clip in read_positions(path):
        if not clip.about:
            raise DataError(
                f"{path.with_name('clips.jsonl.gz')}: nothing on clip '{clip.name}' of {path.name}; it belongs beside "
                "it, with a line of fields (clip, source, split, captions) for each clip"
            )
        joints = clip.positions if clip.fps == FPS else resample_positions(clip.positions, clip.fps, FPS)
        captions = clip.about.get("captions") or [clip.about.get("action") or clip.name]
        source, split = (str(clip.about.get(field, "")) for field in ("source", "split"))
        yield Clip(clip.name, source, split, str(captions[0]), len(joints) - 1, _kept(joints))


def _from_humanml3d(folder: Path) -> Iterator[Clip]:
    splits = [split for split in _SPLITS if (folder / f"{split}.txt").is_file()]
    if not splits:
        raise DataError(f"{folder}: no train.txt or val.txt beside new_joint_vecs; they list the motions of each split")
    for split in splits:
        for name in filter(None, map(str.strip, read_lines(folder / f"{split}.txt"))):
            path, text = folder / "new_joint_vecs" / f"{name}.npy", folder / "texts" / f"{name}.txt"
            if not path.is_file():
                continue  # the published lists name motions whose data set lacks a licence, too
            if not text.is_file():
                raise DataError(f"{text}: missing; it holds the captions of {path.name}")
            caption = _whole(read_captions(text), text)
            cut = slice(round(caption.start * FPS), round(caption.stop * FPS) or None)
            source = "HumanML3D mirrored" if name.startswith("M") else "HumanML3D"
            frames = len(range(_frames(path))[cut])
            yield Clip(name, source, split, caption.text, frames, functools.partial(_features, path, cut))


def _whole(captions: tuple[Caption, ...], text: Path) -> Caption:
    """The first caption of the whole motion, else the first one, which is of a part of it."""
    if not captions:
        raise DataError(f"{text}: no caption in it")
    return next((c for c in captions if c.stop <= c.start), captions[0])


def _frames(path: Path) -> int:
    try:
        return len(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise DataError(f"{path}: not a readable npy file ({error}); copy it again") from error


def _features(path: Path, cut: slice) -> np.ndarray:
    return read_features(path)[cut]


def _from_files(folder: Path, units: str | None) -> Iterator[Clip]:
    found: dict[str, tuple[str, str, np.ndarray]] = {}
    for motion in read_folder(folder, units=units):
        name = motion.name if motion.name not in found else f"{motion.name} {len(found)}"
        caption = motion.caption or motion.name.replace("_", " ").replace("-", " ")
        joints = to_humanml3d(motion, fps=FPS).astype(np.float32)
        found[name] = (motion.source or folder.name, caption, joints)
    order = sorted(found, key=lambda name: hashlib.sha256(name.encode()).digest())
    held_out = set(order[: max(1, len(order) // _HELD_OUT_SHARE)])
    for name, (source, caption, joints) in found.items():
        split = "val" if name in held_out else "train"
        yield Clip(name, source, split, caption, len(joints) - 1, _kept(joints))


def _kept(joints: np.ndarray) -> Callable[[], np.ndarray]:
    joints = joints.astype(np.float32)
    return lambda: joints
