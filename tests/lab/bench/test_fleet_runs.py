from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch

from autowarmup.lab.bench import fleet_runs
from autowarmup.lab.bench.fleet import Fleet
from autowarmup.lab.bench.fleet_runs import train_fleet
from autowarmup.lab.bench.plan import RunPlan, planned
from autowarmup.lab.bench.setups import Setup


def test_a_run_that_starts_without_a_number_is_stored_too(
    tiny: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also the measured start has to do with a loss that is no number."""
    real = fleet_runs.task_of

    def broken(family: Setup) -> Any:
        task = real(family)
        losses = task.losses
        task.losses = lambda parameters, batch: losses(parameters, batch) * float("nan")
        return task

    monkeypatch.setattr(fleet_runs, "task_of", broken)
    for record in train_fleet(planned([tiny], ("none", "flat"), (0,))):
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert (record["status"], record["diverged_at"]) == ("diverged", 0)
        assert record["trace"]["loss"] == record["val_curve"] == []


def test_a_run_whose_validation_alone_has_no_number_is_diverged(
    tiny: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fleet, "evaluate", lambda fleet, batches: [float("inf")] * 2)
    for record in train_fleet(planned([tiny], ("none", "watched"), (0,))):
        assert json.loads(json.dumps(record, allow_nan=False)) == record
        assert (record["status"], record["val_loss"]) == ("diverged", None)
        assert len(record["trace"]["loss"]) == 6


def test_a_record_does_not_depend_on_the_company(tiny: Setup) -> None:
    higher = replace(tiny, lr=0.1)
    (alone,) = train_fleet([RunPlan(tiny, 1, "none")])
    for company in ([RunPlan(tiny, 0, "watched")], [RunPlan(higher, 1, "flat")]):
        *_, beside = train_fleet([*company, RunPlan(tiny, 1, "none")])
        assert (beside["rule"], beside["seed"], beside["setup"]) == ("none", 1, tiny.to_dict())
        assert beside["val_loss"] == pytest.approx(alone["val_loss"], rel=1e-5)
        assert beside["trace"]["loss"] == pytest.approx(alone["trace"]["loss"], abs=2e-4)


def test_the_scale_of_the_loss_reaches_the_rule_and_not_the_record(tiny: Setup) -> None:
    (plain,) = train_fleet([RunPlan(tiny, 0, "none")])
    (scaled,) = train_fleet([RunPlan(replace(tiny, scale=4.0), 0, "none")])
    # Lion does not see the scale; the clipping is of the scaled gradient.
    assert scaled["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-4)
    assert scaled["trace"]["loss"] == pytest.approx(
        [4.0 * loss for loss in plain["trace"]["loss"]], rel=1e-3
    )


def test_a_fleet_of_two_families_is_refused(tiny: Setup) -> None:
    with pytest.raises(ValueError, match="expected runs of one family, got 2"):
        train_fleet(planned([tiny, replace(tiny, optimizer="muon")], ("none",), (0,)))


def test_fine_tuning_starts_where_the_first_corpus_led(tiny: Setup) -> None:
    tuned = replace(tiny, trained=8)
    assert "trained" not in tiny.to_dict()
    assert Setup(**tuned.to_dict()) == tuned
    task = fleet_runs.task_of(Setup("adamw", 0.0, model=tiny.model))
    batch = torch.stack([task.batch(0, 1000), task.batch(1, 1000)])
    weights, before = fleet_runs.trained(tiny.model, 8, (0, 1)), fleet_runs.initial(task, [0, 1])
    assert (task.losses(weights, batch) < task.losses(before, batch)).all()
    alone = fleet_runs.trained(tiny.model, 8, (1,))
    assert all(torch.allclose(p[0], weights[key][1], atol=1e-5) for key, p in alone.items())
    plain, after = train_fleet([RunPlan(tiny, 0, "none")]), train_fleet([RunPlan(tuned, 0, "none")])
    assert after[0]["trace"]["loss"][0] < plain[0]["trace"]["loss"][0]
