"""The log of a run: one JSON object a line, appended to, never rewritten; a line torn by a crash is left out."""

from __future__ import annotations

import contextlib
import datetime
import json
from pathlib import Path
from typing import Any

from ouroloop.atomic import append_line, encode_json, storing

__all__ = ["append_event", "new_event", "read_events"]


def new_event(event: str, **fields: Any) -> dict[str, Any]:
    """An event with the present time (UTC)."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="milliseconds")
    return {"time": now, "event": event, **fields}


def append_event(path: Path, event: str, **fields: Any) -> None:
    """Add a line: the time, the event's name and its fields.

    Raises:
        StoreError: a field that JSON cannot hold, or the disk is full.
    """
    line = encode_json(new_event(event, **fields), f"event {event}")
    append_line(path, line.rstrip(b"\n"))


def read_events(path: Path) -> list[dict[str, Any]]:
    """All events, oldest first; lines that a crash tore are left out."""
    if not path.exists():
        return []
    events = []
    with storing(path, "read"), open(path, "rb") as file:
        for line in file:  # as bytes: a torn line may end inside a character
            with contextlib.suppress(ValueError, RecursionError):
                event = json.loads(line)
                if isinstance(event, dict):
                    events.append(event)
    return events
