"""Closed forms of Gaussian loops beside simulated loops: the numbers in docs/theory.md.

    OMP_NUM_THREADS=1 python benchmarks/theory_checks.py [--seeds 2000] [--generations 40]

The loops are those of the vectorised backend, which draws rows and refits; the laws come from `ouroloop.theory`, which
runs nothing. Prints Markdown: simulation +- standard error | law, and the largest |difference| / standard error over
all generations (neighbouring generations are correlated).
"""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Iterator

import numpy as np

from ouroloop.backends.vectorised import Result, run_grid
from ouroloop.metrics.gaussian_w2 import gaussian_w2
from ouroloop.spec import Spec
from ouroloop.theory.gaussian import moments, replace_log_variance
from ouroloop.theory.rows import plan
from ouroloop.theory.wasserstein import wasserstein

REGIMES = ("replace", "accumulate", "fixed_real", "fresh_real", "linear_accumulate")
STRENGTHS = (0.0, 0.3, 2.0)
N = 20


def loops(regime: str, ratio: float, seeds: int, generations: int, n: int = N) -> list[Result]:
    """One result a strength."""
    specs = [
        Spec.from_mapping(
            {
                "generations": generations,
                "data": {"kind": "gaussian", "n": n, "held_out": 0},
                "generator": "gaussian",
                "regime": {"kind": regime, "synthetic_ratio": ratio},
                "corrector": {"kind": "ideal", "correction_strength": strength},
            }
        ).resolved()
        for strength in STRENGTHS
    ]
    return run_grid(specs, range(seeds))


def compare(found: np.ndarray, law: np.ndarray) -> str:
    """Cells: the last generation, and the largest deviation in standard errors."""
    mean, error = found.mean(axis=0), found.std(axis=0) / math.sqrt(len(found))
    worst = np.abs(mean - law) / np.maximum(error, 1e-12)
    return f"{mean[-1]:.5f} ± {error[-1]:.5f} \\| {law[-1]:.5f} | {worst.max():.1f}"


def exact_rows(seeds: int, generations: int) -> Iterator[str]:
    """The exact laws of mean square, variance and log determinant; coordinates are averaged within a seed."""
    yield f"| n = {N}, t = {generations} | E m^2 | max | E v | max |"
    yield "|---|---|---|---|---|"
    for regime in REGIMES:
        for strength, run in zip(STRENGTHS, loops(regime, 0.5, seeds, generations), strict=True):
            law = moments(plan(regime, generations, N, N // 2), strength)
            square = np.square(run.mean).mean(axis=-1)
            variance = np.einsum("stii->st", run.covariance) / 2
            cells = f"{compare(square, law.mean_square)} | {compare(variance, law.variance)}"
            yield f"| {regime}, strength {strength:g} | {cells} |"
            if regime == "replace" and strength == 0.0:
                log = compare(np.linalg.slogdet(run.covariance)[1], replace_log_variance(N, N // 2, generations, 2))
                yield f"| replace, strength 0, E log det | {log} | | |"


def distance_rows(seeds: int, generations: int) -> Iterator[str]:
    """E W2 at several numbers of real rows: the relative error of the forecast."""
    yield "| linear_accumulate, 2-D | strength | E W2 simulated | forecast | error | largest error over t |"
    yield "|---|---|---|---|---|---|"
    for n in (10, 20, 50, 200):
        runs = loops("linear_accumulate", 0.5, seeds, generations, n)
        for strength, run in zip(STRENGTHS, runs, strict=True):
            law = wasserstein(plan("linear_accumulate", generations, n, n // 2), strength).distance
            mean = distances(run).mean(axis=0)
            off = 100 * (law / mean - 1)
            worst = off[np.argmax(np.abs(off))]
            yield f"| n = {n} | {strength:g} | {mean[-1]:.4f} | {law[-1]:.4f} | {off[-1]:+.1f} % | {worst:+.1f} % |"


def distances(run: Result) -> np.ndarray:
    """W2 to N(0, I), (seeds, generations + 1)."""
    target = {"real_mean": np.zeros(2), "real_covariance": np.eye(2)}
    return gaussian_w2(**target, generated_mean=run.mean, generated_covariance=run.covariance)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--generations", type=int, default=40)
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("note: set OMP_NUM_THREADS=1, or it takes twice the CPU time")
    print(*exact_rows(options.seeds, options.generations), sep="\n", flush=True)
    print()
    print(*distance_rows(options.seeds, options.generations), sep="\n")


if __name__ == "__main__":
    main()
