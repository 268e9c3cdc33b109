from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroloop.datasets.idx import read_idx
from ouroloop.errors import DataError

CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}


def encode(array: np.ndarray) -> bytes:
    code = CODES[array.dtype.str[1:]]
    header = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@given(
    kind=st.sampled_from(sorted(CODES)),
    shape=st.lists(st.integers(0, 4), min_size=1, max_size=4),
    compressed=st.booleans(),
    seed=st.integers(0, 100),
)
def test_what_was_written_is_read(tmp_path_factory, kind, shape, compressed, seed):
    array = np.random.default_rng(seed).integers(-100, 100, shape).astype(kind)
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(encode(array)) if compressed else encode(array))
    result = read_idx(path)
    assert result.dtype == array.dtype
    assert result.dtype.isnative
    np.testing.assert_array_equal(result, array)


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "bad-idx3-ubyte"
    path.write_bytes(data)
    return path


GOOD = encode(np.arange(24, dtype=np.uint8).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends early"),
        (b"\x00\x00\x08", "ends early"),
        (b"PK\x03\x04" + GOOD, "not an idx file"),
        (b"\x00\x01" + GOOD[2:], "not an idx file"),
        (b"\x00\x00\x07" + GOOD[3:], "not an idx file"),
        (b"\x00\x00\x08\x00", "not an idx file"),
        (GOOD[:10], "ends early"),
        (GOOD[:-1], "ends early: 24 bytes"),
        (GOOD + b"\x00", "goes on after its 24"),
        (gzip.compress(GOOD, mtime=0)[:-9], "gzip"),
        (gzip.compress(GOOD, mtime=0)[:-4] + b"\x00\x00\x00\x01", "gzip"),
        (gzip.compress(GOOD, mtime=0) + b"rubbish", "gzip"),
        (gzip.compress(GOOD + b"\x00", mtime=0), "goes on"),
        (b"\x1f\x8b" + GOOD, "gzip"),
        (struct.pack(">HBB3I", 0, 8, 3, 2**32 - 1, 2**32 - 1, 2**32 - 1), "above the limit"),
    ],
)
def test_a_damaged_file_is_named_and_refused(tmp_path, data, message):
    path = write(tmp_path, data)
    with pytest.raises(DataError, match=message) as raised:
        read_idx(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("cut", range(0, len(GOOD), 3))
def test_no_prefix_of_a_file_passes(tmp_path, cut):
    with pytest.raises(DataError):
        read_idx(write(tmp_path, GOOD[:cut]))


def test_a_gzip_bomb_is_not_unpacked_beyond_what_its_header_announces(tmp_path):
    bomb = gzip.compress(GOOD + bytes(1 << 24))
    assert len(bomb) < 1 << 16
    with pytest.raises(DataError, match="goes on after its 24"):
        read_idx(write(tmp_path, bomb))
    announced = struct.pack(">HBB3I", 0, 8, 3, 1 << 12, 1 << 12, 1) + bytes(1 << 24)
    with pytest.raises(DataError, match="above the limit 1,000,000"):
        read_idx(write(tmp_path, gzip.compress(announced)), max_bytes=1_000_000)


def test_a_wrong_number_of_dimensions_is_said(tmp_path):
    with pytest.raises(DataError, match=r"has 3 dimension\(s\), expected 1; are images and labels mixed up"):
        read_idx(write(tmp_path, GOOD), dimensions=1)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(DataError, match="no such idx file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)
