r"""Choosing the best of K again and again on a finite set: sampled loop, exact operator, fixed point, bounds.

Generation t + 1 draws `n` samples, each the chosen one of K draws of generation t (Bradley-Terry: the largest reward +
Gumbel noise), and mixes their frequencies with the reference, $p_{t+1} = (p_{ref} + \lambda\,\hat p)/(1+\lambda)$. The
exact operator follows the same loop without sampling noise. All metrics of rewards use $e^{r - r^*}$, r* the highest.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.experiment import Axis
from ouroloop.keys import Key
from ouroloop.theory import curation
from ouroloop.theory.arguments import distributions, vectors
from ouroloop.theory.forecast import Forecast

__all__ = ["FiniteCuration"]

_FERBACH = "Ferbach et al., arXiv 2407.09499"
_REFERENCE = (0.117, 0.128, 0.126, 0.126, 0.126, 0.126, 0.126, 0.125)
_REWARDS = (2.0, 1.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class FiniteCuration:
    """A loop that is curated by K-wise choices, on a finite set, over generations.

    Source:
        Ferbach et al., arXiv 2407.09499, eq. 6, Lemmas 2.1 and 2.2, Theorem 2.1, and its bounds with real data.
    """

    generations: Annotated[int, Field(ge=1, le=10_000, description="last generation")] = 20
    reference: Annotated[tuple[float, ...], Field(min_length=2, description="distribution of the real data")] = (
        _REFERENCE
    )
    rewards: Annotated[tuple[float, ...], Field(min_length=2, description="reward of every point")] = _REWARDS
    choices: Annotated[float, Field(ge=1, description="K, whole, or .inf")] = 4.0
    synthetic_ratio: Annotated[float, Field(ge=0, description="curated per real sample; .inf for no real data")] = (
        math.inf
    )
    n: Annotated[int, Field(ge=1, description="curated samples a generation")] = 20_000

    @property
    def axis(self) -> Axis:
        """The generations.

        Raises:
            SpecError: no distribution, rewards of another length, or K that is not whole.
        """
        curation.step(self.reference, self.rewards, self.choices)
        return Axis.generations(self.generations + 1)

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """top_share, expected_reward, reward_variance, divergence and support, float64 (keys, generations + 1)."""
        p_ref = distributions("reference", self.reference)
        tracks = np.empty((len(keys), self.generations + 1, len(p_ref)))
        tracks[:, 0] = p_ref
        for t in range(self.generations):
            for row, key in enumerate(keys):
                tracks[row, t + 1] = self._mixed(self._chosen(tracks[row, t], key.child("choice", t).rng()), p_ref)
            progress.report("generations", t + 1, self.generations)
        return self.summaries(tracks)

    def _chosen(self, p: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Frequencies of n choices."""
        r = np.asarray(self.rewards)
        if math.isinf(self.choices):
            with np.errstate(divide="ignore"):
                tilted = np.exp(r - r[p > 0.0].max() + np.log(p))
            return rng.multinomial(self.n, tilted / tilted.sum()) / self.n
        drawn = rng.choice(len(p), size=(self.n, int(self.choices)), p=p)
        best = np.argmax(r[drawn] + rng.gumbel(size=drawn.shape), axis=1)
        return np.bincount(drawn[np.arange(self.n), best], minlength=len(p)) / self.n

    def _mixed(self, chosen: np.ndarray, p_ref: np.ndarray) -> np.ndarray:
        share = 1.0 if math.isinf(self.synthetic_ratio) else self.synthetic_ratio / (1.0 + self.synthetic_ratio)
        return share * chosen + (1.0 - share) * p_ref

    def summaries(self, tracks: np.ndarray) -> dict[str, np.ndarray]:
        """The metrics of distributions float64 (..., m)."""
        from scipy.special import rel_entr

        r = vectors("rewards", self.rewards)
        weight = np.exp(r - r.max())
        mean = tracks @ weight
        return {
            "expected_reward": mean,
            "top_share": tracks[..., r == r.max()].sum(axis=-1),
            "reward_variance": (tracks * (weight - mean[..., None]) ** 2).sum(axis=-1),
            "divergence": rel_entr(tracks, distributions("reference", self.reference)).sum(axis=-1),
            "support": (tracks > 0.0).sum(axis=-1).astype(np.float64),
        }

    def forecasts(self) -> list[Forecast]:
        """Curves of the exact operator, the fixed point, and the lemmas' bounds where they say something."""
        exact = self.exact()
        laws = [
            _law(name, "exact operator", f"{_FERBACH}, eq. 6", "asymptotic", "many samples", values)
            for name, values in self.summaries(exact).items()
            if name != "support"
        ]
        if self.choices == 1.0:
            return laws
        end = self.summaries(curation.fixed_point(self.reference, self.rewards, self.synthetic_ratio, self.choices))
        closed = math.isinf(self.choices) or math.isinf(self.synthetic_ratio)
        note = "closed form" if closed else "iterated"
        for name in ("expected_reward", "top_share", "divergence"):
            line = np.full(self.generations + 1, float(end[name]))
            laws.append(_law(name, "fixed point", "derived in docs/theory.md", "asymptotic", note, line))
        return [*laws, *self._bounds(exact)]

    def _bounds(self, exact: np.ndarray) -> list[Forecast]:
        start = float(self.summaries(exact[0])["expected_reward"])
        if math.isinf(self.synthetic_ratio):
            steps = [float(curation.gain_bound(p, self.rewards, self.choices)) for p in exact[:-1]]
            source = f"{_FERBACH}, Lemma 2.2"
        else:
            bound = curation.mixed_gain_bound(self.reference, self.rewards, self.choices, self.synthetic_ratio)
            steps = [float(bound)] * self.generations
            source = f"{_FERBACH}, bound with real data"
        texts = ("lower bound", source, "sufficient bound", "at least this")
        laws = [_law("expected_reward", *texts, np.array([start, *steps]), bound="lower")]
        most = float(curation.divergence_bound(self.synthetic_ratio, self.choices))
        if math.isfinite(most):
            line = np.full(self.generations + 1, most)
            texts = ("upper bound", f"{_FERBACH}, bound with real data", "sufficient bound", "at most this")
            laws.append(_law("divergence", *texts, line))
        return laws

    def exact(self) -> np.ndarray:
        """Distributions of every generation without sampling noise, float64 (generations + 1, m)."""
        p_ref = distributions("reference", self.reference)
        track = [p_ref]
        for _ in range(self.generations):
            track.append(self._mixed(curation.step(track[-1], self.rewards, self.choices), p_ref))
        return np.stack(track)


def _law(
    metric: str, label: str, source: str, validity: str, note: str, values: np.ndarray, *, bound: str = "upper"
) -> Forecast:
    texts: dict[str, Any] = {"label": label, "source": source, "validity": validity, "note": note, "units": ""}
    return Forecast(metric=metric, values=values, bound=bound, **texts)
