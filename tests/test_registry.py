import os
import subprocess
import sys
from pathlib import Path

import pytest

from ouroloop import registry
from ouroloop.errors import SpecError
from ouroloop.options import build, resolve_options

PART = '''
from dataclasses import dataclass
from typing import Annotated
from pydantic import Field
from ouroloop.correction import Correction

@dataclass(frozen=True, kw_only=True)
class Halve:
    """Halves every value."""
    share: Annotated[float, Field(ge=0, le=1, description="how much is left")] = 0.5
    def fit(self, reference, *, key):
        return self
    def correct(self, synthetic, *, key):
        return Correction.to(synthetic, synthetic.x * self.share)
'''


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_every_part_can_be_built_with_its_defaults_or_says_what_it_needs(family):
    for name in registry.names(family):
        resolved, problems = resolve_options(family, name, (family,))
        if problems:
            assert all("is required" in text for _, text in problems), (name, problems)
        else:
            assert build(family, resolved) is not None


def test_unknown_parts_and_families_list_what_there_is():
    with pytest.raises(SpecError, match="no part 'x'; there are: accumulate, "):
        registry.resolve("regimes", "x")
    with pytest.raises(SpecError, match="no family of parts 'x'"):
        registry.names("x")


def test_name_of_finds_registered_classes_only():
    from ouroloop.regimes import Replace

    assert registry.name_of("regimes", Replace()) == "replace"
    assert registry.name_of("regimes", object()) is None


def test_an_installed_package_adds_a_part_but_cannot_replace_ours(tmp_path: Path):
    info = tmp_path / "halves-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halves\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[ouroloop.correctors]\nhalve = halves:Halve\nidentity = halves:Halve\n")
    (tmp_path / "halves.py").write_text(PART)
    code = (
        "import numpy as np, ouroloop as ol\n"
        "from ouroloop import registry\n"
        "assert 'halve' in registry.names('correctors')\n"
        "assert registry.resolve('correctors', 'identity').__module__ == 'ouroloop.correctors.identity'\n"
        "loop = ol.Loop('gaussian', np.random.default_rng(0).normal(size=(50, 2)), generations=1,\n"
        "               corrector={'kind': 'halve', 'share': 0.25}).run()\n"
        "print(loop.spec['corrector'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "'share': 0.25" in done.stdout


@pytest.mark.parametrize("family", registry.FAMILIES)
def test_the_first_line_of_what_a_part_says_is_whole(family: str):
    first = {n: (registry.resolve(family, n).__doc__ or "").strip().partition("\n")[0] for n in registry.names(family)}
    assert {name: line for name, line in first.items() if not line.endswith((".", "?"))} == {}
