"""Measure the physics corrector: clean and damaged clips, help from outside, speed.

    python benchmarks/physics_corrector.py clean|damaged|residual|speed [--clips 60] [--split val]
    python benchmarks/physics_corrector.py residual [--balance] [--search 3]

Clips are those of the shared archive (../shared/data/motion); the truth is the clip itself, put on the floor. "closer"
is the share of clips that end nearer to the truth than the damaged input. Penetration, floating and skating are those
of the visible surface (`ouroloop.motion.physics.measures.measure`), mm, with the input's skeleton.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.motion.physics.correct import correct
from ouroloop.motion.physics.corruptions import CORRUPTIONS, apply, truth_of
from ouroloop.motion.physics.floor import floor_height
from ouroloop.motion.physics.humanoid import ResidualBounds
from ouroloop.motion.physics.measures import Measures, joint_error, measure
from ouroloop.motion.physics.options import PhysicsOptions
from ouroloop.motion.physics.result import PhysicsResult
from ouroloop.motion.skeleton import Skeleton

DATA = Path(__file__).parents[1] / ".." / "shared" / "data" / "motion"
FPS = 20.0
MODES = {
    "kin": PhysicsOptions(mode="kinematic"),
    "sim": PhysicsOptions(mode="simulation", recovery="blend"),
    "full": PhysicsOptions(),
}
BOUNDS = [
    (0, 0, 0),
    (0.05, 0.02, 10),
    (0.1, 0.05, 25),
    (0.25, 0.1, 50),
    (0.5, 0.2, 100),
    (0.5, 0.5, 150),
    (1, 0.5, 250),
]
AIRBORNE = ("jump", "flip", "cartwheel", "roll", "crawl", "getup", "climb", "hop", "leap")


@dataclass(frozen=True, eq=False)
class Sample:
    """A real clip on the floor, (T, 22, 3) m, y up."""

    name: str
    source: str
    upright: bool
    truth: np.ndarray
    skeleton: Skeleton


def load(split: str, count: int) -> list[Sample]:
    """`count` clips of a split, spread over it; all sources keep their share."""
    archive = np.load(DATA / "motion_j22.npz")
    with gzip.open(DATA / "clips.jsonl.gz", "rt", encoding="utf-8") as lines:
        about = [clip for clip in map(json.loads, lines) if clip["split"] == split]
    about = [about[i] for i in np.unique(np.linspace(0, len(about) - 1, min(count, len(about))).astype(int))]
    samples = []
    for clip in about:
        start, stop = archive["clip_start"][clip["index"] : clip["index"] + 2]
        root = archive["root"][start:stop, None].astype(float)
        rest = root + archive["rel"][start:stop] * float(archive["rel_scale"])
        positions = np.concatenate([root, rest], axis=1)
        positions[..., 1] -= floor_height(positions, FPS)
        words = f"{clip['action']} {clip['captions'][0]}".lower()
        upright = not any(word in words for word in AIRBORNE)
        samples.append(Sample(clip["clip"], clip["source"], upright, positions, Skeleton.from_positions(positions)))
    return samples


def measures(samples: list[Sample], clips: list[np.ndarray]) -> dict[str, float]:
    """Means over clips."""
    every = [measure(clip, FPS, skeleton=sample.skeleton) for sample, clip in zip(samples, clips, strict=True)]
    names = [name for name in Measures.__dataclass_fields__ if name != "deepest"]
    return {name: float(np.mean([getattr(one, name) for one in every])) for name in names}


def compare(samples: list[Sample], kind: str, mode: str) -> dict[str, Any]:
    """One row of the tables."""
    truth = [truth_of(kind, s.truth, FPS) for s in samples]
    given = [s.truth if kind == "clean" else apply(kind, s.truth, FPS, i) for i, s in enumerate(samples)]
    start = time.process_time()
    results = correct(given, FPS, MODES[mode])
    seconds = time.process_time() - start
    before = np.array([joint_error(a, b) for a, b in zip(given, truth, strict=True)])
    after = np.array([joint_error(r.positions, b) for r, b in zip(results, truth, strict=True)])
    return {
        "kind": kind,
        "mode": mode,
        "error_in": float(before.mean()),
        "error": float(after.mean()),
        "error_median": float(np.median(after)),
        "closer": float((after < before).mean()),
        "given": measures(samples, given),
        "result": measures(samples, [r.positions for r in results]),
        "by_source": _by_source(samples, after),
        **summary(results),
        "real_time": sum(map(len, given)) / FPS / seconds,
    }


def _by_source(samples: list[Sample], error: np.ndarray) -> dict[str, float]:
    sources = sorted({s.source for s in samples})
    return {name: float(error[[s.source == name for s in samples]].mean()) for name in sources}


def summary(results: list[PhysicsResult]) -> dict[str, Any]:
    """What the results say of themselves."""
    return {
        "fell": sum(r.fell for r in results),
        "verdicts": dict(Counter(str(r.verdict) for r in results)),
        "force": float(np.mean([r.residual_force for r in results])),
        "torque": float(np.mean([r.residual_torque for r in results])),
        "tracking": float(np.mean([r.tracking_error for r in results])),
    }


def show(row: dict[str, Any]) -> None:
    """Print a row as markdown."""
    a, b = row["given"], row["result"]
    print(
        f"| {row['kind']} | {row['mode']} | {row['error_in']:.1f} -> {row['error']:.1f} ({row['error_median']:.1f}) | "
        f"{100 * row['closer']:.0f} % | {a['penetration']:.2f} -> {b['penetration']:.3f} | "
        f"{a['floating']:.1f} -> {b['floating']:.1f} | {a['skating']:.2f} -> {b['skating']:.2f} | "
        f"{a['jerk']:.0f} -> {b['jerk']:.0f} | {row['fell']} | {row['force']:.2f} / {row['torque']:.0f} | "
        f"{row['real_time']:.1f} |",
        flush=True,
    )


def residual(
    samples: list[Sample], options: PhysicsOptions, bounds: list[tuple[float, float, float]]
) -> list[dict[str, Any]]:
    """How many clips are tracked within 60 mm at each bound, without retries."""
    rows = []
    print(
        "| bound | fell | tracked, all | tracked, upright | median error mm (what fell: blended) | used bw / N m |\n"
        "|---|---|---|---|---|---|"
    )
    for bound in bounds:
        results = correct([s.truth for s in samples], FPS, replace(options, bounds=ResidualBounds(*bound)))
        error = np.array([joint_error(r.positions, s.truth) for r, s in zip(results, samples, strict=True)])
        good = np.array([e < 60 and not r.fell for e, r in zip(error, results, strict=True)])
        upright = good[[s.upright for s in samples]]
        row = {"bound": bound, "tracked": float(good.mean()), "upright": float(upright.mean()), **summary(results)}
        rows.append(row)
        print(
            f"| {bound} | {row['fell']} | {100 * row['tracked']:.0f} % | {100 * row['upright']:.0f} % | "
            f"{np.median(error):.1f} | {row['force']:.2f} / {row['torque']:.0f} |",
            flush=True,
        )
    return rows


def speed(samples: list[Sample]) -> list[dict[str, Any]]:
    """Seconds of motion a second of processor (and of wall clock), stage by stage, one and two threads."""
    from ouroloop.motion.inverse_kinematics import inverse_kinematics
    from ouroloop.motion.physics.body import Body, to_simulator
    from ouroloop.motion.physics.conditioning import condition, denoised
    from ouroloop.motion.physics.engine import load_mujoco
    from ouroloop.motion.physics.humanoid import build_humanoid

    clips = [s.truth for s in samples]
    seconds, rows = sum(map(len, clips)) / FPS, []
    bodies = [Body.of(s.skeleton) for s in samples]

    def timed(name: str, work: Any) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        work()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        rows.append({"stage": name, "per_processor": seconds / processor, "per_wall": seconds / wall})
        print(f"| {name} | {seconds / processor:.1f} | {seconds / wall:.1f} |", flush=True)

    print("| stage | x real time a processor second | x real time, wall clock |\n|---|---|---|")
    timed("inverse kinematics", lambda: [inverse_kinematics(s.truth, s.skeleton, FPS) for s in samples])

    def mend() -> None:
        for clip, body in zip(clips, bodies, strict=True):
            positions, report = denoised(clip, FPS)
            condition(to_simulator(positions), FPS, body, None, report)

    timed("conditioning, with inverse kinematics", mend)
    mujoco, model = load_mujoco(), build_humanoid(bodies[0], 1 / 240, ResidualBounds()).model
    data, steps = mujoco.MjData(model), 4800
    mujoco.mj_step(model, data, 240)
    start = time.process_time()
    mujoco.mj_step(model, data, steps)
    raw = steps / 240 / (time.process_time() - start)
    print(f"| raw mj_step, same model and time step | {raw:.1f} | |")
    rows.append({"stage": "mj_step", "per_processor": raw})
    timed("whole corrector, one thread", lambda: correct(clips, FPS))
    timed("whole corrector, two threads", lambda: correct(clips, FPS, PhysicsOptions(threads=2, group=8)))
    return rows


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["clean", "damaged", "residual", "speed"])
    parser.add_argument("--clips", type=int, default=10_000)
    parser.add_argument("--split", default="val", choices=["train", "val"])
    parser.add_argument("--kinds", default=",".join(CORRUPTIONS))
    parser.add_argument("--modes", default="kin,sim,full")
    parser.add_argument("--bounds", default="0,1,2,3,4,5,6", help="residual: which bounds, 0 is the least")
    parser.add_argument("--search", type=int, default=0, help="residual: passes of the search")
    parser.add_argument("--balance", action="store_true", help="residual: with the balance layer")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    samples = load(arguments.split, arguments.clips)
    print(f"{len(samples)} clips, {sum(len(s.truth) for s in samples) / FPS:.0f} s\n", flush=True)
    if arguments.what == "residual":
        options = PhysicsOptions(recovery="blend", balance=arguments.balance, search=arguments.search)
        rows = residual(samples, options, [BOUNDS[i] for i in map(int, arguments.bounds.split(","))])
    elif arguments.what == "speed":
        rows = speed(samples)
    else:
        kinds = ["clean"] if arguments.what == "clean" else arguments.kinds.split(",")
        print(
            "| damage | mode | error mm in -> out (median) | closer | penetration mm | floating mm | skating mm | "
            "jerk | fell | residual bw / N m | x real time |\n|---|---|---|---|---|---|---|---|---|---|---|"
        )
        rows = []
        for kind in kinds:
            for mode in arguments.modes.split(","):
                rows.append(compare(samples, kind, mode))
                show(rows[-1])
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
