"""What all metrics share: refusals, subsampling, floors, notes."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroloop import options, registry
from ouroloop.errors import DataError, PartError
from ouroloop.keys import Key
from ouroloop.metrics.base import RowMetric, choose_rows
from ouroloop.metrics.diversity import Diversity
from ouroloop.metrics.energy import Energy
from ouroloop.metrics.gaussian_w2 import GaussianW2
from ouroloop.metrics.moments import Moments
from ouroloop.metrics.sliced_w2 import SlicedW2
from ouroloop.protocols import Reference
from ouroloop.samples import Samples


def measure(metric, rows, key=1):
    return {m.metric: m for m in metric.measure(rows, generator=None, key=Key(key))}


@settings(deadline=None)
@given(st.integers(1, 60), st.data())
def test_chosen_rows_are_distinct_sorted_and_keep_class_shares(n_rows, data):
    n = data.draw(st.integers(1, n_rows))
    label = np.array(data.draw(st.lists(st.integers(0, 3), min_size=n_rows, max_size=n_rows)))
    rng = Key(data.draw(st.integers(0, 99))).rng()
    plain, by_label = choose_rows(n_rows, n, rng), choose_rows(n_rows, n, rng, label)
    for chosen in (plain, by_label):
        assert len(np.unique(chosen)) == n
        assert (np.diff(chosen) > 0).all()
        assert chosen.min() >= 0
        assert chosen.max() < n_rows
    for c in range(4):
        share = n * np.mean(label == c)
        assert abs(np.sum(label[by_label] == c) - share) < 2


@pytest.mark.parametrize(
    "name", [n for n in registry.names("metrics") if issubclass(registry.resolve("metrics", n), RowMetric)]
)
def test_options_are_checked_and_written_back(name):
    resolved, problems = options.resolve_options("metrics", name, ("metrics", 0))
    assert not problems
    part = options.build("metrics", resolved)
    assert (
        options.resolve_options("metrics", {"kind": name, **{k: v for k, v in resolved.items() if k != "kind"}}, ())[0]
        == resolved
    )
    assert part.resamples == 50
    _, problems = options.resolve_options("metrics", {"kind": name, "resamples": -1, "nonsense": 1}, ("metrics", 0))
    text = str(problems)
    assert "must be >= 0, got -1" in text
    assert "is not a known option" in text


def test_errors_say_what_was_got_and_what_to_do(flat, make_cloud):
    metric = Energy().fit(flat, key=Key(0))
    with pytest.raises(DataError, match=r"needs at least 2 generated rows, got 1; raise evaluation\.n"):
        measure(metric, make_cloud(1, 0))
    with pytest.raises(DataError, match=r"generated rows have shape \(3,\) a row, but the real rows have \(2,\)"):
        measure(metric, make_cloud(9, 0, dim=3))
    with pytest.raises(DataError, match="numbers in column 'x', got <U1"):
        measure(metric, Samples.of(np.array([["a", "b"]] * 4)))
    with pytest.raises(DataError, match="no column 'x'; there are: y"):
        measure(metric, Samples({"y": np.zeros((4, 2))}))
    x = make_cloud(9, 0).x.copy()
    x[3, 1] = np.inf
    with pytest.raises(DataError, match="infinity in column 'x', row 3"):
        measure(metric, Samples.of(x))
    with pytest.raises(PartError, match="call fit"):
        measure(Energy(), make_cloud(9, 0))
    with pytest.raises(DataError, match="at least 2 held-out rows, got 1"):
        Energy().fit(Reference(flat.real, make_cloud(1, 0)), key=Key(0))
    with pytest.raises(DataError, match="classifier"):
        Energy(features="classifier").fit(flat, key=Key(0))


def test_large_tables_are_cut_to_max_rows_and_n_says_so(flat, make_cloud):
    found = measure(Energy(max_rows=50).fit(flat, key=Key(0)), make_cloud(400, "many"))
    assert found["energy"].n == 50


def test_the_floor_is_the_mean_over_draws_of_training_rows(flat):
    metric = Moments(floor_repeats=8).fit(flat, key=Key(0))
    floor = metric.floors(100)["mean_error"]
    assert floor.n == 100
    # E|mu_g - mu_r|^2 = 2 (1/100 + 1/200) in the plane, apart from the draws being of one fixed training set
    assert 0.03 < floor.value < 0.35
    assert 0 < floor.spread < floor.value
    again = Moments(floor_repeats=8).fit(flat, key=Key(0)).floors(100)["mean_error"]
    assert again == floor


def test_floors_fall_with_n(make_cloud):
    reference = Reference(make_cloud(4000, "a"), make_cloud(4000, "b"))
    metric = SlicedW2(directions=8).fit(reference, key=Key(0))
    few, many = metric.floors(50)["sliced_w2"], metric.floors(2000)["sliced_w2"]
    assert many.value < 0.5 * few.value


def test_a_measurement_of_fresh_real_rows_is_at_the_floor(make_cloud):
    """Both are draws of one law, so the value lies within four spreads of the floor (which 5 draws know roughly)."""
    reference = Reference(make_cloud(4000, "a"), make_cloud(4000, "b"))
    metric = Energy(floor_repeats=10).fit(reference, key=Key(0))
    found = measure(metric, make_cloud(500, "fresh"))["energy"]
    assert abs(found.value - found.floor) < 4 * metric.floors(500)["energy"].spread


def test_too_few_real_rows_for_the_floor_are_noted(flat, make_cloud):
    metric = Energy().fit(flat, key=Key(0))
    measure(metric, make_cloud(1000, 0))
    assert metric.floors(1000)["energy"].n == 300
    assert any("floor at n = 1000 is that of 300 real rows" in note for note in metric.notes)


def test_without_held_out_rows_the_floor_comes_from_halves(flat, make_cloud):
    metric = SlicedW2().fit(Reference(flat.real), key=Key(0))
    assert any("no held-out rows" in note for note in metric.notes)
    copies = measure(metric, flat.real)["sliced_w2"]
    assert copies.value < 1e-9  # a copier looks perfect, as the note says
    assert copies.floor > 0.01
    assert metric.floors(300)["sliced_w2"].n == 150


def test_few_rows_are_noted_once_and_logged(flat, make_cloud, caplog):
    metric = Energy().fit(flat, key=Key(0))
    with caplog.at_level(logging.WARNING, logger="ouroloop.metrics"):
        for _ in range(3):
            measure(metric, make_cloud(10, 0))
    assert [r for r in caplog.records if "measured on 10 rows" in r.getMessage()][1:] == []
    assert sum("measured on 10 rows" in note for note in metric.notes) == 1


def test_no_floor_and_no_interval_when_they_are_not_wanted(flat, make_cloud):
    found = measure(Energy(floor_repeats=0, resamples=0).fit(flat, key=Key(0)), make_cloud(50, 0))["energy"]
    assert np.isnan([found.low, found.high, found.floor]).all()


@pytest.mark.parametrize("part", [GaussianW2(), SlicedW2(), Energy(), Diversity(), Moments()])
def test_the_order_of_rows_does_not_matter(part, flat, make_cloud):
    metric, rows = part.fit(flat, key=Key(0)), make_cloud(80, 3)
    turned = rows.take(Key(5).rng().permutation(80))
    for a, b in zip(measure(metric, rows).values(), measure(metric, turned).values(), strict=True):
        assert a.value == pytest.approx(b.value, rel=1e-9, abs=1e-9)
