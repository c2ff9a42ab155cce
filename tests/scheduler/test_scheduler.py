"""The torch shell: rates, who counts as a step, saving and resuming."""

from __future__ import annotations

import io
import itertools
import math

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, GapLaw

LAW = GapLaw(end=0.23, div=10.0, max_fraction=0.3)
"""Its cap comes before its gap, so that a run visits the ramp, too."""


def falling_loss(step: int) -> float:
    """Falls slowly enough to see every phase, with a ripple."""
    return 1.0 + 4.0 * math.exp(-step / 6) + 0.05 * math.sin(3 * step)


def make(total_steps: int = 60, lr: float = 0.5, **options) -> tuple:
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([weight], lr=lr)
    weight.grad = torch.zeros(3)
    return optimizer, AdaptiveWarmup(optimizer, total_steps, **{"rule": "flat", **options})


def drive(optimizer, scheduler, losses) -> list[float]:
    """Return the rate that each update used."""
    rates = []
    for loss in losses:
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(loss)
    return rates


def test_the_first_update_runs_at_lr_over_div():
    optimizer, scheduler = make(lr=0.5, rule=GapLaw(div=20))
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.5 / 20)
    assert scheduler.get_last_lr() == [optimizer.param_groups[0]["lr"]]
    assert isinstance(scheduler, torch.optim.lr_scheduler.LRScheduler)


def test_one_factor_multiplies_the_peak_rate_of_every_group_of_every_optimizer():
    a, b, c = (nn.Parameter(torch.ones(2)) for _ in range(3))
    first = torch.optim.SGD([{"params": [a], "lr": 1.0}, {"params": [b], "lr": 0.1}], lr=1.0)
    second = torch.optim.AdamW([c], lr=0.03)
    scheduler = AdaptiveWarmup([first, second], 50, rule=GapLaw(div=10))
    for k in range(20):
        first.step()
        second.step()
        scheduler.step(falling_loss(k))
        assert scheduler.get_last_lr() == pytest.approx(
            [scheduler.factor, 0.1 * scheduler.factor, 0.03 * scheduler.factor], rel=1e-12
        )
    rates = [g["lr"] for o in (first, second) for g in o.param_groups]
    assert scheduler.get_last_lr() == rates


def test_a_tensor_rate_stays_the_same_object():
    weight = nn.Parameter(torch.ones(2))
    rate = torch.tensor(0.5)
    optimizer = torch.optim.Adam([weight], lr=rate, foreach=False)
    scheduler = AdaptiveWarmup(optimizer, 50, rule=GapLaw(div=10))
    weight.grad = torch.ones(2)
    scheduler.calibrate(lambda: (weight**2).sum())
    for k in range(5):
        optimizer.step()
        scheduler.step(falling_loss(k))
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == pytest.approx(0.5 * scheduler.factor)


def test_step_without_an_optimizer_step_changes_nothing():
    optimizer, scheduler = make()
    scheduler.step(5.0)
    assert scheduler.state.step == 0
    with pytest.warns(UserWarning, match=r"came before optimizer\.step and set nothing"):
        optimizer.step()
    scheduler.step(5.0)
    before = scheduler.state_dict()
    scheduler.step(0.01)
    scheduler.step()
    assert scheduler.state_dict() == before


def test_observed_micro_batches_are_averaged_and_metrics_is_an_alias():
    losses = [falling_loss(k) for k in range(12)]
    one, first = make()
    two, second = make()
    for loss in losses:
        one.step()
        first.step(metrics=torch.tensor(loss, dtype=torch.float64))
        for part in (loss - 0.5, loss + 0.5):
            second.observe(torch.tensor(part, dtype=torch.float64, requires_grad=True))
        two.step()
        second.step()
    assert second.state.gap == pytest.approx(first.state.gap, rel=1e-14)
    assert second.factor == pytest.approx(first.factor, rel=1e-12)


def test_reading_twice_changes_nothing():
    optimizer, scheduler = make()
    drive(optimizer, scheduler, [5.0, 4.0, 3.0])
    first = (scheduler.state_dict(), scheduler.get_last_lr(), scheduler.get_lr(), repr(scheduler))
    assert first == (
        scheduler.state_dict(),
        scheduler.get_last_lr(),
        scheduler.get_lr(),
        repr(scheduler),
    )


@pytest.mark.parametrize("cut", range(0, 60, 3))
@pytest.mark.parametrize("moment", ["after", "between", "observed"])
def test_resuming_equals_never_having_stopped(cut, moment):
    """In warm-up, in the ramp of the cap and in the decay; also in the middle of a step."""
    losses = [falling_loss(k) for k in range(60)]

    def run(stop: int | None) -> tuple[list[float], dict]:
        optimizer, scheduler = make(rule=LAW)
        rates = []
        for k, loss in enumerate(losses):
            rates.append(optimizer.param_groups[0]["lr"])
            scheduler.observe(loss - 0.25)
            if k == stop and moment == "observed":
                optimizer, scheduler = reload(optimizer, scheduler)
            optimizer.step()
            if k == stop and moment == "between":
                optimizer, scheduler = reload(optimizer, scheduler)
            scheduler.observe(loss + 0.25)
            scheduler.step()
            if k == stop and moment == "after":
                optimizer, scheduler = reload(optimizer, scheduler)
        return rates, scheduler.state_dict()

    def reload(optimizer, scheduler):
        file = io.BytesIO()
        torch.save([optimizer.state_dict(), scheduler.state_dict()], file)
        file.seek(0)
        saved = torch.load(file, weights_only=True)
        fresh, other = make(rule=GapLaw(div=7))  # the saved settings win
        fresh.load_state_dict(saved[0])
        with pytest.warns(UserWarning, match="goes on as it was saved"):
            other.load_state_dict(saved[1])
        return fresh, other

    assert run(cut) == run(None)


