"""Kill a process that writes runs with SIGKILL, again and again, and compare what it ends with.

The scenario is a small loop over the store alone: two runs, a pruned one that is extended and a fork of it. Its
rows depend on the rows and the state of the generation before, read back from the disk, so that damage spreads.
Every process is forked from this one, which has imported everything and started no thread: a kill costs
milliseconds, not an interpreter's start.

    python tests/crash_worker.py --kills 200

With `--quick` nothing waits for the disk (a killed process leaves what it has written to the system either way).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet  # noqa: F401  imported before the forks

from ouroloop.keys import Key
from ouroloop.samples import Samples, synthetic_ids
from ouroloop.store import RunStore

__all__ = ["crash_points", "fork", "main", "scenario", "tree"]

ROWS = 20
FINGERPRINT = {"generator": {"kind": "walk"}, "seed": 5}


# --- what is done -----------------------------------------------------------------------------------------------


def scenario(root: Path) -> None:
    """All of it, from wherever it stands; calling it again when it is done changes nothing."""
    spec = {"name": "walk", "generations": 2}
    a = RunStore.create(
        root / "a", spec=spec, fingerprint=FINGERPRINT, environment={}, arm="walk", seed=5, exist_ok=True
    )
    a.append_event("start")
    advance(a, 2)
    if a.spec["generations"] != 4:
        a.write_spec({**spec, "generations": 4})
    advance(a, 4)
    if not (root / "b" / "run.json").exists():
        other = {**FINGERPRINT, "generator": {"kind": "other walk"}}
        a.fork(root / "b", at=3, spec=spec, fingerprint=other, environment={}, arm="other")
    b = RunStore.open(root / "b")
    b.append_event("start")
    advance(b, 5)


def advance(store: RunStore, last: int) -> None:
    """Write generations up to `last`."""
    with store.lock():
        store.write_forecasts([{"metric": "mean", "values": [0.0] * (last + 1)}])
        prune(store)  # the process before may have been killed between its last commit and this
        for t in range(len(store.generations()), last + 1):
            step(store, t)
            store.append_event("generation", generation=t)
            prune(store)


def prune(store: RunStore) -> None:
    """Keep the last two generations' models and rows, and every third."""
    store.prune(keep_last=2, keep_every=3, keep_synthetic=False)


def step(store: RunStore, t: int) -> None:
    """One generation: rows and a model that follow from those before."""
    rng = Key(store.seed).child("generation", t, store.arm).rng()
    with store.begin(t) as writer:
        weights = np.zeros(3)
        if t:
            before = np.load(f"{store.model_dir(t - 1)}/weights.npy", allow_pickle=False)
            weights = before + store.state(t - 1)["drift"]
        noise = rng.normal(size=(ROWS, 3))
        x = noise if t < 2 else store.synthetic(t - 1).x * 0.5 + noise
        if t:
            table, corrections = writer.table("synthetic"), writer.corrections()
            ids = synthetic_ids(t, 0, ROWS)
            for rows in (slice(0, 12), slice(12, ROWS)):
                table.write(Samples.of(x[rows], label=np.array(["a", "bc"] * 10)[rows], id=ids[rows]))
                verdict, distance = np.zeros(ROWS)[rows], np.abs(x[rows, 0])
                corrections.write({"id": ids[rows], "parent": ids[rows], "verdict": verdict, "distance": distance})
            x = table.close().x
        writer.preview("preview", {"x": x[:4]})
        np.save(writer.model_dir / "weights.npy", weights)
        metrics = [{"metric": "mean", "value": float(x.mean()), "n": ROWS}, {"metric": "undefined", "value": np.nan}]
        writer.commit(state={"drift": float(x.mean() + weights.sum())}, metrics=metrics)


# --- what is left -----------------------------------------------------------------------------------------------


