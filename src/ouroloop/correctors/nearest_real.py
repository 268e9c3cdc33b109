"""Keep what lies close to real data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.rows import flat, on_finite
from ouroloop.errors import DataError, PartError
from ouroloop.features import FeatureExtractor, build
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

__all__ = ["NearestReal"]

_CHUNK = 8192
_MOST_OWN = 5000  # real rows whose distance to the others is measured, to bound the cost of a fit


@dataclass(frozen=True)
class _Fitted:
    """Search trees (one for all rows, or one a class) and the largest distance that is kept."""

    extractor: FeatureExtractor | None
    trees: dict[Any, Any]
    radius: float


@dataclass(frozen=True, kw_only=True)
class NearestReal:
    """Rows that are too far from every real row are dropped; the others are kept as they are.

    Too far: the distance to the nearest real row (or the k-th nearest) exceeds `radius`, or, where that is not
    given, the `quantile` of the same distance among (up to 5,000 of) the real rows, each to the others. At quantile q
    a share 1 - q of rows as good as real ones is dropped too.

    Args:
        space: where distance is measured: "pixels" (the data themselves) or a feature extractor.
        quantile: of the real rows' own distances.
        radius: largest distance kept, in the units of the space, in place of a quantile.
        neighbours: which nearest real row the distance is measured to; more than 1 is robust against outliers.
        by_label: measure to real rows of the same label only (a row with a label that no real row has fails).
        action: what becomes of rows too far: "drop", or "fail" to leave it to the loop's `on_failure`.
    """

    space: Annotated[
        str | dict[str, Any], Field(description="where distance is measured: 'pixels', or a feature extractor")
    ] = "pixels"
    quantile: Annotated[float, Field(gt=0, le=1, description="quantile of the real rows' own distances")] = 0.95
    radius: Annotated[float | None, Field(gt=0, description="largest distance kept, in place of a quantile")] = None
    neighbours: Annotated[int, Field(ge=1, description="distance to the k-th nearest real row")] = 1
    by_label: Annotated[bool, Field(description="measure to real rows of the same label only")] = False
    action: Annotated[Literal["drop", "fail"], Field(description="verdict of rows that are too far")] = "drop"
    _fitted: _Fitted | None = field(init=False, default=None, repr=False, compare=False)

    @property
    def threshold(self) -> float:
        """Largest distance that a fitted corrector keeps."""
        return self._ready.radius

    @property
    def _ready(self) -> _Fitted:
        if self._fitted is None:
            raise PartError("corrector 'nearest_real': call fit before correct")
        return self._fitted

    def fit(self, reference: Reference, *, key: Key) -> NearestReal:
        """Index the real rows and measure their own distances.

        Raises:
            DataError: not more real rows (of every class, with `by_label`) than `neighbours`, NaN, or no numbers.
        """
        from sklearn.neighbors import NearestNeighbors

        real = reference.real
        real.check_finite("corrector 'nearest_real'")
        flat(real.x[:1], "corrector 'nearest_real'")
        if len(real) == 0:
            raise DataError("corrector 'nearest_real' needs real rows, got none")
        extractor = None
        if self.space != "pixels":
            extractor = build(self.space).fit(real, key=key.child("features"), cache=reference.cache)
        points = _features(real.x, extractor)
        trees: dict[Any, Any] = {}
        own: list[np.ndarray] = []
        judged = np.zeros(len(points), bool)
        judged[key.child("own").rng().permutation(len(points))[:_MOST_OWN]] = True
        for name, rows in _groups(real, self.by_label).items():
            if len(rows) <= self.neighbours:
                raise DataError(
                    f"corrector 'nearest_real' needs more than neighbours = {self.neighbours} real rows"
                    f"{f' of class {name}' if self.by_label else ''}, got {len(rows)}"
                )
            trees[name] = NearestNeighbors(n_neighbors=self.neighbours).fit(points[rows])
            mine = rows[judged[rows]]
            if self.radius is None and len(mine):  # the nearest of the k + 1 is the row itself
                own.append(trees[name].kneighbors(points[mine], self.neighbours + 1)[0][:, -1])
        radius = float(np.quantile(np.concatenate(own), self.quantile)) if self.radius is None else self.radius
        fitted = replace(self)
        object.__setattr__(fitted, "_fitted", _Fitted(extractor, trees, radius))
        return fitted

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Rows kept or dropped; rows with NaN fail."""
        self._ready  # noqa: B018  an unfitted corrector refuses an empty shard too
        return on_finite(synthetic, self._judge)

    def distances(self, samples: Samples) -> np.ndarray:
        """Distance of every row to its (k-th) nearest real row in the space, float64 (n,); NaN for an unknown class."""
        state = self._ready
        result = np.full(len(samples), np.nan)
        for name, rows in _groups(samples, self.by_label).items():
            if name not in state.trees:
                continue
            for start in range(0, len(rows), _CHUNK):
                part = rows[start : start + _CHUNK]
                result[part] = state.trees[name].kneighbors(_features(samples.x[part], state.extractor))[0][:, -1]
        return result

    def _judge(self, rows: Samples) -> Correction:
        distance = self.distances(rows)
        far = Verdict.DROPPED if self.action == "drop" else Verdict.FAILED
        verdict = np.where(distance > self._ready.radius, far, Verdict.KEPT)
        verdict = np.where(np.isnan(distance), Verdict.FAILED, verdict)
        return Correction(rows, rows, verdict, np.zeros(len(rows)))


def _features(x: np.ndarray, extractor: FeatureExtractor | None) -> np.ndarray:
    return flat(x, "corrector 'nearest_real'") if extractor is None else extractor.transform(x)


def _groups(samples: Samples, by_label: bool) -> dict[Any, np.ndarray]:
    """Positions of the rows by label, or all under None."""
    if not by_label:
        return {None: np.arange(len(samples))} if len(samples) else {}
    return {label.item(): np.flatnonzero(samples.label == label) for label in np.unique(samples.label)}
