"""How often the collapse alarm cries wolf, and how soon it sees a wolf.

Simulates many cheap loops, measures every generation with the metrics themselves, and judges the history
with `CollapseAlarm`. Three groups of scenarios:

* controls, which train on real data only in every generation: any alarm is false;
* collapses, which train on the last generation's output only (replace) or lose something on purpose;
* steady loops that train on real and synthetic data together: nothing is known to be wrong, so these are
  reported without being called true or false.

The thresholds of the alarm were set while looking at seeds below 40 (demo: 100); the report is made on seeds from
1000 on. Histories are kept in a folder, so that an interrupted run goes on and other thresholds can be tried.

Run:  OMP_NUM_THREADS=1 python benchmarks/alarm_false_alarms.py --out benchmarks/alarm_false_alarms.md
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop import registry
from ouroloop.keys import Key
from ouroloop.metrics.alarm import CollapseAlarm
from ouroloop.metrics.bootstrap import wilson
from ouroloop.protocols import Measurement, Reference
from ouroloop.samples import Samples

FLAT_METRICS: dict[str, dict[str, Any]] = {
    "sliced_w2": {},
    "gaussian_w2": {},
    "moments": {},
    "prdc": {},
    "diversity": {},
}
FEATURES = {"kind": "classifier", "steps": 200}
IMAGE_METRICS: dict[str, dict[str, Any]] = {
    **{name: {"features": FEATURES} for name in ("fid", "kid", "prdc", "diversity", "classes")},
    "sliced_w2": {},
}
Sampler = Callable[[int, np.random.Generator], np.ndarray]
Fit = Callable[[np.ndarray, Key], Sampler]


# --- generators: fit(rows, key) -> sample(n, rng) ---------------------------------------------------------------


def fit_gaussian(x: np.ndarray, key: Key) -> Sampler:
    mean, covariance = x.mean(axis=0), np.cov(x.T) + 1e-9 * np.eye(x.shape[1])
    return lambda n, rng: rng.multivariate_normal(mean, covariance, size=n, method="eigh")


def fit_mixture(components: int, kind: str = "full", floor: float = 1e-6) -> Fit:
    def fit(x: np.ndarray, key: Key) -> Sampler:
        from sklearn.mixture import GaussianMixture

        model = GaussianMixture(
            components, covariance_type=kind, reg_covar=floor, init_params="k-means++", random_state=key.integer(31)
        )
        model.fit(x)

        def sample(n: int, rng: np.random.Generator) -> np.ndarray:
            model.set_params(random_state=int(rng.integers(2**31)))
            return rng.permutation(model.sample(n)[0])

        return sample

    return fit


def fit_kde(bandwidth: float) -> Fit:
    def fit(x: np.ndarray, key: Key) -> Sampler:
        return lambda n, rng: x[rng.integers(len(x), size=n)] + bandwidth * rng.standard_normal((n, x.shape[1]))

    return fit


def fit_copies(x: np.ndarray, key: Key) -> Sampler:
    return lambda n, rng: x[rng.integers(len(x), size=n)]


# --- data -------------------------------------------------------------------------------------------------------


def gaussian(n: int, rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal((n, 2)) @ np.array([[1.0, 0.4], [0.0, 0.8]])


def ring(n: int, rng: np.random.Generator) -> np.ndarray:
    angle = rng.integers(8, size=n) * np.pi / 4
    return 2.0 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.15 * rng.standard_normal((n, 2))


def flat_reference(draw: Callable[[int, np.random.Generator], np.ndarray]) -> Callable[[Key, int], Reference]:
    def reference(key: Key, n: int) -> Reference:
        rng = key.child("data").rng()
        return Reference(Samples.of(draw(n, rng)), Samples.of(draw(n, rng)))

    return reference


def digits_reference(key: Key, n: int) -> Reference:
    """All digits, with another split into training and held-out rows for every seed."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x, label = (data.images / 16).astype(np.float32), data.target
    order = key.child("split").rng().permutation(len(x))
    held, train = order[:450], order[450:]
    cache = Path(".cache")
    return Reference(Samples.of(x[train], label=label[train]), Samples.of(x[held], label=label[held]), None, cache)


