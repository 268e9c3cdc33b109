r"""Forecast of the tokens that survive in a loop of independent tokens, given its real rows.

The n-gram model of order 1 draws every token by itself, so that a loop which replaces its data is the discrete loop of
`survival`, started from the frequencies of the real rows. Its smoothing gives every token a share u of a uniform
distribution: N u of the N tokens of a generation are strangers, each of whom has descendants j generations on with
probability $g_{j+1}$. Following lines of descent, the number of tokens in use changes by no more than the number of
strangers with descendants, $N u \sum_{j\le k} g_j$ in the mean. That and the gap between Suresh et al.'s bounds are the
stated error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ouroloop.theory import survival
from ouroloop.theory.forecast import Forecast, corrects_nothing

__all__ = ["discrete_forecasts"]


def discrete_forecasts(spec: Mapping[str, Any], real: np.ndarray) -> list[Forecast]:
    """Mean of 'vocabulary_used' for these data, or nothing where the law does not hold.

    Args:
        spec: a resolved specification.
        real: rows of token ids that the loop starts from, int (n, window).
    """
    if real.ndim != 2 or real.dtype.kind not in "iu" or not real.size or not _applies(spec, real):
        return []
    counts = np.unique(real, return_counts=True)[1]
    fits = np.arange(1, int(spec["generations"]) + 2)
    p, n = counts / real.size, real.size
    strangers = n * float(spec["generator"]["uniform_share"]) * np.cumsum(survival.survival_factor(fits))
    return [
        Forecast(
            metric="vocabulary_used",
            label="survivors",
            source="Suresh et al., Rate of model collapse in recursive training",
            validity="asymptotic",
            note="given the real rows; exact for Poisson counts; tokens drawn independently",
            units="tokens",
            values=np.asarray(survival.expected_support(p, n, fits), np.float64),
            error=np.asarray(survival.support_gap(p, n, fits)) + strangers,
        )
    ]


def _applies(spec: Mapping[str, Any], real: np.ndarray) -> bool:
    generator, regime = spec["generator"], spec["regime"]
    single = generator.get("kind") == "ngram" and min(int(generator["order"]), real.shape[1]) == 1
    replaces = regime.get("kind") == "replace" and float(regime["synthetic_ratio"]) == 1.0
    measured = any(m.get("kind") == "token_variety" for m in spec["metrics"])
    measured = measured and int(spec["evaluation"]["n"]) == len(real)
    return single and float(generator["temperature"]) == 1.0 and replaces and measured and corrects_nothing(spec)
