"""What the scheduler finds out of the optimizer and the model, and for which rules."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, Lion, Muon, NormalizedSGD
from autowarmup.optimizer_class import family_of, looks_trained


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4))


@pytest.mark.parametrize(
    ("make", "family"),
    [
        (lambda net: Muon(net, lr=1e-3), "spectral"),
        (lambda net: Lion(net.parameters(), lr=1e-3), "sign"),
        (lambda net: NormalizedSGD(net.parameters(), lr=1e-3), "frobenius"),
        (lambda net: torch.optim.AdamW(net.parameters()), "other"),
        (lambda net: torch.optim.SGD(net.parameters(), lr=1e-3), "other"),
    ],
)
def test_the_class_of_an_optimizer(make, family):
    optimizer = make(network())
    assert family_of([optimizer]) == family
    assert AdaptiveWarmup(optimizer, 10_000).state.run.family == family


def test_a_trained_model_gets_a_short_ramp_and_a_fresh_one_does_not():
    for trained, first in ((False, 450**-0.6), (True, 1 / 50)):
        net = network()
        if trained:
            nn.init.normal_(net[1].weight, 1.0, 0.1)
        scheduler = AdaptiveWarmup(torch.optim.AdamW(net.parameters()), 1000)
        assert scheduler.state.run.trained == trained
        assert scheduler.factor == pytest.approx(first)
        assert scheduler.state.run.parameters == sum(p.numel() for p in net.parameters())


def test_nobody_looks_at_the_parameters_for_a_rule_that_does_not_ask():
    optimizer = torch.optim.AdamW(network().parameters())
    with patch("autowarmup.group_rules.model_facts", side_effect=AssertionError):
        assert AdaptiveWarmup(optimizer, 100, rule="linear 5%").state.run.parameters is None
        with pytest.raises(AssertionError):
            AdaptiveWarmup(optimizer, 100)


def lora(rows: int, rank: int, columns: int) -> list[torch.nn.Parameter]:
    """The two matrices of an adapter, as they begin."""
    return [
        torch.nn.Parameter(torch.randn(rank, columns)),
        torch.nn.Parameter(torch.zeros(rows, rank)),
    ]


def test_low_rank_adapters_are_those_of_a_trained_model():
    pairs = [lora(12, 2, 8), lora(8, 2, 8), lora(8, 4, 16)]
    adapters = [p for pair in pairs for p in pair]
    head = torch.nn.Linear(8, 5)
    downs, ups = zip(*pairs, strict=True)
    groups = [{"params": list(downs)}, {"params": list(ups), "lr": 0.1}]  # LoRA+
    for parameters in (adapters, [*adapters, *head.parameters()], groups):
        assert looks_trained([torch.optim.AdamW(parameters, lr=1e-3)])


def test_layers_that_begin_at_zero_are_no_adapters():
    def zero(rows: int, columns: int) -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.zeros(rows, columns))

    def normal(rows: int, columns: int) -> torch.nn.Parameter:
        return torch.nn.Parameter(torch.randn(rows, columns))

    residual = [normal(8, 8), normal(8, 8), normal(8, 8), zero(8, 8), normal(32, 8), zero(8, 32)]
    bottleneck = [normal(2, 8), normal(8, 2), normal(2, 8), normal(8, 2)]
    dense = [*lora(8, 2, 8), *(normal(8, 8) for _ in range(3))]
    for parameters in (residual, bottleneck, dense):
        assert not looks_trained([torch.optim.SGD(parameters, lr=1e-3)])
