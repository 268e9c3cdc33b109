"""What the classical density models share: rows of any shape, one model per class, saving, refusing bad input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Generic, Self, TypeVar

import numpy as np
from pydantic import Field

from ouroloop.arrays import load_arrays, save_arrays
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Condition
from ouroloop.samples import Samples

__all__ = ["Classical", "Fitted", "Rows", "flat_rows"]

Model = TypeVar("Model")
Rows = Callable[[], Iterator[np.ndarray]]
"""Reads the training rows anew: blocks of shape (m, d) in the data's dtype, none of them empty."""

_FILE = "model.safetensors"


@dataclass(frozen=True, eq=False)
class Fitted(Generic[Model]):
    """What a fit found.

    Args:
        models: one model, or one per class.
        shape: the shape of a row of x; the models see rows flattened to d = prod(shape) numbers.
        dtype: of x; samples have it too where it is floating, float64 otherwise.
        labels: (classes,), sorted; None where there is one model for everything.
        counts: training rows by model.
    """

    models: tuple[Model, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    labels: np.ndarray | None
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Classical(Generic[Model]):
    """Base of `Gaussian`, `GaussianMixture` and `Kde`. A subclass says how to fit, draw, pack and unpack one model."""

    per_class: Annotated[
        bool, Field(description="fit one model per class label and draw the classes that the condition asks for")
    ] = False
    fitted: Fitted[Model] | None = field(init=False, default=None, repr=False, compare=False)

    def _fit_model(self, rows: Rows, *, key: Key, previous: Model | None) -> Model:
        raise NotImplementedError

    def _draw(self, model: Model, n: int, rng: np.random.Generator) -> np.ndarray:
        """n flat rows, float64 (n, d)."""
        raise NotImplementedError

    def _pack(self, model: Model) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _unpack(self, arrays: dict[str, np.ndarray]) -> Model:
        raise NotImplementedError

    @property
    def conditional(self) -> bool:
        """Whether samples follow a condition's labels."""
        return self.per_class

    def fit(self, training: Pool, *, key: Key, previous: Self | None = None) -> Self:
        """A fitted copy.

        Raises:
            DataError: no rows, NaN or infinity, x that is not numbers, or per_class without a 'label' column.
            PartError: the fit failed.
        """
        shape, dtype = check_training(training)
        labels, counts = self._classes(training)
        models = []
        for index in range(len(counts)):
            label = None if labels is None else labels[index]
            stream = key if label is None else key.child("class", index)
            before = previous._model_of(label, shape) if isinstance(previous, type(self)) else None
            models.append(self._fit_model(lambda at=label: flat_rows(training, at), key=stream, previous=before))
        return self._with(Fitted(tuple(models), shape, dtype, labels, counts))

    def sample(self, n: int, *, key: Key, condition: Condition | None = None) -> Samples:
        """n rows, in the training data's row shape; with `per_class`, of the condition's labels.

        Without a condition a `per_class` model draws labels as frequent as they were in training.

        Raises:
            PartError: not fitted yet. DataError: n < 0, or a condition that does not fit.
        """
        fitted = self._need()
        if n < 0:
            raise DataError(f"cannot draw {n} rows")
        if fitted.labels is None:
            flat = self._draw(fitted.models[0], n, key.rng())
            return Samples.of(_restore(flat, fitted))
        columns = dict(condition or {})
        if "label" not in columns:
            share = np.asarray(fitted.counts) / sum(fitted.counts)
            columns["label"] = key.child("label").rng().choice(fitted.labels, size=n, p=share)
        flat = self._draw_classes(fitted, n, np.asarray(columns["label"]), key)
        return Samples.of(_restore(flat, fitted), **columns)

    def save(self, directory: Path) -> None:
        """Write the fitted models to one safetensors file in `directory`."""
        fitted = self._need()
        arrays = {f"{i}.{name}": a for i, m in enumerate(fitted.models) for name, a in self._pack(m).items()}
        labels = (
            None if fitted.labels is None else {"values": fitted.labels.tolist(), "dtype": str(fitted.labels.dtype)}
        )
        meta = {
            "kind": type(self).__name__,
            "shape": list(fitted.shape),
            "dtype": fitted.dtype.str,
            "labels": labels,
            "counts": list(fitted.counts),
        }
        save_arrays(Path(directory) / _FILE, arrays, meta)

    def load(self, directory: Path) -> Self:
        """A fitted copy with the models in `directory`.

        Raises:
            StoreError: the file is missing or unreadable. DataError: it holds another kind of model.
        """
        path = Path(directory) / _FILE
        arrays, meta = load_arrays(path)
        if meta.get("kind") != type(self).__name__:
            raise DataError(f"{path}: holds a {meta.get('kind', 'file of unknown kind')}, not a {type(self).__name__}")
        by_model: list[dict[str, np.ndarray]] = [{} for _ in meta["counts"]]
        for name, value in arrays.items():
            index, _, rest = name.partition(".")
            by_model[int(index)][rest] = value
        labels = meta["labels"]
        labels = None if labels is None else np.array(labels["values"], dtype=labels["dtype"])
        models = tuple(self._unpack(part) for part in by_model)
        return self._with(Fitted(models, tuple(meta["shape"]), np.dtype(meta["dtype"]), labels, tuple(meta["counts"])))

    def _with(self, fitted: Fitted[Model]) -> Self:
        copy = replace(self)
        object.__setattr__(copy, "fitted", fitted)
        return copy

    def _need(self) -> Fitted[Model]:
        if self.fitted is None:
            raise PartError(f"{type(self).__name__} is not fitted yet: use what fit(...) returns")
        return self.fitted

    def _only_model(self) -> Model:
        fitted = self._need()
        if fitted.labels is not None:
            raise PartError(
                f"this {type(self).__name__} has one model per class and so no single density, mean or covariance; set "
                "per_class: false or leave out metrics that read them (nll, gaussian_w2 with of: model), or look at "
                "`fitted.models` in Python"
            )
        return fitted.models[0]

    def _model_of(self, label: Any, shape: tuple[int, ...]) -> Model | None:
        """The model of a class (None: of everything) to start from, or None where there is none of that shape."""
        fitted = self.fitted
        if fitted is None or fitted.shape != shape or (fitted.labels is None) != (label is None):
            return None
        if fitted.labels is None:
            return fitted.models[0]
        where = np.flatnonzero(fitted.labels == label)
        return fitted.models[where[0]] if len(where) else None

    def _classes(self, training: Pool) -> tuple[np.ndarray | None, tuple[int, ...]]:
        if not self.per_class:
            return None, (len(training),)
        if "label" not in training.data_columns:
            raise DataError(
                f"per_class needs a column 'label', and the data have only: {', '.join(training.data_columns)}"
            )
        labels, counts = np.unique(training.column("label"), return_counts=True)
        return labels, tuple(int(c) for c in counts)

    def _draw_classes(self, fitted: Fitted[Model], n: int, labels: np.ndarray, key: Key) -> np.ndarray:
        if labels.shape != (n,):
            raise DataError(f"condition 'label' has shape {labels.shape}; expected ({n},), one label a row")
        known = fitted.labels
        assert known is not None
        unknown = np.setdiff1d(labels, known)
        if len(unknown):
            raise DataError(f"no model for label {unknown.tolist()}; the training data had {known.tolist()}")
        flat = np.empty((n, int(np.prod(fitted.shape, dtype=int))))
        for index, model in enumerate(fitted.models):
            rows = np.flatnonzero(labels == known[index])
            flat[rows] = self._draw(model, len(rows), key.child("class", index).rng())
        return flat


def check_training(training: Pool) -> tuple[tuple[int, ...], np.dtype]:
    """Row shape and dtype of x, after refusing what no model can be fitted on.

    Raises:
        DataError: no rows, x that is not numbers, or rows of several shapes.
    """
    if len(training) == 0:
        raise DataError("no rows to fit on")
    shapes = {part.x.shape[1:] for part in training.parts}
    if len(shapes) > 1:
        raise DataError(f"training tables have rows of different shapes: {sorted(map(str, shapes))}")
    dtype = np.result_type(*(part.x.dtype for part in training.parts))
    if dtype.kind not in "biuf":
        raise DataError(f"column 'x' holds {dtype}, not numbers; this generator fits numbers only")
    return shapes.pop(), dtype


def flat_rows(training: Pool, label: Any = None) -> Iterator[np.ndarray]:
    """Blocks (m, d) of x, of one class or of all, checked to be finite; memory is bounded by a batch."""
    for batch in training.batches():
        batch.check_finite("training data")
        x = batch.x if label is None else batch.x[batch.label == label]
        if len(x):
            yield x.reshape(len(x), -1)


def _restore(flat: np.ndarray, fitted: Fitted[Any]) -> np.ndarray:
    dtype = fitted.dtype if fitted.dtype.kind == "f" else np.dtype(np.float64)
    return flat.astype(dtype, copy=False).reshape(len(flat), *fitted.shape)
