"""How good the motion evaluator is, and what the metrics of motions say of motions that were made worse on purpose.

Trains the evaluator on the training split of captioned motions and measures it on the validation split, on which
nothing is trained: retrieval (R-precision 1 to 3), floors at several n, and every metric on real training motions,
with captions of other motions, with noise, sunk, slid, smoothed, and collapsed to three motions; and the retrieval of
an evaluator that was trained on 64 motions. CPU seconds on one thread.

Run:  OMP_NUM_THREADS=1 python benchmarks/motion_evaluator.py ../shared/data/motion
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.datasets.motions import Motions
from ouroloop.features.motion_evaluator import MotionEvaluator
from ouroloop.features.motion_physics import MotionPhysics
from ouroloop.features.motion_text import meanings
from ouroloop.keys import Key
from ouroloop.metrics.base import RowMetric
from ouroloop.metrics.diversity import Diversity
from ouroloop.metrics.fid import Fid
from ouroloop.metrics.kid import Kid
from ouroloop.metrics.matching import Matching
from ouroloop.metrics.multimodality import Multimodality
from ouroloop.metrics.physics_errors import PhysicsErrors
from ouroloop.metrics.prdc import Prdc
from ouroloop.motion.humanml3d import JOINT_POSITIONS, ROOT_HEIGHT, ROOT_VELOCITY
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

SHOWN = (
    *("fid", "kid", "precision", "recall", "diversity"),
    *("matching_score", "r_precision_1", "r_precision_3", "r_precision_blind", "multimodality"),
    *("penetration", "floating", "skating", "physics_error", "limit_excess", "bone_error"),
    *("acceleration", "acceleration_error", "jerk"),
)
NO_GENERATOR: Any = None


def timed(what: str, run: Callable[[], Any]) -> Any:
    """The result of `run`, with its CPU seconds printed."""
    start = time.process_time()
    result = run()
    print(f"| {what} | {time.process_time() - start:.1f} |")
    return result


def inside(rows: Samples) -> np.ndarray:
    """Which frames are before the row's length, (n, frames, 1)."""
    return (np.arange(rows.x.shape[1]) < rows["length"][:, None])[:, :, None]


def made_worse(rows: Samples, rng: np.random.Generator) -> dict[str, Samples]:
    """The rows, and what was done to them."""
    from scipy.ndimage import uniform_filter1d

    n, within, x = len(rows), inside(rows), rows.x
    moved, heights = slice(ROOT_HEIGHT.start, JOINT_POSITIONS.stop), [3, *range(5, 67, 3)]
    noisy, sunk, slid = x.copy(), x.copy(), x.copy()
    noisy[..., moved] += 0.01 * rng.standard_normal(x[..., moved].shape)
    sunk[..., heights] -= 0.1
    slid[..., ROOT_VELOCITY.stop - 1] += 0.02
    last = np.minimum(np.arange(x.shape[1]), rows["length"][:, None] - 1)
    smooth = uniform_filter1d(x[np.arange(n)[:, None], last], 9, axis=1, mode="nearest")
    return {
        "as they are": rows,
        "captions of others": rows.replace(caption=rows["caption"][rng.permutation(n)]),
        "three motions": rows.take(np.arange(n) % 3),
        "noise of 1 cm": rows.replace(x=(noisy * within).astype(np.float32)),
        "sunk 10 cm": rows.replace(x=(sunk * within).astype(np.float32)),
        "slid 40 cm/s": rows.replace(x=(slid * within).astype(np.float32)),
        "mean of 9 frames": rows.replace(x=(smooth * within).astype(np.float32)),
    }


def table(metrics: list[RowMetric], tables: dict[str, Samples]) -> None:
    """Print every metric of every table, and the floor."""
    values: dict[str, dict[str, float]] = {name: {} for name in (*tables, "floor")}
    for title, rows in tables.items():
        for metric in metrics:
            for m in metric.measure(rows, generator=NO_GENERATOR, key=Key(2)):
                values[title][m.metric] = m.value
                if title == "as they are":
                    values["floor"][m.metric] = m.floor
    print("| metric | " + " | ".join(values) + " |\n|" + "---|" * (len(values) + 1))
    for name in SHOWN:
        print(f"| {name} | " + " | ".join(f"{column[name]:.4g}" for column in values.values()) + " |")


