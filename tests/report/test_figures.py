from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from ouroloop.errors import DataError, StoreError
from ouroloop.report import write_figures
from ouroloop.report.curves import charts_of
from ouroloop.report.figures import _chart_figure
from ouroloop.report.load import load


@pytest.fixture(scope="module")
def small(make_runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms, two metrics whose names give the same file name, pictures."""
    root = tmp_path_factory.mktemp("figures") / "runs"
    for arm in ("a $x$", "b"):
        for seed in range(2):
            value = np.array([1.0, 2.0, 3.0]) + seed
            curves = {"x/y": {"value": value, "floor": value * 0 + 0.5}, "x y": {"value": value}}
            previews = {2: {"x": np.random.default_rng(seed).uniform(size=(9, 8, 8))}}
            make_runs.write_run(
                root / arm / f"seed-{seed}", arm=arm, seed=seed, curves=curves, spec="{}\n", previews=previews
            )
    return root


def test_files_for_every_metric_and_the_samples(small: Path, tmp_path: Path) -> None:
    files = write_figures([small], tmp_path / "out")
    assert sorted(p.name for p in files) == [
        "samples.pdf", "samples.png", "x_y-2.pdf", "x_y-2.png", "x_y.pdf", "x_y.png",
    ]  # fmt: skip
    with Image.open(tmp_path / "out" / "x_y.png") as picture:
        assert picture.width > 900  # 3.4 inches at 300 dots an inch


def test_the_pdf_is_vector_with_embedded_truetype_fonts_and_reproducible(small: Path, tmp_path: Path) -> None:
    first = write_figures([small], tmp_path / "a", formats=("pdf",))[0].read_bytes()
    second = write_figures([small], tmp_path / "b", formats=("pdf",))[0].read_bytes()
    assert first == second
    assert b"/FontFile2" in first
    assert b"/Type3" not in first
    assert b"/Subtype /Image" not in first


def test_the_figure_draws_the_numbers_of_the_report(digits: Path) -> None:
    chart = charts_of(load([digits]), "fid")[0]
    axes = _chart_figure(chart).axes[0]
    drawn = {line.get_label(): line for line in axes.lines}
    for line in chart.lines:
        np.testing.assert_array_equal(np.asarray(drawn[line.label].get_ydata()), line.series.mean)
    band = np.asarray(axes.collections[0].get_paths()[0].vertices)
    assert band[:, 1].max() == pytest.approx(np.nanmax(chart.lines[0].series.high))


def test_unknown_formats_and_unwritable_folders_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="formats gif: expected one or more of png, pdf, svg"):
        write_figures([small], tmp_path, formats=("png", "gif"))
    with pytest.raises(DataError, match="none"):
        write_figures([small], tmp_path, formats=())
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_figures([small], tmp_path / "file" / "out")


def test_a_forecast_that_falls_to_0_leaves_a_log_scale(make_runs: ModuleType, tmp_path: Path) -> None:
    """It would be a line straight down, as if the law were a wall."""
    law = {"metric": "x", "label": "law", "source": "s", "validity": "exact", "note": "", "units": ""}
    value = np.array([1.0, 0.1, 0.001, 0.0001])
    run = tmp_path / "arm" / "seed-0"
    forecasts = [{**law, "values": [1.0, 0.1, 0.0, 0.0]}]
    make_runs.write_run(run, arm="a", seed=0, curves={"x": {"value": value}}, spec="{}\n", forecasts=forecasts)
    axes = _chart_figure(charts_of(load([run]), "x")[0]).axes[0]
    assert axes.get_yscale() == "log"
    (drawn,) = [line for line in axes.lines if len(line.get_xdata()) and line.get_linestyle() == "--"]
    np.testing.assert_array_equal(drawn.get_ydata(), [1.0, 0.1, np.nan, np.nan])
