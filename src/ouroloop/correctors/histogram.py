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
_PIECE = 128  # candidates judged at a time: most shards need no more than the first few of a block
_DENSITY_AT_0 = 1.0 / (2.0 * math.pi)

Draw = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""``draw(j, active)``: block j of the streams numbered in `active` (int (a,)): candidates (a, 512, 2) of N(0, I) and
uniforms (a, 512)."""


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

        def draw(block: int, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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
    points: np.ndarray, share: np.ndarray, draw: Draw, *, bins: int = 10, truncate: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """The released corrector for many replicas at once.

    Args:
        points: the points of every replica, float64 (r, n, 2), finite.
        share: t = gamma / (1 + gamma) of every replica, float64 (r,).
        draw: gives blocks of candidates (see `Draw`); called with j = 0, 1, 2, ... and only for the replicas
            that still need some, at most 200 times.
        bins: bins per axis.
        truncate: see `Histogram`.

    Returns:
        The accepted points in the order of their candidates, float64 (r, n, 2), and how many there are in each
        replica, int64 (r,); fewer than n only after 200 blocks (the rest is NaN).
    """
    replicas, n, _ = points.shape
    density, low, width = _histogram(points, bins)
    bound = ((1.0 - share) * density.reshape(replicas, -1).max(axis=1) + share * _DENSITY_AT_0) / _DENSITY_AT_0
    accepted, found = np.full((replicas, n, 2), np.nan), np.zeros(replicas, np.int64)
    active = np.arange(replicas) if n else np.empty(0, np.int64)
    block = 0
    while len(active) and block < _MOST_BLOCKS:
        candidates, uniforms = draw(block, active)
        rows = np.arange(len(active))  # of this block's arrays
        for start in range(0, BLOCK, _PIECE):
            part = slice(start, start + _PIECE)
            c, u, who = candidates[rows, part], uniforms[rows, part], active[rows]
            h = _lookup(density[who], low[who], width[who], c, truncate)
            q = _DENSITY_AT_0 * np.exp(-0.5 * np.einsum("rbk,rbk->rb", c, c))
            t = share[who, None]
            take = ((1.0 - t) * h + t * q) / (bound[who, None] * q) > u
            place = found[who, None] + np.cumsum(take, axis=1) - 1
            take &= place < n
            r, b = np.nonzero(take)
            accepted[who[r], place[r, b]] = c[r, b]
            found[who] += take.sum(axis=1)
            rows = rows[found[active[rows]] < n]
            if not len(rows):
                break
        active = active[found[active] < n]
        block += 1
    return accepted, found


def _histogram(points: np.ndarray, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """NumPy's `histogram2d(..., density=True)` of every replica: density (r, bins, bins), lower corner, bin widths."""
    replicas, n, _ = points.shape
    low, high = points.min(axis=1), points.max(axis=1)
    same = low == high
    low, high = np.where(same, low - 0.5, low), np.where(same, high + 0.5, high)
    edges = np.linspace(low, high, bins + 1, axis=-1)
    index = (points[..., None] >= edges[:, None]).sum(axis=-1) - 1
    index = np.minimum(index, bins - 1)  # the last bin includes its upper edge
    cell = (np.arange(replicas)[:, None] * bins + index[..., 0]) * bins + index[..., 1]
    counts = np.bincount(cell.ravel(), minlength=replicas * bins * bins).reshape(replicas, bins, bins)
    area = np.diff(edges[:, 0])[:, :, None] * np.diff(edges[:, 1])[:, None, :]
    return counts / (n * area), edges[..., 0], edges[..., 1] - edges[..., 0]


def _lookup(density: np.ndarray, low: np.ndarray, width: np.ndarray, c: np.ndarray, truncate: bool) -> np.ndarray:
    """Density of the histogram at candidates c, (r, b, 2); 0 outside (by the index, which is the released flaw)."""
    place = (c - low[:, None]) / width[:, None]
    index = (np.trunc(place) if truncate else np.floor(place)).astype(np.int64)
    bins = density.shape[-1]
    inside = ((index >= 0) & (index < bins)).all(axis=-1)
    index = np.clip(index, 0, bins - 1)
    return np.where(inside, density[np.arange(len(c))[:, None], index[..., 0], index[..., 1]], 0.0)