def retrieval(metric: Matching, rows: Samples) -> None:
    """Print R-precision of held-out motions with intervals."""
    for m in metric.measure(rows, generator=NO_GENERATOR, key=Key(1)):
        print(f"| {m.metric} | {m.value:.3f} | {m.low:.3f} to {m.high:.3f} |")


def trained_on_few(path: str, folder: Path, reference: Reference) -> None:
    """Print R-precision of held-out motions by an evaluator that has seen 64 motions alone."""
    few = Motions(path=path, subset=64).load(key=Key(0)).real
    evaluator = timed("training of the evaluator on 64 motions", lambda: MotionEvaluator().fit(few, key=Key(0)))
    file = folder / "few.safetensors"
    evaluator.save(file)
    assert reference.held_out is not None
    print("\n| held-out motions, trained on 64 | value | 95 % interval |\n|---|---|---|")
    features = {"kind": "motion", "weights": str(file)}
    retrieval(Matching(features=features).fit(reference, key=Key(1)), reference.held_out)


def main(path: str, folder: Path) -> None:
    """Print everything as Markdown; the evaluator is written to `folder`."""
    data = Motions(path=path).load(key=Key(0))
    real, held_out = data.real, data.held_out
    assert held_out is not None
    different = [len(np.unique(meanings(rows["caption"]))) for rows in (real, held_out)]
    print(
        f"{len(real)} training motions ({different[0]} meanings), {len(held_out)} held out ({different[1]} meanings)\n"
    )
    print("| CPU seconds | |\n|---|---|")
    evaluator = timed("training of the evaluator", lambda: MotionEvaluator().fit(real, key=Key(0)))
    reference = Reference(real, held_out)
    file = folder / "evaluator.safetensors"
    evaluator.save(file)
    motion = {"kind": "motion", "weights": str(file)}  # trained once, for all metrics
    timed(f"embedding of {len(held_out)} motions", lambda: evaluator.transform(held_out.x))
    kinds: list[tuple[Any, dict[str, Any]]] = [
        *((kind, {"features": motion}) for kind in (Fid, Kid, Prdc, Diversity, Matching)),
        (Multimodality, {"features": motion, "of": "rows"}),
        (PhysicsErrors, {"features": MotionPhysics()}),
    ]
    metrics = []
    for kind, options in kinds:
        part = timed(f"{kind.__name__}: fit", lambda k=kind, o=options: k(**o).fit(reference, key=Key(1)))
        timed(f"{kind.__name__}: floor at n = {len(held_out)}", lambda p=part: p.floors(len(held_out)))
        rows = held_out.take(slice(None))  # a table that nothing is known of yet
        timed(
            f"{kind.__name__}: measure {len(held_out)}",
            lambda p=part, r=rows: p.measure(r, generator=NO_GENERATOR, key=Key(2)),
        )
        metrics.append(part)
    print(f"\nstopping rows ({evaluator.n_held_out} of the training split): R-precision", end=" ")
    print(", ".join(f"{value:.3f}" for value in evaluator.precision), "\n")
    print("| held-out motions | value | 95 % interval |\n|---|---|---|")
    retrieval(metrics[4], held_out)
    print("\n| floor of fid | mean | spread of 5 draws |\n|---|---|---|")
    for n in (32, 64, 120, 256, 512):
        floor = metrics[0].floors(n)["fid"]
        print(f"| n = {n} | {floor.value:.2f} | {floor.spread:.2f} |")
    rows = real.take(Key(3).rng().choice(len(real), len(held_out), replace=False))
    print(f"\n{len(rows)} real training motions, and what was done to them\n")
    table(metrics, made_worse(rows, Key(4).rng()))
    print("\n| CPU seconds | |\n|---|---|")
    trained_on_few(path, folder, reference)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/motion", Path(scratch))
