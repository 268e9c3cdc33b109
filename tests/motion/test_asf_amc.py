from __future__ import annotations

import shutil

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ouroloop.errors import DataError
from ouroloop.motion.asf_amc import find_asf, read_amc, read_asf
from ouroloop.motion.bvh import read_bvh
from ouroloop.motion.mapping import to_humanml3d

ASF = """# made up
:version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name thigh
     direction 0 -1 0
     length 15
     axis 10 20 30 XYZ
     dof rx ry rz
     limits (-160.0 20.0)
            (-70.0 70.0)
            (-60.0 70.0)
  end
  begin
     id 2
     name shank
     direction 0 0 1
     length 14
     axis 0 0 20 XYZ
     dof rx
  end
  begin
     id 3
     name foot
     direction 1 0 0
     length 3
     axis 0 0 0 XYZ
  end
:hierarchy
  begin
    root thigh
    thigh shank
    shank foot
  end
"""
AMC = """#!OML:ASF somewhere
:FULLY-SPECIFIED
:DEGREES
1
root 1 16 2 0 0 0
thigh 0 0 0
shank 0
2
root 1 17 2 5 6 7
thigh 11 12 13
shank 40
"""
UNIT = 0.0254 / 0.45


def pair(folder, asf=ASF, amc=AMC):
    (folder / "07.asf").write_text(asf)
    (folder / "07_01.amc").write_text(amc)
    return folder / "07_01.amc"


def test_bones_turn_in_their_own_axes_as_the_format_says(tmp_path):
    """A bone's rotation is C M C*, with C its axis and M its angles; both are turns about fixed axes, x first."""
    motion = read_amc(pair(tmp_path))
    assert (len(motion), motion.fps, motion.name) == (2, 120, "07_01")
    assert motion.skeleton.names == ("root", "thigh", "shank", "foot")
    extrinsic = lambda *angles: Rotation.from_euler("xyz", angles, degrees=True)  # noqa: E731
    root = np.array([1, 17, 2]) * UNIT
    world = extrinsic(5, 6, 7)
    c = extrinsic(10, 20, 30)
    world = world * c * extrinsic(11, 12, 13) * c.inv()
    knee = root + world.apply([0, -15 * UNIT, 0])
    c = extrinsic(0, 0, 20)
    world = world * c * extrinsic(40, 0, 0) * c.inv()
    ankle = knee + world.apply([0, 0, 14 * UNIT])
    np.testing.assert_allclose(motion.positions[1], [root, root, knee, ankle], atol=1e-12)
    np.testing.assert_allclose(motion.positions[0, 2], [UNIT, UNIT, 2 * UNIT], atol=1e-12)


def test_units_frame_rate_and_up_axis_can_be_given(tmp_path):
    other = tmp_path / "other.asf"
    other.write_text(ASF.replace("length 0.45", "length 0.05"))
    path = pair(tmp_path, ASF.replace("length 0.45", "length 0.2"))
    with pytest.raises(DataError, match=r"in inches / 0.05: .* is 14.7 m"):
        read_amc(path, asf=read_asf(other))
    assert read_amc(path, units="in/0.45", fps=60).fps == 60
    turned = read_amc(path, units="in/0.45", up="z")
    np.testing.assert_allclose(turned.root[0], np.array([1, 2, -16]) * UNIT)


def test_the_skeleton_is_found_by_name(tmp_path):
    path = pair(tmp_path)
    shutil.copy(tmp_path / "07.asf", tmp_path / "08.asf")
    assert find_asf(path).name == "07.asf"
    (tmp_path / "07.asf").unlink()
    assert find_asf(path).name == "08.asf"
    shutil.copy(tmp_path / "08.asf", tmp_path / "09.asf")
    with pytest.raises(DataError, match=r"found 08.asf, 09.asf; say which with asf="):
        read_amc(path)
    assert len(read_amc(path, asf=tmp_path / "09.asf")) == 2


def changed(text: str, old: str, new: str) -> str:
    assert old in text
    return text.replace(old, new, 1)


@pytest.mark.parametrize(
    ("amc", "message"),
    [
        ("", "the file is empty"),
        ("#only a comment\n", "no frames"),
        (changed(AMC, "1\nroot", "root"), "07_01.amc:4: expected a frame number"),
        (changed(AMC, "shank 0\n", ""), "07_01.amc:4: frame 1 lacks shank"),
        (AMC[: AMC.index("shank 40")], "07_01.amc:8: frame 2 lacks shank; is the file cut off"),
        (changed(AMC, "thigh 11 12 13", "thigh 11 12"), "07_01.amc:10: bone 'thigh': 2 numbers, expected 3"),
        (changed(AMC, "shank 40", "shin 40"), "07_01.amc:11: 07.asf has no moving bone 'shin'"),
        (changed(AMC, "shank 40", "shank forty"), "bone 'shank': 'forty' is no number"),
        (changed(AMC, "shank 40", "shank 40\nshank 41"), "07_01.amc:12: bone 'shank'"),
        (changed(AMC, "shank 40", "shank nan"), "rotations is NaN or infinite in 1 of 2 frames"),
    ],
)
def test_faulty_motions_are_refused_with_the_line(tmp_path, amc, message):
    with pytest.raises(DataError, match=message):
        read_amc(pair(tmp_path, amc=amc))


@pytest.mark.parametrize(
    ("asf", "message"),
    [
        ("", "the file is empty"),
        ("BVH\n", "no section ':units'"),
        (ASF[: ASF.index(":hierarchy")], "no section ':hierarchy'"),
        (changed(ASF, "length 15", "length long"), "07.asf:13: expected a number, got 'long'"),
        (changed(ASF, "direction 0 -1 0", "direction 0 -1"), "07.asf:13: bone thigh: expected 3 values of 'direction'"),
        (changed(ASF, "    shank foot", "    shank toe"), "07.asf:43: no bone 'toe'"),
        (changed(ASF, "    root thigh\n", ""), "07.asf:41: 'thigh' has children before it has a parent"),
        (changed(ASF, "axis 10 20 30 XYZ", "axis 10 20 30 XXZ"), "Euler order"),
        (changed(ASF, "length 0.45", "length 0.0045"), "longest way along the bones"),
    ],
)
def test_faulty_skeletons_are_refused_with_the_line(tmp_path, asf, message):
    with pytest.raises(DataError, match=message):
        read_amc(pair(tmp_path, asf))


def test_no_skeleton_at_all(tmp_path):
    (tmp_path / "07_01.amc").write_text(AMC)
    with pytest.raises(DataError, match=r"found none"):
        read_amc(tmp_path / "07_01.amc")


def test_the_same_recording_as_amc_and_as_bvh(originals):
    """The published BVH begins with a T-pose and lacks the bone between upper back and neck; the legs agree."""
    folder = originals / "cmu_amc_asf"
    amc = read_amc(folder / "fairmotion_01_01.amc", folder / "fairmotion_01.asf")
    bvh = read_bvh(folder / "fairmotion_01_01.bvh", units="in/0.45")
    assert len(bvh) == len(amc) + 1
    difference = np.linalg.norm(to_humanml3d(amc) - to_humanml3d(bvh)[1:], axis=-1)
    assert difference[:, :12].max() < 1e-4
    np.testing.assert_allclose(difference[:, 16:20], 2.06488 * UNIT, rtol=2e-3)


def test_original_files(originals):
    for path in sorted((originals / "cmu_amc_asf").glob("[0-9]*.amc")):
        motion = read_amc(path, path.with_name("08.asf"))
        assert 2 < motion.skeleton.longest_path < 2.4
        assert abs(motion.positions[..., 1].min()) < 0.1
