"""The same in torch: rates are written at once, saved, and differences are said."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from autowarmup import AdaptiveWarmup


def made(total: int | None = None, lr: float = 0.5, **options: Any) -> Any:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=lr)
    return optimizer, AdaptiveWarmup(optimizer, total, **options)


def go(optimizer: Any, scheduler: Any, updates: int) -> list[float]:
    rates = []
    for _ in range(updates):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(2.0)
    return rates


def test_an_open_end_a_decay_an_extension_and_a_later_ramp():
    optimizer, scheduler = made(rule="linear 4 steps", decay="linear")
    assert go(optimizer, scheduler, 6) == [0.125, 0.25, 0.375, 0.5, 0.5, 0.5]
    assert scheduler.phase == "stable"
    assert "step 6/?" in repr(scheduler)
    told = scheduler.start_decay(10)
    assert told == "the rate decays over updates 6 to 15 and the run ends after 16"
    assert go(optimizer, scheduler, 5) == pytest.approx([0.5 - 0.05 * k for k in range(5)])
    told = scheduler.extend(31)
    assert told.startswith("the rate decays from 50 % of the peak rate over updates 11 to 30 and")
    assert told.endswith("the run ends after 31")
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.25)
    assert scheduler.rewarm(2) == "the rate climbs again over updates 11 to 12"
    assert optimizer.param_groups[0]["lr"] == pytest.approx(0.125)
    rates = go(optimizer, scheduler, 20)
    assert rates[1:3] == pytest.approx([0.25 * 19 / 20, 0.25 * 18 / 20])
    assert scheduler.phase == "done"


def test_in_warm_up_only_the_end_moves():
    optimizer, scheduler = made(100, rule="linear 40 steps")
    go(optimizer, scheduler, 10)
    assert scheduler.extend(1000) == "the run ends after 1,000 updates; warm-up goes on"
    assert max(go(optimizer, scheduler, 40)) == 0.5
    assert scheduler.warmup_end_step == 39


@pytest.mark.parametrize("at", [2, 7, 12, 15])
def test_a_resumed_run_is_one_that_never_stopped(at):
    def moved(at_update: int, scheduler: Any) -> None:
        if at_update == 5:
            scheduler.start_decay(20)
        if at_update == 10:
            scheduler.extend(40)
        if at_update == 14:
            scheduler.rewarm(3)

    optimizer, scheduler = made(rule="linear 4 steps")
    rates, saved = [], {}
    for k in range(30):
        moved(k, scheduler)
        if k == at:
            saved = scheduler.state_dict()
        rates += go(optimizer, scheduler, 1)
    optimizer, scheduler = made(rule="linear 4 steps")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # another total_steps than the constructor's is said
        scheduler.load_state_dict(saved)
    again = []
    for k in range(at, 30):
        if k > at:
            moved(k, scheduler)
        again += go(optimizer, scheduler, 1)
    assert again == rates[at:]


def test_what_a_saved_state_has_otherwise_is_said_once():
    optimizer, scheduler = made(100, decay="linear")
    go(optimizer, scheduler, 3)
    saved = scheduler.state_dict()
    _, same = made(100, decay="linear")
    same.load_state_dict(saved)
    _, other = made(200, lr=0.1, rule="none")
    with pytest.warns(UserWarning, match="goes on as it was saved") as caught:
        other.load_state_dict(saved)
    (warning,) = caught
    for part in ("total_steps 100 instead of 200", "'linear' instead of 'cosine'",
                 "rule 'paced' instead of 'none'", "[[0.5]] instead of [[0.1]]"):  # fmt: skip
        assert part in str(warning.message)


def test_the_page_on_runs_without_an_end_does_what_it_says(capsys):
    page = Path(__file__).parents[2] / "docs" / "open-end.md"
    (block,) = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    torch.manual_seed(0)
    exec(compile(block, str(page), "exec", dont_inherit=True), {})
    first, *told, last = capsys.readouterr().out.splitlines()
    assert (first, last) == ("warmup", "done")
    assert "updates 20 to 49" in told[0]
    assert "ends after 100" in told[1]
    assert "updates 30 to 34" in told[2]


def test_a_state_of_format_4_still_loads():
    optimizer, scheduler = made(40, rule="linear 4 steps")
    go(optimizer, scheduler, 20)
    saved = scheduler.state_dict()
    warmup = {k: v for k, v in saved["warmup"].items() if k not in ("since", "height", "rewarmed")}
    old = {**saved, "format": "autowarmup-scheduler-4", "warmup": warmup}
    second_optimizer, second = made(40, rule="linear 4 steps")
    second.load_state_dict(old)
    assert go(second_optimizer, second, 20) == go(optimizer, scheduler, 20)
