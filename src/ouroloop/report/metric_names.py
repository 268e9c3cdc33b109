"""What the report knows of a metric by its name: a title, and which direction is better."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ouroloop.report.runs import ALARM

__all__ = ["BOOKKEEPING", "MetricName", "describe", "diversity_metric", "headline_metric", "ordered"]

BOOKKEEPING = ("synthetic_ratio", "training_rows", "corrected_share", "distance_moved")


@dataclass(frozen=True)
class MetricName:
    """How a metric is shown. `better` is "lower", "higher" or "" where neither is better."""

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
        MetricName("kid", "Kernel distance (KID)", "lower"),
        MetricName("mmd", "Maximum mean discrepancy", "lower"),
        MetricName("energy", "Energy distance", "lower"),
        MetricName("precision", "Precision", "higher"),
        MetricName("recall", "Recall", "higher"),
        MetricName("density", "Density"),
        MetricName("coverage", "Coverage", "higher"),
        MetricName("diversity", "Diversity"),
        MetricName("nearest_real", "Distance to the nearest real sample"),
        MetricName("class_entropy", "Class entropy", "higher"),
        MetricName("nll", "Negative log-likelihood", "lower"),
        MetricName("synthetic_ratio", "Effective synthetic ratio (synthetic per real)"),
        MetricName("training_rows", "Training rows"),
        MetricName("corrected_share", "Share of synthetic rows corrected"),
        MetricName("distance_moved", "Mean distance moved by the corrector"),
        MetricName("alarm", "Collapse alarm", "lower"),
    )
}
_HEADLINES = ("fid", "gaussian_w2", "w2", "sliced_w2", "kid", "mmd", "energy")
_DIVERSITY = ("diversity", "recall", "coverage", "class_entropy", "entropy", "variance")


def describe(name: str) -> MetricName:
    """Title and direction of a metric; one that is not known is shown under its own name, with no direction."""
    return _KNOWN.get(name) or MetricName(name, name.replace("_", " ") if name.isascii() else name)


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
    """Metrics in the order of the page: the headline, distances, the rest, bookkeeping. The alarm is left out."""

    def rank(name: str) -> tuple[int, int]:
        known = describe(name)
        place = list(_KNOWN).index(name) if name in _KNOWN else len(_KNOWN)
        if name == headline:
            return (0, 0)
        if name in BOOKKEEPING:
            return (4, place)
        return ({"lower": 1, "higher": 2}.get(known.better, 3), place)

    return sorted((name for name in dict.fromkeys(names) if name != ALARM), key=rank)
