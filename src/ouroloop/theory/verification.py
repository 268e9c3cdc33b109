r"""What verified synthetic data are worth: purity, the critical error rate, and the accuracy of a linear classifier.

A generator labels inputs with error rate $\epsilon$ (`label_noise`); a verifier keeps a correct label with probability
$\varphi$ (`keep_correct`) and a wrong one with $\psi$ (`keep_wrong`); a model is trained on what is kept.

* Infinite data (Feng et al.): the model reaches the optimum iff $\epsilon < p^* = 1/(1+\psi/\varphi)$, equivalently iff
  more than half of the kept labels are right (`purity`). For errors that do not depend on the input.
* Finite data (El Firdoussi et al.): ridge regression on n real and m verified synthetic rows of two Gaussian classes;
  `classifier_accuracy` is its accuracy as dimension and rows grow together, and passes 1/2 at the same $p^*$
  (there $\epsilon^*$), smoothly.

**The published accuracy formula is wrong under pruning.** It replaces $E[q/(1+q\delta)]$, for $q \in \{0, 1\}$ the
verdict and $\alpha = E q$, by $\alpha/(1+\alpha\delta)$; the value is $\alpha/(1+\delta)$. The exact reduction: keeping
$m' = \alpha m$ rows with label noise $\psi\epsilon/\alpha$, no pruning, and ridge $\gamma(n+m)/(n+m')$. Both are counts
that vary: where few rows are kept the accuracy at their means is up to 3 points off, and its mean over the counts
(`kept_counts`) is not. That is ``formula="corrected"``; the other stays as ``formula="published"`` for comparison
(`benchmarks/theory_rmt.md`).

Source:
    Feng et al., arXiv 2406.07515; El Firdoussi et al., arXiv 2410.08942 (formulas as in the authors' code,
    elfirdoussilab1/Synthetic-data). The correction and the formulas in angles are derived and checked here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory import ridge_classifier
from ouroloop.theory.arguments import Values, choice, numbers, plain, together, wholes
from ouroloop.theory.kept_counts import LEAST_ROWS, kept_counts

__all__ = [
    "Rates",
    "classifier_accuracy",
    "kept_share",
    "optimal_synthetic_size",
    "p_star",
    "purity",
    "rates_of_angles",
]

_HUGE = 1e100
_GREATEST_RIDGE = 1e300


def p_star(keep_correct: npt.ArrayLike, keep_wrong: npt.ArrayLike) -> Values:
    r"""$1/(1+\psi/\varphi)$: verified data help while the label noise is below it. The same as $\epsilon^*$.

    Args:
        keep_correct, keep_wrong: in [0, 1], not both 0 (such a verifier keeps nothing).

    >>> p_star(1.0, 1.0), p_star(1.0, 0.0), round(p_star(0.8, 0.3), 3)
    (0.5, 1.0, 0.727)
    """
    right, wrong = _rates(keep_correct, keep_wrong)
    return plain(right / (right + wrong))


def kept_share(label_noise: npt.ArrayLike, keep_correct: npt.ArrayLike, keep_wrong: npt.ArrayLike) -> Values:
    r"""$\alpha = \varphi(1-\epsilon) + \psi\epsilon$, the share of synthetic rows that the verifier keeps."""
    noise, right, wrong = together(
        label_noise=numbers("label_noise", label_noise, 0.0, 1.0),
        keep_correct=numbers("keep_correct", keep_correct, 0.0, 1.0),
        keep_wrong=numbers("keep_wrong", keep_wrong, 0.0, 1.0),
    )
    return plain(right * (1.0 - noise) + wrong * noise)


def purity(label_noise: npt.ArrayLike, keep_correct: npt.ArrayLike, keep_wrong: npt.ArrayLike) -> Values:
    """Share of right labels among those kept; above 1/2 iff the label noise is below `p_star`.

    Raises:
        SpecError: the verifier keeps nothing.

    >>> purity(0.2, 1.0, 0.0), round(purity(0.2, 0.9, 0.5), 3)
    (1.0, 0.878)
    """
    kept = np.asarray(kept_share(label_noise, keep_correct, keep_wrong))
    if (kept == 0.0).any():
        raise SpecError("keep_correct, keep_wrong: the verifier keeps nothing at this label_noise; purity has no value")
    right = np.asarray(keep_correct, np.float64) * (1.0 - np.asarray(label_noise, np.float64))
    return plain(np.minimum(right / kept, 1.0))


@dataclass(frozen=True, eq=False)
class Rates:
    """A linear generator's labels and a linear verifier's verdicts, for Gaussian inputs.

    Attributes:
        label_noise, keep_correct, keep_wrong: the rates defined in the module.
        p_star: critical label noise for errors that do not depend on the input.
        kept: share of rows kept.
        purity: share of right labels among them.
    """

    label_noise: Values
    keep_correct: Values
    keep_wrong: Values
    p_star: Values
    kept: Values
    purity: Values


def rates_of_angles(cos_generator: npt.ArrayLike, cos_verifier: npt.ArrayLike, cos_between: npt.ArrayLike) -> Rates:
    r"""Rates of linear classifiers by their angles, inputs N(0, I), a row kept iff generator and verifier agree.

    With A, B, C the arcsines: $\epsilon = \arccos(a)/\pi$, P(kept, right) = $\frac14 + \frac{A+B+C}{2\pi}$, P(kept,
    wrong) = $\frac14 + \frac{C-A-B}{2\pi}$. Purity exceeds 1/2 iff a + b > 0. Exact; that the model then converges to
    the optimum is another matter, since these errors depend on the input.

    Args:
        cos_generator, cos_verifier: cosines a, b with the true direction.
        cos_between: cosine c of verifier and generator.

    Raises:
        SpecError: no three directions have these cosines, a generator that is never (or always) wrong, or nothing kept.

    >>> found = rates_of_angles(0.8, 0.9, 0.6)
    >>> [round(v, 3) for v in (found.label_noise, found.keep_correct, found.keep_wrong, found.p_star, found.purity)]
    [0.205, 0.853, 0.13, 0.868, 0.962]
    """
    a, b, c = together(
        cos_generator=numbers("cos_generator", cos_generator, -1.0, 1.0, above=True, below=True),
        cos_verifier=numbers("cos_verifier", cos_verifier, -1.0, 1.0),
        cos_between=numbers("cos_between", cos_between, -1.0, 1.0),
    )
    if (1.0 - a**2 - b**2 - c**2 + 2.0 * a * b * c < -1e-9).any():
        raise SpecError("cos_between: no three directions have these cosines")
    noise = np.arccos(a) / np.pi
    first, second, third = np.arcsin(a), np.arcsin(b), np.arcsin(c)
    right = np.clip(0.25 + (first + second + third) / (2.0 * np.pi), 0.0, 1.0 - noise)
    wrong = np.clip(0.25 + (third - first - second) / (2.0 * np.pi), 0.0, noise)
    right, wrong = (np.where(value < 1e-15, 0.0, value) for value in (right, wrong))
    if (right + wrong == 0.0).any():
        raise SpecError("cos_between: generator and verifier never agree, so that nothing is kept")
    keep_correct, keep_wrong = right / (1.0 - noise), wrong / noise
    return Rates(
        label_noise=plain(noise),
        keep_correct=plain(keep_correct),
        keep_wrong=plain(keep_wrong),
        p_star=p_star(keep_correct, keep_wrong),
        kept=plain(right + wrong),
        purity=plain(right / (right + wrong)),
    )


def classifier_accuracy(
    n_real: npt.ArrayLike,
    n_synthetic: npt.ArrayLike,
    dimension: npt.ArrayLike,
    signal: npt.ArrayLike,
    label_noise: npt.ArrayLike,
    keep_correct: npt.ArrayLike,
    keep_wrong: npt.ArrayLike,
    ridge: npt.ArrayLike,
    formula: str = "corrected",
) -> Values:
    r"""Test accuracy of ridge regression on real and verified synthetic rows of two Gaussian classes; asymptotic.

    Rows are $x = y\mu + N(0, I_p)$ with $|\mu|$ the signal, synthetic ones from the same distribution with noisy
    labels; $w = (\frac1N\sum xx^\top + \gamma I)^{-1}\frac1N\sum xy$ over real and kept rows with N = n + m, m
    before pruning; accuracy is that of $\mathrm{sign}(w^\top x)$ on real rows. Other means and covariances of the
    synthetic rows: `ridge_classifier.accuracy`.

    Args:
        n_real, n_synthetic: rows n and m >= 0, m before pruning.
        dimension: p >= 1.
        signal: $|\mu| \ge 0$; accuracy of the optimal classifier is $\Phi(|\mu|)$.
        label_noise, keep_correct, keep_wrong: in [0, 1].
        ridge: $\gamma \ge 0$; 0 needs more kept rows than dimensions.
        formula: "corrected", or "published" (see the module), which can leave its domain: where its variance comes out
            negative an error says so.

    Returns:
        Accuracy in [0, 1], below 1/2 where wrong labels win.

    Raises:
        SpecError: an argument out of range, no rows kept at all, or the published formula without a value.

    >>> round(classifier_accuracy(0, 500, 500, 1.0, 0.2, 0.8, 0.3, 0.1), 4)
    0.6427
    >>> round(classifier_accuracy(0, 500, 500, 1.0, 0.2, 0.8, 0.3, 0.1, formula="published"), 4)
    0.6087
    """
    choice("formula", formula, ridge_classifier.FORMULAS)
    n, m, p, mu, noise, right, wrong, gamma = together(
        n_real=wholes("n_real", n_real),
        n_synthetic=wholes("n_synthetic", n_synthetic),
        dimension=wholes("dimension", dimension, 1),
        signal=numbers("signal", signal),
        label_noise=numbers("label_noise", label_noise, 0.0, 1.0),
        keep_correct=numbers("keep_correct", keep_correct, 0.0, 1.0),
        keep_wrong=numbers("keep_wrong", keep_wrong, 0.0, 1.0),
        ridge=numbers("ridge", ridge),
    )
    alpha, wrong = np.asarray(kept_share(noise, right, wrong)), wrong * noise
    sizes = {"signal": mu, "ridge": gamma, "dimension": p, "n_real": n, "n_synthetic": m}
    for name, values in sizes.items():
        if (values > _HUGE).any() or ((values > 0.0) & (values < 1.0 / _HUGE)).any():
            raise SpecError(f"{name}: must be 0 or from {1 / _HUGE:g} to {_HUGE:g}, as its square is needed")
    if (n + alpha * m == 0.0).any():
        raise SpecError("n_synthetic: no row is left to train on: no real rows, and none that the verifier keeps")
    if ((gamma == 0.0) & (n + alpha * m <= p)).any():
        raise SpecError("ridge: must be > 0 where no more rows are kept than there are dimensions")
    if formula == "published":
        return plain(ridge_classifier.isotropic(n, m, p, mu, alpha, wrong, gamma, published=True))
    return plain(_averaged(n, m, p, mu, alpha, wrong, gamma))


def _averaged(
    n: np.ndarray, m: np.ndarray, p: np.ndarray, mu: np.ndarray, alpha: np.ndarray, wrong: np.ndarray, ridge: np.ndarray
) -> np.ndarray:
    """The accuracy without pruning, averaged over how many rows are kept and how many of them are wrong."""
    rows, share, weights = kept_counts(m, alpha, wrong, fixed=ridge == 0.0)
    n, m, p, mu, ridge = (x[..., None] for x in (n, m, p, mu, ridge))
    some = (n + rows > LEAST_ROWS) & (weights > 0.0)
    rows = np.where(some, rows, 2.0 * p)  # any number that has an accuracy
    with np.errstate(over="ignore"):
        ridge = np.minimum(ridge * np.where(some, (n + m) / (n + rows), 1.0), _GREATEST_RIDGE)
    n, rows, p, mu, ridge = np.broadcast_arrays(n, rows, p, mu, ridge)
    found = ridge_classifier.isotropic(n, rows, p, mu, np.ones(rows.shape), share, ridge, published=False)
    return np.clip((weights * np.where(some, found, 0.5)).sum(axis=-1), 0.0, 1.0)  # nothing kept: a coin


def optimal_synthetic_size(
    n_real: int,
    dimension: int,
    signal: float,
    label_noise: float,
    keep_correct: float,
    keep_wrong: float,
    ridge: float,
    largest: int = 1_000_000,
) -> int:
    """The number of synthetic rows, up to `largest`, at which `classifier_accuracy` is highest.

    Searched on a grid of 400 sizes from 0 to `largest`, evenly spaced in the logarithm, then between the neighbours of
    the best one: 0 where verified data never help, `largest` where more always does.

    Args:
        See `classifier_accuracy`.
        largest: what can be afforded, at least 1.
    """
    top = int(wholes("largest", largest, 1))
    low = 0 if n_real else 1
    grid = np.unique(np.concatenate([[low], np.geomspace(1, top, 400).round().astype(np.int64)]))

    def best(sizes: np.ndarray) -> int:
        found = classifier_accuracy(n_real, sizes, dimension, signal, label_noise, keep_correct, keep_wrong, ridge)
        return int(np.argmax(found))

    place = best(grid)
    near = np.arange(grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)] + 1)
    near = np.unique([*near[:: max(1, len(near) // 10_000)], grid[place]])
    return int(near[best(near)])


def _rates(keep_correct: npt.ArrayLike, keep_wrong: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    right, wrong = together(
        keep_correct=numbers("keep_correct", keep_correct, 0.0, 1.0),
        keep_wrong=numbers("keep_wrong", keep_wrong, 0.0, 1.0),
    )
    if (right + wrong == 0.0).any():
        raise SpecError("keep_correct, keep_wrong: must not both be 0; such a verifier keeps nothing")
    return right, wrong
