"""The collapse alarm over generations: one row an arm and seed, cells H, D and C."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from ouroloop.report.curves import thinned
from ouroloop.report.load import Arm, Results
from ouroloop.report.palette import Look, looks
from ouroloop.report.runs import ALARM, Run
from ouroloop.report.wording import status_word

__all__ = ["Cell", "Timeline", "TimelineRow", "timeline_of"]

_MOST_ROWS = 30
_MOST_GENERATIONS = 60
_SEVERITY = ("healthy", "drifting", "collapsing")


@dataclass(frozen=True)
class Cell:
    """One generation: the status ("" where not judged), its letter and a title."""

    status: str
    letter: str
    title: str


@dataclass(frozen=True)
class TimelineRow:
    """One arm and seed (`who` empty where the row stands for all seeds)."""

    label: str
    who: str
    look: Look
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Timeline:
    """All rows over the same generations; `joined` where a row stands for all seeds of its arm."""

    generations: tuple[int, ...]
    rows: tuple[TimelineRow, ...]
    joined: bool
    left_out: int


def timeline_of(results: Results) -> Timeline | None:
    """The alarm's timeline, or None where no run has an alarm."""
    judged = [run for run in results.runs if ALARM in run.tracks]
    if not judged:
        return None
    every = np.unique(np.concatenate([run.tracks[ALARM].generation for run in judged]))
    generations = every[thinned(len(every), _MOST_GENERATIONS)]
    joined = len(judged) > _MOST_ROWS
    rows: list[TimelineRow] = []
    for arm, look in zip(results.arms, looks(results.arms), strict=True):
        runs = [run for run in arm.runs if ALARM in run.tracks]
        groups = [runs] if joined and runs else [[run] for run in runs]
        for group in groups:
            who = "" if joined or len(arm.runs) == 1 else f"seed {group[0].seed}"
            cells = tuple(_cell(arm, group, int(g)) for g in generations)
            rows.append(TimelineRow(arm.label, who, look, cells))
    return Timeline(tuple(map(int, generations)), tuple(rows), joined, len(every) - len(generations))


def _cell(arm: Arm, runs: list[Run], generation: int) -> Cell:
    values = [run.tracks[ALARM].at(generation) for run in runs]
    words = [status_word(value) for value in values if np.isfinite(value)]
    where = f"{arm.label}, generation {generation}"
    if not words:
        return Cell("", "", f"{where}: not judged")
    counts = Counter(words)
    status = max(counts, key=lambda word: (counts[word], _SEVERITY.index(word)))
    detail = status if len(runs) == 1 else ", ".join(f"{counts[word]} {word}" for word in _SEVERITY if counts[word])
    return Cell(status, status[0].upper(), f"{where}: {detail}")
