r"""Gaussian loops of many arms and seeds at once: the step of `ouroloop.step` on arrays of shape (arm, seed, ...).

It is the same loop, not another: `Grid` consumes the streams that `Step` names (generation t of seed s samples from
``Key(s).child("generation", t, "sample", shard)``, and so on), so that its numbers are the loop's up to rounding.
Streams do not depend on the arm: they are drawn once a seed and shared by all arms. Accumulating regimes keep the sums
of the training rows and touch only the rows that enter or leave, about 1.5 k a generation instead of t k.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ouroloop.correctors.histogram import BLOCK, Histogram, rejection_histogram
from ouroloop.datasets.gaussian import GaussianTarget
from ouroloop.errors import PartError
from ouroloop.generators.gaussian import Gaussian, factor
from ouroloop.keys import Key

__all__ = ["ACCUMULATING", "REGIMES", "Grid", "Info", "State"]

ACCUMULATING = ("accumulate", "linear_accumulate")
REGIMES = (*ACCUMULATING, "fixed_real", "fresh_real", "real_only", "replace")


class State(NamedTuple):
    """What one generation of every cell hands to the next. A arms, S seeds, d coordinates, k rows a generation.

    Attributes:
        generation: the last one completed.
        mean, covariance: of the fitted models, float64 (A, S, d) and (A, S, d, d).
        real: the real rows less the target's mean, float64 (S, n, d).
        history: synthetic rows by generation of entry less the target's mean, each (A, S, k, d); empty where the
            regime forgets.
        counts: int64 (t,), the first so many rows of each generation are in the training set.
        total, outer: sums of the training rows less the target's mean and of their outer products, (A, S, d) and
            (A, S, d, d), kept by accumulating regimes.
    """

    generation: int
    mean: np.ndarray
    covariance: np.ndarray
    real: np.ndarray
    history: tuple[np.ndarray, ...]
    counts: np.ndarray
    total: np.ndarray
    outer: np.ndarray


class Info(NamedTuple):
    """What happened in one generation.

    Attributes:
        n_real, n_synthetic: training rows by origin, the same in every cell.
        changed: share of the drawn rows that the corrector changed, float64 (A, S); 0 in generation 0.
        distance: mean distance that it moved them, float64 (A, S).
    """

    n_real: int
    n_synthetic: int
    changed: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid:
    """The step over a grid of cells that differ in correction strength (arms) and seed.

    Args:
        target: where the real rows come from.
        generator: the unfitted Gaussian.
        kind, regime: the regime's name and the part.
        strengths: correction strength of each arm, float64 (A,).
        histogram: the published code's corrector (its own strength is not used), or None for the ideal one.
        shard_rows: rows drawn and corrected at a time, as in the loop.
    """

    target: GaussianTarget
    generator: Gaussian
    kind: str
    regime: Any
    strengths: np.ndarray
    histogram: Histogram | None = None
    shard_rows: int = 65_536

    def start(self, keys: Sequence[Key]) -> tuple[State, Info]:
        """Generation 0: every model fitted on its seed's real rows, the same in all arms."""
        real = self._normals(self.target.n, [key.child("data", "real") for key in keys])
        mean, covariance = self._fit(real)
        total, outer = real.sum(axis=1), np.swapaxes(real, -1, -2) @ real
        arms = len(self.strengths)
        mean, covariance, total, outer = (np.repeat(a[None], arms, axis=0) for a in (mean, covariance, total, outer))
        state = State(0, mean, covariance, real, (), np.zeros(0, np.int64), total, outer)
        nothing = np.zeros((arms, len(keys)))
        return state, Info(self.target.n, 0, nothing, nothing)

    def __call__(self, state: State, keys: Sequence[Key]) -> tuple[State, Info]:
        """Generation t = state.generation + 1 of every cell.

        Args:
            state: the previous generation's.
            keys: the runs' keys, ``Key(seed)``, in the order of the seed axis.
        """
        streams = [key.child("generation", state.generation + 1) for key in keys]
        k = self.regime.draws(self.target.n, state.generation + 1)
        raw, rows = self._draw(state, k, streams)
        changed = distance = np.zeros(raw.shape[:2])
        if k:
            moved = np.sqrt(np.square(rows - raw).sum(axis=-1))
            changed, distance = (moved > 0).mean(axis=-1), moved.mean(axis=-1)
        if self.kind in ACCUMULATING:
            state = self._accumulate(state, rows)
            return state, Info(self.target.n, int(state.counts.sum()), changed, distance)
        state, n_real = self._forget(state, rows, streams)
        return state, Info(n_real, k, changed, distance)

    def _draw(self, state: State, k: int, streams: Sequence[Key]) -> tuple[np.ndarray, np.ndarray]:
        """Rows less the target's mean as drawn and as corrected, both (A, S, k, d)."""
        centre = (state.mean - self.target.moments[0])[:, :, None]
        root = math.sqrt(self.generator.sampling_bias) * factor(state.covariance)
        raw = np.empty((*state.mean.shape[:2], k, self.target.dim))
        rows = np.empty_like(raw)
        for shard, begin in enumerate(range(0, k, self.shard_rows)):
            part = slice(begin, min(begin + self.shard_rows, k))
            noise = np.stack([s.child("sample", shard).rng().standard_normal(raw[0, 0, part].shape) for s in streams])
            raw[:, :, part] = centre + noise @ root
            rows[:, :, part] = self._correct(raw[:, :, part], [s.child("correct", shard) for s in streams])
        return raw, rows

    def _correct(self, raw: np.ndarray, keys: Sequence[Key]) -> np.ndarray:
        """The ideal corrector: with probability strength / (1 + strength) a row becomes a draw of the target."""
        share = np.array([1.0 if np.isinf(g) else g / (1.0 + g) for g in self.strengths])
        if self.histogram is not None:
            return self._resample(raw, share, self.histogram, keys)
        if not share.any():
            return raw
        uniform = np.stack([key.child("strength").rng().random(raw.shape[2]) for key in keys])
        fresh = self._normals(raw.shape[2], [key.child("target") for key in keys])
        chosen = uniform[None] < share[:, None, None]
        return np.where(chosen[..., None], fresh[None], raw)

    def _resample(self, raw: np.ndarray, share: np.ndarray, part: Histogram, keys: Sequence[Key]) -> np.ndarray:
        """The published code's corrector; every seed has one stream of candidates, which its arms share."""
        arms, seeds, k, d = raw.shape
        centre, rngs = self.target.moments[0], [key.rng() for key in keys]

        def draw(block: int) -> tuple[np.ndarray, np.ndarray]:
            drawn = [(rng.standard_normal((BLOCK, d)), rng.random(BLOCK)) for rng in rngs]
            return np.stack([normals for normals, _ in drawn]), np.stack([uniforms for _, uniforms in drawn])

        rows, found = rejection_histogram(
            (raw + centre).reshape(arms * seeds, k, d),
            np.repeat(share, seeds),
            draw,
            streams=np.tile(np.arange(seeds), arms),
            bins=part.bins,
            truncate=part.truncate,
        )
        if (found < k).any():
            raise PartError(
                f"corrector 'histogram' found no replacement for {k - int(found.min())} of {k} rows, which the loop "
                "would drop; backend 'vectorised' needs as many rows in every arm: use backend 'local'"
            )
        return rows.reshape(raw.shape) - centre

    def _normals(self, n: int, keys: Sequence[Key]) -> np.ndarray:
        """n draws of the target less its mean from each key's stream, (S, n, d)."""
        return np.stack([key.rng().standard_normal((n, self.target.dim)) for key in keys]) @ self.target.root

    def _forget(self, state: State, rows: np.ndarray, streams: Sequence[Key]) -> tuple[State, int]:
        """Fit on this generation's rows and the real ones, if any, in two passes: a collapsed cloud stays accurate."""
        t, n = state.generation + 1, self.target.n
        if self.kind == "real_only":
            return state._replace(generation=t), n
        if self.kind == "replace":
            training, n = rows, 0
        else:
            real = self._normals(n, [s.child("fresh") for s in streams]) if self.kind == "fresh_real" else state.real
            training = np.concatenate([np.broadcast_to(real, (len(rows), *real.shape)), rows], axis=2)
        mean, covariance = self._fit(training)
        return state._replace(generation=t, mean=mean, covariance=covariance), n

    def _accumulate(self, state: State, rows: np.ndarray) -> State:
        """Add the new rows to the sums, and take off those that are no longer trained on."""
        t = state.generation + 1
        history, counts = (*state.history, rows), self._counts(t, rows.shape[2])
        total, outer = state.total + rows.sum(axis=2), state.outer + np.swapaxes(rows, -1, -2) @ rows
        left = np.flatnonzero(state.counts != counts[:-1])
        if len(left):
            gone = np.concatenate([history[i][:, :, counts[i] : state.counts[i]] for i in left], axis=2)
            total, outer = total - gone.sum(axis=2), outer - np.swapaxes(gone, -1, -2) @ gone
        n = self.target.n + int(counts.sum())
        centre = total / n
        mean, covariance = self._moments(centre, outer - n * centre[..., :, None] * centre[..., None, :], n)
        return State(t, mean, covariance, state.real, history, counts, total, outer)

    def _counts(self, t: int, k: int) -> np.ndarray:
        """How many rows of each generation 1..t are trained on, int64 (t,), as `ouroloop.regimes` selects them."""
        i = np.arange(1, t + 1)
        counts = np.full(t, k) if self.kind == "accumulate" else (i / t * k).astype(np.int64)
        return counts if self.regime.window is None else np.where(i > t - self.regime.window, counts, 0)

    def _fit(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        n = rows.shape[-2]
        if n == 0:
            raise PartError("no rows to train on: synthetic_ratio is 0 in a regime without real data")
        centre = rows.mean(axis=-2)
        centred = rows - centre[..., None, :]
        return self._moments(centre, np.swapaxes(centred, -1, -2) @ centred, n)

    def _moments(self, centre: np.ndarray, scatter: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
        """The fitted mean and covariance from the rows' centre less the target's mean, and their centred scatter."""
        divisor = n - (self.generator.estimator == "unbiased")
        if divisor < 1:
            raise PartError(f"{n} training row is too few for estimator 'unbiased'; use at least 2, or 'mle'")
        covariance = (scatter + np.swapaxes(scatter, -1, -2)) / (2 * divisor)
        diagonal = np.einsum("...ii->...i", covariance)
        diagonal[...] = np.maximum(diagonal, 0.0) + self.generator.regularisation
        return centre + self.target.moments[0], covariance
