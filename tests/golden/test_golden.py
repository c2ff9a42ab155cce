"""Recorded runs: the losses that training gave must give the same gaps and rates for ever.

`paced.jsonl` is the default rule at a peak rate that is too high, so that the loss rises and the
rate is lowered; `watched.jsonl` the default before it; `muon.jsonl` ends its warm-up on the gap,
`lion.jsonl` on the cap. They were
written by the commands in `runs.json`; the losses depend on the processor, what the schedule makes
of them does not. The peak gap comes out of a minimiser, so it is compared less closely and given to
the replay as it was.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from autowarmup import AdaptiveWarmup, Trace
from autowarmup.lab.cli import main
from autowarmup.lab.train.batch_gradient import BatchGradient
from autowarmup.rules import DEFAULT_RULE, Run, begin, rule_of, step
from autowarmup.rules.gap_law.peak import flat

HERE = Path(__file__).parent
RUNS = json.loads((HERE / "runs.json").read_text())


# Losses that rise lower the rate, which is said; here only the rate is looked at.
pytestmark = pytest.mark.filterwarnings("ignore:update [0-9]+:UserWarning")


def recorded(name: str) -> tuple[dict, Trace]:
    return RUNS[name], Trace.read(HERE / f"{name}.jsonl")


@pytest.mark.parametrize("name", ["muon", "lion"])
def test_flat_places_the_peak_where_it_did(name):
    run = RUNS[name]
    assert flat(run["div"]) == pytest.approx(run["gap_peak"] / run["gap0"], rel=1e-5)


def test_the_default_lowers_a_rate_that_is_too_high():
    run, trace = recorded("paced")
    assert run["rule"] == DEFAULT_RULE
    statuses = trace.column("status")
    assert statuses.count("LOWERED") == 1
    assert {"WARMING", "ENDED", "DECAYING", "DONE"} <= set(statuses)


def test_the_default_before_stalls_and_goes_back():
    statuses = recorded("watched")[1].column("status")
    assert statuses.count("LOWERED") == 4
    assert {"WARMING", "HELD", "ENDED", "DECAYING", "DONE"} <= set(statuses)


@pytest.mark.parametrize("name", RUNS)
def test_the_rule_reproduces_the_recorded_rates(name):
    run, trace = recorded(name)
    state = begin(rule_of(run["rule"]), Run(run["steps_done"]))
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
    run, trace = recorded(name)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=run["lr"])
    scheduler = AdaptiveWarmup(optimizer, run["steps_done"], rule=run["rule"])
    for point in trace:
        assert optimizer.param_groups[0]["lr"] == pytest.approx(point.lr, rel=1e-11)
        optimizer.step()
        scheduler.step(point.loss)
    assert [point.gap for point in scheduler.trace] == pytest.approx(trace.column("gap"), rel=1e-12)


@pytest.mark.parametrize("name", RUNS)
def test_so_does_training_from_the_command_line(name, tmp_path, monkeypatch):
    run, trace = recorded(name)
    points = iter(trace)

    def as_recorded(self, **_):
        point = next(points)
        return point.loss, point.grad_norm, False

    monkeypatch.setattr(BatchGradient, "gradient", as_recorded)
    monkeypatch.setattr(BatchGradient, "mean_loss", lambda self, windows: 1.0)
    monkeypatch.setenv("AUTOWARMUP_CACHE", str(tmp_path / "cache"))
    corpus, out = tmp_path / "corpus.txt", tmp_path / "run"
    corpus.write_text("a text to learn from\n" * 100)
    words = ["--rule", run["rule"], "--lr", str(run["lr"]), "--steps", str(run["steps_done"])]
    if name != "watched":
        words.append("--no-calibrate")  # it was measured then
    small = ["--data", str(corpus), "--sequence-length", "8", "--batch-size", "2"]
    assert main(["train", *words, *small, "--checkpoint-every", "0", "--out", str(out)]) == 0
    written = Trace.read(out / "trace.jsonl")
    for column in ("lr", "factor", "gap"):
        assert written.column(column) == pytest.approx(trace.column(column), rel=1e-11)
    for column in ("step", "loss", "phase", "status", "grad_norm"):
        assert written.column(column) == trace.column(column)
    record = json.loads((out / "result.json").read_text())
    assert record["warmup_end_step"] == run["warmup_end_step"]
    assert record["warmup_ended_by"] == run["warmup_ended_by"]


@pytest.mark.parametrize("name", RUNS)
def test_so_does_the_schedule_that_the_command_line_shows(name, capsys):
    run, trace = recorded(name)
    losses = HERE / f"{name}.jsonl"
    words = ["--rule", run["rule"], "--lr", str(run["lr"]), "--losses", str(losses), "--json"]
    assert main(["schedule", *words]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["rates"] == pytest.approx(trace.column("lr"), rel=1e-11)
    assert shown["warmup_end_step"] == run["warmup_end_step"]
