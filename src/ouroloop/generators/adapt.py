"""Any object with `fit(X)` and `sample(n)` as a generator, unchanged.

What the loop does with a foreign object:

* It works on copies: scikit-learn's `clone` for an estimator, `copy.deepcopy` for anything else.
* `random_state`, `seed` and `rng` are set from the key, where they are attributes or parameters of the object, or
  keywords of its `fit` or `sample`; the global generators are seeded around every call and put back after it.
* `fit` is given all rows as one array, in memory. If it raises a ValueError and the rows are not flat, it is tried
  once more with rows flattened to (n, d), and samples get their shape back. If `fit` returns an object that can
  sample, that is the fitted model, otherwise the copy itself is.
* Labels (the column 'label') are passed to `fit` if it takes `y`, `labels`, `label` or `condition`, except to a
  scikit-learn estimator for which they are optional and whose `sample` takes none (there `y` means nothing). If
  `sample` takes one of those names too, the generator is conditional and is given the labels to draw. If `sample`
  returns a pair (X, y) and `fit` was given labels, y is the label column; else y is ignored (scikit-learn's mixtures
  return the component there).
* To fine-tune, an object whose `fit` takes `previous` is given the previous fitted object, and an estimator with
  ``warm_start=True`` is a copy of the previous one. Others are fitted from scratch in every generation.
* Its state is saved if it has ``save(directory)`` and ``load(directory)``, or ``state_dict()`` and
  ``load_state_dict()`` with numbers and arrays in it. Others are fitted again when a run is resumed.
"""

from __future__ import annotations

import dataclasses
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from ouroloop.arrays import load_arrays, save_arrays
from ouroloop.errors import DataError, PartError
from ouroloop.generators.describe import describe
from ouroloop.generators.foreign import (
    as_array,
    blamed,
    copy_of,
    is_estimator,
    name_of,
    parameter_named,
    seed_keywords,
    seeded_copy,
)
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.protocols import Condition, Generator
from ouroloop.samples import Samples

__all__ = ["Adapter", "SaveableAdapter", "adapt", "describe"]

_LABELS = ("y", "labels", "label", "condition")
_FILE, _FOLDER = "adapter.safetensors", "object"


def adapt(obj: Any) -> Generator:
    """A generator that fits and samples copies of `obj`; an object that is a generator already is returned as it is.

    Raises:
        PartError: `obj` is a class, or lacks `fit` or `sample`.
    """
    if inspect.isclass(obj):
        raise PartError(f"{name_of(obj)} is a class; give an object of it, for example {obj.__name__}(...)")
    missing = [name for name in ("fit", "sample") if not callable(getattr(obj, name, None))]
    if missing:
        raise PartError(
            f"{name_of(obj)} has no method {' and no method '.join(missing)}; a generator needs fit(X) and sample(n)"
        )
    if all(parameter_named(getattr(obj, name), ("key",)) for name in ("fit", "sample")):
        return obj
    template = copy_of(obj, fitted=False)
    return SaveableAdapter(template) if _keeps_state(obj) else Adapter(template)


