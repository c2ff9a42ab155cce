"""Batch noise is not curvature: how far the two-batch proxy is off, on cases that are known."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from autowarmup.measure.blocks import choose_parameters
from autowarmup.measure.determinism import TOLERANCE, check_determinism, compare
from autowarmup.measure.probe import batch_noise


def test_least_squares_has_both_numbers_in_closed_form():
    """f_B(x) = h x^2 / 2 - b_B x: the curvature is h, the noise |b_1 - b_2| / |d|."""
    h, x = 2.0, nn.Parameter(torch.tensor([3.0], dtype=torch.float64))
    counted = choose_parameters([torch.optim.SGD([x], lr=1.0)])

    def loss(b):
        return lambda: (h * x * x / 2 - b * x).sum()

    move = [torch.tensor([-1e-3], dtype=torch.float64)]
    seen = batch_noise(loss(0.5), loss(0.1), counted, move)
    assert pytest.approx(h) == seen.K
    assert seen.K_noise == pytest.approx(0.4 / 1e-3)
    # g_2(x + d) - g_1(x) = h d + (0.5 - 0.1)
    assert seen.K_two_batch == pytest.approx(abs(h * -1e-3 + 0.4) / 1e-3)
    assert seen.times_off == pytest.approx(199.0)
    assert x.item() == 3.0


def test_the_proxy_only_gets_worse_for_smaller_steps():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 2))
    counted = choose_parameters([torch.optim.SGD(model.parameters(), lr=1.0)])
    data = [(torch.randn(16, 5), torch.randint(0, 2, (16,))) for _ in range(2)]
    first, second = (
        lambda x=x, y=y: nn.functional.cross_entropy(model(x), y) for x, y in data
    )  # fmt: skip
    direction = [torch.randn_like(p) for p in model.parameters()]
    seen = [batch_noise(first, second, counted, [t * d for d in direction]) for t in (1e-1, 1e-3)]
    one, other = (each.K for each in seen)
    assert one == pytest.approx(other, rel=0.2)
    assert seen[1].K_noise == pytest.approx(100 * seen[0].K_noise, rel=0.3)
    assert seen[1].times_off > 25 * seen[0].times_off


def test_without_curvature_the_proxy_is_infinitely_off():
    x = nn.Parameter(torch.ones(1))
    counted = choose_parameters([torch.optim.SGD([x], lr=1.0)])
    seen = batch_noise(lambda: x.sum(), lambda: 2 * x.sum(), counted, [torch.ones(1)])
    assert seen.times_off == math.inf


def test_determinism_is_measured_not_assumed():
    """A loss that wobbles by less than the tolerance passes, and the wobble is reported."""
    model, calls = nn.Linear(3, 1), []

    def loss(wobble):
        calls.append(1)
        return model(torch.ones(2, 3)).square().mean() * (1 + wobble * len(calls))

    seen = check_determinism(lambda: loss(1e-5), list(model.parameters()), model)
    assert seen.loss == pytest.approx(1e-5, rel=0.1)
    assert seen.gradient == pytest.approx(1e-5, rel=0.1)
    with pytest.raises(ValueError, match="the same batch at every call"):
        check_determinism(lambda: loss(20 * TOLERANCE), list(model.parameters()), model)


def test_a_gradient_alone_can_be_random():
    class Noisy(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient + torch.randn_like(gradient)

    model = nn.Linear(3, 1)
    with pytest.raises(ValueError, match=r"gradients .* of their norm apart"):
        check_determinism(lambda: Noisy.apply(model.weight).sum(), list(model.parameters()), model)


def test_comparing_evaluations():
    one, two = torch.tensor([3.0, 4.0]), torch.tensor([3.0, 4.5])
    assert compare((1.0, [one]), (1.0, [one])).gradient == 0.0
    assert compare((1.0, [one, None]), (2.0, [two, None])).gradient == pytest.approx(0.1)
    assert compare((1.0, [one]), (1.0, [None])).gradient == 1.0
    nan = torch.full((2,), math.nan)
    both = compare((math.nan, [nan]), (math.nan, [nan]))
    assert (both.loss, both.gradient) == (0.0, 0.0)
    assert not compare((1.0, [one]), (1.0, [nan])).gradient <= TOLERANCE
