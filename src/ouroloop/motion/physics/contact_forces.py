r"""Contact forces that explain a motion: who carries the weight that inverse dynamics says is carried.

For every frame, forces $f_i$ at the body's surface points minimise
$|\sum_i f_i - F|^2 + |\sum_i r_i \times f_i - \tau|^2 / l^2 + \sum_i \rho_i |f_i|^2$
inside friction cones, where $(F, \tau)$ is the wrench on the root that inverse dynamics asks for, and $\rho_i$ grows
where point i is high or fast, so is unlikely to touch. Accelerated projected gradient, all frames at once.

Source: Nesterov, A method of solving a convex programming problem with convergence rate O(1/k^2) (1983).
"""

from __future__ import annotations

import numpy as np

from ouroloop.motion.physics.body import Body
from ouroloop.motion.physics.filters import blur
from ouroloop.motion.rotations import cross

__all__ = ["contact_forces", "contact_likelihood"]

_FRICTION = 0.9
_ARM = 1.5  # m: what a newton metre is weighed against a newton with
_TOES = slice(8, 12)  # toes carry nothing: their joint is weak


def contact_likelihood(points: np.ndarray, rate: float, smoothing: float = 0.008) -> np.ndarray:
    """How likely each surface point touches the floor, (T, n) in [0, 1]: low (3 cm) and slow (0.6 m/s)."""
    speed = np.linalg.norm(np.gradient(points, 1.0 / rate, axis=0), axis=-1)
    height = np.maximum(points[..., 2], 0.0)
    likely = np.exp(-((height / 0.03) ** 2) - (speed / 0.6) ** 2)
    likely[:, _TOES] = 0.0
    return blur(likely, smoothing * rate) if smoothing * rate > 0.3 else likely


def contact_forces(
    body: Body, points: np.ndarray, root: np.ndarray, wrench: np.ndarray, rate: float, iterations: int = 30
) -> np.ndarray:
    """Forces (T, n, 3) in N at the surface points.

    Args:
        points: (T, n, 3) m. root: (T, 3) m, where the wrench acts.
        wrench: (T, 6) N and N m, the force and torque on the root that the motion needs.
        rate: frames a second.
    """
    likely = contact_likelihood(points, rate)
    used = np.flatnonzero((likely > 0.05).any(axis=0))
    forces = np.zeros_like(points)
    if len(used) == 0:
        return forces
    likely = likely[:, used]
    touching = (likely > 0.05)[..., None]
    arms = (points[:, used] - root[:, None]) / _ARM
    target = wrench * np.array([1.0, 1.0, 1.0, 1.0 / _ARM, 1.0 / _ARM, 1.0 / _ARM])
    cost = (0.02 / np.maximum(likely, 0.02))[..., None]
    count = np.maximum(touching.sum(axis=1), 1)[:, None]
    step = 1.0 / (count * (1.0 + (arms**2).sum(axis=-1).max(axis=1)[:, None, None]) + 1.0)
    current = lead = np.zeros_like(arms)
    momentum = 1.0
    for _ in range(iterations):
        error_force = lead.sum(axis=1) - target[:, :3]
        error_torque = cross(arms, lead).sum(axis=1) - target[:, 3:]
        gradient = error_force[:, None] + cross(error_torque[:, None], arms) + cost * lead
        moved = _into_cone((lead - step * gradient) * touching)
        following = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        lead = moved + (momentum - 1.0) / following * (moved - current)
        current, momentum = moved, following
    forces[:, used] = current
    return forces


def _into_cone(forces: np.ndarray) -> np.ndarray:
    """Forces that push and stay within the friction cone (the horizontal part is shortened)."""
    up = np.maximum(forces[..., 2], 0.0)
    sideways = np.sqrt(forces[..., 0] ** 2 + forces[..., 1] ** 2)
    share = np.minimum(1.0, _FRICTION * up / np.maximum(sideways, 1e-9))
    return np.stack([forces[..., 0] * share, forces[..., 1] * share, up], axis=-1)
