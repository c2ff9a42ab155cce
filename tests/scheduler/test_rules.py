"""Every rule by name in the torch scheduler: the rates of the core, and resume, bit for bit."""

from __future__ import annotations

import json

import pytest
import torch

from autowarmup import AdaptiveWarmup, GapLaw
from autowarmup.rules import DEFAULT_RULE, RULES, Run, begin, rule_of, step

# Losses that rise lower the rate, which is said; here only the rate is looked at.
pytestmark = pytest.mark.filterwarnings("ignore:update [0-9]+:UserWarning")

STEPS = 50
LOSSES = [5.0 * 0.97**k for k in range(25)] + [2.4] * 25


def make(rule: str | GapLaw, **options) -> tuple[torch.optim.Optimizer, AdaptiveWarmup]:
    weight = torch.nn.Parameter(torch.zeros(4, 3))
    optimizer = torch.optim.AdamW([weight], lr=0.5)
    if rule in ("accurate", "published"):
        rule = f"{rule}(kappa=12)"
    return optimizer, AdaptiveWarmup(optimizer, STEPS, rule=rule, **options)


def drive(optimizer, scheduler, losses) -> list[float]:
    rates = []
    for loss in losses:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(loss)
    return rates


@pytest.mark.parametrize("name", RULES)
def test_the_rates_are_those_of_the_core(name):
    optimizer, scheduler = make(name)
    rates = drive(optimizer, scheduler, LOSSES)
    # AdamW's b2 is what "untuned" looks at.
    state = begin(rule_of(name), Run(STEPS, kappa=12.0, beta=0.999))
    for rate, loss, point in zip(rates, LOSSES, scheduler.trace, strict=True):
        assert rate == point.lr == 0.5 * state.factor
        state = step(state, loss)
        assert (point.gap, point.status) == (state.gap, state.status.name)
        assert point.gap > 0.0
    assert scheduler.phase == state.phase == "done"
    assert (scheduler.warmup_end_step, scheduler.warmup_ended_by) == (state.end, state.ended_by)
    assert name in repr(scheduler)


@pytest.mark.parametrize("at", [3, 12, 20, 45])
@pytest.mark.parametrize("name", RULES)
def test_a_resumed_run_is_one_that_never_stopped(name, at):
    optimizer, scheduler = make(name)
    drive(optimizer, scheduler, LOSSES[:at])
    saved = json.loads(json.dumps(scheduler.state_dict()))
    fresh, other = make(GapLaw(div=3.0))  # the saved rule and settings win
    with pytest.warns(UserWarning, match="goes on as it was saved"):
        other.load_state_dict(saved)
    assert fresh.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    assert drive(fresh, other, LOSSES[at:]) == drive(optimizer, scheduler, LOSSES[at:])
    assert other.state_dict() == scheduler.state_dict()


def test_the_default_needs_no_measured_start():
    optimizer, scheduler = make(DEFAULT_RULE)

    def closure():
        raise AssertionError("the default rule evaluates nothing")

    before = optimizer.param_groups[0]["lr"]
    with pytest.warns(UserWarning, match="the rule 'paced' has no measured start"):
        div = scheduler.calibrate(closure)
    assert div == pytest.approx(0.5 / before)
    assert optimizer.param_groups[0]["lr"] == before
    assert AdaptiveWarmup(optimizer, STEPS).rule.name == DEFAULT_RULE


def test_rules_that_read_the_loss_say_when_they_get_none():
    optimizer, scheduler = make(DEFAULT_RULE)
    with pytest.warns(UserWarning, match="no finite loss reached AdaptiveWarmup"):
        drive(optimizer, scheduler, [None] * STEPS)
    drive(*make("linear 10%"), [None] * STEPS)  # warnings are errors: this one says nothing


def test_a_bound_above_the_first_loss_is_refused_by_rules_of_the_gap_and_no_matter_for_others():
    with pytest.warns(UserWarning, match="lower_bound=9.0 changes no rate: the rule 'paced'"):
        optimizer, scheduler = make(DEFAULT_RULE, lower_bound=9.0)
    drive(optimizer, scheduler, [5.0, -3.0])
    assert scheduler.status.name == "WARMING"
    optimizer, scheduler = make("watched", lower_bound=9.0)
    with pytest.raises(ValueError, match="lower bound must lie below the first loss"):
        drive(optimizer, scheduler, [5.0])
