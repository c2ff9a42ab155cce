"""Two recorded runs: the losses that training gave must give the same gaps and rates for ever.

`muon.jsonl` ends its warm-up on the gap, `lion.jsonl` on the cap. They were written by the commands
in `runs.json`; the losses depend on the processor, what the schedule makes of them does not. The
peak gap comes out of a minimiser, so it is compared less closely and given to the replay as it was.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from autowarmup import AdaptiveWarmup, Trace
from autowarmup.rules.gap_law.peak import flat
from autowarmup.rules.gap_law.schedule import ScheduleConfig, init, step

HERE = Path(__file__).parent
RUNS = json.loads((HERE / "runs.json").read_text())


def recorded(name: str) -> tuple[dict, Trace, dict]:
    run = RUNS[name]
    settings = {"div": run["div"], "peak": run["gap_peak"] / run["gap0"]}
    return run, Trace.read(HERE / f"{name}.jsonl"), settings


@pytest.mark.parametrize("name", RUNS)
def test_the_default_rule_places_the_peak_where_it_did(name):
    _, _, settings = recorded(name)
    assert flat(settings["div"]) == pytest.approx(settings["peak"], rel=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_the_core_reproduces_the_recorded_rates(name):
    run, trace, settings = recorded(name)
    state = init(ScheduleConfig(total_steps=run["steps_done"], **settings))
    for point in trace:
        assert run["lr"] * state.factor == pytest.approx(point.lr, rel=1e-11)
        assert state.phase == point.phase
        state, _, status = step(state, point.loss)
        assert state.gap == pytest.approx(point.gap, rel=1e-12)
        assert status.name == point.status
    assert len(trace) == run["steps_done"]
    assert state.warmup_end_step == run["warmup_end_step"]
    assert state.ended_by == run["warmup_ended_by"]


@pytest.mark.parametrize("name", RUNS)
def test_so_does_the_torch_scheduler(name):
    run, trace, settings = recorded(name)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=run["lr"])
    scheduler = AdaptiveWarmup(optimizer, run["steps_done"], **settings)
    for point in trace:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(point.lr, rel=1e-11)
        optimizer.step()
        scheduler.step(point.loss)
    assert [point.gap for point in scheduler.trace] == pytest.approx(trace.column("gap"), rel=1e-12)
