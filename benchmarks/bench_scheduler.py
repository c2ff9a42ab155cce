"""`AdaptiveWarmup.step` with the default rule against `OneCycleLR.step`, three parameter groups.

Both are timed the way a training loop calls them, once after each optimizer step, here stood in for
by the hook that an optimizer step fires; one round is 1,000 steps. Aim: not slower.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from autowarmup import AdaptiveWarmup, Watched
from autowarmup.rules import DEFAULT_RULE, rule_of

STEPS = 1000
TOTAL = 1_000_000


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD(
        [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.2, 0.3)], lr=0.1
    )


@pytest.mark.benchmark(group="scheduler step")
def test_one_cycle(benchmark):
    sgd = optimizer()
    scheduler = OneCycleLR(sgd, max_lr=[0.1, 0.2, 0.3], total_steps=TOTAL, cycle_momentum=False)
    sgd.step()

    def run():
        for _ in range(STEPS):
            scheduler.step()

    benchmark.pedantic(run, rounds=15, warmup_rounds=2)


# The default rule, and for the decay the same rule with a ramp of one update.
RULES = {"warmup": rule_of(DEFAULT_RULE), "decay": Watched(share=1.0 / TOTAL)}


@pytest.mark.benchmark(group="scheduler step")
@pytest.mark.parametrize("phase", RULES)
@pytest.mark.parametrize("kind", ["float", "tensor"])
def test_adaptive(benchmark, phase, kind):
    assert isinstance(RULES["warmup"], Watched), "the decay is that of the default"
    sgd = optimizer()
    scheduler = AdaptiveWarmup(sgd, TOTAL, rule=RULES[phase])
    loss = 4.0 if kind == "float" else torch.tensor(4.0)

    def run():
        for _ in range(STEPS):
            scheduler._updates._happened = True  # what the hook of optimizer.step() does
            scheduler.step(loss)

    benchmark.extra_info["rule"] = DEFAULT_RULE
    benchmark.pedantic(run, rounds=15, warmup_rounds=2)
    assert scheduler.phase == phase
