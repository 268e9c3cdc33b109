r"""Contact forces that explain a motion: who carries the weight that inverse dynamics says is carried.

For every frame, forces $f_i$ at the body's surface points minimise
$|\sum_i f_i - F|^2 + |\sum_i r_i \times f_i - \tau|^2 / l^2 + \sum_i \rho_i |f_i|^2$
inside friction cones, where $(F, \tau)$ is the wrench that inverse dynamics asks for, and $\rho_i$ grows where point i
is high or fast, so is unlikely to touch. Alternating directions (ADMM): the least squares part is a system of six
unknowns a frame whatever the number of points, and the cones are independent of one another; all frames at once.

Source: Boyd et al., Distributed optimization and statistical learning via the alternating direction method of
multipliers (2011), sections 3 and 3.4.3 (over-relaxation).
"""

from __future__ import annotations

import numpy as np

from ouroloop.motion.physics.body import Body
from ouroloop.motion.physics.filters import blur
from ouroloop.motion.rotations import cross

__all__ = ["contact_forces", "contact_likelihood", "distribute"]

_FRICTION = 0.9
_ARM = 0.5  # m: what a newton metre is weighed against a newton with
_ITERATIONS = 12
_STEP, _RELAXATION = 0.3, 1.6
_TOES = slice(8, 12)  # toes carry nothing: their joint is weak


def contact_likelihood(points: np.ndarray, rate: float, smoothing: float = 0.008) -> np.ndarray:
    """How likely each surface point touches the floor, (T, n) in [0, 1]: low (3 cm) and slow (0.6 m/s)."""
    speed = np.linalg.norm(np.gradient(points, 1.0 / rate, axis=0), axis=-1)
    height = np.maximum(points[..., 2], 0.0)
    likely = np.exp(-((height / 0.03) ** 2) - (speed / 0.6) ** 2)
    likely[:, _TOES] = 0.0
    return blur(likely, smoothing * rate) if smoothing * rate > 0.3 else likely


def contact_forces(body: Body, points: np.ndarray, root: np.ndarray, wrench: np.ndarray, rate: float) -> np.ndarray:
    """Forces (T, n, 3) in N at the surface points.

    Args:
        points: (T, n, 3) m. root: (T, 3) m, where the wrench acts.
        wrench: (T, 6) N and N m, the force and torque on the root that the motion needs.
        rate: frames a second.
    """
    likely = contact_likelihood(points, rate)
    used = np.flatnonzero((likely > 0.05).any(axis=0))
    forces = np.zeros_like(points)
    if len(used):
        likely = likely[:, used]
        weight = np.where(likely > 0.05, 0.02 / np.maximum(likely, 0.02), np.inf)
        forces[:, used] = distribute(points[:, used] - root[:, None], weight, wrench)
    return forces


def distribute(arms: np.ndarray, cost: np.ndarray, wrench: np.ndarray) -> np.ndarray:
    """Forces (T, n, 3) in friction cones that come nearest a wrench at least cost.

    Args:
        arms: (T, n, 3) m from where the wrench acts. cost: (T, n), infinite where there is no contact.
        wrench: (T, 6) N and N m.
    """
    arms, wrench = arms / _ARM, wrench / np.array([1.0, 1.0, 1.0, _ARM, _ARM, _ARM])
    free = (1.0 / (cost + _STEP))[..., None]  # the inverse of the diagonal part; 0 without contact
    inverse = np.linalg.inv(_six_by_six(arms, free))

    def spread(six: np.ndarray) -> np.ndarray:
        return six[:, None, :3] + cross(six[:, None, 3:], arms)

    target = spread(wrench)
    forces = dual = np.zeros_like(arms)
    for _ in range(_ITERATIONS):
        pull = free * (target + _STEP * (forces - dual))
        total = np.concatenate([pull.sum(axis=1), cross(arms, pull).sum(axis=1)], axis=1)
        best = pull - free * spread(np.einsum("tij,tj->ti", inverse, total))
        best = _RELAXATION * best + (1.0 - _RELAXATION) * forces
        forces = _into_cone(best + dual) * (free > 0)
        dual = dual + best - forces
    return forces


def _six_by_six(arms: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Identity plus the sum over points of G d G', where G takes a force to its wrench, (T, 6, 6)."""
    total = free.sum(axis=1)[..., 0]
    moment = (free * arms).sum(axis=1)
    second = np.einsum("tni,tnj->tij", free * arms, arms)
    matrix = np.zeros((len(arms), 6, 6))
    matrix[:, [0, 1, 2], [0, 1, 2]] = total[:, None]
    skew = np.zeros((len(arms), 3, 3))
    for a, b, c in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        skew[:, b, a], skew[:, a, b] = moment[:, c], -moment[:, c]
    matrix[:, 3:, :3], matrix[:, :3, 3:] = skew, np.swapaxes(skew, 1, 2)
    matrix[:, 3:, 3:] = np.trace(second, axis1=1, axis2=2)[:, None, None] * np.eye(3) - second
    return matrix + np.eye(6)


def _into_cone(forces: np.ndarray) -> np.ndarray:
    """The nearest forces that push and stay within the friction cone."""
    up = forces[..., 2]
    sideways = np.sqrt(forces[..., 0] ** 2 + forces[..., 1] ** 2)
    inside = sideways <= _FRICTION * up
    edge = np.maximum(up + _FRICTION * sideways, 0.0) / (1.0 + _FRICTION**2)
    share = np.where(inside, 1.0, _FRICTION * edge / np.maximum(sideways, 1e-9))
    return np.stack([forces[..., 0] * share, forces[..., 1] * share, np.where(inside, up, edge)], axis=-1)
