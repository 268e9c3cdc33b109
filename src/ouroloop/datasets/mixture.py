r"""Known 2-D targets with several modes: a ring or a grid of Gaussians, two moons, two circles.

Every target is a mixture $p(x) = \frac{1}{K} \sum_k p_k(x)$ of equally likely modes. In the ring and the
grid $p_k = N(c_k, s^2 I)$; in the others $p_k$ is a half or a whole circle, uniform in angle, plus noise $N(0, s^2 I)$.
The sampler is exact, so `fresh` never runs out and never repeats.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from ouroloop.datasets.loaded import LoadedDataset
from ouroloop.datasets.split import generation_of
from ouroloop.errors import DataError
from ouroloop.keys import Key
from ouroloop.samples import Samples

__all__ = ["MixtureTarget"]

_MAX_ARC_POINTS = 50_000  # midpoints per curve in the density of moons and circles
_INNER = 0.8  # radius of the inner circle, of the outer one's
_CHUNK_VALUES = 1 << 21  # distances held at a time


@dataclass(frozen=True, kw_only=True)
class MixtureTarget:
    """n points of a 2-D mixture; ``x`` is float64 (n, 2), ``label`` int64 (n,) is the mode that drew the point.

    Ring: `modes` centres at equal angles on a circle of radius `scale`. Grid: `modes` centres (a square
    number) on a square lattice from -`scale` to `scale`. Moons: half circles of radius `scale`, the upper one
    around (0, 0), the lower one around (`scale`, `scale` / 2), as in scikit-learn's `make_moons`. Circles: one of
    radius `scale` and one of 0.8 `scale` around (0, 0), as in its `make_circles`.
    """

    shape: Annotated[Literal["ring", "grid", "moons", "circles"], Field(description="which target")] = "ring"
    modes: Annotated[int, Field(ge=1, le=10_000, description="number of Gaussians; moons and circles have 2 modes")] = 8
    scale: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="radius, or half the grid's side, in the data's units")
    ] = 2.0
    noise: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="standard deviation s of each mode, in the data's units")
    ] = 0.1
    n: Annotated[int, Field(ge=1, description="real rows to train on")] = 1000
    held_out: Annotated[int, Field(ge=0, description="further real rows, for metrics")] = 1000

    def __post_init__(self) -> None:
        if self.shape == "grid" and (self.modes < 4 or round(self.modes**0.5) ** 2 != self.modes):
            raise DataError(f"mixture.modes: a grid needs a square number of modes (4, 9, 16, ...), got {self.modes}")

    def load(self, *, key: Key, cache: Path | None = None) -> LoadedDataset:
        """Training and held-out rows from streams of their own; `cache` is not used."""

        def fresh(n: int, key: Key) -> Samples:
            rows = self.sample(n, key=key)
            return rows.replace(id=rows.id + self.n + self.held_out + (generation_of(key)[0] - 1) * n)

        held_out = self.sample(self.held_out, key=key.child("held_out")) if self.held_out else None
        return LoadedDataset(
            name=f"mixture-{self.shape}",
            real=self.sample(self.n, key=key.child("real")),
            held_out=held_out and held_out.replace(id=held_out.id + self.n),
            fresh_fn=fresh,
        )

    def sample(self, n: int, *, key: Key) -> Samples:
        """n exact draws with ids 0..n-1."""
        rng = key.rng()
        if self.shape in ("moons", "circles"):
            label = rng.integers(2, size=n)
            points = self._curve(rng.random(n), label)
        else:
            centres = self.centres()
            label = rng.integers(len(centres), size=n)
            points = centres[label]
        return Samples.of(points + self.noise * rng.standard_normal((n, 2)), label=label.astype(np.int64))

    def log_density(self, x: np.ndarray) -> np.ndarray:
        """log p(x) in nats for points x of shape (n, 2), float64 (n,).

        Exact for ring and grid. On moons and circles the angle is integrated by the midpoint rule, with points at
        most an eighth of `noise` apart (relative error below 1e-3 near the moons' tips, far less elsewhere) for noise
        >= scale / 900.

        Raises:
            DataError: x is not of shape (n, 2).
        """
        from scipy.special import logsumexp

        x = np.asarray(x, np.float64)
        if x.ndim != 2 or x.shape[1] != 2:
            raise DataError(f"a 2-D target has a density for points of shape (n, 2), got {x.shape}")
        centres = self.centres()
        result = np.empty(len(x))
        chunk = max(1, _CHUNK_VALUES // len(centres))
        for start in range(0, len(x), chunk):
            squared = ((x[start : start + chunk, None, :] - centres) ** 2).sum(-1)
            result[start : start + chunk] = logsumexp(-0.5 * squared / self.noise**2, axis=1)
        return result - np.log(len(centres) * 2 * np.pi * self.noise**2)

    def centres(self) -> np.ndarray:
        """Centres c_k of the Gaussians, float64 (modes, 2); for moons and circles, many points along both curves."""
        if self.shape == "ring":
            angle = 2 * np.pi * np.arange(self.modes) / self.modes
            return self.scale * np.column_stack([np.cos(angle), np.sin(angle)])
        if self.shape == "grid":
            side = np.linspace(-self.scale, self.scale, round(self.modes**0.5))
            return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
        length = (np.pi if self.shape == "moons" else 2 * np.pi) * self.scale
        points = min(int(np.ceil(8 * length / self.noise)), _MAX_ARC_POINTS)
        part = (np.arange(points) + 0.5) / points
        return np.concatenate([self._curve(part, np.full(points, mode)) for mode in (0, 1)])

    def _curve(self, part: np.ndarray, mode: np.ndarray) -> np.ndarray:
        """Points at these parts (0..1) of the way along the upper (0) or lower (1) moon, the outer or inner circle."""
        if self.shape == "circles":
            radius = self.scale * np.where(mode == 0, 1.0, _INNER)
            return radius[:, None] * np.column_stack([np.cos(2 * np.pi * part), np.sin(2 * np.pi * part)])
        sign = np.where(mode == 0, 1.0, -1.0)
        shift = np.where(mode == 0, 0.0, 1.0)
        angle = np.pi * part
        return self.scale * np.column_stack([shift + sign * np.cos(angle), 0.5 * shift + sign * np.sin(angle)])
