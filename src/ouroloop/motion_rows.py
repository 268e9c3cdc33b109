"""What is measured and said of each motion that `correct` was given: its line of corrections.parquet."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ouroloop.errors import OuroloopError
from ouroloop.samples import Verdict

if TYPE_CHECKING:
    from ouroloop.motion.motion import Motion
    from ouroloop.motion.physics.result import PhysicsResult

__all__ = ["MEASURES", "Row", "means", "outcome", "reason", "row_of", "severity", "write_table"]

MEASURES = ("penetration", "floating", "skating", "physics_error")
"""Of each motion, before and after."""


@dataclass(kw_only=True)
class Row:
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


def row_of(
    motion: Motion, before: np.ndarray, after: np.ndarray, verdict: Verdict, result: PhysicsResult | None
) -> Row:
    """The line of a motion that the corrector was asked about; joints before and after, (T, 22, 3) in m."""
    row = Row(name=motion.name, frames=len(motion), fps=motion.fps, verdict=verdict.name.lower())
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
    return {name: float(getattr(found, name)) for name in MEASURES}


def severity(row: Row) -> tuple[int, float]:
    """How badly a motion went: lost for good, lost and mended, lost at first; then by its error in mm."""
    lost = row.verdict in ("failed", "dropped"), row.verdict == "blended" or (row.verdict == "kept" and row.fell)
    error = row.tracking_error if np.isfinite(row.tracking_error) else row.distance_moved
    return 3 if lost[0] else 2 if lost[1] else int(row.fell), error if np.isfinite(error) else np.inf


def outcome(row: Row) -> str:
    """The verdict, and whether the motion was lost on the way."""
    return f"lost, {row.verdict}" if row.fell else row.verdict


def reason(row: Row) -> str:
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


def means(rows: list[Row], when: str) -> list[dict[str, Any]]:
    """Means over motions with normal 95 % intervals."""
    found = []
    for name in MEASURES:
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


def write_table(rows: list[Row], path: Path) -> None:
    """Write corrections.parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist([asdict(row) for row in rows]), path)
