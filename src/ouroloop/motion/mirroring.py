"""Mirrored copies: a left-handed wave becomes a right-handed one.

The world is reflected at the plane x = 0 and left joints take over from right ones. Joint frames must be reflected
too, or rotations would not stay rotations; which way is chosen for each joint so that the mirrored skeleton's offsets
come out as close as possible to the original's. The mirrored positions are exact in any case.
"""

from __future__ import annotations

import re

import numpy as np

from ouroloop.motion.rotations import multiply
from ouroloop.motion.skeleton import Skeleton

__all__ = ["counterparts", "mirror"]

# the improper sign flips: reflections at the three planes, and at the origin
_FLIPS = np.array([[-1.0, 1.0, 1.0], [1.0, -1.0, 1.0], [1.0, 1.0, -1.0], [-1.0, -1.0, -1.0]])
_SWAPS = (
    (re.compile(r"left", re.IGNORECASE), "right"),
    (re.compile(r"right", re.IGNORECASE), "left"),
    (re.compile(r"(?<![a-z])l(?![a-z])|^l", re.IGNORECASE), "r"),
    (re.compile(r"(?<![a-z])r(?![a-z])|^r", re.IGNORECASE), "l"),
)


def _renamed(name: str, pattern: re.Pattern[str], to: str) -> str:
    def replace(match: re.Match[str]) -> str:
        found = match.group()
        return to.upper() if found.isupper() else to.capitalize() if found[0].isupper() else to

    return pattern.sub(replace, name, count=1)


def counterparts(names: tuple[str, ...]) -> tuple[int, ...]:
    """For each joint the index of the one on the other side of the body, by name; its own where there is none.

    Understands left/right in any case, and a single l or r set apart or in front ("L_Hip", "Foot_L", "lfemur").
    """
    where = {name: i for i, name in enumerate(names)}
    result = list(range(len(names)))
    for i, name in enumerate(names):
        for pattern, other_side in _SWAPS:
            j = where.get(_renamed(name, pattern, other_side), i) if pattern.search(name) else i
            if j != i:
                result[i], result[j] = j, i
                break
    return tuple(result)


def _flips(skeleton: Skeleton, other: tuple[int, ...]) -> np.ndarray:
    """(J, 3) signs of the axes of each joint's frame; a tie is settled as at the parent."""
    flips = np.empty((len(skeleton), 3))
    for joint, children in enumerate(skeleton.children):
        usual = flips[skeleton.parents[joint]] if joint else _FLIPS[0]
        candidates = np.concatenate([usual[None], _FLIPS])
        here = skeleton.offsets[list(children)]
        there = skeleton.offsets[[other[child] for child in children]]
        misfit = np.abs(candidates[:, None] * there - here).sum(axis=(1, 2)) if children else np.zeros(len(candidates))
        misfit[0] -= 1e-3  # metres: prefer the parent's way to a better fit within rounding
        flips[joint] = candidates[np.argmin(misfit)]
    return flips


def _half_turn(signs: np.ndarray) -> np.ndarray:
    """The quaternion of a diagonal rotation matrix with entries +-1."""
    if signs.sum() > 2:
        return np.array([1.0, 0.0, 0.0, 0.0])
    return np.concatenate([[0.0], (signs > 0).astype(np.float64)])


def _reflected(q: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """S R S of a rotation R and a reflection S = diag(signs)."""
    return q * np.concatenate([[1.0], signs * np.prod(signs)])


def mirror(skeleton: Skeleton, root: np.ndarray, rotations: np.ndarray) -> tuple[Skeleton, np.ndarray, np.ndarray]:
    """The mirrored skeleton, root (..., 3) and local rotations (..., J, 4)."""
    other, world = counterparts(skeleton.names), _FLIPS[0]
    flips = _flips(skeleton, other)
    mirrored = np.empty_like(rotations)
    offsets = np.empty_like(skeleton.offsets)
    for joint, parent in enumerate(skeleton.parents):
        outer = flips[parent] if joint else world
        # outer R inner = (outer R outer)(outer inner), the second a half turn or nothing
        q = _reflected(rotations[..., other[joint], :], outer)
        mirrored[..., joint, :] = multiply(q, _half_turn(outer * flips[joint]))
        offsets[joint] = outer * skeleton.offsets[other[joint]]
    return Skeleton(skeleton.names, skeleton.parents, offsets), root * world, mirrored
