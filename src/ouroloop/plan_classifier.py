"""What `plan` says of a classifier that is trained on real rows and on synthetic ones that a verifier kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ouroloop.console_tables import text_table

__all__ = ["Classifier"]

_MOST_SYNTHETIC = 100  # per real row that the best number is searched up to


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """Ridge regression on real rows and on synthetic ones that a verifier kept.

    Attributes:
        n_real, n_synthetic, dimension, signal, label_noise, keep_correct, keep_wrong, ridge: see
            `theory.verification.classifier_accuracy`.
        accuracy: that the verifier must allow; None: no worse than the real rows alone.
        rows: the most that can be trained on; None: any number.
    """

    n_real: int
    n_synthetic: int
    dimension: int
    signal: float = 1.0
    label_noise: float = 0.1
    keep_correct: float = 1.0
    keep_wrong: float = 1.0
    ridge: float = 1.0
    accuracy: float | None = None
    rows: int | None = None

    def table(self) -> Any:
        """Questions and answers."""
        alone = self.alone()
        answers = [("accuracy with real rows alone", f"{alone:.4f}")]
        if self.n_synthetic:
            answers.append(
                (f"with {self.n_synthetic} synthetic rows", f"{float(self._accuracy(self.n_synthetic)):.4f}")
            )
            if min(self.keep_correct, self.keep_wrong) < 1.0:
                kept = float(self._accuracy(self.n_synthetic, right=1.0, wrong=1.0))
                answers.append((f"with {self.n_synthetic} synthetic rows, none discarded", f"{kept:.4f}"))
        answers += [self._p_star(), self._best(alone)]
        if self.n_synthetic:
            answers.append(self._verifier())
        answers.append(("error of the formula", "0.005; 0.01 where few rows are kept"))
        table = text_table(f"classifier of {self.dimension} features, {self.n_real} real rows", "question", "answer")
        for question, answer in answers:
            table.add_row(question, answer)
        return table

    def draw(self, path: Path) -> Path:
        """Accuracy over label noise and keep_wrong."""
        import numpy as np

        from ouroloop.diagrams import draw_verification_phases

        grid = {"label_noise": np.linspace(0.0, 1.0, 61), "keep_wrong": np.linspace(0.0, 1.0, 61)}
        picture = self._accuracy(max(1, self.n_synthetic), *np.meshgrid(grid["label_noise"], grid["keep_wrong"]))
        marks = {"baseline": self.alone(), "wanted": self.accuracy, "keep_correct": self.keep_correct}
        marks |= {"label_noise": self.label_noise, "keep_wrong": self.keep_wrong}
        return draw_verification_phases(path, picture, grid, **marks)

    def alone(self) -> float:
        """Accuracy with the real rows alone."""
        return float(self._accuracy(0))

    def _accuracy(self, n_synthetic: int, noise: Any = None, wrong: Any = None, right: Any = None) -> Any:
        from ouroloop.theory.verification import classifier_accuracy

        noise = self.label_noise if noise is None else noise
        wrong = self.keep_wrong if wrong is None else wrong
        right = self.keep_correct if right is None else right
        return classifier_accuracy(
            self.n_real, n_synthetic, self.dimension, self.signal, noise, right, wrong, self.ridge
        )

    def _p_star(self) -> tuple[str, str]:
        from ouroloop.theory.verification import p_star

        limit = float(p_star(self.keep_correct, self.keep_wrong))
        return "label noise beyond which synthetic labels mislead (p*)", f"{limit:.3f}; yours {self.label_noise:g}"

    def _best(self, alone: float) -> tuple[str, str]:
        from ouroloop.theory.verification import kept_share, optimal_synthetic_size

        most, limit = _MOST_SYNTHETIC * self.n_real, f"up to {_MOST_SYNTHETIC} per real row"
        kept = float(kept_share(self.label_noise, self.keep_correct, self.keep_wrong))
        if self.rows is not None:
            room = int((self.rows - self.n_real) / kept + 1e-9) if kept > 0.0 else most
            most, limit = min(most, room), f"up to {self.rows} rows trained on"
        question = f"best number of synthetic rows, {limit}"
        if most < 1:
            return question, "none: no room for any"
        noise, right, wrong = self.label_noise, self.keep_correct, self.keep_wrong
        best = optimal_synthetic_size(
            self.n_real, self.dimension, self.signal, noise, right, wrong, self.ridge, largest=most
        )
        value = float(self._accuracy(best))
        return question, f"{best} (accuracy {value:.4f})" if value > alone + 5e-5 else "none: they do not help"

    def _verifier(self) -> tuple[str, str]:
        from ouroloop.theory.verifier_planner import needed_verifier

        rates = (self.label_noise, self.keep_correct, self.ridge, self.accuracy)
        need = needed_verifier(self.n_real, self.n_synthetic, self.dimension, self.signal, *rates)
        goal = "do no harm" if self.accuracy is None else f"reach accuracy {self.accuracy:g}"
        question = f"keep_wrong with which {self.n_synthetic} synthetic rows {goal}"
        if not need.keep_wrong:
            best = f"keep_wrong {need.best_keep_wrong:.3g} reaches {need.best_accuracy:.4f}"
            return question, f"none does: {best}"
        bounds = [
            f"at most {high:.3f}" if low == 0.0 else f"{low:.3f} or more" if high == 1.0 else f"{low:.3f} to {high:.3f}"
            for low, high in need.keep_wrong
        ]
        text = "any" if need.keep_wrong == ((0.0, 1.0),) else " or ".join(bounds)
        return question, f"{text}; yours {self.keep_wrong:g}"