def tree(root: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every file, but for the events (they hold times) and the locks."""
    files = [p for p in root.rglob("*") if p.is_file() and p.name not in (".lock", ".lock.json", "events.jsonl")]
    return {str(p.relative_to(root)): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(files)}


def sound(root: Path) -> None:
    """Raise if a run that can be opened is damaged."""
    for name in ("a", "b"):
        if (root / name / "run.json").exists():
            store = RunStore.open(root / name)
            store.check()
            assert all("time" in event for event in store.events())
            assert {row["generation"] for row in store.metric_rows()} == set(store.generations())


# --- killing ----------------------------------------------------------------------------------------------------


def fork(function: Callable[..., None], *arguments: Any) -> int:
    """Call a function in a child process; its pid. The child exits with 1 if the function raises."""
    pid = os.fork()
    if pid:
        return pid
    try:
        function(*arguments)
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def ended(pid: int) -> int:
    """Wait for a child: its exit code, or minus the signal that killed it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def hook(replacement: Callable[[str], None]) -> None:
    """Put a function in the place of `atomic.crash_point`, in every module that has imported it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("ouroloop.") and hasattr(module, "crash_point"):
            module.crash_point = replacement  # type: ignore[attr-defined]


def crash_points(root: Path) -> list[str]:
    """Names of the crash points that an uninterrupted scenario passes, in order."""
    log = root / "points.txt"

    def child() -> None:
        with open(log, "w") as file:
            hook(lambda name: print(name, file=file))
            scenario(root / "counted")

    if ended(fork(child)):
        raise SystemExit("the scenario fails without being killed")
    return log.read_text().splitlines()


def scenario_until(root: Path, last: int) -> None:
    """The scenario, killed by its own hand at crash point number `last`; an event is torn in the middle."""
    passed = 0

    def count(name: str) -> None:
        nonlocal passed
        if passed == last:
            if name.startswith("append "):
                tear(root)
            os.kill(os.getpid(), signal.SIGKILL)
        passed += 1

    hook(count)
    scenario(root)


def tear(root: Path) -> None:
    """Leave half an event at the end of each run's events."""
    for path in root.glob("*/events.jsonl"):
        with open(path, "ab") as file:
            file.write(b'{"time": "20')


def killed_at_point(root: Path, index: int) -> bool:
    """Run until a crash point; whether the process was killed there (it may have ended before)."""
    return ended(fork(scenario_until, root, index)) == -signal.SIGKILL


def killed_after(root: Path, seconds: float) -> bool:
    """Run and kill from outside after a time; whether it was killed before it ended."""
    pid = fork(scenario, root)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return ended(pid) == -signal.SIGKILL


def plan(points: list[str], kills: int, rng: random.Random) -> Iterator[int]:
    """Crash points to be killed at: every name once (in random order), then any."""
    by_name: dict[str, list[int]] = {}
    for index, name in enumerate(points):
        by_name.setdefault(name, []).append(index)
    chosen = [rng.choice(indices) for indices in by_name.values()]
    rng.shuffle(chosen)
    yield from chosen[:kills]
    for _ in range(kills - len(chosen)):
        yield rng.randrange(len(points))


def main(kills: int, seed: int, quiet: bool = False) -> dict[str, Any]:
    """Kill `kills` times: half at crash points in fresh directories, half at random instants in a row.

    Returns:
        What was done: kills by kind, names of the points, and runs compared.
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="ouroloop-crash-") as folder:
        root = Path(folder)
        points = crash_points(root)
        expected = tree(root / "counted")
        check(root / "counted", "no kill")
        started = time.perf_counter()
        assert ended(fork(scenario, root / "timed")) == 0
        duration = time.perf_counter() - started
        names: Counter[str] = Counter()
        compared = 0
        at_points = kills - kills // 2
        for index in plan(points, at_points, rng):
            place = root / f"point-{index}"
            shutil.rmtree(place, ignore_errors=True)
            assert killed_at_point(place, index), f"point {index} ({points[index]}) was not reached"
            names[points[index]] += 1
            finish(place, expected, f"kill at {points[index]}")
            compared += 1
        done = 0
        while done < kills // 2:
            place, here = root / f"chain-{done}", 0
            while done < kills // 2 and here < 8:
                if not killed_after(place, rng.random() * duration * 0.5):
                    break  # it ended first: the next directory
                check(place, f"random kill {done}")
                done, here = done + 1, here + 1
            finish(place, expected, f"random kills up to {done}")
            compared += 1
    result = {
        "kills": kills,
        "at crash points": at_points,
        "names of points": f"{len(names)} of {len(set(points))}",
        "at random instants": done,
        "directories compared": compared,
        "uninterrupted_s": round(duration, 3),
    }
    if not quiet:
        print(result)
    return result


def check(place: Path, what: str) -> None:
    """What a kill left must be sound before anything is repaired."""
    assert ended(fork(sound, place)) == 0, f"{what}: damaged"


def finish(place: Path, expected: dict[str, str], what: str) -> None:
    """Resume without a kill and compare every file; forget the directory if all is well."""
    check(place, what)
    assert ended(fork(scenario, place)) == 0, f"{what}: cannot be resumed"
    got = tree(place)
    differing = [name for name in sorted({*got, *expected}) if got.get(name) != expected.get(name)]
    assert not differing, f"{what}: differs in {differing}"
    shutil.rmtree(place)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        os.fsync = lambda _: None
    main(options.kills, options.seed)
