"""The command plan: what theory allows within a budget, as tables and phase diagrams."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ouroloop.console_tables import print_tables
from ouroloop.errors import SpecError
from ouroloop.plan_classifier import Classifier
from ouroloop.plan_question import Question

__all__ = ["EXAMPLES", "plan"]

EXAMPLES = (
    "Examples:  ouroloop plan --budget 1.5 --generations 20 -o plan  |  "
    "ouroloop plan --n-real 500 --dimension 20 --risk 0.06 --rows 2000  |  "
    "ouroloop plan --n-real 200 --label-noise 0.3 --keep-correct 0.9 --accuracy 0.79"
)
_REAL, _CLASSIFIER = "With real rows", "With real rows: a classifier on verified synthetic rows"


def _real(text: str, default: str | None = None, *, least: float | None = None) -> Any:
    return typer.Option(help=text, rich_help_panel=_REAL, show_default=default or False, min=least)


def _verified(text: str, default: str, *, least: float | None = None, most: float | None = None) -> Any:
    return typer.Option(help=text, rich_help_panel=_CLASSIFIER, show_default=default, min=least, max=most)


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
    n_real: Annotated[int | None, _real("Real rows: answers for so many of them, and in rows.", least=1)] = None,
    rows: Annotated[int | None, _real("Most rows that a generation can train on.", least=1)] = None,
    risk: Annotated[float | None, _real("Allowed risk itself, in place of --budget.")] = None,
    model: Annotated[str | None, _real("Whose risk: least_squares or gaussian (its mean).", "least_squares")] = None,
    noise_variance: Annotated[float | None, _real("σ² of a row.", "1", least=0)] = None,
    dimension: Annotated[int | None, _real("Coefficients, or features of the classifier.", "100", least=1)] = None,
    signal: Annotated[
        float | None, _verified("Half the distance between classes, in noise units.", "1", least=0)
    ] = None,
    label_noise: Annotated[float | None, _verified("Share of wrong synthetic labels.", "0.1", least=0, most=1)] = None,
    keep_correct: Annotated[float | None, _verified("Share of right labels kept.", "1", least=0, most=1)] = None,
    keep_wrong: Annotated[float | None, _verified("Share of wrong labels kept.", "1", least=0, most=1)] = None,
    ridge: Annotated[float | None, _verified("Ridge of the classifier.", "1", least=0)] = None,
    accuracy: Annotated[
        float | None, _verified("Accuracy that the verifier must allow.", "no worse than real rows")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Folder for the phase diagrams.")] = None,
) -> None:
    """How much synthetic data, under which regime, how strongly corrected or verified, and when it breaks.

    A classifier is planned for where one of its options is given.
    """
    classifier = {
        "signal": signal,
        "label_noise": label_noise,
        "keep_correct": keep_correct,
        "keep_wrong": keep_wrong,
        "ridge": ridge,
        "accuracy": accuracy,
    }
    of_rows = {"model": model, "noise_variance": noise_variance, "dimension": dimension}
    if n_real is None:
        for name, value in ({"risk": risk, "rows": rows} | of_rows | classifier).items():
            if value is not None:
                raise SpecError(f"{name}: needs --n-real, the number of real rows")
    question = Question(
        **_budget(budget, risk),
        generations=generations,
        synthetic_ratio=synthetic_ratio,
        correction_strength=correction_strength,
        sampler_distortion=sampler_distortion,
        n_real=n_real,
        rows=rows,
        **_given(of_rows),
    )
    _answer(question, _given(classifier), out)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """Without those that were left out."""
    return {name: value for name, value in options.items() if value is not None}


def _budget(budget: float | None, risk: float | None) -> dict[str, Any]:
    if budget is not None and risk is not None:
        raise SpecError("risk: give either --risk or --budget, not both")
    return _given({"budget": budget, "allowed_risk": risk})


def _answer(question: Question, classifier: dict[str, Any], out: Path | None) -> None:
    """Everything is worked out before anything is printed."""
    tables, notes = question.tables()
    asked = None
    if classifier and question.n_real is not None:
        asked = Classifier(
            n_real=question.n_real,
            n_synthetic=question.n_synthetic,
            dimension=question.dimension,
            rows=question.rows,
            **classifier,
        )
    last = asked.table() if asked else None
    for table, lines in zip(tables, notes, strict=True):
        print_tables(table)
        print("\n".join(lines))
    if last is not None:
        print_tables(last)
    if out is not None:
        drawn = question.draw(out)
        if asked:
            drawn.append(asked.draw(out / "phases-verification.png"))
        print("\n".join(f"figure: {path}" for path in drawn))