# --- scenarios --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scenario:
    """One kind of loop.

    Args:
        group: "control", "collapse" or "steady".
        reference: makes the real data of a seed.
        fit: the generator.
        synthetic: what a generation trains on besides, or instead of, the real rows: "none", "replace", "mixed".
        refit_on: "same" real rows, or a "bootstrap" of them in every generation (stands for training noise).
        shrink: every draw is pulled this far towards its mean (a sampling bias).
        metrics: names and options.
        n: real rows to train on, held-out rows and generated rows.
        generations: last generation.
    """

    group: str
    reference: Callable[[Key, int], Reference]
    fit: Fit
    synthetic: str = "none"
    refit_on: str = "same"
    shrink: float = 0.0
    metrics: Mapping[str, dict[str, Any]] = field(default_factory=lambda: FLAT_METRICS)
    n: int = 500
    generations: int = 20


flat_gaussian, flat_ring = flat_reference(gaussian), flat_reference(ring)
digits: dict[str, Any] = {"reference": digits_reference, "metrics": IMAGE_METRICS, "generations": 15}
digit_mixture = fit_mixture(20, "diag", 1e-3)
SCENARIOS: dict[str, Scenario] = {
    "gaussian, refitted": Scenario("control", flat_gaussian, fit_gaussian),
    "gaussian, refitted on a bootstrap": Scenario("control", flat_gaussian, fit_gaussian, refit_on="bootstrap"),
    "ring, mixture refitted": Scenario("control", flat_ring, fit_mixture(8)),
    "ring, mixture on a bootstrap": Scenario("control", flat_ring, fit_mixture(8), refit_on="bootstrap"),
    "ring, KDE refitted": Scenario("control", flat_ring, fit_kde(0.1)),
    "digits, mixture refitted": Scenario("control", fit=digit_mixture, **digits),
    "digits, KDE on a bootstrap": Scenario("control", fit=fit_kde(0.05), refit_on="bootstrap", **digits),
    "digits, copies of real rows": Scenario("control", fit=fit_copies, **digits),
    "gaussian, replace, 50 rows": Scenario("collapse", flat_gaussian, fit_gaussian, "replace", n=50),
    "gaussian, replace, 500 rows": Scenario("collapse", flat_gaussian, fit_gaussian, "replace"),
    "gaussian, shrunk by 5 %": Scenario("collapse", flat_gaussian, fit_gaussian, "replace", shrink=0.05),
    "ring, mixture, replace": Scenario("collapse", flat_ring, fit_mixture(8), "replace"),
    "ring, KDE, replace": Scenario("collapse", flat_ring, fit_kde(0.1), "replace"),
    "digits, mixture, replace": Scenario("collapse", fit=digit_mixture, synthetic="replace", **digits),
    "digits, KDE, replace": Scenario("collapse", fit=fit_kde(0.05), synthetic="replace", **digits),
    "digits, copies, replace": Scenario("collapse", fit=fit_copies, synthetic="replace", **digits),
    "ring, mixture, real + synthetic": Scenario("steady", flat_ring, fit_mixture(8), "mixed"),
    "digits, mixture, real + synthetic": Scenario("steady", fit=digit_mixture, synthetic="mixed", **digits),
}


# The study `digits` (a diffusion network that is fine-tuned twelve times), with its own data, metrics and settings.
DEMO: dict[str, tuple[str, dict[str, Any]]] = {
    "demo, real data only": ("control", {"regime": "real_only"}),
    "demo, no correction": ("collapse", {}),
}


