"""Where the rows of a generation go while they are drawn, so that they need not fit in memory."""

from __future__ import annotations

from typing import Any, Protocol

from ouroloop.correction import Correction
from ouroloop.partial import Partial
from ouroloop.pool import Pool
from ouroloop.samples import Samples

__all__ = ["MemorySink", "Sink", "StoreSink"]


class Sink(Protocol):
    """What a step writes its rows to."""

    def kept(self, shard: int) -> Correction | None:
        """A shard that an interrupted attempt at this generation had drawn and corrected, if it was kept."""
        ...

    def keep(self, shard: int, correction: Correction) -> None:
        """Keep a shard for the next attempt, if that is worth it."""
        ...

    def synthetic(self, rows: Samples) -> None:
        """Take the corrected rows of a shard."""
        ...

    def corrections(self, correction: Correction) -> None:
        """Take the verdicts of a shard."""
        ...

    def close(self) -> Pool:
        """All corrected rows."""
        ...


class MemorySink:
    """Keeps the rows in memory and forgets the per-row corrections."""

    def __init__(self) -> None:
        self._rows: list[Samples] = []

    def kept(self, shard: int) -> None:
        """Nothing."""

    def keep(self, shard: int, correction: Correction) -> None:
        """Nothing outlives the process."""

    def synthetic(self, rows: Samples) -> None:
        """Take the corrected rows of a shard."""
        self._rows.append(rows)

    def corrections(self, correction: Correction) -> None:
        """Forget the verdicts; `Info` has their counts."""

    def close(self) -> Pool:
        """All corrected rows."""
        return Pool(tuple(self._rows))


class StoreSink:
    """Writes a generation's rows into the store as they are drawn."""

    def __init__(self, writer: Any, partial: Partial | None = None) -> None:
        self._writer, self._partial, self._rows, self._corrections = writer, partial, None, None

    def kept(self, shard: int) -> Correction | None:
        """What an interrupted attempt had kept of a shard."""
        return None if self._partial is None else self._partial.read(shard)

    def keep(self, shard: int, correction: Correction) -> None:
        """Keep a shard for the next attempt."""
        if self._partial is not None:
            self._partial.write(shard, correction)

    def synthetic(self, rows: Samples) -> None:
        """Append corrected rows."""
        if self._rows is None:
            self._rows = self._writer.table("synthetic")
        self._rows.write(rows)

    def corrections(self, correction: Correction) -> None:
        """Append a shard's verdicts."""
        if self._corrections is None:
            self._corrections = self._writer.corrections()
        raw = correction.raw
        self._corrections.write(
            {"id": raw.id, "parent": raw.parent, "verdict": correction.verdict, "distance": correction.distance}
        )

    def close(self) -> Pool:
        """The rows, read back from where they were written; no file where none were drawn."""
        if self._corrections is not None:
            self._corrections.close()
        return Pool(()) if self._rows is None else self._rows.close()
