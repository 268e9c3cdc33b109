"""Run many arms and seeds of a Gaussian study at once, in memory: for the parts that `gaussian_grid` knows.

The numbers are those of `ouroloop.Loop` for the same specification and seed, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ouroloop import options
from ouroloop.backends.gaussian_grid import ACCUMULATING, REGIMES, Grid, Info
from ouroloop.errors import SpecError
from ouroloop.keys import Key

__all__ = ["Result", "grids", "run_grid"]

_HISTORY_BYTES = 1 << 28  # seeds are run in groups whose past rows fit into this


@dataclass(frozen=True, eq=False)
class Result:
    """What one arm gave: arrays over (seed, generation 0..T).

    Attributes:
        mean, covariance: of the fitted models, float64 (S, T + 1, d) and (S, T + 1, d, d).
        n_real, n_synthetic: training rows by origin, int64 (T + 1,).
        changed, distance: see `Info`, float64 (S, T + 1).
    """

    mean: np.ndarray
    covariance: np.ndarray
    n_real: np.ndarray
    n_synthetic: np.ndarray
    changed: np.ndarray
    distance: np.ndarray


def run_grid(
    specs: Sequence[Mapping[str, Any]],
    seeds: Sequence[int],
    listener: Callable[[int, int], None] | None = None,
) -> list[Result]:
    """Run every arm with every seed.

    Args:
        specs: resolved specifications, one an arm; their own seed is not used.
        seeds: the same seeds in every arm.
        listener: told (generations done, of all), counted over all arms.

    Returns:
        One result an arm, in order.

    Raises:
        SpecError: an arm has a part that this backend does not run; the message names the field.
    """
    total, done = sum(spec["generations"] for spec in specs), 0
    results: dict[int, Result] = {}
    for grid, members in grids(specs):
        generations = specs[members[0]]["generations"]
        results |= zip(members, _run_in_chunks(grid, seeds, generations), strict=True)
        done += generations * len(members)
        if listener is not None:
            listener(done, total)
    return [results[index] for index in range(len(specs))]


def grids(specs: Sequence[Mapping[str, Any]]) -> list[tuple[Grid, list[int]]]:
    """The arms in groups that run together: each group's step, and the positions of its arms in `specs`.

    Raises:
        SpecError: see `run_grid`.
    """
    groups: dict[str, list[int]] = {}
    for index, spec in enumerate(specs):
        groups.setdefault(_shared(spec), []).append(index)
    return [(_grid([specs[i] for i in members]), members) for members in groups.values()]


def _shared(spec: Mapping[str, Any]) -> str:
    """What the arms of one grid have in common, after refusing what is not run here."""
    wrong = {
        "data.kind": (spec["data"]["kind"], ("gaussian",)),
        "generator.kind": (spec["generator"]["kind"], ("gaussian",)),
        "generator.per_class": (spec["generator"].get("per_class", False), (False,)),
        "regime.kind": (spec["regime"]["kind"], REGIMES),
        "corrector.kind": (spec["corrector"]["kind"], ("identity", "ideal", "histogram")),
        "guards.min_real_share": (spec["guards"]["min_real_share"], (0.0,)),
    }
    for field, (got, choices) in wrong.items():
        if got not in choices:
            known = ", ".join(map(str, choices))
            raise SpecError(f"{field}: backend 'vectorised' runs {known}; got {got!r} (backend 'local' runs any)")
    corrector, released = dict(spec["corrector"]), spec["corrector"]["kind"] == "histogram"
    if released and spec["data"]["dim"] != 2:
        raise SpecError(f"data.dim: corrector 'histogram' is for points in the plane, got {spec['data']['dim']}")
    del corrector["correction_strength"]
    fields = ("data", "generator", "regime", "generations", "shard_rows")
    return repr([corrector if released else None, *(spec[field] for field in fields)])


def _grid(specs: Sequence[Mapping[str, Any]]) -> Grid:
    spec = specs[0]
    strengths = [0.0 if s["corrector"]["kind"] == "identity" else s["corrector"]["correction_strength"] for s in specs]
    return Grid(
        target=options.build("datasets", spec["data"]),
        generator=options.build("generators", spec["generator"]),
        kind=spec["regime"]["kind"],
        regime=options.build("regimes", spec["regime"]),
        strengths=np.array(strengths, np.float64),
        histogram=options.build("correctors", spec["corrector"]) if spec["corrector"]["kind"] == "histogram" else None,
        shard_rows=spec["shard_rows"],
    )


def _run_in_chunks(grid: Grid, seeds: Sequence[int], generations: int) -> list[Result]:
    arms = len(grid.strengths)
    rows = grid.regime.draws(grid.target.n, 1) * (generations if grid.kind in ACCUMULATING else 1)
    size = max(1, _HISTORY_BYTES // max(1, 8 * grid.target.dim * arms * rows))
    chunks = [_run(grid, seeds[i : i + size], generations) for i in range(0, len(seeds), size)]
    infos = chunks[0][1]
    n_real, n_synthetic = (np.array([info[place] for info in infos]) for place in (0, 1))
    parts = zip(*(arrays for arrays, _ in chunks), strict=True)
    mean, covariance, changed, distance = (np.concatenate(part, axis=1) for part in parts)
    return [Result(mean[a], covariance[a], n_real, n_synthetic, changed[a], distance[a]) for a in range(arms)]


def _run(grid: Grid, seeds: Sequence[int], generations: int) -> tuple[tuple[np.ndarray, ...], list[Info]]:
    """Mean, covariance, changed and distance over (arm, seed, generation), and what happened in each generation."""
    keys = [Key(seed) for seed in seeds]
    state, info = grid.start(keys)
    means, covariances, infos = [state.mean], [state.covariance], [info]
    for _ in range(generations):
        state, info = grid(state, keys)
        means.append(state.mean)
        covariances.append(state.covariance)
        infos.append(info)
    tracks = (means, covariances, [info.changed for info in infos], [info.distance for info in infos])
    return tuple(np.stack(track, axis=2) for track in tracks), infos
