"""What the corrector did: pairs before and after, distances moved, and counts by verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from ouroloop.errors import StoreError
from ouroloop.report.curves import thinned
from ouroloop.report.draw import tag
from ouroloop.report.files import read_arrow, read_json
from ouroloop.report.grids import rows_table, texts_list
from ouroloop.report.images import as_images, data_uri, sprite, tone_of
from ouroloop.report.load import Arm, Results
from ouroloop.report.palette import Look, looks
from ouroloop.report.points import as_points, moves_svg
from ouroloop.report.runs import Run
from ouroloop.report.strips import is_motion, joints_of, lengths_of, strip_svg
from ouroloop.report.wording import number, plural

__all__ = ["VERDICTS", "ArmCorrections", "Pair", "corrections_of"]

VERDICTS = ("kept", "changed", "dropped", "failed")
MOST_FILES = 400  # corrections.parquet files read for one page
_PAIRS = 18
_MOTION_PAIRS = 6
_WORST_MOTIONS = 12
_BINS = 24
_MOST_BARS = 40


@dataclass(frozen=True)
class Pair:
    """One sample before and after its correction; its verdict may come with a reason in words."""

    body: Markup
    verdict: str
    distance: float
    reason: str = ""


@dataclass(frozen=True)
class ArmCorrections:
    """The corrections of one arm, ready to be shown; empty Markup where there is nothing to draw."""

    label: str
    look: Look
    seed: int
    generation: int
    pairs: tuple[Pair, ...]
    pictures: bool
    moves: Markup
    histogram: Markup
    bars: Markup
    words: str
    order: str = "evenly spaced by distance"
    not_drawn: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, eq=False)
class _Counts:
    """Counts by verdict (g, 4) at generations (g,), summed over seeds, and the last generation's distances."""

    generations: np.ndarray
    table: np.ndarray
    distances: np.ndarray


