r"""Least squares for curves $x_t = x_0 + b\,\phi_t(q)$, with $\phi$ a shape that depends on one factor $q$.

The factor is searched on a grid from 0 to 100 and then on a finer one around the best; start and step follow for each.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ouroloop.errors import DataError
from ouroloop.theory.arguments import numbers

__all__ = ["Basis", "cautious_fit", "changes", "curves_of", "fit", "geometric", "redrawn"]

Basis = Callable[[np.ndarray], np.ndarray]  # factors (..., k) to shapes (..., k, points)
_FACTORS = np.concatenate([np.linspace(0.0, 0.98, 99), np.linspace(0.985, 1.5, 104), np.geomspace(1.51, 100.0, 300)])
_BLOCK_VALUES = 1 << 22  # numbers held at a time while fitting
_CHANCE = 0.05  # of taking noise for a runaway
_CHANCE_OF_CHANGE = 0.1  # of taking noise for a change
_DRAWS = 400
_LARGEST = 230.0  # of t log q: beyond it the curve leaves floating point


def curves_of(
    name: str, values: npt.ArrayLike, generations: npt.ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Checked curves (seeds, points) and their generations (points,), by default 0, 1, 2, ...

    Raises:
        DataError: fewer than 4 points, generations that do not increase, or values that are no finite numbers.
    """
    table = _table(name, values)
    points = table.shape[1]
    t = np.arange(points, dtype=np.float64) if generations is None else numbers("generations", generations)
    if table.size == 0 or points < 4 or t.shape != (points,):
        raise DataError(f"{name}: needs at least 4 generations, got {points} values and {t.size} generations")
    if (np.diff(t) <= 0).any():
        raise DataError(f"{name}: generations must increase")
    if not np.isfinite(table).all():
        raise DataError(f"{name}: values must be finite; leave generations without a measurement out")
    return table, t


def _table(name: str, values: npt.ArrayLike) -> np.ndarray:
    wanted = f"{name}: values: must be numbers, (seeds, points) or (points,)"
    try:
        given = np.asarray(values)
        table = np.atleast_2d(given.astype(np.float64) if given.dtype.kind in "biufO" else given)
    except (TypeError, ValueError) as error:  # ragged, or no numbers
        raise DataError(f"{wanted}; {error}") from error
    if table.dtype != np.float64 or table.ndim != 2:
        raise DataError(f"{wanted}; got {given.dtype} of shape {given.shape}")
    return table


def geometric(t: np.ndarray, q: npt.ArrayLike) -> np.ndarray:
    """1 + q + ... + q^(t-1) for every factor (...) and generation (points,): shape (..., points)."""
    q = np.asarray(q, np.float64)[..., None]
    linear = np.abs(q - 1.0) < 1e-9
    return np.where(linear, t, (1.0 - np.power(q, t)) / np.where(linear, 1.0, 1.0 - q))


