"""The pages on writing one's own do what they say: a rule and a host from outside the package."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from autowarmup import AdaptiveWarmup
from autowarmup.rules import DEFAULT_RULE

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


def model(batch: torch.Tensor) -> torch.Tensor:
    return (WEIGHT - batch).square().mean()


WEIGHT = torch.nn.Parameter(torch.zeros(3))
model.parameters = lambda: [WEIGHT]  # type: ignore[attr-defined]


@pytest.fixture
def page() -> dict:
    """The names that both blocks of the page on rules define."""
    names = {"__name__": "page", "model": model, "loader": [torch.ones(3)] * 60, "total_steps": 60}
    for block in blocks("add-a-rule.md"):
        exec(compile(block, "add-a-rule.md", "exec", dont_inherit=True), names)
    return names


def test_a_rule_of_ones_own_warms_up_ends_and_decays(page):
    scheduler = page["scheduler"]
    assert scheduler.phase == "done"
    assert scheduler.rule.name == "rise on record(stairs=20)"
    assert scheduler.warmup_ended_by == "record"
    assert scheduler.trace[0].factor == 1 / 20
    assert max(scheduler.trace.column("factor")) == 1.0


def test_it_resumes_and_says_where_it_is(page):
    rule = page["RiseOnRecord"]
    weight = torch.nn.Parameter(torch.zeros(2))

    def made() -> tuple[torch.optim.Optimizer, AdaptiveWarmup]:
        optimizer = torch.optim.SGD([weight], lr=0.5)
        return optimizer, AdaptiveWarmup(optimizer, 40, rule=rule(stairs=8))

    losses = [4.0 * 0.98**k for k in range(40)]
    (optimizer, first), rates = made(), []
    for k, loss in enumerate(losses):
        if k == 7:
            saved = json.loads(json.dumps(first.state_dict()))
            assert "gap 3." in repr(first)
        optimizer.step()
        first.step(loss)
        rates.append(first.get_last_lr())
    other, second = made()
    second.load_state_dict(saved)
    for loss, wanted in zip(losses[7:], rates[7:], strict=True):
        other.step()
        second.step(loss)
        assert second.get_last_lr() == wanted
    fresh = AdaptiveWarmup(torch.optim.SGD([weight], lr=0.5), 40)
    with pytest.raises(ValueError, match="rule: expected 'none', 'linear 5%'"):
        fresh.load_state_dict(saved)  # the rule has to be given where its name says nothing
    assert fresh.rule.name == DEFAULT_RULE


def test_a_host_of_ones_own_feeds_the_scheduler():
    names: dict = {}
    exec(blocks("add-a-host.md")[0], names)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(2))], lr=0.5)

    class Host:
        scheduler = AdaptiveWarmup(optimizer, 10)

    callback = names["WarmupCallback"]()
    callback.on_train_start(Host)
    for k in range(3):
        optimizer.step()
        Host.scheduler.step()  # the host's own call
        assert Host.scheduler.state.step == k
        callback.on_micro_batch_end(Host, 4.0 - k)
        callback.on_micro_batch_end(Host, 3.0 - k)
        callback.on_update_end(Host)
    assert Host.scheduler.state.step == 3
    assert Host.scheduler.trace.column("loss") == [3.5, 2.5, 1.5]
