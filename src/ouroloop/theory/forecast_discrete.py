r"""Forecast of the tokens that survive in a loop of independent tokens, given its real rows.

The n-gram model of order 1 draws every token by itself, so that a loop which replaces its data is the discrete loop of
`survival`, started from the frequencies of the real rows. Its smoothing gives every token a share u of a uniform
distribution: N u of the N tokens of a generation are strangers, each of whom has descendants j generations on with
probability $g_{j+1}$. Following lines of descent, the number of tokens in use changes by no more than the number of
strangers with descendants, $N u \sum_{j\le k} g_j$ in the mean. That and the gap between Suresh et al.'s bounds are the
stated error.

Models of higher order draw tokens that depend on those before them. The same number stands there as a heuristic without
a stated error: draws that share a context are fewer independent ones, and what was measured lay below it
(docs/studies/accumulate-words.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ouroloop.theory import survival
from ouroloop.theory.forecast import Forecast, corrects_nothing

__all__ = ["discrete_forecasts"]


def discrete_forecasts(spec: Mapping[str, Any], real: np.ndarray) -> list[Forecast]:
    """Mean of 'vocabulary_used' for these data, or nothing where it says nothing.

    Args:
        spec: a resolved specification.
        real: rows of token ids that the loop starts from, int (n, window).
    """
    if real.ndim != 2 or real.dtype.kind not in "iu" or not real.size or not _applies(spec, len(real)):
        return []
    counts = np.unique(real, return_counts=True)[1]
    fits = np.arange(1, int(spec["generations"]) + 2)
    p, n = counts / real.size, real.size
    strangers = n * float(spec["generator"]["uniform_share"]) * np.cumsum(survival.survival_factor(fits))
    alone = min(int(spec["generator"]["order"]), real.shape[1]) == 1
    note = "exact for Poisson counts; tokens drawn independently" if alone else "as if tokens were drawn independently"
    return [
        Forecast(
            metric="vocabulary_used",
            label="survivors",
            source="Suresh et al., Rate of model collapse in recursive training",
            validity="asymptotic" if alone else "heuristic",
            note=f"given the real rows; {note}",
            units="tokens",
            values=np.asarray(survival.expected_support(p, n, fits), np.float64),
            error=np.asarray(survival.support_gap(p, n, fits)) + strangers if alone else None,
        )
    ]


def _applies(spec: Mapping[str, Any], n_real: int) -> bool:
    generator, regime = spec["generator"], spec["regime"]
    replaces = regime.get("kind") == "replace" and float(regime["synthetic_ratio"]) == 1.0
    measured = any(m.get("kind") == "token_variety" for m in spec["metrics"])
    measured = measured and int(spec["evaluation"]["n"]) == n_real
    known = generator.get("kind") == "ngram" and float(generator["temperature"]) == 1.0
    return known and replaces and measured and corrects_nothing(spec)
