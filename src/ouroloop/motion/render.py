"""Motions as pictures: strips of poses (PNG), and moving ones (GIF, MP4), one or several side by side.

Drawn with Pillow alone, which takes a millisecond a figure; MP4 needs imageio-ffmpeg (the extra `video`) as well.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ouroloop.atomic import storing, temporary_name, write_bytes
from ouroloop.errors import DataError, MissingExtraError
from ouroloop.motion.skeleton import HUMANML3D_NAMES, HUMANML3D_PARENTS

__all__ = ["COLOURS", "Camera", "frames_of", "render", "strip_of"]

COLOURS = ("#535a64", "#b83a06", "#1763d6", "#0a9f6c", "#86258f", "#bf9010")
_PAPER, _FLOOR, _INK = "#ffffff", "#dfe2e6", "#16191d"
_SMOOTH = 2  # drawn so many times larger, then shrunk
_RIGHT = [name.startswith("right") for name in HUMANML3D_NAMES]


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where the viewer stands: parallel projection, following the pelvis over the ground.

    Args:
        yaw: radians around the body; 0 is in front of one that faces +z.
        pitch: radians above the horizon.
        height_m: metres of the world from the picture's lower to its upper edge.
    """

    yaw: float = 0.6
    pitch: float = 0.2
    height_m: float = 2.2

    def project(self, points: np.ndarray, centre: np.ndarray, size: int) -> np.ndarray:
        """Points (..., 3) as pixels (right, down) and depth (..., 3) in a square picture of `size` pixels.

        Args:
            points: metres.
            centre: what stands in the middle, (3,).
        """
        x, y, z = np.moveaxis(points - centre, -1, 0)
        right = np.cos(self.yaw) * x - np.sin(self.yaw) * z
        near = np.sin(self.yaw) * x + np.cos(self.yaw) * z
        up = np.cos(self.pitch) * y - np.sin(self.pitch) * near
        scale = size / self.height_m
        return np.stack([size / 2 + scale * right, size / 2 - scale * up, near], axis=-1)


def render(
    motions: Sequence[np.ndarray],
    path: Path,
    *,
    labels: Sequence[str] = (),
    fps: float = 20.0,
    size: int = 320,
    poses: int = 8,
    camera: Camera | None = None,
) -> Path:
    """Write motions as one picture file, whose kind its name says.

    Args:
        motions: joint positions (T, 22, 3) each, metres, y up.
        path: ends in .png (a row of poses for each motion), .gif or .mp4 (side by side; short ones rest at their end).
        labels: what is written over each motion; none by default.
        fps: frames per second of the motions.
        size: pixels of a figure's square.
        poses: poses of a strip, evenly spaced in time.
        camera: where the viewer stands.

    Raises:
        DataError: no motion, one of another shape, a name of another kind, or more labels than motions.
        MissingExtraError: MP4 is asked for and imageio-ffmpeg is not installed.
        StoreError: the file cannot be written.
    """
    path, camera = Path(path), camera or Camera()
    checked = [_checked(motion, place) for place, motion in enumerate(motions)]
    if not checked or len(labels) > len(checked):
        raise DataError(
            f"render: {len(checked)} motions and {len(labels)} labels; give a motion at least, a label each"
        )
    kind = path.suffix.lower()
    if kind == ".png":
        picture = io.BytesIO()
        strip_of(checked, labels=labels, size=size, poses=poses, camera=camera).save(picture, format="PNG")
        with storing(path):
            write_bytes(path, picture.getvalue())
    elif kind == ".gif":
        _write_gif(path, frames_of(checked, labels=labels, size=size, camera=camera), fps)
    elif kind == ".mp4":
        _write_mp4(path, frames_of(checked, labels=labels, size=size + size % 2, camera=camera), fps)
    else:
        raise DataError(f"render: cannot write '{path.name}'; a name ends in .png (strip), .gif or .mp4")
    return path


def strip_of(
    motions: Sequence[np.ndarray], *, labels: Sequence[str] = (), size: int = 320, poses: int = 8, camera: Camera
) -> Any:
    """Motions (T, 22, 3) one below the other, each as a row of poses: a Pillow image."""
    from PIL import Image

    sheet = Image.new("RGB", (size * poses, size * len(motions)), _PAPER)
    for row, motion in enumerate(motions):
        for column, frame in enumerate(np.linspace(0, len(motion) - 1, poses).round().astype(int)):
            label = labels[row] if column == 0 and row < len(labels) else ""
            sheet.paste(_figure(motion[frame], _colour(row), label, size, camera), (size * column, size * row))
    return sheet


