"""BVH files: a hierarchy of joints with offsets, and positions and Euler angles frame by frame.

What the format leaves open is settled so. Rotation channels are intrinsic, in the order in which they stand. A
position channel of a joint below the root *replaces* the offset; one of the root replaces it or is *added* to it,
whichever brings the lowest joint of the clip nearer to height 0 (files of both kinds exist). Joints below the root
that slide get their median offset, for our bones are rigid. A root that never moves and has one child that does is
merged with it. End sites are not joints and are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ouroloop.errors import DataError
from ouroloop.motion.motion import Motion
from ouroloop.motion.rotations import multiply, rotate, to_euler
from ouroloop.motion.skeleton import Skeleton
from ouroloop.motion.text_file import number, number_table, read_lines, save_bytes
from ouroloop.motion.units import METRES, UpAxis, metres_per_unit, y_up

__all__ = ["read_bvh", "write_bvh"]

_CHANNELS = {f"{axis}{kind}".lower(): (kind, i) for kind in ("position", "rotation") for i, axis in enumerate("XYZ")}
_STILL = 1e-3  # of the body's size: a root that moves less than this does not move


@dataclass
class _Joint:
    name: str
    parent: int
    line: int
    offset: list[float] | None = None
    channels: list[tuple[str, int]] = field(default_factory=list)


def read_bvh(path: Path | str, *, units: str | None = None, up: UpAxis = "y", fps: float | None = None) -> Motion:
    """The motion in a BVH file.

    Args:
        path: the file.
        units: its unit of length, a key of `ouroloop.motion.units.METRES`; None guesses from the body, with a warning.
        up: its vertical axis.
        fps: frames per second, where the file's own frame time is wrong.

    Raises:
        DataError: a file that cannot be read or does not fit the format, with file and line; a body of no human size.
    """
    path = Path(path)
    lines = read_lines(path)
    joints, at = _hierarchy(path, lines)
    file_fps, frames, at = _motion_header(path, lines, at)
    table = number_table(path, lines[at:], at + 1, sum(len(joint.channels) for joint in joints))
    if len(table) != frames:
        raise DataError(
            f"{path}: {len(table)} frames follow, but the header says {frames}; is the file cut off? "
            f"(to read what is there, correct the line 'Frames:')"
        )
    offsets, rotations = _tracks(joints, table)
    return _assembled(path, joints, offsets, rotations, units, up, fps or file_fps)


def _hierarchy(path: Path, lines: list[str]) -> tuple[list[_Joint], int]:
    """The joints, and the index of the line that says MOTION."""
    joints: list[_Joint] = []
    open_joints: list[int | None] = []  # None: an end site
    pending: int | None = None  # the joint whose brace comes next
    for at, line in enumerate(lines):
        words = line.split()
        where = f"{path}:{at + 1}"
        match words:
            case [] | ["HIERARCHY"]:
                continue
            case ["MOTION"]:
                if not joints or open_joints:
                    raise DataError(f"{where}: MOTION before the hierarchy is complete; a closing brace is missing")
                bare = [joint for joint in joints if joint.offset is None]
                if bare:
                    raise DataError(f"{path}:{bare[0].line}: joint {bare[0].name!r} has no OFFSET")
                return joints, at
            case ["ROOT" | "JOINT" as kind, *name] if name:
                parent = open_joints[-1] if open_joints else -1
                if parent is None or (kind == "ROOT") != (parent < 0) or (parent < 0 and joints):
                    raise DataError(f"{where}: {kind} {' '.join(name)}: expected one ROOT, and JOINTs inside it")
                joints.append(_Joint(" ".join(name), parent, at + 1))
                pending = len(joints) - 1
            case ["End", *_]:
                pending = None
            case ["{"]:
                open_joints.append(pending)
            case ["}"] if open_joints:
                open_joints.pop()
            case ["OFFSET", *numbers] if open_joints and len(numbers) == 3:
                if (inside := open_joints[-1]) is not None:
                    joints[inside].offset = [number(word, where) for word in numbers]
            case ["CHANNELS", count, *names] if open_joints and (inside := open_joints[-1]) is not None:
                joints[inside].channels = _channels(where, count, names)
            case _:
                raise DataError(f"{where}: cannot make sense of {line.strip()[:60]!r}; is this a BVH file?")
    raise DataError(f"{path}: no line MOTION; the file is cut off, or it is no BVH file")


def _channels(where: str, count: str, names: list[str]) -> list[tuple[str, int]]:
    if not count.isdigit() or int(count) != len(names):
        raise DataError(f"{where}: CHANNELS {count}, but {len(names)} names follow")
    unknown = [name for name in names if name.lower() not in _CHANNELS]
    if unknown or len({name.lower() for name in names}) < len(names):
        raise DataError(f"{where}: channels {' '.join(names)}: expected different ones of Xposition, ..., Zrotation")
    return [_CHANNELS[name.lower()] for name in names]


def _motion_header(path: Path, lines: list[str], at: int) -> tuple[float, int, int]:
    """Frames per second, number of frames, and the index of the first line of numbers."""
    found: dict[str, float] = {}
    for index in range(at + 1, len(lines)):
        label, colon, value = lines[index].partition(":")
        if not lines[index].strip():
            continue
        if not colon or label.strip().lower() not in ("frames", "frame time") or not value.strip():
            raise DataError(f"{path}:{index + 1}: expected 'Frames:' and 'Frame Time:' after MOTION")
        found[label.strip().lower()] = number(value.strip(), f"{path}:{index + 1}")
        if len(found) == 2:
            break
    else:
        raise DataError(f"{path}: the file ends before 'Frames:' and 'Frame Time:'")
    if found["frame time"] <= 0 or found["frames"] < 1 or found["frames"] % 1:
        raise DataError(f"{path}: {found['frames']:g} frames of {found['frame time']} s; expected 1 or more of > 0 s")
    fps = 1 / found["frame time"]
    # files round the frame time: .016667 is 60 frames a second
    return (round(fps) if abs(fps - round(fps)) < 1e-3 * fps else fps), int(found["frames"]), index + 1


def _tracks(joints: list[_Joint], table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Offsets (T, J, 3) in the file's units, replaced by positions where channels give them; rotations (T, J, 4)."""
    offsets = np.empty((len(table), len(joints), 3))
    rotations = np.zeros((len(table), len(joints), 4))
    rotations[..., 0] = 1
    column = 0
    for j, joint in enumerate(joints):
        offsets[:, j] = joint.offset
        for kind, axis in joint.channels:
            values = table[:, column]
            column += 1
            if kind == "position":
                offsets[:, j, axis] = values
            else:
                turn = np.zeros((len(table), 4))
                turn[:, 0], turn[:, 1 + axis] = np.cos(np.deg2rad(values) / 2), np.sin(np.deg2rad(values) / 2)
                rotations[:, j] = multiply(rotations[:, j], turn)
    return offsets, rotations


