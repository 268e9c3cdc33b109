"""What a motion generator remembers of its first training rows: scales, and the captions and lengths there were."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ouroloop.arrays import load_arrays, save_arrays
from ouroloop.errors import DataError, StoreError
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Condition
from ouroloop.samples import Samples

__all__ = ["CONDITION_COLUMNS", "MotionMemory"]

CONDITION_COLUMNS = ("caption", "length")
_FILE = "motions.safetensors"
# The parts of a HumanML3D frame, by where each ends: turn, horizontal velocity, height, positions, rotations,
# velocities, contacts.
_PARTS = (1, 3, 4, 67, 193, 259, 263)


@dataclass(frozen=True, eq=False)
class MotionMemory:
    """Kept through fine-tuning, so that a drift of the data has to be learnt by the weights.

    Attributes:
        centre, scale: of each feature over all real frames, float32 (features,).
        caption, length: of the training rows, str (m,) and int (m,).
        frames: frames that a row has room for.
    """

    centre: np.ndarray
    scale: np.ndarray
    caption: np.ndarray
    length: np.ndarray
    frames: int

    @classmethod
    def of(cls, training: Pool) -> MotionMemory:
        """The memory of a pool's rows.

        Scales are means of the features' standard deviations over each part of a HumanML3D frame (as in its published
        Mean and Std), so that a contact that never changes is not blown up; rows of other features are scaled one by
        one.

        Raises:
            DataError: rows that are no motions, or without a caption or a sound length.
        """
        check_motions(training)
        frames, features = training.parts[0].x.shape[1:]
        count, total, squares = 0, np.zeros(features), np.zeros(features)
        for rows in training.batches(256):
            real = rows.x[np.arange(frames) < rows["length"][:, None]].astype(np.float64)
            count, total, squares = count + len(real), total + real.sum(axis=0), squares + (real**2).sum(axis=0)
        centre = total / count
        spread = np.sqrt(np.maximum(squares / count - centre**2, 0.0))
        if features == _PARTS[-1]:
            parts = np.split(spread, _PARTS[:-1])
            spread = np.concatenate([np.full(len(part), part.mean()) for part in parts])
        scale = np.where(spread > 1e-6 * np.maximum(np.abs(centre), 1e-3), spread, 1.0)
        return cls(
            centre.astype(np.float32),
            scale.astype(np.float32),
            training.column("caption").astype(str),
            training.column("length"),
            frames,
        )

    def draw(self, n: int, *, key: Key) -> dict[str, np.ndarray]:
        """Captions with their lengths, drawn from the remembered rows; columns of n entries."""
        rows = key.rng().integers(len(self.caption), size=n)
        return {"caption": self.caption[rows], "length": self.length[rows]}

    def check(self, n: int, condition: Condition) -> dict[str, np.ndarray]:
        """The columns of a condition, if n rows can be drawn for them.

        Raises:
            DataError: a column is missing or of another length, or a motion is to be longer than the training rows.
        """
        columns = {name: np.asarray(value) for name, value in condition.items()}
        missing = [name for name in CONDITION_COLUMNS if name not in columns]
        if missing:
            raise DataError(
                f"a condition of motion_diffusion has the columns caption and length, '{missing[0]}' is missing; got: "
                f"{', '.join(columns) or 'none'}"
            )
        for name, value in columns.items():
            if len(value) != n:
                raise DataError(f"asked for {n} rows with a condition '{name}' of {len(value)}; they must be as many")
        check_lengths(columns["length"], self.frames, "a condition's length")
        return columns

    def save(self, directory: Path) -> None:
        """Write it beside the network's weights."""
        arrays = {"centre": self.centre, "scale": self.scale, "length": self.length}
        save_arrays(directory / _FILE, arrays, {"caption": self.caption.tolist(), "frames": self.frames})

    @classmethod
    def load(cls, directory: Path) -> MotionMemory:
        """The inverse of `save`.

        Raises:
            StoreError: the file is missing or not one of ours.
        """
        arrays, meta = load_arrays(directory / _FILE)
        try:
            caption = np.array(meta["caption"], dtype=str)
            return cls(arrays["centre"], arrays["scale"], caption, arrays["length"], int(meta["frames"]))
        except KeyError as error:
            raise StoreError(f"{directory / _FILE}: no {error}; not written by motion_diffusion") from error


def check_motions(training: Pool) -> None:
    """Refuse rows that are no motions.

    Raises:
        DataError: no rows, a wrong shape, a column missing, NaN, or a length outside 1..frames.
    """
    if len(training) == 0:
        raise DataError("cannot fit a generator to zero rows")
    shape = training.parts[0].x.shape
    if len(shape) != 3:
        raise DataError(
            f"motion_diffusion: rows must have shape (frames, features), got {shape[1:]}; data 'motions' gives such "
            "rows, generator 'diffusion' takes vectors"
        )
    for name in CONDITION_COLUMNS:
        if name not in training.data_columns:
            raise DataError(
                f"motion_diffusion: training rows need the columns caption and length, '{name}' is missing; got: "
                f"{', '.join(training.data_columns)}"
            )
    for part in training.parts:
        part.check_finite("training rows")
        check_lengths(part["length"], shape[1], "column 'length'")


def check_lengths(length: np.ndarray, frames: int, what: str) -> None:
    """Raise DataError unless every length is a whole number in 1..frames."""
    if length.dtype.kind not in "iu":
        raise DataError(f"{what} must hold whole numbers of frames, got {length.dtype}")
    wrong = (length < 1) | (length > frames)
    if wrong.any():
        raise DataError(f"{what} must be 1 to {frames} frames, got {length[wrong][0]}")


def without_captions(rows: Samples, text: np.ndarray) -> Samples:
    """Rows as the training loop takes them: x, length, and the captions' numbers as `text`."""
    return Samples.of(rows.x, length=rows["length"], text=text, origin=rows.origin)
