"""What a trained generator remembers of the first data that it saw: shape, range, scale and classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroloop.errors import DataError
from ouroloop.pool import Pool

__all__ = ["Summary"]

_BLOCK = 16_384  # rows read at a time; blocks do not depend on how the pool is split into tables


@dataclass(frozen=True, eq=False)
class Summary:
    """Statistics of a generator's first training rows. Fine-tuning keeps them, so that the meaning of the
    network's inputs and outputs never shifts under its weights.

    Attributes:
        shape: shape of one row of ``x``.
        dtype: dtype of ``x``.
        mean, std: per element of a row, float64, of that shape (std is the population's, divisor n).
        low, high: least and greatest value of any element.
        rows: number of rows.
        classes: sorted distinct labels (k,), or None where there is no label column.
        frequencies: share of each class, float64 (k,).
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    mean: np.ndarray
    std: np.ndarray
    low: float
    high: float
    rows: int
    classes: np.ndarray | None = None
    frequencies: np.ndarray | None = None

    @classmethod
    def of(cls, data: Pool) -> Summary:
        """The summary of a pool's rows, read in blocks.

        Raises:
            DataError: no rows, or an ``x`` that does not hold real numbers.
        """
        check_numbers(data)
        count, mean, squares, low, high = 0, 0.0, 0.0, np.inf, -np.inf
        for block in _blocks(data):
            here = block.mean(axis=0)
            n, delta = len(block), here - mean
            squares = squares + ((block - here) ** 2).sum(axis=0) + delta**2 * (count * n / (count + n))
            mean = mean + delta * (n / (count + n))
            count, low, high = count + n, min(low, float(block.min())), max(high, float(block.max()))
        classes = frequencies = None
        if "label" in data.data_columns:
            classes, counts = np.unique(data.column("label"), return_counts=True)
            frequencies = counts / counts.sum()
        x = data.parts[0].x
        shape, std = x.shape[1:], np.sqrt(np.asarray(squares) / count)
        return cls(shape, x.dtype, np.asarray(mean), std, low, high, count, classes, frequencies)

    @property
    def size(self) -> int:
        """Number of values in a row."""
        return int(np.prod(self.shape))

    @property
    def n_classes(self) -> int:
        """Number of classes, 0 where there are no labels."""
        return 0 if self.classes is None else len(self.classes)

    @property
    def sample_dtype(self) -> np.dtype:
        """dtype of samples: the data's own where it is floating, else float32 (nothing is rounded)."""
        return self.dtype if self.dtype.kind == "f" else np.dtype(np.float32)

    def check(self, data: Pool, *, labels: bool = True) -> None:
        """Refuse rows that a model fitted on the summarised data cannot continue with.

        Args:
            labels: whether the model reads the labels, where there are any.

        Raises:
            DataError: no rows, rows of another shape, or no labels any more for a model that reads them.
        """
        check_numbers(data)
        shape = data.parts[0].x.shape[1:]
        if shape != self.shape:
            raise DataError(f"the model was fitted on rows of shape {self.shape} and cannot continue on {shape}")
        if labels and self.classes is not None and "label" not in data.data_columns:
            raise DataError("the model was fitted with class labels, and the new training rows have no 'label' column")

    def check_precision(self) -> None:
        """Refuse rows whose spread is lost in float32, in which networks compute.

        Raises:
            DataError: an element that varies by less than four steps of float32 at its size (and by more than the
                rounding of float64, which is no variation).
        """
        size, std = np.abs(self.mean), self.std
        lost = (std > 1e-12 * size) & (std < 4 * np.finfo(np.float32).eps * size)
        if self.dtype != np.float32 and lost.any():
            at = int(np.argmax(lost))
            raise DataError(
                f"{int(lost.sum())} of the {lost.size} values of a row vary too little for their size, the first by "
                f"{std.flat[at]:.3g} around {self.mean.flat[at]:.6g}: a network, which computes in float32, would see "
                "them as constant; subtract a constant from the data first"
            )

    def encode(self, labels: np.ndarray) -> np.ndarray:
        """Positions of labels in `classes`, int64, same shape.

        Raises:
            DataError: a label that the first training rows did not have.
        """
        if self.classes is None:
            raise DataError("the model was fitted without labels")
        labels = np.asarray(labels)
        place = np.minimum(np.searchsorted(self.classes, labels), len(self.classes) - 1)
        unknown = self.classes[place] != labels
        if unknown.any():
            known = ", ".join(map(str, self.classes[:20]))
            raise DataError(f"label {labels[unknown][0]} is none of those that the model was fitted on: {known}")
        return place.astype(np.int64)

    def to_arrays(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and JSON-able values that `from_arrays` understands."""
        classes = None if self.classes is None else self.classes.tolist()
        meta = {"shape": list(self.shape), "dtype": self.dtype.str, "low": self.low, "high": self.high}
        meta |= {"rows": self.rows, "classes": classes}
        meta["classes_dtype"] = None if self.classes is None else self.classes.dtype.str
        arrays = {"mean": self.mean, "std": self.std}
        return arrays if self.frequencies is None else {**arrays, "frequencies": self.frequencies}, meta

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], meta: dict[str, Any]) -> Summary:
        """The inverse of `to_arrays`."""
        shape = tuple(meta["shape"])
        classes = None if meta["classes"] is None else np.array(meta["classes"], dtype=meta["classes_dtype"])
        return cls(
            shape=shape,
            dtype=np.dtype(meta["dtype"]),
            mean=arrays["mean"].reshape(shape),
            std=arrays["std"].reshape(shape),
            low=meta["low"],
            high=meta["high"],
            rows=meta["rows"],
            classes=classes,
            frequencies=arrays.get("frequencies"),
        )


def check_numbers(data: Pool) -> None:
    """Raise DataError unless the pool has rows, and its ``x`` finite real numbers."""
    if len(data) == 0:
        raise DataError("cannot fit a generator to zero rows")
    for part in data.parts:
        if part.x.dtype.kind not in "biuf":
            raise DataError(f"a network is trained on real numbers, and column 'x' is of dtype {part.x.dtype}")
        if part.x.size == 0:
            raise DataError(f"column 'x' has rows of shape {part.x.shape[1:]}, which hold no values")
        part.check_finite("training rows")


def _blocks(data: Pool) -> Iterator[np.ndarray]:
    for start in range(0, len(data), _BLOCK):
        yield data.take(np.arange(start, min(start + _BLOCK, len(data)))).x.astype(np.float64)
