"""What mathematics predicts: closed forms with their source and their regime of validity.

Functions of numbers and arrays, which need no specification and broadcast over their arguments:

| module         | predicts                                                                                   |
|----------------|--------------------------------------------------------------------------------------------|
| `stability`    | is the loop certified stable, how fast does it contract, what does a distorted sampler do   |
| `jacobian`     | the linearised loop of any model with a log-density, by automatic differentiation           |
| `regression`   | risk of least squares that is trained on its own labels, in every regime                    |
| `gaussian`     | mean and variance of Gaussian loops with finitely many rows                                 |
| `verification` | accuracy of a classifier on real and verified synthetic data; what a verifier must achieve  |
| `curation`     | what choosing the best of K does to a distribution                                          |
| `tv`           | bounds of the total variation distance                                                      |
| `survival`     | how many categories survive                                                                 |
| `discrete`     | how diverse the surviving categories are, when one is left                                  |
| `kde`          | how kernel density estimates widen; the constants of their error, from data                 |
| `risk`         | long-run multipliers of every regime for any estimator that averages                        |
| `finite_risk`  | the same with few rows, for least squares and Gaussians, where a law is exact               |
| `response`     | a run's own constants, carried over to another ratio, regime or correction strength         |

Every `generation` here counts fits: generation 1 is the model fitted on the real data (which a run calls generation
0), generation t is the t-th model, and generation 0, where it has a meaning, is the data's distribution itself.

For whole loops: `rows` (which rows each generation trains on), `moments` of them in `gaussian`, `wasserstein` (the
expected W2), `forecast` (from a specification to curves, in a run's generations). To compare
with: `simulate`, loops of many seeds on sufficient statistics. To decide: `planner` with `budget` and
`verifier_planner`, which turn the laws round; `estimate`, which finds their constants in data.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ouroloop.theory import (
        budget,
        curation,
        discrete,
        estimate,
        finite_risk,
        forecast,
        gaussian,
        jacobian,
        kde,
        planner,
        regression,
        response,
        risk,
        stability,
        survival,
        tv,
        verification,
        verifier_planner,
    )

__all__ = [
    "budget",
    "curation",
    "discrete",
    "estimate",
    "finite_risk",
    "forecast",
    "gaussian",
    "jacobian",
    "kde",
    "planner",
    "regression",
    "response",
    "risk",
    "stability",
    "survival",
    "tv",
    "verification",
    "verifier_planner",
]


def __getattr__(name: str) -> ModuleType:
    """The modules above on first use, so that `ouroloop.theory.regression` needs no import of its own."""
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
