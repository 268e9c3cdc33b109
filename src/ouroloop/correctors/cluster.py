r"""Correction by clusters of the real data.

The real rows of every class are grouped by k-means; a synthetic row belongs to the nearest centre of its class.

``mode="project"``: $x' = (1 - b)\,x + b\,c$ with the centre c and the blend b. With b = 1 this is SCSC's corrector
for MNIST. It has no noise and no drift left, and no diversity either: at most `clusters` different rows a class.
A smaller b only slows this: every pass multiplies the deviations from the centres by 1 - b, t passes by (1 - b)^t.

``mode="moments"`` moves the clusters instead of the rows in them:
$$x' = c + M\,(x - \hat\mu_c), \qquad M = \sum_j \sqrt{\lambda_j / \hat\sigma_j^2}\; u_j u_j^T .$$
$\hat\mu_c$ is the mean of the synthetic rows of the cluster; $u_j$, $\lambda_j$ are the principal directions and
variances of the real rows about their centre, $\hat\sigma_j^2$ the synthetic ones, per class. M is the optimal
transport map between the two Gaussians where they share their axes. Both estimates are shrunk towards the real
value by the part of the difference that sampling noise explains (James and Stein; Ledoit and Wolf): clean data
are left nearly as they are, and a cluster with one row is not pulled onto its centre.

Source: SCSC (arXiv 2402.07087), its MNIST experiment, k-means with 16 clusters a digit; the rounding of its
centres, which turned the background grey, is left out. "moments" is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.cluster_moments import ClassMoments, group_sums, moment_map
from ouroloop.correctors.rows import flat, like, moved, on_finite
from ouroloop.errors import DataError, PartError
from ouroloop.features import FeatureExtractor, build
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

__all__ = ["Cluster"]

_CHUNK_VALUES = 1 << 22  # float64 values of a block of distances
_PIXELS = "pixels"


@dataclass(frozen=True)
class _Fitted:
    """Centres in the data's space and in the features', both (K, .), the class of each, and moments by class."""

    centres: np.ndarray
    features: np.ndarray
    member: np.ndarray
    classes: np.ndarray | None
    moments: tuple[ClassMoments, ...]
    extractor: FeatureExtractor | None


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Rows or clusters of rows moved to the real clusters of their class.

    Rows without a label are one class if the real rows have none either, else they may belong to any class.
    A row whose label no real row has failed.

    Args:
        clusters: k-means clusters per class (fewer where a class has fewer different rows).
        blend: share of the way that a row moves, 0 to 1. In mode "project" the variance about the centre is
            multiplied by (1 - blend)^2 each time, so that in a loop diversity is lost at any blend > 0.
        mode: "project" moves rows to their centre; "moments" matches the clusters' means and the classes'
            variances and keeps what distinguishes the rows (its answer depends on the whole shard).
        space: where nearest is measured: "pixels" (the data themselves) or a feature extractor.
    """

    clusters: Annotated[int, Field(ge=1, description="k-means clusters per class")] = 16
    blend: Annotated[
        float,
        Field(
            ge=0,
            le=1,
            description="share of the way that a row moves; any but 0 shrinks diversity each time (mode 'project')",
        ),
    ] = 1.0
    mode: Annotated[
        Literal["project", "moments"],
        Field(
            description="'project': rows move to their centre and lose diversity, whatever the blend; "
            "'moments': clusters move and keep the real variance"
        ),
    ] = "project"
    space: Annotated[
        str | dict[str, Any], Field(description="where nearest is measured: 'pixels', or a feature extractor")
    ] = _PIXELS
    _fitted: _Fitted | None = field(init=False, default=None, repr=False, compare=False)

    @property
    def whole_shard(self) -> bool:
        """Moments are those of all rows of the shard."""
        return self.mode == "moments"

    @property
    def centres(self) -> np.ndarray:
        """Centres of all classes in the data's space, float64 (K, d)."""
        return self._ready.centres

    @property
    def _ready(self) -> _Fitted:
        if self._fitted is None:
            raise PartError("corrector 'cluster': call fit before correct")
        return self._fitted

    def fit(self, reference: Reference, *, key: Key) -> Cluster:
        """k-means on the real rows of every class.

        Raises:
            DataError: no real rows, rows that are not numbers, NaN or infinity.
        """
        real = reference.real
        real.check_finite("corrector 'cluster'")
        x = flat(real.x, "corrector 'cluster'")
        if len(x) == 0:
            raise DataError("corrector 'cluster' needs real rows to cluster, got none")
        extractor = _extractor(self.space, reference, key)
        features = x if extractor is None else extractor.transform(real.x)
        labelled = "label" in real.data_columns
        classes, code = np.unique(real.label, return_inverse=True) if labelled else (None, np.zeros(len(x), np.int64))
        found = []
        for index in range(int(code.max()) + 1):
            rows = code == index
            found.append(self._fit_class(x[rows], features[rows], key.child("class", index)))
        centres, means, moments = zip(*found, strict=True)
        member = np.repeat(np.arange(len(found)), [len(c) for c in centres])
        state = _Fitted(np.concatenate(centres), np.concatenate(means), member, classes, tuple(moments), extractor)
        fitted = replace(self)
        object.__setattr__(fitted, "_fitted", state)
        return fitted

    def _fit_class(self, x: np.ndarray, features: np.ndarray, key: Key) -> tuple[np.ndarray, np.ndarray, ClassMoments]:
        from sklearn.cluster import KMeans

        count = min(self.clusters, len(np.unique(features, axis=0)))
        model = KMeans(count, n_init="auto", random_state=key.integer()).fit(features)
        label = np.asarray(model.labels_, np.int64)
        sizes = np.bincount(label, minlength=count)[:, None]
        centres, means = (group_sums(values, label, count) / sizes for values in (x, features))
        empty = ClassMoments.empty()
        moments = ClassMoments.of(x, features, label, key=key) if self.mode == "moments" else empty
        return centres, means, moments

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Rows moved as the mode says; rows with NaN and rows of an unknown class fail."""
        state = self._ready
        return on_finite(synthetic, lambda rows: self._judge(rows, state))

    def _judge(self, rows: Samples, state: _Fitted) -> Correction:
        x = flat(rows.x, "corrector 'cluster'")
        if x.shape[1] != state.centres.shape[1]:
            raise PartError(
                f"corrector 'cluster' was fitted to rows of {state.centres.shape[1]} values, got rows of {x.shape[1]}"
            )
        nearest = _nearest(rows, x, state)
        known = nearest >= 0
        target = state.centres[nearest]
        if self.mode == "moments":
            target = x.copy()
            target[known] = moment_map(x[known], nearest[known], state.centres, state.member, state.moments)
        return moved(rows, like((1.0 - self.blend) * x + self.blend * target, rows.x), failed=~known)


def _extractor(space: str | Mapping[str, Any], reference: Reference, key: Key) -> FeatureExtractor | None:
    if space == _PIXELS:
        return None
    return build(space).fit(reference.real, key=key.child("features"), cache=reference.cache)


def _nearest(rows: Samples, x: np.ndarray, state: _Fitted) -> np.ndarray:
    """The nearest centre that a row may belong to, int (n,); -1 where its label is unknown."""
    features = x if state.extractor is None else state.extractor.transform(rows.x)
    code = None
    if state.classes is not None and "label" in rows.data_columns:
        place = np.clip(np.searchsorted(state.classes, rows.label), 0, len(state.classes) - 1)
        code = np.where(state.classes[place] == rows.label, place, -1)
    nearest = np.empty(len(x), np.int64)
    size = max(1, _CHUNK_VALUES // len(state.features))
    offset = np.einsum("ij,ij->i", state.features, state.features)
    for start in range(0, len(x), size):
        part = slice(start, start + size)
        distance = offset - 2.0 * features[part] @ state.features.T
        if code is not None:
            distance[state.member != code[part, None]] = np.inf
        nearest[part] = distance.argmin(axis=1)
    return nearest if code is None else np.where(code >= 0, nearest, -1)