def _assembled(
    path: Path,
    joints: list[_Joint],
    offsets: np.ndarray,
    rotations: np.ndarray,
    units: str | None,
    up: UpAxis,
    fps: float,
) -> Motion:
    root, turn = offsets[:, 0].copy(), rotations[:, 0]
    own_offset = np.array(joints[0].offset)
    names, parents = [joint.name for joint in joints], [joint.parent for joint in joints]
    rigid = np.median(offsets, axis=0)
    size = Skeleton(tuple(names), tuple(parents), rigid).longest_path
    if parents.count(0) == 1 and np.ptp(root, axis=0).max() <= _STILL * size < np.ptp(offsets[:, 1], axis=0).max():
        root, turn = root + rotate(turn, offsets[:, 1]), multiply(turn, rotations[:, 1])
        names, parents = names[1:], [-1] + [parent - 1 for parent in parents[2:]]
        rigid, rotations = rigid[1:], rotations[:, 1:]
        own_offset = np.zeros(3)
    rotations = np.concatenate([turn[:, None], rotations[:, 1:]], axis=1)
    rigid[0] = 0
    skeleton = Skeleton(tuple(names), tuple(parents), rigid)
    factor = metres_per_unit(units, skeleton.longest_path, str(path))
    if own_offset.any():
        height = skeleton.forward(root, rotations)[..., "yz".index(up) + 1]
        lift = own_offset["yz".index(up) + 1]
        if abs(height.min() + lift) < abs(height.min()):
            root = root + own_offset
    root, rotations[:, 0] = y_up(root * factor, rotations[:, 0], up)
    return Motion(skeleton.scaled(factor), root, rotations, fps, name=path.stem, source=path.name)


def write_bvh(path: Path | str, motion: Motion, *, units: str = "cm", order: str = "ZXY") -> None:
    """Write a motion as BVH: y up, positions of the root alone, end sites of length zero, joints depth first.

    Args:
        path: the file; it is replaced, its folder made.
        motion: what to write. Name, caption and licence have no place in the format.
        units: the unit of length in the file, a key of `ouroloop.motion.units.METRES`.
        order: of the rotation channels.

    Raises:
        DataError: unknown units or order.
        StoreError: the file cannot be written.
    """
    if units not in METRES:
        raise DataError(f"unknown units {units!r}; known are {', '.join(METRES)}")
    scale = 1 / METRES[units]
    written: list[int] = []
    lines = ["HIERARCHY", *_joint_lines(motion.skeleton, 0, scale, order.upper(), "", written)]
    angles = np.rad2deg(to_euler(motion.rotations[:, written], order)).reshape(len(motion), -1)
    lines += ["MOTION", f"Frames: {len(motion)}", f"Frame Time: {1 / motion.fps:.9g}"]
    table = np.concatenate([motion.root * scale, angles], axis=1)
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table.tolist()]
    save_bytes(Path(path), ("\n".join(lines) + "\n").encode())


def _joint_lines(
    skeleton: Skeleton, joint: int, scale: float, order: str, indent: str, written: list[int]
) -> list[str]:
    """The lines of a joint and all below it; their order is noted in `written`."""
    written.append(joint)
    x, y, z = skeleton.offsets[joint] * (scale if joint else 0)
    inner = indent + "  "
    rotations = " ".join(f"{axis}rotation" for axis in order)
    channels = f"6 Xposition Yposition Zposition {rotations}" if joint == 0 else f"3 {rotations}"
    lines = [
        f"{indent}{'JOINT' if joint else 'ROOT'} {skeleton.names[joint]}",
        indent + "{",
        f"{inner}OFFSET {x:.6f} {y:.6f} {z:.6f}",
        f"{inner}CHANNELS {channels}",
    ]
    for child in skeleton.children[joint]:
        lines += _joint_lines(skeleton, child, scale, order, inner, written)
    if not skeleton.children[joint]:
        lines += [f"{inner}End Site", inner + "{", f"{inner}  OFFSET 0 0 0", inner + "}"]
    return [*lines, indent + "}"]
