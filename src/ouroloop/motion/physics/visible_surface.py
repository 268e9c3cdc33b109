"""The body's surface as far as joint positions show it: no rotation of a bone about itself, no roll of a foot."""

from __future__ import annotations

import numpy as np

from ouroloop.motion.physics.body import Body, limb_capsules
from ouroloop.motion.rotations import cross, normalise

__all__ = ["VISIBLE_SOLES", "visible_surface"]

VISIBLE_SOLES = 4
"""How many of the points are those of soles: left heel, left ball, right heel, right ball."""

_UP = np.array([0.0, 0.0, 1.0])
_HANDS_FROM = 20  # the joints of the wrists: hands beyond them are not seen


def visible_surface(body: Body, positions: np.ndarray) -> np.ndarray:
    """Lowest points (T, n, 3) in m of spheres along trunk, head and limbs; soles first.

    Args:
        positions: (T, 22, 3) m in the simulator's axes (z up).
    """
    points, radii = _soles(body, positions)
    for centre, radius in (*_trunk(body, positions), *_limbs(body, positions)):
        points.append(centre)
        radii.append(radius)
    surface = np.stack(points, axis=1)
    surface[..., 2] -= np.array(radii)
    return surface


def _soles(body: Body, positions: np.ndarray) -> tuple[list[np.ndarray], list[float]]:
    """Heel and ball of feet that do not roll: the foot's lateral axis is level."""
    scale, points = body.scale, []
    for ankle, foot, hip, other in ((7, 10, 1, 2), (8, 11, 2, 1)):
        along = positions[:, foot] - positions[:, ankle]
        lateral = cross(_UP, along)
        steep = np.linalg.norm(lateral, axis=1) < 0.1 * np.linalg.norm(along, axis=1)
        if steep.any():  # a foot that points straight down: its lateral axis is that of the pelvis
            side = 1.0 if hip < other else -1.0
            lateral[steep] = side * (positions[steep, hip] - positions[steep, other])
        lateral = normalise(lateral)
        forward_rest, _, down_rest = body.offsets[foot]
        # the frame about the lateral axis in which the seen foot is (forward_rest, 0, down_rest)
        direction = normalise(along)
        normal = cross(lateral, direction)
        length = np.hypot(forward_rest, down_rest)
        forward = (forward_rest * direction + down_rest * normal) / length
        up = (down_rest * direction - forward_rest * normal) / length
        points.append(positions[:, ankle] - 0.045 * scale * forward + down_rest * up)
        points.append(positions[:, foot])
    return points, [body.ball_radius] * VISIBLE_SOLES


def _trunk(body: Body, positions: np.ndarray) -> list[tuple[np.ndarray, float]]:
    scale = body.scale
    pelvis = [positions[:, 0] + (positions[:, hip] - positions[:, 0]) * 0.75 for hip in (1, 2)]
    spine = [(positions[:, joint] + positions[:, child]) / 2.0 for joint, child in ((3, 6), (6, 9))]
    chest = positions[:, 9] + 0.45 * (positions[:, 12] - positions[:, 9])
    across = normalise(positions[:, 13] - positions[:, 14]) * 0.07 * scale
    head = positions[:, 15] + normalise(positions[:, 15] - positions[:, 12]) * 0.06 * scale
    return [
        *((point, 0.095 * scale) for point in pelvis),
        *((point, 0.10 * scale) for point in spine),
        (chest + across, 0.11 * scale),
        (chest - across, 0.11 * scale),
        (head, 0.095 * scale),
    ]


def _limbs(body: Body, positions: np.ndarray) -> list[tuple[np.ndarray, float]]:
    points = []
    for joint, child, (radius, start, end) in limb_capsules():
        bone = positions[:, child] - positions[:, joint]
        points += [(positions[:, joint] + share * bone, radius * body.scale) for share in (start, end)]
    points += [(positions[:, wrist], 0.028 * body.scale) for wrist in (_HANDS_FROM, _HANDS_FROM + 1)]
    return points