@dataclass(frozen=True)
class _Learnt:
    """What a fit leaves behind, besides the object: how its samples are to be read."""

    shape: tuple[int, ...]
    flat: bool
    labels: tuple[Any, ...] | None = None
    counts: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Adapter:
    """A foreign object as a generator; made by `adapt`.

    Args:
        template: our copy of the user's object, never fitted or changed.
        model: the fitted object, or None.
        learnt: shape of a row and labels seen, or None.
    """

    template: Any
    model: Any = None
    learnt: _Learnt | None = None

    @property
    def described(self) -> Any:
        """What `describe` speaks of."""
        return self.template

    @property
    def conditional(self) -> bool:
        """Whether samples follow a condition's labels."""
        return all(parameter_named(getattr(self.template, name), _LABELS) for name in ("fit", "sample"))

    def fit(self, training: Pool, *, key: Key, previous: Self | None = None) -> Self:
        """Fit a copy of the object to all rows, held in memory.

        Raises:
            DataError: no rows, NaN or infinity, or no labels for a `fit` that requires them.
            PartError: the object's `fit` failed; its error is the cause.
        """
        if len(training) == 0:
            raise DataError("no rows to fit on")
        for batch in training.batches():
            batch.check_finite("training data")
        x, shape = np.array(training.x), training.x.shape[1:]  # a copy: fit may write into what it is given
        labels = self._labels_for_fit(training)
        before = previous.model if isinstance(previous, Adapter) else None
        try:
            model, flat = self._fit_copy(x, labels, key, before), False
        except PartError as error:
            if x.ndim == 2 or not isinstance(error.__cause__, ValueError):
                raise
            flat_x = np.array(training.x).reshape(len(training), -1)
            model, flat = self._fit_copy(flat_x, labels, key, before), True
        if labels is None:
            return dataclasses.replace(self, model=model, learnt=_Learnt(shape, flat))
        values, counts = np.unique(labels, return_counts=True)
        learnt = _Learnt(shape, flat, tuple(values.tolist()), tuple(counts.tolist()))
        return dataclasses.replace(self, model=model, learnt=learnt)

    def sample(self, n: int, *, key: Key, condition: Condition | None = None) -> Samples:
        """n rows from a copy of the fitted object.

        Raises:
            PartError: not fitted; `sample` failed or returned another count or shape, NaN or infinity.
            DataError: n < 0 or labels of another length.
        """
        if self.model is None or self.learnt is None:
            raise PartError(f"{name_of(self.template)} is not fitted yet: use what fit(...) returns")
        if n < 0:
            raise DataError(f"cannot draw {n} rows")
        columns = self._columns(n, key, condition)
        if n == 0:  # many refuse; one row tells shape and dtype
            one = {name: np.asarray(self.learnt.labels[:1]) for name in columns} if self.learnt.labels else {}
            return self._draw(1, key, one).take(slice(0, 0))
        return self._draw(n, key, columns)

    def _labels_for_fit(self, training: Pool) -> np.ndarray | None:
        wanted = parameter_named(self.template.fit, _LABELS)
        if wanted is None:
            return None
        required = wanted.default is inspect.Parameter.empty
        if "label" not in training.data_columns:
            if required:
                raise DataError(
                    f"{name_of(self.template)}.fit needs {wanted.name}, and the data have no column 'label'"
                )
            return None
        meaningless = is_estimator(self.template) and not required and not self.conditional
        return None if meaningless else np.array(training.column("label"))

    def _fit_copy(self, x: np.ndarray, labels: np.ndarray | None, key: Key, before: Any) -> Any:
        goes_on = before is not None and is_estimator(before) and before.get_params(deep=False).get("warm_start")
        model = seeded_copy(before if goes_on else self.template, key, fitted=bool(goes_on))
        keywords = seed_keywords(model.fit, key)
        wanted = parameter_named(model.fit, _LABELS)
        if labels is not None and wanted is not None:
            keywords[wanted.name] = labels
        if before is not None and parameter_named(model.fit, ("previous",)):
            keywords["previous"] = copy_of(before, fitted=True)
        with blamed(model, "fit"), key.seeded():
            result = model.fit(x, **keywords)
        return result if callable(getattr(result, "sample", None)) else model

    def _columns(self, n: int, key: Key, condition: Condition | None) -> dict[str, np.ndarray]:
        """The condition's columns, with labels drawn where there are none; nothing if not conditional."""
        assert self.learnt is not None
        if not self.conditional or self.learnt.labels is None:
            return {}
        columns = {name: np.asarray(column) for name, column in (condition or {}).items()}
        if "label" not in columns:
            share = np.asarray(self.learnt.counts) / sum(self.learnt.counts)
            columns["label"] = key.child("label").rng().choice(np.asarray(self.learnt.labels), size=n, p=share)
        for name, column in columns.items():
            if len(column) != n:
                raise DataError(f"condition '{name}' has {len(column)} entries for {n} rows")
        return columns

    def _draw(self, n: int, key: Key, columns: dict[str, np.ndarray]) -> Samples:
        assert self.learnt is not None
        model = seeded_copy(self.model, key, fitted=True)
        keywords = seed_keywords(model.sample, key)
        wanted = parameter_named(model.sample, _LABELS)
        if wanted is not None and "label" in columns:
            keywords[wanted.name] = columns["label"].copy()
        with blamed(model, "sample"), key.seeded():
            drawn = model.sample(n, **keywords)
            x, y = drawn if isinstance(drawn, tuple) and len(drawn) == 2 else (drawn, None)
            x = self._restored(as_array(x), n)
            if y is not None and self.learnt.labels is not None and not columns:
                columns = {"label": as_array(y)}
            samples = Samples.of(x, **columns)
        try:
            samples.check_finite(f"{name_of(model)}: sample({n})")
        except DataError as error:
            raise PartError(str(error)) from error
        return samples

    def _restored(self, x: np.ndarray, n: int) -> np.ndarray:
        """Samples in the shape of the training rows, also where the object flattened them."""
        assert self.learnt is not None
        expected = (n, *self.learnt.shape)
        if x.shape == expected:
            return x
        if x.ndim and len(x) == n and (self.learnt.flat or x.ndim == 2) and x.size == np.prod(expected, dtype=int):
            return x.reshape(expected)
        raise PartError(f"{name_of(self.model)}: sample({n}) returned shape {x.shape}; expected {expected}")


