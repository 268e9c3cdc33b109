"""What the engine itself costs a generation, and what memory a run with ten million rows takes.

    python benchmarks/loop_overhead.py                 # overhead at 1,000 rows, in memory and on disk
    python benchmarks/loop_overhead.py --rows 10000000 # memory of one generation of ten million 2-D rows

The generator of the first part does nothing but draw numbers, and its own time is measured and taken off, so that
what is left is the step, the store and the bookkeeping.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import ouroloop as ol
from ouroloop.pool import Pool
from ouroloop.samples import Samples

GENERATIONS = 200
ROWS = 1000


@dataclass
class Clock:
    cpu: float = 0.0


@dataclass(frozen=True)
class Draws:
    """A generator that fits nothing and draws normals; it books its own CPU time."""

    clock: Clock = field(default_factory=Clock)

    def fit(self, training: Pool, *, key: ol.Key, previous: Draws | None = None) -> Draws:
        return self

    def sample(self, n: int, *, key: ol.Key, condition: object = None) -> Samples:
        began = time.process_time()
        rows = Samples.of(key.rng().standard_normal((n, 2)))
        self.clock.cpu += time.process_time() - began
        return rows


def overhead(out: Path | None) -> tuple[float, float]:
    """CPU and wall milliseconds a generation, less the generator's own, from generation 1 on."""
    generator = Draws()
    real = np.random.default_rng(0).normal(size=(ROWS, 2))
    loop = ol.Loop(generator, real, regime="replace", generations=GENERATIONS, out=out)
    iterator = iter(loop)
    next(iterator)
    generator.clock.cpu = 0.0
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in iterator:
        pass
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return tuple(1000 * (t - generator.clock.cpu) / GENERATIONS for t in (cpu, wall))  # type: ignore[return-value]


def memory(rows: int, out: Path) -> None:
    """Own (anonymous) memory, in MiB, before and after one generation of `rows` 2-D rows, and the peak of it."""
    real = np.random.default_rng(0).normal(size=(rows // 10, 2))
    loop = ol.Loop("gaussian", real, regime={"kind": "accumulate", "synthetic_ratio": 10.0}, generations=2, out=out)
    iterator = iter(loop)
    next(iterator)
    before, most = own_mib(), 0.0

    def watch(stage: str, done: int, total: int) -> None:
        nonlocal most
        most = max(most, own_mib())

    from ouroloop.progress import listening

    with listening(watch):
        for info in iterator:
            most = max(most, own_mib())
            print(f"generation {info.generation}: {len(info.training):,} training rows, own memory {own_mib():.0f} MiB")
    size = sum(p.stat().st_size for p in out.rglob("*.arrow")) / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"before {before:.0f} MiB, most seen {most:.0f} MiB, rows on disk {size:.0f} MiB, peak with mapped {peak:.0f}"
    )


def own_mib() -> float:
    """Anonymous memory of this process (RssAnon), MiB."""
    text = Path("/proc/self/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.rows:
            memory(options.rows, Path(folder) / "run")
            return
        for name, on_disk in (("memory", False), ("disk", True)):
            results = [overhead(Path(folder) / f"{name}-{i}" if on_disk else None) for i in range(options.runs)]
            cpu, wall = np.median(results, axis=0)
            print(f"{name}: median of {options.runs} runs: {cpu:.2f} CPU-ms, {wall:.2f} ms wall a generation")


if __name__ == "__main__":
    main()
