"""SCSC's Gaussian study, 8 correction strengths x 500 generations: CPU-seconds a seed, table and figure.

    OMP_NUM_THREADS=1 python benchmarks/scsc_gaussian.py [--seeds 24] [--generations 500]

Runs the arms of the bundled study `scsc-gaussian` with the vectorised backend, in memory, and writes
benchmarks/scsc_gaussian.md, docs/studies/scsc-gaussian.png and the table in docs/studies/scsc-gaussian.md.
With other than the study's seeds and generations it only prints.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ouroloop.backends.vectorised import Result, run_grid
from ouroloop.metrics.gaussian_w2 import gaussian_w2
from ouroloop.study import Study
from ouroloop.theory.forecast import forecasts_for

ROOT = Path(__file__).resolve().parent.parent
STRENGTHS = ("0", "0.01", "0.03", "0.1", "0.3", "1", "2", "5")
CONTROLS = ("real-only", "identity", "oracle-1", "oracle-5", "fixed-real-0", "fixed-real-1")
LAST = 50  # generations that the end values average

# CPU-seconds for one seed of 8 strengths x 500 generations, measured on the same kind of machine (shared/science).
PUBLISHED_CPU_S, REWRITE_CPU_S = 209.2, 3.36
# Published figure (gaussian_toy_summary.png, digitised; one run): W2 at generations 100, 200, 300, mean of the last 50.
FIGURE = {
    "0": (0.325, 0.299, 0.302, 0.279),
    "0.01": (0.148, 0.175, 0.203, 0.240),
    "0.03": (0.136, 0.157, 0.156, 0.171),
    "0.1": (0.130, 0.135, 0.138, 0.141),
    "0.3": (0.078, 0.080, 0.075, 0.058),
    "1": (0.098, 0.062, 0.070, 0.053),
    "2": (0.042, 0.031, 0.025, 0.022),
    "5": (0.031, 0.016, 0.021, 0.016),
}
# A reference run with an exact sampler: mean and sd over 24 seeds of W2 in the last 50 generations.
REFERENCE_IDEAL = {
    "0": (0.3651, 0.100),
    "0.01": (0.3331, 0.090),
    "0.03": (0.2778, 0.076),
    "0.1": (0.1812, 0.053),
    "0.3": (0.0939, 0.028),
    "1": (0.0375, 0.014),
    "2": (0.0327, 0.010),
    "5": (0.0259, 0.0085),
}
# The published code's algorithm, 24 seeds: mean, smallest, largest.
REFERENCE_RELEASED = {
    "0": (0.5622, 0.5075, 0.6329),
    "0.01": (0.5381, 0.4652, 0.6347),
    "0.03": (0.4990, 0.4325, 0.5640),
    "0.1": (0.4078, 0.3636, 0.4497),
    "0.3": (0.2735, 0.2390, 0.3087),
    "1": (0.1325, 0.1201, 0.1473),
    "2": (0.0791, 0.0578, 0.1027),
    "5": (0.0437, 0.0262, 0.0694),
}


class Arm(NamedTuple):
    """W2 over (seed, generation), and the forecast of its mean, or None."""

    distance: np.ndarray
    forecast: np.ndarray | None

    @property
    def ends(self) -> np.ndarray:
        """Mean of the last generations, a number a seed."""
        return self.distance[:, -LAST:].mean(axis=1)


def measure(specs: list[dict[str, Any]], seeds: range) -> tuple[list[Result], float]:
    """Run the arms together; results and CPU-seconds."""
    began = time.process_time()
    results = run_grid(specs, seeds)
    return results, time.process_time() - began


def arm(spec: dict[str, Any], result: Result) -> Arm:
    """Distance to N(0, I) and the forecast."""
    distance = gaussian_w2(
        real_mean=np.zeros(2),
        real_covariance=np.eye(2),
        generated_mean=result.mean,
        generated_covariance=result.covariance,
    )
    curves = [f.values for f in forecasts_for(spec, spec["data"]["n"], 2) if f.metric == "gaussian_w2"]
    return Arm(distance, curves[0] if curves else None)


def timing_table(cpu: dict[str, float], seeds: int) -> str:
    """Markdown: CPU-seconds a seed of every way to run it."""
    lines = [
        "| 8 strengths x 500 generations | CPU-s a seed | times faster than published |",
        "|---|---|---|",
        f"| published code | {PUBLISHED_CPU_S:.0f} | 1 |",
        f"| plain numpy rewrite, a seed at a time | {REWRITE_CPU_S:.1f} | {PUBLISHED_CPU_S / REWRITE_CPU_S:.0f} |",
    ]
    for name, total in cpu.items():
        each = total / seeds
        lines.append(f"| Ouroloop, {name}, {seeds} seeds together | {each:.3f} | {PUBLISHED_CPU_S / each:.0f} |")
    return "\n".join(lines)


def result_table(arms: dict[str, Arm]) -> str:
    """Markdown: paper, reference and ours, a line a strength, then the controls."""
    lines = [
        "| strength | paper's figure (1 run) | ideal: reference (sd) | ideal: ours (sd) | forecast "
        "| released: reference (min-max) | released: ours (sd) |",
        "|---|---|---|---|---|---|---|",
    ]
    for g in STRENGTHS:
        ideal, released = arms[f"ideal-{g}"], arms[f"released-{g}"]
        mean, sd = REFERENCE_IDEAL[g]
        other, low, high = REFERENCE_RELEASED[g]
        forecast = "" if ideal.forecast is None else f"{ideal.forecast[-LAST:].mean():.4f}"
        lines.append(
            f"| {g} | {FIGURE[g][3]:.3f} | {mean:.4f} ({sd:.4f}) | {_text(ideal)} | {forecast} "
            f"| {other:.4f} ({low:.4f}-{high:.4f}) | {_text(released)} |"
        )
    lines += ["", "| control | W2, last 50 generations (sd) | forecast |", "|---|---|---|"]
    for name in CONTROLS:
        control = arms[name]
        forecast = "" if control.forecast is None else f"{control.forecast[-LAST:].mean():.4f}"
        lines.append(f"| {name} | {_text(control)} | {forecast} |")
    return "\n".join(lines)


def _text(found: Arm) -> str:
    return f"{found.ends.mean():.4f} ({found.ends.std(ddof=1):.4f})"


def figure(arms: dict[str, Arm], path: Path) -> None:
    """W2 over generations: ideal and released, with forecasts, published points and reference ranges."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    colours = plt.get_cmap("viridis")(np.linspace(0.0, 0.9, len(STRENGTHS)))
    fig, axes = plt.subplots(1, 2, figsize=(11.5, 5.4), sharex=True, sharey=True, layout="constrained")
    panels = (("ideal", "Exact corrector (the paper's definition)"), ("released", "Published code's corrector"))
    for axis, (mode, title) in zip(axes, panels, strict=True):
        axis.axhline(arms["real-only"].ends.mean(), color="0.45", lw=1.0, ls=":")
        heights = spaced([arms[f"{mode}-{g}"].distance[:, -1].mean() for g in STRENGTHS])
        for place, (g, colour) in enumerate(zip(STRENGTHS, colours, strict=True)):
            found = arms[f"{mode}-{g}"]
            mean = found.distance.mean(axis=0)
            half = 1.96 * found.distance.std(axis=0, ddof=1) / np.sqrt(len(found.distance))
            t = np.arange(len(mean))
            axis.plot(t, mean, color=colour, lw=1.3)
            axis.fill_between(t, mean - half, mean + half, color=colour, alpha=0.18, lw=0)
            if found.forecast is not None:
                axis.plot(t, found.forecast, color=colour, lw=1.1, ls=(0, (4, 2)))
            if mode == "ideal":
                axis.plot((100, 200, 300, 475), FIGURE[g], ls="", marker="D", ms=4.5, mfc=colour, mec="black", mew=0.6)
            else:
                centre, low, high = REFERENCE_RELEASED[g]
                spread = [[centre - low], [high - centre]]
                style = {"color": "black", "capsize": 2.5, "lw": 0.9, "marker": "o", "ms": 4, "mfc": colour, "mew": 0.6}
                axis.errorbar(440 + 15 * (place % 4), centre, spread, **style)
            axis.text(506, heights[place], g, va="center", fontsize=8, color="0.15")
        axis.set(title=title, xlabel="generation", yscale="log", xlim=(0, 535), ylim=(0.012, 0.8))
        axis.grid(True, which="major", color="0.88", lw=0.6)
        ticks = (0.02, 0.05, 0.1, 0.2, 0.5)
        axis.set_yticks(ticks, [f"{v:g}" for v in ticks])
        axis.minorticks_off()
    axes[0].set_ylabel("W2 to the target")
    handles = [
        Line2D([], [], color="0.3", lw=1.3, label="mean of 24 seeds (band: 95 %)"),
        Line2D([], [], color="0.3", lw=1.1, ls=(0, (4, 2)), label="forecast, no parameter fitted"),
        Line2D([], [], color="0.45", lw=1.0, ls=":", label="real data only"),
        Line2D([], [], color="0.3", ls="", marker="D", ms=4.5, mec="black", label="paper's figure, one run"),
        Line2D([], [], color="black", ls="-", marker="o", ms=4, label="published code, 24 runs, min to max"),
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=5, frameon=False, fontsize=8.5)
    fig.suptitle(
        "Gaussian loop, 50 real and 25 new synthetic rows a generation. Right of the curves: correction strength"
    )
    fig.savefig(path, dpi=130)
    plt.close(fig)


