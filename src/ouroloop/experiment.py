"""Experiments: results over a parameter, or over the generations of a closed simulation, for all seeds at once.

An experiment is a part like any other (a frozen dataclass whose fields are its options), named in a study's base as
``experiment: {kind: NAME, ...}`` with ``backend: experiment``. It has an axis, curves over it, and forecasts of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ouroloop import options
from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.spec import problem_line
from ouroloop.yaml_file import YamlFile

if TYPE_CHECKING:
    import numpy as np

    from ouroloop.theory.forecast import Forecast

__all__ = ["GENERATION", "Axis", "Experiment", "ExperimentSpec"]

GENERATION = "generation"


@dataclass(frozen=True)
class Axis:
    """What the curves of an experiment run over.

    Args:
        name: the swept option, or "generation", whose values are 0, 1, ...
        values: one a point, rising.

    Raises:
        SpecError: fewer than 2 values, or values that do not rise.
    """

    name: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        values = tuple(float(v) for v in self.values)
        rising = all(a < b for a, b in itertools.pairwise(values))
        if len(values) < 2 or not rising or not all(map(math.isfinite, values)):
            raise SpecError(f"values: {self.name} needs at least 2 finite values that rise, got {list(values)}")
        object.__setattr__(self, "values", values)

    @classmethod
    def generations(cls, count: int) -> Axis:
        """Generations 0 to `count` - 1; 0 is fitted to real data alone."""
        return cls(GENERATION, tuple(range(count)))


class Experiment(Protocol):
    """What a part of the family `experiments` does."""

    @property
    def axis(self) -> Axis:
        """The points."""
        ...

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """Metric -> values, float64 (keys, points); a key's row does not depend on the other keys."""
        ...

    def forecasts(self) -> Sequence[Forecast]:
        """What theory says of the metrics: one value a point."""
        ...


class ExperimentSpec(BaseModel):
    """One arm and seed of a study of experiments."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Annotated[str, Field(description="name of the run")] = "run"
    description: Annotated[str, Field(description="what it is for")] = ""
    arm: Annotated[str, Field(description="which curve of a study this is")] = ""
    seed: Annotated[int, Field(ge=0, description="seed of every random stream")] = 0
    experiment: Annotated[dict[str, Any], Field(description="the experiment and its options")]

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any], *, file: YamlFile | None = None) -> Self:
        """Check a mapping and fill in every default.

        Raises:
            SpecError: one line per problem: field, what is wrong, file and line.
        """
        resolved, problems = options.resolve_options("experiments", data.get("experiment"), ("experiment",))
        try:
            spec = cls.model_validate({**data, "experiment": resolved})
        except ValidationError as error:
            problems += options.explain(error, ())
            spec = None
        if problems or spec is None:
            raise SpecError("\n".join(problem_line(path, text, file) for path, text in problems))
        try:
            _ = spec.axis
        except SpecError as error:
            field, colon, text = str(error).partition(": ")
            path, text = (("experiment", field), text) if colon else (("experiment",), field)
            raise SpecError(problem_line(path, text, file)) from error
        return spec

    @property
    def axis(self) -> Axis:
        """The points of the experiment."""
        return self.build().axis

    @property
    def generations(self) -> int:
        """The last position on the axis."""
        return len(self.axis.values) - 1

    def build(self) -> Experiment:
        """The experiment itself."""
        return options.build("experiments", self.experiment)

    def resolved(self) -> dict[str, Any]:
        """Plain data with every default filled in, as spec.yaml has it; the axis where it is not the generation."""
        axis = self.axis
        named = {} if axis.name == GENERATION else {"axis": {"name": axis.name, "values": list(axis.values)}}
        return {**self.model_dump(), "generations": len(axis.values) - 1, **named}
