"""Writes realistic run and study directories, with numpy and pyarrow alone, for the tests of the report.

The curves are made up (they only have to look like the real thing); nothing here measures anything.
``python tests/report/make_runs.py FOLDER`` writes all of them for looking at.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["HOSTILE", "digits_study", "gaussian_study", "hostile_run", "text_run", "write_arrow", "write_run"]

HOSTILE = "<script>alert(1)</script>"
FONT = {  # 5 x 3 bitmaps of the ten digits, one bit a pixel
    0: "111101101101111", 1: "010110010010111", 2: "111001111100111", 3: "111001111001111", 4: "101101111001001",
    5: "111100111001111", 6: "111100111101111", 7: "111001010010010", 8: "111101111101111", 9: "111101111001111",
}  # fmt: skip


def tensor(values: np.ndarray) -> pa.Array:
    """Rows as a fixed_shape_tensor column."""
    return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(values))


def write_arrow(path: Path, columns: Mapping[str, np.ndarray | Sequence[str]]) -> None:
    """An Arrow IPC file; arrays of two or more dimensions become tensors."""
    arrays = {
        name: tensor(value) if isinstance(value, np.ndarray) and value.ndim > 1 else pa.array(value)
        for name, value in columns.items()
    }
    table = pa.table(arrays)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def metric_rows(arm: str, seed: int, curves: Mapping[str, Mapping[str, np.ndarray]]) -> pa.Table:
    """metrics.parquet in long form. A curve has value (g,) and optionally generation, low, high, floor, forecast."""
    parts = []
    for metric, curve in curves.items():
        g = len(curve["value"])
        nothing = np.full(g, np.nan)
        numbers = {
            k: np.asarray(curve.get(k, nothing), np.float64) for k in ("value", "low", "high", "floor", "forecast")
        }
        parts.append(
            pa.table(
                {
                    "arm": [arm] * g,
                    "seed": pa.array([seed] * g, pa.int64()),
                    "generation": pa.array(curve.get("generation", np.arange(g)), pa.int32()),
                    "metric": [metric] * g,
                    **numbers,
                    "n": pa.array([1000] * g, pa.int64()),
                }
            )
        )
    return pa.concat_tables(parts)


def write_run(
    path: Path,
    *,
    arm: str,
    seed: int,
    curves: Mapping[str, Mapping[str, np.ndarray]],
    spec: str,
    forecasts: Sequence[Mapping[str, Any]] = (),
    previews: Mapping[int, Mapping[str, Any]] | None = None,
    corrections: Mapping[int, tuple[np.ndarray, np.ndarray]] | None = None,
    pairs: Mapping[int, Mapping[str, Any]] | None = None,
) -> Path:
    """One run directory in the project's format."""
    path.mkdir(parents=True)
    pq.write_table(metric_rows(arm, seed, curves), path / "metrics.parquet")
    (path / "spec.yaml").write_text(spec, encoding="utf-8")
    environment = {"python": "3.11.9", "cpus": 2, "packages": {"ouroloop": "0.1.0", "numpy": "2.4.6"}}
    (path / "environment.json").write_text(json.dumps(environment))
    (path / "forecasts.json").write_text(json.dumps(list(forecasts)))
    (path / "events.jsonl").write_text('{"event": "started"}\n')
    previews, corrections, pairs = previews or {}, corrections or {}, pairs or {}
    for generation in sorted({*previews, *corrections, *pairs}):
        folder = path / "generations" / f"{generation:04d}"
        folder.mkdir(parents=True)
        if generation in previews:
            write_arrow(folder / "preview.arrow", previews[generation])
        if generation in pairs:
            write_arrow(folder / "corrections_preview.arrow", pairs[generation])
        if generation in corrections:
            verdict, distance = corrections[generation]
            ids = np.arange(len(verdict))
            table = {"id": ids, "parent": ids, "verdict": verdict.astype(np.int8), "distance": distance}
            pq.write_table(pa.table(table), folder / "corrections.parquet")
    return path


