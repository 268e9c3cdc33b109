"""Correct a pile of synthetic rows, with no loop: files in, corrected rows, a table of what happened, a page.

What was done is kept as a run directory, ``<out>/run``: its generation 0 is the pile as it came, generation 1 what is
left of it, both measured against the real rows. The page is the ordinary report of that run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop import options, registry
from ouroloop.corrected_folder import check_free, filling
from ouroloop.correction import Correction
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
    """Correct the rows of a file and write ``corrected.*`` (same format), ``corrections.parquet``, ``report.html``.

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

    Raises:
        DataError: no rows, other columns, or `out` is not empty; nothing is left in `out` then, nor after any error.
    """
    from ouroloop.correctors.strength import Strength
    from ouroloop.report import write_report
    from ouroloop.spec import apply_overrides, resolve_corrector

    mapping = apply_overrides({"kind": corrector, "correction_strength": correction_strength}, overrides)
    resolved, problems = resolve_corrector(mapping, ("corrector",))
    if problems:
        raise SpecError("\n".join(f"{'.'.join(map(str, path))}: {text}" for path, text in problems))
    if on_failure not in ("drop", "keep_raw"):
        raise SpecError(f"--on-failure: must be drop or keep_raw, got '{on_failure}'")
    check_free(out)
    reference, names = _read(real, label)
    raw, _ = _read(data, label, names or None)
    for rows, path in ((raw, data), (reference, real)):
        if len(rows) == 0:
            raise DataError(f"{path}: has no rows; nothing was written")
    _same_columns(raw, reference, data, real)
    raw = raw.replace(id=synthetic_ids(1, 0, len(raw)), origin=np.ones(len(raw)))
    own = getattr(registry.resolve("correctors", corrector), "own_strength", False)
    inner = {k: v for k, v in resolved.items() if own or k != "correction_strength"}
    part = options.build("correctors", inner)
    if not own:
        part = Strength(corrector=part, correction_strength=resolved["correction_strength"])
    key = Key(seed)
    ready = part.fit(Reference(reference, name=real.name), key=key.child("corrector"))
    correction = ready.correct(raw, key=key.child("correct"))
    kept = correction.survivors(on_failure)
    spec = {"name": data.name, "seed": seed, "generations": 1, "corrector": resolved, "on_failure": on_failure}
    spec |= {"data": {"kind": "files", "path": real.name}, "regime": {"kind": "pile"}, "generator": {"kind": "pile"}}
    spec["data"] |= {"label": label}
    with filling(out) as work:
        _write(work, data, kept, correction, names, label)
        _record(work / "run", spec, reference, correction, kept, key)
        page = write_report([work / "run"], work / "report.html", title=f"{data.name} corrected by {corrector}")
    counts = ", ".join(f"{count} {name}" for name, count in correction.counts().items() if count)
    moved = correction.distance[correction.verdict == Verdict.CHANGED]
    median = f", median distance moved {np.median(moved):.4g}" if len(moved) else ""
    few = "" if len(kept) >= _FEWEST else f"; too few to measure (at least {_FEWEST}), so there is no 'after'"
    return f"{len(raw)} rows: {counts}{median}\n{len(kept)} rows written to {out}{few}\nreport: {out / page.name}"


def _record(path: Path, spec: dict[str, Any], real: Samples, correction: Correction, kept: Samples, key: Key) -> None:
    """Keep the pile before and after as generations 0 and 1 of a run."""
    from ouroloop.environment import environment
    from ouroloop.previews import preview_of, preview_of_correction
    from ouroloop.store import RunStore

    raw = correction.raw
    metrics = [options.build("metrics", {"kind": kind}) for kind in _METRICS]
    ready = [m.fit(Reference(real, name="real"), key=key.child("metric", i)) for i, m in enumerate(metrics)]
    store = RunStore.create(path, spec=spec, fingerprint=spec, environment=environment(), arm="pile", seed=spec["seed"])
    with store.lock():
        for generation, rows in enumerate((raw, kept)):
            with store.begin(generation) as writer:
                if generation:
                    writer.table("synthetic").write(kept)
                    columns = {"id": raw.id, "parent": raw.parent}
                    writer.corrections().write(
                        {**columns, "verdict": correction.verdict, "distance": correction.distance}
                    )
                    writer.preview("corrections_preview", preview_of_correction(correction))
                writer.preview("preview", preview_of(rows))
                enough = ready if len(rows) >= _FEWEST else []
                found = [m.measure(rows, generator=_NOTHING, key=key.child("measure", i)) for i, m in enumerate(enough)]
                measured = [{f: getattr(m, f) for f in _FIELDS} for group in found for m in group]
                writer.commit(state={"verdicts": correction.counts()}, metrics=measured)


_METRICS = ("sliced_w2", "energy", "diversity", "nearest_real")
_FEWEST = 2  # rows that each of them needs
_FIELDS = ("metric", "value", "low", "high", "floor", "n")
_NOTHING: Any = None  # these metrics read rows alone


def _read(path: Path, label: str | None, order: tuple[str, ...] | None = None) -> tuple[Samples, tuple[str, ...]]:
    """Rows with one main column `x`, and the names of the columns that it was gathered from (none: it was `x`).

    Args:
        path: the file.
        label: column with class labels.
        order: columns to gather, in this order; None: all numeric ones.
    """
    from ouroloop.tables import read_samples

    samples = read_samples(path)
    if label is not None and label not in samples.data_columns:
        raise DataError(f"{path}: no column '{label}' for --label; there are {', '.join(samples.data_columns)}")
    if label not in (None, "label") and "label" in samples.data_columns:
        raise DataError(f"{path}: has a column 'label' besides '{label}'; rename or remove the one that is not meant")
    if label is not None:
        samples = Samples({("label" if k == label else k): v for k, v in samples.columns.items()})
    numeric = tuple(c for c in samples.data_columns if c != "label" and samples[c].dtype.kind in "biuf")
    if numeric == ("x",) and order is None:
        samples.check_finite(str(path))
        return samples, ()
    names = numeric if order is None else order
    missing = [c for c in names if c not in numeric]
    if missing or not names or any(samples[c].ndim != 1 for c in names):
        raise DataError(
            f"{path}: expected numeric columns {', '.join(names) or '(any)'}; there are {', '.join(numeric)}"
        )
    others = {c: samples[c] for c in samples.columns if c not in numeric}
    samples = Samples({"x": np.stack([samples[c].astype(np.float64) for c in names], axis=1), **others})
    samples.check_finite(str(path))
    return samples, names


def _same_columns(raw: Samples, real: Samples, data: Path, real_path: Path) -> None:
    if raw.x.shape[1:] != real.x.shape[1:]:
        raise DataError(f"{data}: rows of shape {raw.x.shape[1:]}, but {real_path} has rows of {real.x.shape[1:]}")
    if set(raw.data_columns) != set(real.data_columns):
        raise DataError(
            f"{data} has columns {', '.join(raw.data_columns)} but {real_path} has {', '.join(real.data_columns)}"
        )


def _write(
    out: Path, data: Path, kept: Samples, correction: Correction, names: tuple[str, ...], label: str | None
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from ouroloop.tables import write_samples

    columns = dict(kept.columns)
    if names:  # back into the columns that the rows came in
        x = columns.pop("x")
        columns = {**{name: x[:, i] for i, name in enumerate(names)}, **columns}
    if label is not None:
        columns = {(label if name == "label" else name): column for name, column in columns.items()}
    write_samples(out / f"corrected{data.suffix}", Samples(columns))
    raw = correction.raw
    table = {
        "id": raw.id,
        "parent": raw.parent,
        "verdict": [Verdict(v).name.lower() for v in correction.verdict],
        "distance": correction.distance,
    }
    pq.write_table(pa.table(table), out / "corrections.parquet")
