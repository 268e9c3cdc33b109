"""The command plan: what theory allows within a budget, as tables and phase diagrams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ouroloop.console_tables import number_text, print_tables, text_table
from ouroloop.errors import SpecError

if TYPE_CHECKING:
    from ouroloop.theory.planner import Answer, Interval

__all__ = ["EXAMPLES", "plan"]

EXAMPLES = (
    "Examples:  ouroloop plan --budget 1.5 --generations 20 -o plan  |  "
    "ouroloop plan --n-real 500 --dimension 20 --risk 0.06 --rows 2000  |  "
    "ouroloop plan --n-real 200 --label-noise 0.3 --keep-correct 0.9 --accuracy 0.79"
)
_REAL, _CLASSIFIER = "With real rows", "With real rows: a classifier on verified synthetic rows"
_MOST_SYNTHETIC = 100  # per real row that the best number is searched up to


def plan(
    budget: Annotated[
        float | None,
        typer.Option(min=1.0, help="Allowed risk over that of the real data alone.", show_default="1.5"),
    ] = None,
    generations: Annotated[int, typer.Option(min=1, help="Generations that must stay within the budget.")] = 10,
    synthetic_ratio: Annotated[float, typer.Option(min=0, help="Synthetic per real row that you would mix in.")] = 1.0,
    correction_strength: Annotated[float, typer.Option(min=0, help="Of a corrector as good as real data.")] = 0.0,
    sampler_distortion: Annotated[
        float, typer.Option(help="s²: by what your sampler inflates variance; see: ouroloop estimate")
    ] = 1.0,
    n_real: Annotated[
        int | None, typer.Option(min=1, help="Real rows: answers in rows, and for a classifier.", rich_help_panel=_REAL)
    ] = None,
    rows: Annotated[
        int | None, typer.Option(min=1, help="Most rows that a generation can train on.", rich_help_panel=_REAL)
    ] = None,
    risk: Annotated[
        float | None, typer.Option(help="Allowed risk itself, in place of --budget.", rich_help_panel=_REAL)
    ] = None,
    model: Annotated[
        str, typer.Option(help="Whose risk: least_squares or gaussian (its mean).", rich_help_panel=_REAL)
    ] = "least_squares",
    noise_variance: Annotated[float, typer.Option(min=0, help="σ² of a row.", rich_help_panel=_REAL)] = 1.0,
    dimension: Annotated[
        int, typer.Option(min=1, help="Coefficients, or features of the classifier.", rich_help_panel=_REAL)
    ] = 100,
    signal: Annotated[
        float,
        typer.Option(min=0, help="Half the distance between classes, in noise units.", rich_help_panel=_CLASSIFIER),
    ] = 1.0,
    label_noise: Annotated[
        float, typer.Option(min=0, max=1, help="Share of wrong synthetic labels.", rich_help_panel=_CLASSIFIER)
    ] = 0.1,
    keep_correct: Annotated[
        float, typer.Option(min=0, max=1, help="Share of right labels kept.", rich_help_panel=_CLASSIFIER)
    ] = 1.0,
    keep_wrong: Annotated[
        float, typer.Option(min=0, max=1, help="Share of wrong labels kept.", rich_help_panel=_CLASSIFIER)
    ] = 1.0,
    ridge: Annotated[float, typer.Option(min=0, help="Ridge of the classifier.", rich_help_panel=_CLASSIFIER)] = 1.0,
    accuracy: Annotated[
        float | None,
        typer.Option(
            help="Accuracy that the verifier must allow. Default: no worse than real rows.", rich_help_panel=_CLASSIFIER
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the phase diagrams.")] = None,
) -> None:
    """How much synthetic data, under which regime, how strongly corrected or verified, and when it breaks."""
    if n_real is None:
        for name, value in (("risk", risk), ("rows", rows), ("accuracy", accuracy)):
            if value is not None:
                raise SpecError(f"{name}: needs --n-real, the number of real rows")
    factor = _budget(budget, risk, model, n_real, dimension, noise_variance)
    loop = {"correction_strength": correction_strength, "sampler_distortion": sampler_distortion}
    _print_loops(factor, generations, synthetic_ratio, n_real, rows, loop, model, dimension, noise_variance)
    if out is not None:
        from ouroloop.diagrams import draw_budget_phases, draw_loop_phases

        given = {"sampler_distortion": sampler_distortion, "ratio": synthetic_ratio}
        path = draw_loop_phases(out / "phases-loop.png", budget=factor, generations=generations, **given)
        print(f"figure: {path}")
        limit = None if rows is None or n_real is None else rows / n_real
        path = out / "phases-budget.png"
        print(f"figure: {draw_budget_phases(path, factor, generations, ratio=synthetic_ratio, rows=limit)}")
    if n_real is not None:
        _Classifier(n_real, dimension, signal, label_noise, keep_correct, keep_wrong, ridge).plan(
            round(synthetic_ratio * n_real), accuracy, rows, out
        )


def _budget(
    budget: float | None, risk: float | None, model: str, n_real: int | None, dimension: int, noise: float
) -> float:
    """The allowed multiple of the real data's risk."""
    from ouroloop.theory import budget as budgets

    if risk is None or n_real is None:
        return 1.5 if budget is None else budget
    if budget is not None:
        raise SpecError("risk: give either --risk or --budget, not both")
    return budgets.relative_budget(model, risk, n_real, dimension, noise)


