"""The alarm is a pure function of the history: what it says of histories whose fate is known."""

from __future__ import annotations

import contextlib
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.metrics.alarm import LEVELS, SIGNALS, CollapseAlarm
from ouroloop.metrics.base import RowMetric
from ouroloop.protocols import Measurement


def history(noise=0.01, floor=math.nan, seed=0, **curves):
    """One mapping a generation from curves by metric name, with noise and intervals that know its size."""
    rng = Key(seed, ("history",)).rng()
    length = len(next(iter(curves.values())))
    rows = []
    for t in range(length):
        row = {}
        for name, curve in curves.items():
            value = curve[t] + noise * rng.standard_normal()
            row[name] = Measurement(name, value, value - 1.96 * noise, value + 1.96 * noise, floor, 500)
        rows.append(row)
    return rows


def levels(rows, alarm=None):
    alarm = alarm or CollapseAlarm()
    return [alarm.judge(rows[: t + 1]).level for t in range(len(rows))]


FLAT = [0.9] * 15


def test_nothing_measured_or_too_little_is_healthy():
    alarm = CollapseAlarm()
    for rows in ([], [{}], [{"synthetic_ratio": Measurement("synthetic_ratio", 9.0)}] * 5, history(recall=FLAT)[:2]):
        said = alarm.judge(rows)
        assert (said.level, said.score, said.kinds) == (0, 0.0, ())
        assert "not enough" in said.reason


def test_steady_noise_stays_healthy():
    """200 runs of 15 generations of three signals with correct intervals: false drift in few, collapse in none."""
    alarmed = []
    for seed in range(200):
        rows = history(seed=seed, recall=FLAT, sliced_w2=[0.2] * 15, diversity=[1.0] * 15)
        found = levels(rows)
        assert max(found) < 2
        alarmed.append(max(found) > 0)
    assert np.mean(alarmed) <= 0.05


def test_diversity_that_is_lost_step_by_step_drifts_and_then_collapses():
    rows = history(recall=np.linspace(0.9, 0.2, 15), precision=FLAT)
    found = levels(rows)
    assert found[:2] == [0, 0]
    assert found == sorted(found)
    assert found[-1] == 2
    assert 1 in found
    said = CollapseAlarm().judge(rows)
    assert said.kinds == ("diversity",)
    assert said.reason.startswith("collapsing: diversity loss (recall 0.88")


def test_quality_that_is_lost_is_told_apart_from_diversity():
    rows = history(precision=np.linspace(0.9, 0.4, 15), recall=FLAT, coverage=np.linspace(0.9, 0.5, 15))
    said = CollapseAlarm().judge(rows)
    assert said.level == 2
    assert said.kinds == ("quality",)
    assert "quality loss" in said.reason
    assert "diversity" not in said.reason


def test_distances_alone_cannot_say_what_is_lost():
    said = CollapseAlarm().judge(history(sliced_w2=np.linspace(0.1, 0.6, 15)))
    assert said.level == 2
    assert said.kinds == ("distance",)
    assert "drift away from the real data" in said.reason


def test_a_sudden_collapse_is_seen_after_two_generations_and_stays_seen():
    found = levels(history(recall=[0.9, 0.9, 0.9] + [0.2] * 8))
    assert found[3] == 0  # one bad generation is no alarm
    assert found[4:] == [2] * 7


def test_an_explosion_is_not_excused_by_its_own_scatter():
    """The distance grows so fast that its second differences, read as noise, are as large as the change."""
    for name, curve in (("fid", [1.0, 50.0, 400.0, 9e3]), ("sliced_w2", [0.1, 0.1, 0.1, 5.0, 90.0])):
        assert levels(history(**{name: curve}))[-1] == 2, name
    assert levels(history(fid=[1.0, 1.0, 1.0, 1.0, 9e3]))[-1] == 0  # one generation alone is still no alarm
    assert levels(history(noise=0.0, fid=[0.0, 0.0, 0.0, 5.0, 9.0]))[-1] == 2  # nor is a baseline of 0


def test_one_bad_generation_is_no_alarm_and_recovery_ends_one():
    assert max(levels(history(recall=[0.9] * 5 + [0.3] + [0.9] * 5))) == 0
    assert levels(history(recall=[0.9] * 4 + [0.3] * 4 + [0.9] * 6))[-1] == 0


def test_what_improves_is_healthy():
    rows = history(fid=np.linspace(40, 5, 15), recall=np.linspace(0.5, 0.9, 15), noise=0.02)
    assert max(levels(rows)) == 0


