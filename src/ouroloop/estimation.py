"""Estimates from files: a loop's contraction from its runs, a verifier's rates from a checked table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ouroloop.errors import DataError
from ouroloop.theory.estimate import Contraction, Rate, VerifierRates, contraction, verifier_rates

if TYPE_CHECKING:
    from ouroloop.report.series import Series

__all__ = ["Estimate", "distortions", "estimate_runs", "rates_of_file"]

_BOOKKEEPING = ("alarm", "synthetic_ratio", "training_rows", "corrected_share", "distance_moved")


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A fit to the first generations of an arm, and how it does on the others.

    Attributes:
        arm, metric: of what.
        fit: the fitted curve.
        generation: the last one measured.
        predicted, measured: the metric there; mean over seeds.
        naive: what "nothing changes after the fit" says of it.
    """

    arm: str
    metric: str
    fit: Contraction
    generation: int
    predicted: float
    measured: float
    naive: float

    def cells(self) -> tuple[str, ...]:
        """Text for a table."""
        q, limit = self.fit.factor, self.fit.limit
        interval = "" if math.isnan(q.low) else f" ({q.low:.3f} to {q.high:.3f})"
        error, naive = (abs(v - self.measured) for v in (self.predicted, self.naive))
        return (
            f"0 to {self.fit.fitted - 1}" if self.fit.fitted else "-",
            f"{q.value:.3f}{interval}",
            f"{limit:.4g}" if math.isfinite(limit) else "none",
            f"{self.predicted:.4g}",
            f"{self.measured:.4g} (generation {self.generation})",
            f"{error:.3g}",
            f"{naive:.3g}",
        )


def estimate_runs(paths: Sequence[Path], *, fit: int | None = None, metric: str | None = None) -> Iterator[Estimate]:
    """One estimate an arm and metric with at least 6 measured generations.

    Args:
        paths: run or study directories.
        fit: measured generations to fit to, at least 4; default: the first half, at least 4.
        metric: only this one.

    Raises:
        DataError: nothing to fit, or the runs are not over generations.
    """
    from ouroloop.report.load import load
    from ouroloop.report.series import series_of

    found, results = False, load(list(paths))
    if results.axis.texts:
        raise DataError(
            f"these runs are over {results.axis.name}, not generations: there is no contraction to estimate"
        )
    for arm in results.arms:
        names = sorted({name for run in arm.runs for name in run.tracks} - set(_BOOKKEEPING))
        for name in names if metric is None else [metric]:
            series = series_of(arm, name)
            if series is None:
                continue
            t, table = _complete(series)
            used = max(4, len(t) // 2) if fit is None else fit
            if len(t) < used + 2 or used < 4 or not np.ptp(table, axis=1).any():  # constants need no forecast
                continue
            curve = contraction(table[:, :used], generations=t[:used])
            found = True
            yield Estimate(
                arm=arm.label,
                metric=name,
                fit=curve,
                generation=int(t[-1]),
                predicted=float(curve.predict(t[-1])[0]),
                measured=float(table[:, -1].mean()),
                naive=float(table[:, used - 1].mean()),
            )
    if not found:
        what = f"the metric '{metric}'" if metric else "any metric"
        raise DataError(f"no arm has enough measured generations of {what}: at least 2 beyond those that are fitted")


def distortions(paths: Sequence[Path]) -> Iterator[tuple[str, Rate]]:
    """Arm and s^2 of its generation 0, from the metric `trace_ratio`: variance of what it draws over the real data's.

    The interval is a t-interval over seeds (NaN with one seed). Arms that share generation 0 have the same.
    """
    from ouroloop.report.load import load
    from ouroloop.report.series import series_of

    for arm in load(list(paths)).arms:
        series = series_of(arm, "trace_ratio")
        place = None if series is None else series.index(0)
        if series is not None and place is not None and np.isfinite(series.mean[place]):
            several = len(series.seeds) > 1
            low, high = (float(x[place]) if several else math.nan for x in (series.low, series.high))
            yield arm.label, Rate(float(series.mean[place]), low, high, len(series.seeds))


def _complete(series: Series) -> tuple[np.ndarray, np.ndarray]:
    """Generations at which every seed has a finite value, and the values there: (points,) and (seeds, points)."""
    values = np.asarray(series.values)
    whole = np.flatnonzero(np.isfinite(values).all(axis=0))
    return np.asarray(series.generation)[whole], values[:, whole]


def rates_of_file(
    path: Path, *, label: str = "label", truth: str = "truth", kept: str = "kept", confidence: float = 0.95
) -> VerifierRates:
    """A verifier's rates from a table with the synthetic label, the right one and the decision of every row.

    Raises:
        DataError: the file cannot be read, a column is missing, or rates cannot be told from its rows.
    """
    from ouroloop.tables import read_samples

    samples = read_samples(path)
    for option, name in (("label", label), ("truth", truth), ("kept", kept)):
        if name not in samples.data_columns:
            there = ", ".join(samples.data_columns)
            raise DataError(f"{path}: no column '{name}' (--{option}); there are {there}")
    texts = [samples[name].dtype.kind in "US" for name in (label, truth)]
    if texts[0] != texts[1]:
        raise DataError(f"{path}: of '{label}' and '{truth}' one holds text and one numbers; no label could be right")
    try:
        return verifier_rates(samples[label] == samples[truth], samples[kept], confidence)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