def cautious_fit(
    curves: np.ndarray, basis: Basis, t: np.ndarray, calm: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """`fit`, but a runaway (q > calm) is claimed only where it beats every smaller q beyond chance (F-test).

    It also has to foretell the last point better from the others, which an outlier at the end does not allow.
    """
    found = fit(curves, basis, t)
    wild = np.flatnonzero(found[0] > calm)
    if len(wild):
        held = fit(curves[wild], basis, t, calm)
        claimed = _beyond_chance(held[3], found[3][wild], len(t))
        claimed &= _missed(curves[wild], basis, t, math.inf) < _missed(curves[wild], basis, t, calm)
        for column, replacement in zip(found, held, strict=True):
            column[wild[~claimed]] = replacement[~claimed]
    return found


def _missed(curves: np.ndarray, basis: Basis, t: np.ndarray, largest: float) -> np.ndarray:
    """By how much the fit to all other points misses the last, (m,)."""
    q, start, step, _ = fit(curves[:, :-1], lambda q: basis(q)[..., :-1], t, largest)
    return np.abs(start + step * basis(q)[..., -1] - curves[:, -1])


def _beyond_chance(calm: np.ndarray, runaway: np.ndarray, points: int) -> np.ndarray:
    """Whether one parameter more explains what two root mean square residuals differ by."""
    from scipy.special import fdtri

    freedom = points - 3
    return calm**2 > runaway**2 * (1.0 + float(fdtri(1, freedom, 1.0 - _CHANCE)) / freedom)


def changes(table: np.ndarray, residual: float) -> bool:
    """Whether the fitted curve explains the means over seeds better than a constant does, beyond chance (F-test).

    The noise of a mean is told from what the fit leaves and, for several seeds, from how their shapes differ (the
    interaction of seed and generation), which is what makes the test strong for few generations.

    Args:
        table: (seeds, points). residual: root mean square of what the fit leaves of the mean.
    """
    from scipy.special import fdtri

    seeds, points = table.shape
    mean = table.mean(axis=0)
    shapes = table - mean - (table.mean(axis=1, keepdims=True) - mean.mean())
    noise, freedom = points * residual**2 + float((shapes**2).sum()) / seeds, points - 3 + (seeds - 1) * (points - 1)
    explained = float(((mean - mean.mean()) ** 2).sum()) - points * residual**2
    return explained / 2.0 > noise / freedom * float(fdtri(2, freedom, 1.0 - _CHANCE_OF_CHANGE))


def redrawn(table: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    r"""Curves (draws, points) that spread about the mean over seeds as its error does: Student's t.

    From 3 seeds on their deviations are mixed with normal weights and divided by $\sqrt{\chi^2_{n-1}/(n-1)}$, by which
    every weighted sum of points has the t-interval of its seeds; resampling them alone covers two thirds with 3 of
    them. For fewer seeds what the fit leaves is resampled, likewise scaled, about the fit.

    Args:
        table: (seeds, points). fitted: (points,), the fit to its mean.
    """
    rng = np.random.default_rng(0)  # a fixed stream: the same table gives the same interval
    seeds, points = table.shape
    mean = table.mean(axis=0)
    if seeds >= 3:
        freedom, centre = seeds - 1, mean
        noise = rng.normal(size=(_DRAWS, seeds)) @ (table - mean) / math.sqrt(seeds * freedom)
    else:
        freedom, centre = points - 3, fitted  # three constants were fitted
        left = (mean - fitted) * math.sqrt(points / freedom)
        noise = left[rng.integers(points, size=(_DRAWS, points))]
    return centre + noise * np.sqrt(freedom / rng.chisquare(freedom, size=(_DRAWS, 1)))


def fit(
    curves: np.ndarray, basis: Basis, t: np.ndarray, largest: float = math.inf
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every curve by itself.

    Args:
        curves: (m, points). basis: the shapes. t: (points,), of which the last limits the factor to floating point.
        largest: factor allowed.

    Returns:
        q, start, step and root mean square residual, each (m,).
    """
    scale = np.maximum(np.ptp(curves, axis=1), np.finfo(np.float64).tiny)[:, None]  # squares stay within floating point
    middle = curves.mean(axis=1, keepdims=True)
    units = (curves - middle) / scale
    most = min(largest, math.exp(_LARGEST / float(t[-1])), float(_FACTORS[-1]))
    size = max(1, _BLOCK_VALUES // (len(_FACTORS) * len(t)))
    blocks = [_refined(units[i : i + size], basis, most) for i in range(0, len(units), size)]
    q, start, step, left = (np.concatenate(column) for column in zip(*blocks, strict=True))
    scale, middle = scale[:, 0], middle[:, 0]
    return q, middle + scale * start, scale * step, scale * np.sqrt(left / curves.shape[1])


def _refined(curves: np.ndarray, basis: Basis, most: float) -> tuple[np.ndarray, ...]:
    q, *_ = _best(curves, basis, _FACTORS[None, : np.searchsorted(_FACTORS, most, "right")])
    around = q[:, None] + np.maximum(0.01, 0.01 * q[:, None]) * np.linspace(-1.0, 1.0, 41)
    return _best(curves, basis, np.clip(around, 0.0, most))


def _best(curves: np.ndarray, basis: Basis, factors: np.ndarray) -> tuple[np.ndarray, ...]:
    """The best of some factors (1 or m, k) for every curve, with start, step and sum of squares, each (m,)."""
    shapes = basis(factors)
    middle = shapes.mean(axis=2, keepdims=True)
    centred, y = shapes - middle, curves - curves.mean(axis=1, keepdims=True)
    step = (centred @ y[:, :, None])[..., 0] / np.maximum((centred**2).sum(axis=2), 1e-300)
    left = ((y[:, None] - step[..., None] * centred) ** 2).sum(axis=2)
    rows, best = np.arange(len(curves)), left.argmin(axis=1)
    of = np.minimum(rows, len(factors) - 1)
    chosen = step[rows, best]
    start = curves.mean(axis=1) - chosen * middle[of, best, 0]
    return factors[of, best], start, chosen, left[rows, best]
