"""Forecasts of curves that no law is known for: each arm's own, estimated from the first half of its generations."""

from __future__ import annotations

from dataclasses import replace

from ouroloop.report.load import Arm, Results
from ouroloop.report.runs import Forecast
from ouroloop.report.series import forecasts_of

__all__ = ["with_estimates"]

_NOTE = "what is measured after these generations tests it"


def with_estimates(results: Results) -> Results:
    """The results, with an estimate beside every measured metric of a loop that has no other forecast.

    Marked heuristic, and so never flagged: the second half of the generations is what it can be judged by.
    """
    if results.axis.texts:
        return results  # over a parameter, not generations
    return replace(results, arms=tuple(_with_estimates(arm) for arm in results.arms))


def _with_estimates(arm: Arm) -> Arm:
    from ouroloop.estimated_forecasts import own_estimates  # which reads results too

    laws = own_estimates(arm, lambda metric: not forecasts_of(arm, metric))
    names = ("metric", "label", "source", "validity", "units", "values")
    found = [Forecast(note=_NOTE, **{name: getattr(law, name) for name in names}) for law in laws]
    if not found:
        return arm
    runs = tuple(replace(run, forecasts=(*run.forecasts, *found)) for run in arm.runs)
    return replace(arm, runs=runs)
