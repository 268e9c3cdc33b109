"""How much a reward likes the generated rows: what a curated loop raises, at the price of variety.

Source: Ferbach et al., arXiv 2407.09499: along a curated loop the expected reward grows and its variance vanishes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.metrics.bootstrap import Z95, Estimate, wilson
from ouroloop.protocols import Generator, Measurement, Reference
from ouroloop.rewards import Judge
from ouroloop.rewards import Reward as RewardFunction
from ouroloop.samples import Samples

__all__ = ["Reward"]


@dataclass(frozen=True, kw_only=True)
class Reward:
    """'reward' (mean over generated rows), 'reward_variance', and 'liked_share' (rows with a reward above `liked`).

    Intervals are normal ones from the spread over rows, the share's a score interval; the floor is the value on
    held-out real rows.
    """

    reward: Annotated[RewardFunction, Field(description="what is preferred, as in the corrector 'curate'")]
    liked: Annotated[float, Field(description="rewards above it count for 'liked_share'")] = -1e-9
    _judge: Judge | None = field(init=False, default=None, repr=False, compare=False)
    _floor: dict[str, float] | None = field(init=False, default=None, repr=False, compare=False)

    def fit(self, reference: Reference, *, key: Key) -> Reward:
        """Prepare the reward on the real data, and measure the held-out rows."""
        rows = reference.real if reference.held_out is None else reference.held_out
        for table in (reference.real, rows):
            table.check_finite("metric 'reward'")
        if len(rows) < 2:
            raise DataError(f"metric 'reward' needs at least 2 real rows to compare with, got {len(rows)}")
        fitted = replace(self)
        judge = self.reward.ready(reference.real, key=key.child("reward"), cache=reference.cache)
        object.__setattr__(fitted, "_judge", judge)
        object.__setattr__(fitted, "_floor", {name: e.value for name, e in fitted._estimates(rows, judge).items()})
        return fitted

    def measure(self, generated: Samples, *, generator: Generator, key: Key) -> Sequence[Measurement]:
        """Three measurements.

        Raises:
            PartError: not fitted. DataError: fewer than 2 rows, or NaN.
        """
        if self._judge is None or self._floor is None:
            raise PartError("metric 'reward': call fit before measure")
        generated.check_finite("metric 'reward'")
        if len(generated) < 2:
            raise DataError(f"metric 'reward' needs at least 2 generated rows, got {len(generated)}")
        found = self._estimates(generated, self._judge)
        return [Measurement(name, *e, self._floor[name], len(generated)) for name, e in found.items()]

    def _estimates(self, rows: Samples, judge: Judge) -> dict[str, Estimate]:
        reward = np.asarray(judge(rows), np.float64)
        n, mean, variance = len(reward), float(reward.mean()), float(reward.var(ddof=1))
        share, fourth = float((reward > self.liked).mean()), float(((reward - reward.mean()) ** 4).mean())
        half = Z95 * float(np.sqrt(variance / n))
        wide = Z95 * float(np.sqrt(max(fourth - variance**2, 0.0) / n))
        return {
            "reward": Estimate(mean, mean - half, mean + half),
            "reward_variance": Estimate(variance, max(0.0, variance - wide), variance + wide),
            "liked_share": Estimate(share, *wilson(share, n)),
        }
