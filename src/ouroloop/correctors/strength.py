r"""SCSC's correction strength for any corrector.

$$\pi_\gamma p_\theta = \frac{p_\theta + \gamma\, p_{\mathrm{corrected}}}{1 + \gamma}$$

A row is replaced by its corrected version with probability $\gamma / (1 + \gamma)$.

Source: SCSC (arXiv 2402.07087), the definition of $\pi_\gamma$. Where the corrector draws from the target itself
(`Ideal`) the rows are exact draws of $\pi_\gamma p_\theta$; no histogram and no rejection is involved.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction, for_generation
from ouroloop.correctors.rows import scatter
from ouroloop.errors import SpecError
from ouroloop.keys import Key
from ouroloop.protocols import Corrector, Reference
from ouroloop.samples import Samples

__all__ = ["Strength"]


@dataclass(frozen=True, kw_only=True)
class Strength:
    """A corrector applied to a random share gamma / (1 + gamma) of the rows.

    Row i is corrected iff u_i < gamma / (1 + gamma), with u = ``key.child("strength").rng().random(n)`` for the whole
    shard: with the same key a larger strength corrects a superset of the rows. Strength 0 is exactly the
    uncorrected loop (the corrector is neither fitted nor called, rows with NaN pass as they are), infinity
    corrects every row.

    The corrector is shown only the chosen rows, unless it declares ``whole_shard = True`` (see
    `ouroloop.correctors`): then it is shown all, and its answer is used for the chosen ones.

    Args:
        corrector: what is applied.
        correction_strength: SCSC's gamma, 0 to infinity.

    Raises:
        SpecError: a negative or NaN strength.
    """

    corrector: Annotated[Corrector, Field(description="what is applied to the chosen rows")]
    correction_strength: Annotated[
        float, Field(ge=0, description="SCSC's gamma: a row is corrected with probability gamma / (1 + gamma)")
    ] = math.inf

    def __post_init__(self) -> None:
        if not self.correction_strength >= 0:
            raise SpecError(f"correction_strength: must be a number >= 0 or .inf, got {self.correction_strength!r}")

    @property
    def share(self) -> float:
        """Probability that a row is corrected, gamma / (1 + gamma)."""
        gamma = self.correction_strength
        return 1.0 if math.isinf(gamma) else gamma / (1.0 + gamma)

    @property
    def whole_shard(self) -> bool:
        """Whether the corrector's answer for a row depends on the other rows of the shard."""
        return getattr(self.corrector, "whole_shard", False)

    def fit(self, reference: Reference, *, key: Key) -> Strength:
        """Prepare the corrector; at strength 0 there is nothing to prepare."""
        if self.share == 0.0:
            return self
        return replace(self, corrector=self.corrector.fit(reference, key=key))

    def for_generation(self) -> Strength:
        """The same strength of what corrects one generation; itself where that does not remember."""
        made = self.corrector if self.share == 0.0 else for_generation(self.corrector)
        return self if made is self.corrector else replace(self, corrector=made)

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """The corrector's answer for the chosen rows; the others are kept."""
        if self.share == 0.0:
            return Correction.unchanged(synthetic)
        rows = np.flatnonzero(key.child("strength").rng().random(len(synthetic)) < self.share)
        if len(rows) == len(synthetic):
            return self.corrector.correct(synthetic, key=key)
        if not self.whole_shard:
            return scatter(synthetic, rows, self.corrector.correct(synthetic.take(rows), key=key))
        whole = self.corrector.correct(synthetic, key=key)
        chosen = Correction(synthetic.take(rows), whole.proposed.take(rows), whole.verdict[rows], whole.distance[rows])
        return scatter(synthetic, rows, chosen)
