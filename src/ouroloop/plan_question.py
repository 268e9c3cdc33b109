"""A question to the planner, and its answers as tables and pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ouroloop.console_tables import number_text, text_table

if TYPE_CHECKING:
    from ouroloop.theory.planner import Answer, Interval

__all__ = ["Question"]

_LAWS = {
    ("least_squares", "exact"): "exact: for these very rows; every generation draws new inputs",
    ("least_squares", "exact, same inputs"): "exact, same inputs: if synthetic rows are the real rows' own inputs, "
    "labelled by the model; if they have inputs of their own, the limit of many rows",
    ("gaussian", "exact"): "exact: for these very rows, mean and covariance fitted in every generation, with any "
    "correction and distortion",
}
_MANY = "many rows: the limit; with few rows to a parameter the risk differs from it"


@dataclass(frozen=True, kw_only=True)
class Question:
    """What a user has, would like to do and can afford.

    Attributes:
        budget: allowed risk over that of the real data alone. allowed_risk: the risk itself, in place of it.
        generations, synthetic_ratio, correction_strength, sampler_distortion, n_real, rows: see `theory.planner.plan`.
        model, dimension, noise_variance: see `theory.budget.real_risk`; asked for with `n_real` alone.
    """

    budget: float = 1.5
    allowed_risk: float | None = None
    generations: int = 10
    synthetic_ratio: float = 1.0
    correction_strength: float = 0.0
    sampler_distortion: float = 1.0
    n_real: int | None = None
    rows: int | None = None
    model: str = "least_squares"
    dimension: int = 100
    noise_variance: float = 1.0

    @property
    def n_synthetic(self) -> int:
        """Synthetic rows a generation."""
        from ouroloop.theory.rows import drawn

        return 0 if self.n_real is None else drawn(self.synthetic_ratio, self.n_real)

    @cached_property
    def factor(self) -> float:
        """The allowed multiple of the real data's risk."""
        from ouroloop.theory.budget import relative_budget

        if self.allowed_risk is None or self.n_real is None:
            return self.budget
        return relative_budget(self.model, self.allowed_risk, self.n_real, self.dimension, self.noise_variance)

    @cached_property
    def own(self) -> float:
        """Risk of the real rows alone; 1 where there is no number of them."""
        from ouroloop.theory.budget import real_risk

        if self.n_real is None:
            return 1.0
        return real_risk(self.model, self.n_real, self.dimension, self.noise_variance)

    def tables(self) -> tuple[list[Any], list[list[str]]]:
        """Tables, and the lines below each of them."""
        from ouroloop.theory import planner

        of_rows = {} if self.n_real is None else {"model": self.model, "dimension": self.dimension}
        answers = planner.plan(
            self.factor,
            self.generations,
            self.synthetic_ratio,
            correction_strength=self.correction_strength,
            sampler_distortion=self.sampler_distortion,
            n_real=self.n_real,
            rows=self.rows,
            **of_rows,
        )
        notes = [f"{answer.regime}: {answer.note}" for answer in answers if answer.note]
        if self.n_real is None:
            return [self._loops(answers)], [notes]
        return [self._loops(answers), self._in_rows(answers)], [notes, self._explained(answers)]

    def _loops(self, answers: list[Answer]) -> Any:
        title = f"risk at most {self.factor:.4g} times that of the real data up to generation {self.generations}"
        title = f"{title}, ratio {self.synthetic_ratio:g}"
        title += f", correction strength {self.correction_strength:g}" if self.correction_strength else ""
        table = text_table(title, "regime", "risk", "breaks at", "synthetic_ratio may be", "strength needed")
        for answer in answers:
            ratios = self._several([_interval(pair) for pair in answer.ratios])
            table.add_row(answer.regime, number_text(answer.risk), _breaks(answer), ratios, _strength(answer))
        return table

    def _in_rows(self, answers: list[Answer]) -> Any:
        """The answers in rows, and the risk itself."""
        from ouroloop.theory.budget import MODELS, trained_rows

        n = self.n_real or 0
        own = f"{self.model} has risk {MODELS[self.model]} = {self.own:.4g} on them alone"
        title = f"{n} real rows, {self.dimension} parameters: {own}"
        table = text_table(title, "regime", "synthetic rows may be", "training rows", "risk", "within budget", "law")
        for answer in answers:
            value = answer.risk * self.own if math.isfinite(self.own) else math.nan
            table.add_row(
                answer.regime,
                self._several([_interval_of_rows(pair, n) for pair in answer.ratios]),
                str(trained_rows(answer.regime, self.generations, n, self.synthetic_ratio)),
                number_text(value),
                {True: "yes", False: "no", None: "unknown"}[answer.within],
                answer.law or "none known",
            )
        return table

    def _several(self, intervals: list[str]) -> str:
        return ", ".join(intervals) or ("unknown" if math.isinf(self.own) else "none")

    def _explained(self, answers: list[Answer]) -> list[str]:
        lines = [
            f"training rows, risk: of generation {self.generations}; within budget: no generation up to it exceeds it"
        ]
        if math.isinf(self.own):
            least = f"{self.dimension + 2} are the fewest with a risk"
            lines.insert(0, f"{self.n_real} rows do not determine {self.dimension} coefficients; {least}")
        kinds = dict.fromkeys(answer.law for answer in answers if answer.law)
        return lines + [_LAWS.get((self.model, kind), _MANY) for kind in kinds]

    def draw(self, folder: Path) -> list[Path]:
        """The phase diagrams of the loops."""
        from ouroloop.diagrams import draw_budget_phases, draw_loop_phases
        from ouroloop.theory.phases import budget_phases, loop_phases
        from ouroloop.theory.planner import law_for

        yours = {"ratio": self.synthetic_ratio, "generations": self.generations}
        loops = loop_phases(self.generations, self.sampler_distortion)
        law = law_for(
            self.correction_strength,
            self.n_real,
            None if self.n_real is None or math.isinf(self.own) else self.model,
            self.dimension,
            self.sampler_distortion,
        )
        limit = None if self.rows is None or self.n_real is None else self.rows / self.n_real
        return [
            draw_loop_phases(
                folder / "phases-loop.png",
                loops,
                budget=self.factor,
                sampler_distortion=self.sampler_distortion,
                **yours,
            ),
            draw_budget_phases(
                folder / "phases-budget.png", budget_phases(self.generations, law), self.factor, rows=limit, **yours
            ),
        ]


def _breaks(answer: Answer) -> str:
    if answer.breaks_at is None:
        return "unknown" if math.isnan(answer.risk) else "never"
    return f"{answer.breaks_at} ({answer.breaks_by})"


def _strength(answer: Answer) -> str:
    if answer.strength is None:
        return "not known"
    return "none finite" if math.isinf(answer.strength) else number_text(answer.strength)


def _interval(pair: Interval) -> str:
    low, high = pair
    if low == high:
        return f"{low:g}"
    if low == 0.0:
        return "any" if high >= 1e4 else f"up to {high:.3g}"
    return f"{low:.3g} and more" if high >= 1e4 else f"{low:.3g} to {high:.3g}"


def _interval_of_rows(pair: Interval, n_real: int) -> str:
    low, high = math.ceil(pair[0] * n_real - 1e-9), math.floor(pair[1] * n_real + 1e-9)
    if pair[1] >= 1e4:
        return "any" if low == 0 else f"{low} and more"
    return str(low) if low >= high else f"up to {high}" if low == 0 else f"{low} to {high}"
