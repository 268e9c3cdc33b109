r"""Ridge classification of a real table from few real rows and verified synthetic ones of a Gaussian generator.

The table is split into a training and a test part, by the seed. Features are centred between the classes and whitened
by the training part's covariance within classes; the generator (the class means and the common covariance, shrunk) is
fitted to rows of the training part; labels are flipped and a verifier keeps rows at the given rates, as in
`ridge_classifier`; a ridge classifier is trained and measured on the test part, which nothing else has seen.

``leak: true`` does what the published script does instead: statistics of the whole table go into the generator, and the
test set contains the training set.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop import progress
from ouroloop.errors import DataError
from ouroloop.experiment import Axis
from ouroloop.experiments.sweeps import forecast_over, settings, swept
from ouroloop.keys import Key
from ouroloop.theory import verification
from ouroloop.theory.forecast import Forecast

__all__ = ["TabularClassifier"]


class _Rows(NamedTuple):
    """Features float64 (n, p) and classes -1 or 1, float64 (n,)."""

    x: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, kw_only=True)
class TabularClassifier:
    """Accuracy on real held-out rows of a classifier trained on real and verified synthetic ones, over one option.

    Source:
        El Firdoussi et al., arXiv 2410.08942 (real features, Gaussian generator), with its train/test leak removed.
    """

    over: Annotated[
        Literal["n_synthetic", "label_noise", "keep_wrong", "n_real"], Field(description="the option that is swept")
    ] = "n_synthetic"
    values: Annotated[tuple[float, ...], Field(description="its values, rising")] = (0, 100, 1000)
    data: Annotated[Literal["breast_cancer", "digits", "file"], Field(description="the table")] = "breast_cancer"
    path: Annotated[str, Field(description="of the file, for data: file")] = ""
    label_column: Annotated[str | None, Field(description="column of the file with two classes")] = None
    columns: Annotated[tuple[str, ...] | None, Field(description="numeric columns of the file; None: all others")] = (
        None
    )
    classes: Annotated[
        tuple[int, int] | None, Field(description="the two classes to tell apart; None: the two first")
    ] = None
    test_share: Annotated[float, Field(gt=0, lt=1, description="share of the rows that is held out")] = 0.4
    n_real: Annotated[
        int, Field(ge=0, description="real training rows of the classifier; 0: all of the training part")
    ] = 40
    generator_rows: Annotated[
        Literal["same", "training"], Field(description="the generator sees those rows, or the whole training part")
    ] = "training"
    shrinkage: Annotated[
        float, Field(ge=0, le=1, description="of the generator's covariance, towards its diagonal")
    ] = 0.1
    n_synthetic: Annotated[int, Field(ge=0, description="synthetic rows before the verifier")] = 400
    label_noise: Annotated[float, Field(ge=0, le=1, description="share of wrong synthetic labels")] = 0.3
    keep_correct: Annotated[float, Field(ge=0, le=1, description="probability of keeping a right label")] = 1.0
    keep_wrong: Annotated[float, Field(ge=0, le=1, description="probability of keeping a wrong label")] = 1.0
    ridge: Annotated[float, Field(gt=0, description="ridge penalty")] = 1.0
    leak: Annotated[bool, Field(description="generator and test set contain all rows, as in the published script")] = (
        False
    )
    replicas: Annotated[int, Field(ge=1, description="splits that a seed's value is the mean of")] = 10

    @property
    def axis(self) -> Axis:
        """The swept option."""
        return swept(self, self.over, self.values)

    def table(self) -> _Rows:
        """All rows of the two classes.

        Raises:
            DataError: the file has no label of two classes, or fewer than 4 rows of one.
        """
        x, label = _loaded(self.data, self.path, self.label_column, self.columns)
        pair = np.array(self.classes) if self.classes else np.unique(label)[:2]
        counts = [int((label == c).sum()) for c in pair]
        if len(pair) != 2 or min(counts) < 4:
            raise DataError(
                f"classes: need two with at least 4 rows each, got {dict(zip(pair.tolist(), counts, strict=True))}"
            )
        kept = np.isin(label, pair)
        return _Rows(x[kept], np.where(label[kept] == pair[1], 1.0, -1.0))

    def run(self, keys: Sequence[Key]) -> Mapping[str, np.ndarray]:
        """accuracy on held-out rows, float64 (keys, points)."""
        points, table = settings(self, self.axis), self.table()
        found = np.zeros((len(keys), len(points)))
        for row, key in enumerate(keys):
            for repeat in range(self.replicas):
                split = key.child("split", repeat)
                for place, point in enumerate(points):
                    found[row, place] += point.accuracy(table, split) / self.replicas
            progress.report("seeds", row + 1, len(keys))
        return {"accuracy": found}

    def accuracy(self, table: _Rows, key: Key) -> float:
        """Of one split; the same key splits alike whatever the options."""
        train, test = self._parts(table, key.rng())
        if self.leak:
            test = table
        train, test = _whitened(train, test, table if self.leak else train)
        real = _Rows(*(part[: self.n_real or len(train.y)] for part in train))
        seen = _whitened(table, table, table)[0] if self.leak else train if self.generator_rows == "training" else real
        synthetic = self._synthetic(seen, key.child("synthetic").rng())
        x = _with_constant(np.concatenate([real.x, synthetic.x]))
        y = np.concatenate([real.y, synthetic.y])
        total = max(len(real.y) + self.n_synthetic, 1)
        w = np.linalg.solve(x.T @ x / total + self.ridge * np.eye(x.shape[1]), x.T @ y / total)
        decided = _with_constant(test.x) @ w
        return float(np.mean(np.where(decided == 0.0, 0.5, decided * test.y > 0.0)))

    def _parts(self, table: _Rows, rng: np.random.Generator) -> tuple[_Rows, _Rows]:
        """Training and test part, the former's first rows of both classes in turn."""
        order = rng.permutation(len(table.y))
        cut = round(self.test_share * len(order))
        test, train = order[:cut], order[cut:]
        turn = np.zeros(len(train))
        for c in (-1.0, 1.0):
            own = table.y[train] == c
            turn[own] = np.arange(own.sum())
        train = train[np.argsort(turn, kind="stable")]
        return _Rows(table.x[train], table.y[train]), _Rows(table.x[test], table.y[test])

    def _synthetic(self, seen: _Rows, rng: np.random.Generator) -> _Rows:
        """Rows that the verifier kept, with their labels as given."""
        p, n = seen.x.shape[1], self.n_synthetic
        means = np.stack(
            [seen.x[seen.y == c].mean(axis=0) if (seen.y == c).any() else np.zeros(p) for c in (-1.0, 1.0)]
        )
        within = seen.x - means[(seen.y > 0).astype(int)]
        covariance = within.T @ within / len(within)
        covariance = (1.0 - self.shrinkage) * covariance + self.shrinkage * np.diag(np.diag(covariance))
        values, vectors = np.linalg.eigh(covariance)
        truth = rng.integers(0, 2, n)
        x = means[truth] + rng.standard_normal((n, p)) @ (vectors * np.sqrt(np.maximum(values, 0.0))).T
        wrong = rng.random(n) < self.label_noise
        kept = rng.random(n) < np.where(wrong, self.keep_wrong, self.keep_correct)
        return _Rows(x[kept], np.where(wrong, -1.0, 1.0)[kept] * (2.0 * truth[kept] - 1.0))

    def forecasts(self) -> list[Forecast]:
        """The formula for two Gaussian classes with a perfect generator, with the table's own class distance."""
        table = self.table()
        white, _ = _whitened(table, table, table)
        gap = white.x[white.y > 0].mean(axis=0) - white.x[white.y < 0].mean(axis=0)
        texts = {"metric": "accuracy", "label": "Gaussian classes", "validity": "heuristic"}
        texts |= {"source": "El Firdoussi et al., arXiv 2410.08942, corrected", "note": "as if classes were Gaussian"}
        law = functools.partial(
            _law, signal=float(np.linalg.norm(gap)) / 2.0, dimension=white.x.shape[1], rows=len(table.y)
        )
        return [forecast_over(settings(self, self.axis), law, **texts)]


