"""The ideal corrector: a row is replaced by a fresh draw of the target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np

from ouroloop.correction import Correction
from ouroloop.correctors.rows import finite_rows, like, moved
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

__all__ = ["Ideal"]


@dataclass(frozen=True, kw_only=True)
class Ideal:
    r"""Fresh draws of the target in place of the rows: an oracle, for studies with a known target.

    Under `Strength` with strength gamma the rows are exact draws of $(p_\theta + \gamma p^*) / (1 + \gamma)$.
    The draws are those of ``reference.fresh(n, key=key.child("target"))`` for the whole shard, whatever the
    strength, so that arms which differ in strength alone share them row by row. A data set with a finite
    reserve of real rows therefore gives n of them away in each generation, at every strength above 0.

    Labels and further columns are replaced together with ``x``. Compare with the control that trains on as many
    fresh real rows: this corrector brings new information about the target into the loop.

    Source: SCSC (arXiv 2402.07087), the definition of $\pi_\gamma$, with $p^*$ the target.
    """

    whole_shard: ClassVar[bool] = True
    _fresh: Callable[..., Samples] | None = field(init=False, default=None, repr=False, compare=False)

    def fit(self, reference: Reference, *, key: Key) -> Ideal:
        """Keep the data set's sampler.

        Raises:
            DataError: the data set has none.
        """
        if reference.fresh is None:
            raise DataError(
                f"corrector 'ideal' draws from the target, and data '{reference.name}' is a fixed table without fresh "
                "rows; use a data set with a known target (gaussian, mixture) or a reserve of real rows, or a "
                "corrector that learns from the real rows (cluster, transport, nearest_real)"
            )
        fitted = replace(self)
        object.__setattr__(fitted, "_fresh", reference.fresh)
        return fitted

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Every row replaced; rows with NaN fail."""
        if self._fresh is None:
            raise PartError("corrector 'ideal': call fit before correct")
        if len(synthetic) == 0:
            return Correction.unchanged(synthetic)
        fresh = self._fresh(len(synthetic), key=key.child("target"))
        missing = [name for name in synthetic.data_columns if name not in fresh.data_columns]
        if missing or fresh.x.shape != synthetic.x.shape:
            raise PartError(
                f"corrector 'ideal': fresh rows have x of shape {fresh.x.shape} and lack the columns {missing}, "
                f"synthetic ones have {synthetic.x.shape}: generator and data set must agree"
            )
        others = {name: np.asarray(fresh[name]) for name in synthetic.data_columns if name != "x"}
        x = fresh.x if fresh.x.dtype.kind not in "biuf" else like(fresh.x, synthetic.x)
        return moved(synthetic, x, failed=~finite_rows(synthetic), **others)
