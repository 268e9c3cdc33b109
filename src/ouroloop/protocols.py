"""The contracts of the parts that plug into the loop. No part knows another; the loop knows only these.

Randomness: a part never uses a global generator. It is handed a `Key` and draws from
``key.rng()`` (numpy), ``key.torch()`` or children of it by name, so that the same key gives the same result.
Purity: `fit` returns a new object and leaves the one it was called on, and `previous`, as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np

from ouroloop.correction import Correction
from ouroloop.keys import Key
from ouroloop.pool import Pool
from ouroloop.samples import Samples

__all__ = [
    "Condition",
    "Corrector",
    "Dataset",
    "Generator",
    "Measurement",
    "Metric",
    "Reference",
    "Regime",
    "Saveable",
]

Condition = Mapping[str, np.ndarray]
"""Columns that a conditional generator is given, one entry a row to draw, for example ``{"label": (n,)}``."""


@dataclass(frozen=True, eq=False)
class Reference:
    """What a metric or corrector may know of the real data.

    Args:
        real: the real training rows.
        held_out: real rows that nothing is trained on. Metrics compare with these. Correctors are
            handed None here, so that none can leak the test data into the loop.
        fresh: draws n fresh real rows (an exact sampler, or a reserve of real data), or None.
        cache: folder for things worth keeping between runs (feature extractors), or None.
        name: the data set's name, for messages.
        background: gives further real rows (`real` among them, none of `held_out`) for feature extractors to learn
            from, or None. The loop trains on none of them.
    """

    real: Samples
    held_out: Samples | None = None
    fresh: Callable[..., Samples] | None = None  # fresh(n, *, key: Key) -> Samples
    cache: Path | None = None
    name: str = "data"
    background: Callable[[], Samples] | None = None


@runtime_checkable
class Dataset(Protocol):
    """Where real data comes from.

    Attributes:
        name: short name.
        real: training rows. held_out: rows for metrics, or None.
    """

    name: str
    real: Samples
    held_out: Samples | None

    def fresh(self, n: int, *, key: Key) -> Samples:
        """n real rows that are in neither `real` nor `held_out`.

        Raises:
            DataError: the data set has no (or not enough) further real rows.
        """
        ...


@runtime_checkable
class Generator(Protocol):
    """A generative model. A part in the registry is unfitted; `fit` returns a fitted copy.

    A generator that is conditioned on other columns than ``label`` names them in an attribute ``condition_columns``,
    for example ``("caption", "length")``; the loop then hands it these columns of real rows.
    """

    def fit(self, training: Pool, *, key: Key, previous: Self | None = None) -> Self:
        """Fit to the rows of `training` and return the fitted model; `self` and `previous` stay as they were.

        Args:
            training: the rows; read with `batches`, `take` or `column`.
            key: the stream of this fit.
            previous: the last generation's fitted model, to fine-tune from; None asks for a fit from scratch.

        Raises:
            PartError: the fit failed (for example the loss became NaN).
        """
        ...

    def sample(self, n: int, *, key: Key, condition: Condition | None = None) -> Samples:
        """n rows. A conditional generator copies the condition's columns into its result."""
        ...


@runtime_checkable
class Saveable(Protocol):
    """A generator whose fitted state can be written (without pickle). Others are refitted on resume."""

    def save(self, directory: Path) -> None:
        """Write the fitted state into an existing empty directory (see `ouroloop.arrays`)."""
        ...

    def load(self, directory: Path) -> Self:
        """A fitted copy of this (unfitted) generator with the state in `directory`."""
        ...


@runtime_checkable
class Corrector(Protocol):
    """What happens to synthetic samples before they are trained on."""

    def fit(self, reference: Reference, *, key: Key) -> Self:
        """Prepare on the real data (centroids, features, ...) and return a ready corrector."""
        ...

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Judge every row. The result has one entry a row, in order; nothing is dropped silently."""
        ...


@runtime_checkable
class Regime(Protocol):
    """Which data generation t trains on.

    Attributes:
        synthetic_ratio: synthetic rows drawn per real row in each generation.
        fresh_real: whether every generation gets fresh real rows.
        keeps_history: whether earlier generations' synthetic rows are still needed.
    """

    synthetic_ratio: float
    fresh_real: bool
    keeps_history: bool

    def draws(self, n_real: int, generation: int) -> int:
        """How many synthetic rows to draw in this generation."""
        ...

    def select(self, real: Pool, history: Sequence[Pool], generation: int, *, key: Key) -> Pool:
        """The training rows of generation t >= 1.

        Args:
            real: the real rows.
            history: corrected synthetic rows; entry i entered in generation i + 1, the last in this one.
        """
        ...


@dataclass(frozen=True)
class Measurement:
    """One number about one generation.

    Args:
        metric: name, for example "fid".
        value: the estimate.
        low, high: 95 % bootstrap interval (NaN where there is none).
        floor: the metric's value on real versus real data at the same n (NaN where it makes no sense).
        n: number of generated rows that it was computed on.
    """

    metric: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    floor: float = float("nan")
    n: int = 0


@runtime_checkable
class Metric(Protocol):
    """How far the model is from the real data, or how diverse it is."""

    def fit(self, reference: Reference, *, key: Key) -> Self:
        """Prepare on the real data (features, floors) and return a ready metric."""
        ...

    def measure(self, generated: Samples, *, generator: Generator, key: Key) -> Sequence[Measurement]:
        """Measure n generated rows; a metric of the model itself (moments) reads `generator` instead."""
        ...
