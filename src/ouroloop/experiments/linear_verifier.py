r"""A linear classifier trained on labels of a linear generator that a linear verifier has agreed with.

Inputs are $x \sim N(0, I_d)$ with true labels $\mathrm{sign}(w_*^\top x)$; generator and verifier are directions at
given angles to $w_*$, whose parts at right angles to it have cosine `overlap`. A row is kept iff both give it the same
label. The rates of this procedure are known in closed form (`verification.rates_of_angles`), and so is what least
squares learns from it: inputs and selection are symmetric in the two directions, so it is their bisector,

$$ \cos(\hat w, w_*) = \frac{a + b}{\sqrt{2 + 2c}}, \qquad a, b = \cos(w_{gen}, w_*), \cos(w_{ver}, w_*), \quad
   c = \cos(w_{gen}, w_{ver}), $$

however many rows there are. With ``errors: independent`` labels and verdicts are wrong at the same rates, but
independently of the input: the setting of the theorem, in which the model learns $w_*$ iff the label noise is below
$p^*$, and $-w_*$ above.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.experiment import Axis
from ouroloop.experiments.sweeps import forecast_over, settings, swept
from ouroloop.keys import Key
from ouroloop.theory.forecast import Forecast
from ouroloop.theory.verification import Rates, rates_of_angles

__all__ = ["LinearVerifier"]

_FENG = "Feng et al., arXiv 2406.07515"
_DERIVED = "derived in docs/studies/verify-linear.md"
_RATES = ("purity", "label_noise", "keep_correct", "keep_wrong", "p_star", "kept_share")


@dataclass(frozen=True, kw_only=True)
class LinearVerifier:
    """Rates of a linear verifier and accuracy of training on what it keeps, over an angle or the rows.

    Source:
        Feng et al., arXiv 2406.07515 (linear generator and verifier); laws in angles derived here.
    """

    over: Annotated[
        Literal["verifier_angle", "generator_angle", "overlap", "n"], Field(description="the option that is swept")
    ] = "verifier_angle"
    values: Annotated[tuple[float, ...], Field(description="its values, rising")] = (0.0, 45.0, 90.0, 135.0, 180.0)
    n: Annotated[int, Field(ge=1, description="synthetic rows before selection")] = 20_000
    dimension: Annotated[int, Field(ge=3, description="d, features")] = 20
    generator_angle: Annotated[float, Field(gt=0, lt=180, description="degrees from the truth")] = 60.0
    verifier_angle: Annotated[float, Field(ge=0, le=180, description="degrees from the truth")] = 30.0
    overlap: Annotated[float, Field(ge=-1, le=1, description="cosine of the two errors' directions")] = 0.0
    errors: Annotated[
        Literal["angles", "independent"], Field(description="errors where the directions differ, or anywhere")
    ] = "angles"
    selection: Annotated[
        Literal["verified", "all", "random", "right"],
        Field(description="rows to train on: those kept, all, as many at random, those with the right label"),
    ] = "verified"

    @property
    def axis(self) -> Axis:
        """The swept option."""
        return swept(self, self.over, self.values)

    @property
    def cosines(self) -> tuple[float, float, float]:
        """Of generator and truth, verifier and truth, generator and verifier."""
        first, second = (math.radians(angle) for angle in (self.generator_angle, self.verifier_angle))
        a, b = math.cos(first), math.cos(second)
        return a, b, a * b + self.overlap * math.sin(first) * math.sin(second)

    @property
    def rates(self) -> Rates:
        """By the formulas in angles."""
        return rates_of_angles(*self.cosines)

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """accuracy and the rates, float64 (keys, points); NaN where no row was kept."""
        points = settings(self, self.axis)
        found = np.empty((1 + len(_RATES), len(keys), len(points)))
        for place, point in enumerate(points):
            for row, key in enumerate(keys):
                found[:, row, place] = point.measured(key.child("point", place).rng())
            progress.report("points", place + 1, len(points))
        return dict(zip(("accuracy", *_RATES), found, strict=True))

    def measured(self, rng: np.random.Generator) -> list[float]:
        """Accuracy, purity, label noise, keep_correct, keep_wrong, p* and kept share of one data set."""
        x = rng.standard_normal((self.n, self.dimension))
        right, kept = self._verdicts(rng, x)
        labels = np.where(right, 1.0, -1.0) * np.where(x[:, 0] > 0.0, 1.0, -1.0)
        chosen = {"verified": kept, "all": np.ones(self.n, bool), "right": right}.get(self.selection)
        if chosen is None:
            chosen = rng.permutation(kept)
        good, bad = (_share(kept[rows]) for rows in (right, ~right))
        accuracy = _accuracy(x[chosen], labels[chosen])
        return [accuracy, _share(right[kept]), 1.0 - _share(right), good, bad, good / (good + bad), _share(kept)]

    def _verdicts(self, rng: np.random.Generator, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Whether each row's label is right, and whether it is kept."""
        if self.errors == "independent":
            right = rng.random(self.n) >= float(self.rates.label_noise)
            return right, rng.random(self.n) < np.where(right, self.rates.keep_correct, self.rates.keep_wrong)
        a, b, _ = self.cosines
        across = math.sqrt(1.0 - self.overlap**2)
        generator = np.array([a, math.sqrt(1.0 - a * a), 0.0])
        verifier = np.array([b, *(math.sqrt(max(1.0 - b * b, 0.0)) * np.array([self.overlap, across]))])
        truth, made, judged = (x[:, :3] @ w > 0.0 for w in (np.array([1.0, 0.0, 0.0]), generator, verifier))
        return made == truth, made == judged

    def forecasts(self) -> list[Forecast]:
        """The rates by the formulas in angles, and what is learnt in the limit of many rows."""
        points = settings(self, self.axis)
        texts = {"source": _DERIVED, "validity": "asymptotic", "note": "many rows"}
        label = "bisector" if (self.errors, self.selection) == ("angles", "verified") else "limit of many rows"
        laws = [forecast_over(points, LinearVerifier.limit, metric="accuracy", label=label, **texts)]
        for name in _RATES:
            texts = {"source": f"{_FENG}; {_DERIVED}", "validity": "exact", "note": "inputs N(0, I)"}
            laws.append(forecast_over(points, _rate(name), metric=name, label="angles", **texts))
        return laws

    def limit(self) -> float:
        """Accuracy of what least squares learns from infinitely many rows."""
        a, b, c = self.cosines
        if self.selection == "right":  # symmetric in generator and truth
            cosine = math.sqrt((1.0 + a) / 2.0) if self.errors == "angles" else 1.0
        elif self.errors == "angles":
            cosine = (a + b) / math.sqrt(2.0 + 2.0 * c) if self.selection == "verified" else a
        else:
            half = float(self.rates.purity if self.selection == "verified" else 1.0 - self.rates.label_noise)
            cosine = float(np.sign(round(half - 0.5, 12)))
        return 1.0 - math.acos(min(max(cosine, -1.0), 1.0)) / math.pi


def _rate(name: str) -> Callable[[LinearVerifier], float]:
    attribute = "kept" if name == "kept_share" else name
    return lambda point: float(getattr(point.rates, attribute))


def _share(chosen: np.ndarray) -> float:
    return float(chosen.mean()) if chosen.size else math.nan


def _accuracy(x: np.ndarray, labels: np.ndarray) -> float:
    """Of least squares, on new inputs: 1 less the angle to the truth over pi."""
    if len(x) < x.shape[1]:
        return math.nan
    w = np.linalg.lstsq(x, labels, rcond=None)[0] if len(x) < 2 * x.shape[1] else np.linalg.solve(x.T @ x, x.T @ labels)
    return 1.0 - math.acos(float(np.clip(w[0] / np.linalg.norm(w), -1.0, 1.0))) / math.pi
