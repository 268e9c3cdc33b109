"""What charts and tables run over: generations, or the values of a parameter that a study sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ouroloop.errors import StoreError
from ouroloop.report.wording import plural, tick

__all__ = ["GENERATIONS", "Axis", "axis_of"]


@dataclass(frozen=True)
class Axis:
    """Positions 0, 1, ... and what stands at them.

    Values of a parameter are drawn at equal distances, each labelled: a logarithmic range with a zero is readable.

    Args:
        name: "generation", or the parameter.
        texts: its value at every position; none for generations, whose number is the position.
    """

    name: str = "generation"
    texts: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """The name as a figure has it."""
        return self.name.replace("_", " ")

    def text(self, position: int) -> str:
        """What stands at a position."""
        return self.texts[position] if self.texts else str(position)

    def at(self, position: int) -> str:
        """ "generation 7", "label noise 0.3"."""
        return f"{self.title} {self.text(position)}"

    def count(self, points: int) -> str:
        """ "7 generations", "7 points"."""
        return plural(points, "point" if self.texts else self.name)


GENERATIONS = Axis()


def axis_of(specs: Sequence[Mapping[str, Any]]) -> Axis:
    """The axis that the runs with these specifications share.

    Raises:
        StoreError: there are two.
    """
    found = {_axis(spec) for spec in specs} or {GENERATIONS}
    if len(found) > 1:
        names = " and ".join(sorted(f"{axis.name} ({', '.join(axis.texts) or '0, 1, ...'})" for axis in found))
        raise StoreError(f"these runs cannot be shown together: they run over {names}")
    return found.pop()


def _axis(spec: Mapping[str, Any]) -> Axis:
    axis = spec.get("axis")
    if not isinstance(axis, Mapping):
        return GENERATIONS
    return Axis(str(axis.get("name")), tuple(tick(float(value)) for value in axis.get("values", ())))
