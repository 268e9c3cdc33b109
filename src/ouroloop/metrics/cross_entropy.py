r"""Cross-entropy of real text under a language model, the loss that papers on language models report.

.. math:: H = -\frac{1}{m L} \sum_{i=1}^m \log \hat p(x_i) \quad \text{nats per token}

for m held-out windows of L tokens. The perplexity is :math:`e^H`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.metrics.nll import log_probabilities, rows_to_score, surprise
from ouroloop.protocols import Generator, Measurement, Reference
from ouroloop.samples import Samples

__all__ = ["CrossEntropy"]


@dataclass(frozen=True, kw_only=True)
class CrossEntropy:
    """'cross_entropy': nats per token of held-out text under the fitted model (lower is better).

    It reads the model, not its samples: the generator needs ``log_likelihood(x)``, natural logarithms of the
    probabilities of whole rows. The interval is a normal one over windows.
    """

    max_rows: Annotated[int, Field(ge=2, description="most held-out windows scored; more are subsampled")] = 10_000
    _rows: np.ndarray | None = field(init=False, default=None, repr=False, compare=False)

    def fit(self, reference: Reference, *, key: Key) -> Self:
        """Choose the windows to score: held-out ones, or training rows (with a warning) where there are none.

        Raises:
            DataError: fewer than 2 rows, or rows that are no token ids (n, window).
        """
        rows = rows_to_score(reference, self.max_rows, key, "cross_entropy").x
        if rows.ndim != 2 or rows.dtype.kind not in "iu" or not rows.shape[1]:
            raise DataError(
                f"metric 'cross_entropy' needs rows of token ids, whole numbers of shape (n, window), got {rows.dtype} "
                f"of shape {rows.shape}; for other data use 'nll'"
            )
        fitted = replace(self)
        object.__setattr__(fitted, "_rows", rows)
        return fitted

    def measure(self, generated: Samples, *, generator: Generator, key: Key) -> Sequence[Measurement]:
        """One measurement; `generated` is not read.

        Raises:
            PartError: not fitted, a generator without ``log_likelihood``, or one that excludes a held-out row.
        """
        if self._rows is None:
            raise PartError("metric 'cross_entropy': call fit before measure")
        found = log_probabilities(generator, "log_likelihood", self._rows, "cross_entropy")
        return [surprise("cross_entropy", found, self._rows.shape[1])]
