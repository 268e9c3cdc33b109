"""Samplers, schedules and guidance against Gaussians, whose denoiser and probability flow are known exactly."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from ouroloop.generators.diffusion_process.cfg import ClassifierFree
from ouroloop.generators.diffusion_process.denoiser import Denoiser, Preconditioned, Velocity, make_denoiser
from ouroloop.generators.diffusion_process.samplers import SAMPLERS, evaluations
from ouroloop.generators.diffusion_process.schedule import Exploding, Straight, noise_levels

torch.set_num_threads(1)

MEAN = torch.tensor([1.0, -2.0], dtype=torch.float64)
STD = torch.tensor([0.5, 1.5], dtype=torch.float64)
LOW, HIGH = 0.05, 20.0


class Gaussian(Denoiser):
    """The exact denoiser of N(MEAN, STD^2); class k is shifted by k, and no label stands for class 0."""

    def __init__(self, schedule: Any) -> None:
        super().__init__()
        self.schedule = schedule
        self.calls = 0

    def forward(self, x_t: Tensor, t: Tensor, label: Tensor | None = None) -> Tensor:
        self.calls += 1
        mean = MEAN if label is None else MEAN + label[:, None]
        alpha, sigma = self.schedule.alpha(t)[:, None], self.schedule.sigma(t)[:, None]
        return mean + alpha * STD**2 / (alpha**2 * STD**2 + sigma**2) * (x_t - alpha * mean)


def exact_flow(y: Tensor, start: float, end: float) -> Tensor:
    """Where the probability flow takes y, in closed form: the distance from the mean in units of the spread stays."""
    return MEAN + (y - MEAN) * torch.sqrt((STD**2 + end**2) / (STD**2 + start**2))


def solve(solver: str, steps: int, schedule: Any = None) -> float:
    """Greatest error of the flow from HIGH to LOW on a few points."""
    denoiser = Gaussian(schedule or Exploding())
    y = HIGH * torch.tensor([[1.0, -0.5], [-1.5, 2.0], [0.2, 0.3]], dtype=torch.float64)
    levels = noise_levels(steps + 1, low=LOW, high=HIGH)[:-1]
    found = SAMPLERS[solver](denoiser.at, y, levels)
    assert denoiser.calls == {"heun": 2 * steps}.get(solver, steps)
    return float((found - exact_flow(y, HIGH, LOW)).abs().max())


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2), ("dpm2m", 2)])
@pytest.mark.parametrize("schedule", [Exploding(), Straight()], ids=["exploding", "straight"])
def test_order_of_convergence(solver: str, order: int, schedule: Any) -> None:
    errors = [solve(solver, steps, schedule) for steps in (64, 128, 256)]
    measured = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert measured == pytest.approx([order] * 2, abs=0.15)


def test_second_order_pays_with_few_evaluations() -> None:
    euler, heun, dpm2m = solve("euler", 16), solve("heun", 8), solve("dpm2m", 16)
    assert dpm2m < heun < euler


@pytest.mark.parametrize("solver", ["dpm2m", "heun", "euler", "ancestral"])
def test_samples_have_the_targets_mean_and_covariance(solver: str) -> None:
    n = 40_000
    levels = noise_levels(200 if solver in ("euler", "ancestral") else 40, low=LOW, high=60.0)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        y = SAMPLERS[solver](Gaussian(Exploding()).at, levels[0] * torch.randn(n, 2, dtype=torch.float64), levels)
    # 5 standard errors, and the error of the grid: the last step denoises from LOW, which shrinks the spread
    np.testing.assert_array_less((y.mean(0) - MEAN).abs(), 5 * STD / math.sqrt(n) + 0.02 * STD)
    covariance = torch.cov(y.T)
    np.testing.assert_array_less((covariance.diagonal().sqrt() / STD - 1).abs(), 5 / math.sqrt(2 * n) + 0.03)
    assert abs(float(covariance[0, 1] / STD.prod())) < 5 / math.sqrt(n)


@pytest.mark.parametrize("solver", ["dpm2m", "heun", "euler", "ancestral"])
def test_number_of_evaluations(solver: Any) -> None:
    denoiser = Gaussian(Exploding())
    SAMPLERS[solver](denoiser.at, torch.zeros(1, 2, dtype=torch.float64), noise_levels(7, low=0.1, high=10.0))
    assert denoiser.calls == evaluations(solver, 7)


@given(st.floats(1e-3, 1e3))
def test_time_inverts_the_ratio(rho: float) -> None:
    for schedule in (Exploding(), Straight()):
        t = schedule.time(torch.tensor([rho], dtype=torch.float64))
        assert float(schedule.sigma(t) / schedule.alpha(t)) == pytest.approx(rho, rel=1e-9)


@given(st.integers(2, 50), st.floats(1e-3, 0.5), st.floats(1.0, 100.0), st.floats(0.5, 10.0))
def test_noise_levels_fall_from_high_to_low_to_zero(steps: int, low: float, high: float, curve: float) -> None:
    levels = noise_levels(steps, low=low, high=high, curve=curve)
    assert len(levels) == steps + 1
    assert levels[0] == pytest.approx(high)
    assert levels[-2] == pytest.approx(low)
    assert levels[-1] == 0
    assert all(a > b for a, b in itertools.pairwise(levels))


class TestGuidance:
    label = torch.tensor([1, 3])
    y = torch.tensor([[0.3, 0.1], [2.0, -1.0]], dtype=torch.float64)

    def test_strength_zero_is_the_conditional_denoiser(self) -> None:
        denoiser = Gaussian(Straight())
        guided = ClassifierFree(denoiser, 0.0).at(self.y, 0.7, self.label)
        assert denoiser.calls == 1
        assert torch.equal(guided, denoiser.at(self.y, 0.7, self.label))

    @pytest.mark.parametrize("schedule", [Exploding(), Straight()])
    def test_moves_away_from_the_unconditional_estimate(self, schedule: Any) -> None:
        denoiser = Gaussian(schedule)
        guided = ClassifierFree(denoiser, 1.5).at(self.y, 0.7, self.label)
        with_label, without = denoiser.at(self.y, 0.7, self.label), denoiser.at(self.y, 0.7, None)
        torch.testing.assert_close(guided, 2.5 * with_label - 1.5 * without)

    def test_is_left_out_outside_its_interval_and_without_labels(self) -> None:
        denoiser = Gaussian(Exploding())
        guided = ClassifierFree(denoiser, 1.0, low=0.5, high=2.0)
        for rho, label, calls in [(0.5, self.label, 1), (0.6, self.label, 2), (2.1, self.label, 1), (1.0, None, 1)]:
            denoiser.calls = 0
            guided.at(self.y, rho, label)
            assert denoiser.calls == calls


class _Oracle(torch.nn.Module):
    """The output that makes a denoiser exact for rows that are all 0 in their first half and 1 in their second."""

    def __init__(self, target: Any) -> None:
        super().__init__()
        self.target = target

    def forward(self, x: Tensor, noise: Tensor, label: Tensor | None) -> Tensor:
        return self.target(x, noise[:, None])


def test_perfect_networks_have_no_loss_and_denoise_exactly() -> None:
    clean = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(256, 4)

    def edm(x: Tensor, log_t: Tensor) -> Tensor:  # x = (clean + t noise) / sqrt(1 + t^2); F = (t clean - noise) / sqrt
        t, scale = log_t.exp(), torch.rsqrt(1 + log_t.exp() ** 2)
        return (t * clean[: len(x)] - (x / scale - clean[: len(x)]) / t) * scale

    def straight(x: Tensor, logit: Tensor) -> Tensor:  # x = (1 - t) clean + t noise; v = noise - clean
        return (x - clean[: len(x)]) / torch.sigmoid(logit)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        for kind, target in ((Preconditioned, edm), (Velocity, straight)):
            denoiser = kind(_Oracle(target), mean=-0.3, spread=1.0)
            assert float(denoiser.loss(clean, None)) < 1e-8
            estimate = denoiser.at(clean[:5] + 0.7 * torch.randn(5, 4), 0.7)
            torch.testing.assert_close(estimate, clean[:5], atol=1e-5, rtol=0)


@pytest.mark.parametrize("objective", ["diffusion", "flow_matching"])
def test_a_network_that_says_nothing_gives_the_best_linear_estimate_or_the_input(objective: Any) -> None:
    class Zero(torch.nn.Module):
        def forward(self, x: Tensor, noise: Tensor, label: Tensor | None) -> Tensor:
            return torch.zeros_like(x)

    y, rho = torch.tensor([[2.0, -1.0]]), 0.5
    expected = y / (1 + rho**2) if objective == "diffusion" else y / (1 + rho)
    torch.testing.assert_close(make_denoiser(objective, Zero()).at(y, rho), expected)
