"""Samples that are points in the plane or on a line, drawn as SVG in a frame that all arms share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ouroloop.report.draw import tag
from ouroloop.report.wording import number, plural

__all__ = [
    "Window",
    "as_points",
    "histogram_svg",
    "moves_svg",
    "outside_note",
    "reference_svg",
    "scatter_svg",
    "window_of",
]

_SIZE = 300  # side of the drawing, SVG units
_FARTHEST = 4.0  # the window is at most this many times as wide as the reference's own spread
_BINS = 30


@dataclass(frozen=True)
class Window:
    """The part of the plane that is drawn: low and high (d,) with d = 1 or 2."""

    low: np.ndarray
    high: np.ndarray

    def pixels(self, points: np.ndarray) -> tuple[np.ndarray, int]:
        """Positions (k, 2) of the points inside as integers, and how many lie outside or are not finite."""
        scaled = (points - self.low) / (self.high - self.low)
        inside = np.all((scaled >= 0) & (scaled <= 1), axis=1)  # NaN compares false: outside
        place = scaled[inside] * _SIZE
        return np.column_stack([place[:, 0], _SIZE - place[:, 1]]).round().astype(int), int((~inside).sum())

    @property
    def text(self) -> str:
        """The window's edges, in words."""
        names = ("x", "y")[: len(self.low)]
        return ", ".join(
            f"{n} {number(float(a), 2)} to {number(float(b), 2)}"
            for n, a, b in zip(names, self.low, self.high, strict=True)
        )


def as_points(x: np.ndarray) -> np.ndarray | None:
    """Rows as points (n, 1) or (n, 2), or None where they are not points."""
    if x.dtype.kind not in "biuf" or not len(x):
        return None
    flat = x.reshape(len(x), -1).astype(np.float64)
    return flat if flat.shape[1] in (1, 2) else None


def window_of(reference: np.ndarray, others: Sequence[np.ndarray]) -> Window:
    """A window around the reference that holds the other points too, as long as they do not run far away."""
    reference = reference[np.isfinite(reference).all(axis=1)]
    everything = np.concatenate([reference, *others])
    everything = everything[np.isfinite(everything).all(axis=1)]
    if not len(everything):
        return Window(np.full(reference.shape[1], -1.0), np.full(reference.shape[1], 1.0))
    base = reference if len(reference) else everything
    centre, spread = np.median(base, axis=0), np.ptp(base, axis=0)
    spread = np.where(spread > 0, spread, max(float(spread.max()), 1e-9))
    low, high = np.quantile(everything, 0.005, axis=0), np.quantile(everything, 0.995, axis=0)
    low = np.clip(low, centre - _FARTHEST / 2 * spread, base.min(axis=0))
    high = np.clip(high, base.max(axis=0), centre + _FARTHEST / 2 * spread)
    size = high - low
    size = np.where(size > 1e-9 * np.maximum(np.abs(high), 1.0), size, 1.0)  # constant: any width will do
    if size.min() > size.max() / 5:  # one scale for both axes, unless one would be squeezed to a line
        size = np.full(len(size), size.max())
    middle = (low + high) / 2
    return Window(middle - 0.56 * size, middle + 0.56 * size)


def reference_svg(reference: np.ndarray, window: Window, identity: str) -> Markup:
    """The grey reference points and their ellipse, drawn once; `scatter_svg` shows it by its identity."""
    marks = (*_cloud(reference, window, "reference"), _ellipse(reference, window, "reference"))
    return tag("svg", tag("g", *marks, id=identity), class_="shared", aria_hidden="true", width=0, height=0)


def scatter_svg(points: np.ndarray, window: Window, css: str, label: str, under: str | None = None) -> Markup:
    """Points and the ellipse of their covariance at two standard deviations, over a reference drawn elsewhere."""
    grey = [] if under is None else [tag("use", href=f"#{under}")]
    body = [*grey, *_cloud(points, window, f"dots {css}"), _ellipse(points, window, css)]
    return tag("svg", tag("title", label), *body, class_="scatter", viewBox=f"0 0 {_SIZE} {_SIZE}", role="img")