def simulate(scenario: Scenario, seed: int) -> list[dict[str, Measurement]]:
    """One loop: what was measured in each generation."""
    key = Key(seed, ("alarm benchmark",))
    reference = scenario.reference(key, scenario.n)
    metrics = {
        name: registry.resolve("metrics", name)(**options).fit(reference, key=key.child("metric", name))
        for name, options in scenario.metrics.items()
    }
    shape = reference.real.x.shape[1:]
    real = reference.real.x.reshape(len(reference.real), -1).astype(np.float64)
    history, sampler = [], None
    for generation in range(scenario.generations + 1):
        stream = key.child("generation", generation)
        rows = _training_rows(scenario, real, sampler, stream)
        sampler = _shrunk(scenario.fit(rows, stream.child("fit")), scenario.shrink if generation else 0.0)
        drawn = sampler(scenario.n, stream.child("evaluate").rng()).reshape(-1, *shape)
        generated = Samples.of(drawn)
        found = {}
        for name, metric in metrics.items():
            for m in metric.measure(generated, generator=None, key=stream.child("metric", name)):
                found[m.metric] = m
        history.append(found)
    return history


def simulate_demo(fields: Mapping[str, Any], seed: int) -> list[dict[str, Measurement]]:
    """One run of an arm of the study `digits`."""
    import yaml

    import ouroloop as ol
    from ouroloop import studies

    base = yaml.safe_load((Path(studies.__path__[0]) / "digits.yaml").read_text(encoding="utf-8"))["base"]
    loop = ol.Loop.from_spec(ol.Spec.from_mapping({**base, **fields, "seed": seed}), cache=Path(".cache"))
    return [{k: m for k, m in info.metrics.items() if k != "alarm"} for info in loop]


def _training_rows(scenario: Scenario, real: np.ndarray, sampler: Sampler | None, key: Key) -> np.ndarray:
    rng = key.child("rows").rng()
    if sampler is None or scenario.synthetic == "none":
        return real[rng.integers(len(real), size=len(real))] if scenario.refit_on == "bootstrap" else real
    drawn = sampler(len(real), rng)
    return drawn if scenario.synthetic == "replace" else np.concatenate([real, drawn])


def _shrunk(sampler: Sampler, shrink: float) -> Sampler:
    def sample(n: int, rng: np.random.Generator) -> np.ndarray:
        x = sampler(n, rng)
        return x + shrink * (x.mean(axis=0) - x)

    return sample if shrink else sampler


# --- histories on disk, and the report --------------------------------------------------------------------------


def history(name: str, seed: int, work: Path) -> list[dict[str, Measurement]]:
    """The history of a scenario and seed, simulated now unless it was before."""
    path = work / f"{re.sub(r'[^a-z0-9]+', '-', name.lower())}-{seed}.json"
    if not path.exists():
        found = simulate_demo(DEMO[name][1], seed) if name in DEMO else simulate(SCENARIOS[name], seed)
        plain = [{k: [m.value, m.low, m.high, m.floor, m.n] for k, m in row.items()} for row in found]
        temporary = path.with_suffix(".part")
        temporary.write_text(json.dumps(plain), encoding="utf-8")
        temporary.replace(path)
    return [{k: Measurement(k, *v) for k, v in row.items()} for row in json.loads(path.read_text(encoding="utf-8"))]


def judged(histories: Sequence[Sequence[Mapping[str, Measurement]]]) -> tuple[np.ndarray, Counter[str]]:
    """Levels (runs, generations), and what the last generation's alarms say is lost."""
    alarm = CollapseAlarm()
    said = [[alarm.judge(h[: t + 1]) for t in range(len(h))] for h in histories]
    return np.array([[a.level for a in run] for run in said]), Counter(k for run in said for k in run[-1].kinds)


def share(hits: np.ndarray) -> str:
    """A share of runs with its 95 % Wilson interval, in per cent."""
    low, high = wilson(float(hits.mean()), len(hits))
    return f"{int(hits.sum())} of {len(hits)} ({100 * low:.1f} to {100 * high:.1f} %)"


