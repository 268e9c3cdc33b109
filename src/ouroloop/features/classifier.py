r"""Features of a small classifier that the software trains on the real labels.

The network is $f = W_2\, \mathrm{relu}(\phi(x)) + b$ with $\phi(x)$ the 84 numbers before the last
non-linearity, as in the LeNet whose layer 'fc2' SCSC measures its distances in. Images go through two
convolutions, flat rows through one hidden layer.

Source: SCSC (arXiv 2402.07087), its MNIST experiment: an 84-d pre-activation feature. Differences: ReLU and
max pooling for sigmoid and average pooling, no double softmax, trained with a fixed seed, accuracy reported.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ouroloop.errors import DataError, PartError
from ouroloop.features.cache import Entry, cached, content_digest
from ouroloop.features.network import network, tensor
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["Classifier"]

_VERSION = 1  # raise when a change of this file changes the weights that a fit gives
_CHUNK = 128  # rows at a time; small, so that the activations stay in the processor's cache


@dataclass(frozen=True)
class _Fitted:
    """What a fit leaves: weights, the shape and scale of a row, the classes, the accuracy."""

    weights: dict[str, np.ndarray]
    shape: tuple[int, ...]
    mean: float
    scale: float
    classes: np.ndarray
    accuracy: float
    n_held_out: int


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """The layer before the last of a classifier trained on real labelled rows.

    The training is a function of (data, options) alone, not of the run's seed, so that all seeds and arms of
    a study share one extractor; it is cached by the content of the data.

    Args:
        width: channels of the first convolution (the second has twice as many), or a sixteenth of the
            hidden layer's width for rows that are not images.
        embedding: number of features.
        steps: gradient steps; the cost of a fit does not depend on the number of rows.
        batch: rows a step.
        learning_rate: peak learning rate of AdamW (one cycle).
        held_out_share: share of the rows that the accuracy is measured on and that is not trained on.
    """

    width: Annotated[int, Field(ge=1, description="channels of the first convolution")] = 16
    embedding: Annotated[int, Field(ge=1, description="number of features")] = 84
    steps: Annotated[int, Field(ge=1, description="gradient steps of the training")] = 700
    batch: Annotated[int, Field(ge=2, description="rows per gradient step")] = 96
    learning_rate: Annotated[float, Field(gt=0, description="peak learning rate of AdamW, one cycle")] = 4e-3
    held_out_share: Annotated[float, Field(gt=0, lt=1, description="share of rows that measures accuracy")] = 0.1
    _fitted: _Fitted | None = field(init=False, default=None, repr=False, compare=False)
    _network: Any = field(init=False, default=None, repr=False, compare=False)

    @property
    def name(self) -> str:
        """Short name, for tables and axis labels."""
        return "classifier"

    @property
    def dim(self) -> int:
        """Number of features."""
        return self.embedding

    @property
    def accuracy(self) -> float:
        """Share of held-out rows that a fitted classifier labels correctly, 0 to 1."""
        return self._ready.accuracy

    @property
    def n_held_out(self) -> int:
        """Number of rows that `accuracy` was measured on."""
        return self._ready.n_held_out

    @property
    def classes(self) -> np.ndarray:
        """The labels that a fitted classifier knows, sorted, shape (k,)."""
        return self._ready.classes

    @property
    def _ready(self) -> _Fitted:
        if self._fitted is None:
            raise PartError("classifier features: call fit first")
        return self._fitted

    def fit(
        self, samples: Samples, *, key: Key, cache: Path | None = None, held_out: Samples | None = None
    ) -> Classifier:
        """Train on labelled rows, or take the training from the cache.

        Args:
            samples: rows with the columns 'x' (n, height, width), (n, channels, height, width) or (n, d), and 'label'.
            key: not used (see the class).
            cache: folder to keep the weights in, or None.
            held_out: rows that measure the accuracy; without them `held_out_share` of `samples` does.

        Raises:
            DataError: no labels, one class only, too few rows, NaN or infinity.
        """
        _check(samples)
        tables = [samples] if held_out is None else [samples, held_out]
        arrays = {f"{name}{i}": table[name] for i, table in enumerate(tables) for name in ("x", "label")}
        digest = content_digest(arrays, {"version": _VERSION, "options": _options(self)})
        weights, meta = cached(cache, "classifier", digest, lambda: _train(self, samples, held_out, digest))
        fitted = replace(self)
        labels = np.unique(samples.label)
        state = _Fitted(
            weights, samples.x.shape[1:], meta["mean"], meta["scale"], labels, meta["accuracy"], meta["n_held_out"]
        )
        object.__setattr__(fitted, "_fitted", state)
        object.__setattr__(fitted, "_network", _load(self, state))
        return fitted

    def transform(self, x: np.ndarray) -> np.ndarray:
        """The penultimate pre-activations of rows x, as float64 (n, embedding)."""
        features, _ = self._forward(x)
        return features

    def probabilities(self, x: np.ndarray) -> np.ndarray:
        """Class probabilities of rows x in the order of `classes`, float64 (n, k)."""
        _, logits = self._forward(x)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """The most probable label of every row, shape (n,)."""
        _, logits = self._forward(x)
        return self.classes[logits.argmax(axis=1)]

    def _forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import torch

        state, net = self._ready, self._network
        if x.shape[1:] != state.shape:
            raise DataError(f"classifier features were fitted to rows of shape {state.shape}, got {x.shape[1:]}")
        features, logits = np.empty((len(x), self.embedding)), np.empty((len(x), len(state.classes)))
        with torch.inference_mode():
            for start in range(0, len(x), _CHUNK):
                rows = slice(start, start + _CHUNK)
                hidden = net.trunk(tensor(x[rows], state.mean, state.scale))
                features[rows] = hidden.numpy()
                logits[rows] = net.head(hidden.relu()).numpy()
        return features, logits


def _options(part: Classifier) -> dict[str, Any]:
    names = ("width", "embedding", "steps", "batch", "learning_rate", "held_out_share")
    return {name: getattr(part, name) for name in names}


def _check(samples: Samples) -> None:
    if "label" not in samples.data_columns:
        raise DataError("classifier features need a column 'label'; take the features 'pca' or 'identity' without one")
    samples.check_finite("classifier features")
    if samples.x.dtype.kind not in "biuf" or samples.x.ndim < 2:
        raise DataError(f"classifier features need numeric rows, got x of shape {samples.x.shape}, {samples.x.dtype}")
    classes = np.unique(samples.label)
    if len(classes) < 2:
        raise DataError(f"classifier features need at least two classes, got {classes.tolist()}")
    if len(samples) < 10 * len(classes):
        raise DataError(
            f"classifier features need at least 10 rows a class, got {len(samples)} rows of {len(classes)} classes; "
            "take the features 'pca' or 'identity'"
        )


def _train(part: Classifier, samples: Samples, held_out: Samples | None, digest: str) -> Entry:
    """The trained weights, and the scale and accuracy that go with them."""
    import torch
    from torch.nn.functional import cross_entropy

    key = Key(int(digest[:8], 16), ("features", "classifier"))
    training, testing = (samples, held_out) if held_out is not None else _split(samples, part.held_out_share, key)
    classes = np.unique(samples.label)
    labels = torch.from_numpy(np.searchsorted(classes, training.label))
    mean, scale = _scale(training.x)
    net = network(training.x.shape[1:], part.width, part.embedding, len(classes), key=key)
    optimiser = torch.optim.AdamW(net.parameters(), lr=part.learning_rate, weight_decay=0.01)
    cycle = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, part.learning_rate, total_steps=part.steps + 1, cycle_momentum=False
    )
    loss = torch.tensor(float("nan"))
    for rows in _batches(len(training), part, key):
        logits = net(tensor(training.x[rows], mean, scale))
        loss = cross_entropy(logits, labels[torch.from_numpy(rows)])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        cycle.step()
    if not torch.isfinite(loss):
        raise PartError("classifier features: the training diverged; lower learning_rate")
    weights = {name: value.detach().numpy().copy() for name, value in net.state_dict().items()}
    state = _Fitted(weights, training.x.shape[1:], mean, scale, classes, 0.0, len(testing))
    judge = replace(part)
    object.__setattr__(judge, "_fitted", state)
    object.__setattr__(judge, "_network", net.eval())
    accuracy = float((judge.predict(testing.x) == testing.label).mean()) if len(testing) else float("nan")
    return weights, {"mean": mean, "scale": scale, "accuracy": accuracy, "n_held_out": len(testing)}


def _split(samples: Samples, share: float, key: Key) -> tuple[Samples, Samples]:
    order = key.child("split").rng().permutation(len(samples))
    count = max(1, round(share * len(samples)))
    return samples.take(np.sort(order[count:])), samples.take(np.sort(order[:count]))


def _scale(x: np.ndarray) -> tuple[float, float]:
    """Mean and standard deviation over all values of all rows."""
    mean = float(np.mean(x, dtype=np.float64))
    return mean, float(np.std(x, dtype=np.float64)) or 1.0


def _batches(n: int, part: Classifier, key: Key) -> Iterator[np.ndarray]:
    """Row numbers of every step: one permutation an epoch, the remainder of an epoch is left out."""
    size, done = min(part.batch, n), 0
    for epoch in itertools.count():
        order = key.child("epoch", epoch).rng().permutation(n)
        for start in range(0, n - size + 1, size):
            yield order[start : start + size]
            done += 1
            if done == part.steps:
                return


def _load(part: Classifier, state: _Fitted) -> Any:
    import torch

    net = network(state.shape, part.width, part.embedding, len(state.classes))
    net.load_state_dict({name: torch.from_numpy(value.copy()) for name, value in state.weights.items()})
    return net.eval()