def outside_note(points: np.ndarray, window: Window) -> str:
    """How many points lie outside the window, in words; empty where none does."""
    outside = window.pixels(points)[1] if points.shape[1] == 2 else _count(points, window)[1]
    return f"{plural(outside, 'point')} outside the frame" if outside else ""


def _cloud(points: np.ndarray, window: Window, css: str) -> list[Markup]:
    pixels, _ = window.pixels(points)
    if not len(pixels):
        return []
    steps = np.diff(pixels, axis=0, prepend=np.zeros((1, 2), int))  # relative moves: the shortest text
    return [tag("path", class_=css, d="".join(f"m{x} {y}h0" for x, y in steps.tolist()))]


def _ellipse(points: np.ndarray, window: Window, css: str) -> Markup:
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) < 3:
        return Markup("")
    scaled = (points - window.low) / (window.high - window.low) * _SIZE * np.array([1, -1]) + np.array([0, _SIZE])
    values, vectors = np.linalg.eigh(np.cov(scaled.T))
    radii = 2 * np.sqrt(np.maximum(values, 0))
    if not np.all(radii < 20 * _SIZE):
        return Markup("")
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    x, y = scaled.mean(axis=0)
    place = f"translate({x:.1f} {y:.1f}) rotate({angle:.1f})"
    return tag("ellipse", class_=f"ellipse {css}", rx=f"{radii[1]:.1f}", ry=f"{radii[0]:.1f}", transform=place)


def _count(points: np.ndarray, window: Window) -> tuple[np.ndarray, int]:
    values = points[:, 0]
    counts, _ = np.histogram(values[np.isfinite(values)], _BINS, (float(window.low[0]), float(window.high[0])))
    return counts / max(len(values), 1), len(values) - int(counts.sum())


def histogram_svg(points: np.ndarray, reference: np.ndarray | None, window: Window, css: str, label: str) -> Markup:
    """A histogram of points on a line over the outline of the reference's."""
    shares = [_count(points, window)[0]] + ([] if reference is None else [_count(reference, window)[0]])
    top = max(float(s.max()) for s in shares) or 1.0
    step, height = _SIZE / _BINS, _SIZE * 0.6
    bars = "".join(
        f"M{i * step:.1f} {height:.0f}v{-s / top * (height - 8):.1f}h{step - 1:.1f}V{height:.0f}z"
        for i, s in enumerate(shares[0])
        if s > 0
    )
    outline = ""
    if len(shares) > 1:
        outline = f"M0 {height:.0f}" + "".join(
            f"V{height - s / top * (height - 8):.1f}H{(i + 1) * step:.1f}" for i, s in enumerate(shares[1])
        )
    return tag(
        "svg",
        tag("title", label),
        tag("path", class_=f"bars {css}", d=bars),
        tag("path", class_="outline", d=outline),
        class_="scatter",
        viewBox=f"0 0 {_SIZE} {height:.0f}",
        role="img",
    )


def moves_svg(before: np.ndarray, after: np.ndarray, css: str, label: str) -> Markup:
    """Points before (grey) and after (coloured) a correction, joined by lines."""
    finite = np.isfinite(before).all(axis=1) & np.isfinite(after).all(axis=1)
    before, after = before[finite], after[finite]
    if not len(before):
        return Markup("")
    window = window_of(before, [after])
    start, end = (np.clip((p - window.low) / (window.high - window.low), 0, 1) * _SIZE for p in (before, after))
    lines = "".join(
        f"M{a:.0f} {_SIZE - b:.0f}L{c:.0f} {_SIZE - d:.0f}"
        for (a, b), (c, d) in zip(start.tolist(), end.tolist(), strict=True)
    )
    return tag(
        "svg",
        tag("title", label),
        *_cloud(before, window, "reference"),
        tag("path", class_="moves", d=lines),
        *_cloud(after, window, f"dots {css}"),
        class_="scatter",
        viewBox=f"0 0 {_SIZE} {_SIZE}",
        role="img",
    )
