"""What phase diagrams show, as numbers on a grid: stability over ratio and correction, risk over ratio and time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ouroloop.theory import risk, stability
from ouroloop.theory.arguments import number, whole
from ouroloop.theory.budget import training_size
from ouroloop.theory.risk_laws import ManyRows

__all__ = ["BudgetPhases", "LoopPhases", "budget_phases", "loop_phases"]

_CELLS = 241
_TIMES = 40  # generations at which the worst is looked for


@dataclass(frozen=True, eq=False)
class LoopPhases:
    """float64 grids of shape (strengths, ratios).

    Attributes:
        ratios, strengths: the axes.
        radius: spectral radius, by which an error changes in a generation.
        margin: of the certificate, positive where stability is certified.
        worst: largest risk of fixed_real up to the last generation over that of the real data, for many rows.
    """

    ratios: np.ndarray
    strengths: np.ndarray
    radius: np.ndarray
    margin: np.ndarray
    worst: np.ndarray


@dataclass(frozen=True, eq=False)
class BudgetPhases:
    """float64 grids of shape (generations, ratios), by regime.

    Attributes:
        ratios, generations: the axes.
        risk: over that of the real data alone; NaN where no law is known.
        trained: rows trained on, per real row.
    """

    ratios: np.ndarray
    generations: np.ndarray
    risk: Mapping[str, np.ndarray]
    trained: Mapping[str, np.ndarray]


def loop_phases(generations: int, sampler_distortion: float = 1.0, cells: int = _CELLS) -> LoopPhases:
    """Over ratios from 0.05 to 20 and correction strengths from 0.01 to 10.

    Args:
        generations: the last one, at least 1. sampler_distortion: s^2. cells: along either axis.
    """
    last = whole("generations", generations, 1)
    ratios, strengths = np.geomspace(0.05, 20.0, cells), np.geomspace(0.01, 10.0, cells)
    x, y = np.meshgrid(ratios, strengths)
    steps = np.unique(np.geomspace(1, last, _TIMES).round().astype(int))
    return LoopPhases(
        ratios=ratios,
        strengths=strengths,
        radius=np.asarray(stability.spectral_radius(x, y, sampler_distortion)),
        margin=np.asarray(stability.certificate(x, y).margin),
        worst=np.max([np.asarray(risk.multiplier("fixed_real", int(t) + 1, x, y)) for t in steps], axis=0),
    )


def budget_phases(generations: int, law: ManyRows | None = None, cells: int = _CELLS) -> BudgetPhases:
    """Over ratios from 0.01 to 100 and generations from 1 to ten times the user's last one, at least 100.

    Args:
        generations: the user's last one. law: the risk's; None: many rows, without correction.
        cells: along either axis, fewer where generations are.
    """
    law, last = law or ManyRows(), 10.0 * number("generations", generations, 1.0)
    ratios = np.geomspace(0.01, 100.0, cells)
    times = np.unique(np.geomspace(1.0, max(100.0, last), cells).round())
    regimes = ("fixed_real", "fresh_real", "accumulate", "replace")
    return BudgetPhases(
        ratios=ratios,
        generations=times,
        risk={regime: np.stack([law.at(regime, int(t), ratios) for t in times]) for regime in regimes},
        trained={regime: training_size(regime, times[:, None], 1.0, ratios) for regime in regimes},
    )
