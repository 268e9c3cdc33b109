"""npz files: one motion as we write it, or many clips one after the other.

One motion: ``format`` "ouroloop-motion-1", ``joint_names`` (J,), ``parents`` (J,), ``offsets`` (J, 3) m, ``root``
(T, 3) m, ``rotations`` (T, J, 4) w first, ``fps``, and the texts ``name``, ``caption``, ``source``, ``licence``.

Many clips with rotations (``native_*.npz``): ``quat`` int16 (frames, J, 4) times ``quat_scale``, ``root``,
``offsets``, ``parents``, ``joint_names``, ``fps``, and clip i in frames ``clip_start[i]`` to ``clip_start[i + 1]``,
called ``clip[i]``. Many clips of positions (``motion_j22.npz``): ``root`` and, in place of rotations, ``rel`` int16
(frames, J - 1, 3) times ``rel_scale``: joints from the root, metres. What is known of the clips (captions, licence)
stands in ``clips.jsonl.gz`` beside either. y is up in all.

Nothing is unpickled: object arrays are refused.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.faults import OnError, telling
from ouroloop.motion.inverse_kinematics import motion_from_positions
from ouroloop.motion.motion import Motion
from ouroloop.motion.skeleton import HUMANML3D_NAMES, Skeleton
from ouroloop.motion.text_file import save_bytes
from ouroloop.motion.units import check_size

__all__ = ["TABLE", "PositionClip", "load_npz", "read_clips", "read_npz", "read_positions", "write_npz"]

TABLE = "clips.jsonl.gz"
FORMAT = "ouroloop-motion-1"


@dataclass(frozen=True, eq=False)
class PositionClip:
    """A clip of joint positions.

    Args:
        name: what it is called in its archive.
        positions: (T, 22, 3) metres, y up, HumanML3D's joints.
        fps: frames per second.
        about: what the archive's table says of it: "captions", "source", "split", "licence", ...
    """

    name: str
    positions: np.ndarray
    fps: float
    about: dict[str, Any] = field(default_factory=dict)


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz file.

    Raises:
        DataError: missing, damaged, or holding pickled objects.
    """
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = dict(loaded) if isinstance(loaded, Mapping) else None
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{path}: not a readable npz file ({error}); copy it again") from error
    if arrays is None:
        raise DataError(f"{path}: a single array, expected an npz file of several")
    return arrays


def write_npz(path: Path | str, motion: Motion) -> None:
    """Write one motion, exactly.

    Raises:
        StoreError: the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        allow_pickle=False,
        format=np.array(FORMAT),
        joint_names=np.array(motion.skeleton.names),
        parents=np.array(motion.skeleton.parents, dtype=np.int32),
        offsets=motion.skeleton.offsets,
        root=motion.root,
        rotations=motion.rotations,
        fps=np.array(motion.fps),
        **{key: np.array(getattr(motion, key)) for key in ("name", "caption", "source", "licence")},
    )
    save_bytes(Path(path), buffer.getvalue())


def read_npz(path: Path | str) -> Motion:
    """The motion in a file that `write_npz` wrote.

    Raises:
        DataError: a damaged file, fields that are missing or do not fit each other, a body of no human size.
    """
    path = Path(path)
    return _own(path, load_npz(path))


def _own(path: Path, arrays: dict[str, np.ndarray]) -> Motion:
    names, parents, offsets, root, rotations, fps = _fields(
        path, arrays, "joint_names", "parents", "offsets", "root", "rotations", "fps"
    )
    texts = {key: str(arrays[key]) for key in ("name", "caption", "source", "licence") if key in arrays}
    with _located(path):
        skeleton = Skeleton(tuple(names.tolist()), tuple(parents.tolist()), offsets)
        check_size(skeleton.longest_path, "body")
        return Motion(skeleton, root, rotations, float(fps), **texts)


@contextlib.contextmanager
def _located(where: Path | str) -> Iterator[None]:
    """Put the file's name before the message of a DataError or of an array that does not fit."""
    try:
        yield
    except (ValueError, TypeError, IndexError) as error:
        raise DataError(f"{where}: {error}") from error


def _fields(path: Path, arrays: dict[str, np.ndarray], *names: str) -> list[np.ndarray]:
    missing = [name for name in names if name not in arrays]
    if missing:
        raise DataError(f"{path}: no {', '.join(missing)}; the file has {', '.join(sorted(arrays)) or 'nothing'}")
    return [arrays[name] for name in names]


