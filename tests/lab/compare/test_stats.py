from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autowarmup.lab.compare.grid import GRIDS, expand
from autowarmup.lab.compare.stats import summarise
from autowarmup.lab.report.numbers import percent

MAIN = "adaptive flat, measured start"


def record(warmup: str, loss: float | None, seed: int = 0, **changes: Any) -> dict[str, Any]:
    config = {
        "recipe": "tiny-cpu", "optimizer": "muon", "lr": 0.1, "steps": 100, "batch_size": 8,
        "warmup": warmup, "seed": seed, "peak": "flat", "calibrate": True,
    }  # fmt: skip
    config |= {key: changes.pop(key) for key in list(changes) if key in config}
    status = "finished" if loss is not None else "diverged"
    name = f"{config['optimizer']}-{config['lr']}-{warmup}-{seed}-{config['peak']}"
    return {"id": name, "status": status, "val_loss": loss, "config": config} | changes


def rule(summary: dict[str, Any], name: str, setup: int = 0) -> dict[str, Any]:
    return next(r for r in summary["setups"][setup]["rules"] if r["rule"] == name)


def test_one_setup_by_hand() -> None:
    summary = summarise(
        [
            record("adaptive", 1.9, 0, warmup_end_step=12, warmup_ended_by="gap", div=4.0),
            record("adaptive", 2.1, 1, warmup_end_step=14, warmup_ended_by="cap", div=4.5),
            record("1", 3.0, 0),
            record("1", 3.2, 1),
            record("5%", 2.4, 0),
            record("5%", 2.6, 1),
        ]
    )
    (setup,) = summary["setups"]
    assert setup["label"] == "Muon, lr 0.1"
    assert setup["best_hand_tuned"] == "linear 5%"
    assert setup["compared_seeds"] == summary["seeds"] == [0, 1]
    adaptive = rule(summary, MAIN)
    assert adaptive["val_loss"] == pytest.approx(2.0)
    assert adaptive["regret"] == pytest.approx(-0.2)
    assert adaptive["std"] == pytest.approx(math.sqrt(0.02))
    assert (adaptive["min"], adaptive["max"], adaptive["rank"]) == (1.9, 2.1, 1)
    assert adaptive["warmup_end_steps"] == [12, 14]
    assert adaptive["ended_by"] == ["gap", "cap"]
    assert adaptive["div"] == [4.0, 4.5]
    five, one = rule(summary, "linear 5%"), rule(summary, "linear 1")
    assert (five["regret"], five["rank"], five["warmup_steps"]) == (0.0, 2, 5)
    assert one["regret"] == pytest.approx(0.24)
    assert (one["rank"], one["warmup_steps"]) == (3, 1)
    assert summary["main_rule"] == MAIN
    assert summary["runs"] == {
        "expected": 6, "stored": 6, "finished": 6, "diverged": 0, "failed": 0,
    }  # fmt: skip


def test_a_diverged_seed_leaves_no_number_and_is_said() -> None:
    summary = summarise(
        [
            record("adaptive", 2.0, 0), record("adaptive", 2.0, 1),
            record("1", 1.0, 0), record("1", None, 1, message="nan at 3"),
            record("5%", 2.0, 0), record("5%", 2.0, 1),
        ]
    )  # fmt: skip
    bad = rule(summary, "linear 1")
    # Its one good seed is the lowest loss of all, and still does not make it the best.
    assert (bad["val_loss"], bad["regret"], bad["rank"], bad["diverged"]) == (None, None, None, 1)
    assert bad["val_losses"] == [1.0, None]
    assert summary["setups"][0]["best_hand_tuned"] == "linear 5%"
    (line,) = [line for line in summary["rules"] if line["rule"] == "linear 1"]
    assert (line["with_number"], line["setups"], line["diverged"]) == (0, 1, 1)
    assert summary["rules"][-1] is line
    assert [run["message"] for run in summary["trouble"]] == ["nan at 3"]
    assert "1 run diverged" in " ".join(summary["verdict"]["sentences"])


