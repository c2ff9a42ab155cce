"""Recorded losses fed to a rule: the same as a scheduler that had seen them."""

from __future__ import annotations

import math
import time
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import autowarmup
from autowarmup import AdaptiveWarmup, Point, Trace, replay
from autowarmup.recorded import walk
from autowarmup.rules import RULES, Paced, Run, Watched, begin, rule_of, step


def falling(count: int, seed: int = 0) -> list[float]:
    noise = np.random.default_rng(seed).normal(0.0, 0.05, count)
    return list(2.0 + 4.0 * (1.0 + np.arange(count) / 20) ** -0.4 + noise)


def humped() -> list[float]:
    """Falls for 100 updates, then rises for as many, then falls again."""
    losses = falling(400)
    return [x + 3.0 * max(0.0, 1.0 - abs(k - 200) / 100) for k, x in enumerate(losses)]


@pytest.mark.filterwarnings("ignore:.*lowered the rate:UserWarning")
@pytest.mark.filterwarnings("ignore:.*has come to:UserWarning")
@pytest.mark.parametrize("rule", ["paced", "watched", "flat", "h0h1", "autowu", "linear 10%"])
def test_a_replay_is_what_the_scheduler_does_on_these_losses(rule):
    losses = humped()
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=0.5)
    scheduler = AdaptiveWarmup(optimizer, len(losses), rule=rule, decay="linear")
    rates = []
    for loss in losses:
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step(loss)
    told = {"decay": "linear", "parameters": 2, "beta": 0.999}
    trace = replay(losses, rule, optimizer="AdamW", lr=0.5, **told)
    assert trace.column("lr") == rates
    assert trace.column("step") == list(range(len(losses)))
    assert trace.column("loss") == losses
    assert trace.column("status") == scheduler.trace.column("status")
    assert trace.column("phase") == scheduler.trace.column("phase")
    assert trace.column("gap") == scheduler.trace.column("gap")


def test_a_loss_that_rises_lowers_the_rate_of_the_next_update():
    trace = replay(humped(), Paced(length=50), decay="constant")
    lowered = [k for k, point in enumerate(trace) if point.status == "LOWERED"]
    assert 100 < trace[lowered[0]].step < 200
    assert trace[lowered[0]].factor == 1.0
    assert trace[lowered[0] + 1].factor == 0.5


def test_losses_of_every_tenth_update():
    losses = falling(300)
    trace = replay(losses[::10], "linear 20 steps", 300, steps=range(0, 300, 10), decay="linear")
    held = {point.step: point.factor for point in trace}
    assert held[0] == 1 / 20
    assert held[10] == 11 / 20
    assert held[19] == 1.0  # the first update after warm-up has a point without a loss
    assert math.isnan(next(point.loss for point in trace if point.step == 19))
    whole = replay(losses, "linear 20 steps", decay="linear")
    assert all(whole[at].factor == factor for at, factor in held.items())


@given(
    steps=st.lists(st.integers(0, 400), min_size=1, max_size=40, unique=True).map(sorted),
    rule=st.sampled_from([Paced(length=30), Watched(), *map(rule_of, RULES)]),
)
def test_updates_without_a_loss_are_as_if_stepped_one_by_one(steps, rule):
    """Also where the rule reads no more and they are passed over."""
    run = Run(500, kappa=3.0)
    seen = dict(zip(steps, falling(len(steps)), strict=True))
    state, factors = begin(rule, run), []
    for at in range(steps[-1] + 1):
        factors.append(state.factor)
        state = step(state, seen.get(at))
    *_, last = walk(rule, run, seen.values(), steps)
    assert last.after == state
    for before, loss, _ in walk(rule, run, seen.values(), steps):
        assert before.factor == factors[before.step]
        assert loss == seen.get(before.step)


