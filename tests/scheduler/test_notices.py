"""What lowers a rate or is not used is said: once, by a status, and in the log."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, GapLaw, Paced
from autowarmup.integrations.tracking import metrics


def make(**options):
    optimizer = torch.optim.SGD([nn.Parameter(torch.ones(2))], lr=1.0)
    return optimizer, AdaptiveWarmup(optimizer, options.pop("total_steps", 400), **options)


def drive(optimizer, scheduler, losses) -> list[str]:
    """Return the sentences that were said."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for loss in losses:
            optimizer.step()
            scheduler.step(loss)
    return [str(each.message) for each in told]


RISING = [4.0 - 0.01 * k for k in range(60)] + [3.5 + 0.05 * k for k in range(60)]


def test_a_lowered_rate_is_said_once_and_stands_in_state_and_status():
    optimizer, scheduler = make()
    told = drive(optimizer, scheduler, RISING)
    assert len(told) == 1
    assert "the rule 'paced' lowered the rate from" in told[0]
    assert "because of the loss" in told[0]
    state = scheduler.state
    assert state.lowered >= 1
    assert state.lowest == min(p.factor for p in scheduler.trace if p.step > 70)
    statuses = [point.status for point in scheduler.trace]
    first = statuses.index("LOWERED")
    assert set(statuses[first:]) <= {"LOWERED", "CLIMBING"}


def test_a_rule_of_others_that_ends_low_says_so():
    optimizer, scheduler = make(rule="watched", total_steps=100)
    told = drive(optimizer, scheduler, [1.0] * 100)
    assert len(told) == 1
    assert "'watched' lowered the rate" in told[0]
    optimizer, scheduler = make(rule="h0h1", total_steps=100)
    told = drive(optimizer, scheduler, [1.0] * 100)
    assert told == [
        "update 99: the run is over and the rule 'h0h1' has come to 0.01 of the peak rate, "
        "because of the loss"
    ]
    optimizer, scheduler = make(rule="linear 10%", total_steps=100)
    assert drive(optimizer, scheduler, [1.0] * 100) == []
    optimizer, scheduler = make()
    drive(optimizer, scheduler, [1.0] * 5)
    scheduler.start_decay(10)  # asked for
    assert drive(optimizer, scheduler, [1.0] * 10) == []


def test_a_loss_below_the_bound_is_said_where_the_rule_goes_by_the_gap():
    losses = [1.0 - 0.1 * k for k in range(100)]
    optimizer, scheduler = make(rule="watched", total_steps=100)
    told = drive(optimizer, scheduler, losses)
    assert "update 11: a loss of -0.1 lies below lower_bound=0" in told[0]
    assert sum("lower_bound" in each for each in told) == 1
    optimizer, scheduler = make(total_steps=100)
    assert drive(optimizer, scheduler, losses) == []
    assert scheduler.state.share == 1.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"lower_bound": 2.0}, "lower_bound=2.0 changes no rate: the rule 'paced'"),
        ({"lower_bound": 2.0, "rule": "linear 5%"}, "lower_bound=2.0 changes no rate"),
        ({"rule": Paced(length=9, tokens_per_update=99)}, "does not read tokens_per_update"),
        ({"rule": GapLaw(kappa=3.0)}, "rule 'flat.kappa=3.0.' does not read kappa"),
        ({"decay": "constant", "final_fraction": 0.1}, "final_fraction=0.1 is not used"),
    ],
)
def test_what_is_not_used_is_said(options, said):
    with pytest.warns(UserWarning, match=said):
        make(**options)


NO_NUMBER = [{"loss": 2.0}, "2.0", [2.0], (), np.array([1.0, 2.0]), torch.ones(2), object(), 1j,
             torch.tensor(1j)]  # fmt: skip


