from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from ouroloop.report.points import (
    as_points,
    histogram_svg,
    moves_svg,
    outside_note,
    reference_svg,
    scatter_svg,
    window_of,
)

RNG = np.random.default_rng(0)


def dots(svg: str, css: str) -> np.ndarray:
    """The points of a cloud, from its relative moves."""
    path = next(p for p in ET.fromstring(svg).iter("path") if p.get("class") == css)
    steps = re.findall(r"m(-?\d+) (-?\d+)h0", path.get("d", ""))
    return np.cumsum(np.array(steps, int), axis=0)


def test_points_are_rows_of_one_or_two_numbers() -> None:
    for shape, d in (((4,), 1), ((4, 1), 1), ((4, 2), 2), ((4, 1, 2), 2)):
        points = as_points(np.zeros(shape))
        assert points is not None
        assert points.shape == (4, d)
    assert as_points(np.zeros((4, 3))) is None
    assert as_points(np.zeros((0, 2))) is None
    assert as_points(np.array(["a"])) is None


def test_the_window_holds_the_reference_and_near_points_with_one_scale() -> None:
    reference = RNG.normal(size=(200, 2)) * [1, 0.5]
    window = window_of(reference, [reference + 0.5])
    assert (window.low <= reference.min(axis=0)).all()
    assert (window.high >= reference.max(axis=0)).all()
    np.testing.assert_allclose(*(window.high - window.low))


def test_points_that_run_away_do_not_shrink_the_reference_to_a_dot() -> None:
    reference = RNG.normal(size=(200, 2))
    far = np.array([[1e9, 1e9], [np.nan, 0.0]])
    window = window_of(reference, [far])
    assert ((window.high - window.low) < 6 * np.ptp(reference, axis=0)).all()
    assert outside_note(far, window) == "2 points outside the frame"
    assert outside_note(reference, window) == ""


def test_a_window_exists_for_constant_and_for_no_finite_points() -> None:
    for reference in (np.ones((5, 2)), np.full((5, 2), np.nan), np.ones((5, 1))):
        window = window_of(reference, [])
        assert (window.high > window.low).all()


def test_a_scatter_draws_each_point_where_it_lies() -> None:
    points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    window = window_of(points, [])
    pixels, outside = window.pixels(points)
    assert outside == 0
    svg = scatter_svg(points, window, "c0", "a < b", "ref")
    np.testing.assert_array_equal(dots(svg, "dots c0"), pixels)
    assert pixels[1][0] > pixels[0][0]
    assert pixels[2][1] < pixels[0][1]  # y runs up
    assert 'href="#ref"' in svg
    assert "a &lt; b" in svg


def test_the_ellipse_is_two_standard_deviations_wide() -> None:
    points = RNG.normal(size=(4000, 2)) * [1.0, 0.25]
    window = window_of(points, [])
    ellipse = next(ET.fromstring(reference_svg(points, window, "r")).iter("ellipse"))
    unit = 300 / float(window.high[0] - window.low[0])
    # The standard error of a standard deviation from 4,000 points is 1.1 %; the SVG is rounded to 0.1.
    assert float(ellipse.get("rx", "")) / unit == pytest.approx(2.0, rel=0.05)
    assert float(ellipse.get("ry", "")) / unit == pytest.approx(0.5, rel=0.05)


def test_a_histogram_shows_shares_over_the_reference() -> None:
    points = RNG.normal(size=(500, 1))
    svg = histogram_svg(points, points, window_of(points, []), "c1", "t")
    root = ET.fromstring(svg)
    assert [p.get("class") for p in root.iter("path")] == ["bars c1", "outline"]


def test_moves_join_before_and_after_and_skip_nan() -> None:
    before, after = np.zeros((3, 2)), np.array([[1.0, 1], [2, 2], [np.nan, 0]])
    svg = moves_svg(before, after, "c0", "t")
    (moves,) = (p for p in ET.fromstring(svg).iter("path") if p.get("class") == "moves")
    assert moves.get("d", "").count("M") == 2
    assert moves_svg(np.full((1, 2), np.nan), np.zeros((1, 2)), "c0", "t") == ""
