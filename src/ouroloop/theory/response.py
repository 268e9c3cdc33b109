r"""A generator's own constants, apart from the loop that they were measured in, so that other loops can be forecast.

Let a metric be $x_0$ for the model of the real data and $x$ for some model, and let rows that a model has drawn move
what is trained on them alone to $x_0 + d + M\,(x - x_0)$: $d$ is what one generation of drawing and fitting costs, $M$
(`factor`) how much of an earlier error it passes on. To first order rows of several origins are averaged, so that

$$ x_t - x_0 = \sum_{i \le t} K_{ti}\,\big(d + M\,(x_{i-1} - x_0)\big) = d\,\phi_t(M), $$

with $K_{ti}$ the share of generation t's training rows that generation i drew and the corrector left. With the same
share $r$ in every generation this is the curve of `estimate.contraction` with $q = rM$ and $b = rd$; for
other regimes it is not. For the variance of a sampler that inflates it by $s^2$, $M = s^2$ and $d = s^2 - 1$ exactly
(many rows). For other metrics it is a linearisation: a heuristic, to be judged on held-out generations.

A source whose rows are half a model's own bears any $M < 2$ calmly; a loop of its rows alone explodes with $M > 1$.
So the loop to forecast takes part in the fit: an $M$ with which source or target would run away is taken only where
it fits better than every smaller one beyond chance, and a change only where it is one beyond chance (F-tests).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroloop.errors import DataError, SpecError
from ouroloop.theory import rows
from ouroloop.theory.arguments import numbers, share_of_model, whole, wholes
from ouroloop.theory.curve_fit import cautious_fit, changes, curves_of, fit, redrawn

__all__ = ["Response", "distorted_variance", "response", "shape", "shares"]

_BOUND = 1e150  # of a curve that runs away, so that its square stays within floating point


def shares(
    regime: str,
    generations: int,
    n_real: int,
    synthetic_ratio: float,
    correction_strength: float = 0.0,
    window: int | None = None,
    batch_real_share: float | None = None,
) -> np.ndarray:
    """K: entry (t, i) is the share of generation t's training rows that generation i drew and kept as they were.

    Args:
        regime: of `rows.REGIMES`, or accumulate_subsample, whose subset has the pool's shares on average.
        generations: last one. n_real, synthetic_ratio: rows. window: of the accumulating regimes.
        correction_strength: of the ideal corrector, or of one that is taken for it.
        batch_real_share: share of real rows in what a network is shown, where there are some; None: that of the rows.

    Returns:
        float64 (generations + 1, generations + 1), row and column 0 are 0.

    >>> shares("accumulate", 2, 10, 1.0)[2].round(3).tolist()
    [0.0, 0.333, 0.333]
    """
    whole("n_real", n_real, 1)
    drawn = rows.drawn(synthetic_ratio, n_real)
    kind = "accumulate" if regime == "accumulate_subsample" else regime
    plan = rows.plan(kind, generations, n_real, drawn if kind != "real_only" else 0, window)
    found = plan.counts / plan.rows[:, None]
    if batch_real_share is not None:
        synthetic = found.sum(axis=1, keepdims=True)
        mixed = (synthetic > 0.0) & (synthetic < 1.0)
        found = np.where(mixed, found / np.where(mixed, synthetic, 1.0) * (1.0 - batch_real_share), found)
    return found * share_of_model(correction_strength)


def shape(shares: np.ndarray, factor: npt.ArrayLike) -> np.ndarray:
    r"""$\phi_t(M) = \sum_i K_{ti}(1 + M\phi_{i-1})$ for every factor (...): float64 (..., generations + 1)."""
    factor = np.asarray(factor, np.float64)
    found = np.zeros((*factor.shape, len(shares)))
    for t in range(1, len(shares)):
        passed = 1.0 + factor[..., None] * found[..., :t]
        found[..., t] = np.minimum(passed @ shares[t, 1 : t + 1], _BOUND)
    return found


@dataclass(frozen=True, eq=False, kw_only=True)
class Response:
    """A metric's constants, and draws of them that show how well they are known.

    Attributes:
        factor, step, start: M, d and x_0; d is 0 where the metric does not change beyond chance.
        best: M of the best fit. Above `factor` where a loop of such an M would run away, but chance explains it too.
        residual: root mean square of what the fit leaves of the mean over seeds.
        fitted: generations that were fitted.
        draws: M, d and x_0 refitted to data drawn with the error of the mean, float64 (3, draws).
    """

    factor: float
    step: float
    start: float
    best: float
    residual: float
    fitted: int
    draws: np.ndarray

    def predict(self, shares: np.ndarray, confidence: float = 0.95) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The metric in a loop with these shares: values, low and high, each float64 (generations + 1,).

        The interval is that of the fitted constants; that the metric answers linearly it takes for granted, and so
        it does that M is at most the one that is fitted, where that is less than `best`.
        """
        shares = _loop("shares", shares)
        tail = (1.0 - float(numbers("confidence", confidence, 0.0, 1.0, above=True, below=True))) / 2.0
        values = self.start + self.step * shape(shares, self.factor)
        factors, steps, starts = self.draws
        drawn = starts[:, None] + steps[:, None] * shape(shares, factors)
        low, high = np.quantile(drawn, [tail, 1.0 - tail], axis=0)
        return values, np.minimum(low, values), np.maximum(high, values)


