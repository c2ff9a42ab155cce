"""The peak rate is what the user chose, never a rate that a schedule has scaled already."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup


def weight() -> nn.Parameter:
    return nn.Parameter(torch.ones(2))


def sgd(lr=1.0) -> torch.optim.SGD:
    return torch.optim.SGD([weight()], lr=lr)


def go(optimizer, scheduler, updates: int) -> None:
    for _ in range(updates):
        optimizer.step()
        scheduler.step(1.0)


@pytest.mark.parametrize("lr", [1.0, torch.tensor(1.0)], ids=["float", "tensor"])
@pytest.mark.parametrize("updates", [0, 3, 60, 100])
def test_a_second_scheduler_has_the_peak_of_the_first(lr, updates):
    optimizer = sgd(lr if isinstance(lr, float) else lr.clone())
    go(optimizer, AdaptiveWarmup(optimizer, 100), updates)
    second = AdaptiveWarmup(optimizer, 100)
    assert second.peak_lrs == [[1.0]]
    first = AdaptiveWarmup(sgd(), 100).get_last_lr()[0]
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(first)


def test_it_follows_torch_schedulers_and_loaded_states():
    optimizer = sgd(0.5)
    torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1)
    assert AdaptiveWarmup(optimizer, 100).peak_lrs == [[0.5]]
    fresh = sgd(7.0)
    fresh.load_state_dict(optimizer.state_dict())
    assert AdaptiveWarmup(fresh, 100).peak_lrs == [[0.5]]


def test_a_rate_that_was_set_by_hand_afterwards_is_told_with_both_numbers():
    optimizer = sgd(1.0)
    AdaptiveWarmup(optimizer, 100)
    optimizer.param_groups[0]["lr"] = 0.25
    with pytest.warns(UserWarning, match=r"group 0 of SGD has lr=0.25 and initial_lr=1") as told:
        assert AdaptiveWarmup(optimizer, 100).peak_lrs == [[1.0]]
    assert len(told) == 1
    optimizer.param_groups[0].update(lr=0.25)
    del optimizer.param_groups[0]["initial_lr"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert AdaptiveWarmup(optimizer, 100).peak_lrs == [[0.25]]
    higher = torch.optim.SGD([{"params": [weight()], "lr": 2.0, "initial_lr": 1.0}], lr=1.0)
    with pytest.warns(UserWarning, match="lr=2 and initial_lr=1"):
        AdaptiveWarmup(higher, 100)


def test_initial_lr_is_not_overwritten():
    optimizer = torch.optim.SGD([{"params": [weight()], "lr": 0.1, "initial_lr": 0.4}], lr=1.0)
    scheduler = AdaptiveWarmup(optimizer, 10)
    go(optimizer, scheduler, 10)
    assert optimizer.param_groups[0]["initial_lr"] == 0.4
    shared = torch.tensor(0.4)
    optimizer = torch.optim.SGD([{"params": [weight()], "lr": shared, "initial_lr": shared}])
    scheduler = AdaptiveWarmup(optimizer, 10, rule="linear 4 steps")
    assert float(optimizer.param_groups[0]["initial_lr"]) == pytest.approx(0.4)
    assert float(optimizer.param_groups[0]["lr"]) == pytest.approx(0.1)


@pytest.mark.parametrize("tensor", [False, True])
def test_groups_that_join_bring_their_own_peak_at_once(tensor):
    optimizer = sgd(torch.tensor(1.0) if tensor else 1.0)
    scheduler = AdaptiveWarmup(optimizer, 100)
    go(optimizer, scheduler, 5)
    optimizer.add_param_group({"params": [weight()], "lr": 0.57})
    optimizer.add_param_group({"params": [weight()]})  # the optimizer's own rate
    state = scheduler.state_dict()
    assert state["peak_lrs"] == [[1.0, 0.57, 1.0]] == scheduler.peak_lrs
    assert len(scheduler.get_last_lr()) == 3
    assert scheduler.get_last_lr()[1] == pytest.approx(0.57 * scheduler.factor)
    go(optimizer, scheduler, 1)
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    assert rates == pytest.approx([peak * scheduler.factor for peak in (1.0, 0.57, 1.0)])

    fresh = torch.optim.SGD(
        [{"params": [weight()]}, {"params": [weight()], "lr": 0.57}, {"params": [weight()]}], lr=1.0
    )
    other = AdaptiveWarmup(fresh, 100)
    other.load_state_dict(state)
    assert other.state_dict() == state


def test_a_state_with_a_group_that_joined_fits_a_scheduler_that_it_joined_as_well():
    def joined() -> tuple[torch.optim.SGD, AdaptiveWarmup]:
        optimizer = sgd()
        scheduler = AdaptiveWarmup(optimizer, 100)
        optimizer.add_param_group({"params": [weight()], "lr": 0.57})
        return optimizer, scheduler

    optimizer, scheduler = joined()
    go(optimizer, scheduler, 5)
    fresh, other = joined()
    other.load_state_dict(scheduler.state_dict())
    assert other.state_dict() == scheduler.state_dict()
    go(optimizer, scheduler, 3)
    go(fresh, other, 3)
    assert other.get_last_lr() == scheduler.get_last_lr()
    assert other.used_lrs == scheduler.used_lrs


@pytest.mark.parametrize("part", [1.0, 0.1, 0.5])
def test_a_rate_taken_from_a_scaled_one_is_a_part_of_its_peak(part):
    """Lightning's BackboneFinetuning adds a frozen backbone at a tenth of the rate in force."""
    optimizer = sgd(0.3)
    scheduler = AdaptiveWarmup(optimizer, 100)
    go(optimizer, scheduler, 7)
    now = optimizer.param_groups[0]["lr"]
    optimizer.add_param_group({"params": [weight()], "lr": now * part})
    with pytest.warns(UserWarning, match="group 1 joins with lr=.*taken from a rate that stands"):
        assert scheduler.peak_lrs == [[0.3, pytest.approx(0.3 * part)]]