@pytest.mark.parametrize("loss", NO_NUMBER, ids=lambda loss: type(loss).__name__)
def test_a_loss_that_is_no_number_is_a_sentence(loss):
    optimizer, scheduler = make()
    optimizer.step()
    expected = "expected .*(to be a number or a tensor of one element|a (scalar|real) loss).*, got "
    with pytest.raises(ValueError, match=expected):
        scheduler.step(loss)
    with pytest.raises(ValueError, match=expected):
        scheduler.observe(loss)


@pytest.mark.parametrize(
    "loss",
    [np.array([2.0]), np.float32(2.0), np.array(2.0), torch.tensor([[2.0]]), 2, True + 1],
    ids=lambda loss: type(loss).__name__,
)
def test_one_number_is_a_loss_in_whatever_it_lies(loss):
    optimizer, scheduler = make()
    optimizer.step()
    scheduler.step(loss)
    assert scheduler.last.loss == 2.0
    optimizer.step()
    scheduler.observe(loss)
    scheduler.step()
    assert scheduler.last.loss == 2.0


@pytest.mark.parametrize(
    ("given", "got"),
    [
        (None, "got None"),
        ("sgd", "got str"),
        (3, "got int"),
        ([None], "got None"),
        ({}, "got dict"),
    ],
)
def test_what_is_no_optimizer_is_a_sentence(given, got):
    with pytest.raises(ValueError, match=f"expected a torch optimizer or a list of them, {got}"):
        AdaptiveWarmup(given, 20)


@pytest.mark.parametrize(
    "options",
    [
        {"total_steps": "100"}, {"total_steps": 10.5}, {"total_steps": [1]}, {"decay": None},
        {"decay": ["cosine"]}, {"final_fraction": "much"}, {"final_fraction": None}, {"rule": None},
        {"rule": 5}, {"rule": {}}, {"lower_bound": "low"}, {"reduce": 3}, {"reduce": ["mean"]},
        {"lag": "one"}, {"lag": 0.5}, {"process_group": 3}, {"last_epoch": None},
    ],
    ids=str,
)  # fmt: skip
def test_arguments_of_another_type_are_sentences(options):
    with pytest.raises(ValueError, match=r"expected .*, got "):
        make(**options)


@pytest.mark.parametrize("rule", ["paced", "flat", "h0h1", "linear 20%"])
@pytest.mark.filterwarnings("ignore:update [0-9]+:UserWarning")
def test_a_line_of_the_log_is_of_one_update(rule):
    optimizer, scheduler = make(rule=rule, total_steps=60)
    for k in range(60):
        used = optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step(4.0 - 0.03 * k)
        line = metrics(scheduler)
        assert line["warmup/lr"] == used
        assert line["warmup/factor"] == used
        assert scheduler.last == scheduler.trace[-1]
        assert scheduler.last.step == k
        assert line["warmup/phase"] == (0.0 if scheduler.last.phase == "warmup" else 1.0)
    never = make(rule=rule)[1]
    assert metrics(never)["warmup/factor"] == never.factor


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.start_decay("x"), lambda s: s.start_decay(0), lambda s: s.extend(None),
        lambda s: s.rewarm(0), lambda s: s.rewarm(2.5), lambda s: s.plot(3),
        lambda s: s.calibrate(None), lambda s: s.load_state_dict(None),
        lambda s: s.load_state_dict([1]), lambda s: s.load_state_dict({}),
        lambda s: s.load_state_dict({**s.state_dict(), "peak_lrs": None}),
        lambda s: s.load_state_dict({k: v for k, v in s.state_dict().items() if k != "warmup"}),
        lambda s: s.load_state_dict({**s.state_dict(), "warmup": {"step": 3}}),
    ],
)  # fmt: skip
def test_calls_with_something_else_are_sentences_and_change_nothing(call):
    _, scheduler = make()
    before = scheduler.state_dict()
    with pytest.raises(ValueError, match=r"expected .*, got "):
        call(scheduler)
    assert scheduler.state_dict() == before