def glyphs(labels: np.ndarray, rng: np.random.Generator, wear: float) -> np.ndarray:
    """8 x 8 digits (n, 8, 8) in 0..16; `wear` in [0, 1] blurs them into their class means."""
    images = np.zeros((len(labels), 8, 8))
    for i, label in enumerate(labels.tolist()):
        bits = np.array([int(b) for b in FONT[label]], float).reshape(5, 3)
        big = np.kron(bits, np.array([[1.0, 0.75]]))[:, :6]
        dx = rng.integers(0, 3) if rng.random() > wear else 1
        dy = rng.integers(0, 4) if rng.random() > wear else 1
        images[i, dy : dy + 5, dx : dx + 6] = big * rng.uniform(0.8, 1.0)
    soft = images.copy()
    for axis in (1, 2):
        soft = 0.5 * soft + 0.25 * np.roll(soft, 1, axis) + 0.25 * np.roll(soft, -1, axis)
    mix = 0.35 + 0.65 * wear
    noise = rng.normal(0, 0.05 + 0.12 * wear, images.shape)
    return np.clip(16 * ((1 - mix) * images + mix * soft * (1 - 0.35 * wear) + noise), 0, 16).astype(np.float32)


DIGIT_ARMS = {
    "no_correction": ("No correction", "arm", 1.0),
    "cluster": ("Cluster correction", "arm", 0.16),
    "real_only": ("Real data only", "control", 0.03),
}


def digits_study(
    root: Path, *, generations: int = 10, seeds: Sequence[int] = (0, 1, 2), keep_previews: bool = True
) -> Path:
    """The demo: 8 x 8 images, three arms, three seeds, eleven generations."""
    for arm, (_, _, wear) in DIGIT_ARMS.items():
        for seed in seeds:
            _digits_run(root / arm / f"seed-{seed}", arm, seed, wear, generations, keep_previews)
    checks = [
        ("Without correction, the distance grows fivefold in ten generations", "Fig. 5", "ratio ≥ 5", "9.4", "holds"),
        ("Correction keeps the distance within twice the floor", "Fig. 5", "ratio ≤ 2", "2.6", "fails"),
        ("Recall of the corrected arm stays above 0.8", "", "≥ 0.8", "", "not measured"),
    ]
    study = {
        "name": "digits",
        "title": "Handwritten digits: a diffusion model trained on its own output",
        "description": "A class-conditional diffusion model on 1,797 real 8×8 digits. Every generation trains on the "
        "real images and as many of its own.",
        "reference": "Gillman et al., Self-Correcting Self-Consuming Loops for Generative Model Training, ICML 2024, "
        "arXiv:2402.07087.",
        "arms": [{"name": n, "label": label, "role": role} for n, (label, role, _) in DIGIT_ARMS.items()],
        "checks": [
            dict(zip(("statement", "paper", "expected", "measured", "verdict"), c, strict=True)) for c in checks
        ],
        "created": "2025-01-01T00:00:00Z",
    }
    study["checks"][1]["note"] = "the floor was measured at n = 1,000"
    (root / "study.json").write_text(json.dumps(study), encoding="utf-8")
    return root


