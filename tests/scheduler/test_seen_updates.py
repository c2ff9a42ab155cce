"""Updates are seen through wrappers, and what cannot be seen is said after a few calls."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup


class SAM(torch.optim.Optimizer):
    """Sharpness-aware minimization by two half steps (arXiv 2010.01412), the base inside."""

    def __init__(self, params, base, rho=0.05, **options):
        super().__init__(params, {"rho": rho, **options})
        self.base_optimizer = base(self.param_groups, **options)
        self.param_groups = self.base_optimizer.param_groups

    @torch.no_grad()
    def first_step(self):
        for p in self.param_groups[0]["params"]:
            self.state[p]["here"] = p.clone()
            p.add_(0.05 * p.grad / p.grad.norm())

    @torch.no_grad()
    def second_step(self):
        for p in self.param_groups[0]["params"]:
            p.copy_(self.state[p]["here"])
        self.base_optimizer.step()

    def step(self, closure=None):
        raise AssertionError("this loop calls the half steps")


class Blind(torch.optim.Optimizer):
    """Keeps its rate and makes its steps by a method that nobody knows."""

    def __init__(self, params, lr):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def go(self):
        for p in self.param_groups[0]["params"]:
            p.sub_(self.param_groups[0]["lr"] * p.grad)


def made(total_steps: int) -> tuple[nn.Parameter, torch.optim.Optimizer, AdaptiveWarmup]:
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    return weight, optimizer, AdaptiveWarmup(optimizer, total_steps)


def test_the_two_half_steps_of_sam_are_one_update():
    weight = nn.Parameter(torch.ones(3))
    optimizer = SAM([weight], torch.optim.SGD, lr=0.1)
    scheduler = AdaptiveWarmup(optimizer, 90)
    rates = []
    for _ in range(90):
        for half in (optimizer.first_step, optimizer.second_step):
            optimizer.param_groups[0]["params"][0].grad = weight.detach().clone()
            half()
        rates.append(optimizer.param_groups[0]["lr"])
        scheduler.step(weight.square().sum())
    assert scheduler.state.step == 90
    assert scheduler.phase == "done"
    assert max(rates) == pytest.approx(0.1, rel=1e-3)


def test_steps_that_nobody_sees_are_said_after_a_few_calls():
    weight = nn.Parameter(torch.ones(3))
    optimizer = Blind([weight], 0.1)
    scheduler = AdaptiveWarmup(optimizer, 90)
    calls = 0
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        while not told:
            weight.grad = torch.ones(3)
            optimizer.go()
            scheduler.step(1.0)
            calls += 1
    assert calls <= 5
    assert "weights change but AdaptiveWarmup sees no optimizer step" in str(told[0].message)
    for _ in range(50):  # said once
        optimizer.go()
        scheduler.step(1.0)
    scheduler.step(1.0, updated=True)
    assert scheduler.state.step == 1


def test_a_run_of_overflows_at_the_start_is_no_fault():
    """GradScaler halves its scale from 2^16: up to sixteen updates in a row may be skipped."""
    weight, optimizer, scheduler = made(90)
    for skipped in [True] * 16 + [False] * 5:
        weight.grad = torch.full((3,), torch.inf if skipped else 1.0)
        if not skipped:
            optimizer.step()
        scheduler.step(1.0)
        weight.grad = None
    assert scheduler.state.step == 5


def test_the_wrong_order_is_said_once():
    weight, optimizer, scheduler = made(90)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(5):
            optimizer.zero_grad()
            weight.square().sum().backward()
            scheduler.step(1.0)
            optimizer.step()
    assert ["came before optimizer.step" in str(each.message) for each in told] == [True]


def test_the_habits_of_torch_schedulers():
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=1.0)
    scheduler = AdaptiveWarmup(optimizer, 100, last_epoch=-1)
    assert scheduler._last_lr == scheduler.get_last_lr()
    assert (scheduler._step_count, scheduler.last_epoch) == (1, 0)
    for _ in range(7):
        optimizer.step()
        scheduler.step(1.0)
    assert (scheduler._step_count, scheduler.last_epoch) == (8, 7)
    resumed = AdaptiveWarmup(optimizer, 100, last_epoch=6)
    assert resumed.get_last_lr() == scheduler.get_last_lr()
    with pytest.raises(ValueError, match="follows the losses so far: expected last_epoch=-1"):
        AdaptiveWarmup(optimizer, 100, rule="flat", last_epoch=6)


def test_a_momentum_that_the_rule_does_not_read_is_no_reason_to_refuse():
    weight = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([{"params": [weight], "betas": (0.9, 1.0)}], lr=1.0)
    assert AdaptiveWarmup(optimizer, 100).state.run.beta == 0.9


def test_a_scheduler_that_nobody_calls_is_said_once():
    _, optimizer, scheduler = made(1000)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(99):
            optimizer.step()
        scheduler.step(1.0)  # in time
        for _ in range(99):
            optimizer.step()
        assert not told
        for _ in range(300):
            optimizer.step()
    assert len(told) == 1
    assert "100 optimizer steps without a call of AdaptiveWarmup.step" in str(told[0].message)
    assert told[0].filename == __file__


def test_of_an_earlier_scheduler_nobody_expects_calls():
    _, optimizer, earlier = made(1000)
    later = AdaptiveWarmup(optimizer, 1000)
    for _ in range(150):
        optimizer.step()
        later.step(1.0)
    assert (earlier.state.step, later.state.step) == (0, 150)


@pytest.mark.filterwarnings("ignore:.*torch.jit.script")
def test_a_compiled_step_reads_no_rate_on_the_host():
    from torch._dynamo import reset
    from torch._dynamo.utils import counters

    reset()
    counters.clear()
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=torch.tensor(0.1))
    scheduler = AdaptiveWarmup(optimizer, 30)
    step = torch.compile(optimizer.step, backend="eager")
    for _ in range(30):
        weight.grad = torch.ones(3)
        step()
        scheduler.step(1.0)
    assert scheduler.state.step == 30
    assert counters["frames"]["ok"] == counters["frames"]["total"]  # none was given up
