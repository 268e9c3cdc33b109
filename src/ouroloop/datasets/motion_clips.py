"""Clips of human motion from a folder, whatever kind of folder it is."""

from __future__ import annotations

import gzip
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.errors import DataError

__all__ = ["Clip", "read_clips"]

_ARCHIVE, _TABLE = "motion_j22.npz", "clips.jsonl.gz"
_NO_POSITIONS = np.zeros((0, 22, 3))


@dataclass(frozen=True, eq=False)
class Clip:
    """One motion, as positions or already as features, at 20 frames a second.

    Args:
        name: unique in its folder.
        source, split, caption: as the folder says.
        positions: joint positions (T, 22, 3) in metres, y up; empty where there are features.
        features: HumanML3D features (T, 263) where the folder has them, else None.
    """

    name: str
    source: str
    split: str
    caption: str
    positions: np.ndarray = field(default_factory=lambda: _NO_POSITIONS)
    features: np.ndarray | None = None

    def __len__(self) -> int:
        """Frames of features that the clip gives: one fewer than positions."""
        return len(self.features) if self.features is not None else max(len(self.positions) - 1, 0)


def read_clips(folder: Path) -> list[Clip]:
    """All clips in a folder.

    Raises:
        DataError: the folder holds nothing that is understood, or a file is damaged; with file and field.
    """
    if (folder / _ARCHIVE).is_file():
        return _from_archive(folder)
    raise DataError(f"{folder}: holds no {_ARCHIVE}")


def _from_archive(folder: Path) -> list[Clip]:
    table = _read_table(folder / _TABLE)
    path = folder / _ARCHIVE
    try:
        with np.load(path, allow_pickle=False) as file:
            root, offsets, starts, names = (file[k] for k in ("root", "rel", "clip_start", "clip"))
            scale, fps = float(file["rel_scale"]), float(file["fps"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not a readable archive of clips ({error}); copy it again") from error
    if fps != 20:
        raise DataError(f"{path}: field 'fps' is {fps:g}; HumanML3D features are of 20 frames a second, resample first")
    if (
        len(names) != len(table)
        or len(starts) != len(names) + 1
        or starts[-1] != len(root)
        or len(root) != len(offsets)
    ):
        raise DataError(
            f"{path}: {len(names)} clips and {len(starts)} starts for {len(root)} frames, but {_TABLE} has "
            f"{len(table)} lines; the two files must be of one archive"
        )
    clips = []
    for i, row in enumerate(table):
        if row.get("clip") != str(names[i]):
            raise DataError(
                f"{folder / _TABLE}: line {i + 1}: field 'clip' is {row.get('clip')!r}, expected '{names[i]}'"
            )
        here = slice(int(starts[i]), int(starts[i + 1]))
        positions = np.repeat(root[here, None], 22, axis=1).astype(np.float32)
        positions[:, 1:] += offsets[here].astype(np.float32) * scale
        caption = str((row.get("captions") or [row.get("action", "")])[0])
        clips.append(Clip(str(names[i]), str(row.get("source", "")), str(row.get("split", "")), caption, positions))
    return clips


def _read_table(path: Path) -> list[dict[str, Any]]:
    rows = []
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                rows.append(json.loads(line))
                if not isinstance(rows[-1], dict):
                    raise DataError(f"{path}: line {number} is no object with fields")
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; it belongs beside {_ARCHIVE} and holds captions and splits") from error
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path}: line {len(rows) + 1} cannot be read ({error}); copy it again") from error
    return rows
