"""Pictures over the axis and the option in which arms differ."""

import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from ouroloop.report import write_figures
from ouroloop.report.axis import Axis
from ouroloop.report.heatmap import LEVELS, Heatmap, heatmap_of
from ouroloop.report.heatmap_svg import picture_of, stairs
from ouroloop.report.load import load
from ouroloop.report.page import render
from ouroloop.report.wording import number
from ouroloop.study import Study, run_study

STRENGTHS = (0.0, 0.2, 0.4, 2.0)


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    study = {
        "name": "grid",
        "backend": "experiment",
        "seeds": [0, 1],
        "base": {"experiment": {"kind": "distorted_loop", "values": [0.5, 1.0, 4.0], "n": 500, "generations": 5}},
        "arms": [{"name": f"s{g}", "set": {"experiment": {"correction_strength": g}}} for g in reversed(STRENGTHS)]
        + [{"name": "faithful", "set": {"experiment": {"sampler_distortion": 1.0}}}],
    }
    (folder / "grid.yaml").write_text(yaml.safe_dump(study))
    run_study(Study.read(folder / "grid.yaml"), folder / "out")
    return folder / "out"


def test_rows_are_the_values_of_the_option_that_differs(out):
    picture = heatmap_of(load([out]), "factor")
    assert picture is not None
    assert (picture.option, picture.rows) == ("correction_strength", ("0", "0.2", "0.4", "2"))
    radius = picture.forecasts["spectral radius"]
    expected = [[2 * r / ((1 + r) * (1 + g)) for r in (0.5, 1.0, 4.0)] for g in STRENGTHS]
    np.testing.assert_allclose(radius, expected)
    np.testing.assert_allclose(picture.measured, radius, rtol=0.2)
    assert np.isinf(picture.forecasts["certificate"][0, 1])


def test_it_is_written_beside_the_curves(out, tmp_path):
    names = {path.name for path in write_figures([out], tmp_path, formats=["png"])}
    assert names == {"factor.png", "factor-grid.png", "variance.png", "boundary.png"}


def test_there_is_none_of_too_few_arms_or_another_metric(out):
    assert heatmap_of(load([out]), "variance") is None
    assert heatmap_of(load([out / "s0.0", out / "s0.2", out / "s2.0"]), "factor") is None


def test_there_is_none_of_a_metric_that_was_not_measured(out):
    assert heatmap_of(load([out]), "accuracy") is None


def test_there_is_none_without_a_line_to_draw(out, monkeypatch):
    monkeypatch.setitem(LEVELS, "factor", 1e-3)
    assert heatmap_of(load([out]), "factor") is None


def test_stairs_run_between_the_two_sides_of_a_level():
    values = np.array([[0.5, 2.0, np.inf], [0.5, 1.0, 2.0]])  # row 0 at the bottom
    path = stairs(values, 1.0, left=10, top=0, width=5, height=4)
    assert sorted(path.split("M")[1:]) == ["15 4h5", "15 4v4", "20 0v4"]
    assert stairs(np.ones((3, 3)), 0.0, left=0, top=0, width=1, height=1) == ""


def test_cells_without_a_value_have_no_border():
    values = np.array([[2.0, np.nan, 0.5], [2.0, 2.0, np.nan]])
    assert stairs(values, 1.0, left=0, top=0, width=1, height=1) == ""


def test_values_that_have_no_logarithm_are_grey():
    values = np.array([[0.5, -1.0], [np.nan, 2.0]])
    picture = Heatmap("factor", Axis("x", ("1", "2")), "o", ("1", "2"), values, {})
    svg = str(picture_of(picture, "m").svg)
    assert [fill == "#9a9a9a" for fill in re.findall(r'fill="(#\w+)"', svg)] == [False, True, True, False]
    assert "−1" in svg or "-1" in svg


def test_the_page_shows_the_map_with_its_values(out):
    page = render(load([out]))
    assert page.count('<figure class="map">') == 1
    picture = heatmap_of(load([out]), "factor")
    svg = str(picture_of(picture, "m").svg)
    assert svg.count("<rect") == 4 * 3
    assert f"correction_strength 0, synthetic ratio 4: {number(picture.measured[0, 2])}" in svg
    fills = re.findall(r'fill="#(..)..(..)"', svg)  # red and blue of the cells, row by row
    values = picture.measured.ravel()
    for cell in (values.argmin(), values.argmax()):
        red, blue = (int(part, 16) for part in fills[cell])
        assert (red > blue) == (values[cell] > 1)
    assert "certificate ∞" in svg


def test_a_hostile_option_name_is_escaped():
    texts = ("<b>1", "2")
    hostile = Heatmap("factor", Axis("x<script>", texts), "o<script>", ("1", "2"), np.array([[0.5, 2], [1, 1]]), {})
    svg = str(picture_of(hostile, "m").svg)
    assert "<script>" not in svg
    assert "<b>" not in svg
