from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from ouroloop.errors import DataError, StoreError
from ouroloop.motion.bvh import read_bvh, write_bvh
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import about_y, multiply, normalise
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton
from ouroloop.motion.units import METRES, UnitsWarning

TEXT = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Left Leg
  {
    OFFSET 10 -80 0
    CHANNELS 3 Yrotation Zrotation Xrotation
    End Site
    {
      OFFSET 0 -9 0
    }
  }
  JOINT Head
  {
    OFFSET 0 90 5
    CHANNELS 3 Xrotation Yrotation Zrotation
    End Site
    {
      OFFSET 0 9 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.033333
0 90 0 0 0 0 0 0 0 0 0 0
1 91 2 30 40 50 10 20 30 5 6 7
"""


def file(folder, text=TEXT):
    path = folder / "clip.bvh"
    path.write_text(text)
    return path


def body(frames: int = 5, seed: int = 0) -> Motion:
    rng = np.random.default_rng(seed)
    skeleton = Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, rng.normal(0, 0.15, (22, 3)))
    return Motion(skeleton, rng.standard_normal((frames, 3)), normalise(rng.standard_normal((frames, 22, 4))), 20)


def test_channels_are_intrinsic_in_their_own_order(tmp_path):
    motion = read_bvh(file(tmp_path), units="cm")
    assert (motion.fps, len(motion), motion.name) == (30, 2, "clip")
    assert motion.skeleton.names == ("Hips", "Left Leg", "Head")
    hips = Rotation.from_euler("ZXY", [30, 40, 50], degrees=True)
    np.testing.assert_allclose(motion.root[1], [0.01, 0.91, 0.02])
    np.testing.assert_allclose(motion.positions[1, 1], motion.root[1] + hips.apply([0.1, -0.8, 0]), atol=1e-12)
    leg = Rotation.from_euler("YZX", [10, 20, 30], degrees=True).as_quat()
    np.testing.assert_allclose(np.abs((np.roll(leg, 1) * motion.rotations[1, 1]).sum()), 1)


@pytest.mark.parametrize("order", ["ZXY", "xyz", "ZYX"])
@pytest.mark.parametrize("units", sorted(METRES))
def test_written_motions_are_read_back(tmp_path, order, units):
    motion = body()
    write_bvh(tmp_path / "new" / "clip.bvh", motion, units=units, order=order)
    back = read_bvh(tmp_path / "new" / "clip.bvh", units=units)
    at = [back.skeleton.index(name) for name in HUMANML3D_NAMES]
    np.testing.assert_allclose(back.positions[:, at], motion.positions, atol=1e-5)
    assert back.fps == 20


def test_units_are_guessed_aloud_and_checked(tmp_path):
    with pytest.warns(UnitsWarning, match="taken for 'cm'"):
        assert read_bvh(file(tmp_path)).skeleton.longest_path == pytest.approx(1.7075, abs=1e-3)
    with pytest.raises(DataError, match=r"measures 171 m .* \(units='cm' would fit\)"):
        read_bvh(file(tmp_path), units="m")
    with pytest.raises(DataError, match="unknown units 'parsec'; known are m, cm"):
        read_bvh(file(tmp_path), units="parsec")
    giant = TEXT.replace("OFFSET 10 -80 0", "OFFSET 1e9 0 0")
    with pytest.raises(DataError, match="is this a human skeleton"):
        read_bvh(file(tmp_path, giant))
    flat = re.sub(r"OFFSET .*", "OFFSET 0 0 0", TEXT)
    with pytest.raises(DataError, match="all bones have length zero"):
        read_bvh(file(tmp_path, flat))


def test_z_up_is_turned_to_y_up(tmp_path):
    upright = read_bvh(file(tmp_path), units="cm")
    text = TEXT.replace("10 -80 0", "10 0 -80").replace("0 90 5", "0 -5 90")
    text = text.replace("\n0 90 0 0", "\n0 0 90 0").replace("\n1 91 2 30 40 50", "\n1 -2 91 0 0 0")
    turned = read_bvh(file(tmp_path, text), units="cm", up="z")
    np.testing.assert_allclose(turned.positions[0], upright.positions[0], atol=1e-12)
    np.testing.assert_allclose(turned.root, upright.root, atol=1e-12)
    with pytest.raises(DataError, match="up axis 'x'"):
        read_bvh(file(tmp_path), units="cm", up="x")  # type: ignore[arg-type]


def test_a_root_offset_is_added_where_that_puts_the_feet_on_the_floor(tmp_path):
    added = (
        TEXT.replace("OFFSET 0 0 0", "OFFSET 0 85 0", 1).replace("\n0 90 0", "\n0 5 0").replace("\n1 91 2", "\n1 6 2")
    )
    same = read_bvh(file(tmp_path), units="cm")
    np.testing.assert_allclose(read_bvh(file(tmp_path, added), units="cm").root, same.root)
    replaced = TEXT.replace("OFFSET 0 0 0", "OFFSET 0 85 0", 1)
    np.testing.assert_allclose(read_bvh(file(tmp_path, replaced), units="cm").root, same.root)


def test_a_still_root_is_merged_with_the_hips_that_move(tmp_path):
    channels = "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation\n"
    lines = TEXT.splitlines(keepends=True)
    start = lines.index("MOTION\n")
    inner = "".join(lines[1:start]).replace("ROOT", "JOINT")
    outer = "HIERARCHY\nROOT World\n{\nOFFSET 0 0 0\n" + channels + inner + "}\n" + "".join(lines[start:])
    outer = outer.replace("\n0 90", "\n0 0 0 0 0 90 0 90").replace("\n1 91", "\n0 0 0 0 0 90 1 91")
    motion, plain = read_bvh(file(tmp_path, outer), units="cm"), read_bvh(file(tmp_path), units="cm")
    assert motion.skeleton.names == plain.skeleton.names
    np.testing.assert_allclose(motion.root, plain.root[:, [2, 1, 0]] * [1, 1, -1], atol=1e-12)
    turned = multiply(about_y(np.pi / 2), plain.rotations[:, 0])
    np.testing.assert_allclose(np.abs((turned * motion.rotations[:, 0]).sum(-1)), 1)


def test_frame_rates_are_rounded_or_given(tmp_path):
    assert read_bvh(file(tmp_path, TEXT.replace("0.033333", "0.016667")), units="cm").fps == 60
    assert read_bvh(file(tmp_path, TEXT.replace("0.033333", "0.08")), units="cm").fps == 12.5
    assert read_bvh(file(tmp_path), units="cm", fps=24).fps == 24


def changed(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new, 1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("hello\n", "clip.bvh:1: cannot make sense of 'hello'"),
        (TEXT[:200], "no line MOTION; the file is cut off"),
        (TEXT[: TEXT.index("MOTION")] + "MOTION\n", "the file ends before 'Frames:'"),
        (TEXT[:-14], r"clip.bvh:29: 7 numbers in this frame, expected 12"),
        (TEXT[: TEXT.index("1 91")], "1 frames follow, but the header says 2"),
        (changed("0 90 0 0", "0 90 0 x"), "clip.bvh:28: expected a number, got 'x'"),
        (changed("0 90 0 0", "0 nan 0 0"), "clip.bvh:28: got nan, expected a finite number"),
        (changed("OFFSET 10 -80 0", "OFFSET 10 -80"), "clip.bvh:8: cannot make sense"),
        (changed("OFFSET 10 -80 0", "OFFSET 10 -80 inf"), "clip.bvh:8: got inf"),
        (changed("    OFFSET 10 -80 0\n", ""), "clip.bvh:6: joint 'Left Leg' has no OFFSET"),
        (changed("CHANNELS 3 Y", "CHANNELS 4 Y"), "clip.bvh:9: CHANNELS 4, but 3 names"),
        (changed("Yrotation Zrotation", "Yrotation Yrotation"), "clip.bvh:9: channels"),
        (changed("Yrotation Zrotation", "Wrotation Zrotation"), "clip.bvh:9: channels"),
        (changed("JOINT Head", "ROOT Head"), "clip.bvh:15: ROOT Head: expected one ROOT"),
        (changed("}\nMOTION", "MOTION"), "MOTION before the hierarchy is complete"),
        (changed("Frames: 2", "Frames: 0"), "expected 1 or more"),
        (changed("Frame Time: 0.033333", "Frame Time: 0"), "of > 0 s"),
        (changed("Frame Time: 0.033333", "Frame Time: fast"), "clip.bvh:27: expected a number, got 'fast'"),
        (changed("Frames: 2\n", ""), "clip.bvh:27: expected 'Frames:' and 'Frame Time:'"),
        (changed("JOINT Head", "JOINT Hips"), "joint names .'Hips'. occur more than once"),
    ],
)
def test_faulty_files_are_refused_with_the_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_bvh(file(tmp_path, text), units="cm")


def test_no_file_and_no_text(tmp_path):
    with pytest.raises(DataError, match=r"missing.bvh: cannot be read"):
        read_bvh(tmp_path / "missing.bvh")
    (tmp_path / "noise.bvh").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(DataError, match="not a text file"):
        read_bvh(tmp_path / "noise.bvh")
    with pytest.raises(DataError, match="unknown units"):
        write_bvh(tmp_path / "x.bvh", body(), units="yard")
    (tmp_path / "a file").write_text("")
    with pytest.raises(StoreError, match="a file"):
        write_bvh(tmp_path / "a file" / "x.bvh", body())


@pytest.mark.parametrize(
    ("pattern", "units", "fps", "joints", "floor"),
    [
        ("bandai_bvh/*.bvh", "cm", 30, 21, 0.06),
        ("cmu_cc_bvh/*.bvh", "cm", 60, 100, 0.09),
        ("cmu_bvh/*.bvh", "in/0.45", 120, 31, 0.03),
        ("cmu_amc_asf/*.bvh", "in/0.45", 120, 31, 0.04),
    ],
)
def test_original_files(originals, pattern, units, fps, joints, floor):
    """Adults stand on the floor: the lowest joint of each clip is between it and an ankle's height."""
    paths = sorted(originals.glob(pattern))
    assert paths
    for path in paths:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            motion = read_bvh(path)
        assert f"taken for {units!r}" in str(caught[0].message)
        assert (motion.fps, len(motion.skeleton)) == (fps, joints)
        assert 1.9 < motion.skeleton.longest_path < 2.6
        assert 0 < motion.positions[..., 1].min() < floor
