"""The samples that a run keeps to be looked at: which there are, which fit on a page, and what kind they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ouroloop.report.curves import thinned
from ouroloop.report.files import read_arrow
from ouroloop.report.images import as_images
from ouroloop.report.load import Results
from ouroloop.report.points import as_points
from ouroloop.report.runs import Run
from ouroloop.report.strips import is_motion

__all__ = ["Plan", "Preview", "kind_of", "plan_of", "preview_path", "read_preview", "sentences_of"]

ROWS = 100
MOST_GENERATIONS = 60
MOST_FRAMES = 600  # frames on a page; the first seeds come first
_FEW = 5  # generations of the other seeds, where not all fit
_PROVENANCE = ("id", "parent", "origin", "verdict", "distance", "before")


@dataclass(frozen=True)
class Plan:
    """What is shown: generations, and for each arm (by position) the runs, the first of which is shown in full."""

    generations: tuple[int, ...]
    runs: Mapping[int, tuple[Run, ...]]
    left_out: int

    def shown(self, place: int, run: Run) -> list[int]:
        """The generations of a run that are embedded: all for the first seed, at most 5 for the others."""
        available = [g for g in self.generations if g in run.folders and preview_path(run, g).exists()]
        first = run is self.runs[place][0]
        if first or len(self.generations) * sum(map(len, self.runs.values())) <= MOST_FRAMES:
            return available
        return [available[i] for i in thinned(len(available), _FEW)] if available else []


@dataclass(frozen=True, eq=False)
class Preview:
    """Columns of up to 100 rows, ordered by label where they have one."""

    columns: Mapping[str, np.ndarray]

    @property
    def x(self) -> np.ndarray:
        """The main column (n, ...); of a preview without `x`, its first column."""
        return self.columns["x"] if "x" in self.columns else next(iter(self.columns.values()))

    def __len__(self) -> int:
        return len(self.x)


def preview_path(run: Run, generation: int) -> Path:
    """Where a generation's preview is (or would be)."""
    return run.folders[generation] / "preview.arrow"


def read_preview(path: Path) -> Preview | None:
    """The preview in a file, or None where the file is missing (pruned) or has no row.

    Raises:
        StoreError: the file is there but is truncated or not Arrow.
    """
    if not path.exists():
        return None
    columns = read_arrow(path, ROWS)
    if not columns or not len(next(iter(columns.values()))):
        return None
    if "label" in columns and columns["label"].ndim == 1:
        order = np.argsort(columns["label"], kind="stable")
        columns = {name: value[order] for name, value in columns.items()}
    return Preview(columns)


def plan_of(results: Results, most: int = MOST_GENERATIONS) -> Plan:
    """Which previews fit on the page: at most `most` generations of each arm's first seed, then other seeds."""
    runs = {i: tuple(r for r in arm.runs if _has_preview(r)) for i, arm in enumerate(results.arms)}
    runs = {i: have for i, have in runs.items() if have}
    every = sorted({g for have in runs.values() for r in have[:1] for g in r.folders if preview_path(r, g).exists()})
    kept = [every[i] for i in thinned(len(every), most)] if every else []
    if len(kept) * sum(map(len, runs.values())) > MOST_FRAMES:
        rest = max(MOST_FRAMES - len(kept) * len(runs), 0) // (_FEW * len(runs))
        runs = {i: have[: 1 + rest] for i, have in runs.items()}
    return Plan(generations=tuple(kept), runs=runs, left_out=len(every) - len(kept))


def _has_preview(run: Run) -> bool:
    return any(preview_path(run, generation).exists() for generation in sorted(run.folders, reverse=True))


def kind_of(preview: Preview) -> str:
    """ "motion", "image", "points" (plane), "values" (line), "text" or "rows" (anything else)."""
    x = preview.x
    if is_motion(x):
        return "motion"
    if x.dtype.kind in "US":
        return "text"
    points = as_points(x)
    if points is not None:
        return "points" if points.shape[1] == 2 else "values"
    return "image" if as_images(x) is not None else "rows"


def sentences_of(preview: Preview) -> list[str]:
    """The text that goes with the samples: their text columns other than x, row by row; [] without one."""
    names = [n for n, v in preview.columns.items() if v.dtype.kind in "US" and n != "x" and n not in _PROVENANCE]
    return [str(value) for value in preview.columns[names[0]]] if names else []