def test_unfinished_grids_compare_the_seeds_that_all_rules_have() -> None:
    summary = summarise(
        [record("adaptive", 2.0, 0), record("adaptive", 9.0, 1), record("5%", 4.0, 0)],
    )
    assert summary["setups"][0]["compared_seeds"] == [0]
    assert rule(summary, MAIN)["regret"] == pytest.approx(-0.5)
    apart = summarise([record("adaptive", 2.0, 0), record("1", 4.0, 1), record("5%", 4.0, 1)])
    assert apart["setups"][0]["compared_seeds"] == [1]
    assert rule(apart, MAIN)["missing"] == 1
    assert rule(apart, MAIN)["val_loss"] is None


def test_a_setup_without_its_hand_tuned_runs_is_not_judged() -> None:
    planned = expand(GRIDS["smoke"])
    stored = [
        record(
            c["warmup"],
            2.0,
            optimizer=c["optimizer"],
            lr=c["lr"],
            steps=6,
            peak=c.get("peak", "flat"),
        )
        for c in planned[:4]
    ]
    summary = summarise(stored, planned=planned)
    assert summary["runs"]["expected"] == 6
    assert summary["setups"][0]["not_yet_run"] == []
    assert summary["setups"][1]["not_yet_run"] == ["linear 1", "linear 50%"]
    assert list(summary["verdict"]["outcomes"].values()) == ["level", "unfinished"]
    assert "cannot be judged yet in 1 (Lion, lr 0.002)" in summary["verdict"]["headline"]
    assert any("4 of 6 runs" in sentence for sentence in summary["verdict"]["sentences"])


def test_a_failed_run_without_a_batch_size_stays_in_its_setup() -> None:
    early = record("5%", None, status="failed", message="killed")
    del early["config"]["batch_size"]
    summary = summarise([early, record("1", 2.0), record("adaptive", 2.0)])
    assert len(summary["setups"]) == 1
    assert rule(summary, "linear 5%")["failed"] == 1


def test_across_setups() -> None:
    records = []
    for lr, adaptive, one, five in ((0.1, 0.9, 1.0, 2.0), (0.2, 1.1, 1.5, 1.0)):
        records += [
            record("adaptive", adaptive, lr=lr), record("1", one, lr=lr), record("5%", five, lr=lr),
        ]  # fmt: skip
    lines = {line["rule"]: line for line in summarise(records)["rules"]}
    assert lines[MAIN]["mean_regret"] == pytest.approx(0.0)
    assert lines[MAIN]["worst_regret"] == pytest.approx(0.1)
    assert lines[MAIN]["best_or_better"] == 1
    assert lines["linear 1"]["mean_regret"] == pytest.approx(0.25)
    assert lines["linear 5%"]["mean_regret"] == pytest.approx(0.5)
    assert list(lines) == [MAIN, "linear 1", "linear 5%"]


def test_setups_are_named_by_what_differs() -> None:
    records = [record("1", 2.0), record("1", 2.0, steps=200), record("1", 2.0, optimizer="normsgd")]
    labels = [setup["label"] for setup in summarise(records)["setups"]]
    assert labels == [
        "Muon, lr 0.1, 100 steps", "Muon, lr 0.1, 200 steps", "Normalized SGD, lr 0.1, 100 steps",
    ]  # fmt: skip


def test_mistakes_are_sentences() -> None:
    with pytest.raises(ValueError, match="expected at least one run record, got none"):
        summarise([])
    with pytest.raises(ValueError, match="expected one record per set-up, warm-up and seed"):
        summarise([record("1", 2.0), record("1", 2.1)])


losses = st.lists(st.floats(0.1, 10.0), min_size=2, max_size=6)


