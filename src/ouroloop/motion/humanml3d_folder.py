"""HumanML3D's folder: features in ``new_joint_vecs``, captions in ``texts``, splits in ``train.txt`` and the like.

A line of a caption file reads ``sentence#tokens#from#to``: words with their parts of speech, and the seconds of the
motion that the sentence is about (0 and 0, or nan: all of it).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.faults import OnError, telling
from ouroloop.motion.humanml3d import FEATURES, FPS, decode
from ouroloop.motion.inverse_kinematics import motion_from_positions
from ouroloop.motion.motion import Motion
from ouroloop.motion.text_file import read_lines

__all__ = ["Caption", "FeatureClip", "read_captions", "read_features", "read_humanml3d", "read_statistics"]


@dataclass(frozen=True)
class Caption:
    """What a sentence says about a motion.

    Args:
        text: the sentence.
        tokens: its words as "word/PART".
        start, stop: seconds of the motion it is about; both 0 for all of it.
    """

    text: str
    tokens: tuple[str, ...] = ()
    start: float = 0.0
    stop: float = 0.0


@dataclass(frozen=True, eq=False)
class FeatureClip:
    """One motion of a folder.

    Args:
        name: its file's stem; one that begins with M is a mirrored copy.
        features: float32 (T, 263), in physical units, 20 frames a second.
        captions: what is said of it; empty where there is no caption file.
    """

    name: str
    features: np.ndarray
    captions: tuple[Caption, ...] = ()

    def motion(self) -> Motion:
        """The motion, on a skeleton measured in it, by inverse kinematics."""
        caption = self.captions[0].text if self.captions else ""
        motion = motion_from_positions(decode(self.features), float(FPS))
        return Motion(motion.skeleton, motion.root, motion.rotations, FPS, self.name, caption, "HumanML3D features")


def read_features(path: Path | str) -> np.ndarray:
    """A file of features, float32 (T, 263).

    Raises:
        DataError: not a readable npy file of numbers, another shape, no frames, NaN.
    """
    path = Path(path)
    try:
        features = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path}: not a readable npy file ({error}); copy it again") from error
    if not isinstance(features, np.ndarray) or features.ndim != 2 or features.shape[1] != FEATURES or not len(features):
        shape = getattr(features, "shape", "several arrays")
        raise DataError(f"{path}: got {shape}, expected (frames, {FEATURES}) with at least one frame")
    finite = np.isfinite(features).all(axis=1)
    if not finite.all():
        raise DataError(f"{path}: NaN or infinite, first in frame {int(np.argmin(finite))}")
    return features.astype(np.float32)


def read_captions(path: Path | str) -> tuple[Caption, ...]:
    """A caption file.

    Raises:
        DataError: a line of another form, with its number.
    """
    path = Path(path)
    captions = []
    for at, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            continue
        text, *rest = line.split("#")
        if not text.strip() or len(rest) not in (0, 3):
            raise DataError(f"{path}:{at}: expected 'sentence#tokens#from#to', got {line.strip()[:60]!r}")
        try:
            start, stop = (float(word) for word in rest[1:]) if rest else (0.0, 0.0)
        except ValueError:
            raise DataError(f"{path}:{at}: {'#'.join(rest[1:])!r} are no two times in seconds") from None
        start, stop = (0.0 if np.isnan(value) else value for value in (start, stop))
        captions.append(Caption(text.strip(), tuple(rest[0].split()) if rest else (), start, stop))
    return tuple(captions)


def read_humanml3d(folder: Path | str, split: str | None = None, on_error: OnError = None) -> Iterator[FeatureClip]:
    """The motions of a folder, by name.

    Args:
        folder: what holds ``new_joint_vecs``.
        split: only those listed in ``<split>.txt`` ("train", "val", ...) that are there.
        on_error: called with the features' file, the name of a motion whose features or captions are damaged, and why,
            in place of raising.

    Raises:
        DataError: no features, no such split, or a damaged file.
    """
    folder = Path(folder)
    paths = {path.stem: path for path in sorted((folder / "new_joint_vecs").glob("*.npy"))}
    if not paths:
        raise DataError(f"{folder}: no new_joint_vecs/*.npy; expected HumanML3D's folder of features")
    names = list(paths)
    if split is not None:
        listed = [line.strip() for line in read_lines(folder / f"{split}.txt") if line.strip()]
        names = [name for name in listed if name in paths]
        if not names:
            raise DataError(f"{folder / f'{split}.txt'}: none of its {len(listed)} motions is in new_joint_vecs")
    for name in names:
        text = folder / "texts" / f"{name}.txt"
        with telling(paths[name], name, on_error):
            yield FeatureClip(name, read_features(paths[name]), read_captions(text) if text.exists() else ())


def read_statistics(folder: Path | str) -> tuple[np.ndarray, np.ndarray]:
    """``Mean.npy`` and ``Std.npy``, float32 (263,) each, with which the published models standardise features.

    Raises:
        DataError: missing, damaged, of another shape, or a standard deviation that is not positive.
    """
    found = []
    for name in ("Mean", "Std"):
        path = Path(folder) / f"{name}.npy"
        try:
            values = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path}: not a readable npy file ({error})") from error
        if values.shape != (FEATURES,) or not np.isfinite(values).all() or (name == "Std" and (values <= 0).any()):
            raise DataError(f"{path}: got shape {values.shape}; expected {FEATURES} finite numbers (of Std, positive)")
        found.append(values.astype(np.float32))
    return found[0], found[1]