def test_a_lucky_start_is_judged_by_the_floor():
    """Generation 0 far below the floor, the rest at it: real data do no better."""
    rows = history(sliced_w2=[0.05] + [0.2] * 14, floor=0.2)
    assert max(levels(rows)) == 0
    assert max(levels(history(sliced_w2=[0.05] + [0.2] * 14))) == 2  # without the floor it looks like a jump


def test_a_change_too_small_to_matter_is_no_drift():
    curve = np.linspace(0.9, 0.88, 15)
    assert max(levels(history(recall=curve, noise=1e-4))) == 0
    assert max(levels(history(recall=curve - np.linspace(0, 0.05, 15), noise=1e-4))) == 1


def test_squared_distances_are_judged_by_their_root():
    """FID times 4 is a doubling of the distance: not yet the factor 2.5 that collapse takes."""
    assert levels(history(fid=np.linspace(10, 40, 15), noise=0.1))[-1] == 1
    assert levels(history(fid=np.linspace(10, 70, 15), noise=0.1))[-1] == 2


def test_signals_without_a_scale_can_only_drift():
    said = CollapseAlarm().judge(history(kid=np.linspace(0, 100, 15), mmd=np.linspace(0, 1, 15)))
    assert said.level == 1


def test_values_without_intervals_are_judged_by_their_scatter():
    rng = Key(0).rng()
    noisy = [{"gaussian_w2": Measurement("gaussian_w2", 0.3 + 0.02 * rng.standard_normal())} for _ in range(20)]
    assert max(levels(noisy)) == 0
    rising = [{"gaussian_w2": Measurement("gaussian_w2", 0.3 + 0.1 * t)} for t in range(20)]
    assert levels(rising)[-1] == 2
    constant = [{"gaussian_w2": Measurement("gaussian_w2", 0.3)}] * 10
    assert max(levels(constant)) == 0


def test_noise_that_the_bootstrap_does_not_know_is_learnt_from_the_scatter():
    """Training noise five times larger than the intervals say: a history long enough shows it."""
    alarms = 0
    for seed in range(100):
        rng = Key(seed, ("training",)).rng()
        rows = [
            {"recall": Measurement("recall", v, v - 0.0196, v + 0.0196)} for v in 0.8 + 0.05 * rng.standard_normal(20)
        ]
        alarms += CollapseAlarm().judge(rows).level > 0
    assert alarms <= 5


def test_generations_that_were_not_measured_are_skipped():
    rows = history(recall=np.linspace(0.9, 0.2, 15))
    sparse = [row if t % 3 == 0 else {} for t, row in enumerate(rows)]
    assert CollapseAlarm().judge(sparse[:13]).level == 2
    assert CollapseAlarm().judge(sparse[:14]).level == 0  # this generation says nothing


def test_values_that_are_not_finite_are_skipped():
    rows = history(recall=FLAT)
    rows[4] = {"recall": Measurement("recall", math.nan)}
    assert max(levels(rows)) == 0


def test_a_stricter_alarm_says_less():
    rows = history(recall=np.linspace(0.9, 0.7, 15))
    eager, strict = CollapseAlarm(jump=2.0, trend=1.0), CollapseAlarm(jump=20.0, trend=20.0)
    assert sum(levels(rows, eager)) >= sum(levels(rows)) >= sum(levels(rows, strict))
    assert sum(levels(rows, strict)) == 0


@settings(deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from([*SIGNALS, "other"]), st.floats(-10, 1000), max_size=4), min_size=0, max_size=8
    )
)
def test_any_history_has_a_level_that_fits_its_score_and_reason(values):
    rows = [{n: Measurement(n, v, v - 1, v + 1, 0.5, 10) for n, v in row.items()} for row in values]
    said = CollapseAlarm().judge(rows)
    assert said.level == int(min(2.0, said.score))
    assert said.reason.startswith(LEVELS[said.level])
    assert bool(said.kinds) == bool(said.level)
    assert CollapseAlarm().judge(rows) == said


def test_every_signal_is_measured_by_some_metric(digits, classifier):
    from ouroloop import registry

    names, options = set(), {"floor_repeats": 0, "resamples": 0, "features": classifier}
    for part in (registry.resolve("metrics", name) for name in registry.names("metrics")):
        if not issubclass(part, RowMetric):
            continue
        with contextlib.suppress(DataError):  # those of motions and texts measure nothing that the alarm reads
            metric = part(**options).fit(digits, key=Key(0))
            names |= {m.metric for m in metric.measure(digits.held_out, generator=None, key=Key(1))}
    assert set(SIGNALS) <= names
