"""Running a foreign command to its end: time limit, whole process group, exit code, last lines of its errors."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ouroloop.errors import PartError
from ouroloop.progress import report

__all__ = ["run_command"]

_TAIL_LINES, _TAIL_BYTES = 40, 64 << 10
_POLL_S = 1.0
_GRACE_S = 2.0  # between asking a process group to end and killing it


def run_command(
    arguments: Sequence[str],
    stage: str,
    logs: Path,
    *,
    timeout_s: float | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
) -> None:
    """Run a program without a shell and return when it has succeeded.

    It runs in a process group of its own, which is gone when this returns or raises: whatever it left running
    cannot write to its files any more.

    Args:
        arguments: program and arguments.
        stage: what it does, for messages and progress ("fit", "sample").
        logs: an existing folder for its output and errors.
        timeout_s: seconds of wall time that it may take, or None.
        cwd: folder to run in. env: variables to set besides those of this process.

    Raises:
        PartError: it cannot be started, took too long, was killed, or its exit code is not 0; the message ends with
            the last 40 lines of its standard error (or output, where that is empty).
    """
    if cwd is not None and not Path(cwd).is_dir():
        raise PartError(f"the {stage} command cannot run in {cwd}: no such folder")
    out, err = logs / f"{stage}.out", logs / f"{stage}.err"
    began = time.monotonic()
    with open(out, "wb") as stdout, open(err, "wb") as stderr:
        try:
            process = subprocess.Popen(
                arguments,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise PartError(f"the {stage} command cannot be started: {arguments[0]}: {reason}") from error
        try:
            code = _wait(process, stage, began, timeout_s)
        finally:
            _kill_group(process)
    if code == 0:
        return
    spent = time.monotonic() - began
    what = f"took longer than {timeout_s:g} s (timeout_s) and was stopped" if code is None else _ending(code, spent)
    raise PartError(f"the {stage} command {what}: {shlex.join(arguments)}\n{_tail(err, out)}")


def _wait(process: subprocess.Popen[bytes], stage: str, began: float, timeout_s: float | None) -> int | None:
    """The exit code, or None when the time is up; says every second how long it has taken."""
    while True:
        elapsed = time.monotonic() - began
        left = _POLL_S if timeout_s is None else min(_POLL_S, timeout_s - elapsed)
        if left <= 0:
            _end_group(process)
            return None
        try:
            return process.wait(left)
        except subprocess.TimeoutExpired:
            seconds = int(time.monotonic() - began)
            report(f"{stage} command, seconds", seconds, seconds if timeout_s is None else int(timeout_s))


def _end_group(process: subprocess.Popen[bytes]) -> None:
    _signal_group(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE_S)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the group and wait until it has no member; those that nobody collects are dead after the grace."""
    there = _signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))
    process.wait()
    until = time.monotonic() + _GRACE_S
    while there and time.monotonic() < until:
        there = _signal_group(process, 0)  # 0 asks, and sends nothing
        time.sleep(0.005 if there else 0)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> bool:
    """Send a signal to the whole group. False: it has no member any more, or there are no groups here."""
    if not hasattr(os, "killpg"):
        process.kill()
        return False
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):  # macOS refuses where only dead ones are left
        return False
    return True


def _ending(code: int, spent_s: float) -> str:
    if code > 0:
        return f"ended with exit code {code} after {spent_s:.1f} s"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was killed by {name} after {spent_s:.1f} s"


def _tail(*files: Path) -> str:
    for path in files:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read().decode(errors="replace").rstrip()
        if text:
            lines = text.splitlines()[-_TAIL_LINES:]
            return "\n".join([f"last lines of its {'error' if path.suffix == '.err' else 'output'}:", *lines])
    return "it wrote nothing to its standard error or output"
