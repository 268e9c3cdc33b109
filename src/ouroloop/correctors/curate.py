r"""Curation: of every K synthetic rows the one that is preferred stays.

Draw $x_1, \dots, x_K$ from the model and keep $x_k$ with probability $e^{r(x_k)} / \sum_i e^{r(x_i)}$ (the
Bradley-Terry or Plackett-Luce choice), by the Gumbel trick: the largest $r(x_k) + g_k$ with standard Gumbel $g_k$.

Source: Ferbach et al., arXiv 2407.09499, section 2 and equation 6. What the loop then does is in `theory.curation`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.rows import on_finite
from ouroloop.errors import PartError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.rewards import Judge, Reward
from ouroloop.samples import Samples, Verdict

__all__ = ["Curate"]


@dataclass(frozen=True, kw_only=True)
class Curate:
    """Rows meet in random groups of `choices`; one of each group is kept, by its reward, the others are dropped.

    One row in `choices` survives: for a curated row per real row set ``synthetic_ratio`` to `choices`. Rows left over
    by the division into groups are dropped. With 1 choice every row is kept.

    Args:
        reward: an option mapping (see `Reward`), or from Python a function of a table to one number a row.
        choices: K, rows a group.
    """

    reward: Annotated[Reward, Field(description="what is preferred")]
    choices: Annotated[int, Field(ge=1, description="K: rows among which one is chosen")] = 4
    _judge: Judge | None = field(init=False, default=None, repr=False, compare=False)
    whole_shard: ClassVar[bool] = True

    def fit(self, reference: Reference, *, key: Key) -> Curate:
        """Prepare the reward on the real data."""
        reference.real.check_finite("corrector 'curate'")
        fitted = replace(self)
        judge = (
            self.reward.ready(reference.real, key=key.child("reward"), cache=reference.cache)
            if isinstance(self.reward, Reward)
            else self.reward
        )
        object.__setattr__(fitted, "_judge", judge)
        return fitted

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """One row of every group kept, the others dropped; rows with NaN fail and are in no group.

        Raises:
            PartError: not fitted, or the reward gave something else than one finite number a row.
        """
        judge = self._judge
        if judge is None:
            raise PartError("corrector 'curate': call fit before correct")
        return on_finite(synthetic, lambda rows: self._choose(rows, judge, key.child("choices")))

    def _choose(self, rows: Samples, judge: Judge, key: Key) -> Correction:
        n, k = len(rows), self.choices
        reward = np.asarray(judge(rows), np.float64)
        if reward.shape != (n,) or not np.isfinite(reward).all():
            raise PartError(
                f"corrector 'curate': the reward of {n} rows must be {n} finite numbers, got shape {reward.shape}"
                + ("" if reward.shape != (n,) else f" with {int((~np.isfinite(reward)).sum())} of them not finite")
            )
        rng = key.rng()
        noisy = reward + rng.gumbel(size=n)
        groups = rng.permutation(n)[: n - n % k].reshape(-1, k)
        winners = groups[np.arange(len(groups)), noisy[groups].argmax(axis=1)]
        verdict = np.full(n, Verdict.DROPPED, np.int8)
        verdict[winners] = Verdict.KEPT
        return Correction(rows, rows, verdict, np.zeros(n))
