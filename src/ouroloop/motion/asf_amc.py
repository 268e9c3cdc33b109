"""ASF/AMC files of the CMU motion capture library: a skeleton in one file, movements of it in others.

A bone of the ASF file becomes the joint at its *start*: "lfemur" is the left hip, "ltibia" the knee. The ends of the
last bones (toe tips, finger tips, crown) are not joints, and are dropped. AMC files do not tell their frame rate:
the CMU library's is 120 frames a second for most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import conjugate, from_euler, multiply
from ouroloop.motion.skeleton import Skeleton
from ouroloop.motion.text_file import number, read_lines
from ouroloop.motion.units import METRES, UpAxis, check_size, metres_per_unit, y_up

__all__ = ["Asf", "find_asf", "read_amc", "read_asf"]


@dataclass(frozen=True)
class _Bone:
    name: str
    reach: np.ndarray  # from its start to its end, in the file's units
    axis: np.ndarray  # quaternion of the frame in which its angles are measured
    dof: tuple[str, ...]


@dataclass(frozen=True)
class Asf:
    """A skeleton file: joints in the file's units, and what is needed to read its AMC files.

    Args:
        path: the file.
        skeleton: joints at the bones' starts, offsets in the file's units.
        bones: by joint.
        length: the file's unit of length (":units length").
        degrees: whether angles are in degrees.
    """

    path: Path
    skeleton: Skeleton
    bones: tuple[_Bone, ...] = field(repr=False)
    length: float
    degrees: bool


def find_asf(path: Path) -> Path:
    """The skeleton file of an AMC file: ``05.asf`` for ``05_01.amc``, or the only .asf in its folder.

    Raises:
        DataError: there is none, or several and none of that name.
    """
    found = sorted(p for p in path.parent.iterdir() if p.suffix.lower() == ".asf")
    named = [p for p in found if path.stem.rpartition("_")[0] == p.stem]
    if len(named or found) != 1:
        raise DataError(
            f"{path}: needs its skeleton, an .asf file in the same folder; found "
            f"{', '.join(p.name for p in found) or 'none'}; say which with asf=..."
        )
    return (named or found)[0]


def _rotation(angles: np.ndarray, order: str) -> np.ndarray:
    """Turns about fixed axes, in that order: the last is applied last."""
    return from_euler(np.asarray(angles)[..., ::-1], order[::-1])


def read_asf(path: Path | str) -> Asf:
    """Read a skeleton file.

    Raises:
        DataError: a file that cannot be read or does not fit the format, with file and line.
    """
    path = Path(path)
    sections: dict[str, list[tuple[int, list[str]]]] = {}
    current: list[tuple[int, list[str]]] | None = None
    for at, line in enumerate(read_lines(path), start=1):
        words = line.split("#")[0].split()
        if words and words[0].startswith(":"):
            current = sections.setdefault(words[0].lower(), [])
        elif words and current is not None:
            current.append((at, words))
    for section in (":units", ":root", ":bonedata", ":hierarchy"):
        if section not in sections:
            raise DataError(f"{path}: no section {section!r}; is this an ASF file, and complete?")
    units = {words[0].lower(): (at, words[-1]) for at, words in sections[":units"]}
    degrees = units.get("angle", (0, "deg"))[1].lower().startswith("deg")
    at, length = units.get("length", (0, "1"))
    bones = {"root": _root_bone(path, sections[":root"], degrees)}
    for bone in _bones(path, sections[":bonedata"], degrees):
        bones[bone.name] = bone
    names, parents = _hierarchy(path, sections[":hierarchy"], bones)
    offsets = np.zeros((len(names), 3))
    for joint, parent in enumerate(parents[1:], start=1):
        offsets[joint] = bones[names[parent]].reach
    skeleton = Skeleton(tuple(names), tuple(parents), offsets)
    return Asf(path, skeleton, tuple(bones[name] for name in names), number(length, f"{path}:{at}"), degrees)


def _root_bone(path: Path, lines: list[tuple[int, list[str]]], degrees: bool) -> _Bone:
    found = {words[0].lower(): (at, words[1:]) for at, words in lines}
    order = found.get("order", (0, ["TX", "TY", "TZ", "RX", "RY", "RZ"]))[1]
    at, orientation = found.get("orientation", (0, ["0", "0", "0"]))
    axis = found.get("axis", (0, ["XYZ"]))[1][0]
    values = np.array([number(word, f"{path}:{at}") for word in orientation])
    turn = _rotation(np.deg2rad(values) if degrees else values, axis)
    return _Bone("root", np.zeros(3), turn, tuple(word.lower() for word in order))


def _bones(path: Path, lines: list[tuple[int, list[str]]], degrees: bool) -> list[_Bone]:
    bones, entry, start = [], {}, 0
    for at, words in lines:
        match words[0].lower():
            case "begin":
                entry, start = {}, at
            case "end":
                bones.append(_bone(path, start, entry, degrees))
            case key:
                entry[key] = words[1:]
    return bones


def _bone(path: Path, line: int, entry: dict[str, list[str]], degrees: bool) -> _Bone:
    where = f"{path}:{line}"
    for key, count in (("name", 1), ("direction", 3), ("length", 1), ("axis", 4)):
        if len(entry.get(key, [])) != count:
            raise DataError(f"{where}: bone {' '.join(entry.get('name', ['?']))}: expected {count} values of {key!r}")
    direction = np.array([number(word, where) for word in entry["direction"]])
    angles = np.array([number(word, where) for word in entry["axis"][:3]])
    turn = _rotation(np.deg2rad(angles) if degrees else angles, entry["axis"][3])
    reach = direction * number(entry["length"][0], where)
    return _Bone(entry["name"][0], reach, turn, tuple(word.lower() for word in entry.get("dof", [])))


def _hierarchy(path: Path, lines: list[tuple[int, list[str]]], bones: dict[str, _Bone]) -> tuple[list[str], list[int]]:
    names, parents = ["root"], [-1]
    for at, words in lines:
        if words[0].lower() in ("begin", "end"):
            continue
        for word in words:
            if word not in bones:
                raise DataError(f"{path}:{at}: no bone {word!r} in :bonedata")
        if words[0] not in names:
            raise DataError(f"{path}:{at}: {words[0]!r} has children before it has a parent")
        parents += [names.index(words[0])] * (len(words) - 1)
        names += words[1:]
    return names, parents


def read_amc(
    path: Path | str,
    asf: Path | str | Asf | None = None,
    *,
    units: str | None = None,
    up: UpAxis = "y",
    fps: float = 120.0,
) -> Motion:
    """The motion in an AMC file.

    Args:
        path: the file.
        asf: its skeleton; None looks in the same folder (`find_asf`).
        units: the unit of lengths, a key of `ouroloop.motion.units.METRES`; None takes the skeleton's word for it:
            inches, divided by its ":units length".
        up: the vertical axis.
        fps: frames per second; the file does not say.

    Raises:
        DataError: files that cannot be read or do not fit each other or the format, with file and line.
    """
    path = Path(path)
    asf = asf if isinstance(asf, Asf) else read_asf(find_asf(path) if asf is None else asf)
    values = _frames(path, asf)
    size = asf.skeleton.longest_path
    if units is None:
        factor = METRES["in"] / asf.length
        check_size(size * factor, f"{asf.path}, in inches / {asf.length:g}")
    else:
        factor = metres_per_unit(units, size, str(asf.path))
    frames = len(next(iter(values.values())))
    rotations = np.zeros((frames, len(asf.bones), 4))
    rotations[..., 0] = 1
    root = np.zeros((frames, 3))
    for joint, bone in enumerate(asf.bones):
        if bone.name not in values:
            continue
        table = values[bone.name]
        turns = [i for i, dof in enumerate(bone.dof) if dof[0] == "r"]
        angles = np.deg2rad(table[:, turns]) if asf.degrees else table[:, turns]
        full = np.zeros((frames, 3))
        full[:, : len(turns)] = angles
        letters = "".join(bone.dof[i][1].upper() for i in turns)
        order = letters + "".join(axis for axis in "XYZ" if axis not in letters)
        rotations[:, joint] = multiply(bone.axis, multiply(_rotation(full, order), conjugate(bone.axis)))
        if joint == 0:
            for i, dof in enumerate(bone.dof):
                if dof[0] == "t":
                    root[:, "xyz".index(dof[1])] = table[:, i]
            rotations[:, 0] = multiply(bone.axis, _rotation(full, order))
    root, rotations[:, 0] = y_up(root * factor, rotations[:, 0], up)
    return Motion(asf.skeleton.scaled(factor), root, rotations, fps, name=path.stem, source=path.name)


def _frames(path: Path, asf: Asf) -> dict[str, np.ndarray]:
    """Numbers (T, degrees of freedom) of every bone that moves."""
    freedom = {bone.name: len(bone.dof) for bone in asf.bones if bone.dof}
    words: dict[str, list[list[str]]] = {name: [] for name in freedom}
    frame, line_of_frame = 0, 0
    for at, line in enumerate(read_lines(path), start=1):
        parts = line.split()
        if not parts or parts[0][0] in "#:":
            continue
        if len(parts) == 1 and parts[0].isdigit():
            _complete(path, line_of_frame, words, frame)
            frame, line_of_frame = frame + 1, at
        elif frame == 0:
            raise DataError(f"{path}:{at}: expected a frame number, got {line.strip()[:40]!r}")
        elif parts[0] not in freedom:
            raise DataError(
                f"{path}:{at}: {asf.path.name} has no moving bone {parts[0]!r}; is it this file's skeleton?"
            )
        elif len(parts) != freedom[parts[0]] + 1 or len(words[parts[0]]) == frame:
            raise DataError(
                f"{path}:{at}: bone {parts[0]!r}: {len(parts) - 1} numbers, expected {freedom[parts[0]]} once a frame"
            )
        else:
            words[parts[0]].append(parts[1:])
    if frame == 0:
        raise DataError(f"{path}: no frames")
    _complete(path, line_of_frame, words, frame)
    values = {}
    for name, rows in words.items():
        try:
            values[name] = np.array(rows, dtype=np.float64)
        except ValueError:
            bad = next(word for row in rows for word in row if not re.fullmatch(r"[-+\d.eE]+", word))
            raise DataError(f"{path}: bone {name!r}: {bad!r} is no number") from None
    return values


def _complete(path: Path, line: int, words: dict[str, list[list[str]]], frame: int) -> None:
    missing = [name for name, rows in words.items() if len(rows) != frame]
    if missing:
        raise DataError(f"{path}:{line}: frame {frame} lacks {', '.join(missing)}; is the file cut off?")
