"""Pictures over the axis and the option in which arms differ."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from ouroloop.report import write_figures
from ouroloop.report.heatmap import heatmap_of
from ouroloop.report.load import load
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