def test_what_is_thinned_keeps_the_ends_and_every_event():
    trace = replay(humped(), Paced(length=50), decay="constant", most=10)
    steps, whole = trace.column("step"), replay(humped(), Paced(length=50), decay="constant")
    assert steps[0] == 0
    assert steps[-1] == 399
    assert len(trace) < 30
    events = [p.step for p in whole if p.status == "LOWERED"]
    assert len(events) >= 1
    assert {*events, *(at + 1 for at in events), 48, 49} <= set(steps)
    assert list(trace) == [point for point in whole if point.step in set(steps)]


def test_a_trace_an_array_and_a_tensor_are_read():
    losses = falling(30)
    trace = Trace(Point(3 * k, loss) for k, loss in enumerate(losses))
    assert replay(trace) == replay(losses, steps=range(0, 90, 3))
    assert replay(torch.tensor(losses, dtype=torch.float64)) == replay(np.array(losses))


def test_a_loss_that_is_no_number_counts_as_not_seen():
    losses = [*falling(20), math.nan, 3.0, math.inf, *falling(20)]
    trace = replay(losses, "watched", 100)
    assert [p.step for p in trace if p.status == "NON_FINITE"] == [20, 22]
    without = [loss for loss in losses if math.isfinite(loss)]
    steps = [k for k, loss in enumerate(losses) if math.isfinite(loss)]
    assert replay(without, "watched", 100, steps=steps)[-1] == trace[-1]


def test_the_end_is_that_of_the_losses_unless_told():
    losses = falling(40)
    assert replay(losses, "none", decay="linear")[39].factor == pytest.approx(1 / 40)
    assert replay(losses, "none", 80, decay="linear")[39].factor == pytest.approx(41 / 80)
    assert replay(losses, "none", math.inf, decay="linear")[39].phase == "stable"


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: replay([]), "expected at least one"),
        (lambda: replay(["a"]), "losses: expected numbers, got"),
        (lambda: replay([[1.0]]), r"got shape \(1, 1\)"),
        (lambda: replay([1.0], steps=[0, 1]), r"1 whole numbers, one per loss, got shape \(2,\)"),
        (lambda: replay([1.0], steps=[0.5]), "of float64"),
        (lambda: replay([1.0, 1.0], steps=[3, 3]), "got 3 after 3"),
        (lambda: replay([1.0, 1.0], steps=[-1, 3]), "got -1 first"),
        (lambda: replay([1.0, 1.0], total_steps=1), "at least the 2 updates .* got 1"),
        (lambda: replay([1.0], total_steps=math.nan), "total_steps: expected"),
        (lambda: replay([1.0, 1.0], total_steps=2.5), "total_steps to be a whole number"),
        (lambda: replay([1.0], "best"), "got 'best'"),
        (lambda: replay([1.0], lr=0.0), "lr: expected a finite rate above 0, got 0.0"),
        (lambda: replay([1.0], total_steps="9"), "total_steps: expected a number of .* got '9'"),
        (
            lambda: replay([1.0], optimizer=torch.optim.SGD([torch.ones(1)])),  # type: ignore[arg-type]
            "optimizer: expected a name such as 'Muon' or 'AdamW', got SGD",
        ),
        (lambda: replay([1.0], most=0), "most: expected at least 1 point, got 0"),
        (lambda: replay([1.0], betas=0.9), "facts of a run out of decay.* got 'betas'"),
        (lambda: replay([1.0], "flat", lower_bound=2.0), "lower bound must lie below"),
        (lambda: replay([1.0], "linear 5%", math.inf), "expected total_steps"),
    ],
)
def test_mistakes_get_one_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_a_million_losses_take_seconds_and_little_memory():
    losses = 2.0 + 4.0 * (1.0 + np.arange(1_000_000) / 20) ** -0.4
    began = time.process_time()
    trace = replay(losses)
    assert time.process_time() - began < 30  # measured: 5
    assert len(trace) < 12_000
    tracemalloc.start()
    replay(losses[:100_000])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 20e6  # measured: 9e6, of which the losses are 3e6


def test_the_public_name():
    assert autowarmup.replay is replay
