"""Correct files of motions, with no loop: a folder of BVH and other files in, corrected motions, a table and a page.

Motions keep their length and frame rate. They come out with HumanML3D's 22 joints, whatever skeleton they came with:
the corrector works on these. What was done is kept as a run directory, ``<out>/run``: its generation 0 is the motions
as they came, generation 1 what became of them. The page is the ordinary report of that run, with its player.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop import options, registry
from ouroloop.corrected_folder import check_free, filling
from ouroloop.errors import DataError, SpecError
from ouroloop.keys import Key
from ouroloop.motion_record import Shown, record, show
from ouroloop.motion_rows import MEASURES, Row, row_of, write_table
from ouroloop.progress import report
from ouroloop.samples import Verdict

if TYPE_CHECKING:
    from ouroloop.motion.motion import Motion
    from ouroloop.motion.physics.result import PhysicsResult

__all__ = ["correct_motions", "corrects_motions"]

_BATCH = 32  # motions held at a time


def corrects_motions(corrector: str) -> bool:
    """Whether a corrector's name stands for one that works on joint positions."""
    return hasattr(registry.resolve("correctors", corrector), "judge")


def correct_motions(
    source: Path,
    *,
    corrector: str,
    out: Path,
    correction_strength: float = float("inf"),
    on_failure: str = "drop",
    seed: int = 0,
    overrides: Sequence[str] = (),
    units: str | None = None,
    up: str | None = None,
    fps: float | None = None,
    ending: str = ".bvh",
) -> str:
    """Correct the motions of a file or folder; write ``motions/``, ``corrections.parquet`` and ``report.html``.

    Args:
        source: a motion file, or a folder of them (see `ouroloop.motion.files`).
        corrector: the name of a corrector of motions. overrides: its options, ``recovery=keep``.
        out: a new or empty folder.
        correction_strength: SCSC's gamma: a motion is corrected with probability gamma / (1 + gamma).
        on_failure: what becomes of motions that failed: "drop", or "keep_raw".
        seed: of the choice that the strength makes.
        units, up, fps: of the files, where they do not say.
        ending: format of the corrected motions, ".bvh" or ".npz".

    Returns:
        A few lines that say what was done. Files that cannot be read are lines of the table, with the reason.
    """
    part, resolved, share = _part(corrector, correction_strength, overrides)
    if on_failure not in ("drop", "keep_raw"):
        raise SpecError(f"--on-failure: must be drop or keep_raw, got '{on_failure}'")
    if ending not in (".bvh", ".npz"):
        raise SpecError(f"--format: must be bvh or npz, got '{ending}'")
    check_free(out)
    rows: list[Row] = []
    shown = Shown()
    guessed: list[str] = []
    motions = _quietly(_read(source, rows, units, up, fps), guessed)
    first = next(motions, None)
    if first is None:
        raise DataError(f"{source}: no motion could be read\n" + "\n".join(r.message for r in rows[:5]))
    given = {"units": units, "fps": fps, "format": None if ending == ".bvh" else ending[1:]}
    spec = {"name": source.name, "seed": seed, "generations": 1, "corrector": resolved, "on_failure": on_failure}
    spec |= {
        "data": {"kind": "motions", "path": source.name, **given},
        "regime": {"kind": "pile"},
        "generator": {"kind": "pile"},
    }
    with filling(out, keep=True) as work:  # hours of simulation, perhaps
        (work / "motions").mkdir()
        rng, taken, total = Key(seed).child("strength").rng(), set[str](), _count(source)
        for batch in _batches(first, motions):
            chosen = rng.random(len(batch)) < share
            _correct_batch(part, batch, chosen, work / "motions", on_failure, ending, rows, shown, taken)
            report("correct", len(rows), max(total, len(rows)))
        write_table(rows, work / "corrections.parquet")
        record(work / "run", spec, rows, shown)
    return _summary(rows, out, source, corrector, guessed)


def _quietly(motions: Iterator[Any], guessed: list[str]) -> Iterator[Any]:
    """The same motions; warnings about guessed units are gathered, to be said once."""
    from ouroloop.motion.units import UnitsWarning

    while True:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UnitsWarning)
            motion = next(motions, None)
        guessed += [str(w.message) for w in caught if issubclass(w.category, UnitsWarning)]
        for other in (w for w in caught if not issubclass(w.category, UnitsWarning)):
            warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
        if motion is None:
            return
        yield motion


def _part(corrector: str, strength: float, overrides: Sequence[str]) -> tuple[Any, dict[str, Any], float]:
    from ouroloop.spec import apply_overrides, resolve_corrector

    given = apply_overrides({"kind": corrector, "correction_strength": strength}, overrides)
    resolved, problems = resolve_corrector(given, ("corrector",))
    if problems:
        raise SpecError("\n".join(f"{'.'.join(map(str, path))}: {text}" for path, text in problems))
    gamma = float(resolved["correction_strength"])
    part = options.build("correctors", {k: v for k, v in resolved.items() if k != "correction_strength"})
    return part, resolved, 1.0 - 1.0 / (1.0 + gamma)


def _count(source: Path) -> int:
    from ouroloop.motion.files import READABLE

    return 1 if source.is_file() else sum(p.suffix.lower() in READABLE for p in source.rglob("*"))


