"""A generator in thirty lines of plain Python, quick to start: independent normal columns in npy files."""

import array
import ast
import random
import statistics
import struct
import sys


def read(path):
    with open(path, "rb") as file:
        (length,) = struct.unpack("<H", file.read(10)[8:])
        header = ast.literal_eval(file.read(length).decode())
        assert header["descr"] == "<f8"
        return array.array("d", file.read()), header["shape"]


def write(path, values, shape):
    header = repr({"descr": "<f8", "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + array.array("d", values).tobytes())


stage, *arguments = sys.argv[1:]
if stage == "fit":
    values, (_, width) = read(arguments[0])
    columns = [values[i::width] for i in range(width)]
    found = [statistics.fmean(c) for c in columns] + [statistics.pstdev(c) for c in columns]
    write(arguments[1], found, (2, width))
else:
    model, (_, width) = read(arguments[0])
    n, rng = int(arguments[2]), random.Random(int(arguments[3]))
    write(arguments[1], (rng.gauss(model[i % width], model[width + i % width]) for i in range(n * width)), (n, width))
