r"""Correction by optimal transport: every row moves towards the reference row that it is assigned to.

$$x_i' = (1 - b)\, x_i + b\, y_{\pi(i)}, \qquad
\pi = \arg\min_{\pi \text{ one-to-one}} \sum_i \lVert x_i - y_{\pi(i)} \rVert^2 .$$

With b = 1 the rows become reference rows; in between the shard moves along the Wasserstein geodesic from the
synthetic to the reference sample. One-to-one means that a mode which the generator forgot is filled again.

Source: the first public version of SCSC's Gaussian example (arXiv 2402.07087), which assigned synthetic points to
fresh draws of the target and interpolated by gamma / (1 + gamma); its gamma is our ``blend`` = gamma / (1 + gamma).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.rows import flat, like, moved, on_finite
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples

__all__ = ["Transport", "assignment"]

_SCIPY_ROWS = 2000  # up to here SciPy takes no longer than POT and its import


def assignment(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The row of y that each row of x is assigned to at least total squared distance, one to one.

    Args:
        x, y: rows, both float64 (n, d).

    Returns:
        Positions in y, int64 (n,), a permutation. SciPy's solver; above 2,000 rows POT's, where it is
        installed (extra 'ot').
    """
    centre = y.mean(axis=0)
    x, y = x - centre, y - centre
    cost = np.einsum("ij,ij->i", x, x)[:, None] + np.einsum("ij,ij->i", y, y) - 2.0 * x @ y.T
    if len(x) > _SCIPY_ROWS:
        try:
            import ot
        except ImportError:
            pass
        else:
            # With equal weights an optimal plan lies on a vertex, which is a permutation.
            return np.asarray(ot.emd([], [], np.maximum(cost, 0.0), numItermax=10_000_000)).argmax(axis=1)
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(cost)[1]


@dataclass(frozen=True)
class _Fitted:
    real: np.ndarray
    label: np.ndarray | None
    fresh: Callable[..., Samples] | None
    name: str


@dataclass(frozen=True, kw_only=True)
class Transport:
    """Rows moved towards real (or fresh) rows by optimal assignment within their class.

    The rows of a class are split at random into groups of at most `max_assignment` (the cost of an assignment
    grows with the cube of its size); each group is assigned to as many reference rows of the class, drawn
    without replacement, or with every reference row used about equally often where there are too few.
    Rows whose label no reference row has failed.

    Args:
        blend: share of the way that a row moves, 0 to 1.
        reference: "real": the real training rows; "fresh": new draws of the target.
        max_assignment: largest group that is assigned at once.
    """

    whole_shard: ClassVar[bool] = True
    blend: Annotated[float, Field(ge=0, le=1, description="share of the way that a row moves")] = 0.5
    reference: Annotated[
        Literal["real", "fresh"], Field(description="'real': the training rows; 'fresh': new draws of the target")
    ] = "real"
    max_assignment: Annotated[int, Field(ge=1, description="largest group of rows assigned at once")] = 2000
    _fitted: _Fitted | None = field(init=False, default=None, repr=False, compare=False)

    def fit(self, reference: Reference, *, key: Key) -> Transport:
        """Keep the reference rows, or the sampler that draws them.

        Raises:
            DataError: no real rows, not numbers, NaN; or no fresh rows to be had.
        """
        real = reference.real
        if self.reference == "fresh" and reference.fresh is None:
            raise DataError(
                f"corrector 'transport' with reference 'fresh' draws from the target, and data '{reference.name}' has "
                "no fresh rows; use reference 'real'"
            )
        real.check_finite("corrector 'transport'")
        if len(real) == 0:
            raise DataError("corrector 'transport' needs real rows, got none")
        label = real.label if "label" in real.data_columns else None
        fitted = replace(self)
        state = _Fitted(flat(real.x, "corrector 'transport'"), label, reference.fresh, reference.name)
        object.__setattr__(fitted, "_fitted", state)
        return fitted

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Rows moved; rows with NaN and rows of an unknown class fail."""
        if self._fitted is None:
            raise PartError("corrector 'transport': call fit before correct")
        state = self._fitted
        if len(synthetic) == 0:
            return Correction.unchanged(synthetic)
        targets, labels = state.real, state.label
        if self.reference == "fresh" and state.fresh is not None:
            fresh = state.fresh(len(synthetic), key=key.child("target"))
            targets = flat(fresh.x, "corrector 'transport'")
            labels = fresh.label if "label" in fresh.data_columns else None
        return on_finite(synthetic, lambda rows: self._judge(rows, targets, labels, key))

    def _judge(self, rows: Samples, targets: np.ndarray, labels: np.ndarray | None, key: Key) -> Correction:
        x = flat(rows.x, "corrector 'transport'")
        if x.shape[1] != targets.shape[1]:
            raise PartError(
                f"corrector 'transport' was fitted to rows of {targets.shape[1]} values, got rows of {x.shape[1]}"
            )
        goal, failed = x.copy(), np.zeros(len(x), bool)
        if labels is None or "label" not in rows.data_columns:
            groups = [(np.arange(len(x)), np.arange(len(targets)))]
        else:
            classes = np.unique(rows.label)
            groups = [(np.flatnonzero(rows.label == c), np.flatnonzero(labels == c)) for c in classes]
        for index, (mine, theirs) in enumerate(groups):
            if len(theirs) == 0:
                failed[mine] = True
                continue
            stream = key.child("group", index)
            mine = mine[stream.child("rows").rng().permutation(len(mine))]
            chosen = _draw(theirs, len(mine), stream.child("targets"))
            for start in range(0, len(mine), self.max_assignment):
                part = slice(start, start + self.max_assignment)
                y = targets[chosen[part]]
                goal[mine[part]] = y[assignment(x[mine[part]], y)]
        return moved(rows, like((1.0 - self.blend) * x + self.blend * goal, rows.x), failed=failed)


def _draw(rows: np.ndarray, n: int, key: Key) -> np.ndarray:
    """n of these rows in random order, each used n // len(rows) times or once more."""
    whole, rest = divmod(n, len(rows))
    rng = key.rng()
    extra = rng.permutation(rows)[:rest]
    return rng.permutation(np.concatenate([np.tile(rows, whole), extra]))
