"""How long many runs will still take, from the events of those that are under way.

Generation 0 trains from scratch, often many times longer than the others, or not at all where arms share it. So it
is timed apart, and nothing is said before another generation is done.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from ouroloop.backends.local import CellEvent

__all__ = ["TimeLeft"]


@dataclass
class _Cell:
    done: int  # generations, those of an earlier process included
    last: int
    since: float  # when the latest of them was done
    part: float = 0.0  # of the fit that is under way
    told: bool = False  # whether each of its generations is told


class TimeLeft:
    """Takes every `CellEvent` and its time.

    Args:
        total: generations to do over all cells.
        began: time at which the work began, seconds.
    """

    def __init__(self, total: int, began: float) -> None:
        self._total, self._began = total, began
        self._cells: dict[str, _Cell] = {}
        self._spent = {"first": 0.0, "later": 0.0}
        self._count = {"first": 0, "later": 0}
        self._workers = 1

    def note(self, event: CellEvent, now: float) -> None:
        """Take one event, which came at `now` (seconds)."""
        reached, made_here = event.generation + 1, event.alarm is not None
        if event.cell not in self._cells:
            done, since = (reached - 1, self._began) if made_here else (reached, now)
            self._cells[event.cell] = _Cell(done, event.last, since)
        cell = self._cells[event.cell]
        cell.told |= made_here
        made = reached - cell.done
        if made > 0:
            kind = "first" if cell.done == 0 and made == 1 else "later"
            stopped_early = cell.told and not made_here  # the rest was never done
            if event.last > 0 and not stopped_early:
                self._spent[kind] += now - cell.since
                self._count[kind] += made
            cell.done, cell.since = reached, now
        cell.part = event.done / max(event.total, 1) if event.stage == "fit" else 0.0
        self._workers = max(self._workers, len(self._unfinished()))

    def seconds(self) -> float | None:
        """Seconds left, or None while no generation after the first is done."""
        if not self._count["later"]:
            return None
        later = self._spent["later"] / self._count["later"]
        first = self._spent["first"] / self._count["first"] if self._count["first"] else later
        unfinished = self._unfinished()
        works = [
            (later if cell.done else first) * (1.0 - cell.part) + later * (cell.last - cell.done) for cell in unfinished
        ]
        lengths = [cell.last + 1 for cell in self._cells.values()]
        unseen = max(0, self._total - sum(lengths))  # generations of cells that have not begun
        loops = [length for length in lengths if length > 1]
        begins = unseen * len(loops) / sum(loops)
        cells = max(round(begins), unseen > 0)
        # Whoever is free first takes the next cell, so the last round may leave workers idle.
        free = works + [0.0] * (min(self._workers, len(works) + cells) - len(works))
        heapq.heapify(free)
        for _ in range(cells):
            heapq.heapreplace(free, free[0] + (first * begins + later * (unseen - begins)) / cells)
        return max(free, default=0.0)

    def _unfinished(self) -> list[_Cell]:
        return [cell for cell in self._cells.values() if cell.done <= cell.last]
