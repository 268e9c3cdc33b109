r"""Verification: synthetic rows whose label is judged wrong are dropped, by a judge who may err.

A row whose label is judged right is kept with probability `keep_correct` ($\phi$), another with `keep_wrong` ($\psi$,
$\rho$). Whether this helps is a matter of both and of the label noise: `theory.verification`.

Source: Feng et al., arXiv 2406.07515, section 4; El Firdoussi et al., arXiv 2410.08942, section 3 (oracle (1, 0), none
(1, 1), weak (1, 0.5), strong (0.9, 0.1) supervision).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from ouroloop.correction import Correction
from ouroloop.correctors.rows import flat, on_finite
from ouroloop.errors import DataError, PartError
from ouroloop.features import build
from ouroloop.keys import Key
from ouroloop.protocols import Reference
from ouroloop.samples import Samples, Verdict

__all__ = ["Verifier"]


@dataclass(frozen=True, kw_only=True)
class Verifier:
    """Labelled synthetic rows are kept where a judge agrees with their label.

    Args:
        judge: "model": a classifier trained on the real rows; "self": one trained on the synthetic rows themselves,
            each half judged by the classifier of the other half (no information but the model's own enters);
            "column": the column `truth` holds the right label (an oracle, for studies).
        keep_correct, keep_wrong: probabilities with which rows judged right and wrong are kept.
    """

    judge: Annotated[Literal["model", "self", "column"], Field(description="who says whether a label is right")] = (
        "model"
    )
    keep_correct: Annotated[float, Field(ge=0, le=1, description="probability to keep a row judged right")] = 1.0
    keep_wrong: Annotated[float, Field(ge=0, le=1, description="probability to keep a row judged wrong")] = 0.0
    _classifier: Any = field(init=False, default=None, repr=False, compare=False)
    _fitted: bool = field(init=False, default=False, repr=False, compare=False)
    whole_shard: ClassVar[bool] = True  # the judge "self" learns from the other rows

    def fit(self, reference: Reference, *, key: Key) -> Verifier:
        """Train the judge "model" on the real rows.

        Raises:
            DataError: the real rows have no labels, NaN, or one class only.
        """
        real = reference.real
        real.check_finite("corrector 'verifier'")
        if "label" not in real.data_columns:
            raise DataError("corrector 'verifier' needs a column 'label' in the real data; it verifies labels")
        fitted = replace(self)
        if self.judge == "model":
            classifier = build("classifier").fit(real, key=key.child("judge"), cache=reference.cache)
            object.__setattr__(fitted, "_classifier", classifier)
        object.__setattr__(fitted, "_fitted", True)
        return fitted

    def correct(self, synthetic: Samples, *, key: Key) -> Correction:
        """Rows kept or dropped; rows with NaN fail.

        Raises:
            PartError: not fitted. DataError: rows without labels, or without the column that the judge needs.
        """
        if not self._fitted:
            raise PartError("corrector 'verifier': call fit before correct")
        for column in ("label", *(("truth",) if self.judge == "column" else ())):
            if column not in synthetic.data_columns:
                raise DataError(f"corrector 'verifier' needs the column '{column}' in the synthetic rows")
        return on_finite(synthetic, lambda rows: self._judge(rows, key))

    def _judge(self, rows: Samples, key: Key) -> Correction:
        right = self._says(rows, key) == rows.label
        chance = key.child("keep").rng().random(len(rows))
        kept = chance < np.where(right, self.keep_correct, self.keep_wrong)
        return Correction(rows, rows, np.where(kept, Verdict.KEPT, Verdict.DROPPED), np.zeros(len(rows)))

    def _says(self, rows: Samples, key: Key) -> np.ndarray:
        """The labels that the judge would give, (n,)."""
        if self.judge == "column":
            return rows["truth"]
        if self.judge == "model":
            return self._classifier.predict(rows.x)
        return _cross_fitted(flat(rows.x, "corrector 'verifier'"), rows.label, key.child("halves"))


def _cross_fitted(x: np.ndarray, label: np.ndarray, key: Key) -> np.ndarray:
    """Each half's labels by a logistic regression on the other half; the given labels where that has one class."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    said = label.copy()
    order = key.rng().permutation(len(x))
    halves = order[: len(x) // 2], order[len(x) // 2 :]
    for judged, learnt in (halves, halves[::-1]):
        if len(judged) and len(np.unique(label[learnt])) > 1:
            model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x[learnt], label[learnt])
            said[judged] = model.predict(x[judged])
    return said
