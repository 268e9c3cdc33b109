r"""The collapse alarm: is this loop healthy, drifting or collapsing, and what is it losing?

A pure function of what was measured so far. For every signal (a metric that says something about quality or
diversity) with values $y_0 .. y_t$, turned so that more is worse:

* baseline $b$: the worse of generation 0 and the real-versus-real floor, so that a lucky start is no yardstick;
* change $\Delta$: the smaller of $y_t - b$ and $y_{t-1} - b$, so that one bad generation is no alarm;
* noise $\sigma$: the bootstrap spread pooled with the scatter of the values around a smooth curve (second
  differences), which also holds the noise of training;
* evidence: $z_{level} = \Delta / (\sqrt 2 \sigma)$, and $z_{trend}$, the slope of all values over its standard error.

A signal **drifts** when its change is large enough to matter and either z_level reaches `jump`, or both z_level
and z_trend reach `trend`. It **collapses** when it drifts, z_level reaches `jump`, and its change is as large as a
loss of a good part of the data (`Signal.collapse`). At four times that size it collapses whatever the noise: the
scatter of an explosion about a smooth curve would else excuse it. The loop is as ill as its worst signal.

Rates of false alarms and delays to detection are measured in benchmarks/alarm_false_alarms.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ouroloop.metrics.bootstrap import Z95
from ouroloop.protocols import Measurement

__all__ = ["LEVELS", "SIGNALS", "Alarm", "CollapseAlarm", "Signal"]

LEVELS = ("healthy", "drifting", "collapsing")
Kind = Literal["quality", "diversity", "distance"]
_LOSS = {"quality": "quality loss", "diversity": "diversity loss", "distance": "drift away from the real data"}
_PRIOR = 4.0  # how many second differences the bootstrap spread weighs as much as
_BEYOND = 4.0  # times `Signal.collapse`: a change that no noise excuses
_NAMED = 3  # signals that a reason names


class Signal(NamedTuple):
    """How a metric is read.

    Attributes:
        kind: what gets lost; "distance" for metrics that rise with either loss.
        worse: +1 if more is worse, -1 if less is.
        drift, collapse: smallest change that counts, in the units of the metric or, if `relative`, as a share of
            the baseline. No `collapse` (infinity): the signal can only say drifting.
        relative: see above.
        root: take the square root first, for squared distances.
    """

    kind: Kind
    worse: int
    drift: float
    collapse: float
    relative: bool = False
    root: bool = False


SIGNALS: dict[str, Signal] = {
    "precision": Signal("quality", -1, 0.03, 0.25),
    "recall": Signal("diversity", -1, 0.03, 0.25),
    "diversity": Signal("diversity", -1, 0.03, 0.20, relative=True),
    "within_class_variance": Signal("diversity", -1, 0.05, 0.35, relative=True),
    "trace_ratio": Signal("diversity", -1, 0.05, 0.35, relative=True),
    "class_entropy_normalised": Signal("diversity", -1, 0.01, 0.15),
    "coverage": Signal("distance", -1, 0.03, 0.25),
    "fid": Signal("distance", 1, 0.15, 1.5, relative=True, root=True),
    "sliced_w2": Signal("distance", 1, 0.25, 2.0, relative=True),
    "gaussian_w2": Signal("distance", 1, 0.25, 2.0, relative=True),
    "energy": Signal("distance", 1, 0.0, np.inf),
    "kid": Signal("distance", 1, 0.0, np.inf),
    "mmd": Signal("distance", 1, 0.0, np.inf),
}
"""The metrics that the alarm reads; others are ignored."""


@dataclass(frozen=True)
class Alarm:
    """What the alarm says of one generation.

    Attributes:
        level: 0 healthy, 1 drifting, 2 collapsing.
        reason: one sentence for people.
        score: continuous severity; below 1 healthy, 1 to 2 drifting, 2 collapsing. It grows towards the next level.
        kinds: what is being lost, of "quality", "diversity", "distance"; empty when healthy.
    """

    level: int
    reason: str
    score: float
    kinds: tuple[str, ...] = ()


class _Verdict(NamedTuple):
    name: str
    severity: float
    start: float
    now: float
    z: float


@dataclass(frozen=True, kw_only=True)
class CollapseAlarm:
    """Judges a history of measurements.

    >>> falling = [{"recall": Measurement("recall", v, v - 0.02, v + 0.02)} for v in (0.9, 0.7, 0.5, 0.3)]
    >>> CollapseAlarm().judge(falling).level
    2
    >>> CollapseAlarm().judge(falling[:1]).level
    0
    """

    jump: Annotated[float, Field(gt=0, description="evidence (z) that a lasting change needs by itself")] = 3.0
    trend: Annotated[float, Field(gt=0, description="evidence (z) of change and of trend that suffice together")] = 2.0

    def judge(self, history: Sequence[Mapping[str, Measurement]]) -> Alarm:
        """The alarm after the last generation of the history.

        Args:
            history: metric name -> Measurement for every generation, oldest first, generation 0 included. A metric
                need not be there in every generation; one with fewer than three finite values is not judged.
        """
        found = [v for name, signal in SIGNALS.items() if (v := self._signal(name, signal, history)) is not None]
        if not found:
            return Alarm(0, "healthy: not enough generations measured to judge", 0.0)
        score = max(0.0, *(v.severity for v in found))
        level = int(min(2.0, score))
        if level == 0:
            worst = max(found, key=lambda v: v.severity)
            return Alarm(0, f"healthy: {len(found)} signals, the largest change is {_told(worst)}", score)
        alarmed = sorted((v for v in found if v.severity >= 1.0), key=lambda v: -v.severity)
        kinds = tuple(dict.fromkeys(SIGNALS[v.name].kind for v in alarmed))
        kinds = tuple(k for k in kinds if k != "distance") or kinds
        losses = " and ".join(_LOSS[kind] for kind in kinds)
        return Alarm(level, f"{LEVELS[level]}: {losses} ({'; '.join(map(_told, alarmed[:_NAMED]))})", score, kinds)

    def _signal(self, name: str, signal: Signal, history: Sequence[Mapping[str, Measurement]]) -> _Verdict | None:
        if not history or name not in history[-1]:
            return None
        at = [(t, g[name]) for t, g in enumerate(history) if name in g and np.isfinite(g[name].value)]
        if len(at) < 3:
            return None
        times, measured = np.array([t for t, _ in at], np.float64), [m for _, m in at]
        values, spread, floor = _oriented(measured, signal)
        baseline = values[0] if not np.isfinite(floor) else max(values[0], floor)
        change = min(values[-1], values[-2]) - baseline
        sigma = _noise(values, spread)
        z_level = change / (np.sqrt(2.0) * sigma)
        centred = times - times.mean()
        z_trend = float(centred @ values) / (sigma * float(np.sqrt(centred @ centred)))
        evidence = max(z_level / self.jump, min(z_level, z_trend) / self.trend)
        effect = float(change)
        if signal.relative:  # infinite against a baseline of 0
            effect /= max(abs(float(baseline)), float(np.finfo(float).tiny))
        drift = min(evidence, effect / signal.drift if signal.drift > 0 else np.inf)
        collapse = min(z_level / self.jump, effect / signal.collapse)
        severity = drift if drift < 1.0 else 1.0 + min(1.0, max(0.0, collapse))
        if effect >= _BEYOND * signal.collapse:
            severity = 2.0
        return _Verdict(name, float(severity), measured[0].value, measured[-1].value, float(z_level))


def _oriented(measured: Sequence[Measurement], signal: Signal) -> tuple[np.ndarray, float, float]:
    """Values turned so that more is worse, their bootstrap standard deviation (NaN if none), and the floor."""
    values = np.array([m.value for m in measured])
    spreads = np.array([(m.high - m.low) / (2.0 * Z95) for m in measured])
    floor = measured[0].floor
    if signal.root:
        values = np.sqrt(np.maximum(values, 0.0))
        spreads = spreads / np.maximum(2.0 * values, np.sqrt(np.finfo(float).tiny))
        floor = np.sqrt(floor) if floor >= 0 else floor
    finite = spreads[np.isfinite(spreads)]
    spread = float(np.sqrt(np.mean(np.square(finite)))) if len(finite) else float("nan")
    return signal.worse * values, spread, signal.worse * floor


def _noise(values: np.ndarray, spread: float) -> float:
    """Standard deviation of one value: bootstrap spread and second differences, weighed by what they know."""
    curvature = np.square(np.diff(values, 2)) / 6.0  # variance of a second difference of noise is 6 sigma^2
    if np.isfinite(spread):
        variance = (_PRIOR * spread**2 + curvature.sum()) / (_PRIOR + len(curvature))
    else:
        variance = float(curvature.mean())
    smallest = 1e-9 * max(float(np.abs(values).max()), np.finfo(float).tiny)  # values known exactly have no noise
    return max(float(np.sqrt(variance)), smallest)


def _told(verdict: _Verdict) -> str:
    return f"{verdict.name} {verdict.start:.3g} -> {verdict.now:.3g}, z = {verdict.z:.1f}"
