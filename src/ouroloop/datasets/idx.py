"""The idx format of the MNIST family: strict reading of plain and gzip-compressed files.

A file is two zero bytes, a type code, the number of dimensions, each dimension as a big-endian
uint32, then the values in C order, big-endian. Anything that deviates is refused, and no more than the
header announces is ever decompressed.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits", file formats.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ouroloop.errors import DataError

__all__ = ["MAX_BYTES", "read_idx"]

MAX_BYTES = 1 << 30  # of values; full MNIST is 47 MB
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_GZIP_MAGIC = b"\x1f\x8b"


def read_idx(path: Path, *, dimensions: int | None = None, max_bytes: int = MAX_BYTES) -> np.ndarray:
    """The array in an idx file; compression is recognised by content, not by name.

    Args:
        path: the file.
        dimensions: how many dimensions it must have (3 for images, 1 for labels), or None for any.
        max_bytes: refuse a file that announces more bytes of values than this.

    Returns:
        Array in native byte order, of the shape and type in the header.

    Raises:
        DataError: the file is missing, not idx, of another number of dimensions, too large, truncated,
            damaged, or goes on after its last value.
    """
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == _GZIP_MAGIC
            raw.seek(0)
            if not compressed:
                return _read(raw, path, dimensions, max_bytes)
            with gzip.GzipFile(fileobj=raw) as stream:
                return _read(stream, path, dimensions, max_bytes)  # type: ignore[arg-type]
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such idx file") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: damaged or truncated gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error})") from error


def _read(stream: BinaryIO, path: Path, dimensions: int | None, max_bytes: int) -> np.ndarray:
    zero, code, rank = struct.unpack(">HBB", _exactly(stream, 4, path))
    if zero != 0 or code not in _TYPES or rank == 0:
        raise DataError(
            f"{path}: not an idx file: it starts with {zero:04x}{code:02x}{rank:02x}, expected 0000, "
            f"a type code ({', '.join(f'{c:02x}' for c in _TYPES)}) and the number of dimensions"
        )
    if dimensions is not None and rank != dimensions:
        raise DataError(f"{path}: has {rank} dimension(s), expected {dimensions}; are images and labels mixed up?")
    shape = struct.unpack(f">{rank}I", _exactly(stream, 4 * rank, path))
    dtype = np.dtype(_TYPES[code])
    size = math.prod(shape) * dtype.itemsize
    if size > max_bytes:
        raise DataError(f"{path}: its header announces {size:,} bytes of shape {shape}, above the limit {max_bytes:,}")
    values = np.frombuffer(_exactly(stream, size, path), dtype)
    if stream.read(1):
        raise DataError(f"{path}: goes on after its {size:,} announced bytes; the header or the file is damaged")
    return values.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _exactly(stream: BinaryIO, size: int, path: Path) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise DataError(f"{path}: ends early: {size:,} bytes were expected here, {len(data):,} are left")
    return data