def row(name: str, levels: np.ndarray) -> str:
    drift, collapse = np.greater_equal(levels, 1), np.greater_equal(levels, 2)
    cells = [name, share(drift.any(axis=1)), f"{100 * drift[:, 1:].mean():.2f} %"]
    cells += [share(collapse.any(axis=1)), f"{100 * collapse[:, 1:].mean():.2f} %"]
    return f"| {' | '.join(cells)} |"


def delay(hits: np.ndarray) -> str:
    """Median first generation of an alarm, with the quartiles; runs without one count as never."""
    first = np.sort(np.where(hits.any(axis=1), hits.argmax(axis=1), np.inf))
    quartiles = [first[min(len(first) - 1, int(q * len(first)))] for q in (0.25, 0.5, 0.75)]
    low, middle, high = ("never" if np.isinf(v) else f"{v:.0f}" for v in quartiles)
    return f"{middle} ({low} to {high})"


def power_row(name: str, levels: np.ndarray, kinds: Counter[str]) -> str:
    drift, collapse = np.greater_equal(levels, 1), np.greater_equal(levels, 2)
    last = levels.shape[1] - 1
    lost = ", ".join(f"{k} {v}" for k, v in kinds.most_common()) or "-"
    cells = [name, str(last), share(drift.any(axis=1)), delay(drift), share(collapse.any(axis=1)), delay(collapse)]
    return f"| {' | '.join([*cells, lost])} |"


def report(results: Mapping[str, tuple[str, np.ndarray, Counter[str]]]) -> str:
    """The tables, as Markdown."""
    head = "| loop | runs that drift | generations | runs that collapse | generations |\n|---|---|---|---|---|"
    lines = ["## Controls: real data only, so every alarm is false", "", head]
    controls = [(n, levels) for n, (group, levels, _) in results.items() if group == "control"]
    lines += [row(n, levels) for n, levels in controls]
    every = [(levels >= k).any(axis=1) for k in (1, 2) for _, levels in controls]
    drift, collapse = (np.concatenate(every[i * len(controls) : (i + 1) * len(controls)]) for i in (0, 1))
    flat = [np.concatenate([(levels[:, 1:] >= k).ravel() for _, levels in controls]).mean() for k in (1, 2)]
    lines.append(
        f"| **all controls** | **{share(drift)}** | **{100 * flat[0]:.2f} %** | **{share(collapse)}** "
        f"| **{100 * flat[1]:.2f} %** |"
    )
    lines += ["", "## Loops that mix real and synthetic rows half and half", "", head]
    lines += [row(n, levels) for n, (group, levels, _) in results.items() if group == "steady"]
    lines += [
        "",
        "## Collapses: first generation of an alarm, median (quartiles)",
        "",
        "| loop | last generation | runs that drift | from | runs that collapse | from | lost at the end |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [power_row(n, levels, kinds) for n, (group, levels, kinds) in results.items() if group == "collapse"]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--flat-runs", type=int, default=100, help="seeds of each loop of points in the plane")
    parser.add_argument("--image-runs", type=int, default=40, help="seeds of each loop of digits")
    parser.add_argument("--demo-runs", type=int, default=12, help="seeds of each arm of the study digits")
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--work", type=Path, default=Path(".cache/alarm_runs"), help="folder that keeps the histories")
    parser.add_argument("--only", default="", help="only loops whose name contains this")
    parser.add_argument("--out", type=Path, help="write the tables here too")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in [*SCENARIOS, *DEMO]:
        if given.only not in name:
            continue
        group = DEMO[name][0] if name in DEMO else SCENARIOS[name].group
        runs = given.image_runs if name.startswith("digits") else given.flat_runs
        runs = given.demo_runs if name in DEMO else runs
        if not runs:
            continue
        found = [history(name, given.first_seed + i, given.work) for i in range(runs)]
        results[name] = (group, *judged(found))
        print(f"{name}: {runs} runs", flush=True)
    text = report(results)
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
