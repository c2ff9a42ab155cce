"""Copies of optimizer and scheduler go on by themselves, whatever makes the copy."""

from __future__ import annotations

import copy
import io
import json
import multiprocessing
import pickle

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, CurvatureObserver
from autowarmup.rules import RULES


def saved_and_loaded(pair):
    file = io.BytesIO()
    torch.save(pair, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda pair: pickle.loads(pickle.dumps(pair)),
    "torch.save": saved_and_loaded,
}
every_copy = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


def make(rule: str = "paced", **options):
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.5)
    if rule in ("accurate", "published"):
        rule = f"{rule}(kappa=12)"
    return optimizer, AdaptiveWarmup(optimizer, 60, rule=rule, **options)


def same(scheduler: AdaptiveWarmup, state: dict) -> bool:
    """Compare as text: a loss that nobody gave is not a number, which equals nothing."""
    return json.dumps(scheduler.state_dict()) == json.dumps(state)


def go(optimizer, scheduler, updates: int) -> list[float]:
    rates = []
    for k in range(updates):
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
        optimizer.step()
        scheduler.step(torch.tensor(5.0 - 0.02 * (scheduler.state.step + k % 2)))
        rates.append(float(optimizer.param_groups[0]["lr"]))
    return rates


@every_copy
@pytest.mark.parametrize("rule", ["paced", "h0h1", "linear 10%"])
@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize("order", [1, -1], ids=["optimizer first", "scheduler first"])
@pytest.mark.filterwarnings("ignore:update [0-9]+:UserWarning")
def test_a_copy_moves_and_the_original_stays(copied, rule, lag, order):
    optimizer, scheduler = make(rule, lag=lag)
    go(optimizer, scheduler, 6)
    scheduler.observe(3.0)
    twin, other = copied((optimizer, scheduler)[::order])[::order]
    before = scheduler.state_dict()
    assert same(other, before)
    assert other.optimizer is twin
    rates = go(twin, other, 30)
    assert same(scheduler, before)
    assert go(optimizer, scheduler, 30) == rates
    assert same(other, scheduler.state_dict())
    assert AdaptiveWarmup(twin, 60).peak_lrs == [[0.5]]


@every_copy
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_copied(copied, rule):
    optimizer, scheduler = make(rule)
    go(optimizer, scheduler, 3)
    _, other = copied((optimizer, scheduler))
    assert same(other, scheduler.state_dict())


def elsewhere(pair, queue) -> None:
    queue.put(go(*pair, 5))


def test_another_process_goes_on_with_it():
    pair = make()
    go(*pair, 4)
    context = multiprocessing.get_context("spawn")
    queue = context.SimpleQueue()
    process = context.Process(target=elsewhere, args=(pickle.loads(pickle.dumps(pair)), queue))
    process.start()
    rates = queue.get()
    process.join()
    assert rates == go(*pair, 5)


def test_an_observer_says_that_a_copy_of_it_would_watch_nothing():
    model = nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(model.parameters())
    observer = CurvatureObserver(model, optimizer, lambda: model(torch.ones(1, 3)).square().sum())
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(ValueError, match="expected a new one for a copy of them"):
            copied(observer)
    assert len(copy.deepcopy(observer.trace)) == 0
