r"""How physical generated motions are, beside real ones: on the floor, in the joints, in their smoothness.

The acceleration error is the 1-Wasserstein distance between the accelerations of generated and of real motions,

$$ W_1 = \int_0^1 |F_g^{-1}(u) - F_r^{-1}(u)|\,du, $$

because a generated motion has no true one to be compared with, as UHC's (arXiv 2106.05969) has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError
from ouroloop.features.motion_columns import motion_lengths
from ouroloop.features.motion_physics import COLUMNS
from ouroloop.keys import Key
from ouroloop.metrics.base import Real, RowMetric
from ouroloop.metrics.bootstrap import Estimate, interval, ratio, resample_counts
from ouroloop.metrics.spaces import Rows
from ouroloop.samples import Samples

__all__ = ["PhysicsErrors", "acceleration_error"]

_ACCELERATION, _TORQUE = COLUMNS.index("acceleration"), COLUMNS.index("torque_violation")


def acceleration_error(
    *,
    real: np.ndarray,
    generated: np.ndarray,
    real_counts: np.ndarray | None = None,
    generated_counts: np.ndarray | None = None,
) -> float:
    """1-Wasserstein distance between two sets of accelerations (m,) and (n,), m/s^2.

    Args:
        real_counts, generated_counts: how often each counts, (m,) and (n,); once without them.

    >>> acceleration_error(real=np.array([1.0, 2.0]), generated=np.array([3.0, 2.0]))
    1.0
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(generated, real, generated_counts, real_counts))


class _State(NamedTuple):
    acceleration: np.ndarray  # of the real motions, (m,)
    counts: np.ndarray  # of their resamples, (b, m)
    torques: bool  # whether they are measured


@dataclass(frozen=True, kw_only=True)
class PhysicsErrors(RowMetric):
    """How far motions break physics: floor contact, joint limits, torques, bone lengths, smoothness.

    Means over motions: 'penetration', 'floating' (mm), 'skating' (mm a frame), their sum 'physics_error',
    'deepest' (mm, worst frame), 'limit_excess' (degrees beyond a joint limit), 'torque_violation' (N m beyond what a
    joint can give), 'bone_error' (mm), 'acceleration' (m/s^2), 'jerk' (m/s^3), and 'acceleration_error' (m/s^2).

    'torque_violation' is by inverse dynamics, needs MuJoCo, and is more than half of the cost:
    `features: {kind: motion_physics, torques: false}` leaves it out. Motions of which a measure is not finite do not
    count in its mean; a note says how many do.

    x are HumanML3D features (n, frames, 263), zero after 'length'. Real motions are not perfect either: compare with
    the floor.
    """

    features: Annotated[
        str | dict[str, Any], Field(description="'motion_physics', or a mapping with it as 'kind' and its options")
    ] = "motion_physics"
    max_rows: Annotated[int, Field(ge=2, description="most rows used on either side; larger tables are subsampled")] = (
        500
    )

    minimum: ClassVar[int] = 1
    few: ClassVar[int] = 30

    def _check(self, table: Samples, what: str, like: Samples) -> None:
        super()._check(table, what, like)
        motion_lengths(table, f"{type(self).__name__}: {what}")

    def _prepare(self, real: Real, key: Key) -> _State:
        if real.rows.x.shape[1] != len(COLUMNS):
            raise DataError(
                f"{type(self).__name__}: features {self.features!r} have {real.rows.x.shape[1]} columns, which are not "
                f"the {len(COLUMNS)} measures of a motion; set features to motion_physics"
            )
        counts = resample_counts(key.child("bootstrap"), len(real.rows), self.resamples)
        return _State(real.rows.x[:, _ACCELERATION], counts, not np.isnan(real.rows.x[:, _TORQUE]).all())

    def _estimate(self, state: _State, rows: Rows, key: Key | None) -> dict[str, Estimate]:
        counts = resample_counts(key, len(rows), self.resamples)
        found: dict[str, Estimate] = {}
        for name, column in zip(COLUMNS, rows.x.T, strict=True):
            if name == COLUMNS[_TORQUE] and not state.torques:
                continue
            fine = np.isfinite(column)
            if not fine.all():
                self._ready.notes.add(
                    f"{name} counts {fine.sum()} of {len(rows)} motions: of the others it is not finite"
                )
            kept = np.where(fine, column, 0.0)
            found[name] = interval(ratio(kept.sum(), fine.sum()), ratio(counts @ kept, counts @ fine), 0.0)
        return {**found, "acceleration_error": _error(state, rows.x[:, _ACCELERATION], counts)}


def _error(state: _State, own: np.ndarray, counts: np.ndarray) -> Estimate:
    """The acceleration error of accelerations (n,) and of their resamples (b, n); those not finite do not count."""
    fine = np.isfinite(own)
    own, counts = own[fine], counts[:, fine]
    if not len(own):
        return Estimate(float("nan"))
    errors = [
        acceleration_error(real=state.acceleration, generated=own, real_counts=a, generated_counts=b)
        for a, b in zip(state.counts[: len(counts)], counts, strict=True)
        if b.any()
    ]
    return interval(acceleration_error(real=state.acceleration, generated=own), np.array(errors), 0.0)
