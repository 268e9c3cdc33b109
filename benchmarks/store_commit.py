"""What the store costs a generation: 1,000 two-dimensional samples, a model of 1 kB, 20 metrics.

python benchmarks/store_commit.py --generations 500
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ouroloop.keys import Key
from ouroloop.samples import Samples, synthetic_ids
from ouroloop.store import MemoryStore, RunStore

ROWS = 1_000


def generation(store: RunStore | MemoryStore, t: int, x: np.ndarray) -> None:
    """Write one generation as the loop does, without fitting, sampling or measuring anything."""
    writer = store.begin(t)
    table, corrections = writer.table("synthetic"), writer.corrections()
    ids = synthetic_ids(t, 0, len(x))
    table.write(Samples.of(x, id=ids, origin=np.full(len(x), t)))
    zeros = np.zeros(len(x))
    corrections.write({"id": ids, "parent": ids, "verdict": zeros, "distance": zeros})
    table.close()
    corrections.close()
    writer.preview("preview", {"x": x[:100]})
    if writer.model_dir is not None:
        (writer.model_dir / "model.safetensors").write_bytes(bytes(1000))
    rows = [{"metric": f"metric_{i}", "value": float(i), "low": 0.0, "high": 1.0, "n": len(x)} for i in range(20)]
    writer.commit(state={"timings_s": {"fit": 0.0}, "training_rows": len(x)}, metrics=rows)


def measure(store: RunStore | MemoryStore, generations: int, prune: bool) -> np.ndarray:
    """Milliseconds of every generation, shape (generations, 3): user CPU, system CPU, wall."""
    x = Key(0).child("rows").rng().normal(size=(ROWS, 2))
    clock = np.zeros((generations + 1, 3))
    with store.lock():
        for t in range(generations):
            clock[t] = _clock()
            generation(store, t, x)
            if prune:
                store.prune(keep_last=5, keep_every=50)
        clock[-1] = _clock()
    return np.diff(clock, axis=0) * 1e3


def _clock() -> tuple[float, float, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime, usage.ru_stime, time.perf_counter()


def main() -> None:
    """Print a table: with fsync, without it (the computing alone), in memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--generations", type=int, default=500)
    n = parser.parse_args().generations
    fsync = os.fsync
    print("Milliseconds a generation: mean (of the quietest 25 in a row; of the last fifth)\n")
    print("| store | user CPU | system CPU | wall |\n|---|---|---|---|")
    for name in ("directory", "directory, pruned", "directory, fsync left out", "memory"):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            os.fsync = (lambda _: None) if "left out" in name else fsync
            path = Path(folder, "run")
            on_disk = None if name == "memory" else RunStore.create(path, spec={}, fingerprint={}, environment={})
            times = measure(on_disk or MemoryStore(), n, "pruned" in name)
        quiet = sliding_window_view(times, 25, axis=0).mean(axis=-1).min(axis=0)
        columns = zip(times.mean(axis=0), quiet, times[-n // 5 :].mean(axis=0), strict=True)
        print(f"| {name} | " + " | ".join(f"{a:.2f} ({b:.2f}; {c:.2f})" for a, b, c in columns) + " |")


if __name__ == "__main__":
    main()