def test_a_group_that_vanished_is_a_sentence():
    optimizer = torch.optim.SGD([{"params": [weight()]}, {"params": [weight()]}], lr=1.0)
    scheduler = AdaptiveWarmup(optimizer, 100)
    del optimizer.param_groups[1]
    for read in (scheduler.state_dict, scheduler.get_last_lr, lambda: scheduler.peak_lrs):
        with pytest.raises(ValueError, match=r"vanished from SGD: expected the 2 .*, got 1"):
            read()
    optimizer.step()
    with pytest.raises(ValueError, match="vanished"):
        scheduler.step(1.0)


@pytest.mark.parametrize("lr", [float("nan"), float("inf")])
def test_a_peak_that_is_no_finite_number_is_a_sentence(lr):
    with pytest.raises(ValueError, match=f"expected finite peak rates, got {lr} in group 0 of SGD"):
        AdaptiveWarmup(sgd(lr), 100)


@pytest.mark.filterwarnings("ignore:.*lowered the rate")
def test_a_first_group_at_rest_does_not_stand_for_the_run():
    groups = [{"params": [weight()], "lr": 0.0}, {"params": [weight()]}]
    optimizer = torch.optim.SGD(groups, lr=0.5)
    scheduler = AdaptiveWarmup(optimizer, 200)
    for k in range(150):
        optimizer.step()
        scheduler.step(1.0 + 0.02 * k)
    assert "peak rate 0.5. " in scheduler.report()
    assert "try a peak rate near 0.23." in scheduler.report()
    assert [group["lr"] for group in optimizer.param_groups] == scheduler.get_last_lr()
    assert scheduler.get_last_lr()[0] == 0.0
    assert scheduler.last.lr == 0.5 * scheduler.last.factor > 0
    assert [point.lr for point in scheduler.trace] == [0.5 * p.factor for p in scheduler.trace]


def test_an_optimizer_without_any_rate_is_a_sentence():
    optimizer = sgd(0.0)
    scheduler = AdaptiveWarmup(optimizer, 100)
    with pytest.warns(UserWarning, match="but every rate is 0: expected an optimizer with its"):
        go(optimizer, scheduler, 30)


def test_a_peak_that_is_changed_holds_from_the_next_update_on_and_is_saved():
    """As docs/faq.md says."""
    optimizer = sgd(0.5)
    scheduler = AdaptiveWarmup(optimizer, 40, rule="none", decay="constant")
    go(optimizer, scheduler, 3)
    scheduler.peak_lrs[0][0] *= 2
    go(optimizer, scheduler, 1)
    assert optimizer.param_groups[0]["lr"] == scheduler.get_last_lr()[0] == 1.0
    fresh = AdaptiveWarmup(sgd(0.5), 40, rule="none", decay="constant")
    with pytest.warns(UserWarning, match=r"peak rates \[\[1.0\]\] instead of \[\[0.5\]\]"):
        fresh.load_state_dict(scheduler.state_dict())
    assert fresh.get_last_lr() == [1.0]
