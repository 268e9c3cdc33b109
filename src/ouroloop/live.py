"""Live progress of many runs in a terminal, with the time left; plain lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from ouroloop.backends.local import CellEvent
from ouroloop.time_left import TimeLeft

__all__ = ["LiveCount", "LiveProgress", "duration"]

_STATUS = {0: ("healthy", "green"), 1: ("drifting", "yellow"), 2: ("collapsing", "red")}
_LINE_EVERY_S = 5.0


def duration(seconds: float) -> str:
    """A time in the two units that matter.

    >>> [duration(s) for s in (8, 134, 16000)]
    ['8 s', '2 min 14 s', '4 h 26 min']
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


class LiveProgress:
    """Shows `CellEvent`s. Use as a context manager and hand `listen` to the backend.

    Args:
        total: generations to do over all cells (generation 0 counts as one).
        console: where to draw.
        what: is counted, where it is not generations.
        clock: tells the time in seconds.
    """

    def __init__(
        self,
        total: int,
        console: Console | None = None,
        *,
        what: str = "generations",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._what, self._clock = console or Console(stderr=True), what, clock
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
            console=self._console,
            expand=True,
        )
        self._task = self._bar.add_task(what, total=total, left="")
        self._total, self._began, self._said = total, clock(), -_LINE_EVERY_S
        self._time_left = TimeLeft(total, self._began)
        self._done: dict[str, int] = {}
        self._alarm: dict[str, int] = {}
        self._stage: dict[str, str] = {}
        self._part: dict[str, float] = {}
        self._last: dict[str, int] = {}
        self._live = Live(console=self._console, refresh_per_second=4, get_renderable=self._render, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def listen(self, event: CellEvent) -> None:
        """Take one event."""
        now = self._clock()
        self._time_left.note(event, now)
        self._done[event.cell] = max(event.generation + 1, self._done.get(event.cell, 0))
        self._last[event.cell] = event.last
        if event.alarm is not None:
            self._alarm[event.cell] = event.alarm
        self._part.pop(event.cell, None)
        if event.stage:
            self._stage[event.cell] = f"{event.stage} {event.done}/{event.total}"
            if event.stage == "fit":  # by far the longest stage of most loops
                self._part[event.cell] = event.done / max(event.total, 1)
        else:
            self._stage.pop(event.cell, None)
        self._bar.update(self._task, completed=self.done + sum(self._part.values()), left=self._left())
        if not self._console.is_terminal and now - self._said > _LINE_EVERY_S:
            self._said = now
            self._console.print(self.line(), highlight=False)

    @property
    def done(self) -> int:
        """Generations done over all cells."""
        return sum(self._done.values())

    def line(self) -> str:
        """'12/99 generations, 31 s, about 3 min 45 s left'; what is left is not said before it can be known."""
        left = self._left()
        spent = duration(self._clock() - self._began)
        return f"{self.done}/{self._total} {self._what}, {spent}{', ' if left else ''}{left}"

    def _left(self) -> str:
        seconds = self._time_left.seconds()
        return "" if seconds is None else f"about {duration(seconds)} left"

    def _render(self) -> Group:
        cells = list(self._last)  # a copy: this runs in the display's thread while events come in
        lines = [self._bar, *(self._cell(name) for name in cells if self._shown(name))]
        return Group(*lines)

    def _shown(self, name: str) -> bool:
        return self._done[name] <= self._last[name] or name in self._alarm

    def _cell(self, name: str) -> Text:
        count = f"{max(self._done[name] - 1, 0):>4}/{self._last[name]}"
        text = Text(f"  {name:<32} {count}  ", overflow="ellipsis", no_wrap=True)
        if name in self._alarm:
            text.append(*_STATUS[self._alarm[name]])
        if self._done[name] <= self._last[name]:
            text.append(f"  {self._stage.get(name, '')}", style="dim")
        return text


class LiveCount:
    """Shows how many of one kind of thing are done, with the time left. `listen` is for `ouroloop.progress`.

    Args:
        what: of what, for example "motions".
        console: where to draw.
    """

    def __init__(self, what: str, console: Console | None = None) -> None:
        self._what, self._console = what, console or Console(stderr=True)
        self._bar = Progress(*Progress.get_default_columns(), console=self._console, transient=True)
        self._task = self._bar.add_task(what, total=None)
        self._began = self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def listen(self, stage: str, done: int, total: int) -> None:
        """Take one report."""
        self._bar.update(self._task, completed=done, total=total)
        if not self._console.is_terminal and time.monotonic() - self._said > _LINE_EVERY_S:
            self._said = time.monotonic()
            spent = self._said - self._began
            left = f", about {duration(spent / done * (total - done))} left" if done else ""
            self._console.print(f"{done}/{total} {self._what}, {duration(spent)}{left}", highlight=False)
