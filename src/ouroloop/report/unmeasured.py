"""Forecasts of what no metric measures, such as a loop's contraction factor: a table, where there is no curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ouroloop.report.axis import Axis
from ouroloop.report.load import Results
from ouroloop.report.metric_names import MetricName, describe
from ouroloop.report.runs import Forecast
from ouroloop.report.series import forecasts_of
from ouroloop.report.wording import listed, number

__all__ = ["Unmeasured", "unmeasured_of"]


@dataclass(frozen=True, eq=False)
class Unmeasured:
    """One forecast of one quantity, for the arms that share its values.

    Args:
        name: the quantity.
        forecast: label, validity, source and note.
        arms: labels of the arms.
        values: in words, at the first generation with synthetic rows and at the last.
    """

    name: MetricName
    forecast: Forecast
    arms: str
    values: str


def unmeasured_of(results: Results) -> list[Unmeasured]:
    """The forecasts that no chart can show because their arm did not measure the quantity, by quantity and label."""
    found: dict[tuple[str, str, str, str, bytes], tuple[Forecast, list[str]]] = {}
    for arm in results.arms:
        measured = {name for run in arm.runs for name in run.tracks}
        for metric in sorted({f.metric for run in arm.runs for f in run.forecasts} - measured):
            for f in forecasts_of(arm, metric):
                key = (metric, f.label, f.validity, f.note, f.values.tobytes())
                found.setdefault(key, (f, []))[1].append(arm.label)
    return [
        Unmeasured(
            name=describe(f.metric),
            forecast=f,
            arms="all arms" if len(arms) == len(results.arms) > 1 else listed(arms),
            values=_in_words(f.values, results.axis),
        )
        for _, (f, arms) in sorted(found.items(), key=lambda entry: entry[0][:2])
    ]


def _in_words(values: np.ndarray, axis: Axis) -> str:
    places = dict.fromkeys((min(1, len(values) - 1), len(values) - 1))
    return ", ".join(f"{number(float(values[at])).replace('–', 'none')} at {axis.at(at)}" for at in places)
