"""What theory says of quantities that no metric measures is in the report, with its validity."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import ouroloop as ol
from ouroloop.report.load import load
from ouroloop.report.page import render
from ouroloop.report.unmeasured import unmeasured_of
from ouroloop.theory.stability import spectral_radius


@pytest.fixture(scope="module")
def loops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two arms of a Gaussian loop at ratio 0.4, one corrected, one seed."""
    folder = tmp_path_factory.mktemp("loops")
    for arm, strength in (("plain", 0.0), ("corrected", 3.0)):
        spec = {
            "data": {"kind": "gaussian", "n": 40},
            "generator": "gaussian",
            "regime": {"kind": "fixed_real", "synthetic_ratio": 0.4},
            "corrector": {"kind": "ideal", "correction_strength": strength},
            "generations": 2,
            "arm": arm,
        }
        ol.Loop.from_spec(ol.Spec.from_mapping(spec), folder / arm).run()
    return folder


def test_certificate_and_spectral_radius_are_told(loops: Path) -> None:
    entries = unmeasured_of(load([loops]))
    factors = {(e.forecast.label, e.arms): e for e in entries if e.name.name == "contraction_factor"}
    assert set(factors) == {(k, a) for k in ("SCSC certificate", "spectral radius") for a in ("plain", "corrected")}
    for arm, strength in (("plain", 0.0), ("corrected", 3.0)):
        entry = factors["spectral radius", arm]
        assert float(entry.values.split(" ")[0]) == pytest.approx(float(spectral_radius(0.4, strength)), abs=5e-4)
        assert entry.values.endswith(" at generation 2")
    assert {e.forecast.validity for e in factors.values()} == {"sufficient bound", "asymptotic"}
    page = render(load([loops]))
    for words in ("Theory of what was not measured", "SCSC certificate", "spectral radius", "sufficient-bound"):
        assert words in page


def test_what_is_measured_or_said_of_no_generation_is_left_out(make_runs: ModuleType, tmp_path: Path) -> None:
    common = {"source": "a paper", "validity": "exact", "note": "", "units": ""}
    forecasts = [
        {"metric": "fid", "label": "drawn", "values": [1.0, 1.0, 1.0], **common},
        {"metric": "silent", "label": "nothing", "values": [None, None, None], **common},
        {"metric": "risk_multiplier", "label": "shared", "values": [1.0, None, 0.25], **common},
    ]
    for arm in ("a", "b"):
        curves = {"fid": {"value": np.ones(3)}}
        make_runs.write_run(tmp_path / arm, arm=arm, seed=0, curves=curves, spec="{}\n", forecasts=forecasts)
    (entry,) = unmeasured_of(load([tmp_path]))
    assert (entry.forecast.label, entry.arms) == ("shared", "all arms")
    assert entry.values == "none at generation 1, 0.250 at generation 2"


def test_nothing_is_said_where_everything_was_measured(digits: Path) -> None:
    assert unmeasured_of(load([digits])) == []
    assert "Theory of what was not measured" not in render(load([digits]))