def _print_loops(
    budget: float,
    generations: int,
    ratio: float,
    n_real: int | None,
    rows: int | None,
    loop: dict[str, float],
    model: str,
    dimension: int,
    noise: float,
) -> None:
    from ouroloop.theory import planner

    answers = planner.plan(budget, generations, ratio, n_real=n_real, rows=rows, **loop)
    title = f"risk at most {budget:.4g} times that of the real data up to generation {generations}, ratio {ratio:g}"
    table = text_table(title, "regime", "risk", "breaks at", "synthetic_ratio may be", "strength needed")
    for answer in answers:
        strength = "no law known" if answer.strength is None else number_text(answer.strength)
        ratios = ", ".join(map(_interval, answer.ratios)) or "none"
        table.add_row(answer.regime, number_text(answer.risk), _breaks(answer), ratios, strength)
    print_tables(table)
    print("\n".join(f"{answer.regime}: {answer.note}" for answer in answers if answer.note))
    if n_real is not None:
        _print_rows(answers, budget, generations, ratio, n_real, loop, model, dimension, noise)


def _breaks(answer: Answer) -> str:
    if answer.breaks_at is None:
        return "unknown" if math.isnan(answer.risk) else "never"
    return f"{answer.breaks_at} ({answer.breaks_by})"


def _interval(pair: Interval) -> str:
    low, high = pair
    if low == high:
        return f"{low:g}"
    if low == 0.0:
        return "any" if high >= 1e4 else f"up to {high:.3g}"
    return f"{low:.3g} and more" if high >= 1e4 else f"{low:.3g} to {high:.3g}"


def _print_rows(
    answers: list[Answer],
    budget: float,
    generations: int,
    ratio: float,
    n_real: int,
    loop: dict[str, float],
    model: str,
    dimension: int,
    noise: float,
) -> None:
    """The answers in rows, and the risk with so few of them."""
    from ouroloop.theory.budget import MODELS, real_risk, trained_rows
    from ouroloop.theory.finite_risk import finite_risk

    own = real_risk(model, n_real, dimension, noise)
    title = f"{n_real} real rows, {dimension} parameters: {model} has risk {MODELS[model]} = {own:.4g} on them alone"
    table = text_table(title, "regime", "synthetic rows may be", "training rows", "risk", "within budget", "law")
    for answer in answers:
        exact = finite_risk(model, answer.regime, generations, n_real, dimension, noise, ratio, **loop)
        value, law = (answer.risk * own, "many rows") if math.isnan(exact) else (exact, "exact")
        table.add_row(
            answer.regime,
            ", ".join(_interval_of_rows(pair, n_real) for pair in answer.ratios) or "none",
            str(trained_rows(answer.regime, generations, n_real, ratio)),
            number_text(value),
            "unknown" if math.isnan(value) or math.isinf(own) else "yes" if value <= budget * own else "no",
            "none known" if math.isnan(value) else law,
        )
    print_tables(table)
    exact = "replace and accumulate with new inputs, the others with the same ones"
    exact = exact if model == "least_squares" else "mean and covariance fitted, any correction and distortion"
    if math.isinf(own):
        print(f"{n_real} rows do not determine {dimension} coefficients; {dimension + 2} are the fewest with a risk")
    print(f"training rows, risk: of generation {generations}; exact: for these very rows, {exact}")
    print(
        "synthetic rows may be: by the laws of many rows, as the table above; a risk that is exact can decide otherwise"
    )


def _interval_of_rows(pair: Interval, n_real: int) -> str:
    low, high = math.ceil(pair[0] * n_real - 1e-9), math.floor(pair[1] * n_real + 1e-9)
    if pair[1] >= 1e4:
        return "any" if low == 0 else f"{low} and more"
    return str(low) if low >= high else f"up to {high}" if low == 0 else f"{low} to {high}"


