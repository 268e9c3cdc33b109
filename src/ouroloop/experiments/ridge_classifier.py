r"""Ridge classification of two Gaussian classes from real rows and verified synthetic ones.

Rows are $x = y\mu + z$, $z \sim N(0, I_p)$; synthetic ones may have their class mean displaced, at right angles to
$\mu$, by `displacement`. A synthetic row's label is wrong with probability `label_noise`, and a verifier keeps right
and wrong labels with probabilities `keep_correct` and `keep_wrong`. Of the training set only the second moments and the
sum of $yx$ matter: a Wishart matrix and normal vectors, drawn directly, so that a million rows cost what a thousand do.
The accuracy of the fitted direction w on real rows is $\Phi(w^\top\mu/|w|)$, computed, not sampled.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.errors import SpecError
from ouroloop.experiment import Axis
from ouroloop.experiments.sweeps import forecast_over, settings, swept
from ouroloop.keys import Key
from ouroloop.theory import ridge_classifier, verification
from ouroloop.theory.forecast import Forecast
from ouroloop.theory.simulate.draws import wishart_factor

__all__ = ["RidgeClassifier"]

_SOURCE = "El Firdoussi et al., arXiv 2410.08942; pruning as derived in docs/theory.md"
_ERROR = 0.005  # of the corrected formula: all of 150 settings were below it (benchmarks/theory_rmt.md)
_FEW_ERROR = 0.01  # where fewer than half as many rows as features are left: up to 0.0082 was found
_LARGE = 100  # features that they had at least
_PUBLISHED = "El Firdoussi et al., arXiv 2410.08942, as in the authors' code"


@dataclass(frozen=True, kw_only=True)
class RidgeClassifier:
    """Accuracy of ridge regression on real and verified synthetic rows, over one option.

    Source:
        El Firdoussi et al., arXiv 2410.08942 (phase_transition.py and toy_setting.py of the authors' code).
    """

    over: Annotated[
        Literal["label_noise", "n_synthetic", "keep_wrong", "ridge"], Field(description="the option that is swept")
    ] = "label_noise"
    values: Annotated[tuple[float, ...], Field(description="its values, rising")] = (0.0, 0.25, 0.5, 0.75, 1.0)
    n_real: Annotated[int, Field(ge=0, description="real rows")] = 0
    n_synthetic: Annotated[int, Field(ge=0, description="synthetic rows before the verifier")] = 1000
    dimension: Annotated[int, Field(ge=1, le=2000, description="p, features")] = 100
    signal: Annotated[float, Field(ge=0, description="length of the class mean")] = 1.0
    displacement: Annotated[float, Field(ge=0, description="error of the generator's class mean")] = 0.0
    label_noise: Annotated[float, Field(ge=0, le=1, description="share of wrong synthetic labels")] = 0.0
    keep_correct: Annotated[float, Field(ge=0, le=1, description="probability of keeping a right label")] = 1.0
    keep_wrong: Annotated[float, Field(ge=0, le=1, description="probability of keeping a wrong label")] = 1.0
    ridge: Annotated[float, Field(gt=0, description="ridge penalty")] = 1.0
    replicas: Annotated[int, Field(ge=1, description="training sets that a seed's value is the mean of")] = 10

    @property
    def axis(self) -> Axis:
        """The swept option.

        Raises:
            SpecError: a value that it does not allow, or a displacement of a single feature.
        """
        if self.displacement and self.dimension < 2:
            raise SpecError("displacement: needs at least 2 features, to be at right angles to the class mean")
        return swept(self, self.over, self.values)

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """accuracy, float64 (keys, points)."""
        points = settings(self, self.axis)
        found = np.empty((len(keys), len(points)))
        for place, point in enumerate(points):
            for row, key in enumerate(keys):
                found[row, place] = point.accuracies(key.child("point", place).rng()).mean()
            progress.report("points", place + 1, len(points))
        return {"accuracy": found}

    def accuracies(self, rng: np.random.Generator) -> np.ndarray:
        """Of every replica, float64 (replicas,); 1/2 where no row is kept."""
        from scipy.special import ndtr

        p, total = self.dimension, max(self.n_real + self.n_synthetic, 1)
        shares = (self.keep_correct * (1.0 - self.label_noise), self.keep_wrong * self.label_noise)
        drawn = rng.multinomial(self.n_synthetic, [*shares, max(1.0 - sum(shares), 0.0)], size=self.replicas)
        counts = np.insert(drawn[:, :2], 0, self.n_real, axis=1)  # real, right, wrong
        rows = counts[..., None]
        # of y x with the right y, so that a group's rows are its mean + z, whatever their labels
        centres = rng.standard_normal((self.replicas, 3, p)) / np.sqrt(np.maximum(rows, 1))
        centres = np.where(rows > 0, centres + self.means[[0, 1, 1]], 0.0)
        second = np.einsum("rg,rgi,rgj->rij", counts, centres, centres)
        for replica, freedom in enumerate(np.maximum(counts - 1, 0).sum(axis=1)):
            factor = wishart_factor(rng, (), int(freedom), p)
            second[replica] += factor @ factor.T
        labelled = (rows * centres * np.array([1.0, 1.0, -1.0])[:, None]).sum(axis=1)
        w = np.linalg.solve(second / total + self.ridge * np.eye(p), labelled[..., None] / total)[..., 0]
        length = np.linalg.norm(w, axis=1)
        return ndtr(np.divide(w @ self.means[0], length, out=np.zeros(self.replicas), where=length > 0.0))

    @property
    def means(self) -> np.ndarray:
        """Mean of class 1 of real and of synthetic rows, float64 (2, p)."""
        found = np.zeros((2, self.dimension))
        found[:, 0] = self.signal
        found[1, -1] += self.displacement
        return found

    @property
    def _is_large(self) -> bool:
        return self.dimension >= _LARGE

    @property
    def error(self) -> float:
        """Stated error of the corrected formula."""
        share = float(verification.kept_share(self.label_noise, self.keep_correct, self.keep_wrong))
        few = self.n_real + share * self.n_synthetic < self.dimension / 2
        return _FEW_ERROR if few else _ERROR

    def forecasts(self) -> list[Forecast]:
        """Accuracy by the corrected and by the published formula."""
        points = settings(self, self.axis)
        return [
            forecast_over(
                points,
                functools.partial(_law, formula=formula),
                metric="accuracy",
                label=f"{formula} formula",
                source=source,
                validity="asymptotic",
                note="dimension and rows large",
                error=np.array([p.error for p in points]) if formula == "corrected" and self._is_large else None,
            )
            for formula, source in (("corrected", _SOURCE), ("published", _PUBLISHED))
        ]


def _law(point: RidgeClassifier, formula: str) -> float:
    rates = (point.label_noise, point.keep_correct, point.keep_wrong, point.ridge, formula)
    if point.displacement:
        real, synthetic = point.means
        rows = (point.n_real, point.n_synthetic)
        return ridge_classifier.accuracy(*rows, real, synthetic, np.eye(point.dimension), *rates)
    size = (point.n_real, point.n_synthetic, point.dimension, point.signal)
    return float(verification.classifier_accuracy(*size, *rates))
