r"""What choosing the best of K does to a distribution on a finite set, iterated.

K samples are drawn and one of them is kept with probability $\mathrm{softmax}(r(x_1), \dots, r(x_K))$ (Bradley-Terry;
equivalently the largest $r + $ Gumbel noise). The next distribution is $p' = p\,H_p^K$ with

$$ H_p^K(x) = E\Big[\frac{K e^{r(x)}}{e^{r(x)} + \sum_{i<K} e^{r(x_i)}}\Big], $$

computed in `curation_operator`; mass is conserved to 1e-8. K = 1 is the identity; K = infinity the replicator equation
$p' = p\,e^r/E_p e^r$, whose loop with real data, $p_{t+1} = (p_{ref} + \lambda p_t')/(1+\lambda)$, has the closed fixed
point of `fixed_point`.

Source:
    Ferbach et al., arXiv 2407.09499 (operator, eq. 6; limits and bounds, Lemmas 2.1 and 2.2, Theorem 2.1). The
    fixed point and the two-level forms are derived here.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import Values, common_shape, distributions, numbers, plain, together, vectors, wholes
from ouroloop.theory.curation_operator import alike, factors

__all__ = [
    "divergence_bound",
    "fixed_point",
    "gain_bound",
    "hit_or_miss",
    "mixed_gain_bound",
    "mixed_step",
    "operator",
    "step",
    "two_levels",
]

_MOST = 2**62  # choices that are surely a float


def step(probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: npt.ArrayLike) -> np.ndarray:
    """The distribution of what is kept when the best of K is kept.

    Args:
        probabilities: p, shape (..., m), each row a distribution.
        rewards: r, shape (..., m), finite, at most 10,000 apart; only differences matter.
        choices: K >= 1, whole, shape (...); infinity for the limit.

    Returns:
        float64 (..., m), summing to 1; the leading axes of all arguments broadcast.

    Raises:
        SpecError: rows that are no distributions, shapes that do not fit, or rewards too far apart.

    >>> step([0.5, 0.5], [0.0, 1.0], 2).round(4).tolist()  # of the second: 1/4 + 1/2 sigmoid(1)
    [0.3845, 0.6155]
    """
    p, r, k = _checked(probabilities, rewards, choices)
    found = p * factors(p, r, k)
    return found / found.sum(axis=-1, keepdims=True)


def operator(probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: npt.ArrayLike) -> np.ndarray:
    r"""$H_p^K(x)$, in (0, K): by how much choosing multiplies the probability of each point, float64 (..., m).

    The kernel of the last rewards and K is kept, so that a loop's steps cost two products of a matrix and a vector.

    Args:
        See `step`.
    """
    return factors(*_checked(probabilities, rewards, choices))


def _checked(
    probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray, float | np.ndarray]:
    """p, r and K, which is a float unless it is an array."""
    p = distributions("probabilities", probabilities)
    if type(rewards) is np.ndarray and rewards.dtype == np.float64 and rewards.shape == p.shape[-1:]:
        r = rewards
        if isinstance(choices, (int, float, np.integer)) and 1 < choices < _MOST and choices == int(choices):
            return p, r, float(choices)  # the usual call; rewards are checked when their kernel is made
    r = _rewards(rewards, p)
    k = wholes("choices", choices, 1, inf=True)
    common_shape("leading shape", probabilities=p.shape[:-1], rewards=r.shape[:-1], choices=k.shape)
    return p, r, float(k) if k.ndim == 0 else k


def _rewards(rewards: npt.ArrayLike, p: np.ndarray) -> np.ndarray:
    r = vectors("rewards", rewards)
    if r.shape[-1] != p.shape[-1]:
        raise SpecError(f"rewards: must have shape (..., {p.shape[-1]}), one for each point, got {r.shape}")
    return r


def mixed_step(
    probabilities: npt.ArrayLike,
    rewards: npt.ArrayLike,
    choices: npt.ArrayLike,
    reference: npt.ArrayLike,
    synthetic_ratio: npt.ArrayLike,
) -> np.ndarray:
    r"""One generation of a loop with real data, $(p_{ref} + \lambda\,p H_p^K)/(1+\lambda)$, float64 (..., m).

    Args:
        probabilities, rewards, choices: see `step`.
        reference: p_ref of the real data, shape (..., m).
        synthetic_ratio: $\lambda \ge 0$, shape (...); infinity for a loop without real data.
    """
    share = _share(synthetic_ratio)
    kept = step(probabilities, rewards, choices)
    real = distributions("reference", reference)
    if real.shape[-1] != kept.shape[-1]:
        raise SpecError(f"reference: must have {kept.shape[-1]} points as probabilities do, got {real.shape[-1]}")
    common_shape("leading shape", probabilities=kept.shape[:-1], reference=real.shape[:-1], synthetic_ratio=share.shape)
    share = share[..., None]
    return (1.0 - share) * real + share * kept


def _share(synthetic_ratio: npt.ArrayLike) -> np.ndarray:
    r"""$\lambda/(1+\lambda)$, 1 for infinity."""
    ratio = numbers("synthetic_ratio", synthetic_ratio, inf=True)
    return np.divide(ratio, 1.0 + ratio, out=np.ones(ratio.shape), where=np.isfinite(ratio))


def fixed_point(
    reference: npt.ArrayLike,
    rewards: npt.ArrayLike,
    synthetic_ratio: npt.ArrayLike,
    choices: npt.ArrayLike = math.inf,
) -> np.ndarray:
    r"""Where a loop with real data ends: for K = infinity $p_{ref}/(1+\lambda-\lambda e^r/Z)$ with the right Z.

    With $\delta = 1-\frac{\lambda}{1+\lambda}e^{r^*}/Z$ and $v = e^{r-r^*} \le 1$ it is
    $\frac{p_{ref}}{(1+\lambda)(1 - v + v\delta)}$, whose sum falls as $\delta$ grows: one root, found by bisection.

    Args:
        reference: p_ref, shape (..., m).
        rewards: r, shape (..., m).
        synthetic_ratio: $\lambda \ge 0$, shape (...); infinity for no real data: p_ref restricted to its highest
            reward.
        choices: K, shape (...); if finite, `mixed_step` is iterated from p_ref to its fixed point.

    Returns:
        float64 (..., m), summing to 1; the leading axes of all arguments broadcast.

    >>> fixed_point([0.9, 0.1], [0.0, 1.0], 1.0).round(4).tolist()
    [0.6563, 0.3437]
    """
    p = distributions("reference", reference)
    r = _rewards(rewards, p)
    ratio, k = numbers("synthetic_ratio", synthetic_ratio, inf=True), wholes("choices", choices, 1, inf=True)
    shape = common_shape(
        "leading shape", reference=p.shape[:-1], rewards=r.shape[:-1], synthetic_ratio=ratio.shape, choices=k.shape
    )
    p, ratio = np.broadcast_to(p, (*shape, p.shape[-1])), np.broadcast_to(ratio, shape)
    found = np.empty(p.shape)
    for here, values, number in alike(r, k, shape):
        found[here] = _ends(p[here], values, ratio[here], number)
    return found


def _ends(p: np.ndarray, r: np.ndarray, ratio: np.ndarray, k: float) -> np.ndarray:
    """Fixed points of references (rows, m) and ratios (rows,) with the same rewards and K."""
    found = p.copy()
    if k == 1.0:
        return found
    pure = np.isinf(ratio)
    top = np.where(r == np.where(p > 0.0, r, -np.inf).max(axis=-1, keepdims=True), p, 0.0)[pure]
    found[pure] = top / top.sum(axis=-1, keepdims=True)
    mixed = ~pure & (ratio > 0.0)
    found[mixed] = (_large_choice if math.isinf(k) else functools.partial(_iterated, k=k))(p[mixed], r, ratio[mixed])
    return found


def _large_choice(p: np.ndarray, r: np.ndarray, ratio: np.ndarray) -> np.ndarray:
    """In logarithms, as p, v and delta may be tiny all at once."""
    with np.errstate(over="ignore", divide="ignore"):
        below = np.minimum(r - np.where(p > 0.0, r, -np.inf).max(axis=-1, keepdims=True), 0.0)
        p, rest = np.log(p), np.log(-np.expm1(below))
    goal = np.log1p(ratio)

    def terms(middle: np.ndarray) -> np.ndarray:
        return p - np.logaddexp(rest, below + middle[:, None])

    # at most the whole sum is the top's term, at least every term is that large
    low, high = _log_sum(np.where(below == 0.0, p, -np.inf)) - goal, np.zeros(len(p))
    for _ in range(200):
        middle = 0.5 * (low + high)
        total = _log_sum(terms(middle))
        low, high = np.where(total > goal, middle, low), np.where(total > goal, high, middle)
    found = terms(0.5 * (low + high))
    with np.errstate(under="ignore"):
        found = np.exp(found - found.max(axis=-1, keepdims=True))
    return found / found.sum(axis=-1, keepdims=True)


def _log_sum(logarithms: np.ndarray) -> np.ndarray:
    """Logarithm of the sum along the last axis, of which something is finite."""
    most = logarithms.max(axis=-1)
    return most + np.log(np.exp(logarithms - most[:, None]).sum(axis=-1))


def _iterated(p: np.ndarray, r: np.ndarray, ratio: np.ndarray, k: float) -> np.ndarray:
    found, left = p.copy(), np.arange(len(p))
    for _ in range(100_000):
        new = mixed_step(found[left], r, k, p[left], ratio[left])
        moved = np.abs(new - found[left]).max(axis=-1)
        found[left] = new
        left = left[moved >= 1e-13]
        if left.size == 0:
            return found
    raise SpecError("synthetic_ratio: the loop had not converged after 100,000 generations; use a smaller one")


def gain_bound(probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: npt.ArrayLike) -> Values:
    r"""Lemma 2.2: $E_{p'} e^r \ge E_p e^r + \frac{K-1}{K}\mathrm{Var}_p(e^r)/e^{r^*}$, divided by $e^{r^*}$.

    $r^*$ is the highest reward; the quotient stays in floating point whatever the rewards. A sufficient bound.

    Returns:
        The lower bound of $E_{p'} e^{r-r^*}$ after one `step`.
    """
    mean, spread = _gain("probabilities", probabilities, rewards, choices)
    return plain(mean + spread)


def mixed_gain_bound(
    reference: npt.ArrayLike, rewards: npt.ArrayLike, choices: npt.ArrayLike, synthetic_ratio: npt.ArrayLike
) -> Values:
    r"""With real data, from p_ref on: $E_t e^r \ge E_{ref} e^r + \frac{\lambda}{(1+\lambda)^3}\frac{K-1}{K}
    \mathrm{Var}_{ref}(e^r)/e^{r^*}$ in every generation t >= 1, divided by $e^{r^*}$. A sufficient bound.
    """
    mean, spread = _gain("reference", reference, rewards, choices)
    share = numbers("synthetic_ratio", synthetic_ratio)
    mean, spread, ratio = together(reference=mean, choices=spread, synthetic_ratio=share)
    with np.errstate(under="ignore"):
        return plain(mean + ratio / (1.0 + ratio) / (1.0 + ratio) / (1.0 + ratio) * spread)


def _gain(
    name: str, probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: npt.ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    r"""$E_p w$ and $\frac{K-1}{K}\mathrm{Var}_p w$ for $w = e^{r-r^*}$."""
    p = distributions(name, probabilities)
    r, k = _rewards(rewards, p), wholes("choices", choices, 1, inf=True)
    shapes = {name: p.shape[:-1], "rewards": r.shape[:-1], "choices": k.shape}
    common_shape("leading shape", **shapes)
    with np.errstate(over="ignore", under="ignore"):
        w = np.exp(r - r.max(axis=-1, keepdims=True))
    mean = (p * w).sum(axis=-1)
    return mean, (1.0 - 1.0 / k) * (p * (w - mean[..., None]) ** 2).sum(axis=-1)


def divergence_bound(synthetic_ratio: npt.ArrayLike, choices: npt.ArrayLike) -> Values:
    r"""$KL(p_t\|p_{ref}) \le -\log(1-\lambda(K-1))$ in nats if $\lambda < 1/(K-1)$; infinity (no bound) otherwise.

    Sufficient only: loops beyond the condition have fixed points as well.
    """
    ratio, k = together(
        synthetic_ratio=numbers("synthetic_ratio", synthetic_ratio, inf=True),
        choices=wholes("choices", choices, 1, inf=True),
    )
    gain = np.multiply(ratio, k - 1.0, out=np.zeros(ratio.shape), where=(ratio > 0.0) & (k > 1.0))
    return plain(-np.log1p(-gain, out=np.full(gain.shape, -np.inf), where=gain < 1.0))


def hit_or_miss(share: npt.ArrayLike, choices: npt.ArrayLike, generation: npt.ArrayLike = 1) -> Values:
    r"""Share of hits after t steps if a hit always wins: $1-(1-x)^{K^t}$.

    Args:
        share: x in [0, 1] before. choices: K >= 1. generation: t >= 0, number of steps.

    >>> round(hit_or_miss(0.117, 4), 3), round(hit_or_miss(0.117, 4, 2), 3)
    (0.392, 0.863)
    """
    x, k = numbers("share", share, 0.0, 1.0), wholes("choices", choices, 1, inf=True)
    x, k, t = together(share=x, choices=k, generation=wholes("generation", generation))
    with np.errstate(over="ignore", divide="ignore"):
        power = np.where(t == 0.0, 1.0, k ** np.maximum(t, 1.0))
        missed = np.multiply(np.log1p(-x), power, out=np.zeros(x.shape), where=x > 0.0)
        return plain(-np.expm1(missed))


def two_levels(share: npt.ArrayLike, difference: npt.ArrayLike) -> Values:
    r"""Share of the higher of two rewards after one step with K = 2: $x^2 + 2x(1-x)\,\mathrm{sigmoid}(R)$. Exact.

    Args:
        share: x in [0, 1] before. difference: R, of the two rewards.

    >>> round(two_levels(0.5, 1.0), 4)
    0.6155
    """
    from scipy.special import expit

    x, gap = together(share=numbers("share", share, 0.0, 1.0), difference=numbers("difference", difference, -math.inf))
    with np.errstate(under="ignore"):
        return plain(x**2 + 2.0 * x * (1.0 - x) * expit(gap))
