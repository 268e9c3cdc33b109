"""Other skeletons' joints to the 22 of HumanML3D, by their names.

A rule is a joint's name; or two names and a share: the point that far from the first joint to the second, at rest,
carried by the first; or a name and an offset in metres, carried by that joint. Names are compared without regard to
case and to what stands before a colon ("mixamorig:Hips").
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import rotate
from ouroloop.motion.skeleton import HUMANML3D_NAMES, Skeleton

__all__ = ["FAMILIES", "family_of", "to_humanml3d"]

Rule = str | tuple[str, str, float] | tuple[str, tuple[float, float, float]]


def _family(middle: Mapping[str, Rule], limbs: Mapping[str, str], left: str, right: str) -> dict[str, Rule]:
    """The rules of a body: those of the middle, and those of the limbs for both sides ("?" is the side)."""
    rules: dict[str, Rule] = dict(middle)
    for side, word in (("left", left), ("right", right)):
        rules |= {f"{side}_{joint}": name.replace("?", word) for joint, name in limbs.items()}
    return rules


_SMPL_LIMBS = {j: f"?_{j}" for j in ("hip", "knee", "ankle", "foot", "collar", "shoulder", "elbow", "wrist")}
_CMU_COLLARS: dict[str, Rule] = {
    "left_collar": ("spine1", "leftarm", 0.3),
    "right_collar": ("spine1", "rightarm", 0.3),
}
_LEG_AND_ARM = {
    "hip": "?upleg", "knee": "?leg", "ankle": "?foot", "foot": "?toebase",
    "shoulder": "?arm", "elbow": "?forearm", "wrist": "?hand",
}  # fmt: skip

FAMILIES: dict[str, dict[str, Rule]] = {
    "HumanML3D": {name: name for name in HUMANML3D_NAMES},
    "SMPL": _family({n: n for n in ("pelvis", "spine1", "spine2", "spine3", "neck", "head")}, _SMPL_LIMBS, "l", "r"),
    "SMPL humanoid": _family(
        {"pelvis": "pelvis", "spine1": "torso", "spine2": "spine", "spine3": "chest", "neck": "neck", "head": "head"},
        _SMPL_LIMBS | {"foot": "?_toe", "collar": "?_thorax"},
        "l",
        "r",
    ),
    "CMU BVH": _family(
        {
            "pelvis": "hips",
            "spine1": ("lowerback", "spine", 0.5),
            "spine2": "spine",
            "spine3": "spine1",
            "neck": "neck1",
            "head": "head",
        },
        _LEG_AND_ARM,
        "left",
        "right",
    )
    | _CMU_COLLARS,
    "CMU ASF": _family(
        {
            "pelvis": "root",
            "spine1": ("lowerback", "upperback", 0.5),
            "spine2": "upperback",
            "spine3": "thorax",
            "neck": "upperneck",
            "head": "head",
        },
        {
            "hip": "?femur",
            "knee": "?tibia",
            "ankle": "?foot",
            "foot": "?toes",
            "shoulder": "?humerus",
            "elbow": "?radius",
            "wrist": "?wrist",
        },
        "l",
        "r",
    )
    | {"left_collar": ("lclavicle", "lhumerus", 0.3), "right_collar": ("rclavicle", "rhumerus", 0.3)},
    "Mixamo": _family(
        {"pelvis": "hips", "spine1": "spine", "spine2": "spine1", "spine3": "spine2", "neck": "neck", "head": "head"},
        _LEG_AND_ARM | {"collar": "?shoulder"},
        "left",
        "right",
    ),
    "Character Creator": _family(
        {
            "pelvis": "cc_base_hip",
            "spine1": "cc_base_waist",
            "spine2": "cc_base_spine01",
            "spine3": "cc_base_spine02",
            "neck": "cc_base_necktwist01",
            "head": "cc_base_head",
        },
        {
            "hip": "cc_base_?_thigh",
            "knee": "cc_base_?_calf",
            "ankle": "cc_base_?_foot",
            "foot": "cc_base_?_toebase",
            "collar": "cc_base_?_clavicle",
            "shoulder": "cc_base_?_upperarm",
            "elbow": "cc_base_?_forearm",
            "wrist": "cc_base_?_hand",
        },
        "l",
        "r",
    ),
    "Bandai Namco": _family(
        {
            "pelvis": "hips",
            "spine1": "spine",
            "spine2": ("spine", "chest", 0.5),
            "spine3": "chest",
            "neck": "neck",
            "head": "head",
        },
        {
            "hip": "upperleg_?",
            "knee": "lowerleg_?",
            "ankle": "foot_?",
            "foot": "toes_?",
            "collar": "shoulder_?",
            "shoulder": "upperarm_?",
            "elbow": "lowerarm_?",
            "wrist": "hand_?",
        },
        "l",
        "r",
    ),
    "DeepMimic": _family(
        {
            "pelvis": "root",
            "spine1": ("root", "chest", 0.5),
            "spine2": "chest",
            "spine3": ("chest", "neck", 0.5),
            "neck": "neck",
            "head": ("neck", (0.0, 0.175, 0.0)),
        },
        {j: f"?_{j}" for j in ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")},
        "left",
        "right",
    )
    | {
        "left_foot": ("left_ankle", (0.13, -0.04, 0.0)),
        "right_foot": ("right_ankle", (0.13, -0.04, 0.0)),
        "left_collar": ("chest", (-0.01, 0.191, -0.073)),
        "right_collar": ("chest", (-0.01, 0.191, 0.073)),
    },
}
"""For each known family of skeletons, the rule of each of the 22 joints."""


def _plain(name: str) -> str:
    return name.rpartition(":")[2].strip().lower()


def _needed(rules: Mapping[str, Rule]) -> set[str]:
    names = set()
    for rule in rules.values():
        names |= {rule} if isinstance(rule, str) else {part for part in rule if isinstance(part, str)}
    return names


def family_of(skeleton: Skeleton) -> str:
    """The family in `FAMILIES` all of whose joints a skeleton has.

    Raises:
        DataError: none; the message names the nearest family and what is missing of it.
    """
    have = {_plain(name) for name in skeleton.names}
    missing = {family: _needed(rules) - have for family, rules in FAMILIES.items()}
    best = min(missing, key=lambda family: len(missing[family]))
    if missing[best]:
        raise DataError(
            f"joints {', '.join(skeleton.names[:6])}, ... of an unknown skeleton: nearest is {best!r}, of which "
            f"{', '.join(sorted(missing[best]))} are missing. Known are {', '.join(FAMILIES)}; "
            f"rename the joints to those of one of them, or give rules"
        )
    return best


def to_humanml3d(motion: Motion, fps: float | None = None, rules: Mapping[str, Rule] | None = None) -> np.ndarray:
    """Positions (T, 22, 3) in metres of HumanML3D's joints in a motion of another skeleton.

    Args:
        motion: what moves.
        fps: resample to this rate first (20 for HumanML3D features).
        rules: a rule for each of `HUMANML3D_NAMES`; None finds the family by the joints' names.

    Raises:
        DataError: an unknown skeleton, or rules that lack a joint or name one that is not there.
    """
    if rules is None:
        rules = FAMILIES[family_of(motion.skeleton)]
    if fps is not None and fps != motion.fps:
        motion = motion.resampled(fps)
    skeleton = motion.skeleton
    where = {_plain(name): i for i, name in enumerate(skeleton.names)}
    missing = [*sorted(set(HUMANML3D_NAMES) - set(rules)), *sorted({_plain(n) for n in _needed(rules)} - set(where))]
    if missing:
        raise DataError(f"rules for HumanML3D's joints: {', '.join(missing)} missing in the rules or the skeleton")
    positions, world = skeleton.poses(motion.root, motion.rotations)
    rest = skeleton.forward(np.zeros(3), np.tile([1.0, 0, 0, 0], (len(skeleton), 1)))
    out = np.empty((len(motion), 22, 3))
    for i, name in enumerate(HUMANML3D_NAMES):
        rule = rules[name]
        if isinstance(rule, str):
            out[:, i] = positions[:, where[_plain(rule)]]
            continue
        base = where[_plain(rule[0])]
        if len(rule) == 3:
            offset = rule[2] * (rest[where[_plain(rule[1])]] - rest[base])
        else:
            offset = np.asarray(rule[1], dtype=np.float64)
        out[:, i] = positions[:, base] + rotate(world[:, base], offset)
    return out
