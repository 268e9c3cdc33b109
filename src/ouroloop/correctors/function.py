"""A plain function as a corrector."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from ouroloop.correction import Correction
from ouroloop.correctors.rows import like, moved, on_finite
from ouroloop.errors import OuroloopError, PartError
from ouroloop.keys import Key
from ouroloop.protocols import Corrector, Reference
from ouroloop.samples import Samples

__all__ = ["FunctionCorrector", "adapt"]

_STREAMS = ("key", "rng")


def adapt(part: Any) -> Corrector:
    """A corrector from an object that is one already, or from a function.

    The function is called with the array ``x`` of shape (n, ...), or, where its first parameter is named `samples`
    or annotated `Samples`, with the table; also with ``rng=`` (a NumPy generator), ``key=`` or ``label=`` if it has
    such a parameter. It returns an array of the same shape, a table of as many rows, or a `Correction`. It is given a
    copy, so it may work in place. Rows without NaN that come back with NaN or infinity have failed.

    Raises:
        PartError: neither a corrector nor callable.

    >>> rows = Samples.of(np.array([[1.0], [3.0]]))
    >>> adapt(lambda x: np.minimum(x, 2.0)).correct(rows, key=Key(0)).distance.tolist()
    [0.0, 1.0]
    """
    if inspect.isclass(part):
        raise PartError(f"corrector: got the class {part.__name__}; give an instance of it: {part.__name__}()")
    if callable(getattr(part, "fit", None)) and callable(getattr(part, "correct", None)):
        return cast(Corrector, part)
    if not callable(part):
        raise PartError(
            f"corrector: expected a function f(x) -> x or an object with fit and correct, got {type(part).__name__}"
        )
    return FunctionCorrector(function=part)


@dataclass(frozen=True, kw_only=True)
class FunctionCorrector:
    """What `adapt` makes of a function.

    Args:
        function: see `adapt`.
    """

    function: Callable[..., Any]

    @property
    def name(self) -> str:
        """The function's name, for messages."""
        return getattr(self.function, "__qualname__", None) or type(self.function).__name__

    def fit(self, reference: Reference, *, key: Key) -> FunctionCorrector:
        """Nothing to prepare."""
        return self

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """The function's answer, row by row; rows with NaN are not shown to it and fail.

        Raises:
            PartError: the function raised, or returned something of another count, shape or type.
        """

        def judge(shown: Samples) -> Correction:
            try:
                result = self._call(shown, key)
            except OuroloopError:
                raise
            except Exception as error:
                text = f"the corrector function '{self.name}' raised {type(error).__name__}: {error}"
                raise PartError(text) from error
            return self._judge(shown, result)

        return on_finite(synthetic, judge)

    def _call(self, shown: Samples, key: Key) -> Any:
        try:
            parameters = inspect.signature(self.function, eval_str=True).parameters
        except (NameError, TypeError, ValueError):  # NumPy's own functions have none
            parameters = {}
        given: dict[str, Any] = {}
        if "key" in parameters:
            given["key"] = key.child("function")
        if "rng" in parameters:
            given["rng"] = key.child("function").rng()
        names = [name for name in parameters if name not in _STREAMS]
        first = parameters[names[0]] if names else None
        table = first is not None and (first.name == "samples" or first.annotation is Samples)
        if "label" in names[1:]:
            given["label"] = shown.label.copy()
        if table:
            return self.function(shown.replace(**{name: shown[name].copy() for name in shown.data_columns}), **given)
        return self.function(shown.x.copy(), **given)

    def _judge(self, shown: Samples, result: Any) -> Correction:
        if isinstance(result, Correction):
            return Correction(shown, result.proposed, result.verdict, result.distance)
        others: dict[str, np.ndarray] = {}
        if isinstance(result, Samples):
            lost = [name for name in shown.data_columns if name not in result.data_columns]
            if lost:
                raise PartError(f"the corrector function '{self.name}' lost the columns {', '.join(lost)}; return them")
            others = {name: result[name] for name in shown.data_columns if name != "x"}
            result = result.x
        x = self._array(shown.x, result)
        numeric = x.dtype.kind in "fc"
        bad = np.asarray(~np.isfinite(x).all(axis=tuple(range(1, x.ndim)))) if numeric else np.zeros(len(x), bool)
        keep = bad.reshape(-1, *([1] * (x.ndim - 1)))
        finite = np.where(keep, shown.x, x)
        typed = like(finite, shown.x) if finite.dtype.kind in "biuf" else finite
        return moved(shown, typed, failed=bad, **others)

    def _array(self, before: np.ndarray, result: Any) -> np.ndarray:
        try:
            x = np.asarray(result)
        except ValueError as error:
            raise PartError(f"the corrector function '{self.name}' returned rows of different shapes") from error
        text = before.dtype.kind in "US"
        if x.shape != before.shape or (x.dtype.kind in "US") != text or (not text and x.dtype.kind not in "biuf"):
            raise PartError(
                f"the corrector function '{self.name}' was given x of shape {before.shape} ({before.dtype}) and "
                f"returned {x.shape} ({x.dtype}); return as many rows of the same shape and kind, or a Correction"
            )
        return x
