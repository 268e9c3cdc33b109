"""Rotations of 3-space, vectorised over leading axes.

A rotation is a unit quaternion (..., 4), w first: q = (cos a/2, n sin a/2) turns by a about the unit axis n, and
rotates a vector v to q v q*. Products read right to left: ``multiply(a, b)`` turns by b, then by a.
"""

from __future__ import annotations

import numpy as np

from ouroloop.errors import DataError

__all__ = [
    "IDENTITY",
    "about_y",
    "angle",
    "between",
    "conjugate",
    "continuous",
    "cross",
    "from_6d",
    "from_euler",
    "from_matrix",
    "from_rotation_vector",
    "heading",
    "multiply",
    "normalise",
    "rotate",
    "slerp",
    "to_6d",
    "to_euler",
    "to_matrix",
    "to_rotation_vector",
]

IDENTITY = np.array([1.0, 0.0, 0.0, 0.0])
_TINY = 1e-12


def cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a x b of (..., 3) arrays, by components: several times faster than `numpy.cross` on many short vectors."""
    a0, a1, a2 = a[..., 0], a[..., 1], a[..., 2]
    b0, b1, b2 = b[..., 0], b[..., 1], b[..., 2]
    return np.stack([a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0], axis=-1)


def normalise(v: np.ndarray) -> np.ndarray:
    """v over its length along the last axis; vectors shorter than 1e-12 become zero."""
    length = np.sqrt(np.einsum("...i,...i->...", v, v))[..., None]
    return np.divide(v, length, out=np.zeros_like(v, dtype=np.float64), where=length > _TINY)


def multiply(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The rotation b followed by a, (..., 4)."""
    aw, ax, ay, az = a[..., 0], a[..., 1], a[..., 2], a[..., 3]
    bw, bx, by, bz = b[..., 0], b[..., 1], b[..., 2], b[..., 3]
    out = np.empty((*np.broadcast_shapes(a.shape[:-1], b.shape[:-1]), 4))
    out[..., 0] = aw * bw - ax * bx - ay * by - az * bz
    out[..., 1] = aw * bx + ax * bw + ay * bz - az * by
    out[..., 2] = aw * by - ax * bz + ay * bw + az * bx
    out[..., 3] = aw * bz + ax * by - ay * bx + az * bw
    return out


