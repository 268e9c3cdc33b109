"""Does it depend on the feature extractor what correction does to a loop on MNIST? Distances of a finished study.

    OMP_NUM_THREADS=1 python benchmarks/mnist_extractors.py RUNS [--data ../shared/data/mnist] [--n 10000]

RUNS is the directory that `ouroloop study scsc-mnist` wrote. Draws n class-balanced images of every arm's last model,
the same noise for all, and prints a table: the Fréchet distance in the study's own classifier and in a sigmoid LeNet as
the published code trains (see mnist_sampling.py), and precision, recall and coverage in the LeNet's layer of 84.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from mnist_sampling import ROOT, Extractor, balanced, extractors

from ouroloop import options
from ouroloop.datasets.mnist import Mnist
from ouroloop.keys import Key
from ouroloop.metrics.prdc import precision_recall_density_coverage
from ouroloop.store import RunStore

KEY = Key(0, ("benchmarks", "mnist_extractors"))
NAMES = ("precision", "recall", "coverage")


def drawn(run: Path, n: int) -> tuple[int, np.ndarray]:
    """The last generation of a run, and n images of its model."""
    store = RunStore.open(run)
    last = max(store.generations())
    model = options.build("generators", store.spec["generator"]).load(store.generation_dir(last) / "model")
    return last, model.sample(n, key=KEY.child("sample"), condition={"label": np.arange(n) % 10}).x


def row(name: str, x: np.ndarray, found: list[Extractor], real: np.ndarray) -> str:
    """One line of the table."""
    lenet = found[-1]
    some = slice(None, None, max(1, len(x) // 5000))
    quality = precision_recall_density_coverage(real=lenet.features(real[some]), generated=lenet.features(x[some]))
    distances = [f"{extractor.distance(x):.3g}" for extractor in found]
    return f"| {name} | {' | '.join(distances + [f'{quality[name]:.3f}' for name in NAMES])} |"


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "mnist")
    parser.add_argument("--n", type=int, default=10_000)
    given = parser.parse_args()
    torch.set_num_threads(1)
    data = Mnist(path=str(given.data)).load(key=KEY)
    assert data.held_out is not None
    found = list(extractors(data.real, data.held_out, Mnist(path=str(given.data), subset="all").load(key=KEY).real))
    for extractor in found:
        print(f"{extractor.name}: accuracy {extractor.accuracy:.4f}")
    print(f"| arm | generation | {' | '.join(e.name for e in found)} | {' | '.join(NAMES)} |")
    print(f"|---|{'---|' * (1 + len(found) + len(NAMES))}")
    print(row("real training images | ", balanced(data.real, min(given.n, 10_000)), found, data.held_out.x), flush=True)
    for run in sorted(given.runs.glob("*/seed-*")):
        last, x = drawn(run, given.n)
        print(row(f"{run.parent.name}, {run.name} | {last}", x, found, data.held_out.x), flush=True)


if __name__ == "__main__":
    main()
