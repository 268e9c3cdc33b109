"""What the report knows of a metric by its name: a title, and which direction is better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ouroloop.report.runs import ALARM

__all__ = ["BOOKKEEPING", "MetricName", "describe", "diversity_metric", "headline_metric", "ordered"]

BOOKKEEPING = (
    "synthetic_ratio",
    "training_rows",
    "corrected_share",
    "dropped_share",
    "failed_share",
    "distance_moved",
    "feature_accuracy",
)


@dataclass(frozen=True)
class MetricName:
    """How a metric is shown. `better` is "lower", "higher", the value to be near ("1"), or "" where none is better."""

    name: str
    title: str
    better: str = ""


_KNOWN = {
    known.name: known
    for known in (
        MetricName("fid", "Fréchet distance", "lower"),
        MetricName("gaussian_w2", "Wasserstein-2 between Gaussians", "lower"),
        MetricName("w2", "Wasserstein-2 distance", "lower"),
        MetricName("sliced_w2", "Sliced Wasserstein-2", "lower"),
        MetricName("kid", "Kernel distance", "lower"),
        MetricName("mmd", "Maximum mean discrepancy", "lower"),
        MetricName("energy", "Energy distance", "lower"),
        MetricName("mean_error", "Distance of the means", "lower"),
        MetricName("trace_ratio", "Total variance over the real one's", "1"),
        MetricName("logdet_ratio", "Log determinant of the covariance, less the real one's", "0"),
        MetricName("nll", "Negative log-likelihood", "lower"),
        MetricName("precision", "Precision", "higher"),
        MetricName("recall", "Recall", "higher"),
        MetricName("coverage", "Coverage", "higher"),
        MetricName("diversity", "Diversity over the real data's", "1"),
        MetricName("nearest_real", "Distance to the nearest real row, over unseen real rows'", "1"),
        MetricName("class_agreement", "Rows that show the class asked for", "higher"),
        MetricName("class_tv", "Class shares, total variation from the real ones", "lower"),
        MetricName("density", "Density", "higher"),
        MetricName("cross_entropy", "Cross-entropy of real text, nats a token", "lower"),
        MetricName("vocabulary_used", "Different tokens used", "higher"),
        MetricName("token_entropy", "Entropy of the tokens, nats"),
        MetricName("distinct_2", "Different runs of 2 tokens"),
        MetricName("distinct_4", "Different runs of 4 tokens"),
        MetricName("matching_score", "Distance of a motion to its caption", "lower"),
        MetricName("physics_error", "Physics error, mm a frame", "lower"),
        MetricName("accuracy", "Accuracy", "higher"),
        MetricName("risk", "Risk", "lower"),
        MetricName("total_variation", "Total variation distance", "lower"),
        MetricName("mean_squared_error", "Mean squared error", "lower"),
        MetricName("reward", "Mean reward", "higher"),
        MetricName("reward_variance", "Variance of the reward"),
        MetricName("liked_share", "Share of rows that the reward likes", "higher"),
        MetricName("within_class_variance", "Variance within classes, over the real one's", "1"),
        MetricName("class_entropy", "Class entropy", "higher"),
        MetricName("class_entropy_normalised", "Class entropy over the greatest possible", "higher"),
        MetricName("near_duplicates", "Near duplicates of training rows"),
        MetricName("pairwise_distance", "Mean distance of two rows"),
        MetricName("contraction_factor", "Factor by which a small error shrinks in a generation"),
        MetricName("risk_multiplier", "Risk over that of the real data alone"),
        MetricName("synthetic_ratio", "Effective synthetic ratio (synthetic per real)"),
        MetricName("training_rows", "Training rows"),
        MetricName("corrected_share", "Share of synthetic rows corrected"),
        MetricName("dropped_share", "Share of synthetic rows dropped"),
        MetricName("failed_share", "Share of synthetic rows whose correction failed"),
        MetricName("distance_moved", "Mean distance moved by the corrector"),
        MetricName("feature_accuracy", "Accuracy of the feature classifier"),
        MetricName(ALARM, "Collapse alarm", "lower"),
    )
}
_HEADLINES = ("fid", "gaussian_w2", "w2", "sliced_w2", "kid", "mmd", "energy")
_DIVERSITY = ("diversity", "recall", "coverage", "class_entropy", "entropy", "variance")


def describe(name: str) -> MetricName:
    """Title and direction of a metric; one that is not known is shown under its own name, with no direction."""
    plain = name.replace("_", " ").strip()
    return _KNOWN.get(name) or MetricName(name, f"{plain[:1].upper()}{plain[1:]}" or name)


def headline_metric(names: Iterable[str], wanted: str = "") -> str | None:
    """The metric that the verdict is about: `wanted` if measured, else the best known distance, else the first."""
    measured = [name for name in names if name != ALARM]
    quality = [name for name in measured if name not in BOOKKEEPING]
    for name in (wanted, *_HEADLINES):
        if name in measured:
            return name
    return next((n for n in quality if describe(n).better == "lower"), next(iter(quality or measured), None))


def diversity_metric(names: Iterable[str], headline: str | None) -> str | None:
    """The metric that the summary shows for diversity, or None."""
    names = [name for name in names if name != headline]
    named = next((name for name in _DIVERSITY if name in names), None)
    return named or next((name for name in names if "diversity" in name or "entropy" in name), None)


def ordered(names: Iterable[str], headline: str | None) -> list[str]:
    """Metrics in the order of the page: the headline, known ones, others, bookkeeping. The alarm is left out."""

    places = list(_KNOWN)

    def rank(name: str) -> tuple[int, int]:
        group = 0 if name == headline else 2 if name in BOOKKEEPING else 1
        return group, places.index(name) if name in _KNOWN else len(places)

    return sorted((name for name in dict.fromkeys(names) if name != ALARM), key=rank)