def response(
    values: npt.ArrayLike,
    shares: np.ndarray,
    generations: npt.ArrayLike | None = None,
    *,
    target: np.ndarray | None = None,
) -> Response:
    """Fit a metric's constants to the generations of a loop.

    Args:
        values: (seeds, points) or (points,).
        shares: K of that loop, up to its last generation at least.
        generations: (points,), whole and increasing; default 0, 1, 2, ...
        target: K of the loop to forecast; default: the same loop.

    The draws show the error over seeds where there are 3 or more, else that of what the fit leaves.

    Raises:
        DataError: see `curve_fit.curves_of`. SpecError: a loop without synthetic rows, or shorter than the values.
    """
    table, t = curves_of("response", values, generations)
    wholes("generations", t)
    shares = _loop("shares", shares)
    if t[-1] >= len(shares):
        raise SpecError(f"shares: are known up to generation {len(shares) - 1}, values up to {t[-1]:g}")
    largest, at = float(shares.sum(axis=1).max()), t.astype(int)
    if largest == 0.0:
        raise SpecError("shares: no synthetic row is trained on, so that nothing can be learnt of the generator")

    def basis(q: np.ndarray) -> np.ndarray:
        return shape(shares[: at[-1] + 1, : at[-1] + 1], q / largest)[..., at]

    wanted = 0.0 if target is None else float(_loop("target", target).sum(axis=1).max())
    calm = min(1.0, largest / max(wanted, largest))  # the q up to which neither loop runs away
    mean = table.mean(axis=0)
    q, start, step, residual = (float(column[0]) for column in cautious_fit(mean[None], basis, t, calm))
    best = max(q, float(fit(mean[None], basis, t)[0][0]))
    curves = redrawn(table, start + step * basis(np.asarray(q)))
    drawn_q, drawn_starts, drawn_steps, _ = (
        cautious_fit(curves, basis, t, calm) if q > calm else fit(curves, basis, t, calm)
    )
    if not changes(table, residual):
        start, step = float(mean.mean()), 0.0
    return Response(
        factor=q / largest,
        step=step,
        start=start,
        best=best / largest,
        residual=residual,
        fitted=table.shape[1],
        draws=np.stack([drawn_q / largest, drawn_steps, drawn_starts]),
    )


def _loop(name: str, shares: npt.ArrayLike) -> np.ndarray:
    """Checked K."""
    found = numbers(name, shares)
    if found.ndim != 2 or found.shape[0] != found.shape[1] or not found.size:
        raise SpecError(f"{name}: must be the square table that theory.response.shares gives, got {found.shape}")
    return found


def distorted_variance(shares: np.ndarray, sampler_distortion: float) -> np.ndarray:
    r"""$s^2 v_t$: variance of what is drawn over that of the real data, many rows: $s^2(1 + (s^2-1)\,\phi_t(s^2))$.

    Args:
        shares: K of the loop. sampler_distortion: $s^2 > 0$.

    >>> distorted_variance(shares("replace", 3, 10, 1.0), 0.5).tolist()
    [0.5, 0.25, 0.125, 0.0625]
    """
    stretch = float(numbers("sampler_distortion", sampler_distortion, above=True))
    if not len(shares):
        raise DataError("shares: are empty")
    return stretch * (1.0 + (stretch - 1.0) * shape(shares, stretch))
