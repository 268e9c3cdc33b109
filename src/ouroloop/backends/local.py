"""Many runs on one machine: a pool of processes, each with its share of the threads.

A cell is one run: a specification and a directory. Cells are independent; one that fails leaves the others running.
Where a process is killed, what it and its neighbours had not finished is resumed by fresh processes, one fewer of them;
where the process that started them is killed, they end. A cell may start from another run's generation 0, so that arms
which differ only afterwards share it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroloop.errors import OuroloopError, PartError

__all__ = ["Cell", "CellEvent", "run_cells"]

_RETRIES = 2


@dataclass(frozen=True)
class Cell:
    """One run to do.

    Args:
        name: for messages, for example "no-correction, seed 2".
        spec: a resolved specification.
        out: the run directory.
        base: a run directory whose generation 0 this run shares, or None.
    """

    name: str
    spec: Mapping[str, Any]
    out: Path
    base: Path | None = None


@dataclass(frozen=True)
class CellEvent:
    """Progress of a cell: `generation` done of `last`, or `done` of `total` of a stage within the next one."""

    cell: str
    generation: int
    last: int
    stage: str = ""
    done: int = 0
    total: int = 0
    alarm: int | None = None


Listener = Callable[[CellEvent], None]


def run_cells(
    cells: Sequence[Cell], *, workers: int | None = None, listener: Listener | None = None, cache: Path | None = None
) -> None:
    """Run (or resume) every cell, several at a time.

    Args:
        cells: what to run.
        workers: processes; default: one per core. 1 runs everything in this process.
        listener: called with every `CellEvent`.
        cache: folder for feature extractors and downloads, shared by all cells.

    Raises:
        PartError: at least one cell failed; the others were still run. The message has each one's error.
    """
    listener = listener or (lambda event: None)
    workers = min(workers or os.cpu_count() or 1, len(cells))
    failures: dict[str, str] = {}
    if workers <= 1:
        for cell in cells:
            _note(failures, cell, _attempt(cell, cache, listener))
    else:
        left = list(cells)
        for _ in range(1 + _RETRIES):
            left = _run_in_pool(left, min(workers, len(left)), listener, cache, failures)
            if not left:
                break
            workers = max(1, workers - 1)  # memory may have been what was missing
        died = (
            "not finished: its worker process died again and again (killed, no memory?); run again with fewer workers"
        )
        failures |= {cell.name: died for cell in left}
    if failures:
        details = "\n".join(f"  {name}: {text}" for name, text in failures.items())
        raise PartError(f"{len(failures)} of {len(cells)} runs did not finish; the others are complete:\n{details}")


def _run_in_pool(
    cells: Sequence[Cell], workers: int, listener: Listener, cache: Path | None, failures: dict[str, str]
) -> list[Cell]:
    """Run cells in processes; those that a dying process left unfinished are returned, errors are noted."""
    unfinished: list[Cell] = []
    with _pool(workers) as (pool, events):
        pending = {pool.submit(_run_in_worker, cell, cache): cell for cell in cells}
        while pending:
            _drain(events, listener)
            for future in [f for f in pending if f.done()]:
                cell = pending.pop(future)
                try:
                    _note(failures, cell, future.result())
                except BrokenProcessPool:
                    unfinished.append(cell)
        _drain(events, listener)
    return [cell for cell in cells if cell in unfinished]


def _note(failures: dict[str, str], cell: Cell, error: str | None) -> None:
    if error is not None:
        failures[cell.name] = error


@contextlib.contextmanager
def _pool(workers: int) -> Iterator[tuple[ProcessPoolExecutor, Any]]:
    context = multiprocessing.get_context("spawn")  # fork is unsafe once torch has started threads
    events = context.Queue()
    threads = max(1, (os.cpu_count() or 1) // workers)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))  # read by the libraries when a worker imports them
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(events,))
    try:
        yield pool, events
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_events: Any = None


def _start_worker(events: Any) -> None:
    global _events
    _events = events
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End with the process that hands out the work: killed, it could not say so, and runs would go on and stay locked.

    Nothing is lost: a run is as safe from this as from any other end of its process.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_in_worker(cell: Cell, cache: Path | None) -> str | None:
    return _attempt(cell, cache, _events.put)


def _drain(events: Any, listener: Listener) -> None:
    try:
        listener(events.get(timeout=0.2))
        while True:
            listener(events.get_nowait())
    except queue.Empty:
        return


def _attempt(cell: Cell, cache: Path | None, send: Listener) -> str | None:
    """Run a cell; the error's text, or None."""
    try:
        _run(cell, cache, send)
    except OuroloopError as error:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return traceback.format_exc()
    return None


def _run(cell: Cell, cache: Path | None, send: Listener) -> None:
    from ouroloop.loop import Loop
    from ouroloop.progress import listening

    last = int(cell.spec["generations"])
    at = -1

    def stage(name: str, done: int, total: int) -> None:
        send(CellEvent(cell.name, at, last, name, done, total))

    loop = Loop.from_spec(cell.spec, cell.out, cache=cache, base=cell.base)
    done = loop.store.generations()
    at = done[-1] if done else -1
    send(CellEvent(cell.name, at, last))
    with listening(stage):
        for info in loop:
            at = info.generation
            send(CellEvent(cell.name, at, last, alarm=info.alarm))
    send(CellEvent(cell.name, last, last))