def corrections_of(results: Results) -> tuple[list[ArmCorrections], list[str]]:
    """The arms whose corrector did something, and a line about those where it did nothing.

    Raises:
        StoreError: a file is truncated, or not what a run holds; the message names it.
    """
    shown: list[ArmCorrections] = []
    silent: dict[str, list[str]] = {}
    files = max(1, MOST_FILES // max(len(results.runs), 1))
    for arm, look in zip(results.arms, looks(results.arms), strict=True):
        counts = _counts(arm, min(files, _MOST_BARS))
        pairs_from = _last_preview(arm)
        if counts is None and pairs_from is None:
            silent.setdefault("no record of corrections was kept", []).append(arm.label)
        elif counts is not None and not counts.table[:, 1:].any():
            silent.setdefault("every synthetic row was kept as it was", []).append(arm.label)
        else:
            shown.append(_arm(arm, look, counts, pairs_from))
    every = len(results.arms) > 1
    return shown, [
        f"{'every arm' if every and len(labels) == len(results.arms) else '; '.join(labels)}: {fact}"
        for fact, labels in silent.items()
    ]


def _arm(arm: Arm, look: Look, counts: _Counts | None, preview: tuple[Run, int, Path] | None) -> ArmCorrections:
    columns = read_arrow(preview[2], 64) if preview else {}
    pairs, moves = _pairs(columns, look, arm.label)
    nothing = Markup("")
    return ArmCorrections(
        label=arm.label,
        look=look,
        seed=preview[0].seed if preview else arm.runs[0].seed,
        generation=preview[1] if preview else int(counts.generations[-1]) if counts else 0,
        pairs=pairs,
        pictures=bool(pairs) and "<img" in pairs[0].body,
        moves=moves,
        histogram=_histogram(counts.distances, look, arm.label) if counts else nothing,
        bars=_bars(counts, arm.label) if counts else nothing,
        words=_words(counts) if counts else "The table of corrections was not kept.",
        order="those that went worst first" if "reason" in columns else ArmCorrections.order,
        not_drawn=_not_drawn(preview[2].parent) if preview else (),
    )


def _not_drawn(folder: Path) -> tuple[Mapping[str, str], ...]:
    """Name, outcome and reason of samples that failed and cannot be drawn, where the generation says so."""
    path = folder / "state.json"
    state = read_json(path)
    found = state.get("not_drawn", []) if isinstance(state, dict) else []
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise StoreError(f"{path}: expected 'not_drawn' to be a list of objects with 'name', 'outcome' and 'reason'")
    return tuple({key: str(entry.get(key, "")) for key in ("name", "outcome", "reason")} for entry in found)


def _counts(arm: Arm, most: int) -> _Counts | None:
    """Counts over the seeds. Generations beyond what may be read are left out evenly."""
    have = sorted({g for run in arm.runs for g, p in run.folders.items() if (p / "corrections.parquet").exists()})
    if not have:
        return None
    generations = [have[i] for i in thinned(len(have), most)]
    table = np.zeros((len(generations), len(VERDICTS)), np.int64)
    distances: list[np.ndarray] = []
    for row, generation in enumerate(generations):
        for run in arm.runs:
            path = run.folders.get(generation, Path()) / "corrections.parquet"
            if generation in run.folders and path.exists():
                verdicts, moved = _read(path)
                table[row] += np.bincount(verdicts, minlength=len(VERDICTS))[: len(VERDICTS)]
                if row == len(generations) - 1:
                    distances.append(moved[verdicts == VERDICTS.index("changed")])
    joined = np.concatenate(distances) if distances else np.array([])
    return _Counts(np.array(generations), table, joined[np.isfinite(joined)])


def _read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Verdict codes and distances of a corrections.parquet, read in batches."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    verdicts, moved = [np.array([], np.int64)], [np.array([])]
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(columns=["verdict", "distance"], batch_size=262_144):
                verdicts.append(_codes(batch.column("verdict")))
                moved.append(np.asarray(batch.column("distance").to_numpy(zero_copy_only=False), np.float64))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise StoreError(f"{path}: truncated or not a Parquet file of corrections ({error})") from error
    return np.concatenate(verdicts), np.concatenate(moved)


def _codes(column: Any) -> np.ndarray:
    values = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind in "iuf":
        return np.clip(values, 0, len(VERDICTS) - 1).astype(np.int64)
    return np.array([VERDICTS.index(str(v).lower()) if str(v).lower() in VERDICTS else 3 for v in values], np.int64)


def _words(counts: _Counts) -> str:
    total = counts.table[-1]
    ranked = sorted(zip(total.tolist(), VERDICTS, strict=True), reverse=True)
    shares = [f"{number(100 * n / max(total.sum(), 1), 2)} % {verdict}" for n, verdict in ranked if n]
    moved = (
        f" Changed rows moved by {number(float(np.median(counts.distances)))} (median)."
        if len(counts.distances)
        else ""
    )
    return f"Of {plural(int(total.sum()), 'row')} in generation {counts.generations[-1]}: {', '.join(shares)}.{moved}"


def _last_preview(arm: Arm) -> tuple[Run, int, Path] | None:
    for run in arm.runs:
        for generation in sorted(run.folders, reverse=True):
            path = run.folders[generation] / "corrections_preview.arrow"
            if path.exists():
                return run, generation, path
    return None


def _pairs(columns: Mapping[str, np.ndarray], look: Look, label: str) -> tuple[tuple[Pair, ...], Markup]:
    """Pairs evenly spaced by distance moved, so that both ends are seen; points are drawn in one picture.

    Where reasons were kept, those that went worst come first in the file, and here.
    """
    if not {"before", "x"} <= columns.keys() or not len(columns["x"]):
        return (), Markup("")
    before, after = columns["before"], columns["x"]
    distance = np.asarray(columns.get("distance", np.full(len(after), np.nan)), np.float64)
    start, end = as_points(before), as_points(after)
    if start is not None and end is not None and start.shape[1] == end.shape[1] == 2:
        return (), moves_svg(start, end, look.css, f"{label}: before (grey) and after")
    motions = is_motion(before) and is_motion(after)
    if motions and {"reason", "outcome"} <= columns.keys():
        return _worst_motions(columns, distance, look, label), Markup("")
    order = np.argsort(distance, kind="stable")[thinned(len(distance), _MOTION_PAIRS if motions else _PAIRS)]
    verdicts = _verdict_names(columns.get("verdict"), len(after))
    if motions:
        frames = lengths_of(after, columns.get("length"))
        bodies = [_strip_pair(before[i, : frames[i]], after[i, : frames[i]], look, label) for i in order]
    else:
        bodies = _bodies(before[order], after[order], label)
    return tuple(
        Pair(body, verdicts[i], float(distance[i])) for body, i in zip(bodies, order.tolist(), strict=True)
    ), Markup("")


def _worst_motions(columns: Mapping[str, np.ndarray], distance: np.ndarray, look: Look, label: str) -> tuple[Pair, ...]:
    """The first motions of a preview, each with its caption and the reason for its verdict."""
    before, after = columns["before"], columns["x"]
    frames = lengths_of(after, columns.get("length"))
    captions = columns.get("caption", np.full(len(after), ""))
    return tuple(
        Pair(
            tag("p", str(captions[i]), class_="small pair-name")
            + _strip_pair(before[i, : frames[i]], after[i, : frames[i]], look, f"{label}, {captions[i]}"),
            str(columns["outcome"][i]),
            float(distance[i]),
            str(columns["reason"][i]),
        )
        for i in range(min(len(after), _WORST_MOTIONS))
    )


def _strip_pair(before: np.ndarray, after: np.ndarray, look: Look, label: str) -> Markup:
    """One motion's features (T, 263) before (grey) and after, one strip below the other; one strip if nothing moved."""
    strips = ((before, "cn", "before"), (after, look.css, "after"))[: 1 if np.array_equal(before, after) else 2]
    return Markup("").join(strip_svg(joints_of(x), css, f"{label}: {word}") for x, css, word in strips)


def _verdict_names(column: np.ndarray | None, count: int) -> list[str]:
    if column is None:
        return ["not recorded"] * count
    if column.dtype.kind in "US":
        return [str(v).lower() for v in column]
    return [VERDICTS[int(v)] if 0 <= v < len(VERDICTS) else "not recorded" for v in column]


def _bodies(before: np.ndarray, after: np.ndarray, label: str) -> list[Markup]:
    left, right = as_images(before), as_images(after)
    if left is not None and right is not None and left.shape == right.shape:
        tone = tone_of(right)  # the corrected ones: what is mostly background is then seen as such
        css = "sprite ink" if tone.ink else "sprite"
        return [_image_pair(np.stack(pair), tone, css) for pair in zip(left, right, strict=True)]
    if before.dtype.kind in "US":
        return [texts_list([str(a), str(b)], f"{label}: before and after") for a, b in zip(before, after, strict=True)]
    both = (np.stack([a.ravel(), b.ravel()]) for a, b in zip(before, after, strict=True))
    return [rows_table(rows, f"{label}: before and after") for rows in both]


def _image_pair(pair: np.ndarray, tone: Any, css: str) -> Markup:
    sheet = sprite(pair, tone, 2, gap=119)
    return Markup('<img class="{}" alt="before and after" width="{}" height="{}" src="{}">').format(
        css, sheet.shape[1], sheet.shape[0], data_uri(sheet)
    )


def _histogram(distances: np.ndarray, look: Look, label: str) -> Markup:
    if len(distances) < 2:
        return Markup("")
    width, height, base = 300, 120, 98
    top = float(distances.max())
    counts, edges = np.histogram(distances, _BINS, (0.0, top if top > 0 else 1.0))
    step = width / _BINS
    bars = "".join(
        f"M{i * step:.1f} {base}v{-n / counts.max() * (base - 6):.1f}h{step - 1:.1f}V{base}z"
        for i, n in enumerate(counts.tolist())
        if n
    )
    return tag(
        "svg",
        tag("title", f"{label}: distance moved by changed rows"),
        tag("path", class_=f"bars {look.css}", d=bars),
        tag("line", class_="axis", x1=0, x2=width, y1=base, y2=base),
        tag("text", "0", class_="tick", x=0, y=base + 15),
        tag("text", number(float(edges[-1])), class_="tick y", x=width, y=base + 15),
        class_="small-chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
    )


def _bars(counts: _Counts, label: str) -> Markup:
    width, height, base = 300, 120, 98
    step = width / max(len(counts.generations), 8)
    shares = counts.table / np.maximum(counts.table.sum(axis=1, keepdims=True), 1)
    tops = np.cumsum(shares, axis=1)
    marks = []
    for code, verdict in enumerate(VERDICTS):
        d = "".join(
            f"M{i * step:.1f} {base - (tops[i, code] - share) * (base - 6):.1f}v{-share * (base - 6):.1f}"
            f"h{max(step - 1, 0.5):.1f}v{share * (base - 6):.1f}z"
            for i, share in enumerate(shares[:, code].tolist())
            if share
        )
        marks.append(tag("path", class_=f"bars {verdict}", d=d))
    ends: Sequence[tuple[int, float]] = ((0, 0.0), (len(counts.generations) - 1, (len(counts.generations) - 1) * step))
    ticks = [tag("text", str(counts.generations[i]), class_="tick", x=f"{at:.1f}", y=base + 15) for i, at in ends]
    return tag(
        "svg",
        tag("title", f"{label}: share of rows by verdict and generation"),
        *marks,
        *(ticks if len(counts.generations) > 1 else ticks[:1]),
        class_="small-chart",
        viewBox=f"0 0 {width} {height}",
        role="img",
    )
