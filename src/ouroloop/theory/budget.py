r"""What a user can afford, in units of risk and of rows, turned into what the planner's laws count in.

Risk is the expected squared error of the fitted parameters, in units of $\sigma^2$:

* "least_squares": $E|w-w^*|^2$ of p coefficients, $\sigma^2 p/(n-p-1)$ for one fit to n real rows
  (`regression.one_fit_risk`), exact for Gaussian inputs.
* "gaussian": $E|m-\mu|^2$ of a mean of p coordinates, $\sigma^2 p/n$, exact.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import choice, number, together, whole
from ouroloop.theory.regression import one_fit_risk
from ouroloop.theory.rows import drawn

__all__ = [
    "MODELS",
    "REGIMES",
    "most_ratio",
    "real_risk",
    "relative_budget",
    "rows_exceeded_at",
    "rows_needed",
    "trained_rows",
    "training_size",
]

MODELS = {"least_squares": "sigma^2 p/(n - p - 1)", "gaussian": "sigma^2 p/n"}
REGIMES = ("replace", "accumulate", "accumulate_subsample", "fixed_real", "fresh_real", "real_only")


def real_risk(model: str, n_real: int, dimension: int, noise_variance: float) -> float:
    """Risk of one fit to the real rows alone; infinity where they do not determine it.

    Args:
        model: of `MODELS`.
        n_real: rows, at least 1. dimension: p >= 1. noise_variance: of a row, >= 0.

    >>> real_risk("least_squares", 121, 20, 1.0), real_risk("gaussian", 100, 20, 1.0)
    (0.2, 0.2)
    """
    choice("model", model, MODELS)
    n, p = whole("n_real", n_real, 1), whole("dimension", dimension, 1)
    noise = number("noise_variance", noise_variance)
    return float(one_fit_risk(n, p, noise)) if model == "least_squares" else noise * p / n


def rows_needed(model: str, risk: float, dimension: int, noise_variance: float) -> int:
    """The fewest real rows whose risk alone is below an allowed one.

    >>> rows_needed("least_squares", 0.2, 20, 1.0), rows_needed("gaussian", 0.2, 20, 1.0)
    (122, 101)
    """
    allowed = number("risk", risk, above=True)
    p, noise = whole("dimension", dimension, 1), number("noise_variance", noise_variance)
    if noise * p / allowed > 1e15:
        raise SpecError(f"risk: {risk:g} would need more than 10^15 real rows; allow more")
    least = int(noise * p / allowed) + (p + 1 if model == "least_squares" else 0)
    n = max(1, least - 2)
    while not real_risk(model, n, p, noise) < allowed:  # a few steps: the quotient above is the answer but for rounding
        n += 1
    return n


def relative_budget(model: str, risk: float, n_real: int, dimension: int, noise_variance: float) -> float:
    """An allowed risk in units of that of the real rows alone, above 1: `planner.plan`'s budget.

    Raises:
        SpecError: the real rows alone have as much risk already (the message says how many would do), or none at all.

    >>> round(relative_budget("gaussian", 0.3, 100, 20, 1.0), 6)
    1.5
    """
    allowed = number("risk", risk, above=True)
    own = real_risk(model, n_real, dimension, noise_variance)
    if own == 0.0:
        raise SpecError("noise_variance: without noise the real rows alone have risk 0, of which nothing is a multiple")
    if allowed <= own:
        enough = rows_needed(model, allowed, dimension, noise_variance)
        raise SpecError(
            f"risk: even {n_real} real rows alone have risk {own:.4g} ({model}, {MODELS[model]}), so that {allowed:g} "
            f"leaves nothing for synthetic rows; you need at least {enough} real rows, or a larger risk"
        )
    return allowed / own


def training_size(regime: str, generation: npt.ArrayLike, real: npt.ArrayLike, fresh: npt.ArrayLike) -> np.ndarray:
    """Rows of a training set of generation t >= 1 where a generation draws `fresh` rows; any unit, arrays broadcast.

    >>> training_size("accumulate", [1, 10], 100, 50).tolist(), training_size("fixed_real", 3, 1.0, 0.5).tolist()
    ([150, 600], 1.5)
    """
    choice("regime", regime, REGIMES)
    t, n, k = together(generation=generation, real=real, fresh=fresh)
    sizes = {"replace": k, "accumulate": n + t * k, "accumulate_subsample": n + 0 * k, "real_only": n + 0 * k}
    return sizes.get(regime, n + k)


def trained_rows(regime: str, generation: int, n_real: int, synthetic_ratio: float) -> int:
    """Rows that a generation t >= 1 is trained on.

    Args:
        regime: of `REGIMES`.
        generation: t. n_real: at least 1. synthetic_ratio: finite.

    >>> [trained_rows(regime, 10, 100, 0.5) for regime in ("replace", "fixed_real", "accumulate")]
    [50, 150, 600]
    """
    counts = (whole("generation", generation, 1), n_real, drawn(synthetic_ratio, n_real))
    t, n, k = (np.asarray(count, object) for count in counts)  # of any size
    return int(training_size(regime, t, n, k))


def rows_exceeded_at(regime: str, n_real: int, synthetic_ratio: float, rows: int) -> int | None:
    """First generation t >= 1 that would be trained on more rows than can be afforded; None: none.

    >>> rows_exceeded_at("accumulate", 100, 0.5, 599), rows_exceeded_at("fixed_real", 100, 0.5, 599)
    (10, None)
    """
    if trained_rows(regime, 1, n_real, synthetic_ratio) > whole("rows", rows, 1):
        return 1
    k = drawn(synthetic_ratio, n_real)
    return (rows - n_real) // k + 1 if regime == "accumulate" and k else None


def most_ratio(regime: str, generations: int, n_real: int, rows: int) -> float:
    """The largest `synthetic_ratio` whose training sets stay within `rows` up to the last generation.

    Args:
        regime: of `REGIMES`.
        generations: the last, at least 1. n_real: at least 1. rows: at least as many.

    Raises:
        SpecError: fewer rows can be afforded than there are real ones.

    >>> [most_ratio(regime, 10, 100, 600) for regime in ("replace", "fixed_real", "accumulate")]
    [6.0, 5.0, 0.5]
    """
    choice("regime", regime, REGIMES)
    last, n, most = whole("generations", generations, 1), whole("n_real", n_real, 1), whole("rows", rows, 1)
    if most < n:
        raise SpecError(f"rows: {most} are fewer than the {n} real rows, which generation 0 is trained on already")
    spare = {"replace": most, "accumulate": (most - n) // last}.get(regime, most - n)
    return math.inf if regime in ("accumulate_subsample", "real_only") else spare / n
