"""Correct files of motions, with no loop: a folder of BVH and other files in, corrected motions, a table and a page.

Motions keep their length and frame rate. They come out with HumanML3D's 22 joints, whatever skeleton they came with:
the corrector works on these. What was done is kept as a run directory, ``<out>/run``: its generation 0 is the motions
as they came, generation 1 what became of them. The page is the ordinary report of that run, with its player.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ouroloop import options, registry
from ouroloop.corrected_folder import check_free, filling
from ouroloop.errors import DataError, OuroloopError, SpecError
from ouroloop.keys import Key
from ouroloop.progress import report
from ouroloop.samples import Verdict

if TYPE_CHECKING:
    from ouroloop.motion.motion import Motion
    from ouroloop.motion.physics.result import PhysicsResult

__all__ = ["correct_motions", "corrects_motions"]

_BATCH = 32  # motions held at a time
_SHOWN = 48  # motions kept for the page
_FRAMES = 196  # frames of one on the page, at 20 a second
_LOOP_VERDICTS = {
    **{verdict.name.lower(): verdict for verdict in Verdict},
    **dict.fromkeys(("unchanged", "corrected", "blended"), Verdict.CHANGED),
}
_MEASURES = ("penetration", "floating", "skating", "physics_error")


def corrects_motions(corrector: str) -> bool:
    """Whether a corrector's name stands for one that works on joint positions."""
    return hasattr(registry.resolve("correctors", corrector), "judge")


@dataclass(kw_only=True)
class _Row:
    """One motion's line in corrections.parquet. Lengths in mm, residual force in body weights, torque in N m."""

    name: str
    source: str = ""  # the file it came from, where that could not be read
    file: str = ""  # what was written
    frames: int = 0
    fps: float = float("nan")
    verdict: str = "failed"
    message: str = ""
    distance_moved: float = float("nan")
    tracking_error: float = float("nan")
    fell: bool = False
    assistance: float = float("nan")
    residual_force: float = float("nan")
    residual_torque: float = float("nan")
    residual_share: float = float("nan")
    penetration_before: float = float("nan")
    penetration_after: float = float("nan")
    floating_before: float = float("nan")
    floating_after: float = float("nan")
    skating_before: float = float("nan")
    skating_after: float = float("nan")
    physics_error_before: float = float("nan")
    physics_error_after: float = float("nan")


class _Drawn(NamedTuple):
    """A motion for the page: features before and after, at 20 frames a second."""

    severity: tuple[int, float]
    row: _Row
    before: np.ndarray
    after: np.ndarray
    caption: str
    verdict: Verdict


@dataclass
class _Shown:
    """The motions for the page, those that went worst first."""

    drawn: list[_Drawn] = field(default_factory=list)

    def wants(self, severity: tuple[int, float]) -> bool:
        """Whether a motion of this severity would be among those that are shown."""
        return len(self.drawn) < _SHOWN or severity > self.drawn[-1].severity

    def add(self, motion: _Drawn) -> None:
        """Keep a motion, and the worst of all."""
        self.drawn = sorted([*self.drawn, motion], key=lambda m: m.severity, reverse=True)[:_SHOWN]


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
    rows: list[_Row] = []
    shown = _Shown()
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
        _write_table(rows, work / "corrections.parquet")
        _record(work / "run", spec, rows, shown)
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
    source: Path, rows: list[_Row], units: str | None, up: Any, fps: float | None
) -> Iterator[tuple[Motion, np.ndarray]]:
    """Motions with their 22 joint positions (T, 22, 3); what cannot be read becomes a row at once."""
    from ouroloop.motion.files import read_folder, read_motions
    from ouroloop.motion.mapping import to_humanml3d

    def unreadable(path: Path, name: str, error: DataError) -> None:
        rows.append(_Row(name=name, source=path.name, message=str(error)))

    if source.is_dir():
        found = read_folder(source, units=units, up=up, fps=fps, on_error=unreadable)
    else:
        found = read_motions(source, units=units, up=up, fps=fps, on_error=unreadable)
    for motion in found:
        try:
            yield motion, to_humanml3d(motion)
        except DataError as error:
            rows.append(_Row(name=motion.name, frames=len(motion), fps=motion.fps, message=str(error)))


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
    rows: list[_Row],
    shown: _Shown,
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
        row = _row(motion, before, after, verdict, result)
        rows.append(row)
        keep = verdict in (Verdict.KEPT, Verdict.CHANGED) or (verdict == Verdict.FAILED and on_failure == "keep_raw")
        if keep:
            row.file = _free(motion.name or "motion", ending, taken)
            write_motion(folder / row.file, _motion(motion, after, verdict, result))
        _show(shown, motion, before, after, verdict, row)


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


