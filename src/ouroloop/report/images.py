"""Samples that are pictures: recognising them, and packing many into one small PNG as a data URI."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Tone", "as_images", "data_uri", "sprite", "tone_of"]

_LEAST_FLAT = 64  # a flat row is drawn as a square picture from 8 x 8 values on; shorter rows are vectors
_LEVELS = 16  # grey levels kept: 4 bits a pixel, no visible loss at this size


@dataclass(frozen=True)
class Tone:
    """How values become grey: low is black, high is white, beyond them too; `ink`: strokes on a background."""

    low: float
    high: float
    ink: bool


def as_images(x: np.ndarray) -> np.ndarray | None:
    """Rows as pictures (n, h, w) or (n, h, w, 3), or None where they are not pictures.

    Pictures are rows of shape (h, w), (1, h, w), (h, w, 1), (3, h, w), (h, w, 3), and flat rows whose
    length is a square of at least 8 x 8.
    """
    if x.dtype.kind not in "biuf" or not len(x):
        return None
    shape = x.shape[1:]
    if len(shape) == 1:
        side = math.isqrt(shape[0])
        return x.reshape(-1, side, side) if side * side == shape[0] >= _LEAST_FLAT else None
    if len(shape) == 2:
        return x if min(shape) >= 4 else None
    if len(shape) == 3 and min(sorted(shape)[1:]) >= 4:
        if shape[0] in (1, 3):
            x = np.moveaxis(x, 1, -1)
        if x.shape[-1] == 1:
            return x[..., 0]
        return x if x.shape[-1] == 3 else None
    return None


def tone_of(images: np.ndarray) -> Tone:
    """The grey scale of a set of pictures: from the background or the 0.5 % quantile to the 99.5 % quantile."""
    values = images[np.isfinite(images)].astype(np.float64)
    if not len(values):
        return Tone(0.0, 1.0, False)
    low, high = (float(q) for q in np.quantile(values, [0.005, 0.995]))
    if not high > low:
        low, high = low - 0.5, low + 0.5
    counts, edges = np.histogram(values, _LEVELS, (low, high))
    # Strokes on a background: one dark grey is by far the commonest, even where a model has added noise to it.
    background = int(counts.argmax())
    ink = images.ndim == 3 and background < _LEVELS / 3 and counts.max() > 2 * counts.mean()
    return Tone(float(edges[background]) if ink else low, high, bool(ink))


def sprite(images: np.ndarray, tone: Tone, columns: int, *, gap: int | None = None) -> np.ndarray:
    """Pictures in a grid, uint8 (H, W) or (H, W, 3); what is not finite is mid-grey.

    Args:
        gap: value of the pixel between two pictures, 0 to 255; default: the background.
    """
    scaled = (images.astype(np.float64) - tone.low) / (tone.high - tone.low)
    scaled = np.where(np.isfinite(scaled), np.clip(scaled, 0, 1), 0.5)
    levels = np.round(scaled * (_LEVELS - 1)) if images.ndim == 3 else scaled * 255 / 17
    tiles = np.round(levels * 17).astype(np.uint8)
    n, h, w = tiles.shape[:3]
    rows = -(-n // columns)
    fill = (0 if tone.ink else 255) if gap is None else gap
    sheet = np.full((rows * (h + 1) - 1, columns * (w + 1) - 1, *tiles.shape[3:]), fill, np.uint8)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, columns)
        sheet[row * (h + 1) : row * (h + 1) + h, column * (w + 1) : column * (w + 1) + w] = tile
    return sheet


def data_uri(sheet: np.ndarray) -> str:
    """A uint8 picture as a PNG in a data URI: 16 greys, or 128 colours."""
    from PIL import Image

    buffer = io.BytesIO()
    if sheet.ndim == 2:
        picture = Image.fromarray(sheet // 17)
        picture = Image.frombytes("P", picture.size, picture.tobytes())
        picture.putpalette([17 * level for level in range(_LEVELS) for _ in range(3)])
        picture.save(buffer, "PNG", bits=4, optimize=True)
    else:
        Image.fromarray(sheet).quantize(128, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
