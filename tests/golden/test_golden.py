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

from autowarmup import AdaptiveWarmup, GapLaw, Trace
from autowarmup.rules import Run, begin, step
from autowarmup.rules.gap_law.peak import flat

HERE = Path(__file__).parent
RUNS = json.loads((HERE / "runs.json").read_text())


def recorded(name: str) -> tuple[dict, Trace, GapLaw]:
    run = RUNS[name]
    rule = GapLaw(end=run["gap_peak"] / run["gap0"], div=run["div"])
    return run, Trace.read(HERE / f"{name}.jsonl"), rule


@pytest.mark.parametrize("name", RUNS)
def test_flat_places_the_peak_where_it_did(name):
    _, _, rule = recorded(name)
    assert flat(rule.div) == pytest.approx(rule.end, rel=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_the_rule_reproduces_the_recorded_rates(name):
    run, trace, rule = recorded(name)
    state = begin(rule, Run(run["steps_done"]))
    for point in trace:
        assert run["lr"] * state.factor == pytest.approx(point.lr, rel=1e-11)
        assert state.phase == point.phase
        state = step(state, point.loss)
        assert state.gap == pytest.approx(point.gap, rel=1e-12)
        assert state.status.name == point.status
    assert len(trace) == run["steps_done"]
    assert state.end == run["warmup_end_step"]
    assert state.ended_by == run["warmup_ended_by"]


@pytest.mark.parametrize("name", RUNS)
def test_so_does_the_torch_scheduler(name):
    run, trace, rule = recorded(name)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=run["lr"])
    scheduler = AdaptiveWarmup(optimizer, run["steps_done"], rule=rule)
    for point in trace:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(point.lr, rel=1e-11)
        optimizer.step()
        scheduler.step(point.loss)
    assert [point.gap for point in scheduler.trace] == pytest.approx(trace.column("gap"), rel=1e-12)