def _law(point: TabularClassifier, signal: float, dimension: int, rows: int) -> float:
    real = point.n_real or rows - round(point.test_share * rows)
    rates = (point.label_noise, point.keep_correct, point.keep_wrong, point.ridge)
    return float(verification.classifier_accuracy(real, point.n_synthetic, dimension, signal, *rates))


@functools.lru_cache(maxsize=4)
def _loaded(
    data: str, path: str, label_column: str | None, columns: tuple[str, ...] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Features and class of every row; constant features are left out."""
    if data == "file":
        from ouroloop.datasets.files import read_rows

        rows = read_rows(Path(path), label_column=label_column, columns=columns)
        if "label" not in rows.data_columns:
            raise DataError(f"{path}: label_column: name the column with the classes")
        x, label = np.asarray(rows.x, np.float64), np.asarray(rows["label"])
    else:
        from sklearn import datasets

        bunch = getattr(datasets, f"load_{data}")()
        x, label = np.asarray(bunch.data, np.float64), np.asarray(bunch.target)
    return x[:, np.ptp(x, axis=0) > 0.0], label


def _whitened(train: _Rows, test: _Rows, seen: _Rows) -> tuple[_Rows, _Rows]:
    """Both, centred between the class means of `seen` and whitened by its covariance within classes (a bit shrunk)."""
    means = np.stack([seen.x[seen.y == c].mean(axis=0) for c in (-1.0, 1.0)])
    within = seen.x - means[(seen.y > 0).astype(int)]
    scale = np.maximum(within.std(axis=0), 1e-3 * seen.x.std(axis=0) + 1e-12)
    values, vectors = np.linalg.eigh((within / scale).T @ (within / scale) / len(within))
    turn = vectors / np.sqrt(np.maximum(values, 0.0) + 0.05) / scale[:, None]
    return tuple(_Rows((part.x - means.mean(axis=0)) @ turn, part.y) for part in (train, test))  # type: ignore[return-value]


def _with_constant(x: np.ndarray) -> np.ndarray:
    return np.column_stack([x, np.ones(len(x))])
