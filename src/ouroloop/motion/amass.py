"""AMASS npz files: parameters of the SMPL body model, z up.

``poses`` (T, 66 or more) are rotation vectors of the joints, of which the first 22 are HumanML3D's; ``trans`` (T, 3)
moves the body. Where the joints are is for the body model to say, which is not free to pass on. So the positions come
from the file itself where it carries ``joints`` (T, 22 or more, 3), or from a skeleton that you give.

Source: Mahmood et al., "AMASS" (arXiv 1904.03278).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.archives import load_npz
from ouroloop.motion.inverse_kinematics import motion_from_positions
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import from_rotation_vector
from ouroloop.motion.skeleton import HUMANML3D_PARENTS, Skeleton
from ouroloop.motion.units import UpAxis, check_size, y_up

__all__ = ["read_amass"]

_RATES = ("mocap_framerate", "mocap_frame_rate")


def read_amass(
    path: Path | str, skeleton: Skeleton | None = None, *, up: UpAxis = "z", fps: float | None = None
) -> Motion:
    """The motion in an AMASS file.

    Args:
        path: the file.
        skeleton: 22 joints of the body in the body model's rest pose (y up, facing z, arms to the sides): its
            ``offsets[0]`` is the pelvis at rest, which the model adds to the translation.
        up: the file's vertical axis.
        fps: frames per second, where the file does not say.

    Raises:
        DataError: a damaged file, fields that are missing or do not fit, neither joints nor skeleton.
    """
    path = Path(path)
    arrays = load_npz(path)
    rates = [float(arrays[name]) for name in _RATES if name in arrays]
    if fps is None and not rates:
        raise DataError(f"{path}: no {' or '.join(_RATES)}; give fps")
    rate = fps if fps is not None else rates[0]
    if "joints" in arrays and skeleton is None:
        joints = np.asarray(arrays["joints"], dtype=np.float64)
        if joints.ndim != 3 or joints.shape[1] < 22 or joints.shape[2] != 3:
            raise DataError(f"{path}: joints {joints.shape}; expected (frames, 22 or more, 3)")
        joints = y_up(joints[:, :22], np.array([1.0, 0, 0, 0]), up)[0]
        return motion_from_positions(joints, rate, name=path.stem)
    poses, trans = arrays.get("poses"), arrays.get("trans")
    if poses is None or trans is None or poses.ndim != 2 or poses.shape[1] < 66 or trans.shape != (len(poses), 3):
        shapes = {name: getattr(arrays.get(name), "shape", None) for name in ("poses", "trans")}
        raise DataError(f"{path}: got {shapes}; expected poses (frames, 66 or more) and trans (frames, 3)")
    if skeleton is None:
        raise DataError(
            f"{path}: holds rotations alone. Where the joints are is for the SMPL body model to say, which is not free "
            f"to pass on: give skeleton=..., 22 joints measured from your copy of it, or store its joints in the file"
        )
    if skeleton.parents != HUMANML3D_PARENTS:
        raise DataError(f"{path}: a skeleton of {len(skeleton)} joints; expected the 22 joints of HumanML3D")
    check_size(skeleton.longest_path, "skeleton")
    rotations = from_rotation_vector(poses[:, :66].astype(np.float64).reshape(-1, 22, 3))
    root, rotations[:, 0] = y_up(trans + skeleton.offsets[0], rotations[:, 0], up)
    return Motion(skeleton, root, rotations, rate, name=path.stem, source="AMASS")
