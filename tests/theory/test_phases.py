"""The grids of the phase diagrams against the functions that they show, and against training sets."""

import numpy as np
import pytest

from ouroloop.errors import SpecError
from ouroloop.theory import budget, risk, stability
from ouroloop.theory.finite_risk import finite_risk
from ouroloop.theory.phases import budget_phases, loop_phases
from ouroloop.theory.risk_laws import FewRows


@pytest.mark.parametrize(("generations", "s2"), [(1, 1.0), (7, 1.6), (30, 0.7)])
def test_stability_and_the_worst_risk_over_ratio_and_strength(generations, s2):
    found = loop_phases(generations, s2, cells=5)
    for i, strength in enumerate(found.strengths):
        for j, ratio in enumerate(found.ratios):
            assert found.radius[i, j] == stability.spectral_radius(ratio, strength, s2)
            assert found.margin[i, j] == stability.certificate(ratio, strength).margin
            path = [risk.multiplier("fixed_real", t + 1, ratio, strength) for t in range(1, generations + 1)]
            assert found.worst[i, j] == pytest.approx(max(path), rel=1e-3)  # of 40 generations


def test_risk_and_rows_over_ratio_and_generation():
    found = budget_phases(4, cells=7)
    assert found.generations[0] == 1.0
    assert found.generations[-1] == 100.0
    for regime in found.risk:
        for i, t in enumerate(found.generations):
            for j, ratio in enumerate(found.ratios):
                assert found.risk[regime][i, j] == risk.multiplier(regime, t + 1, ratio)
                counted = budget.trained_rows(regime, int(t), 10**6, float(ratio)) / 10**6
                assert found.trained[regime][i, j] == pytest.approx(counted, abs=1.01e-6 * t)
    assert budget_phases(50, cells=7).generations[-1] == 500.0


def test_the_risk_of_the_rows_that_there_are():
    found = budget_phases(4, FewRows(model="least_squares", n_real=30, dimension=20), cells=7)
    own = budget.real_risk("least_squares", 30, 20, 1.0)
    for j, ratio in enumerate(found.ratios):
        law = finite_risk("least_squares", "accumulate", 100, 30, 20, 1.0, float(ratio))
        assert found.risk["accumulate"][-1, j] == pytest.approx(law / own)
    assert np.isinf(found.risk["replace"][:, 0]).all()  # one row


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), "a"])
def test_generations_are_counted_from_one(wrong):
    with pytest.raises(SpecError, match="generations"):
        loop_phases(wrong)
    with pytest.raises(SpecError, match="generations"):
        budget_phases(wrong)