@dataclass(frozen=True)
class _Classifier:
    """Ridge regression on real rows and on synthetic ones that a verifier kept."""

    n_real: int
    dimension: int
    signal: float
    label_noise: float
    keep_correct: float
    keep_wrong: float
    ridge: float

    def plan(self, n_synthetic: int, accuracy: float | None, rows: int | None, out: Path | None) -> None:
        import numpy as np

        alone = float(self._accuracy(0))
        answers = [("accuracy with real rows alone", f"{alone:.4f}")]
        if n_synthetic:
            answers.append((f"with {n_synthetic} synthetic rows", f"{float(self._accuracy(n_synthetic)):.4f}"))
        answers += [self._p_star(), self._best(alone, rows)]
        if n_synthetic:
            answers.append(self._verifier(n_synthetic, accuracy))
        table = text_table(f"classifier of {self.dimension} features, {self.n_real} real rows", "question", "answer")
        for question, answer in answers:
            table.add_row(question, answer)
        print_tables(table)
        if out is not None:
            from ouroloop.diagrams import draw_verification_phases

            grid = {"label_noise": np.linspace(0.0, 1.0, 61), "keep_wrong": np.linspace(0.0, 1.0, 61)}
            picture = self._accuracy(max(1, n_synthetic), *np.meshgrid(grid["label_noise"], grid["keep_wrong"]))
            marks = {"baseline": alone, "wanted": accuracy, "keep_correct": self.keep_correct}
            marks |= {"label_noise": self.label_noise, "keep_wrong": self.keep_wrong}
            print(f"figure: {draw_verification_phases(out / 'phases-verification.png', picture, grid, **marks)}")

    def _accuracy(self, n_synthetic: int, noise: Any = None, wrong: Any = None) -> Any:
        from ouroloop.theory.verification import classifier_accuracy

        noise = self.label_noise if noise is None else noise
        wrong = self.keep_wrong if wrong is None else wrong
        return classifier_accuracy(
            self.n_real, n_synthetic, self.dimension, self.signal, noise, self.keep_correct, wrong, self.ridge
        )

    def _p_star(self) -> tuple[str, str]:
        from ouroloop.theory.verification import p_star

        limit = float(p_star(self.keep_correct, self.keep_wrong))
        return "label noise beyond which synthetic labels mislead (p*)", f"{limit:.3f}; yours {self.label_noise:g}"

    def _best(self, alone: float, rows: int | None) -> tuple[str, str]:
        from ouroloop.theory.verification import kept_share, optimal_synthetic_size

        most, limit = _MOST_SYNTHETIC * self.n_real, f"up to {_MOST_SYNTHETIC} per real row"
        kept = float(kept_share(self.label_noise, self.keep_correct, self.keep_wrong))
        if rows is not None:
            room = int((rows - self.n_real) / kept + 1e-9) if kept > 0.0 else most
            most, limit = min(most, room), f"up to {rows} rows trained on"
        question = f"best number of synthetic rows, {limit}"
        if most < 1:
            return question, "none: no room for any"
        noise, right, wrong = self.label_noise, self.keep_correct, self.keep_wrong
        best = optimal_synthetic_size(
            self.n_real, self.dimension, self.signal, noise, right, wrong, self.ridge, largest=most
        )
        value = float(self._accuracy(best))
        return question, f"{best} (accuracy {value:.4f})" if value > alone + 5e-5 else "none: they do not help"

    def _verifier(self, n_synthetic: int, accuracy: float | None) -> tuple[str, str]:
        from ouroloop.theory.verifier_planner import needed_verifier

        noise, right = self.label_noise, self.keep_correct
        need = needed_verifier(
            self.n_real, n_synthetic, self.dimension, self.signal, noise, right, self.ridge, accuracy
        )
        goal = "do no harm" if accuracy is None else f"reach accuracy {accuracy:g}"
        question = f"keep_wrong with which {n_synthetic} synthetic rows {goal}"
        if not need.keep_wrong:
            best = f"keep_wrong {need.best_keep_wrong:.3g} reaches {need.best_accuracy:.4f}"
            return question, f"none does: {best}"
        bounds = [
            f"at most {high:.3f}" if low == 0.0 else f"{low:.3f} or more" if high == 1.0 else f"{low:.3f} to {high:.3f}"
            for low, high in need.keep_wrong
        ]
        text = "any" if need.keep_wrong == ((0.0, 1.0),) else " or ".join(bounds)
        return question, f"{text}; yours {self.keep_wrong:g}"
