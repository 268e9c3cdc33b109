"""Captioned human motions: an archive of clips, a HumanML3D folder, or a folder of your own motion files."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop.datasets.loaded import FreshRows, LoadedDataset
from ouroloop.datasets.motion_clips import ARCHIVE, Clip, read_clips
from ouroloop.datasets.split import generation_of, reserve_rows
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.motion.humanml3d import FEATURES, MAX_FRAMES, decode, encode
from ouroloop.motion.mirroring import counterparts
from ouroloop.motion.skeleton import HUMANML3D_NAMES
from ouroloop.samples import Samples

__all__ = ["Motions", "mirrored", "mirrored_caption"]

_OPPOSITES = {
    "left": "right",
    "right": "left",
    "clockwise": "counterclockwise",
    "counterclockwise": "clockwise",
    "anticlockwise": "clockwise",
}
_OTHER_SIDE = list(counterparts(HUMANML3D_NAMES))
_SIDES = re.compile(r"\b(" + "|".join(_OPPOSITES) + r")\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Motions:
    """Human motions with captions, 20 frames a second.

    ``x`` is float32 (n, frames, 263), the HumanML3D features of each frame in physical units (see
    `ouroloop.motion.humanml3d`), zero from frame `length` on; ``length`` is int32 (n,), ``caption`` str (n,).

    `path` is a folder of one of three kinds, told apart by what lies in it:

    * an archive of clips: ``motion_j22.npz`` (joint positions) and ``clips.jsonl.gz`` (captions, sources, splits);
    * HumanML3D: ``new_joint_vecs``, ``texts``, ``train.txt`` and ``val.txt``;
    * motion files: .bvh and others that `ouroloop.motion.files` reads, with the caption in a .txt file of the same
      name (else the file's name is the caption); a tenth of them, chosen by name, is held out.

    Of several captions a clip has the first, of HumanML3D's the first that is about the whole clip.

    Training rows are `subset` clips of the training split; held-out rows are the validation split. Which clips those
    are depends on their names alone, so that all seeds and arms see the same, and a smaller subset is part of a larger
    one. The training clips outside the subset, and their mirrored copies, are the reserve that `fresh` hands out; the
    features that metrics measure in are learnt from the whole training split.
    """

    path: Annotated[
        str | None, Field(description="folder with the motions; None: the one that OUROLOOP_DATA names")
    ] = None
    split: Annotated[str, Field(description="split to train on")] = "train"
    held_out_split: Annotated[str | None, Field(description="split that metrics see; None: none")] = "val"
    subset: Annotated[
        Annotated[int, Field(ge=2)] | Literal["all"], Field(description="clips to train on, or 'all' of the split")
    ] = "all"
    sources: Annotated[tuple[str, ...] | None, Field(description="only clips of these sources; None: of all")] = None
    mirror: Annotated[
        bool, Field(description="train on mirrored copies too, with left and right swapped in their captions")
    ] = False
    min_frames: Annotated[int, Field(ge=2, description="clips of fewer frames are left out")] = 40
    frames: Annotated[int, Field(ge=2, le=MAX_FRAMES, description="frames a row; longer clips are cut")] = MAX_FRAMES
    units: Annotated[
        str | None, Field(description="unit of length of motion files, such as 'cm'; None: guessed by the body's size")
    ] = None
    repeat_reserve: Annotated[
        bool, Field(description="hand out reserve clips again once all have been used, instead of stopping")
    ] = False

    def load(self, *, key: Key, cache: Path | None = None) -> LoadedDataset:
        """The data set.

        Args:
            key: not used; nothing here is random but `fresh`, which is given a key of its own.
            cache: not used.

        Raises:
            DataError: no motions are found, a file is damaged, or there are fewer clips than asked for.
        """
        folder = self._folder()
        clips = [c for c in read_clips(folder, units=self.units) if c.frames >= self.min_frames]
        if self.sources is not None:
            clips = self._of_sources(clips, folder)
        training = self._of_split(clips, self.split, folder)
        n_real = len(training) if self.subset == "all" else self.subset
        if n_real > len(training):
            raise DataError(
                f"motions.subset: {n_real:,} clips asked for, but split '{self.split}' in {folder} has "
                f"{len(training):,} of at least {self.min_frames} frames; lower subset or min_frames, or allow more "
                "sources"
            )
        real = [*training[:n_real], *(mirrored(training[:n_real]) if self.mirror else ())]
        held_out = self._of_split(clips, self.held_out_split, folder) if self.held_out_split else []
        others = training[n_real:]
        return LoadedDataset(
            name=f"motions in {folder.name}",
            real=self._table(real, np.arange(len(real))),
            held_out=self._table(held_out, len(real) + np.arange(len(held_out))) if held_out else None,
            fresh_fn=self._reserve(others, len(real) + len(held_out)) if others else None,
            background_fn=functools.partial(self._table, training, np.arange(len(training))) if others else None,
        )

    def _folder(self) -> Path:
        if self.path is not None:
            folder = Path(self.path).expanduser()
            if not folder.is_dir():
                raise DataError(f"motions.path: no folder {folder}. {WANTED}")
            return folder
        named = os.environ.get("OUROLOOP_DATA")
        places = [Path(named).expanduser() / "motion", Path(named).expanduser()] if named else []
        for place in places:
            if (place / ARCHIVE).is_file() or (place / "new_joint_vecs").is_dir():
                return place
        looked = f"; looked in {' and '.join(map(str, places))}" if places else ""
        raise DataError(f"motions: no path given, and OUROLOOP_DATA names no folder with motions{looked}. {WANTED}")

    def _of_sources(self, clips: Sequence[Clip], folder: Path) -> list[Clip]:
        known = sorted({c.source for c in clips})
        unknown = sorted(set(self.sources or ()) - set(known))
        if unknown:
            raise DataError(
                f"motions.sources: no clips of {', '.join(unknown)} in {folder}; there are: {', '.join(known)}"
            )
        return [c for c in clips if c.source in (self.sources or ())]

    def _of_split(self, clips: Sequence[Clip], split: str, folder: Path) -> list[Clip]:
        """The clips of a split in an order that depends on their names alone."""
        chosen = [c for c in clips if c.split == split]
        if not chosen:
            known = ", ".join(sorted({c.split for c in clips})) or "none"
            raise DataError(
                f"motions: no clips of at least {self.min_frames} frames in split '{split}' of {folder}; splits there: "
                f"{known}"
            )
        return sorted(chosen, key=lambda c: hashlib.sha256(c.name.encode()).digest())

    def _table(self, clips: Sequence[Clip], ids: np.ndarray) -> Samples:
        x = np.zeros((len(clips), self.frames, FEATURES), np.float32)
        length = np.zeros(len(clips), np.int32)
        for row, features in enumerate(_features(clips)):
            length[row] = min(len(features), self.frames)
            x[row, : length[row]] = features[: length[row]]
        return Samples.of(x, length=length, caption=np.array([c.caption for c in clips], dtype=str), id=ids)

    def _reserve(self, others: Sequence[Clip], first_id: int) -> FreshRows:
        reserve = [*others, *mirrored(others)]

        def fresh(n: int, key: Key) -> Samples:
            block, purpose = generation_of(key)
            blocks = len(reserve) // n if n else 0
            if self.repeat_reserve and blocks and block > blocks:
                turn, block = divmod(block - 1, blocks)
                key = Key(key.seed, (*purpose, "turn", turn, "generation", block + 1))
            rows = np.sort(reserve_rows(len(reserve), n, key=key, name="motions"))
            return self._table([reserve[row] for row in rows], first_id + rows)

        return fresh


WANTED = (
    "Give the folder of an archive of clips (motion_j22.npz and clips.jsonl.gz), of HumanML3D (new_joint_vecs, texts, "
    "train.txt, val.txt; made from AMASS by the notebooks of github.com/EricGuo5513/HumanML3D), or of .bvh files, as "
    "the CMU motion capture database offers them freely: data.path in a specification, Motions(path=...) in Python"
)


def _features(clips: Sequence[Clip]) -> list[np.ndarray]:
    """HumanML3D features (frames, 263) of each clip; those that are positions are encoded together."""
    arrays = [clip.read() for clip in clips]
    bare = [row for row, array in enumerate(arrays) if array.ndim == 3]
    if bare:
        lengths = np.array([len(arrays[row]) for row in bare])
        padded = np.zeros((len(bare), int(lengths.max()), 22, 3), np.float32)
        for place, row in enumerate(bare):
            padded[place, : lengths[place]] = arrays[row]
        for row, features, length in zip(bare, encode(padded, lengths), lengths, strict=True):
            arrays[row] = features[: length - 1]
    return arrays


def mirrored(clips: Sequence[Clip]) -> list[Clip]:
    """The clips in a mirror: x to -x, left joints for right ones, and the same in their captions."""
    return [
        replace(
            clip,
            name=f"{clip.name} mirrored",
            caption=mirrored_caption(clip.caption),
            read=functools.partial(_mirror_image, clip.read),
        )
        for clip in clips
    ]


def _mirror_image(read: Callable[[], np.ndarray]) -> np.ndarray:
    """Joint positions (T, 22, 3) of a clip in a mirror."""
    motion = read()
    joints = motion if motion.ndim == 3 else decode(motion)
    return joints[:, _OTHER_SIDE] * [-1.0, 1.0, 1.0]


def mirrored_caption(caption: str) -> str:
    """The caption with its sides swapped.

    >>> mirrored_caption("Turns left, then waves the right hand clockwise")
    'Turns right, then waves the left hand counterclockwise'
    """

    def swap(match: re.Match[str]) -> str:
        word = _OPPOSITES[match.group().lower()]
        return word.capitalize() if match.group()[0].isupper() else word

    return _SIDES.sub(swap, caption)
