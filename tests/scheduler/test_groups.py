"""Parameter groups that follow rules of their own."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from autowarmup import AdaptiveWarmup, Muon, Paced
from autowarmup.integrations.tracking import metrics
from autowarmup.rules import Linear, Run, begin, step


def weight(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.ones(shape or (2,)))


def adamw() -> torch.optim.AdamW:
    groups = [{"params": [weight()], "lr": 0.1, "name": "body"}]
    groups += [{"params": [weight()], "lr": 0.2, "name": "head"}, {"params": [weight()], "lr": 0.3}]
    return torch.optim.AdamW(groups)


RULES = {"head": "none", "default": "linear 10 steps"}


def go(optimizer, scheduler, losses) -> list[list[float]]:
    rates = []
    for loss in losses:
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step(loss)
    return rates


def shares(rule: str, updates: int, total: int | None) -> list[float]:
    state, found = begin(Linear(0.0) if rule == "none" else Linear(steps=10), Run(total)), []
    for _ in range(updates):
        found.append(state.factor)
        state = step(state, 3.0)
    return found


def by_name(group: dict) -> str:
    return "none" if group.get("name") == "head" else "linear 10 steps"


@pytest.mark.parametrize("rule", [RULES, by_name], ids=["mapping", "function"])
def test_every_group_has_the_rates_of_its_own_rule(rule):
    optimizer = adamw()
    scheduler = AdaptiveWarmup(optimizer, 40, rule=rule)
    rates = go(optimizer, scheduler, [3.0] * 40)
    ramp, none = shares("linear", 40, 40), shares("none", 40, 40)
    wanted = [[0.1 * a, 0.2 * b, 0.3 * a] for a, b in zip(ramp, none, strict=True)]
    assert [pytest.approx(row) for row in wanted] == rates
    assert scheduler.get_last_lr() == [group["lr"] for group in optimizer.param_groups]


def test_the_matrices_of_muon_and_its_other_part_are_known_by_their_class():
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 4))
    optimizer = Muon(model, lr=0.02)
    scheduler = AdaptiveWarmup(optimizer, 10_000, rule={"spectral": "paced", "other": "paced"})
    lengths = {word: state.memory.length for word, state in scheduler.states.items()}
    assert lengths == {"spectral": 300, "other": 2000}
    assert AdaptiveWarmup(optimizer, 10_000).state.memory.length == 300
    line = metrics(scheduler)
    assert line["warmup/factor_spectral"] == pytest.approx(1 / 300)
    assert line["warmup/factor_other"] == pytest.approx(1 / 2000)


def test_it_is_saved_and_resumed_bit_for_bit():
    losses = [3.0 - 0.02 * k for k in range(60)]
    whole, scheduler = adamw(), None
    scheduler = AdaptiveWarmup(whole, 60, rule={"head": Paced(length=20), "default": "none"})
    rates = go(whole, scheduler, losses)
    first = adamw()
    before = AdaptiveWarmup(first, 60, rule={"head": Paced(length=20), "default": "none"})
    start = go(first, before, losses[:13])
    saved = json.loads(json.dumps(before.state_dict()))
    second = adamw()
    after = AdaptiveWarmup(second, 60, rule={"head": Paced(length=20), "default": "none"})
    after.load_state_dict(saved)
    assert start + go(second, after, losses[13:]) == rates
    with pytest.raises(ValueError, match="must fit the rules of the parameter groups"):
        AdaptiveWarmup(adamw(), 60).load_state_dict(saved)


def test_a_group_that_joins_under_a_new_word_begins_a_warm_up_of_its_own():
    optimizer = adamw()
    rules = {"default": "none", "backbone": "linear 10 steps"}
    with pytest.raises(ValueError, match=r"expected words of parameter groups .* got 'backbone'"):
        AdaptiveWarmup(optimizer, 40, rule=rules)
    answers = lambda group: rules.get(group.get("name"), "none")  # noqa: E731
    scheduler = AdaptiveWarmup(optimizer, 40, rule=answers)
    go(optimizer, scheduler, [3.0] * 20)
    optimizer.add_param_group({"params": [weight()], "lr": 0.4, "name": "backbone"})
    go(optimizer, scheduler, [3.0])
    rates = go(optimizer, scheduler, [3.0] * 19)
    late = [row[3] for row in rates]
    assert max(late) == pytest.approx(0.4)
    assert late.index(max(late)) == 9
    assert late[-1] < 0.05
    assert scheduler.phase == "done"


def test_what_becomes_of_the_run_holds_for_all_groups():
    optimizer = adamw()
    scheduler = AdaptiveWarmup(optimizer, rule=RULES, decay="linear")
    go(optimizer, scheduler, [3.0] * 15)
    scheduler.start_decay(4)
    rates = go(optimizer, scheduler, [3.0] * 4)
    assert rates == [pytest.approx([0.1 * x, 0.2 * x, 0.3 * x]) for x in (1.0, 0.75, 0.5, 0.25)]
    scheduler.extend(30)
    assert {state.run.total_steps for state in scheduler.states.values()} == {30}


def test_bad_words_are_sentences():
    with pytest.raises(ValueError, match="got 'tail'"):
        AdaptiveWarmup(adamw(), 40, rule={"tail": "none"})
    with pytest.raises(ValueError, match="rule: expected"):
        AdaptiveWarmup(adamw(), 40, rule={"head": 3})
    with pytest.raises(ValueError, match="rule: expected"):
        AdaptiveWarmup(adamw(), 40, rule=lambda group: None)
