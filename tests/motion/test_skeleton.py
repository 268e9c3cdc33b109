from __future__ import annotations

import numpy as np
import pytest

from ouroloop.errors import DataError
from ouroloop.motion.rotations import about_y, from_matrix, normalise, to_matrix
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS, Skeleton

ARM = Skeleton(("shoulder", "elbow", "wrist"), (-1, 0, 1), np.array([[0, 0, 0], [1.0, 0, 0], [0.5, 0, 0]]))


def test_forward_kinematics_by_hand():
    quarter = about_y(np.pi / 2)  # takes +x to -z
    rotations = np.stack([quarter, quarter, [1.0, 0, 0, 0]])
    positions = ARM.forward(np.array([1.0, 2, 3]), rotations)
    np.testing.assert_allclose(positions, [[1, 2, 3], [1, 2, 2], [0.5, 2, 2]], atol=1e-12)


def test_forward_kinematics_equals_products_of_homogeneous_matrices():
    rng = np.random.default_rng(0)
    skeleton = Skeleton(HUMANML3D_NAMES, HUMANML3D_PARENTS, rng.standard_normal((22, 3)))
    root, rotations = rng.standard_normal((5, 3)), normalise(rng.standard_normal((5, 22, 4)))
    positions, world = skeleton.poses(root, rotations)
    for frame in range(5):
        matrices: list[np.ndarray] = []
        for joint, parent in enumerate(HUMANML3D_PARENTS):
            local = np.eye(4)
            local[:3, :3] = to_matrix(rotations[frame, joint])
            local[:3, 3] = root[frame] if joint == 0 else skeleton.offsets[joint]
            matrices.append(local if joint == 0 else matrices[parent] @ local)
            np.testing.assert_allclose(positions[frame, joint], matrices[joint][:3, 3], atol=1e-12)
            q = from_matrix(matrices[joint][:3, :3])
            np.testing.assert_allclose(abs((q * world[frame, joint]).sum()), 1)


def test_batches_of_clips_are_allowed():
    rng = np.random.default_rng(0)
    root, rotations = rng.standard_normal((2, 4, 3)), normalise(rng.standard_normal((2, 4, 3, 4)))
    both = ARM.forward(root, rotations)
    np.testing.assert_array_equal(both[1], ARM.forward(root[1], rotations[1]))


def test_equal_skeletons_hash_alike():
    twin = Skeleton(ARM.names, ARM.parents, ARM.offsets * np.array([1, -1, -1]))  # -0.0 is 0.0
    assert twin == ARM
    assert hash(twin) == hash(ARM)
    assert ARM.scaled(2) != ARM
    assert len({ARM, twin, ARM.scaled(2)}) == 2


def test_lengths_children_and_the_longest_path():
    np.testing.assert_allclose(ARM.bone_lengths, [0, 1, 0.5])
    assert ARM.children == ((1,), (2,), ())
    assert ARM.longest_path == pytest.approx(1.5)
    star = Skeleton(("a", "b", "c", "d"), (-1, 0, 0, 0), np.diag([1.0, 2, 3, 4])[:, 1:])
    assert star.longest_path == pytest.approx(7)


def test_offsets_cannot_be_changed_from_outside():
    offsets = np.ones((1, 3))
    skeleton = Skeleton(("a",), (-1,), offsets)
    offsets[:] = 5
    np.testing.assert_array_equal(skeleton.offsets, 1)
    with pytest.raises(ValueError, match="read-only"):
        skeleton.offsets[0] = 2


@pytest.mark.parametrize(
    ("names", "parents", "offsets", "message"),
    [
        ((), (), np.zeros((0, 3)), "got 0 names"),
        (("a", "b"), (-1,), np.zeros((2, 3)), "got 2 names, 1 parents"),
        (("a",), (-1,), np.zeros((2, 3)), "offsets of shape"),
        (("a", "a"), (-1, 0), np.zeros((2, 3)), "more than once"),
        (("a", "b"), (0, -1), np.zeros((2, 3)), "joint 0"),
        (("a", "b"), (-1, -1), np.zeros((2, 3)), r"joint 1 \('b'\) has parent -1"),
        (("a", "b", "c"), (-1, 2, 0), np.zeros((3, 3)), r"joint 1 \('b'\) has parent 2"),
        (("a", "b"), (-1, 0), np.array([[0, 0, 0], [0, np.nan, 0]]), "'b' is not finite"),
    ],
)
def test_faulty_skeletons_are_refused(names, parents, offsets, message):
    with pytest.raises(DataError, match=message):
        Skeleton(names, parents, offsets)


def test_faults_in_use():
    with pytest.raises(DataError, match="expected"):
        ARM.forward(np.zeros((2, 3)), np.zeros((2, 4, 4)))
    with pytest.raises(DataError, match="no joint 'knee'; this skeleton has shoulder, elbow, wrist"):
        ARM.index("knee")
    assert ARM.index("wrist") == 2
