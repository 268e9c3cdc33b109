"""Estimates from files: a loop's contraction from its runs, a verifier's rates from a checked table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ouroloop.checked_rates import CheckedRates, checked_rates
from ouroloop.errors import DataError
from ouroloop.theory.estimate import Contraction, Rate, contraction

if TYPE_CHECKING:
    from ouroloop.report.load import Arm
    from ouroloop.samples import Samples

__all__ = [
    "FEWEST",
    "Estimate",
    "complete",
    "distortion",
    "distortions",
    "error_ratio",
    "estimate_runs",
    "first_half",
    "measured_metrics",
    "rates_of_file",
    "root_mean_square",
]

FEWEST = 4  # generations that three constants can be fitted to

_BOOKKEEPING = (
    "alarm",
    "synthetic_ratio",
    "training_rows",
    "corrected_share",
    "dropped_share",
    "failed_share",
    "distance_moved",
)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A fit to the first generations of an arm, and how it does on the others.

    Attributes:
        arm, metric: of what.
        fit: the fitted curve.
        generation: the last one measured.
        predicted, measured: the metric there; mean over seeds.
        error: root mean square of the fit's errors over all generations after it (means over seeds).
        naive: the same of "nothing changes after the fit".
        held_out: how many generations these are.
    """

    arm: str
    metric: str
    fit: Contraction
    generation: int
    predicted: float
    measured: float
    error: float
    naive: float
    held_out: int

    def cells(self) -> tuple[str, ...]:
        """Text for a table."""
        q, limit = self.fit.factor, self.fit.limit
        interval = "" if math.isnan(q.low) else f" ({q.low:.3f} to {q.high:.3f})"
        return (
            f"0 to {self.fit.fitted - 1}" if self.fit.fitted else "-",
            f"{q.value:.3f}{interval}",
            f"{limit:.4g}" if math.isfinite(limit) else "none",
            f"{self.predicted:.4g}",
            f"{self.measured:.4g} (generation {self.generation})",
            f"{self.error:.3g}",
            f"{self.naive:.3g}",
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

    found, most, results = False, 0, load(list(paths))
    if results.axis.texts:
        raise DataError(
            f"these runs are over {results.axis.name}, not generations: there is no contraction to estimate"
        )
    for arm in results.arms:
        for name in measured_metrics(arm) if metric is None else [metric]:
            series = complete(arm, name)
            if series is None:
                continue
            t, table = series
            used, most = first_half(len(t)) if fit is None else fit, max(most, len(t))
            if len(t) < used + 2 or used < FEWEST or not np.ptp(table, axis=1).any():  # constants need no forecast
                continue
            curve = contraction(table[:, :used], generations=t[:used])
            found, later = True, table[:, used:].mean(axis=0)
            yield Estimate(
                arm=arm.label,
                metric=name,
                fit=curve,
                generation=int(t[-1]),
                predicted=float(curve.predict(t[-1])[0]),
                measured=float(table[:, -1].mean()),
                error=root_mean_square(curve.predict(t[used:]) - later),
                naive=root_mean_square(table[:, used - 1].mean() - later),
                held_out=len(later),
            )
    if not found:
        what = f"the metric '{metric}'" if metric else "any metric"
        asked = "" if fit is None else f"--fit {fit}: "
        raise DataError(
            f"{asked}no arm has enough measured generations of {what}, or it does not change: it takes at least "
            f"{FEWEST} to fit and 2 more, and the most there are is {most}, generation 0 included"
        )


def error_ratio(estimates: Sequence[Estimate]) -> str:
    """In words: the error over that of "nothing changes", over arms and metrics, and where it is smaller."""
    pairs = [(e.error, e.naive) for e in estimates if e.error > 0.0 and e.naive > 0.0]
    if not pairs:
        return "no error to compare with that of 'nothing changes'"
    ratio = math.exp(sum(math.log(error / naive) for error, naive in pairs) / len(pairs))
    better = sum(error < naive for error, naive in pairs)
    return (
        f"error over that of 'nothing changes': {ratio:.2f} (geometric mean of {len(pairs)} pairs of arm and metric), "
        f"smaller for {better}"
    )


def distortions(paths: Sequence[Path]) -> Iterator[tuple[str, Rate]]:
    """Arm and s^2 of its generation 0: see `distortion`. Arms that share generation 0 have the same."""
    from ouroloop.report.load import load

    for arm in load(list(paths)).arms:
        found = distortion(arm)
        if found is not None:
            yield arm.label, found


def distortion(arm: Arm) -> Rate | None:
    """s^2 from the metric `trace_ratio` of generation 0: variance of what it draws over the real data's.

    The interval is a t-interval over seeds, or the bootstrap interval of a single one; NaN where there is neither.
    """
    from ouroloop.report.series import series_of

    series = series_of(arm, "trace_ratio")
    place = None if series is None else series.index(0)
    if series is None or place is None or not np.isfinite(series.mean[place]):
        return None
    return Rate(float(series.mean[place]), float(series.low[place]), float(series.high[place]), len(series.seeds))


def measured_metrics(arm: Arm) -> list[str]:
    """Names of what an arm's metrics measured, without the counts of rows that every run has."""
    return sorted({name for run in arm.runs for name in run.tracks} - set(_BOOKKEEPING))


def first_half(generations: int) -> int:
    """How many of the measured generations are fitted by default."""
    return max(FEWEST, generations // 2)


def root_mean_square(errors: np.ndarray) -> float:
    """Of at least one error."""
    return float(np.sqrt(np.mean(np.square(errors))))


def complete(arm: Arm, metric: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Generations at which every seed has a finite value, and the values there: (points,) and (seeds, points)."""
    from ouroloop.report.series import series_of

    series = series_of(arm, metric)
    if series is None:
        return None
    values = np.asarray(series.values)
    whole = np.flatnonzero(np.isfinite(values).all(axis=0))
    return np.asarray(series.generation)[whole], values[:, whole]


def rates_of_file(
    path: Path, *, label: str = "label", truth: str = "truth", kept: str = "kept", confidence: float = 0.95
) -> CheckedRates:
    """A verifier's rates from a table with the synthetic label, the right one and the decision of every row.

    Rows of a CSV file that have nothing under `truth` were not checked, and are left out; what they are of is in `of`.
    A label may be spelled NA, null or nan.

    Raises:
        DataError: the file cannot be read, a column is missing, or rates cannot be told from its rows.
    """
    from ouroloop.samples import Samples
    from ouroloop.tables import read_samples

    checked = _checked_rows(path, truth)
    samples = read_samples(path) if checked is None else Samples(checked[0])
    for option, name in (("label", label), ("truth", truth), ("kept", kept)):
        if name not in samples.data_columns:
            there = ", ".join(samples.data_columns)
            raise DataError(f"{path}: no column '{name}' (--{option}); there are {there}")
    texts = [samples[name].dtype.kind in "US" for name in (label, truth)]
    if texts[0] != texts[1]:
        raise DataError(f"{path}: of '{label}' and '{truth}' one holds text and one numbers; no label could be right")
    for name in (label, truth):
        if samples[name].dtype.kind == "f" and not np.isfinite(samples[name]).all():
            raise DataError(f"{path}: a row has no finite number under '{name}'; leave an unknown right label empty")
    try:
        return checked_rates(
            samples[label] == samples[truth],
            samples[kept],
            *(_whole_column(samples, name) for name in ("generation", "seed")),  # of a run's sheet
            of=None if checked is None else checked[1],
            confidence=confidence,
        )
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _whole_column(samples: Samples, name: str) -> np.ndarray | None:
    known = name in samples.data_columns and samples[name].dtype.kind in "iu" and samples[name].ndim == 1
    return samples[name] if known else None


def _checked_rows(path: Path, truth: str) -> tuple[dict[str, np.ndarray], int] | None:
    """Columns of a CSV file's rows with a value under `truth`, and all its rows; None where every row has one."""
    import pyarrow as pa
    from pyarrow import csv

    from ouroloop.columns import columns_of

    if path.suffix.lower() != ".csv" or not path.is_file():
        return None
    try:
        empty = csv.ConvertOptions(strings_can_be_null=True, null_values=[""])  # by default NA and null are none too
        table = csv.read_csv(path, convert_options=empty)
    except pa.ArrowInvalid:
        return None  # the reader of samples says what is wrong
    if truth not in table.column_names or not table[truth].null_count:
        return None
    rows, table = len(table), table.filter(table[truth].is_valid()).combine_chunks()
    if not len(table):
        raise DataError(f"{path}: no row has a value under '{truth}'; fill in the right labels of some")
    try:
        batch = pa.record_batch([c.chunk(0) for c in table.columns], names=table.column_names)
        return columns_of(batch), rows
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
