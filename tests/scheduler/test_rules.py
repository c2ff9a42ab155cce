"""Every rule by name in the torch scheduler: the rates of the core, and resume, bit for bit."""

from __future__ import annotations

import json

import pytest
import torch

from autowarmup import AdaptiveWarmup
from autowarmup.rules.config import ScheduleConfig
from autowarmup.rules.registry import DEFAULT_RULE, RULES, Seen, rule_by_name

STEPS = 50
LOSSES = [5.0 * 0.97**k for k in range(25)] + [2.4] * 25


def make(rule: str, **options) -> tuple[torch.optim.Optimizer, AdaptiveWarmup]:
    weight = torch.nn.Parameter(torch.zeros(4, 3))
    optimizer = torch.optim.AdamW([weight], lr=0.5)
    return optimizer, AdaptiveWarmup(optimizer, STEPS, peak=rule, kappa=12.0, **options)


def drive(optimizer, scheduler, losses) -> list[float]:
    rates = []
    for loss in losses:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(loss)
    return rates


@pytest.mark.parametrize("name", RULES)
def test_the_rates_are_those_of_the_core(name):
    optimizer, scheduler = make(name, div=8.0)
    rates = drive(optimizer, scheduler, LOSSES)
    rule = rule_by_name(name)
    # AdamW's b2 is what "untuned" looks at.
    state = rule.init(ScheduleConfig(STEPS, div=8.0, kappa=12.0, beta=0.999))
    for rate, loss in zip(rates, LOSSES, strict=True):
        assert rate == 0.5 * state.factor
        state = rule.step(state, Seen(loss))
    assert scheduler.phase == state.phase == "done"
    assert name in repr(scheduler)


@pytest.mark.parametrize("at", [3, 12, 20, 45])
@pytest.mark.parametrize("name", RULES)
def test_a_resumed_run_is_one_that_never_stopped(name, at):
    optimizer, scheduler = make(name)
    drive(optimizer, scheduler, LOSSES[:at])
    saved = json.loads(json.dumps(scheduler.state_dict()))
    fresh, other = make("flat", div=3.0)  # the saved rule and settings win
    other.load_state_dict(saved)
    assert fresh.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    assert drive(fresh, other, LOSSES[at:]) == drive(optimizer, scheduler, LOSSES[at:])
    assert other.state_dict() == scheduler.state_dict()


def test_the_default_needs_no_measured_start():
    optimizer, scheduler = make(DEFAULT_RULE)

    def closure():
        raise AssertionError("the default rule evaluates nothing")

    before = optimizer.param_groups[0]["lr"]
    scheduler.calibrate(closure)
    assert optimizer.param_groups[0]["lr"] == before
    assert AdaptiveWarmup(optimizer, STEPS).rule.name == DEFAULT_RULE


def test_a_loss_that_stalls_holds_the_default_below_the_peak_rate():
    falling, stalled = make(DEFAULT_RULE), make(DEFAULT_RULE)
    drive(*falling, [5.0 * 0.9**k for k in range(25)])
    drive(*stalled, [5.0] * 25)
    assert stalled[1].get_last_lr()[0] < 0.5 * falling[1].get_last_lr()[0]


def test_rules_that_read_the_loss_say_when_they_get_none():
    optimizer, scheduler = make(DEFAULT_RULE)
    with pytest.warns(UserWarning, match="no finite loss reached AdaptiveWarmup"):
        drive(optimizer, scheduler, [None] * STEPS)
    drive(*make("linear 10%"), [None] * STEPS)  # warnings are errors: this one says nothing


def test_the_default_refuses_a_bound_above_the_first_loss():
    optimizer, scheduler = make(DEFAULT_RULE, lower_bound=9.0)
    with pytest.raises(ValueError, match="lower bound must lie below the first loss"):
        drive(optimizer, scheduler, [5.0])
