"""Run and study directories shared by the tests of the report; none of them writes into these."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


def load_module(name: str) -> ModuleType:
    """A file of this folder as a module."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def make_runs() -> ModuleType:
    """tests/report/make_runs.py as a module."""
    return load_module("make_runs")


@pytest.fixture(scope="session")
def make_motions() -> ModuleType:
    """tests/report/make_motions.py as a module."""
    return load_module("make_motions")


@pytest.fixture(scope="session")
def digits(make_runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study: 3 arms, 3 seeds, generations 0 to 10, images."""
    return make_runs.digits_study(tmp_path_factory.mktemp("report") / "digits")


@pytest.fixture(scope="session")
def gaussian(make_runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study: 4 arms, 5 seeds, generations 0 to 80, points, forecasts of which that of gamma 0.3 is wrong."""
    root = tmp_path_factory.mktemp("report") / "gaussian"
    return make_runs.gaussian_study(root, gammas=(0, 0.3, 1, 5), generations=80, seeds=range(5), preview_every=20)


@pytest.fixture(scope="session")
def text(make_runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A single unfinished run with text samples and a Cyrillic arm name."""
    return make_runs.text_run(tmp_path_factory.mktemp("report") / "text")


@pytest.fixture(scope="session")
def hostile(make_runs: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run and study with HTML in every name and text."""
    return make_runs.hostile_run(tmp_path_factory.mktemp("report") / "hostile")
