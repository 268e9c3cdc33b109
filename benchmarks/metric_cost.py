"""What the metrics cost: CPU seconds a measurement, on digits and on large tables.

Two settings: the demo's (1,347 real, 450 held-out, 1,000 generated digits; pixels or 84 classifier features) and
large ones (12,000 real, 10,000 held-out, 10,000 generated rows of 84 numbers, 100 resamples). "fit" is once a run,
"floor" is once for each number of rows, "measure" is every generation. Features are computed once for all metrics
and are a line of their own.

Run:  OMP_NUM_THREADS=1 python benchmarks/metric_cost.py
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop import registry
from ouroloop.datasets.digits import Digits
from ouroloop.keys import Key
from ouroloop.metrics.spaces import space
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

REPEATS = 5
NO_GENERATOR: Any = None


@contextmanager
def clock(times: list[float]) -> Iterator[None]:
    """Append the CPU seconds of the block."""
    start = time.process_time()
    yield
    times.append(time.process_time() - start)


def measure_all(reference: Reference, draw: Callable[[int], Samples], options: dict[str, dict[str, Any]]) -> None:
    """Print a table of CPU seconds for every metric on tables that `draw(i)` makes."""
    tables = [draw(i) for i in range(REPEATS)]
    names = registry.names("metrics")
    fits: dict[str, list[float]] = {name: [] for name in names}
    floors: dict[str, list[float]] = {name: [] for name in names}
    each: dict[str, list[float]] = {name: [] for name in names}
    metrics: dict[str, Any] = {}
    where = space(options["fid"].get("features", "auto"), reference)
    where.rows(reference.real)
    for name in names:
        with clock(fits[name]):
            part = registry.resolve("metrics", name)(**options.get(name, {}))
            metrics[name] = part.fit(reference, key=Key(0, (name,)))
        with clock(floors[name]):
            metrics[name].floors(len(tables[0]), by_label=True)
    features: list[float] = []
    for i, table in enumerate(tables):
        with clock(features):
            where.rows(table)
        for name in names:
            with clock(each[name]):
                metrics[name].measure(table, generator=NO_GENERATOR, key=Key(i))
    print("| metric | fit | floor | measure |\n|---|---|---|---|")
    for name in names:
        print(f"| {name} | {fits[name][0]:.3f} | {floors[name][0]:.3f} | {np.median(each[name]):.3f} |")
    print(f"| features of {len(tables[0])} rows | | | {np.median(features):.3f} |")
    total = sum(float(np.median(each[name])) for name in names) + float(np.median(features))
    fitted, floor = (sum(t[0] for t in times.values()) for times in (fits, floors))
    print(f"| all | {fitted:.3f} | {floor:.3f} | {total:.3f} |")
    print(f"\npeak memory of the process so far: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB\n")


def digits() -> None:
    data = Digits().load(key=Key(0))
    reference = Reference(data.real, data.held_out, None, Path(".cache"), "digits")

    def draw(seed: int) -> Samples:
        rng = Key(seed, ("draw",)).rng()
        rows = rng.integers(len(data.real), size=1000)
        noise = 0.05 * rng.standard_normal((1000, 8, 8))
        return Samples.of((data.real.x[rows] + noise).astype(np.float32), label=data.real.label[rows])

    print("1,000 generated digits, 50 resamples; CPU seconds\n")
    measure_all(reference, draw, {"fid": {"also_n": (100,)}})


def large() -> None:
    turn = Key(0, ("turn",)).rng().standard_normal((84, 84))

    def draw(seed: int, n: int = 10_000) -> Samples:
        return Samples.of(Key(seed, ("draw",)).rng().standard_normal((n, 84)) @ turn, label=np.arange(n) % 10)

    reference = Reference(draw(100, 12_000), draw(101))
    print("10,000 generated rows of 84 numbers, 100 resamples; CPU seconds\n")
    options = {name: {"features": "identity", "resamples": 100} for name in registry.names("metrics")}
    measure_all(reference, draw, options)


if __name__ == "__main__":
    digits()
    large()