def _row(motion: Motion, before: np.ndarray, after: np.ndarray, verdict: Verdict, result: PhysicsResult | None) -> _Row:
    row = _Row(name=motion.name, frames=len(motion), fps=motion.fps, verdict=verdict.name.lower())
    row.distance_moved = float(np.linalg.norm(after - before, axis=-1).mean() * 1000.0)
    if result is not None:
        row.verdict, row.message = str(result.verdict), result.message
        for name in ("tracking_error", "assistance", "residual_force", "residual_torque", "residual_share"):
            setattr(row, name, float(getattr(result, name)))
        row.fell = bool(result.fell)
    for when, positions in (("before", before), ("after", after)):
        for name, value in _measured(positions, motion.fps).items():
            setattr(row, f"{name}_{when}", value)
    return row


def _measured(positions: np.ndarray, fps: float) -> dict[str, float]:
    """Penetration, floating, skating and their sum in mm; nothing where there is no body to measure."""
    from ouroloop.motion.physics.measures import measure

    try:
        found = measure(positions, fps)
    except OuroloopError:
        return {}
    return {name: float(getattr(found, name)) for name in _MEASURES}


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


def _severity(row: _Row) -> tuple[int, float]:
    """How badly a motion went: lost for good, lost and mended, lost at first; then by its error in mm."""
    lost = row.verdict in ("failed", "dropped"), row.verdict == "blended" or (row.verdict == "kept" and row.fell)
    error = row.tracking_error if np.isfinite(row.tracking_error) else row.distance_moved
    return 3 if lost[0] else 2 if lost[1] else int(row.fell), error if np.isfinite(error) else np.inf


def _show(shown: _Shown, motion: Motion, before: np.ndarray, after: np.ndarray, verdict: Verdict, row: _Row) -> None:
    from ouroloop.motion.humanml3d import FPS, encode
    from ouroloop.motion.motion import resample_positions

    severity = _severity(row)
    if not shown.wants(severity):
        return
    pair = [resample_positions(p, motion.fps, float(FPS))[: _FRAMES + 1] for p in (before, after)]
    if len(pair[0]) < 2 or not all(np.isfinite(p).all() for p in pair):
        return
    try:
        features = [encode(p) for p in pair]
    except DataError:
        return
    caption = motion.caption or motion.name or "motion"
    shown.add(_Drawn(severity, row, features[0], features[1], caption, verdict))


def _write_table(rows: list[_Row], path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows]), path)


