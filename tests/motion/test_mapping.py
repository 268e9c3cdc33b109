from __future__ import annotations

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.motion.archives import read_clips
from ouroloop.motion.bvh import read_bvh
from ouroloop.motion.deepmimic import HUMANOID, read_deepmimic
from ouroloop.motion.mapping import FAMILIES, family_of, to_humanml3d
from ouroloop.motion.mirroring import counterparts
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import normalise
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton


def moving(skeleton: Skeleton, frames: int = 4) -> Motion:
    rng = np.random.default_rng(0)
    rotations = normalise(rng.standard_normal((frames, len(skeleton), 4)))
    return Motion(skeleton, rng.standard_normal((frames, 3)), rotations, 30)


def test_humanml3ds_own_joints_are_copied():
    motion = moving(Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, np.random.default_rng(1).normal(size=(22, 3))))
    np.testing.assert_array_equal(to_humanml3d(motion), motion.positions)
    assert len(to_humanml3d(motion, fps=60)) == 7


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_names_all_joints_and_is_recognised(family):
    rules = FAMILIES[family]
    assert set(rules) == set(HUMANML3D_NAMES)
    names = {part for rule in rules.values() for part in ([rule] if isinstance(rule, str) else rule[:2])}
    names = sorted(name for name in names if isinstance(name, str))
    skeleton = Skeleton(tuple(names), (-1, *[0] * (len(names) - 1)), np.ones((len(names), 3)))
    assert family_of(skeleton) == family


def test_names_are_compared_without_case_and_prefix():
    names = tuple(f"mixamorig:{name.title()}" for name in sorted(set(FAMILIES["Mixamo"].values())))  # type: ignore[type-var, union-attr]
    skeleton = Skeleton(names, (-1, *[0] * 21), np.ones((22, 3)))
    assert family_of(skeleton) == "Mixamo"
    motion = moving(skeleton)
    knee = names.index("mixamorig:Leftleg")
    np.testing.assert_array_equal(to_humanml3d(motion)[:, 4], motion.positions[:, knee])


def test_points_between_and_beside_joints_move_with_them():
    motion = moving(HUMANOID)
    found = to_humanml3d(motion)
    p = motion.positions
    np.testing.assert_allclose(found[:, 3], (p[:, 0] + p[:, 1]) / 2, atol=1e-12)  # halfway up the spine
    foot = np.linalg.norm(found[:, 10] - p[:, HUMANOID.index("left_ankle")], axis=-1)
    np.testing.assert_allclose(foot, np.hypot(0.13, 0.04))


def test_own_rules_and_faults():
    names = tuple(name.upper() + "!" for name in HUMANML3D_NAMES)
    motion = moving(Skeleton(names, HUMANML3D_PARENTS, np.ones((22, 3))))
    with pytest.raises(DataError, match=r"unknown skeleton: nearest is '.*', of which .* are missing"):
        to_humanml3d(motion)
    rules = dict(zip(HUMANML3D_NAMES, names, strict=True))
    np.testing.assert_array_equal(to_humanml3d(motion, rules=rules), motion.positions)
    with pytest.raises(DataError, match="head, nose! missing"):
        to_humanml3d(motion, rules={**{k: v for k, v in rules.items() if k != "head"}, "neck": "nose!"})


@pytest.mark.parametrize("source", ["cmu_cc", "cmu_8act", "deepmimic", "bandai"])
def test_native_rotations_give_the_shared_positions(shared_motion, shared_clips, source):
    """Up to the rounding of both files: 0.1 mm in each coordinate, 1 mm in bone lengths of native files."""
    known = {about["clip"]: p for about, p in zip(shared_clips.about, shared_clips.positions, strict=True)}
    compared = 0
    for motion in read_clips(shared_motion / f"native_{source}.npz"):
        if motion.name in known and compared < 20:
            compared += 1
            expected = known[motion.name]
            np.testing.assert_allclose(to_humanml3d(motion)[: len(expected)], expected, atol=5e-3)
            assert np.abs(to_humanml3d(motion)[: len(expected)] - expected).mean() < 1e-3
    assert compared == 20


@pytest.mark.parametrize("source", ["cmu_cc", "cmu_8act", "deepmimic", "bandai"])
def test_native_skeletons_are_mirrored_on_themselves(shared_motion, source):
    motion = next(read_clips(shared_motion / f"native_{source}.npz"))
    mirrored, other = motion.mirrored(), list(counterparts(HUMANML3D_NAMES))
    expected = to_humanml3d(motion)[:, other] * np.array([-1.0, 1, 1])
    np.testing.assert_allclose(to_humanml3d(mirrored), expected, atol=1e-9)
    np.testing.assert_allclose(
        mirrored.skeleton.offsets, motion.skeleton.offsets, atol=0.01
    )  # as symmetric as they are


@pytest.mark.parametrize(
    ("file", "clip", "start"),
    [
        ("bandai_bvh/dataset-1_walk_giant_001.bvh", "bandai/dataset-1_walk_giant_001/00", 0),
        ("cmu_cc_bvh/002_04.bvh", "cmu_cc/02_04/00", 2),  # that clip was sampled from its third frame on
        ("deepmimic/humanoid3d_walk.txt", "deepmimic/walk/00", 0),
    ],
)
def test_original_files_give_the_shared_positions(originals, shared_clips, file, clip, start):
    path = originals / file
    motion = read_bvh(path, units="cm") if path.suffix == ".bvh" else read_deepmimic(path)
    found = to_humanml3d(motion.cut(start), fps=20)
    expected = next(
        p for about, p in zip(shared_clips.about, shared_clips.positions, strict=True) if about["clip"] == clip
    )
    frames = min(len(found), len(expected))
    assert frames > 20
    moved = expected[:frames] - found[:frames]
    np.testing.assert_allclose(moved - moved[:1, :1], 0, atol=1e-3)
