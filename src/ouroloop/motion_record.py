"""What became of a pile of motions, kept as a run that reports can show: generation 0 before, generation 1 after."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion_rows import Row, means, outcome, reason, severity
from ouroloop.samples import Verdict

if TYPE_CHECKING:
    from ouroloop.motion.motion import Motion

__all__ = ["Drawn", "Shown", "record", "show"]

_SHOWN = 48  # motions kept for the page
_FRAMES = 196  # frames of one on the page, at 20 a second
_LOOP_VERDICTS = {
    **{verdict.name.lower(): verdict for verdict in Verdict},
    **dict.fromkeys(("unchanged", "corrected", "blended"), Verdict.CHANGED),
}


class Drawn(NamedTuple):
    """A motion for the page: features before and after, at 20 frames a second."""

    severity: tuple[int, float]
    row: Row
    before: np.ndarray
    after: np.ndarray
    caption: str
    verdict: Verdict


@dataclass
class Shown:
    """The motions for the page, those that went worst first."""

    drawn: list[Drawn] = field(default_factory=list)

    def wants(self, severity: tuple[int, float]) -> bool:
        """Whether a motion of this severity would be among those that are shown."""
        return len(self.drawn) < _SHOWN or severity > self.drawn[-1].severity

    def add(self, motion: Drawn) -> None:
        """Keep a motion, and the worst of all."""
        self.drawn = sorted([*self.drawn, motion], key=lambda m: m.severity, reverse=True)[:_SHOWN]


def show(shown: Shown, motion: Motion, before: np.ndarray, after: np.ndarray, verdict: Verdict, row: Row) -> None:
    """Take a motion in, if it went badly enough and can be drawn."""
    from ouroloop.motion.humanml3d import FPS, encode
    from ouroloop.motion.motion import resample_positions

    how_bad = severity(row)
    if not shown.wants(how_bad):
        return
    pair = [resample_positions(p, motion.fps, float(FPS))[: _FRAMES + 1] for p in (before, after)]
    if len(pair[0]) < 2 or not all(np.isfinite(p).all() for p in pair):
        return
    try:
        features = [encode(p) for p in pair]
    except DataError:
        return
    caption = motion.caption or motion.name or "motion"
    shown.add(Drawn(how_bad, row, features[0], features[1], caption, verdict))


def record(path: Path, spec: dict[str, Any], rows: list[Row], shown: Shown) -> None:
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
                writer.commit(state=state, metrics=means(rows, when))


def _told(drawn: list[Drawn]) -> dict[str, np.ndarray]:
    """What is said of the motions that are drawn: as codes and numbers, and in words."""
    return {
        "verdict": np.array([motion.verdict for motion in drawn], np.int8),
        "distance": np.array([motion.row.distance_moved for motion in drawn]),
        "outcome": np.array([outcome(motion.row) for motion in drawn]),
        "reason": np.array([reason(motion.row) for motion in drawn]),
    }


def _not_drawn(rows: list[Row], drawn: list[Drawn]) -> list[dict[str, str]]:
    """Name, outcome and reason of motions that failed or were lost and that cannot be drawn, as many as are shown."""
    seen = {id(motion.row) for motion in drawn}
    lost = [row for row in rows if severity(row)[0] >= 2 and id(row) not in seen]
    return [{"name": row.name, "outcome": outcome(row), "reason": row.message} for row in lost[:_SHOWN]]


def _padded(features: list[np.ndarray]) -> dict[str, np.ndarray]:
    length = np.array([len(f) for f in features], np.int32)
    x = np.zeros((len(features), int(length.max()), features[0].shape[1]), np.float32)
    for row, f in zip(x, features, strict=True):
        row[: len(f)] = f
    return {"x": x, "length": length}
