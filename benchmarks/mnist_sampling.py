"""MNIST images by few-step diffusion: Fréchet distance against CPU milliseconds an image, on one thread.

    OMP_NUM_THREADS=1 python benchmarks/mnist_sampling.py [--data ../shared/data/mnist] [--steps 1600] [--model DIR]

Trains generation 0 of the MNIST study on the first 12,000 training images (or loads it from --model), draws
class-balanced images with several samplers, and writes benchmarks/mnist_sampling.md. Two feature extractors, each
with its floor: real training images against the same test images, equally many and equally balanced.

* classifier: `ouroloop.features.classifier`, trained on the same 12,000 images, as the study measures.
* lenet: the layer of 84 in a sigmoid LeNet trained on all 60,000 images, as the published code measures; the
  published weights are not available, and distances of different trainings do not compare to the decimal.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ouroloop.datasets.mnist import Mnist
from ouroloop.features.classifier import Classifier
from ouroloop.generators.diffusion_process.samplers import evaluations
from ouroloop.generators.image_diffusion import ImageDiffusion
from ouroloop.keys import Key
from ouroloop.metrics.frechet import frechet_squared, moments
from ouroloop.pool import Pool
from ouroloop.samples import Samples

ROOT = Path(__file__).resolve().parent.parent
PUBLISHED_CPU_S = 22.7  # an image, 400 guided ancestral steps on the same kind of machine
KEY = Key(0, ("benchmarks", "mnist_sampling"))
OPTIONS: dict[str, Any] = {
    "patch": 2,
    "widths": (16, 48),
    "blocks": (1, 2),
    "noise_mean": 0.0,
    "noise_spread": 1.6,
    "batch_size": 256,
    "first_learning_rate": 3e-3,
    "warm_up": 100,
    "ema": 0.99,
    "sample_batch": 125,
    "noise_low": 0.02,
    "noise_high": 80.0,
    "grid_curve": 3.0,
}
GUIDED = {"guidance_strength": 0.5, "guidance_low": 0.3, "guidance_high": 4.0}
SETTINGS: list[dict[str, Any]] = [
    {"solver": "dpm2m", "sampling_steps": 4, **GUIDED},
    {"solver": "dpm2m", "sampling_steps": 5, **GUIDED},
    {"solver": "dpm2m", "sampling_steps": 5},
    {"solver": "dpm2m", "sampling_steps": 6},
    {"solver": "dpm2m", "sampling_steps": 8, **GUIDED},
    {"solver": "dpm2m", "sampling_steps": 12},
    {"solver": "dpm2m", "sampling_steps": 5, "noise_low": 0.05, "noise_high": 20.0, "grid_curve": 7.0},
    {"solver": "euler", "sampling_steps": 8},
    {"solver": "heun", "sampling_steps": 6},
]


class Extractor(NamedTuple):
    """Features, and the moments of the test images in them."""

    name: str
    accuracy: float
    features: Callable[[np.ndarray], np.ndarray]
    mean: np.ndarray
    covariance: np.ndarray

    def distance(self, x: np.ndarray) -> float:
        """Fréchet distance (squared, as FID is) of images (n, 28, 28) in [0, 1] to the test images."""
        return self.distance_of(self.features(x))

    def distance_of(self, features: np.ndarray) -> float:
        """The same of images whose features are known."""
        mine = moments(features)
        return float(
            frechet_squared(
                real_mean=self.mean,
                real_covariance=self.covariance,
                generated_mean=mine.mean,
                generated_covariance=mine.covariance,
            )
        )


class LeNet(nn.Module):
    """LeNet-5 with sigmoids and average pooling on images padded to 32x32."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.hidden, self.features, self.leave = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        for layer in (self.first, self.second, self.hidden, self.features, self.leave):
            nn.init.xavier_uniform_(layer.weight)

    def embed(self, x: Tensor) -> Tensor:
        """Pre-activations of the layer of 84, shape (B, 84)."""
        hidden = nn.functional.avg_pool2d(torch.sigmoid(self.first(x[:, None])), 2)
        hidden = nn.functional.avg_pool2d(torch.sigmoid(self.second(hidden)), 2)
        return self.features(torch.sigmoid(self.hidden(hidden.flatten(1))))

    def forward(self, x: Tensor) -> Tensor:
        """Class scores, shape (B, 10)."""
        return self.leave(torch.sigmoid(self.embed(x)))