def _read(
    source: Path, rows: list[Row], units: str | None, up: Any, fps: float | None
) -> Iterator[tuple[Motion, np.ndarray]]:
    """Motions with their 22 joint positions (T, 22, 3); what cannot be read becomes a row at once."""
    from ouroloop.motion.files import read_folder, read_motions
    from ouroloop.motion.mapping import to_humanml3d

    def unreadable(path: Path, name: str, error: DataError) -> None:
        rows.append(Row(name=name, source=path.name, message=str(error)))

    if source.is_dir():
        found = read_folder(source, units=units, up=up, fps=fps, on_error=unreadable)
    else:
        found = read_motions(source, units=units, up=up, fps=fps, on_error=unreadable)
    for motion in found:
        try:
            yield motion, to_humanml3d(motion)
        except DataError as error:
            rows.append(Row(name=motion.name, frames=len(motion), fps=motion.fps, message=str(error)))


def _batches(first: Any, others: Iterator[Any]) -> Iterator[list[Any]]:
    batch = [first, *islice(others, _BATCH - 1)]
    while batch:
        yield batch
        batch = list(islice(others, _BATCH))


def _correct_batch(
    part: Any,
    batch: list[tuple[Motion, np.ndarray]],
    chosen: np.ndarray,
    folder: Path,
    on_failure: str,
    ending: str,
    rows: list[Row],
    shown: Shown,
    taken: set[str],
) -> None:
    from ouroloop.motion.files import write_motion

    answers: dict[int, tuple[np.ndarray, Verdict, PhysicsResult | None]] = {}
    for rate in sorted({motion.fps for (motion, _), use in zip(batch, chosen, strict=True) if use}):
        members = [i for i, (motion, _) in enumerate(batch) if chosen[i] and motion.fps == rate]
        positions = [batch[i][1] for i in members]
        if hasattr(part, "simulate"):
            results = part.simulate(positions, rate)
            found = zip([r.positions for r in results], part.verdicts(results), results, strict=True)
        else:
            found = zip(*part.judge(positions, rate), [None] * len(members), strict=True)
        answers |= dict(zip(members, found, strict=True))
    for index, (motion, before) in enumerate(batch):
        after, verdict, result = answers.get(index, (before, Verdict.KEPT, None))
        row = row_of(motion, before, after, verdict, result)
        rows.append(row)
        keep = verdict in (Verdict.KEPT, Verdict.CHANGED) or (verdict == Verdict.FAILED and on_failure == "keep_raw")
        if keep:
            row.file = _free(motion.name or "motion", ending, taken)
            write_motion(folder / row.file, _motion(motion, after, verdict, result))
        show(shown, motion, before, after, verdict, row)


def _motion(motion: Motion, after: np.ndarray, verdict: Verdict, result: PhysicsResult | None) -> Motion:
    """What is written: the motion itself where nothing was changed, else the corrected one with its words."""
    from dataclasses import replace

    from ouroloop.motion.inverse_kinematics import motion_from_positions
    from ouroloop.motion.motion import Motion

    if verdict != Verdict.CHANGED:
        return motion
    if result is not None and result.skeleton is not None and result.root is not None and result.rotations is not None:
        made = Motion(result.skeleton, result.root, result.rotations, motion.fps)
    else:
        made = motion_from_positions(after, motion.fps)
    return replace(made, name=motion.name, caption=motion.caption, source=motion.source, licence=motion.licence)


def _free(name: str, ending: str, taken: set[str]) -> str:
    """A file name made of a motion's name that is not taken yet; it then is."""
    import re

    from ouroloop.errors import StoreError
    from ouroloop.names import safe_name

    stem = re.sub(r"[^A-Za-z0-9_.+=@ -]+", "_", name)[:100].strip(" ._") or "motion"
    try:
        safe_name(stem)
    except StoreError:  # a name that some systems reserve
        stem = f"motion_{stem}"
    found = next(n for i in range(len(taken) + 1) if (n := f"{stem}{f'-{i + 1}' if i else ''}{ending}") not in taken)
    taken.add(found)
    return found


def _summary(rows: list[Row], out: Path, source: Path, corrector: str, guessed: list[str]) -> str:
    from ouroloop.report import write_report

    page = write_report([out / "run"], out / "report.html", title=f"{source.name} corrected by {corrector}")
    verdicts = [row.verdict for row in rows]
    lines = [f"{len(rows)} motions: " + ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts)))]
    for name in MEASURES:
        pairs = np.array([(getattr(r, f"{name}_before"), getattr(r, f"{name}_after")) for r in rows])
        pairs = pairs[np.isfinite(pairs).all(axis=1)]
        if len(pairs):
            lines.append(f"{name.replace('_', ' ')}: {pairs[:, 0].mean():.2f} -> {pairs[:, 1].mean():.2f} mm a frame")
    if guessed:
        lines.append(f"units were guessed for {len(guessed)} files; give --units to be sure. The first: {guessed[0]}")
    problems = [f"  {row.name}: {row.message}" for row in rows if row.verdict in ("failed", "dropped") and row.message]
    if problems:
        lines += [
            "not corrected:",
            *problems[:10],
            *([f"  and {len(problems) - 10} more"] if len(problems) > 10 else []),
        ]
    return "\n".join(
        [*lines, f"{len([r for r in rows if r.file])} motions written to {out / 'motions'}", f"report: {page}"]
    )
