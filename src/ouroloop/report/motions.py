"""The motion player's data: joint positions of the same captions in every arm, before and after correction."""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.motion.humanml3d import FPS
from ouroloop.report.curves import thinned
from ouroloop.report.files import read_arrow
from ouroloop.report.load import Arm, Results
from ouroloop.report.palette import Look, looks
from ouroloop.report.previews import preview_path
from ouroloop.report.strips import BONES, is_motion, joints_of, lengths_of
from ouroloop.report.wording import number

__all__ = ["MOST_BYTES", "Player", "player_of"]

MOST_BYTES = 4_000_000  # base64 of all joint positions on a page, about
_TRADES = ((1, 8, 6), (2, 8, 6), (2, 6, 4), (2, 4, 3), (4, 3, 2), (4, 2, 1))  # the first that fits
_FRAME_BYTES = 22 * 3 * 2 * 4 / 3
_CORRECTED_GENERATIONS = 3
_REFERENCE = "reference_preview.arrow"
_LABELS = ("kept", "changed", "dropped", "failed")


@dataclass(eq=False)
class _Tracks:
    """Joint positions, each motion once, as base64 of little-endian int16 millimetres (frames, 22, 3)."""

    step: int  # every so many frames are kept
    packed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, features: np.ndarray, length: int) -> int:
        """The number under which a motion (frames, 263) is kept."""
        joints = joints_of(features[:length])[:: self.step]
        data = base64.b64encode((joints * 1000).round().astype("<i2").tobytes()).decode("ascii")
        self.packed.append({"frames": len(joints), "data": data})
        return len(self.packed) - 1


@dataclass(frozen=True, eq=False)
class Player:
    """What the page's player needs: JSON-able content, and what has to be said about it."""

    content: Mapping[str, Any]
    notes: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Rows:
    """The motions of one arm and generation: features (n, frames, 263), lengths (n,), captions."""

    x: np.ndarray
    length: np.ndarray
    captions: list[str]


def player_of(results: Results) -> Player | None:
    """The player of all arms' first seeds, or None where no preview holds motions.

    Frames a second, clips and generations are as many as leave the page small.

    Raises:
        StoreError: a preview is truncated; the message names the file.
    """
    frames = _typical_frames(results)
    if frames is None:
        return None
    step, generations, clips = _affordable(results, frames)
    tracks = _Tracks(step)
    views = [_arms_view(results, tracks, generations, clips), *_correction_views(results, tracks, clips)]
    views = [view for view in views if view is not None]
    content = {"fps": FPS / step, "bones": [list(bone) for bone in BONES], "views": views, "tracks": tracks.packed}
    return Player(content, tuple(_notes(views, results)))


def _typical_frames(results: Results) -> float | None:
    """Mean frames of a motion in the first preview, or None where the previews hold no motions."""
    for arm in results.arms:
        paths = (preview_path(arm.runs[0], generation) for generation in arm.runs[0].folders)
        first = next((path for path in paths if path.exists()), None)
        rows = _read(first) if first else None
        if rows is not None:
            return float(rows.length.mean())
    return None


def _affordable(results: Results, frames: float) -> tuple[int, int, int]:
    """Frames between two that are kept, generations and clips, the most for which the page stays small."""
    arms, last = len(results.arms), max(len(arm.runs[0].folders) for arm in results.arms)
    for choice in _TRADES:
        step, generations, clips = choice
        motions = clips * arms * (min(generations, last) + 2 * min(_CORRECTED_GENERATIONS, last))
        if motions * frames / step * _FRAME_BYTES <= MOST_BYTES:
            return choice
    return _TRADES[-1]


def _read(path: Path, limit: int = 100) -> _Rows | None:
    if not path.exists():
        return None
    return _rows(read_arrow(path, limit))


def _rows(columns: Mapping[str, np.ndarray], name: str = "x") -> _Rows | None:
    x = columns.get(name)
    if x is None or not is_motion(x):
        return None
    captions = columns.get("caption")
    texts = [str(c) for c in captions] if captions is not None else [f"motion {i + 1}" for i in range(len(x))]
    return _Rows(x, lengths_of(x, columns.get("length")), texts)


