"""`AdaptiveWarmup.step` against `torch.optim.lr_scheduler.OneCycleLR.step`, three parameter groups.

Both are timed the way a training loop calls them, once after each optimizer step, here stood in for
by the hook that an optimizer step fires; one round is 1,000 steps. Aim: not slower.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from autowarmup import AdaptiveWarmup

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


@pytest.mark.benchmark(group="scheduler step")
@pytest.mark.parametrize("phase", ["warmup", "decay"])
@pytest.mark.parametrize("kind", ["float", "tensor"])
def test_adaptive(benchmark, phase, kind):
    sgd = optimizer()
    scheduler = AdaptiveWarmup(sgd, TOTAL, div=100.0 if phase == "warmup" else 1.0)
    loss = 4.0 if kind == "float" else torch.tensor(4.0)

    def run():
        for _ in range(STEPS):
            scheduler._updates._happened = True  # what the hook of optimizer.step() does
            scheduler.step(loss)

    benchmark.pedantic(run, rounds=15, warmup_rounds=2)
    assert scheduler.phase == phase
