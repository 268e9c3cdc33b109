"""Bounded disk: which generations keep their models and rows, and how the others lose them without being damaged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ouroloop.atomic import remove, write_json
from ouroloop.manifest import PRUNED, files_in, read_pruned

__all__ = ["prunable", "prune_generation"]

_ROWS = {"synthetic.arrow", "corrections.parquet"}


def prunable(generations: int, *, keep_last: int | None, keep_every: int | None) -> list[int]:
    """Generations that need not be kept whole: not 0, not among the last, no multiple of `keep_every`.

    Args:
        generations: how many there are.
        keep_last: how many of the last are kept, at least one. keep_every: of which the multiples are kept.

    >>> prunable(8, keep_last=2, keep_every=3)
    [1, 2, 4, 5]
    """
    if keep_last is None and keep_every is None:
        return []
    old = range(1, generations - max(1, keep_last or 1))
    return [t for t in old if not (keep_every and t % keep_every == 0)]


def prune_generation(folder: Path, files: Iterable[str], *, keep_synthetic: bool) -> set[str]:
    """Delete a generation's model, and its rows and corrections unless `keep_synthetic`.

    What will go is written down first, so that a crash in between is no damage.

    Args:
        folder: the generation's directory. files: names in its manifest.

    Returns:
        The names that are gone now.
    """
    doomed = {name for name in files if name.startswith("model/") or (name in _ROWS and not keep_synthetic)}
    before = read_pruned(folder)
    if doomed - before:
        write_json(folder / PRUNED, {"files": sorted(doomed | before)}, by=folder.parent)
    for name in sorted(doomed):
        remove(folder / name)
    if not any(files_in(folder / "model")):
        remove(folder / "model")
    return doomed