def conjugate(q: np.ndarray) -> np.ndarray:
    """The inverse rotation, (..., 4)."""
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def rotate(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The vectors v (..., 3) turned by q (..., 4); leading axes broadcast."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    v0, v1, v2 = v[..., 0], v[..., 1], v[..., 2]
    t0, t1, t2 = 2 * (y * v2 - z * v1), 2 * (z * v0 - x * v2), 2 * (x * v1 - y * v0)
    out = np.empty((*np.broadcast_shapes(q.shape[:-1], v.shape[:-1]), 3))
    out[..., 0] = v0 + w * t0 + y * t2 - z * t1
    out[..., 1] = v1 + w * t1 + z * t0 - x * t2
    out[..., 2] = v2 + w * t2 + x * t1 - y * t0
    return out


def to_matrix(q: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3) whose columns are the turned axes."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    out = np.empty((*q.shape[:-1], 3, 3))
    out[..., 0, 0], out[..., 1, 1], out[..., 2, 2] = (
        1 - 2 * (y * y + z * z),
        1 - 2 * (x * x + z * z),
        1 - 2 * (x * x + y * y),
    )
    out[..., 0, 1], out[..., 1, 0] = 2 * (x * y - w * z), 2 * (x * y + w * z)
    out[..., 0, 2], out[..., 2, 0] = 2 * (x * z + w * y), 2 * (x * z - w * y)
    out[..., 1, 2], out[..., 2, 1] = 2 * (y * z - w * x), 2 * (y * z + w * x)
    return out


def from_matrix(matrix: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) with w >= 0 of rotation matrices (..., 3, 3).

    Source: S. W. Shepperd, "Quaternion from rotation matrix" (1978): of four formulas, that with the largest divisor.
    """
    m = np.asarray(matrix, dtype=np.float64)
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # row i holds 4 q_i q; the row of the largest q_i is the well-conditioned one
    rows = np.empty((*m.shape[:-2], 4, 4))
    rows[..., 0, 0], rows[..., 1, 1] = 1 + m00 + m11 + m22, 1 + m00 - m11 - m22
    rows[..., 2, 2], rows[..., 3, 3] = 1 - m00 + m11 - m22, 1 - m00 - m11 + m22
    for i, j, value in (
        (0, 1, m[..., 2, 1] - m[..., 1, 2]),
        (0, 2, m[..., 0, 2] - m[..., 2, 0]),
        (0, 3, m[..., 1, 0] - m[..., 0, 1]),
        (1, 2, m[..., 0, 1] + m[..., 1, 0]),
        (1, 3, m[..., 0, 2] + m[..., 2, 0]),
        (2, 3, m[..., 1, 2] + m[..., 2, 1]),
    ):
        rows[..., i, j] = rows[..., j, i] = value
    best = np.argmax(np.diagonal(rows, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(rows, best[..., None, None], axis=-2)[..., 0, :]
    return normalise(np.where(q[..., :1] < 0, -q, q))


def from_6d(six: np.ndarray) -> np.ndarray:
    """Quaternions of the first two matrix columns (..., 6), orthonormalised by Gram and Schmidt.

    Source: Zhou et al., "On the continuity of rotation representations" (arXiv 1812.07035), section 4.
    """
    x = normalise(six[..., :3])
    z = normalise(cross(x, six[..., 3:]))
    return from_matrix(np.stack([x, cross(z, x), z], axis=-1))


def to_6d(q: np.ndarray) -> np.ndarray:
    """The first two columns of the rotation matrix, one after the other, (..., 6)."""
    w, x, y, z = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    out = np.empty((*q.shape[:-1], 6))
    out[..., 0], out[..., 1], out[..., 2] = 1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)
    out[..., 3], out[..., 4], out[..., 5] = 2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)
    return out


def from_rotation_vector(vector: np.ndarray) -> np.ndarray:
    """Quaternions (..., 4) of rotation vectors (..., 3): axis times angle in radians."""
    a = np.sqrt(np.einsum("...i,...i->...", vector, vector))[..., None]
    return np.concatenate([np.cos(a / 2), vector * (0.5 * np.sinc(a / (2 * np.pi)))], axis=-1)


def to_rotation_vector(q: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) in radians, of length at most pi."""
    q = np.where(q[..., :1] < 0, -q, q)
    sine = np.sqrt(np.einsum("...i,...i->...", q[..., 1:], q[..., 1:]))[..., None]
    ratio = np.divide(2 * np.arctan2(sine, q[..., :1]), sine, out=np.full_like(sine, 2.0), where=sine > 1e-9)
    return q[..., 1:] * ratio


def _axes(order: str) -> tuple[int, int, int, float]:
    upper = order.upper()
    if sorted(upper) != ["X", "Y", "Z"]:
        raise DataError(f"Euler order {order!r}: expected each of X, Y and Z once, for example 'ZXY'")
    i, j, k = ("XYZ".index(letter) for letter in upper)
    return i, j, k, 1.0 if (j - i) % 3 == 1 else -1.0


def from_euler(angles: np.ndarray, order: str) -> np.ndarray:
    """Quaternions of intrinsic Euler angles (..., 3) in radians, given in the order of their application.

    ``order="ZXY"`` is the product Rz(a0) Rx(a1) Ry(a2), what a BVH file with channels Z, X, Y means.
    """
    i, j, k, _ = _axes(order)
    result = None
    for axis, value in zip((i, j, k), np.moveaxis(np.asarray(angles, dtype=np.float64), -1, 0), strict=True):
        turn = np.zeros((*value.shape, 4))
        turn[..., 0], turn[..., 1 + axis] = np.cos(value / 2), np.sin(value / 2)
        result = turn if result is None else multiply(result, turn)
    assert result is not None
    return result


def to_euler(q: np.ndarray, order: str) -> np.ndarray:
    """Intrinsic Euler angles (..., 3) in radians; the middle one lies in [-pi/2, pi/2].

    At gimbal lock (middle angle within 1e-7 of a right angle) the last angle is 0.
    """
    i, j, k, sign = _axes(order)
    m = to_matrix(q)
    cosine = np.hypot(m[..., i, i], m[..., i, j])
    middle = np.arctan2(sign * m[..., i, k], cosine)
    locked = cosine < 1e-7
    first = np.where(
        locked,
        np.arctan2(sign * m[..., k, j], m[..., j, j]),
        np.arctan2(-sign * m[..., j, k], m[..., k, k]),
    )
    last = np.where(locked, 0.0, np.arctan2(-sign * m[..., i, j], m[..., i, i]))
    return np.stack([first, middle, last], axis=-1)


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The angle in [0, pi] between two rotations, (...)."""
    d = multiply(conjugate(a), b)
    return 2 * np.arctan2(np.sqrt(np.einsum("...i,...i->...", d[..., 1:], d[..., 1:])), np.abs(d[..., 0]))


def slerp(a: np.ndarray, b: np.ndarray, share: np.ndarray | float) -> np.ndarray:
    """The rotation `share` of the (shorter) way from a to b; `share` broadcasts over the leading axes."""
    step = to_rotation_vector(multiply(conjugate(a), b))
    return multiply(a, from_rotation_vector(step * np.asarray(share, dtype=np.float64)[..., None]))


def between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes the direction of a to that of b, both (..., 3).

    For opposite directions the axis is the coordinate axis most perpendicular to a, made perpendicular to it.
    """
    a, b = normalise(a), normalise(b)
    w = 1 + np.einsum("...i,...i->...", a, b)
    q = np.concatenate([w[..., None], cross(a, b)], axis=-1)
    opposite = w < 1e-9
    if np.any(opposite):
        start = np.broadcast_to(a, q[..., 1:].shape)[opposite]
        helper = np.eye(3)[np.argmin(np.abs(start), axis=-1)]
        q[opposite] = np.concatenate([np.zeros((len(helper), 1)), cross(start, helper)], axis=-1)
    return normalise(q)


def about_y(radians: np.ndarray) -> np.ndarray:
    """Quaternions of turns about +y: positive turns take +z towards +x, (..., 4)."""
    half = np.asarray(radians, dtype=np.float64) / 2
    zero = np.zeros_like(half)
    return np.stack([np.cos(half), zero, np.sin(half), zero], axis=-1)


def heading(q: np.ndarray) -> np.ndarray:
    """The turn about +y, in (-pi, pi], that +z has made, seen on the ground."""
    forward = rotate(q, np.array([0.0, 0.0, 1.0]))
    return np.arctan2(forward[..., 0], forward[..., 2])


def continuous(q: np.ndarray) -> np.ndarray:
    """The same rotations (T, ..., 4) with signs chosen so that neighbouring frames lie on the same side."""
    if len(q) < 2:
        return q.copy()
    flips = np.where(np.einsum("...i,...i->...", q[1:], q[:-1]) < 0, -1.0, 1.0)
    signs = np.concatenate([np.ones((1, *q.shape[1:-1])), np.cumprod(flips, axis=0)])
    return q * signs[..., None]
