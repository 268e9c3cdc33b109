from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from ouroloop.report.images import Tone, as_images, data_uri, sprite, tone_of


def decoded(uri: str) -> Image.Image:
    head, _, body = uri.partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(body)))


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((5, 8, 8), (5, 8, 8)),
        ((5, 1, 8, 10), (5, 8, 10)),
        ((5, 8, 10, 1), (5, 8, 10)),
        ((5, 3, 8, 10), (5, 8, 10, 3)),
        ((5, 8, 10, 3), (5, 8, 10, 3)),
        ((5, 64), (5, 8, 8)),
        ((5, 784), (5, 28, 28)),
        ((5, 49), None),
        ((5, 65), None),
        ((5, 2), None),
        ((5,), None),
        ((5, 2, 8), None),
        ((5, 4, 8, 8), None),
        ((5, 2, 2, 2, 2), None),
        ((0, 8, 8), None),
    ],
)
def test_what_is_a_picture(shape: tuple[int, ...], expected: tuple[int, ...] | None) -> None:
    images = as_images(np.zeros(shape))
    assert (None if images is None else images.shape) == expected


def test_flat_and_channel_first_pixels_land_where_they_belong() -> None:
    flat = np.arange(64.0).reshape(1, 64)
    images = as_images(flat)
    assert images is not None
    assert images[0, 1, 2] == 10
    colour = np.zeros((1, 3, 8, 8))
    colour[0, 2, 4, 5] = 1
    images = as_images(colour)
    assert images is not None
    assert images[0, 4, 5].tolist() == [0, 0, 1]


def test_text_is_no_picture() -> None:
    assert as_images(np.array([["a"] * 64])) is None


def test_a_sprite_survives_the_png() -> None:
    images = np.random.default_rng(0).uniform(size=(7, 8, 8))
    sheet = sprite(images, Tone(0.0, 1.0, ink=False), 3)
    assert sheet.shape == (26, 26)
    picture = decoded(data_uri(sheet))
    assert picture.size == (26, 26)
    np.testing.assert_array_equal(np.asarray(picture.convert("L")), sheet)
    np.testing.assert_allclose(sheet[9:17, :8] / 255, images[3], atol=0.5 / 15 + 1e-9)


def test_colours_survive_the_png() -> None:
    images = np.zeros((2, 8, 8, 3))
    images[0, ..., 0] = 1
    sheet = sprite(images, Tone(0.0, 1.0, ink=False), 2)
    picture = np.asarray(decoded(data_uri(sheet)).convert("RGB"))
    assert picture[0, 0].tolist() == [255, 0, 0]
    assert picture[0, 9].tolist() == [0, 0, 0]


def test_values_beyond_the_scale_and_nan_do_not_break_it() -> None:
    images = np.array([[[-9.0, 9.0], [np.nan, np.inf]]])
    assert sprite(images, Tone(0.0, 1.0, ink=True), 1).tolist() == [[0, 255], [136, 136]]


def test_tone_knows_ink_from_photographs_and_survives_constants() -> None:
    strokes = np.zeros((10, 8, 8))
    strokes[:, 3, :] = 16
    assert tone_of(strokes) == Tone(0.0, 16.0, ink=True)
    noisy = tone_of(strokes + np.random.default_rng(0).normal(0, 0.8, strokes.shape))
    assert noisy.ink
    assert abs(noisy.low) < 1.2  # the background is white, not the deepest of its noise
    assert not tone_of(np.random.default_rng(0).uniform(size=(10, 8, 8))).ink
    assert not tone_of(np.zeros((10, 8, 8, 3))).ink
    flat = tone_of(np.full((2, 8, 8), 3.0))
    assert flat.low < 3.0 < flat.high
    assert tone_of(np.full((2, 8, 8), np.nan)) == Tone(0.0, 1.0, ink=False)
