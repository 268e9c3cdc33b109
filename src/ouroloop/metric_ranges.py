"""The values that a metric can have, by its name: an extrapolation that leaves them is known to be wrong."""

from __future__ import annotations

import math
import re

__all__ = ["range_of"]

_SHARES = {
    "accuracy",
    "class_agreement",
    "class_entropy_normalised",
    "class_tv",
    "coverage",
    "distinct_2",
    "distinct_4",
    "feature_accuracy",
    "liked_share",
    "near_duplicates",
    "precision",
    "r_precision_1",
    "r_precision_2",
    "r_precision_3",
    "r_precision_blind",
    "recall",
    "total_variation",
}
_NON_NEGATIVE = {
    "acceleration",
    "acceleration_error",
    "bone_error",
    "class_entropy",
    "cross_entropy",
    "deepest",
    "density",
    "diversity",
    "fid",
    "floating",
    "gaussian_w2",
    "jerk",
    "limit_excess",
    "matching_score",
    "mean_error",
    "mean_squared_error",
    "multimodality",
    "nearest_real",
    "pairwise_distance",
    "penetration",
    "physics_error",
    "reward_variance",
    "risk",
    "skating",
    "sliced_w2",
    "token_entropy",
    "torque_violation",
    "trace_ratio",
    "vocabulary_used",
    "w2",
    "within_class_variance",
}


def range_of(metric: str) -> tuple[float, float]:
    """Least and greatest value; infinite where there is none, or where the metric is not known.

    Unbiased estimates of distances (`mmd`, `kid`, `energy`) can be negative.

    >>> range_of("fid_n100"), range_of("recall"), range_of("kid")
    ((0.0, inf), (0.0, 1.0), (-inf, inf))
    """
    name = re.sub(r"_n\d+$", "", metric)
    if name in _SHARES:
        return 0.0, 1.0
    return (0.0 if name in _NON_NEGATIVE else -math.inf), math.inf