def frames_of(
    motions: Sequence[np.ndarray], *, labels: Sequence[str] = (), size: int = 320, camera: Camera
) -> list[Any]:
    """Motions (T, 22, 3) side by side, frame by frame: Pillow images, as many as the longest has frames."""
    from PIL import Image

    pictures = []
    for frame in range(max(len(motion) for motion in motions)):
        sheet = Image.new("RGB", (size * len(motions), size), _PAPER)
        for column, motion in enumerate(motions):
            label = labels[column] if column < len(labels) else ""
            pose = motion[min(frame, len(motion) - 1)]
            sheet.paste(_figure(pose, _colour(column), label, size, camera), (size * column, 0))
        pictures.append(sheet)
    return pictures


def _checked(motion: np.ndarray, place: int) -> np.ndarray:
    motion = np.asarray(motion, np.float64)
    if motion.ndim != 3 or motion.shape[1:] != (22, 3) or not len(motion) or not np.isfinite(motion).all():
        raise DataError(
            f"render: motion {place} has shape {motion.shape}; expected finite joint positions (frames, 22, 3) with at "
            "least one frame (decode features first)"
        )
    return motion


def _colour(place: int) -> str:
    return COLOURS[place % len(COLOURS)]


def _figure(pose: np.ndarray, colour: str, label: str, size: int, camera: Camera) -> Any:
    """One pose (22, 3) on the ground's grid, a Pillow image of size x size."""
    from PIL import Image, ImageDraw, ImageFont

    large = size * _SMOOTH
    image = Image.new("RGB", (large, large), _PAPER)
    draw = ImageDraw.Draw(image)
    centre = np.array([pose[0, 0], max(0.95, pose[0, 1] - 0.25), pose[0, 2]])
    for line in camera.project(_grid(centre), centre, large)[..., :2]:
        draw.line([tuple(point) for point in line], fill=_FLOOR, width=_SMOOTH)
    joints = camera.project(pose, centre, large)
    bones = sorted(range(1, 22), key=lambda joint: joints[joint, 2] + joints[HUMANML3D_PARENTS[joint], 2])
    thick = max(large // 70, 1)
    for joint in bones:
        ends = [tuple(joints[i, :2]) for i in (HUMANML3D_PARENTS[joint], joint)]
        draw.line(ends, fill=_paler(colour) if _RIGHT[joint] else colour, width=thick)
        for x, y in ends:  # round ends
            draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=colour)
    x, y = joints[15, :2]
    draw.ellipse((x - 2 * thick, y - 2 * thick, x + 2 * thick, y + 2 * thick), fill=colour)
    image = image.resize((size, size), Image.Resampling.LANCZOS)
    if label:
        ImageDraw.Draw(image).text((6, 4), label, fill=_INK, font=ImageFont.load_default(max(size // 22, 10)))
    return image


def _grid(centre: np.ndarray) -> np.ndarray:
    """Lines (14, 2, 3) on the floor at height 0, a metre apart, around a point."""
    x, z = np.round(centre[[0, 2]])
    ticks = np.arange(-3.0, 4.0)
    ends = np.array([-3.0, 3.0])
    along_z = np.stack(np.broadcast_arrays(x + ticks[:, None], 0.0, z + ends), axis=-1)
    along_x = np.stack(np.broadcast_arrays(x + ends, 0.0, z + ticks[:, None]), axis=-1)
    return np.concatenate([along_z, along_x])


def _paler(colour: str) -> tuple[int, ...]:
    return tuple((int(colour[i : i + 2], 16) + 255) // 2 for i in (1, 3, 5))


def _write_gif(path: Path, pictures: Sequence[Any], fps: float) -> None:
    buffer = io.BytesIO()
    first = pictures[0].quantize(64)
    rest = [picture.quantize(palette=first, dither=0) for picture in pictures[1:]]  # one palette: nothing flickers
    duration = max(round(1000 / fps), 20)  # milliseconds; viewers slow down what is faster
    first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=duration, loop=0)
    with storing(path):
        write_bytes(path, buffer.getvalue())


def _write_mp4(path: Path, pictures: Sequence[Any], fps: float) -> None:
    try:
        import imageio_ffmpeg  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingExtraError("writing MP4", "imageio-ffmpeg", "video") from error
    temporary = path.with_name(temporary_name(path.name) + ".mp4")
    with storing(path):
        try:
            writer = imageio_ffmpeg.write_frames(str(temporary), pictures[0].size, fps=fps, macro_block_size=2)  # pyright: ignore[reportArgumentType]
            writer.send(None)
            for picture in pictures:
                writer.send(picture.tobytes())
            writer.close()
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
