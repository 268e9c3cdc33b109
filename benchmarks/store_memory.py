"""Memory of a generation of ten million points: drawn, written, committed, mapped and read, batch by batch.

python benchmarks/store_memory.py --rows 10000000 --out benchmarks/store_memory.md
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ouroloop.keys import Key
from ouroloop.pool import BATCH_ROWS
from ouroloop.samples import Samples, synthetic_ids
from ouroloop.store import RunStore

HEADER = """# Memory of ten million rows

{command}

{date}, {machine}. {rows:,} rows of two float64 and their provenance, seed {seed}, in batches of {batch:,} rows
({batch_mib:.1f} MiB); the file has {file_mib:.0f} MiB. In MiB: "own" memory is anonymous (RssAnon): what the
process allocated; "mapped" (RssFile) is the file's content that the system keeps for it and can drop at any time.
Both are the most seen after any batch of the stage; the peak is the system's own (VmHWM, of both together, so far).

| stage | own | own, above the start | mapped | peak of both so far | seconds |
|---|---|---|---|---|---|
"""


def batches(rows: int, seed: int) -> Iterator[Samples]:
    """Standard normal points with provenance, each batch from its own key."""
    for start in range(0, rows, BATCH_ROWS):
        n = min(BATCH_ROWS, rows - start)
        x = Key(seed).child("rows", start).rng().standard_normal((n, 2))
        yield Samples.of(x, id=synthetic_ids(1, start, n), origin=np.ones(n))


def resident() -> tuple[float, ...]:
    """Anonymous and file-backed resident memory of this process, and the peak of their sum so far, MiB."""
    status = dict(re.findall(r"(\w+):\s+(\d+) kB", Path("/proc/self/status").read_text()))
    return tuple(int(status[name]) / 1024 for name in ("RssAnon", "RssFile", "VmHWM"))


class Stage:
    """The most memory seen, and the time, of one stage."""

    def __init__(self, name: str) -> None:
        self.name, self.own, self.mapped, self.started = name, 0.0, 0.0, time.perf_counter()
        self.look()

    def look(self) -> None:
        """Look at the memory now."""
        own, mapped, self.peak = resident()
        self.own, self.mapped = max(self.own, own), max(self.mapped, mapped)

    def row(self, start: float) -> str:
        """A line of the table."""
        self.look()
        seconds = time.perf_counter() - self.started
        numbers = [self.own, self.own - start, self.mapped, self.peak]
        return f"| {self.name} | {' | '.join(f'{number:.0f}' for number in numbers)} | {seconds:.1f} |\n"


def measure(folder: Path, rows: int, seed: int) -> tuple[str, int]:
    """The table's lines, and the size of the file in bytes."""
    store = RunStore.create(folder / "run", spec={}, fingerprint={}, environment={})
    with store.begin(0) as writer:
        writer.commit(state={}, metrics=[])
    store.metrics()  # so that all libraries are loaded
    stage = Stage("start")
    start, lines = stage.own, [stage.row(stage.own)]
    writer = store.begin(1)
    table = writer.table("synthetic")
    stage = Stage("draw and write")
    for batch in batches(rows, seed):
        table.write(batch)
        stage.look()
    pool = table.close()
    lines.append(stage.row(start))
    stage = Stage("checksum, fsync, rename")
    writer.commit(state={}, metrics=[])
    lines.append(stage.row(start))
    del pool
    stage = Stage("open again: checksum, map")
    pool = RunStore.open(store.path).synthetic(1)
    lines.append(stage.row(start))
    stage = Stage("read all rows once, in batches")
    total = np.zeros(2)
    for batch in pool.batches():
        total += batch.x.sum(axis=0)
        stage.look()
    lines.append(stage.row(start))
    expected = sum((batch.x.sum(axis=0) for batch in batches(rows, seed)), np.zeros(2))
    if len(pool) != rows or not np.allclose(total, expected):
        raise SystemExit("the rows read are not the rows written")
    stage = Stage("take 65,536 rows at random places")
    pool.take(Key(seed).child("places").rng().integers(0, rows, BATCH_ROWS))
    lines.append(stage.row(start))
    stage = Stage("for comparison: all rows in memory")
    everything = Samples({name: np.array(value) for name, value in pool.materialise().columns.items()})
    lines.append(stage.row(start))
    del everything
    return "".join(lines), (store.generation_dir(1) / "synthetic.arrow").stat().st_size


def main() -> None:
    """Measure and print, or write, the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--date", default=time.strftime("%Y-%m-%d"))
    parser.add_argument("--machine", default="2 cores, 24 GB")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        lines, size = measure(Path(folder), options.rows, options.seed)
    command = f"`python benchmarks/store_memory.py --rows {options.rows} --seed {options.seed}`"
    batch_mib = sum(c.nbytes for c in next(batches(BATCH_ROWS, 0)).columns.values()) / 2**20
    page = HEADER.format(
        command=command,
        date=options.date,
        machine=options.machine,
        rows=options.rows,
        seed=options.seed,
        batch=BATCH_ROWS,
        batch_mib=batch_mib,
        file_mib=size / 2**20,
    )
    page += lines
    if options.out:
        options.out.write_text(page)
    print(page)


if __name__ == "__main__":
    main()
