"""One option of an experiment swept over values, everything else as it is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from ouroloop import options
from ouroloop.errors import SpecError
from ouroloop.experiment import Axis
from ouroloop.theory.forecast import Forecast

__all__ = ["forecast_over", "settings", "swept"]

Part = TypeVar("Part")


def swept(part: Any, name: str, values: Sequence[float]) -> Axis:
    """The axis of an option, every value of which the option allows.

    Raises:
        SpecError: one that it does not allow.
    """
    axis = Axis(name, tuple(values))
    settings(part, axis)
    return axis


def settings(part: Part, axis: Axis) -> list[Part]:
    """The experiment at every point of the axis.

    Raises:
        SpecError: a value that the swept option does not allow.
    """
    raw: Any = part
    fields = {field.name: getattr(raw, field.name) for field in dataclasses.fields(raw) if field.init}
    model = options.options_model(type(part))
    found = []
    for value in axis.values:
        try:
            checked = model.model_validate({**fields, axis.name: value})
        except ValidationError as error:
            texts = "; ".join(text for _, text in options.explain(error, ()))
            raise SpecError(f"values: {axis.name} {texts}") from error
        found.append(dataclasses.replace(raw, **{axis.name: getattr(checked, axis.name)}))
    return found


def forecast_over(points: Sequence[Part], law: Callable[[Part], float], **texts: Any) -> Forecast:
    """A forecast of one value a point; infinity (nothing to show) where the law has none.

    Args:
        points: the experiment at every point.
        law: may raise SpecError.
        texts: metric, label, source, validity and note of the forecast, and any of its further fields.
    """
    values = []
    for point in points:
        try:
            values.append(law(point))
        except SpecError:
            values.append(np.inf)
    return Forecast(units="", values=np.array(values), **texts)
