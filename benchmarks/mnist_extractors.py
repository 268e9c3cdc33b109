"""Does it depend on the feature extractor what correction does to a loop on MNIST? Distances of a finished study.

    OMP_NUM_THREADS=1 python benchmarks/mnist_extractors.py RUNS [--data ../shared/data/mnist] [--n 10000]

RUNS is the directory that `ouroloop study scsc-mnist` wrote. Draws n class-balanced images of every arm's last model,
the same noise for all, and prints a table: the Fréchet distance in the study's own classifier and in a sigmoid LeNet as
the published code trains (see mnist_sampling.py), and precision, recall and coverage in the LeNet's layer of 84, on
5,000 rows of either side. Half widths are 1.96 standard deviations over 20 bootstrap resamples of the images.
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
ROWS = 5000  # of either side, for precision, recall and coverage
RESAMPLES = 20


def drawn(run: Path, n: int) -> tuple[int, np.ndarray]:
    """The last generation of a run, and n images of its model."""
    store = RunStore.open(run)
    last = max(store.generations())
    model = options.build("generators", store.spec["generator"]).load(store.generation_dir(last) / "model")
    return last, model.sample(n, key=KEY.child("sample"), condition={"label": np.arange(n) % 10}).x


def distance(extractor: Extractor, x: np.ndarray) -> str:
    """Fréchet distance of images to the test images, and half its interval."""
    features, rng = extractor.features(x), KEY.child("bootstrap").rng()
    again = [extractor.distance_of(features[rng.integers(len(x), size=len(x))]) for _ in range(RESAMPLES)]
    return f"{extractor.distance_of(features):.3g} ± {1.96 * np.std(again, ddof=1):.2g}"


def row(name: str, x: np.ndarray, found: list[Extractor], real: np.ndarray) -> str:
    """One line of the table."""
    features = found[-1].features
    some = KEY.child("rows").rng().permutation(len(x))[:ROWS]  # rows are in the order of their labels
    quality = precision_recall_density_coverage(real=features(real[:ROWS]), generated=features(x[some]))
    cells = [distance(extractor, x) for extractor in found] + [f"{quality[name]:.3f}" for name in NAMES]
    return f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Draw, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "mnist")
    parser.add_argument("--n", type=int, default=10_000)
    given = parser.parse_args()
    runs = sorted(given.runs.glob("*/seed-*"))
    if not runs:
        parser.error(f"{given.runs}: no runs ARM/seed-N in it; give what `ouroloop study scsc-mnist` wrote")
    torch.set_num_threads(1)
    data = Mnist(path=str(given.data)).load(key=KEY)
    assert data.held_out is not None
    found = list(extractors(data.real, data.held_out, Mnist(path=str(given.data), subset="all").load(key=KEY).real))
    for extractor in found:
        print(f"{extractor.name}: accuracy {extractor.accuracy:.4f}")
    print(f"| arm | generation | {' | '.join(e.name for e in found)} | {' | '.join(NAMES)} |")
    print(f"|---|{'---|' * (1 + len(found) + len(NAMES))}")
    test = data.held_out.x[KEY.child("test").rng().permutation(len(data.held_out))]
    print(row("real training images | ", balanced(data.real, min(given.n, 10_000)), found, test), flush=True)
    for run in runs:
        last, x = drawn(run, given.n)
        print(row(f"{run.parent.name}, {run.name} | {last}", x, found, test), flush=True)


if __name__ == "__main__":
    main()