@dataclass(frozen=True, eq=False)
class SaveableAdapter(Adapter):
    """An adapter of an object whose state can be written."""

    def save(self, directory: Path) -> None:
        """Write the object's state and what was learnt of the data into `directory`."""
        if self.model is None or self.learnt is None:
            raise PartError(f"{name_of(self.template)} is not fitted yet: use what fit(...) returns")
        meta: dict[str, Any] = {"learnt": dataclasses.asdict(self.learnt)}
        arrays: dict[str, np.ndarray] = {}
        if _saves_itself(self.model):
            folder = Path(directory) / _FOLDER
            folder.mkdir()
            with blamed(self.model, "save"):
                self.model.save(folder)
        else:
            with blamed(self.model, "state_dict"):
                state = dict(self.model.state_dict())
            arrays = {name: as_array(value) for name, value in state.items()}
            wrong = [name for name, array in arrays.items() if array.dtype.kind not in "biuf"]
            if wrong:
                raise PartError(
                    f"{name_of(self.model)}: state_dict()['{wrong[0]}'] is no array of numbers; give the object "
                    "save(directory) and load(directory), or no state_dict, so that it is fitted again on resume"
                )
            meta["tensors"] = [name for name, value in state.items() if hasattr(value, "detach")]
        save_arrays(Path(directory) / _FILE, arrays, meta)

    def load(self, directory: Path) -> Self:
        """A fitted copy with the state in `directory`."""
        arrays, meta = load_arrays(Path(directory) / _FILE)
        model = copy_of(self.template, fitted=True)
        if _saves_itself(model):
            with blamed(model, "load"):
                result = model.load(Path(directory) / _FOLDER)
            model = result if callable(getattr(result, "sample", None)) else model
        else:
            state: dict[str, Any] = dict(arrays)
            for name in meta["tensors"]:
                import torch

                state[name] = torch.from_numpy(arrays[name])
            with blamed(model, "load_state_dict"):
                model.load_state_dict(state)
        learnt = dict(meta["learnt"])
        labels = None if learnt["labels"] is None else tuple(learnt["labels"])
        found = _Learnt(tuple(learnt["shape"]), learnt["flat"], labels, tuple(learnt["counts"]))
        return dataclasses.replace(self, model=model, learnt=found)


def _saves_itself(obj: Any) -> bool:
    return all(
        callable(getattr(obj, name, None)) and parameter_named(getattr(obj, name), ("directory",)) is not None
        for name in ("save", "load")
    )


def _keeps_state(obj: Any) -> bool:
    has_state = all(callable(getattr(obj, name, None)) for name in ("state_dict", "load_state_dict"))
    return has_state or _saves_itself(obj)