def train_lenet(data: Samples, *, epochs: int = 6, batch: int = 256, rate: float = 3e-3) -> LeNet:
    """A LeNet trained on labelled images with Adam and a linearly falling learning rate."""
    with torch.random.fork_rng():
        torch.manual_seed(KEY.child("lenet").integer())
        network = LeNet()
        optimiser = torch.optim.Adam(network.parameters(), lr=rate)
        x, label = torch.tensor(data.x), torch.tensor(data.label)
        per_epoch = len(x) // batch
        for step in range(epochs * per_epoch):
            if step % per_epoch == 0:
                order = torch.randperm(len(x))
            optimiser.param_groups[0]["lr"] = rate * (1 - step / (epochs * per_epoch))
            rows = order[step % per_epoch * batch :][:batch]
            loss = nn.functional.cross_entropy(network(x[rows]), label[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return network.eval()


def extractors(real: Samples, test: Samples, everything: Samples) -> Iterator[Extractor]:
    """The study's classifier and the LeNet, ready to measure distances to the test images."""
    classifier = Classifier().fit(real, key=KEY, held_out=test)
    yield Extractor("classifier", classifier.accuracy, classifier.transform, *moments(classifier.transform(test.x)))
    network = train_lenet(everything)

    def batched(x: np.ndarray, read: Callable[[Tensor], Tensor]) -> np.ndarray:
        with torch.inference_mode():
            return np.concatenate([read(torch.tensor(x[i : i + 500])).double().numpy() for i in range(0, len(x), 500)])

    def embed(x: np.ndarray) -> np.ndarray:
        return batched(x, network.embed)

    accuracy = float(np.mean(batched(test.x, network).argmax(axis=1) == test.label))
    yield Extractor("lenet", accuracy, embed, *moments(embed(test.x)))


def generation_zero(real: Samples, steps: int, folder: Path | None) -> tuple[ImageDiffusion, str]:
    """The trained model and a sentence on what its training cost."""
    template = ImageDiffusion(**OPTIONS, steps=steps)
    note = folder / "training.txt" if folder else None
    if folder and note and note.exists():
        return template.load(folder), note.read_text()
    began = time.process_time()
    model = template.fit(Pool.of(real), key=KEY.child("fit"))
    spent = time.process_time() - began
    said = (
        f"{steps} steps of {OPTIONS['batch_size']} in {spent:.0f} CPU-s ({spent / steps:.3f} a step), final loss "
        f"{model.info.loss:.4f}"
    )
    if folder and note:
        folder.mkdir(parents=True, exist_ok=True)
        model.save(folder)
        note.write_text(said)
    return model, said


def balanced(data: Samples, n: int) -> np.ndarray:
    """n images, equally many of each class, drawn without replacement."""
    rng = KEY.child("floor").rng()
    rows = [rng.choice(np.flatnonzero(data.label == k), n // 10, replace=False) for k in range(10)]
    return data.x[np.concatenate(rows)]


def measure(model: ImageDiffusion, setting: dict[str, Any], n: int, found: list[Extractor]) -> str:
    """One row of the table."""
    plain = {field.name: getattr(model, field.name) for field in dataclasses.fields(model) if field.init}
    chosen = ImageDiffusion(**{**plain, **setting})._with(model.trained)
    chosen.sample(500, key=KEY.child("warm"), condition={"label": np.arange(500) % 10})
    began = time.process_time()
    drawn = chosen.sample(n, key=KEY.child("sample"), condition={"label": np.arange(n) % 10})
    cost = (time.process_time() - began) / n
    levels = chosen.noise_levels()[:-1]
    guided = sum(chosen.guidance_low < rho <= chosen.guidance_high for rho in levels) if chosen.guidance_strength else 0
    calls = evaluations(chosen.solver, chosen.sampling_steps)
    strength = chosen.guidance_strength
    guidance = f"{strength:g} on {guided} of {len(levels)} steps" if strength else "none"
    distances = " | ".join(f"{e.distance(drawn.x):.2f}" for e in found)
    return (
        f"| {chosen.solver} | {chosen.sampling_steps} | {chosen.noise_low:g} to {chosen.noise_high:g} | {guidance} | "
        f"{calls + guided} | {1000 * cost:.2f} | "
        f"{PUBLISHED_CPU_S / cost:,.0f} | {distances} |"
    )


def draw(table: Path) -> Path:
    """The curve of the table: distance over cost in both spaces, with their floors and the goal."""
    import re

    from matplotlib.figure import Figure

    text = table.read_text()
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in text.splitlines() if "| 0.0" in line]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axes, (name, column) in zip(figure.subplots(1, 2), (("lenet", 8), ("classifier", 7)), strict=True):
        cost, distance = (np.array([float(row[c]) for row in rows]) for c in (5, column))
        best = np.minimum.accumulate(distance[order := np.argsort(cost)])
        axes.step(cost[order], best, where="post", color="0.7", label="least so far")
        for solver in dict.fromkeys(row[0] for row in rows):
            one = np.array([row[0] == solver for row in rows])
            axes.plot(cost[one], distance[one], "o", label=solver)
        for row, x, y in zip(rows, cost, distance, strict=True):
            axes.annotate(f" {row[1]}" + ("g" if row[3][0].isdigit() else ""), (x, y), fontsize=7)
        floor = float(re.search(rf"{name}: accuracy [\d.]+, floor (\d+\.\d+)", text)[1])  # pyright: ignore
        axes.axhline(floor, color="0.5", ls=":", label="real against real")
        axes.axhline(5.0, color="0.5", ls="--", label="goal")
        axes.set(yscale="log", xlabel="CPU-ms an image (published code: 22,700)", title=f"Frechet distance, {name}")
        axes.set_xlim(0.0, None)
    axes.legend(fontsize=7)
    figure.savefig(table.with_suffix(".png"), dpi=110)
    return table.with_suffix(".png")


def main() -> None:
    """Train, draw, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data" / "mnist")
    parser.add_argument("--steps", type=int, default=1600)
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--model", type=Path, help="folder to keep the trained model in, or to take it from")
    parser.add_argument("--draw", action="store_true", help="only draw the curve of the table that is there")
    options = parser.parse_args()
    table = ROOT / "benchmarks" / "mnist_sampling.md"
    if options.draw:
        print(draw(table))
        return
    torch.set_num_threads(1)
    data = Mnist(path=str(options.data)).load(key=KEY)
    test = data.held_out
    assert test is not None
    model, training = generation_zero(data.real, options.steps, options.model)
    print(training, flush=True)
    everything = Mnist(path=str(options.data), subset="all").load(key=KEY).real
    found = list(extractors(data.real, test, everything))
    real = balanced(data.real, options.n)
    floor = [f"{e.name}: accuracy {e.accuracy:.4f}, floor {e.distance(real):.2f}" for e in found]
    parameters = sum(p.numel() for p in model.trained.network.parameters())
    machine = f"{os.cpu_count()} cores ({platform.machine()}), 24 GB, shared with other work"
    head = f"""# MNIST sampling: distance against cost

Command: `OMP_NUM_THREADS=1 python benchmarks/mnist_sampling.py --steps {options.steps}`.
Date: {time.strftime("%Y-%m-%d")}. Seed: 0. Machine: {machine}; torch {torch.__version__}, one thread.

Generation 0: {parameters:,} parameters, trained on the first 12,000 training images, {training}.

Fréchet distances: {options.n:,} class-balanced images against the 10,000 test images. Extractors: {"; ".join(floor)}.
The floor is {options.n:,} real training images, class-balanced, against the test images. The extractors differ in
scale and in what they notice: compare a distance with its own floor only.

Noise range, grid and guidance were chosen by the classifier's distance to training images 12,000 to 22,000, which
neither the model nor the extractor has seen; the network, by cost. Starting at a noise of 20 instead of 80 leaves out
what the first step decides: images of one scale hold most of their variance in few directions.

CPU-ms are user + system time of `sample` on one thread. The published code needs {PUBLISHED_CPU_S} CPU-s an image.

![Distance over cost, with the number of steps; g: guided](mnist_sampling.png)

| solver | steps | noise | guidance | calls | CPU-ms an image | times published | classifier | lenet |
|---|---|---|---|---|---|---|---|---|
"""
    rows: list[str] = []
    for setting in SETTINGS:
        rows.append(measure(model, setting, options.n, found))
        print(rows[-1], flush=True)
        table.write_text(head + "\n".join(rows) + "\n")
    print(draw(table))


if __name__ == "__main__":
    main()