def test_the_run_above_visits_every_phase():
    optimizer, scheduler = make(rule=LAW)
    drive(optimizer, scheduler, [falling_loss(k) for k in range(60)])
    assert scheduler.state.memory.cap_step is not None
    assert {point.phase for point in scheduler.trace} == {"warmup", "decay"}
    assert scheduler.phase == "done"


def test_loading_leaves_the_callers_dict_alone_and_sets_the_rate():
    optimizer, scheduler = make(rule=GapLaw(div=10))
    drive(optimizer, scheduler, [5.0, 4.0, 3.0, 2.0])
    saved = scheduler.state_dict()
    copy = dict(saved)
    fresh, other = make(rule=GapLaw(div=10))
    other.load_state_dict(saved)
    assert saved == copy
    assert fresh.param_groups[0]["lr"] == optimizer.param_groups[0]["lr"]
    fresh.step()
    other.step(1.9)
    assert saved == copy


def test_a_foreign_state_is_refused():
    _, scheduler = make()
    with pytest.raises(ValueError, match="expected a state_dict of AdaptiveWarmup"):
        scheduler.load_state_dict({"last_epoch": 3})
    weights = [nn.Parameter(torch.ones(1)) for _ in range(2)]
    other = AdaptiveWarmup(torch.optim.SGD([{"params": [w]} for w in weights], lr=1.0), 10)
    with pytest.raises(ValueError, match=r"expected peak rates for \[2\] parameter groups"):
        other.load_state_dict(scheduler.state_dict())


def test_a_group_added_later_keeps_its_own_peak():
    optimizer, scheduler = make(lr=1.0, rule=GapLaw(div=10))
    optimizer.add_param_group({"params": [nn.Parameter(torch.ones(1))], "lr": 0.2})
    drive(optimizer, scheduler, [5.0, 4.0])
    assert optimizer.param_groups[1]["lr"] == pytest.approx(0.2 * scheduler.factor)


def test_a_schedule_that_is_never_fed_warns_and_still_ends_its_warmup():
    optimizer, scheduler = make(total_steps=100)
    with pytest.warns(UserWarning, match="no finite loss reached AdaptiveWarmup"):
        drive(optimizer, scheduler, [None] * 60)
    assert scheduler.phase == "decay"
    assert scheduler.warmup_end_step is not None
    assert scheduler.warmup_end_step <= 30


def test_a_long_trace_is_thinned_evenly():
    optimizer, scheduler = make(total_steps=9000)
    drive(optimizer, scheduler, [falling_loss(k) for k in range(9000)])
    steps = scheduler.trace.column("step")
    assert len(steps) <= 2049
    assert len({b - a for a, b in itertools.pairwise(steps)}) == 1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"total_steps": 0}, "total_steps"),
        ({"total_steps": 2.5}, "total_steps"),
        ({"rule": "best"}, "rule"),
        ({"rule": 1.5}, "rule"),
        ({"rule": GapLaw}, "rule"),
        ({"decay": "cos"}, "decay"),
        ({"lower_bound": math.inf}, "lower_bound"),
        ({"final_fraction": -0.1}, "final_fraction"),
        ({"rule": "accurate"}, "kappa"),
    ],
)
def test_bad_settings_are_refused_with_expected_and_got(options, sentence):
    with pytest.raises(ValueError, match=f"(?s){sentence}.*got"):
        make(**options)


@pytest.mark.parametrize(
    ("options", "new"),
    [
        ({"peak": "flat"}, "rule='flat'"),
        ({"peak": 0.33}, r"rule=GapLaw\(end=0.33\)"),
        ({"div": 10}, r"rule=GapLaw\(div=10\)"),
        ({"max_fraction": 0.1}, r"rule=GapLaw\(max_fraction=0.1\)"),
        ({"smoothing": 0.5}, r"rule=GapLaw\(smoothing=0.5\)"),
        ({"kappa": 7.0}, "kappa=7.0"),
    ],
)
def test_arguments_of_earlier_versions_say_the_new_spelling(options, new):
    with pytest.raises(ValueError, match=f"is now .*{new}.*: a setting belongs to its rule"):
        make(**options)
    with pytest.raises(TypeError, match="unexpected keyword argument 'warmup_steps'"):
        make(warmup_steps=3)


def test_bad_optimizers_and_losses_are_refused():
    with pytest.raises(ValueError, match="at least one optimizer"):
        AdaptiveWarmup([], 10)
    with pytest.raises(ValueError, match="torch optimizer"):
        AdaptiveWarmup(["adam"], 10)  # type: ignore[list-item]
    _, scheduler = make()
    with pytest.raises(ValueError, match="scalar loss"):
        scheduler.observe(torch.ones(3))


def test_repr_is_one_readable_line():
    optimizer, scheduler = make(rule=GapLaw(div=10))
    assert repr(scheduler) == (
        "AdaptiveWarmup(flat(div=10.0), warmup, step 0/60, factor 0.1, no loss yet)"
    )
    drive(optimizer, scheduler, [5.0])
    assert "factor 0.1, gap 5)" in repr(scheduler)


def test_a_state_of_something_else_is_named_by_its_keys():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=0.5)
    scheduler = AdaptiveWarmup(optimizer, 10)
    with pytest.raises(ValueError, match="got one with the keys 'state', 'param_groups'"):
        scheduler.load_state_dict(optimizer.state_dict())
    with pytest.raises(ValueError, match="got an empty dict"):
        scheduler.load_state_dict({})
