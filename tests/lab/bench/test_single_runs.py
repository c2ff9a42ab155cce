"""A run of `autowarmup train` as a run of the benchmark."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.single_runs import train_single


@pytest.fixture(scope="module")
def setup(tiny: Setup) -> Setup:
    return replace(tiny, model="tiny-cpu")


def test_the_record_says_what_the_run_says_and_a_finished_run_is_not_repeated(
    setup: Setup, tmp_path: Path
) -> None:
    plan = RunPlan(setup, 0, "linear 50%")
    (record,) = train_single([plan], tmp_path)
    result = json.loads((tmp_path / "result.json").read_text())
    assert RunPlan.of(record) == plan
    assert (record["status"], record["val_loss"]) == ("finished", result["val_loss"])
    assert record["trace"]["factor"][:3] == pytest.approx([1 / 3, 2 / 3, 1.0], abs=1e-4)
    assert len(record["trace"]["loss"]) == setup.steps == record["updates"]
    assert record["start"] == 1.0  # a hand-tuned length measures nothing
    stamp = (tmp_path / "result.json").stat().st_mtime_ns
    assert train_single([plan], tmp_path) == [record]
    assert (tmp_path / "result.json").stat().st_mtime_ns == stamp


def test_a_run_without_a_number_is_diverged(setup: Setup, tmp_path: Path) -> None:
    wild = replace(setup, optimizer="sgd", lr=1e30)
    (record,) = train_single([RunPlan(wild, 0, "none")], tmp_path)
    assert (record["status"], record["val_loss"]) == ("diverged", None)
    assert record["message"]
    assert 1 <= record["diverged_at"] < setup.steps


@pytest.mark.parametrize("change", [{"noise": 0.2}, {"scale": 4.0}, {"trained": 8}])
def test_what_only_a_fleet_can_train_is_refused(
    setup: Setup, tmp_path: Path, change: dict[str, float]
) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(change))}: expected"):
        train_single([RunPlan(replace(setup, **change), 0, "none")], tmp_path)