@given(losses, losses, st.integers(0, 100))
def test_regret_is_zero_at_the_best_and_positive_above(
    hand_tuned: list[float], adaptive: list[float], shuffle: int
) -> None:
    records = [record(f"{k + 1}%", loss) for k, loss in enumerate(hand_tuned)]
    records += [record("adaptive", loss, peak=f"0.{k + 1}") for k, loss in enumerate(adaptive)]
    summary = summarise(records)
    rules = summary["setups"][0]["rules"]
    linear = [r["regret"] for r in rules if r["kind"] == "linear"]
    assert min(linear) == 0.0
    for r in rules:
        expected = (r["val_loss"] - min(hand_tuned)) / min(hand_tuned)
        assert r["regret"] == pytest.approx(expected)
    assert min(r["rank"] for r in rules) == 1
    by_loss = sorted(rules, key=lambda r: r["val_loss"])
    assert [r["rank"] for r in by_loss] == sorted(r["rank"] for r in rules)
    # Nothing depends on the order in which runs ended.
    random.Random(shuffle).shuffle(records)
    again = {r["rule"]: r["regret"] for r in summarise(records)["setups"][0]["rules"]}
    assert again == {r["rule"]: r["regret"] for r in rules}
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def headline(*setups: tuple[float | None, float | None]) -> str:
    """The headline for set-ups given as (adaptive, hand-tuned)."""
    records = []
    for k, (adaptive, hand_tuned) in enumerate(setups):
        lr = 0.1 * (k + 1)
        records += [record("adaptive", adaptive, lr=lr), record("5%", hand_tuned, lr=lr)]
    return summarise(records)["verdict"]["headline"]


@pytest.mark.parametrize(
    ("setups", "expected"),
    [
        (
            [(0.98, 1.0)],
            "Adaptive warm-up beat the best hand-tuned warm-up in 1 of 1 set-up (by 2.0 %).",
        ),
        (
            [(0.9, 1.0), (0.99, 1.0), (1.0041, 1.0)],
            "Adaptive warm-up beat the best hand-tuned warm-up in 2 of 3 set-ups "
            "(by 1.0 to 10.0 %) and was level with it in 1 (within 0.5 %).",
        ),
        (
            [(1.0001, 1.0), (1.0, 1.0)],
            "Adaptive warm-up was level with the best hand-tuned warm-up in 2 of 2 set-ups "
            "(within 0.1 %).",
        ),
        (
            [(1.05, 1.0)],
            "Adaptive warm-up lost to the best hand-tuned warm-up in 1 of 1 set-up "
            "(Muon, lr 0.1: +5.0 %).",
        ),
        (
            [(0.9, 1.0), (1.1, 1.0), (1.0, None), (None, 1.0)],
            "Adaptive warm-up beat the best hand-tuned warm-up in 1 of 4 set-ups (by 10.0 %), "
            "lost to it in 1 (Muon, lr 0.2: +10.0 %), was the only one to finish in 1 "
            "(Muon, lr 0.3) and diverged or failed in 1 (Muon, lr 0.4).",
        ),
    ],
)
def test_the_headline_says_what_happened(
    setups: list[tuple[float | None, float | None]], expected: str
) -> None:
    assert headline(*setups) == expected


def test_without_adaptive_runs_there_is_no_verdict() -> None:
    verdict = summarise([record("1", 2.0)])["verdict"]
    assert verdict["headline"].startswith("No adaptive run is stored here yet")


def test_one_choice_for_all_setups(grid_records: Callable[..., Any]) -> None:
    sentences = summarise(grid_records(GRIDS["demo"]))["verdict"]["sentences"]
    assert sentences[0].startswith("Used unchanged in every set-up, adaptive is on average")
    assert "the best single length, 5 %, is" in sentences[0]
    assert "no warm-up" in sentences[0]
    assert "One seed per run" in sentences[-1]


@given(st.floats(-0.9, 9.0))
def test_percentages_never_show_a_signed_zero(share: float) -> None:
    text = percent(share)
    assert text.endswith(" %")
    assert text not in ("+0.0 %", "−0.0 %")
    assert float(text[:-2].replace("−", "-")) == pytest.approx(100 * share, abs=0.051)


def test_two_seeds_say_how_far_they_lie_apart(grid_records: Callable[..., Any]) -> None:
    grid = replace(GRIDS["demo"], seeds=(0, 1))
    records = grid_records(grid)
    for record in records:
        record["val_loss"] = 2.0 if record["config"]["seed"] == 0 else 2.1
    summary = summarise(records)
    assert summary["seed_spread"]["median"] == pytest.approx(0.05)
    assert summary["seed_spread"]["most"] == pytest.approx(0.05)
    assert "5.0 % apart in the median" in summary["verdict"]["sentences"][-1]
