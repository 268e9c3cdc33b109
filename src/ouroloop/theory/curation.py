r"""What choosing the best of K does to a distribution on a finite set, iterated.

K samples are drawn and one of them is kept with probability $\mathrm{softmax}(r(x_1), \dots, r(x_K))$ (Bradley-Terry;
equivalently the largest $r + $ Gumbel noise). The next distribution is $p' = p\,H_p^K$ with

$$ H_p^K(x) = E\Big[\frac{K e^{r(x)}}{e^{r(x)} + \sum_{i<K} e^{r(x_i)}}\Big]
           = K w \int_0^\infty e^{-sw} M(s)^{K-1}\,ds, \qquad w = e^{r(x)}, \quad M(s) = \sum_x p(x) e^{-s w(x)}, $$

a one-dimensional integral, computed here by the trapezoidal rule in $\log s$, which converges geometrically; mass is
conserved to 1e-8. K = 1 is the identity; K = infinity the replicator equation $p' = p\,e^r/E_p e^r$, whose loop with
real data, $p_{t+1} = (p_{ref} + \lambda p_t')/(1+\lambda)$, has the closed fixed point of `fixed_point`.

Source:
    Ferbach et al., arXiv 2407.09499 (operator, eq. 6; limits and bounds, Lemmas 2.1 and 2.2, Theorem 2.1). The
    evaluation, the fixed point and the two-level forms are derived here.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import numpy.typing as npt

from ouroloop.errors import SpecError
from ouroloop.theory.arguments import Values, distributions, numbers, plain, vectors, wholes

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

_SPACING = 0.4  # of log s: the rule errs by about exp(-pi^2 / spacing) = 2e-11
_WIDEST = 10_000.0  # range of rewards
_ENTRIES = 10_000_000  # of a kernel: quadrature nodes times points


def step(probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: float) -> np.ndarray:
    """The distribution of what is kept when the best of K is kept.

    Args:
        probabilities: p, shape (..., m), each row a distribution.
        rewards: r, shape (m,), finite, at most 10,000 apart; only differences matter.
        choices: K >= 1, whole; infinity for the limit.

    Returns:
        float64 (..., m), summing to 1.

    Raises:
        SpecError: rows that are no distributions, shapes that differ, or rewards too far apart.

    >>> step([0.5, 0.5], [0.0, 1.0], 2).round(4).tolist()  # of the second: 1/4 + 1/2 sigmoid(1)
    [0.3845, 0.6155]
    """
    p, r, k = _checked(probabilities, rewards, choices)
    found = p * _operator(p, r, k)
    return found / found.sum(axis=-1, keepdims=True)


def operator(probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: float) -> np.ndarray:
    r"""$H_p^K(x)$, in (0, K): by how much choosing multiplies the probability of each point, float64 (..., m).

    The kernel of the last rewards and K is kept, so that a loop's steps cost two products of a matrix and a vector.

    Args:
        See `step`.
    """
    return _operator(*_checked(probabilities, rewards, choices))


def _checked(
    probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: float
) -> tuple[np.ndarray, np.ndarray, float]:
    p = distributions("probabilities", probabilities)
    r = np.asarray(rewards, np.float64) if isinstance(rewards, np.ndarray) else vectors("rewards", rewards)
    if r.shape != p.shape[-1:]:
        raise SpecError(f"rewards: must have shape (m,) = {p.shape[-1:]}, that of a distribution, got {r.shape}")
    if isinstance(choices, int) and choices > 1:
        return p, r, float(choices)  # rewards are checked when their kernel is made
    return p, vectors("rewards", r), float(wholes("choices", choices, 1, inf=True))


def _operator(p: np.ndarray, r: np.ndarray, k: float) -> np.ndarray:
    if k == 1.0:
        return np.ones(p.shape)
    if math.isinf(k):
        return _replicator(p, r)
    loss, gain = _kernel(r.tobytes(), k)
    with np.errstate(divide="ignore", under="ignore"):
        others = np.exp((k - 1.0) * np.log1p(-np.minimum(p @ loss, 1.0)))  # M^(K-1)
    return others @ gain


@functools.lru_cache(maxsize=2)
def _kernel(rewards: bytes, choices: float) -> tuple[np.ndarray, np.ndarray]:
    r"""$1 - e^{-sw}$, shape (m, nodes), and the weights of $M^{K-1}$ in the integral, shape (nodes, m).

    Nodes run in $\log s$ from where the integrand is its value at 0, which makes what lies below a geometric series,
    to where $e^{-sw}$ of the lowest reward vanishes.
    """
    r = vectors("rewards", np.frombuffer(rewards))
    shifted = r - r.max()
    if shifted.min() < -_WIDEST:
        raise SpecError(f"rewards: must span at most {_WIDEST:g}, got {-shifted.min():g}")
    nodes = np.arange(math.log(1e-5 / choices), 3.7 - shifted.min() + _SPACING, _SPACING)
    if len(nodes) * len(r) > _ENTRIES:
        raise SpecError(f"rewards: {len(r)} points with {len(nodes)} nodes exceed {_ENTRIES}; use fewer points")
    exponent = nodes[:, None] + shifted
    with np.errstate(over="ignore", under="ignore"):
        moved = np.exp(exponent)  # s w
        loss = -np.expm1(-moved)
        gain = np.exp(exponent - moved) * (choices * _SPACING)
    gain[0] /= -math.expm1(-_SPACING)
    return np.ascontiguousarray(loss.T), gain


def _replicator(p: np.ndarray, r: np.ndarray) -> np.ndarray:
    """e^r / E e^r; rewards are taken relative to the highest one that has mass, in every row."""
    best = np.where(p > 0.0, r, -np.inf).max(axis=-1, keepdims=True)
    with np.errstate(under="ignore"):
        w = np.where(p > 0.0, np.exp(np.minimum(r - best, 0.0)), 0.0)
        return w / (p * w).sum(axis=-1, keepdims=True)


def mixed_step(
    probabilities: npt.ArrayLike,
    rewards: npt.ArrayLike,
    choices: float,
    reference: npt.ArrayLike,
    synthetic_ratio: float,
) -> np.ndarray:
    r"""One generation of a loop with real data, $(p_{ref} + \lambda\,p H_p^K)/(1+\lambda)$, float64 (..., m).

    Args:
        probabilities, rewards, choices: see `step`.
        reference: p_ref of the real data, shape (m,) or one that broadcasts.
        synthetic_ratio: $\lambda \ge 0$; infinity for a loop without real data.
    """
    ratio = numbers("synthetic_ratio", synthetic_ratio, inf=True)
    share = 1.0 if math.isinf(ratio) else float(ratio / (1.0 + ratio))
    kept = step(probabilities, rewards, choices)
    real = distributions("reference", reference)
    if real.shape[-1] != kept.shape[-1]:
        raise SpecError(f"reference: must have {kept.shape[-1]} points as probabilities do, got {real.shape[-1]}")
    return (1.0 - share) * real + share * kept


def fixed_point(
    reference: npt.ArrayLike, rewards: npt.ArrayLike, synthetic_ratio: float, choices: float = math.inf
) -> np.ndarray:
    r"""Where a loop with real data ends: for K = infinity $p_{ref}/(1+\lambda-\lambda e^r/Z)$ with the right Z.

    With $\delta = 1-\frac{\lambda}{1+\lambda}e^{r^*}/Z$ and $v = e^{r-r^*} \le 1$ it is
    $\frac{p_{ref}}{(1+\lambda)(1 - v + v\delta)}$, whose sum falls as $\delta$ grows: one root, found by bisection.

    Args:
        reference: p_ref, shape (m,).
        rewards: r, shape (m,).
        synthetic_ratio: $\lambda \ge 0$; infinity for no real data: p_ref restricted to its highest reward.
        choices: K; if finite, `mixed_step` is iterated from p_ref to its fixed point.

    Returns:
        float64 (m,), summing to 1.

    >>> fixed_point([0.9, 0.1], [0.0, 1.0], 1.0).round(4).tolist()
    [0.6563, 0.3437]
    """
    p, r = distributions("reference", reference), vectors("rewards", rewards)
    if p.ndim != 1 or r.shape != p.shape:
        raise SpecError(f"rewards: reference and rewards must have one shape (m,), got {p.shape} and {r.shape}")
    ratio = float(numbers("synthetic_ratio", synthetic_ratio, inf=True))
    k = float(wholes("choices", choices, 1, inf=True))
    if ratio == 0.0 or k == 1.0:
        return p
    if math.isinf(ratio):
        top = np.where(r == r[p > 0.0].max(), p, 0.0)
        return top / top.sum()
    return _large_choice(p, r, ratio) if math.isinf(k) else _iterated(p, r, ratio, k)


def _large_choice(p: np.ndarray, r: np.ndarray, ratio: float) -> np.ndarray:
    below = np.minimum(r - r[p > 0.0].max(), 0.0)
    with np.errstate(under="ignore"):
        v, rest = np.exp(below), -np.expm1(below)
    goal = math.log1p(ratio)
    # at most the whole sum is the top's term, at least every term is that large
    low, high = math.log(p[below == 0.0].sum()) - goal, 0.0
    for _ in range(200):
        middle = 0.5 * (low + high)
        total = np.log(np.sum(p / (rest + v * math.exp(middle))))
        low, high = (middle, high) if total > goal else (low, middle)
    found = p / (rest + v * math.exp(0.5 * (low + high)))
    return found / found.sum()


def _iterated(p: np.ndarray, r: np.ndarray, ratio: float, choices: float) -> np.ndarray:
    found = p
    for _ in range(100_000):
        new = mixed_step(found, r, choices, p, ratio)
        moved = np.abs(new - found).max()
        found = new
        if moved < 1e-13:
            return found
    raise SpecError("synthetic_ratio: the loop had not converged after 100,000 generations; use a smaller one")


def gain_bound(probabilities: npt.ArrayLike, rewards: npt.ArrayLike, choices: float) -> Values:
    r"""Lemma 2.2: $E_{p'} e^r \ge E_p e^r + \frac{K-1}{K}\mathrm{Var}_p(e^r)/e^{r^*}$, divided by $e^{r^*}$.

    $r^*$ is the highest reward; the quotient stays in floating point whatever the rewards. A sufficient bound.

    Returns:
        The lower bound of $E_{p'} e^{r-r^*}$ after one `step`.
    """
    p, w, k = _scaled(probabilities, rewards, choices)
    mean = (p * w).sum(axis=-1)
    return plain(mean + (1.0 - 1.0 / k) * (p * (w - mean[..., None]) ** 2).sum(axis=-1))


def mixed_gain_bound(
    reference: npt.ArrayLike, rewards: npt.ArrayLike, choices: float, synthetic_ratio: float
) -> Values:
    r"""With real data, from p_ref on: $E_t e^r \ge E_{ref} e^r + \frac{\lambda}{(1+\lambda)^3}\frac{K-1}{K}
    \mathrm{Var}_{ref}(e^r)/e^{r^*}$ in every generation t >= 1, divided by $e^{r^*}$. A sufficient bound.
    """
    p, w, k = _scaled(reference, rewards, choices)
    ratio = numbers("synthetic_ratio", synthetic_ratio)
    mean = (p * w).sum(axis=-1)
    spread = (p * (w - mean[..., None]) ** 2).sum(axis=-1)
    return plain(mean + ratio / (1.0 + ratio) / (1.0 + ratio) ** 2 * (1.0 - 1.0 / k) * spread)


def _scaled(p: npt.ArrayLike, rewards: npt.ArrayLike, choices: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The distribution, e^(r - r*) and K."""
    r = vectors("rewards", rewards)
    with np.errstate(under="ignore"):
        w = np.exp(r - r.max(axis=-1, keepdims=True))
    return distributions("probabilities", p), w, float(wholes("choices", choices, 1, inf=True))


def divergence_bound(synthetic_ratio: npt.ArrayLike, choices: npt.ArrayLike) -> Values:
    r"""$KL(p_t\|p_{ref}) \le -\log(1-\lambda(K-1))$ in nats if $\lambda < 1/(K-1)$; infinity (no bound) otherwise.

    Sufficient only: loops beyond the condition have fixed points as well.
    """
    ratio, k = np.broadcast_arrays(
        numbers("synthetic_ratio", synthetic_ratio, inf=True), wholes("choices", choices, 1, inf=True)
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
    x, k, t = np.broadcast_arrays(x, k, wholes("generation", generation))
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

    x = numbers("share", share, 0.0, 1.0)
    return plain(x**2 + 2.0 * x * (1.0 - x) * expit(numbers("difference", difference, -math.inf)))