def _digits_run(path: Path, arm: str, seed: int, wear: float, generations: int, keep_previews: bool) -> None:
    rng = np.random.default_rng([seed, len(arm)])
    t = np.arange(generations + 1)
    grow = wear * (1 - np.exp(-t / 5))
    labels = np.repeat(np.arange(10), 10)
    fid = 1.9 + 34 * grow**1.6 * (1 + 0.05 * rng.normal()) + 0.18 * rng.normal(size=len(t))
    fid = np.maximum(fid, 1.2)
    floor = 1.4 + 0.08 * rng.normal(size=len(t))
    recall = np.clip(0.91 - 0.75 * grow + 0.02 * rng.normal(size=len(t)), 0, 1)
    ratio = np.where(t == 0, 0.0, 0.0 if arm == "real_only" else 1.0)
    moved = np.where(t == 0, np.nan, 3.1 + 1.2 * grow + 0.1 * rng.normal(size=len(t))) if arm == "cluster" else 0 * t
    curves = {
        "fid": {"value": fid, "low": fid * 0.93, "high": fid * 1.08, "floor": floor},
        "kid": {"value": fid**1.3 * 1e-3, "low": fid**1.3 * 9e-4, "high": fid**1.3 * 1.1e-3, "floor": floor * 1e-3},
        "precision": {
            "value": np.clip(0.93 - 0.3 * grow + 0.01 * rng.normal(size=len(t)), 0, 1),
            "floor": 0 * t + 0.95,
        },
        "recall": {"value": recall, "low": recall - 0.03, "high": recall + 0.03, "floor": 0 * t + 0.94},
        "diversity": {"value": 21 - 12 * grow + 0.3 * rng.normal(size=len(t)), "floor": 0 * t + 21.3},
        "alarm": {"value": np.where(fid > 12, 2, np.where(fid > 5, 1, 0))},
        "synthetic_ratio": {"value": ratio},
        "training_rows": {"value": 1000 * (1 + ratio)},
        "corrected_share": {"value": np.where(t > 0, 1.0 if arm == "cluster" else 0.0, 0.0)},
        "distance_moved": {"value": moved},
    }
    corrections, pairs = {}, {}
    for g in range(1, generations + 1):
        if arm == "cluster":
            corrections[g] = (rng.choice([0, 1, 2, 3], 400, p=[0.05, 0.88, 0.05, 0.02]), rng.gamma(6, 0.5, 400))
            before, after = glyphs(labels[:64], rng, 0.5), glyphs(labels[:64], rng, 0.1)
            pairs[g] = {"before": before, "x": after, "label": labels[:64], "verdict": np.ones(64, np.int8),
                        "distance": rng.gamma(6, 0.5, 64)}  # fmt: skip
        elif arm == "no_correction":
            corrections[g] = (np.zeros(400, int), np.zeros(400))
    previews = {g: {"x": glyphs(labels, rng, float(grow[g])), "label": labels} for g in t.tolist()}
    write_run(
        path, arm=arm, seed=seed, curves=curves, spec=_digits_spec(arm, seed, generations),
        previews=previews if keep_previews else None, corrections=corrections, pairs=pairs,
    )  # fmt: skip


def _digits_spec(arm: str, seed: int, generations: int) -> str:
    regime = "real_only" if arm == "real_only" else "fixed_real"
    corrector = "cluster" if arm == "cluster" else "identity"
    return (
        f"arm: {arm}\nseed: {seed}\ngenerations: {generations}\ndataset:\n  name: digits\n"
        "generator:\n  name: image_diffusion\n  steps: 400\n  channels: 32\n"
        f"regime:\n  name: {regime}\n  synthetic_ratio: 1.0\ncorrector:\n  name: {corrector}\n"
        "metrics:\n- name: fid\n- name: prdc\n"
    )


def gaussian_study(
    root: Path, *, gammas: Sequence[float] = (0, 0.01, 0.03, 0.1, 0.3, 1, 2, 5), generations: int = 500,
    seeds: Sequence[int] = tuple(range(24)), preview_every: int = 50,
) -> Path:  # fmt: skip
    """Points in the plane, many generations and seeds, exact forecasts, one of them wrong on purpose."""
    t = np.arange(generations + 1)
    for gamma in gammas:
        arm = f"gamma-{gamma:g}"
        expected = 0.12 + 1.5 * (1 - np.exp(-t / 220)) / (1 + 3 * gamma)
        told = expected * (1.6 if gamma == 0.3 else 1.0)
        forecasts = [
            {"metric": "gaussian_w2", "label": "finite-n loop", "source": "closed form, eq. 7", "validity": "exact",
             "note": "", "units": "", "values": told.tolist()},
            {"metric": "gaussian_w2", "label": "stability bound", "source": "Gillman et al. 2024, Theorem 4.3",
             "validity": "sufficient bound", "note": "holds for small synthetic ratios", "units": "",
             "values": (2.2 + 0 * t).tolist()},
        ]  # fmt: skip
        for seed in seeds:
            rng = np.random.default_rng([seed, int(1000 * gamma)])
            w2 = expected * np.exp(0.12 * np.cumsum(rng.normal(size=len(t))) / np.sqrt(t + 20)) + 0.01 * rng.random(
                len(t)
            )
            spread = 1 / (1 + 0.8 * expected)
            curves = {
                "gaussian_w2": {"value": w2, "floor": 0 * t + 0.11},
                "variance": {"value": spread + 0.02 * rng.normal(size=len(t))},
                "alarm": {"value": np.where(w2 > 1.2, 2, np.where(w2 > 0.6, 1, 0))},
                "synthetic_ratio": {"value": t * 25 / 50},
            }
            kept = [g for g in t.tolist() if g % preview_every == 0]
            previews = {g: {"x": rng.normal(0, np.sqrt(spread[g]) * np.array([1, 0.6]), (100, 2))} for g in kept}
            spec = (
                f"arm: {arm}\nseed: {seed}\ngenerations: {generations}\ndataset: {{name: gaussian}}\n"
                f"corrector: {{name: ideal, correction_strength: {gamma:g}}}\nregime: {{name: linear_accumulate}}\n"
            )
            write_run(root / arm / f"seed-{seed}", arm=arm, seed=seed, curves=curves, spec=spec,
                      forecasts=forecasts, previews=previews)  # fmt: skip
    study = {
        "name": "scsc-gaussian",
        "title": "Two-dimensional Gaussian, eight correction strengths",
        "description": "50 real points, 25 synthetic ones more in each generation.",
        "reference": "Gillman et al. 2024, Section 5.",
        "arms": [{"name": f"gamma-{g:g}", "label": f"γ = {g:g}", "role": "arm"} for g in gammas],
        "checks": [],
    }
    (root / "study.json").write_text(json.dumps(study), encoding="utf-8")
    return root


