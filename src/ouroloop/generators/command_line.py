"""A command line with placeholders, split into arguments before anything is put in: nothing can inject an argument."""

from __future__ import annotations

import shlex
import string
from collections.abc import Mapping
from dataclasses import dataclass

from ouroloop.errors import SpecError

__all__ = ["CommandLine"]

_Piece = tuple[str, str | None]  # literal text, then the name of a placeholder


@dataclass(frozen=True)
class CommandLine:
    """A checked template.

    An optional placeholder may have no value. Then the argument that contains it is left out, and if that
    argument is nothing but the placeholder and the one before it starts with '-', that one too: both
    ``--previous {previous}`` and ``--previous={previous}`` vanish as a whole.

    Args:
        arguments: each a sequence of pieces.

    >>> line = CommandLine.parse("train.py {data} --from {previous}", "fit", required={"data"}, optional={"previous"})
    >>> line.render({"data": "a b.arrow", "previous": "old"})
    ['train.py', 'a b.arrow', '--from', 'old']
    >>> line.render({"data": "a b.arrow", "previous": None})
    ['train.py', 'a b.arrow']
    """

    arguments: tuple[tuple[_Piece, ...], ...]

    @classmethod
    def parse(cls, template: str, field: str, *, required: set[str], optional: set[str]) -> CommandLine:
        """Split and check a template.

        Args:
            template: arguments as in a POSIX shell's quoting; ``{name}`` is a placeholder, ``{{`` a brace.
            field: the option that it is the value of, for messages.
            required, optional: names of placeholders.

        Raises:
            SpecError: empty, unbalanced quotes or braces, unknown or missing placeholders.
        """
        try:
            words = shlex.split(template)
            arguments = tuple(_pieces(word) for word in words)
        except ValueError as error:
            raise SpecError(f"{field}: {error}, in: {template}") from error
        if not arguments:
            raise SpecError(f"{field}: an empty command line")
        used = {name for argument in arguments for _, name in argument if name is not None}
        known = required | optional
        unknown = [f"{{{name}}}" for name in sorted(used - known)]
        if unknown:
            raise SpecError(
                f"{field}: unknown placeholder {', '.join(unknown)}; there are {_listed(known)} "
                "(write {{ and }} for literal braces)"
            )
        missing = required - used
        if missing:
            raise SpecError(f"{field}: needs {_listed(missing)}, in: {template}")
        return cls(arguments)

    def uses(self, name: str) -> bool:
        """Whether a placeholder occurs."""
        return any(name == used for argument in self.arguments for _, used in argument)

    def render(self, values: Mapping[str, str | int | None]) -> list[str]:
        """The arguments with values put in; None for an optional placeholder without a value."""
        result: list[str] = []
        flag_may_go = False
        for argument in self.arguments:
            absent = any(name is not None and values[name] is None for _, name in argument)
            if not absent:
                result.append("".join(text + ("" if name is None else str(values[name])) for text, name in argument))
                flag_may_go = result[-1].startswith("-") and all(name is None for _, name in argument)
            elif flag_may_go and len(argument) == 1 and not argument[0][0]:
                result.pop()
                flag_may_go = False
        return result


def _pieces(word: str) -> tuple[_Piece, ...]:
    found: list[_Piece] = []
    for text, name, spec, conversion in string.Formatter().parse(word):
        if spec or conversion or name == "":
            shown = f"{name}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}"
            raise ValueError(f"'{{{shown}}}' is no placeholder; expected a name in braces")
        found.append((text, name))
    return tuple(found) or (("", None),)


def _listed(names: set[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(names))
