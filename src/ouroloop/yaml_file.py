"""YAML read safely, with the line of every field: no tags, no duplicate keys, bounded size and depth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from ouroloop.errors import SpecError

__all__ = ["YamlFile", "dump", "parse_scalar", "read_yaml"]

MAX_BYTES = 1_000_000
MAX_NODES = 50_000  # counted after expanding aliases, so that a few lines cannot grow into gigabytes
MAX_DEPTH = 40

Path_ = tuple[str | int, ...]


@dataclass(frozen=True)
class YamlFile:
    """A parsed document: plain data, and the line (from 1) at which every field starts.

    Args:
        data: mappings, lists, strings, numbers, booleans, None.
        lines: path of keys and indices -> line; 0 where the value was given with --set.
        name: file name for messages.
    """

    data: Any
    lines: dict[Path_, int]
    name: str

    def where(self, path: Path_) -> str:
        """', in study.yaml line 12' for a field, or for the nearest field above it that is in the file."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                line = self.lines[path[:end]]
                return f", in {self.name} line {line}" if line else ", given with --set"
        return f", in {self.name}" if self.name else ""

    def overridden(self, paths: Iterable[Path_]) -> YamlFile:
        """The same file after these fields were given with --set: what was there has no line any more."""
        paths = list(paths)
        lines = {p: line for p, line in self.lines.items() if not any(p[: len(given)] == given for given in paths)}
        return replace(self, lines={**lines, **dict.fromkeys(paths, 0)})

    def below(self, *prefixes: Path_) -> YamlFile:
        """Lines by their paths below the prefixes, for mappings laid over each other: the last that has a path wins."""
        lines: dict[Path_, int] = {}
        for prefix in prefixes:
            for path, line in self.lines.items():
                if path[: len(prefix)] == prefix and (path != prefix or not lines):
                    lines[path[len(prefix) :]] = line
        return replace(self, lines=lines)


def read_yaml(source: Path | str, *, name: str | None = None) -> YamlFile:
    """Read a YAML file (a Path) or text (a str).

    Raises:
        SpecError: not readable, too large, not plain data, a duplicate key; the message names file and line.
    """
    if isinstance(source, Path):
        name = name or source.name
        try:
            size = source.stat().st_size
            if size > MAX_BYTES:
                raise SpecError(f"{source}: {size} bytes is too large for a specification (limit {MAX_BYTES})")
            text = source.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"{source}: cannot be read ({error})") from error
    else:
        text, name = source, name or "text"
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        lines: dict[Path_, int] = {}
        data = None if root is None else _Builder(loader, lines, name).build(root, (), 0)
        return YamlFile(data, lines, name)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark is not None else ""
        raise SpecError(f"{name}{line}: not valid YAML: {getattr(error, 'problem', None) or error}") from error
    except RecursionError as error:
        raise SpecError(f"{name}: nested too deeply (limit {MAX_DEPTH})") from error
    finally:
        loader.dispose()


class _Builder:
    def __init__(self, loader: yaml.SafeLoader, lines: dict[Path_, int], name: str) -> None:
        self.loader, self.lines, self.name, self.nodes = loader, lines, name, 0

    def build(self, node: yaml.Node, path: Path_, depth: int) -> Any:
        self.nodes += 1
        line = node.start_mark.line + 1
        if self.nodes > MAX_NODES or depth > MAX_DEPTH:
            raise SpecError(f"{self.name} line {line}: too many values or nested too deeply for a specification")
        self.lines.setdefault(path, line)
        if isinstance(node, yaml.MappingNode):
            result: dict[str, Any] = {}
            for key_node, value_node in node.value:
                key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
                if key is None:
                    raise SpecError(f"{self.name} line {key_node.start_mark.line + 1}: keys must be plain text")
                if key in result:
                    raise SpecError(f"{self.name} line {key_node.start_mark.line + 1}: '{key}' is given twice")
                self.lines[(*path, key)] = key_node.start_mark.line + 1
                result[key] = self.build(value_node, (*path, key), depth + 1)
            return result
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, i), depth + 1) for i, child in enumerate(node.value)]
        if node.tag not in _PLAIN_TAGS:
            raise SpecError(f"{self.name} line {line}: tag '{node.tag}' is not allowed; write plain values")
        return self.loader.construct_object(node)


_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float", "str")}


def parse_scalar(text: str) -> Any:
    """A command-line value as YAML would read it: ``0.2`` a number, ``[1, 2]`` a list, ``abc`` a string."""
    return read_yaml(text, name="--set").data


def dump(data: Any) -> str:
    """Plain data as YAML text, keys in the order given."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
