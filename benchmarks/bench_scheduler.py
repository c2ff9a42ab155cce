"""`AdaptiveWarmup.step` with the default rule against `OneCycleLR.step`, three parameter groups.

Both are timed the way a training loop calls them, once after each optimizer step, here stood in for
by the hook that an optimizer step fires. Before each round of ours comes one of OneCycleLR, so that
whatever else the machine does slows both; "ratio" is that of the two medians. Aim: at most 1.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from autowarmup import AdaptiveWarmup, Paced
from autowarmup.rules import DEFAULT_RULE, rule_of

DRY = os.environ.get("AUTOWARMUP_BENCH_DRY")  # a directory: small sizes, results go there
STEPS, ROUNDS = (20, 2) if DRY else (500, 60)
TOTAL = 1_000_000
# The default rule with a ramp that outlasts the rounds, and one that neither climbs nor looks.
RULES = {"warmup": Paced(length=TOTAL // 3), "decay": Paced(length=1, cap=1.0 / TOTAL)}


def optimizer() -> torch.optim.Optimizer:
    return torch.optim.SGD(
        [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.2, 0.3)], lr=0.1
    )


def one_cycle() -> Callable[[], None]:
    """Return a round of OneCycleLR."""
    sgd = optimizer()
    scheduler = OneCycleLR(sgd, max_lr=[0.1, 0.2, 0.3], total_steps=TOTAL, cycle_momentum=False)
    sgd.step()

    def run() -> None:
        for _ in range(STEPS):
            scheduler.step()

    return run


@pytest.mark.benchmark(group="scheduler step")
def test_one_cycle(benchmark):
    benchmark.pedantic(one_cycle(), rounds=ROUNDS, warmup_rounds=2)


@pytest.mark.benchmark(group="scheduler step")
@pytest.mark.parametrize("phase", RULES)
@pytest.mark.parametrize("kind", ["float", "tensor"])
def test_adaptive(benchmark, phase, kind):
    assert isinstance(rule_of(DEFAULT_RULE), Paced), "it is the default that is measured"
    scheduler = AdaptiveWarmup(optimizer(), TOTAL, rule=RULES[phase])
    loss = 4.0 if kind == "float" else torch.tensor(4.0)
    peer, beside = one_cycle(), []

    def run() -> None:
        for _ in range(STEPS):
            scheduler._updates._happened = True  # what the hook of optimizer.step() does
            scheduler.step(loss)

    def before() -> None:
        began = time.perf_counter()
        peer()
        beside.append(time.perf_counter() - began)

    benchmark.extra_info["rule"] = scheduler.rule.name
    benchmark.pedantic(run, setup=before, rounds=ROUNDS, warmup_rounds=2)
    assert scheduler.phase == phase
    if benchmark.stats is not None:  # it is with --benchmark-disable
        ratio = benchmark.stats.stats.median / statistics.median(beside)
        benchmark.extra_info["ratio"] = round(ratio, 3)
        print(f"{phase}, {kind}: {ratio:.2f} of OneCycleLR")
