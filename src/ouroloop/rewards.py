"""What people or a model prefer: a number a row. `curate` chooses by it, the metric `reward` measures it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, SpecError
from ouroloop.features import build
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["Judge", "Reward"]

Judge = Callable[[Samples], np.ndarray]
"""A reward made ready on the real data: a table of n rows to float64 (n,)."""


@dataclass(frozen=True, kw_only=True)
class Reward:
    """A reward function by name; `ready` prepares it on the real data.

    Args:
        kind: "near": minus the distance to `centre`, 0 within `radius` of it; "class_probability": how probable a
            classifier trained on the real labels finds the class `label`; "confidence": its largest probability.
        scale: what the value is multiplied by; Bradley-Terry choices see e to this power.

    Raises:
        SpecError: "near" without a centre or with one that is not finite, "class_probability" without a label.
    """

    kind: Annotated[Literal["near", "class_probability", "confidence"], Field(description="what is rewarded")] = "near"
    scale: Annotated[float, Field(ge=0, allow_inf_nan=False, description="multiplies the reward")] = 1.0
    centre: Annotated[tuple[float, ...] | None, Field(description="near: the rewarded point")] = None
    radius: Annotated[float, Field(ge=0, description="near: distance within which all is equally good")] = 0.0
    label: Annotated[int | str | None, Field(description="class_probability: the rewarded class")] = None

    def __post_init__(self) -> None:
        if self.kind == "near" and self.centre is None:
            raise SpecError("reward.centre: is required by the reward 'near', for example [0, 1]")
        if self.centre is not None and not np.isfinite(self.centre).all():
            raise SpecError(f"reward.centre: must be finite numbers, got {list(self.centre)}")
        if self.kind == "class_probability" and self.label is None:
            raise SpecError("reward.label: is required by the reward 'class_probability'")

    def ready(self, real: Samples, *, key: Key, cache: Path | None = None) -> Judge:
        """The reward as a function of rows.

        Raises:
            DataError: the centre has another dimension than the rows, or no real row has the label.
        """
        if self.kind == "near":
            return self._near(real)
        classifier = build("classifier").fit(real, key=key, cache=cache)
        column = None
        if self.kind == "class_probability":
            classes = classifier.classes.tolist()  # type: ignore[attr-defined]
            if self.label not in classes:
                raise DataError(f"reward.label: no real row has the label {self.label!r}; there are {classes}")
            column = classes.index(self.label)

        def judge(samples: Samples) -> np.ndarray:
            probabilities = classifier.probabilities(samples.x)  # type: ignore[attr-defined]
            return self.scale * (probabilities.max(axis=1) if column is None else probabilities[:, column])

        return judge

    def _near(self, real: Samples) -> Judge:
        centre = np.asarray(self.centre, np.float64)
        dimension = _flat(real.x[:1]).shape[1]
        if len(centre) != dimension:
            raise DataError(f"reward.centre: has {len(centre)} numbers, but rows have {dimension}")

        def judge(samples: Samples) -> np.ndarray:
            rows = _flat(samples.x)
            if rows.shape[1] != dimension:
                raise DataError(f"reward 'near': the real rows have {dimension} numbers, these have {rows.shape[1]}")
            distance = np.linalg.norm(rows - centre, axis=1)
            return -self.scale * np.maximum(0.0, distance - self.radius)

        return judge


def _flat(x: np.ndarray) -> np.ndarray:
    """Rows as vectors, float64 (n, d)."""
    if x.dtype.kind not in "biuf":
        raise DataError(f"reward 'near' needs numbers in the column 'x', got {x.dtype}")
    return np.asarray(x, np.float64).reshape(len(x), -1)
