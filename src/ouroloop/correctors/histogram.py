r"""The corrector of SCSC's released Gaussian example, errors included, so that its numbers can be met.

The points of a generation make a 10 x 10 histogram H over their bounding box; the corrected points are drawn by
rejection from $(1 - t)\, H(x) + t\, q(x)$ with $t = \gamma / (1 + \gamma)$, $q = N(0, I)$ being target and proposal:
a candidate x is accepted if $u < ((1 - t) H(x) + t\, q(x)) / (M q(x))$, $M = ((1 - t) \max H + t\, q(0)) / q(0)$.

Three things are wrong with it and kept: M is no bound (q decays and H does not), so that the ratio is cut at 1
and the tails are lost; the bin index is truncated towards zero, so that candidates up to one bin to the left of or
below the box count as inside and the mean drifts to negative values; and strength 0 is not "no correction".
Use `Ideal` under `Strength` for what the paper defines.

Source: github.com/nate-gillman/self-correcting-self-consuming, exp_scripts/gaussian_toy_example.py (July 2024).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.rows import finite_rows, like, moved
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

__all__ = ["BLOCK", "Draw", "Histogram", "rejection_histogram"]

BLOCK = 512
"""Candidates in a block: ``standard_normal((512, 2))``, then ``random(512)``, from one generator."""

_MOST_BLOCKS = 200
_PIECE = 64  # candidates judged at a time: most shards need no more than the first few of a block
_DENSITY_AT_0 = 1.0 / (2.0 * math.pi)

Draw = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""``draw(j)``: block j of every stream: candidates (s, 512, 2) of N(0, I) and uniforms (s, 512)."""


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """Points in the plane replaced by draws from a histogram of themselves mixed with N(0, I) (see the module).

    The target is N(0, I) whatever the real data are. Rows that no candidate was accepted for within 200 blocks
    fail, where the released code would go on for ever.

    Args:
        correction_strength: SCSC's gamma, inside the mixture; this corrector is not wrapped in `Strength`.
        bins: bins per axis.
        truncate: bin index by truncation towards zero, as released; False: by floor, without the drift.
    """

    whole_shard: ClassVar[bool] = True
    own_strength: ClassVar[bool] = True
    correction_strength: Annotated[
        float, Field(ge=0, description="SCSC's gamma; the target's weight in the mixture is gamma / (1 + gamma)")
    ] = math.inf
    bins: Annotated[int, Field(ge=1, description="bins per axis")] = 10
    truncate: Annotated[bool, Field(description="truncate the bin index towards zero, as the released code does")] = (
        True
    )

    @property
    def share(self) -> float:
        """The target's weight t = gamma / (1 + gamma)."""
        gamma = self.correction_strength
        return 1.0 if math.isinf(gamma) else gamma / (1.0 + gamma)

    def fit(self, reference: Reference, *, key: Key) -> Histogram:
        """Nothing to learn.

        Raises:
            DataError: the real rows are not points in the plane.
        """
        if reference.real.x.ndim != 2 or reference.real.x.shape[1] != 2:
            raise DataError(
                f"corrector 'histogram' is for points in the plane, x of shape (n, 2); got {reference.real.x.shape}"
            )
        return self

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Every row replaced; rows with NaN, and rows that nothing was accepted for, fail."""
        good = finite_rows(synthetic)
        x = np.where(good[:, None], synthetic.x, 0.0).astype(np.float64)
        rng = key.rng()

        def draw(block: int) -> tuple[np.ndarray, np.ndarray]:
            return rng.standard_normal((1, BLOCK, 2)), rng.random((1, BLOCK))

        done = 0
        rows = np.flatnonzero(good)
        if len(rows):
            drawn, found = rejection_histogram(
                x[None, rows], np.array([self.share]), draw, bins=self.bins, truncate=self.truncate
            )
            done = int(found[0])
            x[rows[:done]] = drawn[0, :done]
        failed = np.ones(len(x), bool)
        failed[rows[:done]] = False
        return moved(synthetic, like(x, synthetic.x), failed=failed)


def rejection_histogram(
    points: np.ndarray,
    share: np.ndarray,
    draw: Draw,
    *,
    streams: np.ndarray | None = None,
    bins: int = 10,
    truncate: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """The released corrector for many replicas at once.

    Args:
        points: the points of every replica, float64 (r, n, 2), finite.
        share: t = gamma / (1 + gamma) of every replica, float64 (r,).
        draw: gives blocks of candidates (see `Draw`); called with j = 0, 1, 2, ... while a replica needs more, at
            most 200 times.
        streams: the stream that each replica reads, int (r,): replicas that differ in strength alone may share
            one; None: replica i reads stream i.
        bins: bins per axis.
        truncate: see `Histogram`.

    Returns:
        The accepted points in the order of their candidates, float64 (r, n, 2), and how many there are in each
        replica, int64 (r,); fewer than n only after 200 blocks (the rest is NaN).
    """
    replicas, n, _ = points.shape
    streams = np.arange(replicas) if streams is None else streams
    density, low, width = _histogram(points, bins)
    # In units of q(0): M q(x) = bound * decay(x), and the mixture is (1 - t) H + t decay.
    density = (1.0 - share)[:, None] * density.reshape(replicas, -1) / _DENSITY_AT_0
    bound = density.max(axis=1) + share
    accepted, found = np.full((replicas, n, 2), np.nan), np.zeros(replicas, np.int64)
    active = np.arange(replicas) if n else np.empty(0, np.int64)
    for block in range(_MOST_BLOCKS):
        if not len(active):
            break
        candidates, uniforms = draw(block)
        first, second = (np.ascontiguousarray(candidates[..., axis]) for axis in (0, 1))
        decay = np.exp(-0.5 * (first**2 + second**2))
        threshold = uniforms * decay
        for start in range(0, BLOCK, _PIECE):
            part = slice(start, start + _PIECE)
            stream = streams[active]
            one, two = first[stream, part], second[stream, part]
            cell = _cells(one, two, low[active], width[active], bins, truncate)
            h = np.where(cell >= 0, density[active[:, None], cell], 0.0)
            take = h + share[active, None] * decay[stream, part] > bound[active, None] * threshold[stream, part]
            place = found[active, None] + np.cumsum(take, axis=1) - 1
            r, b = np.nonzero(take & (place < n))
            accepted[active[r], place[r, b]] = np.stack([one[r, b], two[r, b]], axis=1)
            found[active] = np.minimum(n, place[:, -1] + 1)
            active = active[found[active] < n]
            if not len(active):
                break
    return accepted, found


def _histogram(points: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """NumPy's `histogram2d(..., density=True)` of every replica: density (r, bins, bins), lower corner, bin widths."""
    replicas, n, _ = points.shape
    low, high = points.min(axis=1), points.max(axis=1)
    same = low == high
    low, high = np.where(same, low - 0.5, low), np.where(same, high + 0.5, high)
    edges = np.linspace(low, high, bins + 1, axis=-1)
    place = (points - low[:, None]) * (bins / (high - low))[:, None]
    index = np.minimum(place.astype(np.int64), bins - 1)  # the last bin includes its upper edge
    replica, axis = np.arange(replicas)[:, None, None], np.arange(2)
    index -= points < edges[replica, axis, index]  # as NumPy does where rounding puts a point on the wrong side
    index += (points >= edges[replica, axis, index + 1]) & (index < bins - 1)
    cell = (np.arange(replicas)[:, None] * bins + index[..., 0]) * bins + index[..., 1]
    counts = np.bincount(cell.ravel(), minlength=replicas * bins * bins).reshape(replicas, bins, bins)
    area = np.diff(edges[:, 0])[:, :, None] * np.diff(edges[:, 1])[:, None, :]
    return counts / (n * area), edges[..., 0], edges[..., 1] - edges[..., 0]


def _cells(
    one: np.ndarray, two: np.ndarray, low: np.ndarray, width: np.ndarray, bins: int, truncate: bool
) -> np.ndarray:
    """The bin, as a number below bins * bins, of candidates (one, two), both (r, b); -1 outside the histogram."""
    one, two = (one - low[:, :1]) / width[:, :1], (two - low[:, 1:]) / width[:, 1:]
    # Truncation takes (-1, 0) to bin 0: the released flaw.
    inside = (one > -1.0) & (two > -1.0) if truncate else (one >= 0.0) & (two >= 0.0)
    inside &= (one < bins) & (two < bins)
    index = np.where(inside, one, 0.0).astype(np.int64) * bins + np.where(inside, two, 0.0).astype(np.int64)
    return np.where(inside, index, -1)