def _arms_view(results: Results, tracks: _Tracks, most: int, clips: int) -> dict[str, Any] | None:
    """The same captions in every arm, side by side, with the real motions where a run kept them."""
    found: dict[tuple[int, int], _Rows] = {}
    every = sorted({g for arm in results.arms for g in arm.runs[0].folders if preview_path(arm.runs[0], g).exists()})
    kept = [every[i] for i in thinned(len(every), most)]
    for place, arm in enumerate(results.arms):
        for generation in kept:
            rows = _read(preview_path(arm.runs[0], generation)) if generation in arm.runs[0].folders else None
            if rows is not None:
                found[place, generation] = rows
    if not found:
        return None
    real = _reference(results)
    captions = _common(list(found.values()), real, clips)
    arm_looks = looks(results.arms)
    columns = [] if real is None else [_column("real", Look("cn", "", "", "circle"))]
    cells = [] if real is None else [[_pick(real, tracks, captions)] * len(kept)]
    for place, arm in enumerate(results.arms):
        own = [_pick(found[place, g], tracks, captions) if (place, g) in found else [] for g in kept]
        if any(own):
            columns.append(_column(arm.label, arm_looks[place]))
            cells.append(own)
    return {
        "label": "Arm by arm, the same captions",
        "columns": columns,
        "generations": kept,
        "clips": captions,
        "tracks": cells,
        "overlay": False,
    }


def _reference(results: Results) -> _Rows | None:
    """Real motions that a run kept for comparison, if any did."""
    for arm in results.arms:
        for folder in arm.runs[0].folders.values():
            if (folder / _REFERENCE).exists():
                return _read(folder / _REFERENCE)
    return None


def _common(frames: Sequence[_Rows], real: _Rows | None, count: int) -> list[str]:
    """Captions that most of the frames have, spread over those that there are, in order of appearance."""
    tally = Counter(caption for rows in frames for caption in dict.fromkeys(rows.captions))
    if real is not None:
        tally.update(dict.fromkeys(set(real.captions) & tally.keys(), len(frames)))
    best = max(tally.values())
    common = [caption for caption, times in tally.items() if times == best]
    if len(common) >= count:
        return [common[i] for i in thinned(len(common), count)]
    return [caption for caption, _ in tally.most_common(count)]


def _pick(rows: _Rows, tracks: _Tracks, captions: Sequence[str]) -> list[int | None]:
    """For each caption the number of its first motion's track, or None."""
    places = [rows.captions.index(caption) if caption in rows.captions else None for caption in captions]
    return [None if i is None else tracks.add(rows.x[i], int(rows.length[i])) for i in places]


def _correction_views(results: Results, tracks: _Tracks, clips: int) -> list[dict[str, Any] | None]:
    """For each arm whose corrector moved motions: some of them before and after, and one laid over the other."""
    return [
        _correction_view(arm, look, tracks, clips) for arm, look in zip(results.arms, looks(results.arms), strict=True)
    ]


def _correction_view(arm: Arm, look: Look, tracks: _Tracks, clips: int) -> dict[str, Any] | None:
    run = arm.runs[0]
    have = [g for g, folder in run.folders.items() if (folder / "corrections_preview.arrow").exists()]
    kept = [have[i] for i in thinned(len(have), _CORRECTED_GENERATIONS)]
    generations, before, after, captions = [], [], [], []
    for generation in kept:
        columns = read_arrow(run.folders[generation] / "corrections_preview.arrow", 64)
        raw, new = _rows(columns, "before"), _rows(columns)
        if raw is None or new is None or not (raw.x != new.x).any():
            continue
        distance = np.nan_to_num(np.asarray(columns.get("distance", np.zeros(len(new.x))), np.float64))
        chosen = np.argsort(distance, kind="stable")[thinned(len(distance), clips)]
        if "outcome" in columns:  # those that went worst come first in the file
            chosen = np.arange(min(len(distance), clips))
        generations.append(generation)
        before.append([tracks.add(raw.x[i], int(raw.length[i])) for i in chosen])
        after.append([tracks.add(new.x[i], int(new.length[i])) for i in chosen])
        verdicts = columns.get("outcome", columns.get("verdict"))
        captions.append([_told(new.captions[i], verdicts, distance, int(i)) for i in chosen])
    if not generations:
        return None
    return {
        "label": f"{arm.label}: before and after the correction",
        "columns": [_column("before", Look("cn", "", "", "circle")), _column("after", look)],
        "generations": generations,
        "clips": captions,  # one list a generation: every generation corrects other motions
        "tracks": [before, after],
        "overlay": True,
    }


def _told(caption: str, verdict: np.ndarray | None, distance: np.ndarray, row: int) -> str:
    word = "" if verdict is None else verdict[row]
    if not isinstance(word, str):
        word = _LABELS[int(word)] if 0 <= word < len(_LABELS) else ""
    return f"{caption} ({', '.join(part for part in (word, f'moved {number(float(distance[row]))}') if part)})"


def _column(label: str, look: Look) -> dict[str, str]:
    return {"label": label, "css": look.css}


def _notes(views: Sequence[Mapping[str, Any]], results: Results) -> list[str]:
    lines = ["Floor lines are 1 m apart, at height 0"]
    if views[0]["overlay"] is False and views[0]["columns"][0]["label"] != "real":
        lines.append("The runs kept no real motions to set beside them")
    if any(len(arm.runs) > 1 for arm in results.arms):
        lines.append("First seed of each arm")
    return lines