def _record(path: Path, spec: dict[str, Any], rows: list[_Row], shown: _Shown) -> None:
    """Keep the motions before and after as generations 0 and 1 of a run."""
    from ouroloop.environment import environment
    from ouroloop.store import RunStore

    store = RunStore.create(
        path, spec=spec, fingerprint=spec, environment=environment(), arm="motions", seed=spec["seed"]
    )
    drawn = shown.drawn
    before, after = [motion.before for motion in drawn], [motion.after for motion in drawn]
    with store.lock():
        for generation, (when, features) in enumerate((("before", before), ("after", after))):
            with store.begin(generation) as writer:
                columns = _padded(features) | {"caption": np.array([m.caption for m in drawn])} if drawn else {}
                if columns:
                    writer.preview("preview", columns)
                if generation:
                    ids = np.arange(len(rows), dtype=np.int64)
                    verdicts = np.array([_LOOP_VERDICTS.get(row.verdict, Verdict.FAILED) for row in rows], np.int8)
                    distances = np.array([row.distance_moved for row in rows])
                    table = {"id": ids, "parent": ids, "verdict": verdicts, "distance": distances}
                    writer.corrections().write(table)
                if generation and columns:
                    writer.preview("corrections_preview", {"before": _padded(before)["x"], **columns, **_told(drawn)})
                counts = {v: sum(row.verdict == v for row in rows) for v in sorted({row.verdict for row in rows})}
                state = {"verdicts": counts, "not_drawn": _not_drawn(rows, drawn)} if generation else {}
                writer.commit(state=state, metrics=_means(rows, when))


def _told(drawn: list[_Drawn]) -> dict[str, np.ndarray]:
    """What is said of the motions that are drawn: as codes and numbers, and in words."""
    return {
        "verdict": np.array([motion.verdict for motion in drawn], np.int8),
        "distance": np.array([motion.row.distance_moved for motion in drawn]),
        "outcome": np.array([_outcome(motion.row) for motion in drawn]),
        "reason": np.array([_reason(motion.row) for motion in drawn]),
    }


def _outcome(row: _Row) -> str:
    return f"lost, {row.verdict}" if row.fell else row.verdict


def _reason(row: _Row) -> str:
    """The corrector's words with the numbers that they rest on."""
    followed = np.nan if row.fell or "followed" in row.message else row.tracking_error
    moved = row.distance_moved > 0
    numbers = [
        (followed, "followed to {:.0f} mm"),
        (row.distance_moved if moved else np.nan, "moved by {:.0f} mm"),
        (row.physics_error_before, "physics error {:.1f} mm" + (" before" if moved else "")),
        (row.physics_error_after if moved else np.nan, "{:.1f} mm after"),
    ]
    told = [text.format(value) for value, text in numbers if np.isfinite(value)]
    return "; ".join(part for part in (row.message, ", ".join(told)) if part)


def _not_drawn(rows: list[_Row], drawn: list[_Drawn]) -> list[dict[str, str]]:
    """Name, outcome and reason of motions that failed or were lost and that cannot be drawn, as many as are shown."""
    seen = {id(motion.row) for motion in drawn}
    lost = [row for row in rows if _severity(row)[0] >= 2 and id(row) not in seen]
    return [{"name": row.name, "outcome": _outcome(row), "reason": row.message} for row in lost[:_SHOWN]]


def _padded(features: list[np.ndarray]) -> dict[str, np.ndarray]:
    length = np.array([len(f) for f in features], np.int32)
    x = np.zeros((len(features), int(length.max()), features[0].shape[1]), np.float32)
    for row, f in zip(x, features, strict=True):
        row[: len(f)] = f
    return {"x": x, "length": length}


def _means(rows: list[_Row], when: str) -> list[dict[str, Any]]:
    """Means over motions with normal 95 % intervals."""
    found = []
    for name in _MEASURES:
        values = np.array([getattr(row, f"{name}_{when}") for row in rows])
        values = values[np.isfinite(values)]
        if len(values):
            half = 1.96 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
            mean = float(values.mean())
            found.append(
                {
                    "metric": name,
                    "value": mean,
                    "low": mean - half,
                    "high": mean + half,
                    "floor": float("nan"),
                    "n": len(values),
                }
            )
    return found


def _summary(rows: list[_Row], out: Path, source: Path, corrector: str, guessed: list[str]) -> str:
    from ouroloop.report import write_report

    page = write_report([out / "run"], out / "report.html", title=f"{source.name} corrected by {corrector}")
    verdicts = [row.verdict for row in rows]
    lines = [f"{len(rows)} motions: " + ", ".join(f"{verdicts.count(v)} {v}" for v in sorted(set(verdicts)))]
    for name in _MEASURES:
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
