"""Motions as strips of stick figures: what is seen without JavaScript, in print and beside every generation."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from ouroloop.motion.humanml3d import FEATURES, decode
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS
from ouroloop.report.draw import tag

__all__ = ["BONES", "is_motion", "joints_of", "lengths_of", "strip_svg"]

BONES = tuple((HUMANML3D_PARENTS[joint], joint) for joint in range(1, len(HUMANML3D_PARENTS)))
"""Joints at the two ends of each bone."""
_POSES = 7
_UNITS = 60.0  # SVG units a metre at most
_SLOT, _TALL, _GROUND = 70, 130, 118
_TURN = np.radians(35.0)  # the viewer stands to the front and left
_FARTHEST_M = 32.0


def is_motion(x: np.ndarray) -> bool:
    """Whether rows are motions: (n, frames, 263) numbers."""
    return x.ndim == 3 and x.shape[2] == FEATURES and x.dtype.kind == "f" and len(x) > 0


def lengths_of(x: np.ndarray, length: np.ndarray | None) -> np.ndarray:
    """Frames of each motion, int (n,): the column `length`, or up to the last frame that is not zero; at least 1."""
    if length is not None and length.shape == (len(x),) and length.dtype.kind in "iu":
        return np.clip(length.astype(np.int64), 1, x.shape[1])
    filled = (x != 0).any(axis=2)
    return np.where(filled.any(axis=1), x.shape[1] - np.argmax(filled[:, ::-1], axis=1), 1)


def joints_of(features: np.ndarray) -> np.ndarray:
    """Joint positions (T, 22, 3), metres, y up, of one motion's features (T, 263); what is not finite lies at 0."""
    features = np.nan_to_num(features.astype(np.float64), nan=0.0, posinf=_FARTHEST_M, neginf=-_FARTHEST_M)
    return np.clip(decode(features), -_FARTHEST_M, _FARTHEST_M)


def strip_svg(joints: np.ndarray, css: str, label: str) -> Markup:
    """Seven moments of a motion side by side, each seen from its front left, on the floor at height 0.

    Args:
        joints: positions (T, 22, 3).
        css: class of the colour.
        label: what it shows, for those who cannot see it.
    """
    moments = np.linspace(0, len(joints) - 1, _POSES).round().astype(int)
    units = min(_UNITS, (_GROUND - 4) / max(float(joints[moments, :, 1].max()), 0.1))  # climbers are drawn smaller
    lines = {"near": "", "far": ""}
    for slot, pose in enumerate(joints[moments]):
        flat = _seen(pose)
        pixels = np.column_stack([_SLOT * (slot + 0.5) + units * flat[:, 0], _GROUND - units * flat[:, 1]])
        pixels = np.clip(pixels, -_SLOT, _SLOT * (_POSES + 1)).round().astype(int)
        for side, bones in _SIDES.items():
            lines[side] += "".join(f"M{pixels[a, 0]} {pixels[a, 1]}L{pixels[b, 0]} {pixels[b, 1]}" for a, b in bones)
    width = _SLOT * _POSES
    return tag(
        "svg",
        tag("title", label),
        tag("path", class_="floor-line", d=f"M0 {_GROUND}H{width}"),
        tag("path", class_="limbs far", d=lines["far"]),
        tag("path", class_="limbs", d=lines["near"]),
        class_=f"strip {css}",
        viewBox=f"0 0 {width} {_TALL}",
        role="img",
    )


def _seen(pose: np.ndarray) -> np.ndarray:
    """A pose (22, 3) from the side it is best seen from: metres to the right of the pelvis and above the floor."""
    across = pose[1] - pose[2]  # from the right hip to the left
    heading = np.arctan2(-across[2], across[0]) + _TURN
    x = (pose[:, 0] - pose[0, 0]) * np.cos(heading) - (pose[:, 2] - pose[0, 2]) * np.sin(heading)
    return np.column_stack([x, pose[:, 1]])


_SIDES = {
    "near": [b for b in BONES if not HUMANML3D_NAMES[b[1]].startswith("right")],
    "far": [b for b in BONES if HUMANML3D_NAMES[b[1]].startswith("right")],
}
