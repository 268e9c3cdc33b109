r"""A small transformer retrained on eigenvalues that its predecessor made up and a verifier let pass.

Matrices are symmetric with entries uniform on $[-\sqrt3, \sqrt3]$. Generation 0 is trained on `n_real` of them and
their true eigenvalues. It then labels `n_synthetic` others with draws from what it holds for likely; a label is right
where its relative error $|\hat\lambda - \lambda|_1 / |\lambda|_1$ is within `tolerance`. The next model is trained on
the labels that are chosen, and on nothing else; accuracy is the share of right answers to new matrices.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.errors import SpecError
from ouroloop.experiment import Axis
from ouroloop.keys import Key
from ouroloop.theory import verification
from ouroloop.theory.forecast import Forecast

if TYPE_CHECKING:
    from ouroloop.experiments.eigenvalue_network import EigenvalueNetwork

__all__ = ["EigenvalueVerifier"]

_METRICS = ("accuracy", "accuracy_strict", "error", "purity", "kept_share", "p_star")


_TRUE = (1.0, 1.0, 1.0)  # purity, kept share and p* of true labels


@dataclass(frozen=True, kw_only=True)
class EigenvalueVerifier:
    """Accuracy of a transformer trained on eigenvalues synthesized by its predecessor, over generations.

    Source:
        Feng et al., arXiv 2406.07515 (transformers that predict the eigenvalues of 5 x 5 symmetric matrices).
    """

    generations: Annotated[int, Field(ge=1, description="retrainings; the paper has one")] = 1
    size: Annotated[int, Field(ge=2, le=10, description="rows of the matrices")] = 5
    n_real: Annotated[int, Field(ge=1, description="matrices with true eigenvalues behind generation 0")] = 1500
    n_synthetic: Annotated[int, Field(ge=1, description="matrices that a generation labels for the next")] = 40_000
    selection: Annotated[
        Literal["verifier", "all", "random", "confidence"],
        Field(description="labels to train on; random and confidence choose as many as an oracle would"),
    ] = "verifier"
    choice: Annotated[
        Literal["first", "likeliest", "nearest", "truth"],
        Field(
            description="label: the first hypothesis, the likeliest to the model, the nearest to the truth, the truth"
        ),
    ] = "first"
    tolerance: Annotated[float, Field(gt=0, description="largest relative error of a right label")] = 0.1
    keep_correct: Annotated[float, Field(ge=0, le=1, description="probability of keeping a right label")] = 1.0
    keep_wrong: Annotated[float, Field(ge=0, le=1, description="probability of keeping a wrong label")] = 0.0
    hypotheses: Annotated[int, Field(ge=1, description="draws of the model, a matrix")] = 16
    width: Annotated[int, Field(ge=4, description="of the transformer, a multiple of 4")] = 64
    layers: Annotated[int, Field(ge=1, description="of the transformer")] = 2
    start: Annotated[
        Literal["previous", "scratch"],
        Field(description="a generation's first weights: its predecessor's, or new ones"),
    ] = "previous"
    first_steps: Annotated[int, Field(ge=1, description="of training, in generation 0")] = 1500
    steps: Annotated[int, Field(ge=1, description="of training, in the generations after it")] = 600
    batch: Annotated[int, Field(ge=1, description="rows a step")] = 64
    first_learning_rate: Annotated[float, Field(gt=0, description="its peak, in generation 0")] = 3e-3
    learning_rate: Annotated[float, Field(gt=0, description="its peak, in the generations after it")] = 1e-3
    n_test: Annotated[int, Field(ge=1, description="matrices that accuracy is measured on")] = 10_000

    @property
    def axis(self) -> Axis:
        """Generation 0 is trained on true eigenvalues alone.

        Raises:
            SpecError: a width that the four heads do not divide.
        """
        if self.width % 4:
            raise SpecError(f"width: must be a multiple of 4 (there are four heads), got {self.width}")
        return Axis.generations(self.generations + 1)

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """Float64 (keys, generations + 1) each.

        accuracy, accuracy_strict (within half the tolerance), error (mean relative error), and of the labels trained
        on: purity (share of right ones), kept_share, p_star (the verifier's, from its measured rates).
        """
        found = np.empty((len(_METRICS), len(keys), self.generations + 1))
        for row, key in enumerate(keys):
            network, facts = _first(_start(self), key), _TRUE
            for generation in range(self.generations + 1):
                if generation:
                    x, y, facts = self._labels(network, key.child("generation", generation))
                    network = self._retrained(network, x, y, key.child("generation", generation, "training"))
                found[:, row, generation] = [*self._errors(network, key), *facts]
                progress.report("models", row * (self.generations + 1) + generation + 1, found[0].size)
        return dict(zip(_METRICS, found, strict=True))

    def _retrained(self, network: EigenvalueNetwork, x: np.ndarray, y: np.ndarray, key: Key) -> EigenvalueNetwork:
        """The next generation; without a row to train on it stays as it starts."""
        from ouroloop.experiments.eigenvalue_network import train

        network = copy.deepcopy(network) if self.start == "previous" else _new(self, key)
        if len(x):
            train(network, x, y, self.steps, self.batch, self.learning_rate, key.child("rows"))
        return network

    def _errors(self, network: EigenvalueNetwork, key: Key) -> list[float]:
        """Accuracy, strict accuracy and mean relative error on the seed's test matrices."""
        from ouroloop.experiments.eigenvalue_network import answers

        x, y = _matrices(self.n_test, self.size, key.child("test"))
        wrong = _relative(answers(network, x).centre[:, None], y)[:, 0]
        return [float((wrong <= self.tolerance / part).mean()) for part in (1.0, 2.0)] + [float(wrong.mean())]

    def _labels(self, network: EigenvalueNetwork, key: Key) -> tuple[np.ndarray, np.ndarray, tuple[float, ...]]:
        """New matrices that are chosen, what the network says of them; purity, kept share and p* of the choice."""
        from ouroloop.experiments.eigenvalue_network import answers

        x, truth = _matrices(self.n_synthetic, self.size, key.child("matrices"))
        said, density = answers(network, x).draws(self.hypotheses, key.child("draws").rng())
        relative = _relative(said, truth)
        oracle = int((relative[:, 0] <= self.tolerance).sum())
        picked = np.zeros(len(x), np.int64)
        if self.choice in ("nearest", "likeliest"):
            picked = np.argmin(relative if self.choice == "nearest" else -density, axis=1)
        rows = np.arange(len(x))
        labels, right = said[rows, picked], relative[rows, picked] <= self.tolerance
        if self.choice == "truth":
            labels, right = truth, np.ones(len(x), bool)
        kept = self._kept(right, density[rows, picked], oracle, key.child("verifier").rng())
        good, bad = (float(kept[part].mean()) if part.any() else 0.0 for part in (right, ~right))
        purity = float(right[kept].mean()) if kept.any() else np.nan
        p_star = float(verification.p_star(good, bad)) if good + bad > 0.0 else np.nan
        return x[kept], labels[kept], (purity, float(kept.mean()), p_star)

    def _kept(self, right: np.ndarray, confidence: np.ndarray, oracle: int, rng: np.random.Generator) -> np.ndarray:
        """Which rows are trained on, bool (n,)."""
        drawn = rng.random(len(right))
        if self.selection == "all":
            return np.ones(len(right), bool)
        if self.selection == "verifier":
            return drawn < np.where(right, self.keep_correct, self.keep_wrong)
        kept = np.zeros(len(right), bool)
        kept[np.argsort(drawn if self.selection == "random" else -confidence, kind="stable")[:oracle]] = True
        return kept

    def forecasts(self) -> list[Forecast]:
        """p* of the verifier, where its rates are given; theory has nothing to say of this model's accuracy."""
        rates = (self.keep_correct, self.keep_wrong) if self.selection == "verifier" else (1.0, 1.0)
        if self.selection == "confidence" or self.choice == "truth" or sum(rates) == 0.0:
            return []
        p_star = float(verification.p_star(*rates))
        return [
            Forecast(
                metric="p_star",
                label="rates",
                source="Feng et al., arXiv 2406.07515",
                validity="exact",
                note="generation 0 has true labels",
                units="",
                values=np.array([1.0] + [p_star] * self.generations),
            )
        ]


def _start(experiment: EigenvalueVerifier) -> EigenvalueVerifier:
    """With only the options that generation 0 depends on, so that arms share it."""
    fields: dict[str, Any] = {"selection": "all", "choice": "first", "tolerance": 0.1, "generations": 1}
    fields |= {"keep_correct": 1.0, "keep_wrong": 0.0, "n_synthetic": 1, "n_test": 1}
    fields |= {"hypotheses": 1, "start": "previous", "steps": 1, "learning_rate": 1e-3}
    return dataclasses.replace(experiment, **fields)


def _new(experiment: EigenvalueVerifier, key: Key) -> EigenvalueNetwork:
    """Untrained."""
    from ouroloop.experiments.eigenvalue_network import EigenvalueNetwork

    with key.child("weights").seeded():
        return EigenvalueNetwork(experiment.size, experiment.width, experiment.layers, 4)


@functools.lru_cache(maxsize=32)
def _first(experiment: EigenvalueVerifier, key: Key) -> EigenvalueNetwork:
    """Generation 0, kept for the other arms of a study; nothing trains it further."""
    from ouroloop.experiments.eigenvalue_network import train

    x, y = _matrices(experiment.n_real, experiment.size, key.child("real"))
    network, rows = _new(experiment, key.child("real")), key.child("real", "rows")
    train(network, x, y, experiment.first_steps, experiment.batch, experiment.first_learning_rate, rows)
    return network


def _matrices(n: int, size: int, key: Key) -> tuple[np.ndarray, np.ndarray]:
    """Symmetric matrices float32 (n, d, d), entries of variance 1, and their eigenvalues, ascending, float32 (n, d)."""
    lower = np.tril(key.rng().uniform(-np.sqrt(3.0), np.sqrt(3.0), (n, size, size)))
    x = lower + np.tril(lower, -1).transpose(0, 2, 1)
    return x.astype(np.float32), np.linalg.eigvalsh(x).astype(np.float32)


def _relative(said: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Relative errors (n, hypotheses) of eigenvalues (n, hypotheses, d) against the true ones (n, d)."""
    return np.abs(said - truth[:, None]).sum(axis=2) / np.abs(truth).sum(axis=1)[:, None]
