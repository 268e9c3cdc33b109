r"""Categories resampled from their own counts: genetic drift.

A model of m categories that is refitted on n of its own samples is the Wright-Fisher model. Heterozygosity
$h = 1-\sum p_i^2$, the probability that two draws differ, is in
expectation $E h_t = h_0\,E v_t$ with $E v_t$ the Gaussian variance's law of the same regime (`gaussian.variance`,
maximum likelihood): both are quadratic in the fitted distribution, and both fits are linear in their rows. Exact; for
replace $(1-\frac1n)^t$. For which categories survive see `survival`.

Source:
    Setting: Kazdan et al., arXiv 2410.16713; Wright-Fisher drift (heterozygosity, and fixation times in the diffusion
    limit). Checked by simulation in tests/theory/test_discrete.py.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ouroloop.theory.arguments import Values, distributions, plain, wholes
from ouroloop.theory.gaussian import variance

__all__ = ["fixation_time", "heterozygosity"]


def heterozygosity(
    regime: str,
    generation: npt.ArrayLike,
    n: npt.ArrayLike,
    probabilities: npt.ArrayLike,
    *,
    synthetic_ratio: float = 1.0,
) -> Values:
    r"""Expected $1-\\sum p_i^2$ of the t-th fit; exact.

    Args:
        regime, generation, n, synthetic_ratio: see `gaussian.variance`.
        probabilities: of the data, shape (m,).

    >>> round(heterozygosity("replace", 50, 100, [0.2, 0.8]), 4)
    0.1936
    """
    p = distributions("probabilities", probabilities)
    start = 1.0 - (p**2).sum(axis=-1)
    return plain(start * np.asarray(variance(regime, generation, n, synthetic_ratio=synthetic_ratio)))


def fixation_time(n: npt.ArrayLike, probabilities: npt.ArrayLike) -> Values:
    r"""Expected generations of regime replace until one category is left: $-2n\sum_i(1-p_i)\ln(1-p_i)$.

    Asymptotic in n (diffusion). By the coalescent, $2n\sum_{k\ge2}(1-\sum_i p_i^k)/(k(k-1))$. For m equal categories
    $-2n(m-1)\ln(1-\frac1m)$, which tends to 2n as m grows.

    Args:
        n: draws a generation, at least 1.
        probabilities: shape (..., m).

    >>> round(fixation_time(100, [0.2, 0.8]), 1), fixation_time(100, [1.0])
    (100.1, 0.0)
    """
    from scipy.special import xlogy

    p, rows = distributions("probabilities", probabilities), wholes("n", n, 1)
    lost = np.maximum(1.0 - p, 0.0)
    return plain(2.0 * rows * np.abs(xlogy(lost, lost).sum(axis=-1)))
