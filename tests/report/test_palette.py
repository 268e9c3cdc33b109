from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ouroloop.report.load import Arm
from ouroloop.report.palette import ARMS_DARK, ARMS_LIGHT, DARK, LIGHT, css, looks

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for Simulation of Color Vision
# Deficiency", IEEE TVCG 2009, severity 1.0; applied to linear RGB.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    c = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    xyz = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(a: str, b: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(c)) for c in (a, b))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("colours", [ARMS_LIGHT, ARMS_DARK], ids=["light", "dark"])
def test_arm_colours_differ_for_every_kind_of_sight(colours: tuple[str, ...], sight: str) -> None:
    seen = [lab(np.array(SIGHT[sight]) @ linear(colour)) for colour in colours]
    nearest = min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))
    assert nearest > 12  # CIE76; about 2.3 is just noticeable side by side


@pytest.mark.parametrize(("colours", "names"), [(ARMS_LIGHT, LIGHT), (ARMS_DARK, DARK)], ids=["light", "dark"])
def test_lines_and_text_have_contrast(colours: tuple[str, ...], names: dict[str, str]) -> None:
    assert min(contrast(colour, names["bg"]) for colour in colours) > 2.8
    assert min(contrast(names[name], names["bg"]) for name in ("ink", "soft")) > 4.5
    for status in ("healthy", "drifting", "collapsing"):
        assert contrast(names[status], names[f"{status}-ink"]) > 4.5


def arm(name: str, real_only: bool = False) -> Arm:
    return Arm(name, name, control=real_only, real_only=real_only, runs=())


def test_the_control_is_grey_and_ten_arms_are_all_drawn_differently() -> None:
    arms = [arm("a"), arm("real", True), *(arm(str(i)) for i in range(9))]
    drawn = looks(arms)
    assert drawn[1].css == "cr"
    assert drawn[0].css == "c0"
    assert drawn[2].css == "c1"
    assert len({(look.colour, look.dash) for look in drawn}) == len(arms)
    assert drawn[-1].css == "c1 d1"


def test_both_themes_name_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert css().count("--bg:") == 4  # light, dark by preference, and each by the toggle