def spaced(heights: list[float], gap: float = 1.085) -> list[float]:
    """Heights of labels on a logarithmic axis, from the lowest up, at least a factor `gap` apart."""
    placed = sorted(heights)
    for i in range(1, len(placed)):
        placed[i] = max(placed[i], placed[i - 1] * gap)
    return [placed[i] for i in np.argsort(np.argsort(heights))]


def write(arms: dict[str, Arm], timing: str, seeds: int) -> None:
    """The three files."""
    table = result_table(arms)
    machine = f"2 cores, 24 GB, {platform.system()} {platform.machine()}, Python {platform.python_version()}"
    text = f"""# Speed of the Gaussian study

Command: `OMP_NUM_THREADS=1 python benchmarks/scsc_gaussian.py`. Date: 2026-11-23. Seeds: 0 to {seeds - 1}. Machine:
{machine}, NumPy {np.__version__}, one thread.
CPU-seconds of the process; the machine was shared, so wall time is not reported. The published code and the plain
rewrite were timed on the same kind of machine; the rewrite is the average over 24 seeds run one after the other.

{timing}

What was run is the whole loop: drawing, correcting, selecting and refitting, for every generation. The distances below
are computed afterwards (0.2 CPU-s in all). "ideal" is the exact sampler of the corrector's definition, "released" the
published code's histogram resampler.

## Results of the same run

{table}
"""
    (ROOT / "benchmarks" / "scsc_gaussian.md").write_text(text, encoding="utf-8")
    figure(arms, ROOT / "docs" / "studies" / "scsc-gaussian.png")
    page = ROOT / "docs" / "studies" / "scsc-gaussian.md"
    if page.is_file():
        marked = re.compile(r"(<!-- table -->\n).*?(<!-- /table -->)", re.DOTALL)
        old = page.read_text(encoding="utf-8")
        page.write_text(marked.sub(lambda m: f"{m[1]}\n{table}\n\n{m[2]}", old), encoding="utf-8")


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=24)
    parser.add_argument("--generations", type=int, default=500)
    options = parser.parse_args()
    if os.environ.get("OMP_NUM_THREADS") != "1":
        print("note: set OMP_NUM_THREADS=1, or CPU-seconds include idle threads of the linear algebra library")
    study, seeds = Study.read("scsc-gaussian", overrides=[f"generations={options.generations}"]), range(options.seeds)
    specs = {a.name: study.spec(a, 0).resolved() for a in study.arms}
    run_grid([{**s, "generations": 2} for s in specs.values()], range(2))  # imports and caches, not timed
    arms: dict[str, Arm] = {}
    cpu: dict[str, float] = {}
    groups = {mode: [f"{mode}-{g}" for g in STRENGTHS] for mode in ("ideal", "released")}
    for mode, members in {**groups, "controls": list(CONTROLS)}.items():
        results, taken = measure([specs[name] for name in members], seeds)
        arms |= {name: arm(specs[name], result) for name, result in zip(members, results, strict=True)}
        if mode != "controls":
            cpu[mode] = taken
    timing = timing_table(cpu, len(seeds))
    print(timing, result_table(arms), sep="\n\n")
    if len(seeds) == len(study.seeds) and options.generations == 500:
        write(arms, timing, len(seeds))


if __name__ == "__main__":
    main()
