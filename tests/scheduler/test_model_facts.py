"""What the scheduler finds out of the optimizer and the model, and for which rules."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, Lion, Muon, NormalizedSGD
from autowarmup.optimizer_class import family_of


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
    with patch("autowarmup.scheduler.model_facts", side_effect=AssertionError):
        assert AdaptiveWarmup(optimizer, 100, rule="linear 5%").state.run.parameters is None
        with pytest.raises(AssertionError):
            AdaptiveWarmup(optimizer, 100)
