r"""Ridge classification of images from a few real ones and verified synthetic ones of a Gaussian generator.

The generator is a Gaussian a class, whose mean and covariance are those of `statistics` training images of the class. A
synthetic image's label is replaced by one of the other classes with probability `label_noise`, and a verifier keeps
right and wrong labels at the given rates. With targets 1 and -1/(K-1) for K classes (1 and -1 for two) the classifier
is

$$ W = \big(X^\top X / N + \gamma I\big)^{-1} X^\top Y / N, \qquad N = \text{rows before the verifier}, $$

over the images, less the mean of the real training ones, and a constant. $X^\top X$ grows from one point of the axis to
the next, so that a curve costs what its last point does. Test images are those that the data set holds out: no mean, no
covariance and no training row comes from them. Source, and what differs: `ImageClassifier`.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.errors import DataError
from ouroloop.experiment import Axis
from ouroloop.experiments.images import Factor, Images, factor_of, load_images, whitening
from ouroloop.keys import Key
from ouroloop.theory import ridge_classifier
from ouroloop.theory.forecast import Forecast

__all__ = ["ImageClassifier"]


class _Rows(NamedTuple):
    """Images float32 (n, p) and targets float32 (n, classes)."""

    x: np.ndarray
    target: np.ndarray


@dataclass(frozen=True, kw_only=True)
class ImageClassifier:
    """Accuracy on held-out images of a classifier trained on real and verified synthetic ones, over their number.

    Source:
        El Firdoussi et al., arXiv 2410.08942 (MNIST, 50 real images a class, Gaussian generator), with ridge regression
        in the place of its network of one hidden layer.
    """

    values: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...],
        Field(description="synthetic images a class before the verifier, rising: the axis, n_synthetic"),
    ] = (0, 25, 50, 125)
    data: Annotated[Literal["digits", "mnist"], Field(description="8 x 8 digits of scikit-learn, or MNIST")] = "digits"
    path: Annotated[
        str | None, Field(description="folder with MNIST's idx files; None: look around, then download")
    ] = None
    classes: Annotated[tuple[int, ...] | None, Field(description="those to tell apart, rising; None: all")] = None
    components: Annotated[
        int, Field(ge=0, description="0: pixels; else leading components within classes, whitened by all training rows")
    ] = 0
    n_real: Annotated[int, Field(ge=1, description="real training images a class")] = 50
    source: Annotated[
        Literal["generator", "real"], Field(description="what is added: synthetic images, or further real ones")
    ] = "generator"
    statistics: Annotated[
        int, Field(ge=0, description="training images a class behind the generator, at least 2; 0: all")
    ] = 0
    same_rows: Annotated[
        bool, Field(description="they are the classifier's own and those after, not those after alone")
    ] = False
    covariance: Annotated[
        Literal["images", "identity"], Field(description="of the generator: as of those images, or the identity")
    ] = "images"
    label_noise: Annotated[float, Field(ge=0, le=1, description="share of wrong synthetic labels")] = 0.0
    keep_correct: Annotated[float, Field(ge=0, le=1, description="probability of keeping a right label")] = 1.0
    keep_wrong: Annotated[float, Field(ge=0, le=1, description="probability of keeping a wrong label")] = 1.0
    ridge: Annotated[float, Field(gt=0, description="ridge penalty")] = 1.0
    replicas: Annotated[int, Field(ge=1, description="draws of training images that a seed's value is the mean of")] = 1

    @property
    def axis(self) -> Axis:
        """Synthetic images a class."""
        return Axis("n_synthetic", self.values)

    def images(self) -> Images:
        """Training and test images of the classes, as pixels or whitened components.

        Raises:
            DataError: a class that there is not, fewer than 2, or fewer training images than are asked for.
        """
        images = load_images(self.data, self.path, self.classes)
        asked = self.n_real + (max(self.values) if self.source == "real" else 0)
        if self.source == "generator":
            asked = max(asked, (0 if self.same_rows else self.n_real) + self.statistics)
        fewest = int(np.bincount(images.label).min())
        if asked > fewest or self.statistics == 1:
            raise DataError(
                f"n_real, statistics, values: {asked} training images are needed a class (statistics: 0, or 2 and "
                f"more), and {self.data} has {fewest}"
            )
        return whitening(images, self.components) if self.components else images

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """accuracy on the test images, float64 (keys, points)."""
        images = self.images()
        by_class = [np.flatnonzero(images.label == c) for c in range(images.classes)]
        known = None if self.statistics else [factor_of(images.train[rows]) for rows in by_class]
        found = np.zeros((len(keys), len(self.values)))
        for row, key in enumerate(keys):
            for repeat in range(self.replicas):
                found[row] += self._curve(images, by_class, known, key.child("draw", repeat)) / self.replicas
            progress.report("seeds", row + 1, len(keys))
        return {"accuracy": found}

    def _curve(
        self, images: Images, by_class: Sequence[np.ndarray], known: Sequence[Factor] | None, key: Key
    ) -> np.ndarray:
        """Accuracy at every point, float64 (points,); draws do not depend on noise, verifier and ridge."""
        rng, n = key.child("rows").rng(), self.n_real
        order = [rng.permutation(rows) for rows in by_class]
        real = np.stack([images.train[rows[:n]] for rows in order], axis=1)  # (n, classes, p)
        labels = np.broadcast_to(np.arange(images.classes), real.shape[:2])
        centre = real.mean(axis=(0, 1))
        added, given, kept = self._added(images, order, known, key)
        test = _with_constant(images.test - centre)
        second = np.zeros((test.shape[1],) * 2)
        product = np.zeros((test.shape[1], images.classes))
        scores = []
        for low, high in itertools.pairwise((None, *self.values)):
            chosen = slice(low or 0, high)
            parts = [_rows(added[chosen], given[chosen], centre, kept[chosen])]
            if low is None:
                parts.append(_rows(real, labels, centre, np.ones(labels.shape, bool)))
            for part in parts:
                second += part.x.T @ part.x
                product += part.x.T @ part.target
            total = images.classes * (n + (high or 0))
            w = np.linalg.solve(second / total + self.ridge * np.eye(len(second)), product / total)
            scores.append(np.mean(np.argmax(test @ w.astype(np.float32), axis=1) == images.test_label))
        return np.array(scores)

    def _added(
        self, images: Images, order: Sequence[np.ndarray], known: Sequence[Factor] | None, key: Key
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Images (m, classes, p), labels as given (m, classes), and whether they are kept; real ones all are."""
        count, classes, n = max(self.values), images.classes, self.n_real
        truth = np.broadcast_to(np.arange(classes), (count, classes))
        if self.source == "real":
            return np.stack([images.train[rows[n : n + count]] for rows in order], axis=1), truth, truth >= 0
        first = 0 if self.same_rows else n
        factors = known or [factor_of(images.train[rows[first : first + self.statistics]]) for rows in order]
        rng = key.child("images").rng()
        spread = self.covariance == "images"
        x = np.stack([factor.sample(rng, count, spread=spread) for factor in factors], axis=1)
        rng = key.child("labels").rng()
        wrong = rng.random((count, classes)) < self.label_noise
        given = np.where(wrong, (truth + rng.integers(1, classes, (count, classes))) % classes, truth)
        kept = rng.random((count, classes)) < np.where(wrong, self.keep_wrong, self.keep_correct)
        return x, given, kept

    def forecasts(self) -> list[Forecast]:
        """For two classes and whitened components: the formula with a generator of the measured means and covariance.

        It takes real images to be Gaussian with identity covariance about their means, which whitening makes of their
        covariance (both classes together). The generator is one drawn for this purpose.
        """
        if not self.components or self.source == "real" or (self.classes and len(self.classes) != 2):
            return []
        images = self.images()
        if images.classes != 2:
            return []
        rng = Key(0, ("image_classifier", "forecast")).rng()
        real = [images.train[images.label == c] for c in range(2)]
        seen = [rng.permutation(rows)[: self.statistics or len(rows)] for rows in real]
        gaps = [(pair[1].mean(axis=0) - pair[0].mean(axis=0)).astype(np.float64) / 2.0 for pair in (real, seen)]
        covariance = np.mean([np.cov(rows.astype(np.float64), rowvar=False) for rows in seen], axis=0)
        if self.covariance == "identity":
            covariance = np.eye(len(covariance))
        law = [
            ridge_classifier.accuracy(
                2 * self.n_real,
                2 * m,
                gaps[0],
                gaps[1],
                covariance,
                self.label_noise,
                self.keep_correct,
                self.keep_wrong,
                self.ridge,
            )
            for m in self.values
        ]
        return [
            Forecast(
                metric="accuracy",
                label="Gaussian classes",
                source="El Firdoussi et al., arXiv 2410.08942, corrected",
                validity="heuristic",
                note="as if real rows were Gaussian",
                units="",
                values=np.array(law),
            )
        ]


def _rows(x: np.ndarray, labels: np.ndarray, centre: np.ndarray, kept: np.ndarray) -> _Rows:
    """Those kept, with a constant, of images (m, classes, p) and labels (m, classes)."""
    classes = labels.shape[1]
    target = np.where(labels[kept][:, None] == np.arange(classes), 1.0, -1.0 / (classes - 1.0))
    return _Rows(_with_constant(x[kept] - centre), target.astype(np.float32))


def _with_constant(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.ones(len(x), np.float32)])