def read_clips(path: Path | str, on_error: OnError = None) -> Iterator[Motion]:
    """The motions in an npz file of any kind named above, one after the other, with captions from the table.

    Clips of positions are given a skeleton measured in each and rotations by inverse kinematics.

    Args:
        path: the file.
        on_error: called with the file, the clip that is passed over and why, in place of raising.

    Raises:
        DataError: a damaged file, or fields that are missing or do not fit each other.
    """
    path = Path(path)
    arrays = load_npz(path)
    if "rel" in arrays:
        for clip in _positions(path, arrays):
            with telling(path, clip.name, on_error), _located(f"{path}: clip {clip.name!r}"):
                yield _told(motion_from_positions(clip.positions, clip.fps), clip.name, clip.about)
    elif "quat" in arrays:
        yield from _rotations(path, arrays, on_error)
    else:
        yield _own(path, arrays)


def _told(motion: Motion, name: str, about: dict[str, Any]) -> Motion:
    captions = about.get("captions") or [about.get("action", "")]
    told = {"caption": captions[0], "source": about.get("source", ""), "licence": about.get("licence", "")}
    return Motion(
        motion.skeleton, motion.root, motion.rotations, motion.fps, name, **{k: str(v) for k, v in told.items()}
    )


def _rotations(path: Path, arrays: dict[str, np.ndarray], on_error: OnError) -> Iterator[Motion]:
    names, parents, offsets, root, quat, scale, fps = _fields(
        path, arrays, "joint_names", "parents", "offsets", "root", "quat", "quat_scale", "fps"
    )
    with _located(path):
        skeleton = Skeleton(tuple(names.tolist()), tuple(parents.tolist()), offsets)
        check_size(skeleton.longest_path, "body")
    about = _table(path.with_name(TABLE))
    for name, frames in _clips(path, arrays, len(root), len(quat)):
        with telling(path, name, on_error), _located(f"{path}: clip {name!r}"):
            motion = Motion(skeleton, root[frames], quat[frames] * float(scale), float(fps), name)
            yield _told(motion, name, about.get(name, {}))


def read_positions(path: Path | str) -> Iterator[PositionClip]:
    """The clips of an npz file of positions (``motion_j22.npz``), one after the other.

    Raises:
        DataError: a damaged file, or fields that are missing or do not fit each other.
    """
    path = Path(path)
    return _positions(path, load_npz(path))


def _positions(path: Path, arrays: dict[str, np.ndarray]) -> Iterator[PositionClip]:
    root, rel, scale, fps, names = _fields(path, arrays, "root", "rel", "rel_scale", "fps", "joint_names")
    if tuple(names.tolist()) != HUMANML3D_NAMES or root.shape != (len(root), 3) or rel.shape != (len(root), 21, 3):
        raise DataError(
            f"{path}: root {root.shape} and rel {rel.shape} of joints {', '.join(names.tolist()[:4])}, ...; expected "
            f"(frames, 3) and (frames, 21, 3) of the 22 joints of HumanML3D"
        )
    about = _table(path.with_name(TABLE))
    for name, frames in _clips(path, arrays, len(root), len(rel)):
        positions = np.repeat(root[frames, None].astype(np.float64), 22, axis=1)
        positions[:, 1:] += rel[frames] * float(scale)
        yield PositionClip(name, positions, float(fps), about.get(name, {}))


def _clips(path: Path, arrays: dict[str, np.ndarray], *frames: int) -> Iterator[tuple[str, slice]]:
    names, starts = _fields(path, arrays, "clip", "clip_start")
    if (
        len(starts) != len(names) + 1
        or set(frames) != {int(starts[-1])}
        or starts[0] != 0
        or (np.diff(starts) < 1).any()
    ):
        raise DataError(
            f"{path}: {len(names)} clips with {len(starts)} starts, the last {starts[-1] if len(starts) else 'none'}, "
            f"for {' and '.join(map(str, frames))} frames; expected rising starts, one more than clips, that end there"
        )
    for name, (start, stop) in zip(names.tolist(), itertools.pairwise(starts.tolist()), strict=True):
        yield str(name), slice(start, stop)


def _table(path: Path) -> dict[str, dict[str, Any]]:
    """What is known of each clip; nothing where there is no table."""
    if not path.exists():
        return {}
    found = {}
    try:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for at, line in enumerate(lines, start=1):
                row = json.loads(line)
                if not isinstance(row, dict) or "clip" not in row:
                    raise DataError(f"{path}:{at}: expected an object with a field 'clip'")
                found[str(row["clip"])] = row
    except (OSError, EOFError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{path}:{len(found) + 1}: cannot be read ({error}); copy it again") from error
    return found
