r"""What the theory needs to know of a real model, estimated from data: rates of a verifier, contraction, distortion.

* **Verifier and label noise**: shares with Clopper-Pearson intervals, from a small set of rows whose right label is
  known. Source: the proxy procedure of Feng et al., arXiv 2406.07515.
* **Contraction**: a metric that approaches its limit by a factor $q$ a generation follows
  $x_t = x_0 + b\,\frac{1-q^t}{1-q}$, which is linear growth at $q = 1$ and a runaway above. Fitted by least squares to
  the first generations; an error of measurement does not bias $q$ towards 0 as it does in a regression of $x_{t+1}$
  on $x_t$. A runaway is claimed only where it fits better than every $q \le 1$ beyond chance (F-test, 5 %): the best
  fit to mere noise often is one, and its forecast explodes.
* **Distortion** $s^2$: total variance of what a sampler gives over that of what its model was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroloop.errors import DataError, SpecError
from ouroloop.theory.arguments import numbers, whole
from ouroloop.theory.curve_fit import cautious_fit, curves_of, fit, geometric, redrawn

__all__ = [
    "Contraction",
    "Rate",
    "VerifierRates",
    "advice",
    "contraction",
    "rate",
    "sampler_distortion",
    "verifier_rates",
]

_RESAMPLES = 400


@dataclass(frozen=True)
class Rate:
    """A probability or ratio with its interval.

    Attributes:
        value, low, high: the estimate and its interval.
        n: observations it rests on.
    """

    value: float
    low: float
    high: float
    n: int


def rate(successes: int, n: int, confidence: float = 0.95) -> Rate:
    """A share with its Clopper-Pearson interval, which covers at least as often as it says.

    >>> found = rate(8, 10)
    >>> round(found.low, 3), round(found.high, 3)
    (0.444, 0.975)
    """
    from scipy.stats import beta

    n, successes = whole("n", n, 1), whole("successes", successes)
    if successes > n:
        raise SpecError(f"successes: must be at most n = {n}, got {successes}")
    tail = (1.0 - float(numbers("confidence", confidence, 0.0, 1.0, above=True, below=True))) / 2.0
    low = 0.0 if successes == 0 else float(beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(beta.ppf(1.0 - tail, successes + 1, n - successes))
    return Rate(successes / n, low, high, n)


@dataclass(frozen=True, kw_only=True)
class VerifierRates:
    r"""What a labelled set says of synthetic labels and their verifier.

    Attributes:
        rows: checked rows.
        label_noise: share of wrong labels.
        keep_correct: $\phi$, share of right labels that are kept. keep_wrong: $\psi$, that of wrong ones.
        p_star: $1/(1+\psi/\phi)$, the label noise beyond which kept labels mislead; its interval takes both rates at
            their ends and so covers at least as often.
        purity: share of right labels among those kept.
    """

    rows: int
    label_noise: Rate
    keep_correct: Rate
    keep_wrong: Rate
    p_star: Rate
    purity: Rate

    def table(self) -> Iterator[tuple[str, Rate]]:
        """Name and rate of every quantity."""
        for name in ("label_noise", "keep_correct", "keep_wrong", "p_star", "purity"):
            yield name, getattr(self, name)


def verifier_rates(correct: npt.ArrayLike, kept: npt.ArrayLike, confidence: float = 0.95) -> VerifierRates:
    """Rates from checked rows.

    Args:
        correct: whether each row's label is right, bool (n,).
        kept: whether the verifier kept it, bool (n,).
        confidence: of every interval.

    Raises:
        DataError: other lengths, values that are not 0 or 1, no wrong or no right label, or nothing kept.
    """
    right, keep = _flags("correct", correct), _flags("kept", kept)
    if right.shape != keep.shape:
        raise DataError(f"correct and kept: must be equally long, got {len(right)} and {len(keep)}")
    for flags, missing in ((right, "right label"), (~right, "wrong label"), (keep, "row that was kept")):
        if not flags.any():
            raise DataError(
                f"there is no {missing} among the {len(right)} checked rows: its rate is unknown; check more"
            )
    phi = rate(int(keep[right].sum()), int(right.sum()), confidence)
    psi = rate(int(keep[~right].sum()), int((~right).sum()), confidence)

    def star(a: float, b: float) -> float:
        return a / (a + b) if a + b > 0 else math.nan

    return VerifierRates(
        rows=len(right),
        label_noise=rate(int((~right).sum()), len(right), confidence),
        keep_correct=phi,
        keep_wrong=psi,
        p_star=Rate(star(phi.value, psi.value), star(phi.low, psi.high), star(phi.high, psi.low), len(right)),
        purity=rate(int((right & keep).sum()), int(keep.sum()), confidence),
    )


def _flags(name: str, values: npt.ArrayLike) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or len(array) == 0:
        raise DataError(f"{name}: must be one flag a row, got shape {array.shape}")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise DataError(f"{name}: must hold 0 and 1 (or false and true) only")
    return array.astype(bool)


def _price(rates: VerifierRates) -> str:
    """What pruning costs where most labels are right without it."""
    if rates.label_noise.low >= 0.5:
        return ""
    lost = 100.0 * (1.0 - rates.keep_correct.value)
    return (
        f", and drops {lost:.0f} % of the right ones: where few rows are left, keeping all can be better "
        "(ouroloop plan --n-real N --label-noise ... --keep-correct ... compares)"
    )


def advice(rates: VerifierRates) -> str:
    """In words: whether training on what the verifier keeps will help, and how sure that is.

    The purity of what is kept decides: above 1/2 more kept rows lead towards the best classifier, below 1/2 away from
    it. This is the theorem's step, for label errors that do not depend on the input.
    """
    low, high = rates.purity.low, rates.purity.high
    better = rates.keep_correct.low > rates.keep_wrong.high
    verdict = (
        "pruning leaves mostly right labels: enough kept rows help"
        if low > 0.5
        else "pruning leaves mostly wrong labels: kept rows mislead, the more the worse"
        if high < 0.5
        else "undecided: whether most kept labels are right is within the error; check more rows"
    )
    use = (
        "the verifier keeps right labels more often than wrong ones" + _price(rates)
        if better
        else "the verifier keeps right labels no more often than wrong ones: keep all"
        if rates.keep_correct.high <= rates.keep_wrong.low
        else "that the verifier tells right from wrong is not shown by these rows"
    )
    said = f"p* {rates.p_star.value:.3f}, label noise {rates.label_noise.value:.3f}"
    return f"{verdict} (purity {rates.purity.value:.3f}); {use} ({said})"


@dataclass(frozen=True, eq=False, kw_only=True)
class Contraction:
    r"""A fitted curve $x_t = x_0 + b\,(1-q^t)/(1-q)$.

    Attributes:
        factor: q, with its interval over seeds (NaN bounds for fewer than 3 seeds), in which runaways count as found.
        start: x_0. step: b, the change of the first generation.
        residual: root mean square of what the fit leaves of the mean over seeds.
        fitted: generations that were fitted.
    """

    factor: Rate
    start: float
    step: float
    residual: float
    fitted: int

    @property
    def limit(self) -> float:
        """Where the metric ends; infinite (with the sign of the step) where it does not."""
        if self.step == 0.0:
            return self.start
        q = self.factor.value
        return self.start + self.step / (1.0 - q) if q < 1.0 else math.copysign(math.inf, self.step)

    def predict(self, generation: npt.ArrayLike) -> np.ndarray:
        """The curve at generations >= 0, float64 (points,)."""
        return self.start + self.step * geometric(np.atleast_1d(numbers("generation", generation)), self.factor.value)


def contraction(
    values: npt.ArrayLike, *, generations: npt.ArrayLike | None = None, confidence: float = 0.95
) -> Contraction:
    """Fit a metric's approach to its limit.

    Args:
        values: (seeds, points) or (points,): the metric over the generations to fit.
        generations: (points,), increasing from 0; default 0, 1, 2, ...
        confidence: of the interval over seeds (`curve_fit.redrawn`).

    Raises:
        DataError: fewer than 4 points, generations that do not increase, or values that are not finite.
    """
    table, t = curves_of("contraction", values, generations)
    tail = (1.0 - float(numbers("confidence", confidence, 0.0, 1.0, above=True, below=True))) / 2.0
    mean = table.mean(axis=0)

    def basis(q: np.ndarray) -> np.ndarray:
        return geometric(t, q)

    q, start, step, residual = (float(column[0]) for column in cautious_fit(mean[None], basis, t))
    low = high = np.full(1, math.nan)
    if len(table) >= 3:
        drawn = redrawn(table, start + step * basis(np.asarray(q)))
        low, high = np.quantile(fit(drawn, basis, t)[0], [[tail], [1.0 - tail]])
    return Contraction(
        factor=Rate(q, float(np.minimum(low, q)[0]), float(np.maximum(high, q)[0]), table.size),
        start=start,
        step=step,
        residual=residual,
        fitted=table.shape[1],
    )


def sampler_distortion(
    training: npt.ArrayLike, generated: npt.ArrayLike, *, confidence: float = 0.95, seed: int = 0
) -> Rate:
    """s^2: total variance of generated rows over that of the rows that the model was trained on, bootstrap interval.

    Args:
        training, generated: (n, ...) and (m, ...) numbers, flattened.
        confidence: of the interval.
        seed: of the bootstrap.

    Raises:
        DataError: fewer than 2 rows, other dimensions, values that are not finite, or no variance to compare with.
    """
    tables = [np.asarray(rows, np.float64).reshape(len(np.asarray(rows)), -1) for rows in (training, generated)]
    if min(map(len, tables)) < 2 or tables[0].shape[1] != tables[1].shape[1]:
        shapes = " and ".join(str(t.shape) for t in tables)
        raise DataError(f"sampler_distortion: needs two tables of at least 2 rows and one width, got {shapes}")
    if not all(np.isfinite(t).all() for t in tables):
        raise DataError("sampler_distortion: rows must be finite")
    before, after = ((t - t.mean(axis=0)) ** 2 for t in tables)
    squares = [before.sum(axis=1), after.sum(axis=1)]
    if squares[0].sum() == 0.0:
        raise DataError("sampler_distortion: the training rows do not vary")
    rng = np.random.default_rng(seed)
    drawn = [s[rng.integers(len(s), size=(_RESAMPLES, len(s)))].mean(axis=1) for s in squares]
    tail = (1.0 - float(numbers("confidence", confidence, 0.0, 1.0, above=True, below=True))) / 2.0
    low, high = np.quantile(drawn[1] / np.maximum(drawn[0], 1e-300), [tail, 1.0 - tail])
    n = [len(s) for s in squares]
    value = (squares[1].sum() / (n[1] - 1)) / (squares[0].sum() / (n[0] - 1))
    return Rate(float(value), float(low), float(high), sum(n))
