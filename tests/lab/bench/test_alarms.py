"""False alarms and catches: by hand on small logs, and the default on curves of real runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.bench.alarms import CURVES, HARMFUL, alarms, done, walked
from autowarmup.lab.bench.fleet_runs import train_fleet
from autowarmup.lab.bench.plan import RunPlan
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.sweeps import POLICIES, loss_at, replayed
from autowarmup.rules import DEFAULT_RULE, rule_of
from autowarmup.rules.families import family_named

FALLING = [3.0 - 0.002 * k for k in range(600)]
RISING = [*FALLING[:150], *(2.7 + 0.004 * k for k in range(450))]


def log(lr: float, val: float | None, losses: list[float]) -> dict[str, Any]:
    setup = Setup("adamw", lr, steps=600)
    return {
        "setup": setup.to_dict(), "rule": DEFAULT_RULE, "seed": 0, "val_loss": val,
        "options": {"log": True, "best": 0.008}, "every_loss": losses,
    }  # fmt: skip


def test_healthy_harmful_and_harmless_logs_are_told_apart():
    records = [
        log(0.008, 2.0, FALLING),
        log(0.032, 2.0 * (1 + HARMFUL), RISING),
        log(0.128, 3.0, FALLING),
        log(0.064, 2.01, RISING),
    ]
    found = alarms(DEFAULT_RULE, records)
    assert (found["healthy"], found["false_alarms"]) == (1 + len(CURVES), 0)
    assert (found["harmful"], found["caught"]) == (2, 1)
    assert found["noise"] == 400
    assert found["noise_lowered"] <= 400 / 25
    assert 0.25 < found["median_share_of_the_run_when_caught"] < 0.45
    assert [row["harm"] for row in found["rows"][:3]] == pytest.approx([0.0, HARMFUL, 0.5])


def test_how_much_of_the_harm_is_done_when_it_is_noticed():
    best = [2.0] * 400
    late = [2.0] * 200 + [3.0] * 200
    assert [done(late, best, at) for at in (100, 200, 283, 400)] == pytest.approx(
        [0.0, 0.0, 1.0, 1.0]
    )
    assert done(late, best, 250) == pytest.approx(50 / (250 - 177))
    assert done([1.5] * 300 + [3.0] * 100, best, 200) == 0.0  # it did better so far
    assert done([2.5] * 200 + [None] * 200, best, 150) == 0.0  # and diverges later
    assert done([2.5] * 400, [3.0] * 400, 150) == 0.0  # it did no harm at all
    records = [log(0.008, 2.0, FALLING), log(0.032, 3.0, RISING)]
    found = alarms(DEFAULT_RULE, records)
    (row,) = (row for row in found["rows"] if not row["healthy"])
    assert row["done_when_caught"] == done(RISING, FALLING, row["lowered_at"][0])
    assert 0 < row["done_when_caught"] < 1 / 3
    assert (found["caught"], found["caught_early"]) == (1, 1)


@pytest.mark.parametrize("curve", CURVES, ids=lambda curve: curve.name)
@pytest.mark.parametrize("seed", range(3))
def test_the_default_leaves_curves_of_real_runs_alone(curve, seed):
    found = walked(rule_of(DEFAULT_RULE), curve.run, curve.losses(seed))
    assert found["lowered_at"] == []
    assert found["share_at_the_end"] == 1.0


def test_the_default_before_lowers_the_rate_on_most_of_them():
    lowered = [
        walked(rule_of("watched"), curve.run, curve.losses())["lowered_at"] for curve in CURVES
    ]
    assert sum(map(bool, lowered)) >= 5


def test_a_plan_that_asks_for_it_keeps_every_loss(tiny: Setup, tmp_path: Path):
    asked = RunPlan(tiny, 0, DEFAULT_RULE, {"log": True, "best": tiny.lr, "pace": {"sure": 1e9}})
    (record,) = train_fleet([asked], tmp_path)
    assert len(record["every_loss"]) == tiny.steps
    (plain,) = train_fleet([RunPlan(tiny, 0, DEFAULT_RULE)], tmp_path)
    assert "every_loss" not in plain


def test_a_sweep_is_read_between_its_points_and_diverges_beside_those_that_did():
    sweep = {
        "optimizer": "d-muon", "params": 124_000_000, "tokens_per_step": 131_072,
        "total_steps": 8000, "losses": {"100": None, "400": 3.0, "1600": 3.3},
    }  # fmt: skip
    assert loss_at(sweep, 800) == pytest.approx(3.15)
    assert loss_at(sweep, 10_000) == 3.3
    assert loss_at(sweep, 284) is None
    found = {name: replayed([sweep], length) for name, length in POLICIES.items()}
    assert found["paced, tokens known"]["diverged"] == ["d-muon, 8000 updates"]
    assert found["linear 5 %"]["mean_regret"] == pytest.approx(0.0)
    assert found["linear 45 %"]["mean_regret"] == pytest.approx(0.1)
    assert [family_named(x) for x in ("distributed shampoo", "nadamw")] == [
        "preconditioned",
        "other",
    ]
