from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autowarmup.lab.bench import engine
from autowarmup.lab.bench.engine import FLEET, Outcome, groups, run_plans
from autowarmup.lab.bench.plan import RunPlan, planned
from autowarmup.lab.bench.records import key_of, read_records
from autowarmup.lab.bench.sets import core
from autowarmup.lab.bench.setups import Setup
from autowarmup.lab.bench.workers import Event, Job, attempt

RULES = ("none", "watched")


@pytest.fixture(scope="module")
def setup(tiny: Setup) -> Setup:
    return tiny


@pytest.fixture(scope="module")
def wild(setup: Setup) -> Setup:
    return replace(setup, optimizer="sgd", lr=1e30)


def plans_of(*setups: Setup) -> list[RunPlan]:
    return planned(setups, RULES, (0,))


def run(plans: list[RunPlan], out: Path) -> Outcome:
    return run_plans(plans, out, workers=1, progress=False)


def strict(text: str) -> Any:
    """Read one line as JSON without NaN and Infinity, which are no JSON."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} in {text[:80]}")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture(scope="module")
def outcome(
    setup: Setup, wild: Setup, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Outcome]:
    """An optimizer that works, a rate that no weights survive, and lots that cannot run."""
    root = tmp_path_factory.mktemp("bench")
    nowhere = replace(setup, optimizer="muon", data=str(root / "nothing.txt"))
    wrong = RunPlan(replace(setup, optimizer="adamw"), 0, "none", {"no": 1})
    out = root / "new" / "dir"
    return out, run([*plans_of(nowhere), wrong, *plans_of(setup, wild)], out)


@pytest.fixture
def stored(outcome: tuple[Path, Outcome], tmp_path: Path) -> Path:
    """A copy of what was stored."""
    return Path(shutil.copytree(outcome[0], tmp_path / "stored"))


class Here:
    """The pool without processes."""

    def __init__(self, size: int, threads: int) -> None:
        self.size = size

    def run(self, jobs: list[Job]) -> Iterator[Event]:
        for job in jobs:
            yield Event(job)
            yield Event(job, attempt(job))

    def close(self) -> None:
        pass


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / "runs").iterdir()}


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_fleets_are_nearly_equal_and_hold_every_run_once(workers: int) -> None:
    plans = core()
    cut = groups(plans, workers=workers)
    assert Counter(plan.key for lot in cut for plan in lot) == Counter(plan.key for plan in plans)
    for lot in cut:
        assert 1 <= len(lot) <= FLEET
        assert len({plan.setup.family for plan in lot}) == 1
    sizes: dict[Setup, list[int]] = {}
    for lot in cut:
        sizes.setdefault(lot[0].setup.family, []).append(len(lot))
    for each in sizes.values():
        assert max(each) - min(each) <= 1
        assert len(each) % workers == 0


def test_fleets_keep_the_order_of_the_plan_and_are_never_empty() -> None:
    setups = [Setup("lion", 1e-3), Setup("muon", 1e-3), Setup("lion", 2e-3)]
    plans = planned(setups, ("none", "flat", "watched"), (0,))
    lion, muon = plans[:3] + plans[6:], plans[3:6]
    assert groups(plans, size=3, workers=1) == [lion[:3], lion[3:], muon]
    assert groups(plans, size=100, workers=2) == [lion[:3], lion[3:], muon[:2], muon[2:]]
    assert groups(plans[:1], size=4, workers=8) == [[plans[0]]]
    assert groups([]) == []


def test_every_run_is_stored_with_what_was_planned(stored: Path, setup: Setup) -> None:
    assert {path.name for path in stored.iterdir()} == {"runs", "logs"}
    records = {key_of(record): record for record in read_records(stored)}
    for plan in plans_of(setup):
        record = records[plan.key]
        assert (record["status"], record["rule"], record["seed"]) == ("finished", plan.rule, 0)
        assert Setup(**record["setup"]) == setup
        assert len(record["trace"]["loss"]) == len(record["trace"]["factor"]) == 6
        assert record["val_curve"][-1] == [6, pytest.approx(record["val_loss"], abs=1e-4)]
        assert (record["updates"], record["diverged_at"], record["overhead"]) == (6, None, 0.0)
    none, watched = (records[plan.key]["trace"]["factor"] for plan in plans_of(setup))
    assert none[0] == 1.0
    assert watched != none


def test_a_diverged_run_is_stored_as_such_in_strict_json(stored: Path) -> None:
    paths = sorted((stored / "runs").glob("*.jsonl"))
    records = [strict(line) for path in paths for line in path.read_text().splitlines()]
    wild = [record for record in records if record["setup"]["optimizer"] == "sgd"]
    assert {record["rule"] for record in wild} == set(RULES)
    for record in wild:
        assert (record["status"], record["val_loss"]) == ("diverged", None)
        assert 1 <= record["diverged_at"] < 6
        assert len(record["trace"]["loss"]) == len(record["trace"]["factor"])
        assert len(record["trace"]["loss"]) == record["diverged_at"]
        assert all(step <= record["diverged_at"] for step, _ in record["val_curve"])
    assert len(records) == 4


def test_a_failed_lot_is_a_sentence_and_the_others_stay(
    outcome: tuple[Path, Outcome], setup: Setup, wild: Setup
) -> None:
    out, held = outcome
    assert held.missing == 3
    assert not any("\n" in text or "Traceback" in text for text in held.failures)
    *first, last = sorted(held.failures, key=lambda text: "TypeError" in text)
    assert len(first) == 2
    assert all("muon" in sentence and "nothing.txt" in sentence for sentence in first)
    assert "adamw" in last
    assert "'no'" in last
    keys = sorted(plan.key for plan in plans_of(setup, wild))
    assert sorted(map(key_of, read_records(out))) == keys


def test_the_same_call_repeats_nothing_and_takes_what_is_missing(
    stored: Path,
    setup: Setup,
    wild: Setup,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = contents(stored)
    assert run(plans_of(setup, wild), stored) == Outcome(2 * len(RULES), 2 * len(RULES))
    assert contents(stored) == before
    monkeypatch.setattr(engine, "Pool", Here)
    new = RunPlan(setup, 0, "linear 10%")
    assert run([*plans_of(setup, wild), new], stored) == Outcome(5, 5)
    after = contents(stored)
    assert {name: after[name] for name in before} == before
    (added,) = after.keys() - before.keys()
    assert key_of(strict(after[added].decode())) == new.key
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("line", ['{"setup": {"opt', "[1, 2]", "{}", '"text"'])
def test_a_file_that_holds_no_records_is_one_sentence(
    tmp_path: Path, setup: Setup, line: str
) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "broken.jsonl").write_text(f"{line}\n")
    with pytest.raises(ValueError, match=r"broken\.jsonl: expected one JSON record") as caught:
        run(plans_of(setup), tmp_path)
    assert "\n" not in str(caught.value)


def test_other_models_are_trained_one_by_one() -> None:
    setup = Setup("lion", 1e-3, model="tiny-cpu")
    plans = planned([setup, replace(setup, model="micro")], RULES, (0,))
    assert groups(plans, workers=1) == [[plans[0]], [plans[1]], plans[2:]]


def test_what_is_not_there_is_no_record(tmp_path: Path) -> None:
    assert read_records(tmp_path) == []
