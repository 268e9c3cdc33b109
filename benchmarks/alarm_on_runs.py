"""False alarms of the collapse alarm in arms of real data only, from run and study directories.

    python benchmarks/alarm_on_runs.py runs/digits runs/scsc-mnist ...

Every generation of every run whose regime is real_only is judged again by `CollapseAlarm` from the stored measurements.
A study is one row. Generators are those of the runs: here, networks that are fine-tuned on the same real rows in every
generation. Any alarm is false, unless the network overfits and gets worse in truth.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from ouroloop.metrics.alarm import CollapseAlarm
from ouroloop.metrics.bootstrap import wilson
from ouroloop.protocols import Measurement
from ouroloop.report.load import Run, load

_FEWEST = 3  # measured generations that the alarm needs


def levels(run: Run) -> list[int]:
    """The alarm's level after every generation that the run itself judged."""
    if "alarm" not in run.tracks:
        return []
    judged = set(run.tracks["alarm"].generation.tolist())
    tracks = {name: track for name, track in run.tracks.items() if name != "alarm"}
    measured = sorted({int(t) for track in tracks.values() for t in track.generation})
    history: list[dict[str, Measurement]] = []
    found = []
    for t in measured:
        now = {}
        for name, track in tracks.items():
            (at,) = (track.generation == t).nonzero()
            if len(at):
                i = int(at[0])
                low, high, floor = (float(getattr(track, field)[i]) for field in ("low", "high", "floor"))
                now[name] = Measurement(name, float(track.value[i]), low, high, floor)
        history.append(now)
        if t in judged:
            found.append(CollapseAlarm().judge(history).level)
    return found


def share(hits: int, of: int) -> str:
    """A share with its Wilson interval."""
    low, high = wilson(hits / of, of)
    return f"{hits} of {of} ({100 * low:.1f} to {100 * high:.1f} %)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directories", nargs="+", type=Path)
    print("| study | generator | runs | generations judged | runs that drift | runs that collapse |")
    print("|---|---|---|---|---|---|")
    drifting = collapsing = runs = 0
    for directory in parser.parse_args().directories:
        for arm in load([directory]).arms:
            spec = arm.runs[0].spec
            if spec.get("regime", {}).get("kind") != "real_only":
                continue
            judged = [found for run in arm.runs if len(found := levels(run)) >= _FEWEST]
            if not judged:
                continue
            drift, collapse = (sum(max(found) >= level for found in judged) for level in (1, 2))
            kind, generations = spec["generator"]["kind"], sum(map(len, judged))
            print(f"| {directory.name} | {kind} | {len(judged)} | {generations} | {drift} | {collapse} |")
            drifting, collapsing, runs = drifting + drift, collapsing + collapse, runs + len(judged)
    print(f"| **all** | | **{runs}** | | **{share(drifting, runs)}** | **{share(collapsing, runs)}** |")


if __name__ == "__main__":
    main()