def text_run(path: Path) -> Path:
    """Text samples, a single seed, corrections of text, Unicode."""
    t = np.arange(6)
    entropy = 4.2 - 0.3 * t
    curves = {
        "class_entropy": {"value": entropy, "low": entropy - 0.1, "high": entropy + 0.1},
        "nll": {"value": 2 + 0.2 * t, "low": 1.9 + 0.2 * t, "high": 2.1 + 0.2 * t, "floor": 0 * t + 2.0},
        "alarm": {"value": np.minimum(t // 2, 2)},
    }
    words = ["der Löwe schläft", "獅子が眠る", "the lion sleeps 🦁", "lion lion lion"]
    previews = {g: {"x": [f"{w} (t={g})" for w in words]} for g in t.tolist()}
    pairs = {5: {"before": words, "x": [w.upper() for w in words], "verdict": np.array([1, 1, 1, 3], np.int8),
                 "distance": np.array([1.0, 1.0, 1.0, np.nan])}}  # fmt: skip
    corrections = {5: (np.array([1, 1, 1, 3]), np.array([1.0, 1.0, 1.0, np.nan]))}
    return write_run(path, arm="текст", seed=0, curves=curves, spec="arm: текст\ngenerations: 8\n", previews=previews,
                     pairs=pairs, corrections=corrections)  # fmt: skip


def hostile_run(path: Path) -> Path:
    """HTML in every place that a text can come from."""
    evil = f"{HOSTILE}<img src=x onerror=alert(2)>\"'</title></style>"
    t = np.arange(3)
    curves = {evil: {"value": 1.0 + t, "floor": 0 * t + 0.5}, "alarm": {"value": 0 * t}}
    forecast = {"metric": evil, "label": evil, "source": evil, "validity": evil, "note": evil, "values": [1, 2, 3]}
    previews = {g: {"x": np.full((4, 3), float(g)), "caption": [evil] * 4} for g in t.tolist()}
    pairs = {2: {"before": [evil], "x": [evil], "verdict": np.array([1], np.int8), "distance": np.array([1.0])}}
    write_run(path, arm=evil, seed=0, curves=curves, spec=f"arm: |\n  {evil}\ngenerations: 2\n", forecasts=[forecast],
              previews=previews, pairs=pairs)  # fmt: skip
    check = dict.fromkeys(("statement", "paper", "expected", "measured", "verdict", "note"), evil)
    study = {"name": evil, "title": evil, "description": evil, "reference": evil, "checks": [check],
             "arms": [{"name": evil, "label": evil, "role": evil}]}  # fmt: skip
    (path / "study.json").write_text(json.dumps(study))
    (path / "environment.json").write_text(json.dumps({evil: evil, "command": evil}))
    return path


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    digits_study(folder / "digits")
    gaussian_study(folder / "gaussian", seeds=range(8))
    text_run(folder / "text")
    hostile_run(folder / "hostile")
