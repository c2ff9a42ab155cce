"""Tables whose numbers can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from autowarmup.lab.bench.robustness import tables, variation_of
from autowarmup.lab.bench.sets import robustness
from autowarmup.lab.bench.setups import Setup
from autowarmup.rules.registry import DEFAULT_RULE

Record = dict[str, Any]
Make = Callable[..., Record]

LION, MUON = Setup("lion", 2e-3), Setup("muon", 2.4e-2)
NOISY = [replace(setup, noise=0.2) for setup in (LION, MUON)]


def rows_of(title: str, found: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    (rows,) = (table["rows"] for table in found if table["title"] == title)
    keyed = {(row["variation"], row["rule"]): row for row in rows}
    assert len(keyed) == len(rows)
    return keyed


def test_what_is_trained_is_judged_by_the_hand_tuned_runs_of_the_same(make_record: Make) -> None:
    records = [
        make_record("none", 2.0, setup=NOISY[0]),
        make_record("linear 10%", 2.5, setup=NOISY[0]),
        make_record("watched", 2.2, setup=NOISY[0]),
        make_record("none", 5.0, setup=NOISY[1]),
        make_record("linear 10%", 4.0, setup=NOISY[1]),
        make_record("watched", 3.8, setup=NOISY[1]),
    ]
    misleading = [make_record("none", 1.0, setup=setup) for setup in (LION, MUON)]
    (table,) = tables(records, misleading)
    rows = rows_of("What is trained", [table])
    name = "20 % random tokens"
    own = rows[name, "watched"]
    assert own["mean_regret"] == pytest.approx((0.1 - 0.05) / 2)
    assert own["worst_regret"] == pytest.approx(0.1)
    assert own["n_setups"] == 2
    assert rows[name, "none"]["mean_regret"] == pytest.approx((0.0 + 0.25) / 2)
    assert rows[name, "linear 10%"]["worst_regret"] == pytest.approx(0.25)


def test_what_is_told_is_judged_by_the_hand_tuned_runs_of_the_core(make_record: Make) -> None:
    core = [
        make_record(rule, loss, seed, setup=LION)
        for rule, loss in (("none", 2.0), ("linear 40%", 1.6), ("watched", 1.0))
        for seed in (0, 1)
    ]
    # The second seed, on which nothing is varied, does not count.
    core[3]["val_loss"] = 0.1
    records = [
        make_record("paced", 1.68, setup=LION, options={"lower_bound": 1.0}),
        make_record("paced", 1.76, setup=LION, options={"pace": {"tokens_per_update": None}}),
        make_record("paced", 1.52, setup=LION, options={"pace": {"sure": 2.0}}),
        make_record("paced", 2.4, setup=replace(LION, scale=10.0)),
    ]
    rows = rows_of("What the rule is told", tables(records, core))
    assert {variation: row["mean_regret"] for (variation, _), row in rows.items()} == {
        "lower bound wrong by +1": pytest.approx(0.05),
        "updates counted, not tokens": pytest.approx(0.1),
        "constants: sure 2": pytest.approx(-0.05),
        "loss times 10": pytest.approx(0.5),
    }
    assert {row["n_setups"] for row in rows.values()} == {1}
    # What is told is never its own reference, and without one there is no number.
    assert tables(records, []) == []


def test_the_seeds_that_all_have_are_averaged(make_record: Make) -> None:
    records = [
        make_record(rule, loss, seed, setup=NOISY[0])
        for rule, losses in (("none", (2.0, 4.0)), ("watched", (3.0, 6.0)))
        for seed, loss in enumerate(losses)
    ]
    records.append(make_record("watched", 99.0, 2, setup=NOISY[0]))
    rows = rows_of("What is trained", tables(records, []))
    assert rows["20 % random tokens", "watched"]["mean_regret"] == pytest.approx(0.5)


def test_a_diverged_run_has_no_regret_and_is_no_reference(make_record: Make) -> None:
    records = [
        make_record("none", None, setup=NOISY[0]),
        make_record("linear 10%", 2.0, setup=NOISY[0]),
        make_record("watched", 2.5, setup=NOISY[0]),
        make_record("none", 2.0, setup=NOISY[1]),
        make_record("watched", None, setup=NOISY[1]),
    ]
    rows = rows_of("What is trained", tables(records, []))
    own = rows["20 % random tokens", "watched"]
    assert (own["mean_regret"], own["n_setups"]) == (pytest.approx(0.25), 1)
    assert rows["20 % random tokens", "none"]["n_setups"] == 1
    nothing = [make_record(rule, None, setup=NOISY[0]) for rule in ("none", "watched")]
    assert tables(nothing, []) == []


def test_every_planned_variation_has_a_name_of_its_own(make_record: Make) -> None:
    names: dict[tuple[str, str], set[str]] = {}
    for plan in robustness():
        record = make_record(plan.rule, 2.0, setup=plan.setup, options=plan.options)
        neutral = replace(plan.setup, optimizer="", lr=0.0)
        names.setdefault(variation_of(record), set()).add(f"{neutral} {plan.options}")
    assert {len(what) for what in names.values()} == {1}
    told = {name for table, name in names if table == "What the rule is told"}
    trained = {name for table, name in names if table == "What is trained"}
    assert len(told) == 5
    assert len(trained) == 7
    assert {
        "batch 2",
        "handwritten digits",
        "handwritten digits, 20 % random labels",
    } < trained


def test_the_whole_set_gives_a_row_per_variation_and_rule(
    make_record: Make, core_records: list[Record]
) -> None:
    records = [
        make_record(plan.rule, 2.0, setup=plan.setup, options=plan.options) for plan in robustness()
    ]
    found = tables(records, core_records)
    told = rows_of("What the rule is told", found)
    assert {rule for _, rule in told} == {DEFAULT_RULE}
    assert {row["n_setups"] for table in found for row in table["rows"]} == {6}
    trained = rows_of("What is trained", found)
    assert {row["mean_regret"] for row in trained.values()} == {0.0}
    assert len(trained) == 5 * 10 + 2 * 9
