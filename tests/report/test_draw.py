from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.report.curves import charts_of, model, thinned
from ouroloop.report.draw import band_of, chart_svg, domain, path_of, spread_labels, tag
from ouroloop.report.load import load


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12), st.floats(1, 30))
def test_labels_keep_their_order_stay_inside_and_do_not_overlap(wanted: list[float], gap: float) -> None:
    placed = spread_labels(wanted, 0, 300, gap)
    room = min(gap, 300 / max(len(wanted) - 1, 1))
    in_order = np.array(placed)[np.argsort(wanted, kind="stable")]
    assert (np.diff(in_order) >= room - 1e-6).all()
    assert min(placed) >= -1e-6
    assert max(placed) <= 300 + 1e-6


def test_labels_that_do_not_overlap_stay_where_they_are() -> None:
    assert spread_labels([10, 90, 50], 0, 100, gap=12) == [10, 90, 50]


def test_a_path_breaks_at_what_is_not_known() -> None:
    y = np.array([1.0, 2.0, np.nan, 4.0, np.nan])
    assert path_of(np.arange(5.0), y) == "M0 1L1 2M3 4"


def test_a_band_covers_the_stretches_where_both_ends_are_known() -> None:
    x, low = np.arange(5.0), np.array([0.0, 0, np.nan, 0, 0])
    assert band_of(x, low, low + 1) == "M0 1 1 1 1 0 0 0ZM3 1 4 1 4 0 3 0Z"
    assert band_of(x, np.full(5, np.nan), low) == ""


def test_tags_escape_text_and_attributes_and_leave_markup() -> None:
    inner = tag("b", "<i>")
    assert tag("text", inner, "<x>", class_='"q"', stroke_width=2, d=None) == (
        '<text class="&#34;q&#34;" stroke-width="2"><b>&lt;i&gt;</b>&lt;x&gt;</text>'
    )


@given(st.integers(1, 2000), st.integers(2, 200))
def test_thinning_keeps_both_ends_and_the_limit(count: int, most: int) -> None:
    kept = thinned(count, most)
    assert len(kept) == min(count, most)
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert (np.diff(kept) > 0).all()


def test_a_metric_that_is_finite_between_the_drawn_generations_alone_is_drawn(
    make_runs: ModuleType, tmp_path: Path
) -> None:
    value = np.full(501, np.nan)
    value[1:4] = [1.0, 2.0, 3.0]
    make_runs.write_run(tmp_path / "run", arm="a", seed=0, curves={"fid": {"value": value}}, spec="name: a\n")
    chart = charts_of(load([tmp_path / "run"]), "fid")[0]
    assert chart.lines[0].extent[:2] == (1.0, 3.0)
    assert 'class="line' in chart_svg(chart, 1000, 350, "c")


def test_a_chart_is_well_formed_and_draws_every_arm(digits: Path) -> None:
    chart = charts_of(load([digits]), "fid")[0]
    root = ET.fromstring(str(chart_svg(chart, 1000, 350, "c")))
    classes = [element.get("class", "") for element in root.iter()]
    for kind in ("line", "band", "marks", "end"):
        assert {f"{kind} {css}" for css in ("c0", "c1", "cr")} <= set(classes)
    assert "floor" in classes
    assert "No correction" in "".join(root.itertext())
    assert "generation 10" in chart.description


def test_the_axis_holds_lines_floor_and_a_near_forecast(gaussian: Path) -> None:
    chart = charts_of(load([gaussian]), "gaussian_w2")[0]
    for log in (False, True):
        low, high = domain(chart, log)
        for line in chart.lines:
            assert low <= np.nanmin(line.series.mean)
            assert np.nanmax(line.series.mean) <= high
        assert chart.floor is not None
        assert low <= chart.floor[1]
    span = max(np.nanmax(line.series.largest) for line in chart.lines)
    assert domain(chart, False)[1] < 2 * span  # the bound at 2.2 may not squeeze the curves


def test_forecasts_that_all_arms_share_are_drawn_once(gaussian: Path) -> None:
    chart = charts_of(load([gaussian]), "gaussian_w2")[0]
    bounds = [guess for guess in chart.guesses if guess.forecast.validity == "sufficient bound"]
    assert [(guess.arm, guess.arm_label) for guess in bounds] == [(-1, "4 arms")]
    assert [guess.arm_label for guess in chart.guesses if guess.disagrees] == ["γ = 0.3"]


def test_the_model_holds_the_numbers_of_the_series(digits: Path) -> None:
    chart = charts_of(load([digits]), "fid")[0]
    line = model(chart)["lines"][0]  # type: ignore[index]
    np.testing.assert_allclose(line["mean"], chart.lines[0].series.mean, rtol=5e-4)
    assert len(line["seeds"]) == 3
