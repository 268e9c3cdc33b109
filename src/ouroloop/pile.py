"""Correct a pile of synthetic rows, with no loop: files in, corrected rows, a table of what happened, a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop import options
from ouroloop.errors import DataError, SpecError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict, synthetic_ids

__all__ = ["correct_pile"]


def correct_pile(
    data: Path,
    *,
    real: Path,
    corrector: str,
    out: Path,
    correction_strength: float = float("inf"),
    label: str | None = None,
    on_failure: str = "drop",
    seed: int = 0,
    overrides: Sequence[str] = (),
) -> str:
    """Correct the rows of a file and write ``corrected.*`` (the format of `data`), ``corrections.parquet``, ``report.html``.

    Args:
        data: synthetic rows; .npy, .npz, .csv, .parquet or .arrow.
        real: real rows with the same columns.
        corrector: a corrector's name. overrides: its options, ``blend=0.5``.
        out: a new or empty folder.
        correction_strength: SCSC's gamma.
        label: column with class labels.
        on_failure: "drop" or "keep_raw".
        seed: seed of the corrector's random streams.

    Returns:
        A few lines that say what was done.
    """
    from ouroloop.correctors.strength import Strength
    from ouroloop.report.pile import write_pile_report
    from ouroloop.spec import apply_overrides

    mapping = apply_overrides({"kind": corrector}, overrides)
    resolved, problems = options.resolve_options("correctors", mapping, ("corrector",))
    if problems:
        raise SpecError("\n".join(f"{'.'.join(map(str, path))}: {text}" for path, text in problems))
    if on_failure not in ("drop", "keep_raw"):
        raise SpecError(f"--on-failure: must be drop or keep_raw, got '{on_failure}'")
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; choose another folder, nothing was written")
    raw, reference = _read(data, label), _read(real, label)
    _same_columns(raw, reference, data, real)
    raw = raw.replace(id=synthetic_ids(1, 0, len(raw)), origin=np.ones(len(raw)))
    part = options.build("correctors", resolved)
    if not getattr(part, "own_strength", False):
        part = Strength(corrector=part, correction_strength=correction_strength)
    key = Key(seed)
    ready = part.fit(Reference(reference, name=real.name), key=key.child("corrector"))
    correction = ready.correct(raw, key=key.child("correct"))
    kept = correction.survivors(on_failure)
    out.mkdir(parents=True, exist_ok=True)
    _write(out, data.suffix, kept, correction, raw)
    page = write_pile_report(out, raw=raw, correction=correction, title=f"{data.name} corrected by {corrector}")
    counts = ", ".join(f"{count} {name}" for name, count in correction.counts().items() if count)
    moved = correction.distance[correction.verdict == Verdict.CHANGED]
    median = f", median distance moved {np.median(moved):.4g}" if len(moved) else ""
    return f"{len(raw)} rows: {counts}{median}\n{len(kept)} rows written to {out}\nreport: {page}"


def _read(path: Path, label: str | None) -> Samples:
    from ouroloop.tables import read_samples

    samples = read_samples(path)
    if label is not None and label != "label":
        samples = Samples({("label" if k == label else k): v for k, v in samples.columns.items()})
    if "x" not in samples.data_columns:
        numeric = [c for c in samples.data_columns if c != "label" and samples[c].dtype.kind in "biuf"]
        if not numeric:
            raise DataError(f"{path}: no numeric column to correct; there are {', '.join(samples.data_columns)}")
        x = np.stack([samples[c].astype(np.float64) for c in numeric], axis=1)
        samples = samples.replace(x=x)
    samples.check_finite(str(path))
    return samples


def _same_columns(raw: Samples, real: Samples, data: Path, real_path: Path) -> None:
    if raw.x.shape[1:] != real.x.shape[1:]:
        raise DataError(f"{data}: rows of shape {raw.x.shape[1:]}, but {real_path} has rows of {real.x.shape[1:]}")
    if set(raw.data_columns) != set(real.data_columns):
        raise DataError(
            f"{data} has columns {', '.join(raw.data_columns)} but {real_path} has {', '.join(real.data_columns)}"
        )


def _write(out: Path, suffix: str, kept: Samples, correction: Any, raw: Samples) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ouroloop.tables import write_samples

    numeric = [c for c in raw.data_columns if c not in ("x", "label")]
    if suffix not in (".npy", ".npz", ".arrow") and numeric:
        spread = [c for c in numeric if raw[c].dtype.kind in "biuf"]
        kept = kept.replace(**{c: kept.x[:, i] for i, c in enumerate(spread)})
        kept = kept.only([c for c in kept.data_columns if c != "x"])
    write_samples(out / f"corrected{suffix}", kept)
    table = {
        "id": raw.id,
        "parent": raw.parent,
        "verdict": [Verdict(v).name.lower() for v in correction.verdict],
        "distance": correction.distance,
    }
    pq.write_table(pa.table(table), out / "corrections.parquet")
